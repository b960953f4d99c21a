"""The corrections that are not a straight line: small named functions over Decimal, each step told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Final, Literal

from models.law.numbers import shown, signed

SEA_LEVEL_PA: Final = Decimal(101325)
KGCE_PER_KWH: Final = Decimal("0.1229")


@dataclass(frozen=True, slots=True)
class Worked:
    """What a formula gives: the new value, and each line of arithmetic with its result, in the order to key it in."""

    value: Decimal
    lines: tuple[tuple[str, Decimal], ...]


@dataclass(frozen=True, slots=True)
class Formula:
    """A named function. `target`: whether it changes the limit or the actual figure."""

    target: Literal["limit", "actual"]
    work: Callable[[Decimal, Mapping[str, Decimal]], Worked]


def altitude_2021(limit: Decimal, facts: Mapping[str, Decimal]) -> Worked:
    """GB 16780-2021: limit * K with K = 1.179 - 0.211 P / 101325, P the site pressure in Pa."""
    pressure = facts["pressure_pa"]
    factor = Decimal("1.179") - Decimal("0.211") * pressure / SEA_LEVEL_PA
    value = limit * factor
    return Worked(
        value,
        (
            (f"K = 1.179 - 0.211 × {shown(pressure)} / 101325 = {shown(factor)}", factor),
            (f"{shown(limit)} × {shown(factor)} = {shown(value)}", value),
        ),
    )


def altitude_2012(actual: Decimal, facts: Mapping[str, Decimal]) -> Worked:
    """GB 16780-2012, from memory: consumption * K with K = sqrt(P / P0)."""
    pressure = facts["pressure_pa"]
    factor = (pressure / SEA_LEVEL_PA).sqrt()
    value = actual * factor
    return Worked(
        value,
        (
            (f"K = √({shown(pressure)} / 101325) = {shown(factor)}", factor),
            (f"{shown(actual)} × {shown(factor)} = {shown(value)}", value),
        ),
    )


def phosphorus_furnace_power(actual: Decimal, facts: Mapping[str, Decimal]) -> Worked:
    """GB 21345-2024 6.2.2: the furnace power a lean charge needs, per tonne, is taken off in standard coal.

    EPL = {QL - [170000/(N1-0.5) + (7750/(N1-8) - 76) N2 + (3200/(N1-3.5) + 8) N3 - 7234] PP} * 0.1229, with N1, N2,
    N3 the percentages of P2O5, Fe2O3 and CO2 in the charge. Divided by the product PP, the actual figure falls by
    0.1229 times the bracket. Raises ArithmeticError for N1 = 0.5, 3.5 or 8, which no charge has.
    """
    n1, n2, n3 = facts["charge_p2o5_pct"], facts["charge_fe2o3_pct"], facts["charge_co2_pct"]
    first = 170000 / (n1 - Decimal("0.5"))
    second = (7750 / (n1 - 8) - 76) * n2
    third = (3200 / (n1 - Decimal("3.5")) + 8) * n3
    allowed = first + second + third - 7234
    value = actual - allowed * KGCE_PER_KWH
    return Worked(
        value,
        (
            (f"170000 / ({shown(n1)} - 0.5) = {shown(first)}", first),
            (f"(7750 / ({shown(n1)} - 8) - 76) × {shown(n2)} = {shown(second)}", second),
            (f"(3200 / ({shown(n1)} - 3.5) + 8) × {shown(n3)} = {shown(third)}", third),
            (f"{shown(first)} {signed(second)} {signed(third)} - 7234 = {shown(allowed)}", allowed),
            (f"{shown(actual)} {signed(-allowed)} × 0.1229 = {shown(value)}", value),
        ),
    )


def mining_conditions(actual: Decimal, facts: Mapping[str, Decimal]) -> Worked:
    """GB 29445-2025 appendix B: energy * (1 + k1 + ... + k5): conditions, haulage, gas, water, capacity."""
    names = ("mining_k1", "mining_k2", "mining_k3", "mining_k4", "mining_k5")
    factor = 1 + sum((facts[name] for name in names), Decimal(0))
    value = actual * factor
    terms = " + ".join(shown(facts[name]) for name in names).replace("+ -", "- ")
    return Worked(
        value,
        (
            (f"1 + {terms} = {shown(factor)}", factor),
            (f"{shown(actual)} × {shown(factor)} = {shown(value)}", value),
        ),
    )


def phosphorus_reductant(facts: Mapping[str, Decimal]) -> Worked:
    """GB 21345-2024: kgce per tonne of carbon reductant = fixed carbon * 1000 * 1.1564."""
    carbon = facts["fixed_carbon_fraction"]
    value = carbon * 1000 * Decimal("1.1564")
    return Worked(value, ((f"{shown(carbon)} × 1000 × 1.1564 = {shown(value)}", value),))


FORMULAS: Final[Mapping[str, Formula]] = MappingProxyType(
    {
        "gb16780-2021-altitude": Formula("limit", altitude_2021),
        "gb16780-2012-altitude": Formula("actual", altitude_2012),
        "gb21345-2024-furnace-power": Formula("actual", phosphorus_furnace_power),
        "gb29445-2025-mining-conditions": Formula("actual", mining_conditions),
    }
)

FACTOR_FORMULAS: Final[Mapping[str, Callable[[Mapping[str, Decimal]], Worked]]] = MappingProxyType(
    {
        "gb21345-2024-carbon-reductant": phosphorus_reductant,
    }
)
