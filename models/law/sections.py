"""Which arrays of tables a pack may hold, and the type of their rows. A new kind of fact is one line here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from models.law.correction_rows import Correction
from models.law.equipment_rows import CatalogueItem, FurnaceRule, FurnaceUse
from models.law.factor_rows import Factor, FactorPolicy
from models.law.limit_rows import Limit, Standard
from models.law.process_rows import ProcessRange
from models.law.rows import Identified
from models.law.tariff_rows import EdgePolicy, Precedence, TariffIndustry, TariffRule
from models.law.vocabulary import FactName, Industry, Metric, RegionName

SECTIONS: Final[Mapping[str, type[Identified]]] = MappingProxyType(
    {
        "region": RegionName,
        "industry": Industry,
        "tariff_industry": TariffIndustry,
        "metric": Metric,
        "fact": FactName,
        "standard": Standard,
        "limit": Limit,
        "correction": Correction,
        "factor": Factor,
        "factor_policy": FactorPolicy,
        "rule": TariffRule,
        "edge_policy": EdgePolicy,
        "precedence": Precedence,
        "furnace_rule": FurnaceRule,
        "furnace_use": FurnaceUse,
        "catalogue_item": CatalogueItem,
        "process_range": ProcessRange,
    }
)

Rows = Mapping[str, Mapping[str, Identified]]
"""All rows in use: by section, then by id, in the order of the packs."""
