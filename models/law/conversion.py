"""Energy to standard coal by GB/T 2589: each item with its factor, citation and line of arithmetic; nothing guessed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, localcontext

from models.law.conditions import Facts
from models.law.factor_rows import Factor, FactorPolicy
from models.law.faults import nearest
from models.law.formulas import FACTOR_FORMULAS
from models.law.library import Law
from models.law.numbers import PRECISION, shown, signed
from models.law.steps import Citation, Missing, Step, cite_row
from models.law.units import UnitMismatchError, factor_between


@dataclass(frozen=True, slots=True)
class EnergyItem:
    """A quantity of fuel, power, heat or medium. `factor`: id of a Factor row.

    `kgce_per_unit` or `kj_per_unit`: the measured or supplier's value per `unit`, which comes before the table;
    `value_source` says whose it is. `recovered`: it left the boundary and is taken off with the same factor.
    """

    factor: str
    quantity: Decimal
    unit: str
    kgce_per_unit: Decimal | None = None
    kj_per_unit: Decimal | None = None
    value_source: str = ""
    recovered: bool = False


@dataclass(frozen=True, slots=True)
class Converted:
    """Standard coal of several items. `total_kgce`: None while one is missing; `unverified`: factors of M or S."""

    total_kgce: Decimal | None
    steps: tuple[Step, ...]
    missing: tuple[Missing, ...]
    unverified: tuple[str, ...]
    notes: tuple[str, ...]


class ConversionError(ValueError):
    """An item that cannot be meant: an unknown factor, a unit of another kind, a value without its source."""


def to_standard_coal(law: Law, items: Sequence[EnergyItem], facts: Facts, *, on: date) -> Converted:
    """Convert and add up. `on`: the last day of the period. Raises ConversionError for what cannot be meant."""
    factors = law.table(Factor)
    steps: list[Step] = []
    missing: list[Missing] = []
    unverified: list[str] = []
    notes: list[str] = []
    total = Decimal(0)
    with localcontext(PRECISION):
        for item in items:
            row = factors.get(item.factor)
            if row is None:
                raise ConversionError(f"没有系数 / no factor {item.factor!r}. {nearest(item.factor, factors)}")
            if not row.in_use(on):
                raise ConversionError(f"{row.id}: 仅供历史参考 / historical only. {row.note or ''}".strip())
            value = _value(law, item, row, facts, missing, unverified, steps)
            if value is None:
                continue
            per_unit, cited = value
            kgce = item.quantity * per_unit
            total += -kgce if item.recovered else kgce
            formula = f"{shown(item.quantity)} {item.unit} × {shown(per_unit)} = {shown(kgce)}"
            label = ("（回收，扣除）", " (recovered, taken off)") if item.recovered else ("", "")
            steps.append(Step(row.name_zh + label[0], row.name_en + label[1], formula, kgce, "kgce", cited))
            if row.note is not None:
                notes.append(f"{row.id}: {row.note}")
        signs = [-step.result if item.recovered else step.result for item, step in _paired(items, steps)]
        if len(signs) > 1 and not missing:
            terms = shown(signs[0]) + "".join(f" {signed(one)}" for one in signs[1:])
            steps.append(Step("合计", "total", f"{terms} = {shown(total)}", total, "kgce"))
    return Converted(None if missing else total, tuple(steps), tuple(missing), tuple(unverified), tuple(notes))


def _paired(items: Sequence[EnergyItem], steps: Sequence[Step]) -> list[tuple[EnergyItem, Step]]:
    counted = [step for step in steps if step.unit == "kgce"]
    return list(zip(items, counted, strict=False))


def electricity_kwh(items: Sequence[EnergyItem]) -> Decimal:
    """The electricity among the items in kWh, recovered power taken off. Raises ConversionError for other items."""
    total = Decimal(0)
    for item in items:
        if not item.factor.startswith("electricity"):
            raise ConversionError(f"{item.factor}: 电耗指标只计电量 / an electricity metric counts electricity only")
        kwh = item.quantity * _factor_between(item.unit, "kWh", item.factor)
        total += -kwh if item.recovered else kwh
    return total


def _value(
    law: Law,
    item: EnergyItem,
    row: Factor,
    facts: Facts,
    missing: list[Missing],
    unverified: list[str],
    steps: list[Step],
) -> tuple[Decimal, Citation] | None:
    """kgce per unit of the item, and what it rests on."""
    if item.kgce_per_unit is not None or item.kj_per_unit is not None:
        return _measured(law, item, row, steps)
    scale = _factor_between(item.unit, row.unit, row.id)
    if not row.enforceable:
        unverified.append(row.id)
    cited = cite_row(row.standard, row)
    if row.formula is not None:
        asked = "fixed_carbon_fraction"
        if asked not in facts:
            missing.append(
                Missing(asked, "固定碳含量", "fixed carbon of the reductant", "化验记录 / laboratory record")
            )
            return None
        worked = FACTOR_FORMULAS[row.formula]({name: v for name, v in facts.items() if isinstance(v, Decimal)})
        steps.extend(
            Step(row.name_zh, row.name_en, text, number, f"kgce/{row.unit}", cited) for text, number in worked.lines
        )
        return worked.value * scale, cited
    if row.kgce is None:
        what = f"{row.kgce_min} - {row.kgce_max} kgce/{row.unit}"
        missing.append(
            Missing(
                f"{row.id}.kgce_per_unit",
                f"{row.name_zh}的实测热值（{what}）",
                f"measured value of {row.name_en} ({what})",
                "化验或供方证明 / laboratory or supplier's certificate",
            )
        )
        return None
    return row.kgce * scale, cited


def _measured(law: Law, item: EnergyItem, row: Factor, steps: list[Step]) -> tuple[Decimal, Citation]:
    if not item.value_source.strip():
        raise ConversionError(f"{item.factor}: 实测值没有来源 / a measured value without value_source")
    if item.kgce_per_unit is not None:
        return item.kgce_per_unit, Citation("measured", "", item.value_source, "V")
    policy = next(row for row in law.table(FactorPolicy).values() if row.kj_per_kgce is not None)
    kj, per_kgce = item.kj_per_unit or Decimal(0), policy.kj_per_kgce or Decimal(1)
    value = kj / per_kgce
    cited = Citation("measured", f"{shown(per_kgce)} kJ/kgce", item.value_source, "V")
    formula = f"{shown(kj)} / {shown(per_kgce)} = {shown(value)}"
    unit = f"kgce/{item.unit}"
    steps.append(Step(f"{row.name_zh}实测热值折标", f"{row.name_en} as measured", formula, value, unit, cited))
    return value, cited


def _factor_between(found: str, wanted: str, what: str) -> Decimal:
    try:
        return factor_between(found, wanted)
    except UnitMismatchError as error:
        raise ConversionError(f"{what}: {error}") from error
