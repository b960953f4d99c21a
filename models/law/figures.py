"""The actual figure of a metric in the limit's unit: as given, or from energy and output, each line kept."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from models.law.case import Case, Measured
from models.law.conversion import ConversionError, EnergyItem, electricity_kwh, to_standard_coal
from models.law.library import Law
from models.law.limit_rows import Limit
from models.law.numbers import shown
from models.law.steps import Missing, Step
from models.law.units import UNITS, UnitMismatchError, factor_between


@dataclass(frozen=True, slots=True)
class Figure:
    """The actual figure in the limit's unit and how it came about; None where something is missing.

    `unverified`: conversion factors it rests on that are not verified.
    """

    value: Decimal | None
    steps: tuple[Step, ...] = ()
    missing: tuple[Missing, ...] = ()
    unverified: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def figure_of(law: Law, limit: Limit, case: Case, measured: Measured) -> Figure:
    """The figure of one metric of a case. Raises ConversionError for energy that cannot be meant."""
    if measured.actual is not None:
        return _given_figure(limit, measured.actual, str(measured.unit))
    items = [EnergyItem(**one.model_dump()) for one in measured.energy]
    output, output_unit = measured.output or Decimal(1), str(measured.output_unit)
    if UNITS[limit.unit].kind == "electricity per mass":
        kwh = electricity_kwh(items)
        return _per_output("电耗", "electricity per output", kwh, "kWh", output, output_unit, limit.unit)
    converted = to_standard_coal(law, items, case.given, on=case.period_to)
    if converted.total_kgce is None:
        return Figure(None, converted.steps, converted.missing, converted.unverified, converted.notes)
    figure = _per_output("能耗", "energy per output", converted.total_kgce, "kgce", output, output_unit, limit.unit)
    return replace(
        figure, steps=(*converted.steps, *figure.steps), unverified=converted.unverified, notes=converted.notes
    )


def _given_figure(limit: Limit, actual: Decimal, unit: str) -> Figure:
    try:
        scale = factor_between(unit, limit.unit)
    except UnitMismatchError as error:
        what = Missing("unit", str(error).split(" / ", maxsplit=1)[0], str(error).split(" / ", maxsplit=1)[-1], "case")
        return Figure(None, missing=(what,))
    if scale == 1:
        return Figure(actual)
    value = actual * scale
    formula = f"{shown(actual)} {unit} × {shown(scale)} = {shown(value)}"
    return Figure(value, (Step("单位换算", "to the unit of the limit", formula, value, limit.unit),))


def _per_output(zh: str, en: str, used: Decimal, unit: str, output: Decimal, output_unit: str, wanted: str) -> Figure:
    numerator, denominator = wanted.split("/")
    try:
        over = factor_between(output_unit, denominator)
        up = factor_between(unit, numerator) if numerator in UNITS else None
    except UnitMismatchError as error:
        raise ConversionError(str(error)) from error
    if up is None:
        raise ConversionError(f"{wanted}: 请直接给出实际值 / give the actual figure itself for this metric")
    value = used * up / (output * over)
    formula = f"{shown(used * up)} {numerator} / {shown(output * over)} {denominator} = {shown(value)}"
    return Figure(value, (Step(zh, en, formula, value, wanted),))
