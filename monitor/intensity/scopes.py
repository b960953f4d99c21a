"""What each metric of the packs counts: electricity, fuels or both, of the whole plant or of one process in it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from models.law.library import Law
from models.law.limit_rows import Limit
from models.law.units import UNITS


class Counts(StrEnum):
    """Which energy goes into a metric."""

    ELECTRICITY = "electricity"
    FUELS = "fuels"
    ALL = "all"
    COKE = "coke"


_FUELS_ONLY: Final = frozenset(
    {"comprehensive_coal", "comparable_clinker_coal", "power_supply_coal_rate", "heat_supply_coal_rate"}
)
_PROCESS: Final = frozenset(
    {
        "furnace_electricity",
        "smelting_electricity",
        "liquid_ac_electricity",
        "liquid_comprehensive_ac_electricity",
        "electrolysis_ac_electricity",
        "preparation_electricity",
        "technological_energy",
    }
)
"""Metrics of one process. Electricity metered for the whole plant bounds them from above and proves no excess."""


def counts_of(metric: str, unit: str) -> Counts:
    """Which energy a metric of a unit counts."""
    if metric == "coke_consumption":
        return Counts.COKE
    if metric in _FUELS_ONLY:
        return Counts.FUELS
    return Counts.ELECTRICITY if UNITS[unit].kind == "electricity per mass" else Counts.ALL


def is_process(metric: str) -> bool:
    """Whether a metric is about one process only."""
    return metric in _PROCESS


class Catalogue:
    """The packs' products by the names people use: the id, or the Chinese name where only one product has it."""

    def __init__(self, law: Law) -> None:
        self.law = law
        self._industry: dict[str, str] = {}
        self._names: dict[str, str] = {}
        found: dict[str, set[str]] = {}
        for limit in law.table(Limit).values():
            self._industry[limit.product] = limit.industry
            found.setdefault(limit.product_zh, set()).add(limit.product)
        self._names = {name: next(iter(ids)) for name, ids in found.items() if len(ids) == 1}
        self._limits: Mapping[str, tuple[Limit, ...]] = MappingProxyType(
            {product: limits for (_, product), limits in law.limits_by_product.items()}
        )

    def product(self, name: str) -> str:
        """The packs' id of a product; the name itself where the packs know none."""
        return name if name in self._industry else self._names.get(name, name)

    def industry(self, product: str) -> str | None:
        """The industry of a product of the packs; None where no limit is for it."""
        return self._industry.get(product)

    def limits(self, product: str) -> tuple[Limit, ...]:
        """Every limit of a product, of all versions."""
        return self._limits.get(product, ())
