"""What a melting process can physically need: electricity per tonne, as the references give it."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from models.law.rows import Cited, Exact, KeyFault, Text, UnitName

ProcessMaterial = Literal["cast_iron", "ductile_iron", "steel", "aluminium", "copper"]


class ProcessRange(Cited):
    """Electricity per tonne melted. `floor`: the heat the metal takes, less is impossible; `low` to `high`: practice.

    `furnace_kinds` are those of the register; `note` says what the figure leaves out.
    """

    process_zh: Text
    process_en: Text
    material: ProcessMaterial
    furnace_kinds: tuple[Text, ...]
    unit: UnitName
    floor: Exact | None = None
    low: Exact
    high: Exact

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not (self.floor or 0) <= self.low < self.high:
            raise KeyFault("low", "floor, low and high are not in order. Correct one of them")
        return self
