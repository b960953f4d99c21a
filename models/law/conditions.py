"""Conditions over named facts: when a limit applies, when a correction does; and whether two can hold at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Self

from pydantic import Field, model_validator

from models.law.rows import Exact, KeyFault, Row, RowId, Text

FactValue = Decimal | str | bool
Facts = Mapping[str, FactValue]
"""The named facts of a case: numbers in the unit of their FactName, choices as text, yes or no as bool."""


class Range(Row):
    """A stretch of numbers: gt / ge the lower bound without / with the number itself, lt / le the upper."""

    gt: Exact | None = None
    ge: Exact | None = None
    lt: Exact | None = None
    le: Exact | None = None

    @model_validator(mode="after")
    def _one_bound_a_side(self) -> Self:
        if self.gt is not None and self.ge is not None:
            raise KeyFault("gt", "two lower bounds, gt and ge. Keep one")
        if self.lt is not None and self.le is not None:
            raise KeyFault("lt", "two upper bounds, lt and le. Keep one")
        low, high = self.low, self.high
        if (
            low is not None
            and high is not None
            and (low > high or (low == high and not (self.ge_bound and self.le_bound)))
        ):
            raise KeyFault("gt" if self.ge is None else "ge", "no number is in this range. Correct its bounds")
        return self

    @property
    def low(self) -> Decimal | None:
        """The lower bound, if any."""
        return self.gt if self.ge is None else self.ge

    @property
    def high(self) -> Decimal | None:
        """The upper bound, if any."""
        return self.lt if self.le is None else self.le

    @property
    def ge_bound(self) -> bool:
        """Whether the lower bound itself is inside."""
        return self.ge is not None

    @property
    def le_bound(self) -> bool:
        """Whether the upper bound itself is inside."""
        return self.le is not None

    def holds(self, number: Decimal) -> bool:
        """Whether a number is inside."""
        return (
            (self.gt is None or number > self.gt)
            and (self.ge is None or number >= self.ge)
            and (self.lt is None or number < self.lt)
            and (self.le is None or number <= self.le)
        )

    def text(self) -> str:
        """The bounds as written in a formula: `> 50, ≤ 70`."""
        signs = ((">", self.gt), ("≥", self.ge), ("<", self.lt), ("≤", self.le))
        return ", ".join(f"{sign} {bound}" for sign, bound in signs if bound is not None)


class Condition(Range):
    """A named fact has one of some values (`eq`, `one_of`), or is a number in a range."""

    fact: RowId
    eq: bool | Text | Exact | None = Field(default=None, union_mode="left_to_right")
    one_of: tuple[Text | Exact, ...] = ()

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        ranged = any(bound is not None for bound in (self.gt, self.ge, self.lt, self.le))
        if (self.eq is not None) + bool(self.one_of) + ranged != 1:
            raise KeyFault("fact", "a condition takes eq, or one_of, or bounds. Give one of them")
        return self

    @property
    def values(self) -> tuple[FactValue, ...] | None:
        """The values it allows, or None where it is a range."""
        if self.eq is not None:
            return (self.eq,)
        return self.one_of or None

    def met(self, facts: Facts) -> bool | None:
        """Whether it holds; None where the fact is not given or of the wrong kind."""
        value = facts.get(self.fact)
        if value is None:
            return None
        allowed = self.values
        if allowed is not None:
            return value in allowed
        return self.holds(value) if isinstance(value, Decimal) else None

    def said(self) -> str:
        """The condition in symbols: `line_capacity_t_per_d ≥ 4000`."""
        allowed = self.values
        if allowed is None:
            return f"{self.fact} {self.text()}"
        words = ["yes" if value is True else "no" if value is False else str(value) for value in allowed]
        return f"{self.fact} = {' / '.join(words)}"


def unknown_facts(conditions: Sequence[Condition], facts: Facts) -> tuple[str, ...]:
    """The facts that conditions ask and the case does not give."""
    return tuple(dict.fromkeys(one.fact for one in conditions if one.met(facts) is None))


def met(conditions: Sequence[Condition], facts: Facts) -> bool | None:
    """Whether all hold; False as soon as one does not, None where a fact is missing to tell."""
    answers = [one.met(facts) for one in conditions]
    if False in answers:
        return False
    return None if None in answers else True


def exclude(one: Sequence[Condition], other: Sequence[Condition]) -> bool:
    """Whether no case can meet both sets: they ask the same fact for values that do not meet."""
    return any(a.fact == b.fact and _apart(a, b) for a in one for b in other)


def _apart(a: Condition, b: Condition) -> bool:
    if a.values is not None and b.values is not None:
        return not set(a.values) & set(b.values)
    if a.values is not None:
        return not any(isinstance(value, Decimal) and b.holds(value) for value in a.values)
    if b.values is not None:
        return _apart(b, a)
    return _before(a, b) or _before(b, a)


def _before(a: Range, b: Range) -> bool:
    if a.high is None or b.low is None:
        return False
    return a.high < b.low or (a.high == b.low and not (a.le_bound and b.ge_bound))


def holes_and_overlaps(ranges: Sequence[Range]) -> list[tuple[int, str]]:
    """Where a table of ranges, in order, leaves a number out or takes one twice: (index of the later row, what)."""
    found = []
    for index in range(1, len(ranges)):
        before, after = ranges[index - 1], ranges[index]
        if before.high is None or after.low is None:
            found.append((index, "overlaps the row before it: one of the bounds between them is open"))
        elif after.low < before.high or (after.low == before.high and before.le_bound and after.ge_bound):
            found.append((index, f"overlaps the row before it at {after.low}"))
        elif after.low > before.high:
            found.append((index, f"leaves a hole between {before.high} and {after.low}"))
        elif not before.le_bound and not after.ge_bound:
            found.append((index, f"leaves a hole at exactly {after.low}"))
    return found
