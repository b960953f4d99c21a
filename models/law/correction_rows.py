"""Corrections of limits, and of some actual figures, as rows: which number changes, by what arithmetic, on what."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal, Self

from pydantic import model_validator

from models.law.conditions import Condition, Range, holes_and_overlaps
from models.law.limit_rows import LevelName
from models.law.rows import Cited, Exact, KeyFault, Row, RowId, Text


class ByLevel(Row):
    """A number for each level it concerns; a level that is absent is left as it is."""

    level1: Exact | None = None
    level2: Exact | None = None
    level3: Exact | None = None

    def of(self, level: LevelName) -> Decimal | None:
        """The number for one level."""
        found: Decimal | None = getattr(self, level)
        return found


class Band(Range):
    """A stretch of the input and what it adds."""

    add: Exact


class Choice(Row):
    """One choice of the input and what it adds."""

    choice: Text
    add: Exact


class Correction(Cited):
    """One correction. What each `op` does to a limit L with the input x:

    per_unit: L + coefficient * (x - base), the difference kept within min_delta and max_delta.
    constant: L + value, where `when` holds.    multiply: L * value, where `when` holds.
    factor: L * x.                              bands, choices: L + what the band or choice of x adds.
    table: L + the value between the two nearest points, on a straight line; outside the points nothing is defined.
    formula: the named function of models/law/corrections.py, on the limit or on the actual figure.
    declared: no arithmetic; the actual figure must already be on the stated basis (`input` = yes).

    What happens when an input is not given (`if_missing`): required: no verdict. ask: the neutral value is taken, and a
    verdict against the plant that the input could turn is withheld. claimed: the neutral value is taken and said;
    who has the special condition must claim it.
    """

    standard: RowId
    title_zh: Text
    title_en: Text
    op: Literal["per_unit", "constant", "multiply", "factor", "bands", "choices", "table", "formula", "declared"]
    input: RowId | None = None
    inputs: tuple[RowId, ...] = ()
    levels: tuple[LevelName, ...] = ("level1", "level2", "level3")
    base: Exact | None = None
    coefficient: ByLevel | None = None
    min_delta: Exact | None = None
    max_delta: Exact | None = None
    value: Exact | None = None
    bands: tuple[Band, ...] = ()
    choices: tuple[Choice, ...] = ()
    points: tuple[tuple[Exact, Exact], ...] = ()
    formula: RowId | None = None
    when: tuple[Condition, ...] = ()
    """The correction applies only where this holds."""
    valid_when: tuple[Condition, ...] = ()
    """Where this does not hold the standard gives no correction, and nothing can be judged."""
    if_missing: Literal["required", "ask", "claimed"]
    clause: Text | None = None
    doubt: Text | None = None
    """Why its reading should be checked: a verdict that hangs on it needs review."""

    @model_validator(mode="after")
    def _has_what_its_op_needs(self) -> Self:
        needs = {
            "per_unit": ("input", "base", "coefficient"),
            "constant": ("value", "when"),
            "multiply": ("value", "when"),
            "factor": ("input",),
            "bands": ("input", "bands"),
            "choices": ("input", "choices"),
            "table": ("input", "points"),
            "formula": ("formula", "inputs"),
            "declared": ("input",),
        }[self.op]
        for key in needs:
            if getattr(self, key) in (None, ()):
                raise KeyFault("op", f"{self.op} needs {key}. Give it")
        operands = {"base", "coefficient", "value", "bands", "choices", "points", "formula", "input", "inputs"}
        for key in sorted(operands - set(needs)):
            if getattr(self, key) not in (None, ()):
                raise KeyFault(key, f"{self.op} does not read {key}. Remove it, or correct op")
        return self

    @model_validator(mode="after")
    def _tables_are_whole(self) -> Self:
        for index, what in holes_and_overlaps(self.bands):
            raise KeyFault("bands", f"band {index + 1} {what}. Correct the bounds")
        for before, after in zip(self.points, self.points[1:], strict=False):
            if after[0] <= before[0]:
                raise KeyFault(
                    "points", f"{after[0]} does not follow {before[0]}. Order the points by input, each once"
                )
        if len({one.choice for one in self.choices}) < len(self.choices):
            raise KeyFault("choices", "a choice is listed twice. Remove one")
        return self

    @property
    def asks(self) -> tuple[str, ...]:
        """The facts it reads, conditions first."""
        conditions = [one.fact for one in (*self.when, *self.valid_when)]
        return tuple(dict.fromkeys([*conditions, *([self.input] if self.input else []), *self.inputs]))
