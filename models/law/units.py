"""Units the packs and the facts may use, and the exact factors between those of one kind. Nothing is guessed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class Unit:
    """One unit. `kind`: only units of one kind convert; `scale`: how many of the kind's base unit it is."""

    kind: str
    scale: Decimal
    name_en: str


UNITS: Final[Mapping[str, Unit]] = MappingProxyType(
    {
        # energy of standard coal per product
        "kgce/t": Unit("standard coal per mass", Decimal(1), "kg of standard coal per tonne"),
        "tce/t": Unit("standard coal per mass", Decimal(1000), "tonnes of standard coal per tonne"),
        "kgce/kg": Unit("standard coal per mass", Decimal(1000), "kg of standard coal per kg"),
        "gce/kg": Unit("standard coal per mass", Decimal(1), "g of standard coal per kg"),
        "kgce/Adt": Unit("standard coal per air-dry tonne", Decimal(1), "kg of standard coal per air-dry tonne"),
        "tce/Adt": Unit("standard coal per air-dry tonne", Decimal(1000), "tonnes of standard coal per air-dry tonne"),
        "kgce/m2": Unit("standard coal per area", Decimal(1), "kg of standard coal per square metre"),
        "kgce/重量箱": Unit(
            "standard coal per weight case", Decimal(1), "kg of standard coal per weight case of glass"
        ),
        "kgce/GJ": Unit("standard coal per heat", Decimal(1), "kg of standard coal per GJ of heat"),
        "gce/kWh": Unit("standard coal per electricity", Decimal(1), "g of standard coal per kWh supplied"),
        "kgce/kWh": Unit("standard coal per electricity", Decimal(1000), "kg of standard coal per kWh supplied"),
        # electricity and material per product
        "kWh/t": Unit("electricity per mass", Decimal(1), "kWh per tonne"),
        "MWh/t": Unit("electricity per mass", Decimal(1000), "MWh per tonne"),
        "kWh/kg": Unit("electricity per mass", Decimal(1000), "kWh per kg"),
        "kg/t": Unit("mass per mass", Decimal(1), "kg per tonne"),
        "t/t": Unit("mass per mass", Decimal(1000), "tonnes per tonne"),
        # quantities
        "kg": Unit("mass", Decimal(1), "kilograms"),
        "t": Unit("mass", Decimal(1000), "tonnes"),
        "万t": Unit("mass", Decimal(10_000_000), "ten thousand tonnes"),
        "Adt": Unit("air-dry mass", Decimal(1), "air-dry tonnes"),
        "m2": Unit("area", Decimal(1), "square metres"),
        "m3": Unit("volume", Decimal(1), "cubic metres (normal conditions for a gas)"),
        "万m3": Unit("volume", Decimal(10_000), "ten thousand cubic metres"),
        "重量箱": Unit("weight case", Decimal(1), "weight cases of glass"),
        "MJ": Unit("heat", Decimal(1), "megajoules"),
        "GJ": Unit("heat", Decimal(1000), "gigajoules"),
        "kWh": Unit("electricity", Decimal(1), "kilowatt-hours"),
        "MWh": Unit("electricity", Decimal(1000), "megawatt-hours"),
        "万kWh": Unit("electricity", Decimal(10_000), "ten thousand kilowatt-hours"),
        "gce": Unit("standard coal", Decimal("0.001"), "grams of standard coal"),
        "kgce": Unit("standard coal", Decimal(1), "kg of standard coal"),
        "tce": Unit("standard coal", Decimal(1000), "tonnes of standard coal"),
        # inputs of corrections
        "%": Unit("percent", Decimal(1), "percent"),
        "share": Unit("share", Decimal(1), "share of one"),
        "ratio": Unit("ratio", Decimal(1), "ratio"),
        "m": Unit("height", Decimal(1), "metres"),
        "Pa": Unit("pressure", Decimal(1), "pascals"),
        "a": Unit("years", Decimal(1), "years"),
        "t/d": Unit("mass per day", Decimal(1), "tonnes per day"),
        "MW": Unit("power", Decimal(1), "megawatts"),
        "CNY/kWh": Unit("price of electricity", Decimal(1), "yuan per kilowatt-hour"),
    }
)


class UnitMismatchError(ValueError):
    """Two units that do not measure the same thing, or one that is not known; `found` and `wanted` name them."""

    def __init__(self, found: str, wanted: str) -> None:
        self.found = found
        self.wanted = wanted
        known = ", ".join(name for name, unit in UNITS.items() if unit.kind == UNITS[wanted].kind)
        super().__init__(f"单位 {found} 不能换算为 {wanted} / {found} is no unit for {wanted}; it may be: {known}")


def factor_between(found: str, wanted: str) -> Decimal:
    """What a number in `found` is multiplied by to be in `wanted`; raises UnitMismatchError."""
    one, other = UNITS.get(found), UNITS[wanted]
    if one is None or one.kind != other.kind:
        raise UnitMismatchError(found, wanted)
    return one.scale / other.scale


def quotient(numerator: str, denominator: str) -> str:
    """The unit of energy over output, such as `kgce/t`; raises ValueError where the packs know no such unit."""
    name = f"{numerator}/{denominator}"
    if name not in UNITS:
        raise ValueError(f"没有单位 / no such unit: {name}")
    return name
