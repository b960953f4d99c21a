"""Factors to standard coal as rows (GB/T 2589)."""

from __future__ import annotations

from datetime import date
from typing import Literal, Self

from pydantic import model_validator

from models.law.rows import Amount, Cited, Dated, KeyFault, RowId, Text, UnitName


class Factor(Dated):
    """What one unit of a fuel, of power or of a medium counts as, in kgce. A fact with a range only has no `kgce`."""

    standard: RowId
    name_zh: Text
    name_en: Text
    kind: Literal["electricity", "fuel", "heat", "medium", "material"]
    basis: Literal["equivalent", "equal_value"] | None = None
    """Of electricity and heat: 当量 (its own energy) or 等价 (the fuel it took)."""
    unit: UnitName
    kgce: Amount | None = None
    kgce_min: Amount | None = None
    kgce_max: Amount | None = None
    kj: Amount | None = None
    formula: RowId | None = None
    """The named function of models/law/conversion.py, where the factor depends on a fact."""
    historical: bool = False
    """Not to be used for a period: kept for reading old documents."""

    @model_validator(mode="after")
    def _has_a_value(self) -> Self:
        if self.kgce is None and self.formula is None and (self.kgce_min is None or self.kgce_max is None):
            raise KeyFault("kgce", "no factor. Give kgce, or kgce_min and kgce_max, or a formula")
        if self.kgce_min is not None and self.kgce_max is not None and self.kgce_min > self.kgce_max:
            raise KeyFault("kgce_min", "kgce_min is above kgce_max. Correct one of them")
        if (self.kind == "electricity") != (self.basis is not None) and self.kind != "heat":
            raise KeyFault("basis", "electricity is counted as equivalent or as equal_value. Say which")
        return self

    def in_use(self, on: date) -> bool:
        """Whether it may be used for a day's energy: the table's own date does not end the use of older values."""
        return not self.historical and (self.effective_to is None or on <= self.effective_to)


class FactorPolicy(Cited):
    """A general reading of the conversion standard: which value comes first, what counts, what is subtracted."""

    standard: RowId
    text_zh: Text
    text_en: Text
    order: tuple[Text, ...] = ()
    kj_per_kgce: Amount | None = None
