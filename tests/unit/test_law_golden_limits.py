"""The worked limit checks B1 to B6, and the traps of the limits by name."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from models.law.verdict import LevelResult, LimitVerdict
from tests.support.law_cases import judged


def result_of(verdict: LimitVerdict, level: int) -> LevelResult:
    return verdict.levels[level - 1].result


def corrected(verdict: LimitVerdict, level: int) -> Decimal | None:
    return verdict.levels[level - 1].corrected


def test_b1_cement_with_80_percent_clinker_meets_level_3_not_2() -> None:
    verdict = judged(
        "cement", "96.0", "kgce/t", metric="comprehensive_energy", clinker_ratio_pct=80, altitude_m=300, on="2024-05-01"
    )
    assert [one.corrected for one in verdict.levels] == [Decimal("85.50"), Decimal("92.75"), Decimal("100.00")]
    assert (verdict.status, verdict.result, verdict.level) == ("meets", "meets level 3", 3)
    assert result_of(verdict, 2) == "exceeds"


def test_b2_clinker_at_2000_m_meets_level_3_by_the_factor_k() -> None:
    facts: dict[str, Any] = {"altitude_m": 2000, "pressure_pa": 79500}
    verdict = judged("clinker", "61.80", "kWh/t", metric="comprehensive_electricity", on="2024-05-01", **facts)
    assert round(corrected(verdict, 3) or 0, 3) == Decimal("61.820")
    assert corrected(verdict, 2) == 57
    assert any(step.formula.endswith("= 1.013449") for step in verdict.steps)
    assert (verdict.status, verdict.level) == ("meets", 3)
    low = judged("clinker", "61.80", "kWh/t", metric="comprehensive_electricity", on="2024-05-01", altitude_m=1500)
    assert low.status == "exceeds"


def test_b3_blast_furnace_of_lean_feed_exceeds_level_3() -> None:
    verdict = judged("blast_furnace", "424.40", "kgce/t", feed_grade_pct="59.4")
    assert verdict.corrected_limit == Decimal("424.386")
    assert (verdict.result, verdict.excess) == ("exceeds level 3", Decimal("0.014"))


def test_b4_converter_with_scrap_and_bearing_steel_meets_a_negative_limit() -> None:
    verdict = judged("converter", "-7.0", "kgce/t", scrap_ratio_pct=18, steel_grade="bearing_gear_hardwire_tool")
    assert verdict.corrected_limit == Decimal("-6.66")
    assert (verdict.status, verdict.level, verdict.excess_ratio) == ("meets", 3, None)


def test_b5_ferrochrome_of_rich_ore_exceeds_level_3() -> None:
    verdict = judged(
        "hc_ferrochrome", "3350", "kWh/t", metric="smelting_electricity", ore_grade_pct="42.5", cr_fe_ratio="2.4"
    )
    assert verdict.corrected_limit == Decimal(3300)
    assert verdict.result == "exceeds level 3"


def test_b6_arc_furnace_of_60_t_has_no_level_2() -> None:
    verdict = judged("eaf", "65", "kgce/t", plant="new", nominal_capacity_t=60)
    assert (verdict.status, result_of(verdict, 2)) == ("undetermined", "no_such_level")
    assert (verdict.limit, verdict.corrected_limit) == (None, None)
    assert "no such level" in verdict.reason_en
    existing = judged("eaf", "65", "kgce/t", nominal_capacity_t=60)
    assert (existing.status, existing.level, result_of(existing, 2)) == ("meets", 3, "no_such_level")


@pytest.mark.parametrize(("plant", "status", "level"), [("existing", "meets", 1), ("new", "exceeds", 1)])
def test_levels_that_do_not_rise_in_order_are_each_judged(plant: str, status: str, level: int) -> None:
    facts: dict[str, Any] = {"steam_class": "超临界", "unit_capacity_class_mw": 600, "influence_factor": 1}
    verdict = judged("coal_power_supply", "285.5", "gce/kWh", plant=plant, **facts)
    assert [one.result for one in verdict.levels] == ["meets", "exceeds", "meets"]
    assert (verdict.status, verdict.level) == (status, level)


def test_a_special_purpose_converter_is_not_assessed() -> None:
    verdict = judged("converter", "5", "kgce/t", special_purpose_converter=True)
    assert (verdict.status, verdict.corrected_limit) == ("undetermined", None)
    assert "exempt" in verdict.reason_en
    assert [one.document for one in verdict.citations] == ["GB 21256-2025"]


def test_an_unverified_limit_is_shown_as_a_preview_and_not_enforced() -> None:
    verdict = judged("sintering", "60", "kgce/t", on="2020-05-01")
    assert (verdict.status, verdict.preview, verdict.level) == ("undetermined", "exceeds", None)
    assert {one.result for one in verdict.levels} == {"unverified"}
    assert [one.key for one in verdict.missing] == ["level3 of gb21256-2013.sintering.process-energy"]


def test_a_level_of_its_own_confidence_is_judged_by_it() -> None:
    on = "2020-05-01"
    verdict = judged("electrolytic_aluminium", "13600", "kWh/t", metric="electrolysis_ac_electricity", on=on)
    assert [one.result for one in verdict.levels] == ["unverified", "unverified", "meets"]
    assert (verdict.status, verdict.level) == ("meets", 3)


@pytest.mark.parametrize(
    ("actual", "percent", "status"),
    [
        pytest.param("94.00", 1, "needs_review", id="at_the_limit_within_its_uncertainty"),
        pytest.param("94.90", 1, "needs_review", id="just_above_within_its_uncertainty"),
        pytest.param("95.00", 1, "exceeds", id="above_by_more_than_its_uncertainty"),
        pytest.param("93.00", 1, "meets", id="below_by_more_than_its_uncertainty"),
        pytest.param("94.00", 0, "meets", id="no_uncertainty_at_the_limit"),
    ],
)
def test_a_figure_within_its_uncertainty_of_the_limit_needs_review(actual: str, percent: int, status: str) -> None:
    verdict = judged(
        "cement",
        actual,
        "kgce/t",
        metric="comprehensive_energy",
        clinker_ratio_pct=75,
        altitude_m=10,
        measured={"uncertainty_pct": percent},
    )
    assert verdict.status == status


def test_uncertainty_follows_from_meter_class_and_coverage() -> None:
    verdict = judged("caustic_solid", "600", "kgce/t", measured={"meter_class": "0.5S", "coverage": Decimal("0.98")})
    assert verdict.uncertainty == Decimal(15)


def test_the_unit_is_converted_with_a_line_and_never_guessed() -> None:
    verdict = judged("tin", "2.2", "tce/t")
    assert (verdict.actual, verdict.status) == (Decimal(2200), "meets")
    assert verdict.steps[0].formula == "2.2 tce/t × 1000 = 2200.0"
    wrong = judged("tin", "2.2", "kWh/t")
    assert (wrong.status, [one.key for one in wrong.missing]) == ("needs_data", ["unit"])


def test_figures_for_a_new_plant_are_held_to_level_2() -> None:
    assert judged("copper_cathode", "231", "kgce/t", plant="new").result == "exceeds level 2"
    assert judged("copper_cathode", "231", "kgce/t").result == "meets level 3"
