"""The words rows are written in: regions, industries, metrics, and the named facts conditions and corrections ask."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from models.law.rows import Exact, KeyFault, Named, Region, RowId, Text, UnitName


class RegionName(Named):
    """A region. `id` is its code; `parent` the region around it, none for the country."""

    parent: Region | None = None


class Industry(Named):
    """An industry the limits speak of, such as `cement`."""


class Metric(Named):
    """What a limit measures, whatever the standard's edition calls it; the edition's own words are in the limit."""


class FactName(Named):
    """A named input of a condition or a correction, as a facts file gives it. `ask`: what to ask for when missing."""

    kind: Literal["number", "choice", "yes_no"]
    unit: UnitName | None = None
    min: Exact | None = None
    max: Exact | None = None
    choices: tuple[Text, ...] = ()
    ask: Text

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        if self.kind == "number" and self.unit is None:
            raise KeyFault("kind", f"number {self.id} has no unit. Name one")
        if (self.kind == "choice") != bool(self.choices):
            raise KeyFault(
                "choices", "choices belong to a fact of kind choice, and it needs them. Correct kind or choices"
            )
        if self.min is not None and self.max is not None and self.min > self.max:
            raise KeyFault("min", "min is above max. Correct one of them")
        return self


def region_chain(code: str) -> tuple[RowId, ...]:
    """The region itself, then each around it: `CN-GD-PRD`, `CN-GD`, `CN`."""
    parts = code.split("-")
    return tuple("-".join(parts[:count]) for count in range(len(parts), 0, -1))
