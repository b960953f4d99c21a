"""Every correction of the packs has a case worked by hand."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from models.law.correction_rows import Correction
from models.law.corrections import correct
from models.law.library import shipped_law
from models.law.limit_rows import Limit
from models.law.vocabulary import FactName
from tests.support.law_cases import fact_value, judged, neutral

ONE = Decimal(1)
# correction: product's limit (a part of its id), facts, level, published value, value worked by hand
CASES: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "gb16780-2021-clinker-ratio": ("gb16780-2021.cement.", {"clinker_ratio_pct": 70}, "level2", "81.25"),
    "gb16780-2021-altitude": (
        "gb16780-2021.clinker.comprehensive-coal",
        {"altitude_m": 3000, "pressure_pa": 70000},
        "level3",
        "112.622226",  # K = 1.179 - 14770 / 101325 = 1.033231
    ),
    "gb16780-2012-clinker-strength": (
        "gb16780-2012.clinker.comparable-clinker-coal",
        {"comparable_basis": True},
        "level3",
        "112",
    ),
    "gb16780-2012-cement-strength": (
        "gb16780-2012.cement.comparable-cement-electricity",
        {"comparable_basis": True},
        "level3",
        "90",
    ),
    "gb21256-2025-ore-rare-earth": ("gb21256-2025.sintering", {"rare_earth_ore_pct": 20}, "level1", "46.00"),
    "gb21256-2025-ore-v-ti": ("gb21256-2025.sintering", {"v_ti_magnetite_pct": 20}, "level2", "50.0"),
    "gb21256-2025-ore-laterite": ("gb21256-2025.pelletizing", {"laterite_nickel_ore_pct": 10}, "level3", "45.0"),
    "gb21256-2025-bf-rare-earth": ("gb21256-2025.blast-furnace", {"rare_earth_ore_pct": 10}, "level3", "418.0"),
    "gb21256-2025-bf-v-ti": ("gb21256-2025.blast-furnace", {"v_ti_magnetite_pct": 10}, "level3", "419.50"),
    "gb21256-2025-bf-laterite": ("gb21256-2025.blast-furnace", {"laterite_nickel_ore_pct": 10}, "level1", "366.0"),
    "gb21256-2025-bf-feed-grade": ("gb21256-2025.blast-furnace", {"feed_grade_pct": 55}, "level3", "433.05"),
    "gb21256-2025-converter-scrap": ("gb21256-2025.converter", {"scrap_ratio_pct": 10}, "level2", "-25.70"),
    "gb21256-2025-converter-grade": (
        "gb21256-2025.converter",
        {"steel_grade": "deep_drawing_pipeline"},
        "level3",
        "-10.5",
    ),
    "gb21256-2025-eaf-stainless": ("eaf.process-energy.ge-70-t", {"all_stainless": True}, "level2", "70.40"),
    "gb21256-2025-eaf-hot-metal": ("eaf.process-energy.ge-70-t", {"hot_metal_ratio_pct": 30}, "level3", "48.0"),
    "gb21256-2025-eaf-grade": (
        "eaf.process-energy.ge-70-t",
        {"steel_grade": "bearing_gear_hardwire_tool"},
        "level1",
        "76",
    ),
    "gb21342-2025-top-fuel": ("coke-top-charging.unit-energy", {"mixed_gas_time_share": "0.5"}, "level1", "114.000"),
    "gb21342-2025-top-volatile": ("coke-top-charging.unit-energy", {"charge_volatile_pct": "24.5"}, "level3", "141.40"),
    "gb21342-2025-top-moisture": ("coke-top-charging.unit-energy", {"charge_moisture_pct": 12}, "level2", "117.34"),
    "gb21342-2025-stamp-fuel": ("coke-stamp-charging.unit-energy", {"mixed_gas_time_share": 1}, "level3", "152.00"),
    "gb21342-2025-stamp-volatile": ("coke-stamp-charging.unit-energy", {"charge_volatile_pct": 32}, "level3", "164.50"),
    "gb21342-2025-stamp-moisture": (
        "coke-stamp-charging.unit-energy",
        {"charge_moisture_pct": "9.5"},
        "level1",
        "111.290",
    ),
    "gb21342-2025-wet-quench": ("coke-top-charging.unit-energy", {"quenching": "wet"}, "level3", "181.46"),
    "gb21342-2025-oven-age": ("coke-stamp-charging.unit-energy", {"oven_age_a": 25}, "level1", "117.50"),
    "gb21341-2022-grade-ferrosilicon": ("2022.ferrosilicon.smelting", {"ore_grade_pct": 97}, "level3", "8440"),
    "gb21341-2022-grade-hc-ferromanganese-ef": (
        "2022.hc-ferromanganese-ef.smelting",
        {"ore_grade_pct": 41},
        "level1",
        "2000",
    ),
    "gb21341-2022-grade-silicomanganese": ("2022.silicomanganese.smelting", {"ore_grade_pct": 35}, "level2", "4100"),
    "gb21341-2022-grade-lc-silicomanganese": (
        "2022.lc-silicomanganese.smelting",
        {"ore_grade_pct": "38.5"},
        "level3",
        "4940.0",
    ),
    "gb21341-2022-grade-micro-c-ferromanganese": (
        "2022.micro-c-ferromanganese.smelting",
        {"ore_grade_pct": 46},
        "level3",
        "1080",
    ),
    "gb21341-2022-grade-hc-ferrochrome": (
        "2022.hc-ferrochrome.smelting",
        {"ore_grade_pct": 39, "cr_fe_ratio": "2.2"},
        "level3",
        "3580",
    ),
    "gb21341-2022-grade-charge-ferrochrome": (
        "2022.charge-ferrochrome.smelting",
        {"ore_grade_pct": 41, "cr_fe_ratio": "1.5"},
        "level3",
        "3570",
    ),
    "gb21341-2022-grade-mlc-ferrochrome": ("2022.mlc-ferrochrome.smelting", {"ore_grade_pct": 50}, "level3", "1880"),
    "gb21341-2022-grade-bf-ferromanganese": ("2022.bf-ferromanganese.coke", {"ore_grade_pct": 36}, "level3", "1380"),
    "gb21341-2008-grade-hc-ferromanganese-ef": (
        "2008.hc-ferromanganese-ef.smelting",
        {"ore_grade_pct": 39},
        "level3",
        "2640",
    ),
    "gb21341-2008-grade-silicomanganese": ("2008.silicomanganese.smelting", {"ore_grade_pct": 33}, "level2", "4300"),
    "gb21341-2008-grade-hc-ferrochrome": (
        "2008.hc-ferrochrome.smelting",
        {"ore_grade_pct": 41, "cr_fe_ratio": 3},
        "level3",
        "3420",
    ),
    "gb21341-2008-grade-bf-ferromanganese": ("2008.bf-ferromanganese.coke", {"ore_grade_pct": 38}, "level2", "1290"),
    "gb21340-2019-a": ("flat-glass.comprehensive-energy.gt-800", {"capacity_utilisation_pct": 90}, "level3", "13.200"),
    "gb21340-2019-b": ("flat-glass.comprehensive-energy.gt-800", {"glass_thickness_factor": "1.2"}, "level1", "9.600"),
    "gb21340-2019-c": ("flat-glass.comprehensive-energy.gt-800", {"glass_iron_factor": "1.05"}, "level2", "10.5000"),
    "gb21340-2019-d": ("flat-glass.comprehensive-energy.gt-800", {"abnormal_production": True}, "level3", "13.200"),
    "gb21252-2023-thickness": ("tile-abs-gt-10", {"tile_thickness_factor": "1.15"}, "level3", "5.1750"),
    "gb21258-2024-cooling": (
        "coal-power-supply.power-supply-coal-rate.usc-1000",
        {"cooling_allowance_gce_per_kwh": 12},
        "level1",
        "280",
    ),
    "gb21258-2024-influence": (
        "coal-power-heat.heat-supply-coal-rate.usc",
        {"influence_factor": "1.02"},
        "level2",
        "41.310",
    ),
    "gb31825-2024-process": ("paper_tissue", {"process_allowance_kgce_per_t": 320}, "level3", "840"),
    "gb29140-2024-sun-dried-salt": ("soda-dual-heavy", {"feed_salt": "sun_dried"}, "level1", "218.30"),
}
ON_THE_ACTUAL: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "gb16780-2012-altitude": (
        "gb16780-2012.clinker.comparable-clinker-coal",
        {"altitude_m": 2000, "pressure_pa": 81073},
        "100",
        "89.449891",  # sqrt(81073 / 101325) = 0.894499
    ),
    "gb21345-2024-furnace-power": (
        "yellow-phosphorus-ef",
        {"charge_p2o5_pct": "30.5", "charge_fe2o3_pct": 2, "charge_co2_pct": 5},
        "2900",
        "2948.895993",  # 5666.666667 + 536.888889 + 632.592593 - 7234 = -397.851852, times 0.1229
    ),
    "gb29445-2025-conditions": (
        "coal-surface",
        {"mining_k1": "0.1", "mining_k2": "-0.02", "mining_k3": 0, "mining_k4": 0, "mining_k5": "0.03"},
        "8",
        "8.88",
    ),
}


def limit_with(part: str, correction: str) -> Limit:
    wanted = "tissue-wood" if part == "paper_tissue" else part
    limits = shipped_law().table(Limit).values()
    return next(limit for limit in limits if wanted in limit.id and correction in limit.corrections)


def facts_of(limit: Limit, correction: str, own: dict[str, Any]) -> dict[str, Any]:
    """The correction's own facts, and such that the limit's other corrections change nothing."""
    law = shipped_law()
    facts: dict[str, Any] = {}
    for name in limit.corrections:
        if name != correction:
            facts.update(neutral(law.table(Correction)[name]))
    names = law.table(FactName)
    return {**facts, **{name: fact_value(names[name], value) for name, value in own.items()}}


def test_every_correction_has_a_case() -> None:
    assert {*CASES, *ON_THE_ACTUAL} == set(shipped_law().table(Correction))


@pytest.mark.parametrize("name", sorted(CASES))
def test_the_limit_is_corrected_as_worked_by_hand(name: str) -> None:
    part, own, level, expected = CASES[name]
    law = shipped_law()
    limit = limit_with(part, name)
    rows = [law.table(Correction)[one] for one in limit.corrections]
    found = correct(limit, rows, ONE, facts_of(limit, name, own))
    assert (found.required, found.undefined) == ((), ())
    assert round({str(key): value for key, value in found.levels.items()}[level], 6) == Decimal(expected)
    if law.table(Correction)[name].op != "declared":
        assert found.steps
        assert {step.citation.document for step in found.steps if step.citation} == {limit.standard}


@pytest.mark.parametrize("name", sorted(ON_THE_ACTUAL))
def test_the_actual_figure_is_corrected_as_worked_by_hand(name: str) -> None:
    part, own, actual, expected = ON_THE_ACTUAL[name]
    law = shipped_law()
    limit = limit_with(part, name)
    rows = [law.table(Correction)[one] for one in limit.corrections]
    found = correct(limit, rows, Decimal(actual), facts_of(limit, name, own))
    assert round(found.actual, 6) == Decimal(expected)
    assert dict(found.levels) == {level: value for level, value in limit.levels() if value is not None}


def test_feed_above_62_percent_takes_nothing_off_and_below_57_adds_no_more() -> None:
    for grade, expected in ((63, "415"), (62, "415"), (57, "433.05"), (50, "433.05")):
        verdict = judged("blast_furnace", "400", "kgce/t", feed_grade_pct=grade)
        assert verdict.corrected_limit == Decimal(expected), grade


def test_stainless_comes_before_hot_metal_and_the_grade_after_it() -> None:
    verdict = judged(
        "eaf",
        "70",
        "kgce/t",
        nominal_capacity_t=100,
        all_stainless=True,
        hot_metal_ratio_pct=10,
        steel_grade="quality_carbon_structural",
    )
    assert verdict.corrected_limit == Decimal(72) * Decimal("1.10") - 8 + 8
    order = [step.label_en for step in verdict.steps if step.level == "level3"][1:]
    assert [word.split()[0] for word in order] == ["all", "reduction", "addition"]


@pytest.mark.parametrize(
    ("age", "added"),
    [("14.99", "0"), ("15", "2.50"), ("25", "2.50"), ("25.01", "5.50")],
)
def test_the_bands_of_the_oven_age_have_their_edges_where_the_standard_puts_them(age: str, added: str) -> None:
    facts: dict[str, Any] = {
        "charge_volatile_pct": 23,
        "charge_moisture_pct": 10,
        "quenching": "dry",
        "mixed_gas_time_share": 0,
    }
    verdict = judged("coke_top_charging", "1", "kgce/t", oven_age_a=age, **facts)
    assert verdict.corrected_limit == Decimal(135) + Decimal(added)
    assert verdict.levels[1].corrected == 110


def test_outside_the_volatile_table_nothing_is_judged() -> None:
    facts: dict[str, Any] = {"charge_moisture_pct": 10, "quenching": "dry", "mixed_gas_time_share": 0, "oven_age_a": 3}
    verdict = judged("coke_top_charging", "1", "kgce/t", charge_volatile_pct="28.01", **facts)
    assert verdict.status == "undetermined"
    assert "charge_volatile_pct" in verdict.reason_en


def test_a_grade_correction_holds_only_for_its_chromium_to_iron_ratio() -> None:
    facts: dict[str, Any] = {"metric": "smelting_electricity", "ore_grade_pct": 45}
    assert judged("hc_ferrochrome", "3000", "kWh/t", cr_fe_ratio="2.19", **facts).status == "undetermined"
    missing = judged("hc_ferrochrome", "3000", "kWh/t", **facts)
    assert (missing.status, [one.key for one in missing.missing]) == ("needs_data", ["cr_fe_ratio"])


def test_the_comprehensive_figure_of_ferroalloys_is_not_corrected_for_the_grade() -> None:
    verdict = judged("hc_ferrochrome", "900", "kgce/t", metric="comprehensive_energy", ore_grade_pct=30)
    assert verdict.corrected_limit == 900


def test_a_required_input_that_is_missing_withholds_the_verdict() -> None:
    verdict = judged("cement", "50", "kgce/t", metric="comprehensive_energy", altitude_m=10)
    assert (verdict.status, [one.key for one in verdict.missing]) == ("needs_data", ["clinker_ratio_pct"])
    assert {one.result for one in verdict.levels} == {"open"}


@pytest.mark.parametrize(
    ("actual", "status"),
    [
        pytest.param("117", "meets", id="met_without_it"),
        pytest.param("118", "needs_data", id="an_altitude_could_turn_it"),
        pytest.param("140", "exceeds", id="no_altitude_could_turn_it"),
    ],
)
def test_a_verdict_against_the_plant_is_withheld_while_an_altitude_could_turn_it(actual: str, status: str) -> None:
    verdict = judged("clinker", actual, "kgce/t", metric="comprehensive_energy")
    assert verdict.status == status
    assert any("altitude_m" in line for line in verdict.assumptions)


def test_a_verdict_that_hangs_on_a_doubtful_reading_needs_review() -> None:
    facts: dict[str, Any] = {
        "design_capacity_t_per_d": 900,
        "glass_thickness_factor": 1,
        "glass_iron_factor": 1,
        "abnormal_production": False,
        "capacity_utilisation_pct": 90,
    }
    assert judged("flat_glass", "12.5", "kgce/重量箱", **facts).status == "needs_review"
    assert judged("flat_glass", "13.3", "kgce/重量箱", **facts).status == "exceeds"
    assert judged("flat_glass", "12.0", "kgce/重量箱", **facts).status == "meets"


def test_a_lower_level_is_left_open_where_an_input_not_given_could_let_it_be_met() -> None:
    verdict = judged("blast_furnace", "385", "kgce/t")
    assert (verdict.status, verdict.level) == ("meets", 3)
    assert [one.result for one in verdict.levels] == ["exceeds", "open", "meets"]
    known = judged("blast_furnace", "385", "kgce/t", feed_grade_pct=62)
    assert [one.result for one in known.levels] == ["exceeds", "exceeds", "meets"]


def test_an_unverified_limit_is_told_as_such_before_its_corrections_are_asked_for() -> None:
    verdict = judged("clinker", "100", "kgce/t", metric="comparable_clinker_coal", on="2015-01-01")
    assert (verdict.status, verdict.preview) == ("undetermined", None)
    given = judged("clinker", "100", "kgce/t", metric="comparable_clinker_coal", on="2015-01-01", comparable_basis=True)
    assert (given.status, given.preview) == ("undetermined", "meets")
