"""What every row of a rule pack shares: exact numbers, dates, a source, a confidence; and how a row is named."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, StringConstraints, model_validator

from models.law.faults import nearest
from models.law.units import UNITS

Confidence = Literal["V", "M", "S"]
"""V: read in a stored page or file. M: from memory, shown, never enforced. S: read in a machine-made summary only."""

SourceGrade = Literal["A", "B", "C", "D"]
"""A: the official text. B: a reviewed transcription. C: another page or reprint. D: memory."""

_LEAST_POWER: Final = -15
_GREATEST_POWER: Final = 18

REGION_FORM: Final = re.compile(r"[A-Z]{2}(-[A-Z0-9]+)*")


class KeyFault(ValueError):  # noqa: N818 — a fault of the data, told with its key
    """A fault found by looking at a whole row, told at the key it concerns. Text: the problem, ". ", the remedy."""

    def __init__(self, key: str, text: str) -> None:
        self.key = key
        super().__init__(text)


def _fixed(value: Any) -> Any:
    return tuple(_fixed(part) for part in value) if isinstance(value, list) else value


def _exact(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        raise ValueError("not a number. Write it without quotes, such as 0.05")  # noqa: TRY004 — pydantic reads ValueError
    number = Decimal(value)
    if not number.is_finite():
        raise ValueError("not a finite number. Leave the key out where the value is unknown")
    if number and not (_LEAST_POWER <= number.adjusted() <= _GREATEST_POWER and len(number.as_tuple().digits) <= 30):
        raise ValueError("no figure of this kind is so large, so small or so long. Check its digits")
    return number


def _not_negative(value: Decimal) -> Decimal:
    if value < 0:
        raise ValueError(f"{value} is negative. A surcharge, share or quantity here is zero or more")
    return value


def _day(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise ValueError(f"{value!r} is not a date. Write it as 2026-07-01") from None
    if isinstance(value, datetime) or not isinstance(value, date):
        raise ValueError("not a date. Write it as 2026-07-01")  # noqa: TRY004 — pydantic reads ValueError
    return value


def _unit(value: str) -> str:
    if value not in UNITS:
        raise ValueError(f"unknown unit {value!r}. {nearest(value, UNITS)}")
    return value


def _region(value: str) -> str:
    if REGION_FORM.fullmatch(value) is None:
        raise ValueError(f"{value!r} is not a region code. Write CN, or a province such as CN-GX")
    return value


def _said(value: str) -> str:
    if not value.strip():
        raise ValueError("empty. Name the page, notice or file the value was read in")
    return value


Exact = Annotated[Decimal, BeforeValidator(_exact)]
"""A number as written: TOML's digits as a Decimal, never through a binary float."""

Amount = Annotated[Decimal, BeforeValidator(_exact), AfterValidator(_not_negative)]
"""An exact number that cannot be below zero: a surcharge, a share, a multiplier."""

Day = Annotated[date, BeforeValidator(_day)]
"""A calendar day in the law's own zone; a TOML date or the same in quotes."""

UnitName = Annotated[str, AfterValidator(_unit)]
Region = Annotated[str, AfterValidator(_region)]
Citation = Annotated[str, AfterValidator(_said)]
RowId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._/-]{0,127}$")]
Text = Annotated[str, StringConstraints(min_length=1)]


class Row(BaseModel):
    """A table of a pack: frozen, strict, no unknown keys."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _lists_become_tuples(cls, value: Any) -> Any:
        """TOML has arrays only; the rows hold tuples, which cannot change."""
        return {key: _fixed(part) for key, part in value.items()} if isinstance(value, Mapping) else value


class Identified(Row):
    """A row of a section: `id` is unique among the rows of that section, over all packs."""

    id: RowId
    replaces: RowId | None = None
    """The row of another pack that this one takes the place of; it must exist."""


class Named(Identified):
    """A word of the packs' vocabulary, in both languages."""

    name_zh: Text
    name_en: Text


class Cited(Identified):
    """A row that states something about the world: it has a source and a confidence, always."""

    source: Citation
    confidence: Confidence
    source_grade: SourceGrade | None = None
    note: Text | None = None

    @property
    def enforceable(self) -> bool:
        """Whether a verdict may rest on it: what is not verified is shown, never enforced."""
        return self.confidence == "V"


class Dated(Cited):
    """A cited row in force over whole days, both ends included; an open end has no date."""

    effective_from: Day | None = None
    effective_to: Day | None = None
    effective_to_unknown: bool = False

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Self:
        if (
            self.effective_from is not None
            and self.effective_to is not None
            and self.effective_from > self.effective_to
        ):
            raise KeyFault(
                "effective_from",
                f"effective_from {self.effective_from} is after effective_to {self.effective_to}. Correct one of them",
            )
        if self.effective_to is not None and self.effective_to_unknown:
            raise KeyFault("effective_to", "effective_to is given and said to be unknown. Keep one")
        return self

    def in_force(self, on: date) -> bool:
        """Whether it is known to be in force on a day. An unknown beginning or end is not known to include it."""
        if self.effective_from is None or on < self.effective_from:
            return False
        return self.effective_to is None or on <= self.effective_to


def overlap(one: Dated, other: Dated) -> bool:
    """Whether two rows share a day in force; unknown beginnings and ends are not known to share one."""
    if one.effective_from is None or other.effective_from is None:
        return False
    first, second = sorted((one, other), key=lambda row: row.effective_from or date.min)
    if first.effective_to_unknown:
        return False
    return first.effective_to is None or (second.effective_from or date.max) <= first.effective_to
