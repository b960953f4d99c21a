"""Standards and their limits as rows."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Final, Literal, Self

from pydantic import model_validator

from models.law.conditions import Condition
from models.law.rows import Cited, Confidence, Dated, Day, Exact, KeyFault, Region, Row, RowId, Text, UnitName

LevelName = Literal["level1", "level2", "level3"]
LEVELS: Final[tuple[LevelName, ...]] = ("level1", "level2", "level3")
"""1级 先进值 advanced, 2级 准入值 entry (new or rebuilt plant), 3级 限定值 limit (existing plant). Lower is better."""


class Standard(Dated):
    """A version of a standard. `id` is its number, such as `GB 21256-2025`."""

    title_zh: Text
    issued: Day | None = None
    supersedes: tuple[RowId, ...] = ()
    supersedes_unlisted: tuple[RowId, ...] = ()
    """Replaced versions the packs have no row of."""
    industry: RowId | None = None
    values_here: bool
    """Whether limits of it are in the packs; if not, the answer is "in force, values not in the library"."""
    dates_confidence: Confidence | None = None
    """Where the dates are less sure than the rest."""

    @property
    def family(self) -> str:
        """The number without its year: `GB 21256`."""
        return self.id.rsplit("-", 1)[0]


class LevelConfidence(Row):
    """Confidence of single levels, where it differs from the row's."""

    level1: Confidence | None = None
    level2: Confidence | None = None
    level3: Confidence | None = None


class Limit(Cited):
    """One metric of one product under one standard: up to three levels. A level that is absent is absent, not zero."""

    standard: RowId
    region: Region = "CN"
    industry: RowId
    product: RowId
    product_zh: Text
    metric: RowId
    metric_zh: Text
    unit: UnitName
    scheme: Literal["grade123", "advanced-access-limit"]
    level1: Exact | None = None
    level2: Exact | None = None
    level3: Exact | None = None
    missing_levels: tuple[LevelName, ...] = ()
    missing_because: Literal["dash", "not_found", "unstated"] | None = None
    """dash: the standard prints none. not_found: it has one, not read. unstated: the source does not say."""
    level_confidence: LevelConfidence = LevelConfidence()
    clause: Text | None = None
    when: tuple[Condition, ...] = ()
    exempt_when: tuple[Condition, ...] = ()
    applies_when: Text | None = None
    """The condition in words; `when` is the same for the machine."""
    corrections: tuple[RowId, ...] = ()
    """In the order they are applied."""
    over_national: Literal["stricter", "always"] | None = None
    """A local limit: takes the national one's place where it is stricter, or always."""

    @model_validator(mode="after")
    def _levels_are_given_or_named_missing(self) -> Self:
        for level in LEVELS:
            given = getattr(self, level) is not None
            if given and level in self.missing_levels:
                raise KeyFault("missing_levels", f"{level} has a value and is named missing. Remove one of the two")
            if not given and level not in self.missing_levels:
                raise KeyFault("missing_levels", f"{level} has no value. Give it, or name it in missing_levels")
        if len(self.missing_levels) == len(LEVELS):
            raise KeyFault("missing_levels", "a limit without any level. Give at least one")
        if bool(self.missing_levels) != (self.missing_because is not None):
            raise KeyFault("missing_because", "missing_because goes with missing_levels. Give both or neither")
        if (self.region == "CN") == (self.over_national is not None):
            raise KeyFault(
                "over_national", "a local limit says how it stands to the national one. Say stricter or always"
            )
        return self

    def levels(self) -> Iterator[tuple[LevelName, Decimal | None]]:
        """Each level and its published value, None where the standard has none."""
        for level in LEVELS:
            yield level, getattr(self, level)

    def confidence_of(self, level: LevelName) -> Confidence:
        """How sure the value of a level is."""
        own: Confidence | None = getattr(self.level_confidence, level)
        return own or self.confidence
