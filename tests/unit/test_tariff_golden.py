"""Surcharges against worked examples: A1 to A10 by their names, then precedence and what changes a surcharge."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from models.law.tariff_facts import Electricity, Equipment, Figure, TariffFacts, Water
from models.law.tariff_judge import judge_tariff, what_if
from tests.unit.tariff_cases import ALUMINIUM, LAW, electricity, facts_of, figures, judged

STEEL_KWH = Electricity(production_kwh=Decimal(40_000_000))


@pytest.mark.parametrize("kwh_per_t", ["12736.24", "13524.09", "13476.26"])
def test_a1_guangxi_2020_aluminium_is_in_tier_1(kwh_per_t: str) -> None:
    own = (Figure(metric="electrolysis_ac_electricity", value=Decimal(kwh_per_t), year=2020),)
    for verdict in (
        electricity(2021, ALUMINIUM, "CN-GX", figures=own),
        electricity(2020, ALUMINIUM, "CN-GX", figures=own, decision_date=date(2021, 10, 19)),
    ):
        assert (verdict.status, verdict.rule_id, verdict.tier) == ("clear", "cn-tier-aluminium-2014", "1")
        assert verdict.surcharge == 0
        assert verdict.amount == 0


def test_a2_qinghai_2014_goes_by_the_consumption_of_2013() -> None:
    both = (Figure(value=Decimal(13700), year=2013), Figure(value=Decimal(13900), year=2014))
    assert electricity(2014, ALUMINIUM, "CN-QH", figures=both).surcharge == 0
    turned = (Figure(value=Decimal(13900), year=2013), Figure(value=Decimal(13700), year=2014))
    verdict = electricity(2014, ALUMINIUM, "CN-QH", figures=turned)
    assert (verdict.status, verdict.surcharge, verdict.figure_year) == ("flag", Decimal("0.08"), 2013)


@pytest.mark.parametrize(
    ("kwh_per_t", "surcharge"), [("13700.00", "0"), ("13700.01", "0.02"), ("13800.00", "0.02"), ("13800.01", "0.08")]
)
def test_a3_edges_of_the_aluminium_tiers_of_2014(kwh_per_t: str, surcharge: str) -> None:
    verdict = electricity(2020, ALUMINIUM, figures=figures(kwh_per_t))
    assert verdict.surcharge == Decimal(surcharge)
    assert verdict.status == ("flag" if verdict.surcharge else "clear")


def test_a4_aluminium_2022_five_steps_over_a_hundred_thousand_tonnes() -> None:
    verdict = electricity(2022, ALUMINIUM, figures=figures("13750"), output_t=Decimal(100_000))
    assert (verdict.rule_id, verdict.threshold, verdict.tier) == ("cn-tier-aluminium-2022", Decimal(13650), "5")
    assert (verdict.surcharge, verdict.quantity) == (Decimal("0.05"), Decimal(1_375_000_000))
    assert str(verdict.amount) == "68750000.00"


@pytest.mark.parametrize(
    ("kwh_per_t", "surcharge"),
    [("13450.00", "0"), ("13450.01", "0.01"), ("13470.00", "0.01"), ("13470.01", "0.02"), ("13511", "0.04")],
)
def test_a5_step_edges_of_aluminium_2023(kwh_per_t: str, surcharge: str) -> None:
    assert electricity(2023, ALUMINIUM, figures=figures(kwh_per_t)).surcharge == Decimal(surcharge)


@pytest.mark.parametrize(
    ("region", "rule", "amounts"),
    [
        ("CN-HB", "cn-diff-steel-2017", ("4000000.00", "20000000.00", "20000000.00")),
        ("CN-HE", "cn-he-steel-2017", ("8000000.00", "24000000.00", "24000000.00")),
    ],
)
def test_a6_steel_by_class_and_by_capacity_cut(region: str, rule: str, amounts: tuple[str, ...]) -> None:
    verdicts = [
        electricity(2018, "iron_and_steel", region, electricity=STEEL_KWH, equipment_class="限制类"),
        electricity(2018, "iron_and_steel", region, electricity=STEEL_KWH, equipment_class="淘汰类"),
        electricity(
            2018, "iron_and_steel", region, electricity=STEEL_KWH, equipment_class="none", capacity_cut_done=False
        ),
    ]
    assert tuple(str(verdict.amount) for verdict in verdicts) == amounts
    assert {(verdict.status, verdict.rule_id) for verdict in verdicts} == {("flag", rule)}


@pytest.mark.parametrize(
    ("ratio", "surcharge"),
    [("0.50", "0.05"), ("0.5001", "0.10"), ("1.00", "0.10"), ("1.0001", "0.30"), ("0", "0"), ("-0.2", "0")],
)
def test_a7_punitive_edges_of_guangxi(ratio: str, surcharge: str) -> None:
    verdict = electricity(2012, "ferroalloy", "CN-GX", excess_ratio=Decimal(ratio))
    assert (verdict.rule_id, verdict.surcharge) == ("cn-gx-punitive-2010", Decimal(surcharge))
    assert verdict.status == ("flag" if verdict.surcharge else "clear")


def test_a7_punitive_amount_where_all_electricity_is_billed() -> None:
    case = {
        "limit": Decimal(820),
        "actual": Decimal(1148),
        "electricity": Electricity(all_kwh=Decimal(3_000_000)),
    }
    verdict = electricity(2012, "ferroalloy", "CN-GX", billing_base="all_electricity", **case)
    assert (verdict.excess_ratio, verdict.surcharge) == (Decimal("0.4"), Decimal("0.05"))
    assert str(verdict.amount) == "150000.00"
    open_base = electricity(2012, "ferroalloy", "CN-GX", **case)
    assert (open_base.status, open_base.amount) == ("flag", None)
    assert [one.key for one in open_base.missing] == ["billing_base"]
    assert any("150000.00" in note for note in open_base.notes)


def test_a8_inner_mongolia_ferrochrome_per_tonne() -> None:
    own = (Figure(metric="smelting_electricity", value=Decimal(3650)),)
    verdict = electricity(2021, "ferroalloy", "CN-NM", equipment_class="限制类", figures=own)
    assert (verdict.rule_id, verdict.surcharge) == ("cn-nm-diff-2021", Decimal("0.10"))
    assert verdict.amount_per_t == 365


@pytest.mark.parametrize("equipment", [None, "允许类"])
def test_a9_cement_metric_gap_is_needs_data_and_not_tier_1(equipment: str | None) -> None:
    reported = (
        Figure(metric="comprehensive_electricity", value=Decimal(50), year=2022),
        Figure(metric="preparation_electricity", value=Decimal(28), year=2022),
    )
    verdict = electricity(2023, "cement", "CN-GX", figures=reported, equipment_class=equipment)
    assert (verdict.status, verdict.tier, verdict.surcharge) == ("needs_data", None, None)
    assert verdict.rule_id == "cn-tier-cement-metric-gap"
    assert "发改价格〔2016〕75号" in {cited.document for cited in verdict.citations}


@pytest.mark.parametrize(
    ("ratio", "surcharge", "status"),
    [
        ("0.29", "0.05", "flag"),
        ("0.30", "0.10", "flag"),
        ("0.45", "0.10", "flag"),
        ("0.80", "0.15", "flag"),
        ("1.20", "0.30", "flag"),
        ("0.70", "0.10", "needs_review"),
    ],
)
def test_a10_guangdong_punitive_and_its_ambiguous_edge(ratio: str, surcharge: str, status: str) -> None:
    verdict = electricity(2012, "ceramics", "CN-GD", excess_ratio=Decimal(ratio))
    assert (verdict.surcharge, verdict.status) == (Decimal(surcharge), status)
    if status == "needs_review":
        assert "cn-gd-punitive-2010" in verdict.reason_en
        assert "0.70" in verdict.reason_en


def test_the_year_of_consumption_gives_the_threshold_whenever_it_is_decided() -> None:
    own = figures("13750", year=2021)
    late = electricity(2021, ALUMINIUM, "CN-GX", figures=own, decision_date=date(2022, 6, 1))
    assert (late.rule_id, late.surcharge) == ("cn-tier-aluminium-2014", Decimal("0.02"))
    assert electricity(2021, ALUMINIUM, "CN-GX", figures=own).status == "needs_data"


def test_a_rule_issued_after_the_decision_does_not_count() -> None:
    own = figures("13900", year=2013)
    early = electricity(2014, ALUMINIUM, figures=own, decision_date=date(2013, 12, 1))
    assert early.rule_id != "cn-tier-aluminium-2014"


def test_steel_on_the_differential_list_is_not_tiered() -> None:
    judgement = judged(2018, "iron_and_steel", equipment_class="限制类", figures=figures("60", unit="kgce/t"))
    tiered = next(one for one in judgement.verdicts if one.kind == "tiered")
    assert tiered.displaced_by == "cn-diff-steel-2017"
    assert judgement.electricity.surcharge == Decimal("0.10")


def test_cement_that_is_not_eliminated_is_neither_differential_nor_punitive_since_2016() -> None:
    judgement = judged(2018, "cement", "CN-GD", equipment_class="限制类", excess_ratio=Decimal("0.5"))
    by_kind = {one.kind: one for one in judgement.verdicts}
    assert by_kind["punitive"].displaced_by == "cn-tier-cement-2016"
    assert not by_kind["differential"].surcharge
    assert judgement.electricity.status == "needs_data"


def test_eliminated_cement_pays_by_class_and_is_not_tiered() -> None:
    verdict = electricity(2018, "cement", equipment_class="淘汰类", figures=figures("90"), process="clinker")
    assert (verdict.rule_id, verdict.surcharge) == ("cn-diff-cement-2014", Decimal("0.40"))


@pytest.mark.parametrize(("year", "surcharge"), [(2011, "0.30"), (2015, "0.40")])
def test_eliminated_cement_moves_to_its_own_rule_in_2014(year: int, surcharge: str) -> None:
    assert electricity(year, "cement", equipment_class="淘汰类").surcharge == Decimal(surcharge)


def test_a_region_never_lowers_what_the_country_charges() -> None:
    verdict = electricity(2012, "ferroalloy", "CN-CQ", equipment_class="淘汰类")
    assert (verdict.rule_id, verdict.surcharge) == ("cn-diff-2010", Decimal("0.30"))
    same = electricity(2012, "ferroalloy", "CN-CQ", equipment_class="限制类")
    assert (same.rule_id, same.surcharge) == ("cn-cq-diff-2011", Decimal("0.10"))


def test_two_kinds_are_not_stacked_and_a_person_settles_it() -> None:
    verdict = electricity(2012, "ferroalloy", "CN-GX", equipment_class="限制类", excess_ratio=Decimal("0.4"))
    assert (verdict.status, verdict.surcharge) == ("needs_review", Decimal("0.10"))
    assert "cn-gx-punitive-2010" in verdict.reason_en


def test_punitive_pricing_of_steel_stops_in_hebei_only() -> None:
    for region, gone in (("CN-HE", True), ("CN-GX", False)):
        judgement = judged(2018, "iron_and_steel", region, equipment_class="none", excess_ratio=Decimal("0.2"))
        punitive = next(one for one in judgement.verdicts if one.kind == "punitive")
        assert (punitive.displaced_by is not None) is gone


@pytest.mark.parametrize(("limit", "actual"), [("0", "5"), ("-10", "-7")])
def test_a_limit_of_zero_or_below_has_no_ratio(limit: str, actual: str) -> None:
    verdict = electricity(
        2015, "iron_and_steel", "CN-GX", equipment_class="none", limit=Decimal(limit), actual=Decimal(actual)
    )
    assert (verdict.kind, verdict.status, verdict.excess_ratio) == ("punitive", "undetermined", None)


def test_the_national_amount_below_double_the_limit_is_the_provinces_to_set() -> None:
    low = electricity(2012, "ferroalloy", "CN-SC", excess_ratio=Decimal("0.4"))
    assert (low.status, low.surcharge) == ("undetermined", None)
    assert [one.key for one in low.missing] == ["province_surcharge"]
    assert electricity(2012, "ferroalloy", "CN-SC", excess_ratio=Decimal("1.4")).surcharge == Decimal("0.30")
    assert electricity(2012, "ferroalloy", "CN-SC", excess_ratio=Decimal(1)).status == "undetermined"


@pytest.mark.parametrize(("days", "surcharge"), [(90, "0.04"), (91, "0.06")])
def test_late_payment_begins_after_ninety_days(days: int, surcharge: str) -> None:
    verdict = electricity(2023, ALUMINIUM, figures=figures("13511"), days_since_notice=days)
    assert verdict.surcharge == Decimal(surcharge)


def test_renewables_lower_the_surcharge_by_one_percent_a_point() -> None:
    own: dict[str, Any] = {"figures": figures("13511"), "renewables_incentive_share": Decimal("0.10")}
    at_line = electricity(2023, ALUMINIUM, renewables_share=Decimal("0.15"), **own)
    assert at_line.surcharge == Decimal("0.04")
    above = electricity(2023, ALUMINIUM, renewables_share=Decimal("0.20"), **own)
    assert (above.status, above.surcharge) == ("flag", Decimal("0.038"))


@pytest.mark.parametrize(("share", "incentive"), [("0.20", "0.18"), ("0.195", "0.10")])
def test_readings_of_the_renewables_clause_that_differ_are_reviewed(share: str, incentive: str) -> None:
    verdict = electricity(
        2023,
        ALUMINIUM,
        figures=figures("13511"),
        renewables_share=Decimal(share),
        renewables_incentive_share=Decimal(incentive),
    )
    assert verdict.status == "needs_review"
    assert verdict.surcharge == Decimal("0.04") * (1 - (Decimal(share) - Decimal("0.15")))


def test_renewables_below_the_incentive_value_lower_nothing_and_without_it_nothing_is_said() -> None:
    own: dict[str, Any] = {"figures": figures("13511"), "renewables_share": Decimal("0.20")}
    below = electricity(2023, ALUMINIUM, renewables_incentive_share=Decimal("0.21"), **own)
    assert below.surcharge == Decimal("0.04")
    unknown = electricity(2023, ALUMINIUM, **own)
    assert (unknown.status, unknown.surcharge) == ("needs_data", None)
    assert unknown.preview is not None
    assert unknown.preview.surcharge == Decimal("0.04")


def test_a_figure_with_desulfurisation_decides_only_where_it_is_not_above_the_line() -> None:
    above = electricity(2023, ALUMINIUM, figures=figures("13500", excludes_desulfurisation=False))
    assert above.status == "needs_data"
    below = electricity(2023, ALUMINIUM, figures=figures("13400", excludes_desulfurisation=False))
    assert below.status == "clear"


def test_the_wrong_metric_of_aluminium_is_not_taken_for_the_right_one() -> None:
    own = (Figure(metric="liquid_ac_electricity", value=Decimal(13600), year=2023),)
    assert electricity(2023, ALUMINIUM, "CN-GX", figures=own).status == "needs_data"


def test_a_figure_in_mwh_is_converted_and_one_in_coal_is_refused() -> None:
    assert electricity(2023, ALUMINIUM, figures=figures("13.511", unit="MWh/t")).surcharge == Decimal("0.04")
    assert electricity(2023, ALUMINIUM, figures=figures("13511", unit="kgce/t")).status == "needs_data"


def test_what_is_not_verified_is_a_preview_and_never_billed() -> None:
    verdict = electricity(
        2018,
        "cement",
        figures=figures("66"),
        process="clinker",
        production_date=date(2010, 1, 1),
        electricity=Electricity(production_kwh=Decimal(1000)),
    )
    assert (verdict.status, verdict.surcharge, verdict.amount) == ("undetermined", None, None)
    assert verdict.preview is not None
    assert (verdict.preview.surcharge, verdict.preview.amount) == (Decimal("0.10"), Decimal(100))
    assert verdict.confidence == "M"


def test_an_unverified_multiple_of_a_region_is_told_and_not_charged() -> None:
    verdict = electricity(2023, ALUMINIUM, "CN-FJ", figures=figures("13511"))
    assert (verdict.status, verdict.surcharge) == ("flag", Decimal("0.04"))
    assert any("cn-fj-2020" in note and "0.06" in note for note in verdict.notes)


@pytest.mark.parametrize(("year", "surcharge"), [(2021, "0.10"), (2022, "0.13"), (2023, "0.15")])
def test_inner_mongolia_rises_by_year(year: int, surcharge: str) -> None:
    assert electricity(year, "ferroalloy", "CN-NM", equipment_class="限制类").surcharge == Decimal(surcharge)


def test_inner_mongolia_after_the_years_it_speaks_of_is_reviewed() -> None:
    assert electricity(2024, "ferroalloy", "CN-NM", equipment_class="限制类").status == "needs_review"


@pytest.mark.parametrize(
    ("industry", "surcharge"), [("iron_and_steel", "0.75"), ("cement", "0.60"), ("zinc_smelting", "0.45")]
)
def test_inner_mongolia_has_its_own_amounts_for_eliminated_steel_and_cement(industry: str, surcharge: str) -> None:
    assert electricity(2023, industry, "CN-NM", equipment_class="淘汰类").surcharge == Decimal(surcharge)


def test_a_period_in_which_the_amount_changes_is_to_be_cut() -> None:
    verdict = electricity(2016, "iron_and_steel", period_to=date(2017, 12, 31), equipment_class="淘汰类")
    assert verdict.status == "needs_data"
    assert "2017-01-01" in verdict.missing[0].what_en
    same = electricity(2016, "iron_and_steel", period_to=date(2017, 12, 31), equipment_class="限制类")
    assert same.surcharge == Decimal("0.10")


def test_the_class_of_a_kiln_follows_from_its_kind_and_an_exception_is_asked_for() -> None:
    wet = (Equipment(name="1", kind="湿法窑"),)
    assert electricity(2015, "cement", equipment=wet).surcharge == Decimal("0.40")
    hollow = Equipment(name="2", kind="干法中空窑")
    assert electricity(2015, "cement", equipment=(hollow,)).status == "needs_data"
    special = hollow.model_copy(update={"excepted": True, "equipment_class": "允许类"})
    assert electricity(2015, "cement", equipment=(special,)).surcharge == 0


def test_a_device_without_a_class_is_asked_for_even_where_its_kind_is_told() -> None:
    furnace = (Equipment(name="1", kind="矿热炉"),)
    assert electricity(2015, "ferroalloy", equipment=furnace).status == "needs_data"
    kiln = (Equipment(name="1", kind="新型干法窑"),)
    assert electricity(2017, "cement", equipment=kiln, figures=figures("60")).kind == "tiered"


def test_zhejiang_bills_the_part_over_the_limit_and_tells_the_proportion() -> None:
    own: dict[str, Any] = {"excess_ratio": Decimal("0.25")}
    told = electricity(2012, "coke", "CN-ZJ", electricity=Electricity(all_kwh=Decimal(1_000_000)), **own)
    assert (told.base, told.amount) == ("excess_electricity_only", None)
    assert any("20000.00 CNY" in note for note in told.notes)
    set_by_bureau = electricity(2012, "coke", "CN-ZJ", electricity=Electricity(excess_kwh=Decimal(200_000)), **own)
    assert str(set_by_bureau.amount) == "20000.00"


def test_an_enterprise_of_a_tiered_trade_is_not_clear_without_its_consumption() -> None:
    judgement = judged(2023, ALUMINIUM, equipment_class="允许类")
    assert judgement.electricity.status == "needs_data"
    carbide = judged(2023, "calcium_carbide", equipment_class="允许类")
    assert carbide.electricity.status == "clear"
    assert [one.kind for one in carbide.still_open] == ["punitive"]


def test_the_dearest_class_of_several_devices_counts() -> None:
    own = (Equipment(name="a", equipment_class="限制类"), Equipment(name="b", equipment_class="淘汰类"))
    assert electricity(2018, "iron_and_steel", equipment=own).surcharge == Decimal("0.50")


def water(used: str, **more: object) -> Water:
    return Water.model_validate(
        {"quota_m3": Decimal(1000), "used_m3": Decimal(used), "price_cny_per_m3": Decimal(3), **more}
    )


@pytest.mark.parametrize(
    ("used", "listed", "tier", "amount"),
    [
        ("1000", "none", None, "0.00"),
        ("1300", "none", "1", "180.00"),
        ("1300", "限制类", "1", "450.00"),
        ("1500", "none", "2", "480.00"),
        ("1600", "限制类", "3", "1500.00"),
    ],
)
def test_water_over_the_quota_pays_by_parts(used: str, listed: str, tier: str | None, amount: str) -> None:
    own = water(used, rule="local-water-example")
    verdict = judged(2024, "paper", "CN-JS", equipment_class=listed, water=own).water
    assert verdict is not None
    assert (verdict.tier, str(verdict.amount)) == (tier, amount)
    assert verdict.status == ("clear" if tier is None else "needs_review")


def test_water_without_a_notice_of_the_city_is_undetermined() -> None:
    verdict = judged(2024, "paper", "CN-JS", water=water("1500")).water
    assert verdict is not None
    assert (verdict.status, verdict.rule_id) == ("undetermined", "cn-water-2017")


def test_what_if_the_consumption_or_the_year_were_another() -> None:
    facts = facts_of(2022, ALUMINIUM, figures=figures("13000", year=2022))
    supposed = what_if(facts, intensity=Decimal(13511), as_of=2023)
    assert (supposed.period_from, supposed.figures[0].year) == (date(2023, 1, 1), 2023)
    assert _surcharge(supposed) == Decimal("0.04")
    assert _surcharge(what_if(facts, intensity=Decimal(13511))) == 0
    assert _surcharge(what_if(facts, intensity=Decimal(13511), as_of=date(2025, 6, 1))) == Decimal("0.11")
    assert facts.figures[0].value == 13000


def _surcharge(facts: TariffFacts) -> Decimal | None:
    return judge_tariff(LAW, facts).electricity.surcharge


def test_a_time_and_trade_without_a_rule_is_undetermined() -> None:
    verdict = electricity(2008, "paper")
    assert (verdict.status, verdict.rule_id) == ("undetermined", None)
