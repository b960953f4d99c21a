"""Energy to standard coal: factors, units, what is measured, what is recovered, what is not to be used."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from models.law.conversion import ConversionError, EnergyItem, electricity_kwh, to_standard_coal
from models.law.factor_rows import Factor
from models.law.library import shipped_law
from models.law.units import UNITS, UnitMismatchError, factor_between

ON = date(2025, 12, 31)


def item(factor: str, quantity: str, unit: str, **more: Any) -> EnergyItem:
    return EnergyItem(factor, Decimal(quantity), unit, **more)


def test_items_are_converted_and_added_with_a_line_each() -> None:
    items = [
        item("raw-coal", "10", "t"),
        item("electricity-equivalent", "2", "万kWh"),
        item("blast-furnace-gas", "1000", "m3", recovered=True),
    ]
    found = to_standard_coal(shipped_law(), items, {}, on=ON)
    assert found.total_kgce == Decimal("7143.0") + Decimal(2458) - Decimal("128.6")
    assert [step.formula for step in found.steps] == [
        "10 t × 714.30 = 7143.00",
        "2 万kWh × 1229.00 = 2458.00",
        "1000 m3 × 0.1286 = 128.60",
        "7143.00 + 2458.00 - 128.60 = 9472.40",
    ]
    assert {step.citation.confidence for step in found.steps if step.citation} == {"V"}


def test_the_result_may_be_negative() -> None:
    found = to_standard_coal(shipped_law(), [item("steam-low-pressure", "5", "t", recovered=True)], {}, on=ON)
    assert found.total_kgce == Decimal(-643)


def test_a_measured_value_comes_before_the_table_and_needs_its_source() -> None:
    measured = item("raw-coal", "1", "t", kj_per_unit=Decimal(29307000), value_source="laboratory")
    assert to_standard_coal(shipped_law(), [measured], {}, on=ON).total_kgce == 1000
    with pytest.raises(ConversionError, match="without value_source"):
        to_standard_coal(shipped_law(), [item("raw-coal", "1", "t", kgce_per_unit=Decimal(700))], {}, on=ON)


def test_a_factor_with_a_range_only_asks_for_the_measured_value() -> None:
    found = to_standard_coal(shipped_law(), [item("coal-slime", "1", "t")], {}, on=ON)
    assert (found.total_kgce, [one.key for one in found.missing]) == (None, ["coal-slime.kgce_per_unit"])


def test_an_unverified_factor_is_told() -> None:
    assert to_standard_coal(shipped_law(), [item("converter-gas", "1", "m3")], {}, on=ON).unverified == (
        "converter-gas",
    )


def test_the_reductant_of_phosphorus_counts_by_its_fixed_carbon() -> None:
    one = item("carbon-reductant-yellow-phosphorus", "2", "t")
    facts: dict[str, Any] = {"fixed_carbon_fraction": Decimal("0.8")}
    assert to_standard_coal(shipped_law(), [one], facts, on=ON).total_kgce == Decimal("1850.24")
    assert to_standard_coal(shipped_law(), [one], {}, on=ON).missing[0].key == "fixed_carbon_fraction"


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        pytest.param(item("electricity", "1", "kWh"), "no factor 'electricity'", id="electricity_must_say_which_value"),
        pytest.param(item("electricity-equal-value-fixed", "1", "kWh"), "historical only", id="a_former_value"),
        pytest.param(item("natural-gas", "1", "t"), "t is no unit for m3", id="a_unit_of_another_kind"),
    ],
)
def test_what_cannot_be_meant_is_refused(bad: EnergyItem, words: str) -> None:
    with pytest.raises(ConversionError, match=words):
        to_standard_coal(shipped_law(), [bad], {}, on=ON)


def test_an_electricity_metric_counts_electricity_only() -> None:
    items = [item("electricity-equivalent", "1", "MWh"), item("electricity-equivalent", "100", "kWh", recovered=True)]
    assert electricity_kwh(items) == 900
    with pytest.raises(ConversionError, match="electricity only"):
        electricity_kwh([item("raw-coal", "1", "t")])


@pytest.mark.parametrize("name", sorted(UNITS))
def test_units_convert_there_and_back_within_their_kind_only(name: str) -> None:
    for other, unit in UNITS.items():
        if unit.kind == UNITS[name].kind:
            assert factor_between(name, other) * factor_between(other, name) == 1
        else:
            with pytest.raises(UnitMismatchError):
                factor_between(name, other)


def test_every_factor_can_be_used_or_says_why_not() -> None:
    for factor in shipped_law().table(Factor).values():
        one = item(factor.id, "1", factor.unit)
        facts = {"fixed_carbon_fraction": Decimal("0.8")}
        if factor.historical:
            with pytest.raises(ConversionError):
                to_standard_coal(shipped_law(), [one], facts, on=ON)
        else:
            found = to_standard_coal(shipped_law(), [one], facts, on=ON)
            assert (found.total_kgce is None) == bool(found.missing)
