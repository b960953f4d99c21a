"""Declared output against electricity, heats, peers and the register's furnaces; and what belongs to a product."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from models.domain.accounts import (
    Account,
    AllocationStep,
    Electricity,
    FuelTotal,
    HeatGroup,
    HeatLine,
    Heats,
    MeterEnergy,
    OutputTotal,
    Period,
    SiteAccount,
)
from models.domain.leads import LeadKind
from models.domain.production import FuelUse
from models.domain.register import (
    Declared,
    Enterprise,
    Furnace,
    FurnaceKind,
    Line,
    Meter,
    Register,
    RegisterRows,
    Site,
)
from models.law.library import shipped_law
from models.law.process_rows import ProcessRange
from monitor.intensity.concerns import Concern, findings_of
from monitor.intensity.crosschecks import own_concerns
from monitor.intensity.judging import Judged, judge_account
from monitor.intensity.peers import Ratio, peer_concern, standings
from monitor.intensity.scopes import Catalogue

LAW = shipped_law()
CATALOGUE = Catalogue(LAW)
MARCH = Period.month(2026, 3)
USCC = "91330100MA0000001X"
FURNACE = Furnace(
    furnace="F1", site="works", kind=FurnaceKind.MEDIUM_FREQUENCY, rated_kw=1000.0, capacity_t=1.5, purpose="铸件"
)


def register(*, trade: str = "C3391", furnace: Furnace | None = FURNACE, **facts: str) -> Register:
    rows = RegisterRows(
        enterprises=(Enterprise(uscc=USCC, name="某某铸造有限公司", trade=trade),),
        sites=(Site(site="works", uscc=USCC),),
        meters=(Meter(meter="main", site="works", publisher="bureau"),),
        lines=(Line(line="L1", site="works"), Line(line="L2", site="works")),
        furnaces=() if furnace is None else (furnace,),
        declared=tuple(Declared(uscc=USCC, fact=fact, value=value) for fact, value in facts.items()),
    )
    return Register(rows, ZoneInfo("Asia/Shanghai"), "v1")


def electricity(kwh: float | None, coverage: float = 1.0) -> Electricity:
    return Electricity(None if kwh is None else Decimal(str(kwh)), Decimal(str(coverage)))


def made(product: str, tonnes: float | None, unit: str = "t", coverage: float = 1.0, **more: Any) -> OutputTotal:
    return OutputTotal(product, None if tonnes is None else Decimal(str(tonnes)), unit, Decimal(str(coverage)), **more)


def account(kwh: float | None, *output: OutputTotal, coverage: float = 1.0, **more: Any) -> Account:
    used = electricity(kwh, coverage)
    plain: dict[str, Any] = {
        "uscc": USCC,
        "period": MARCH,
        "electricity": used,
        "sites": (SiteAccount("works", "", used, output),),
        "meters": (MeterEnergy("main", "works", used.kwh, used.coverage),),
        "allocation": (),
        "output": output,
        "fuels": (),
        "facts": (),
        "heats": Heats(),
        "gaps": (),
        "register": "v1",
        "digest": "d",
    }
    return Account(**(plain | more))


def heats(count: int, kwh: float, tapped_t: float, *, odd: int = 0, furnace: str = "F1") -> Heats:
    lines = tuple(
        HeatLine(furnace, n, n + 1, "", Decimal(1), None, Decimal(1), None, None, None, 0) for n in range(count)
    )
    energy, tonnes = Decimal(str(kwh)), Decimal(str(tapped_t))
    group = HeatGroup(furnace, "", count, odd, energy, None, tonnes, None, energy / tonnes)
    return Heats(lines, (replace(group, furnace=""), group))


def codes(said: Account, known: Register) -> list[str]:
    found = own_concerns(said, known, LAW, margin=0.25, heats_min=10)
    return [concern.reasons[0].code for concern in found]


@pytest.mark.parametrize(
    ("kwh", "coverage", "facts", "expected"),
    [
        pytest.param(
            33_900, 1.0, {"furnace_material": "cast_iron"}, ["output_too_high"], id="just_below_the_heat_of_iron"
        ),
        pytest.param(34_000, 1.0, {"furnace_material": "cast_iron"}, [], id="just_enough_for_iron"),
        pytest.param(33_900, 1.0, {}, [], id="an_unknown_metal_may_be_copper"),
        pytest.param(29_900, 1.0, {}, ["output_too_high"], id="below_what_any_metal_takes"),
        pytest.param(10_000, 0.97, {}, [], id="missing_readings_explain_it_as_well"),
        pytest.param(59_900, 1.0, {"furnace_material": "tool_die"}, ["output_too_high"], id="steel_takes_six_hundred"),
    ],
)
def test_more_output_than_the_electricity_could_melt(
    kwh: float, coverage: float, facts: dict[str, str], expected: list[str]
) -> None:
    known = register(furnace=FURNACE, trade="C3391", **facts)
    assert codes(account(kwh, made("灰铸铁件", 100), coverage=coverage), known) == expected


def test_a_plant_that_need_not_melt_what_it_makes_is_left_alone() -> None:
    heater = replace(FURNACE, kind=FurnaceKind.INDUCTION_HEATING)
    assert codes(account(1000, made("锻件", 100)), register(furnace=heater)) == []
    assert codes(account(1000, made("弹簧", 100)), register(trade="C3393", furnace=replace(FURNACE, purpose=""))) == []
    assert codes(account(1000, made("灰铸铁件", 100)), register(furnace=None)) == []


@pytest.mark.parametrize(
    ("kwh", "count", "odd", "expected"),
    [
        pytest.param(33_900, 20, 0, ["heats_out_of_range"], id="too_many_tonnes"),
        pytest.param(60_000, 20, 0, [], id="as_usual"),
        pytest.param(81_200, 20, 0, [], id="within_the_margin_above"),
        pytest.param(81_300, 20, 0, ["heats_out_of_range"], id="too_few_tonnes"),
        pytest.param(33_900, 9, 0, [], id="too_few_heats"),
        pytest.param(33_900, 12, 3, [], id="too_many_odd_heats"),
    ],
)
def test_heats_whose_electricity_no_melting_takes(kwh: float, count: int, odd: int, expected: list[str]) -> None:
    told = account(200_000, made("灰铸铁件", 90), heats=heats(count, kwh, 100, odd=odd))
    assert codes(told, register(furnace_material="cast_iron")) == expected


def test_more_output_than_all_heats_tapped() -> None:
    over = account(200_000, made("灰铸铁件", 101), heats=heats(20, 58_000, 100))
    assert codes(over, register()) == ["output_above_tapped"]
    assert codes(replace(over, output=(made("灰铸铁件", 100),)), register()) == []
    assert codes(replace(over, heats=heats(20, 58_000, 100, odd=1)), register()) == []
    assert codes(replace(over, heats=heats(20, 58_000, 100, furnace="F2")), register()) == []


def test_every_range_that_is_compared_with_is_cited() -> None:
    (concern,) = own_concerns(account(10_000, made("灰铸铁件", 100)), register(), LAW, margin=0.25, heats_min=10)
    assert concern.kind is LeadKind.OUTPUT_MISMATCH
    assert [reason.code for reason in concern.reasons] == ["output_too_high", "process_range"]
    assert "10000 kWh / 100 t = 100" in concern.reasons[0].en
    assert all(row.source for row in LAW.table(ProcessRange).values())


def equipment(known: Register) -> list[Concern]:
    found = own_concerns(account(None), known, LAW, margin=0.25, heats_min=10)
    return [concern for concern in found if concern.kind is LeadKind.RESTRICTED_EQUIPMENT]


def test_a_furnace_that_makes_ingots_without_refining_is_suspected() -> None:
    ingots = replace(FURNACE, purpose="钢锭")
    (found,) = equipment(register(furnace=ingots, refining_on_site="否"))
    assert "IF-1" in found.reasons[0].zh
    assert any(reason.code == "catalogue" and "2017-04" in reason.zh for reason in found.reasons)
    assert equipment(register(furnace=ingots, refining_on_site="是")) == []
    assert equipment(register(furnace=ingots)) == []


def test_what_is_not_verified_makes_no_lead() -> None:
    assert equipment(register(shell="aluminium", magnetic_yoke="否")) == []


def test_a_foundry_that_makes_castings_is_left_alone() -> None:
    assert equipment(register(furnace_material="cast_iron")) == []


def ratios(*kwh_per_t: float) -> list[Ratio]:
    return [Ratio(f"U{n}", "2026-03", "灰铸铁件", "3391", value) for n, value in enumerate(kwh_per_t)]


PEERS = [980.0, 1000.0, 1010.0, 1020.0, 1030.0, 1050.0, 1060.0]


def test_a_plant_far_above_its_trade_stands_out_with_its_rank() -> None:
    found = standings(ratios(*PEERS, 1900.0), least=8)
    raised = [peer_concern(one, deviations=3.5, excess=0.5) for one in found]
    assert [one is not None for one in raised] == [True, *[False] * 7]
    assert raised[0] is not None
    assert "第 1 位" in raised[0].reasons[0].zh
    assert (found[0].ratio.uscc, found[0].rank, found[0].count) == ("U7", 1, 8)


def test_too_few_peers_are_not_compared() -> None:
    assert standings(ratios(*PEERS), least=8) == []


def test_a_trade_that_differs_widely_has_no_outlier() -> None:
    found = standings(ratios(300, 500, 800, 1000, 1300, 1700, 2200, 2600), least=8)
    assert all(peer_concern(one, deviations=3.5, excess=0.5) is None for one in found)


def test_peers_that_are_all_alike_still_show_one_that_is_not() -> None:
    found = standings(ratios(*[1000.0] * 7, 1600.0), least=8)
    assert [peer_concern(one, deviations=3.5, excess=0.5) is not None for one in found] == [True, *[False] * 7]
    assert found[0].deviations is None


def test_an_enterprise_without_a_meter_has_no_finding() -> None:
    concern = Concern(LeadKind.OUTPUT_MISMATCH, 0.7, ())
    rows = replace(register().rows, meters=())
    assert findings_of(USCC, MARCH, "d", [concern], Register(rows, ZoneInfo("Asia/Shanghai"))) == []
    (found,) = findings_of(USCC, MARCH, "d", [concern], register())
    assert (found.site, found.finding.night, found.finding.meter) == ("works", MARCH.last, "main")


SODA, SOLID = "caustic_liquid_30", "caustic_solid"
COAL = FuelTotal(FuelUse("raw-coal", Decimal(100), "t"))


def judged(said: Account, **facts: str) -> dict[tuple[str, str], Judged]:
    known = register(trade="C2612", furnace=None, **({"plant": "existing"} | facts))
    return {(one.product, one.metric): one for one in judge_account(said, known, CATALOGUE, "CN-SD")}


def soda(said: Account, **facts: str) -> Judged:
    return judged(said, **facts)[SODA, "comprehensive_energy"]


def test_fuels_that_were_not_told_leave_a_lower_bound() -> None:
    meets = soda(account(74_400, made(SODA, 400)))
    assert (meets.verdict.status, meets.status) == ("meets", "needs_data")
    assert "未报燃料" in meets.reason.zh
    exceeds = soda(account(74_400, made(SODA, 10)))
    assert exceeds.status == "exceeds"
    none_burnt = FuelTotal(FuelUse("raw-coal", Decimal(0), "t"))
    assert soda(account(74_400, made(SODA, 400), fuels=(none_burnt,))).status == "meets"


@pytest.mark.parametrize(
    ("output", "kwh", "word"),
    [
        pytest.param(made(SODA, 400, coverage=0.6), 74_400, "60", id="part_of_the_days"),
        pytest.param(made(SODA, None), 74_400, "矛盾", id="contradictory"),
        pytest.param(made(SODA, 0), 74_400, "为零", id="zero"),
        pytest.param(made(SODA, 400, "m2"), 74_400, "m2", id="another_kind_of_unit"),
        pytest.param(made(SODA, 400), None, "电量", id="no_readings"),
    ],
)
def test_what_is_missing_is_said_and_nothing_is_judged(output: OutputTotal, kwh: float | None, word: str) -> None:
    found = soda(account(kwh, output, fuels=(COAL,)))
    assert (found.status, found.verdict.actual) == ("needs_data", None)
    assert word in found.reason.zh


def test_a_plant_nobody_called_existing_or_new_is_judged_where_both_agree() -> None:
    worse = soda(account(74_400, made(SODA, 100), fuels=(COAL,)), plant="?")
    better = soda(account(74_400, made(SODA, 800), fuels=(COAL,)), plant="?")
    assert (worse.status, better.status) == ("exceeds", "meets")
    between = next(
        found
        for tonnes in range(220, 420, 2)
        if (found := soda(account(74_400, made(SODA, tonnes), fuels=(COAL,)), plant="?")).status == "needs_data"
    )
    assert "plant" in between.reason.zh


def test_missing_readings_and_the_meters_class_make_it_uncertain() -> None:
    plain = soda(account(74_400, made(SODA, 400), fuels=(COAL,)))
    assert plain.verdict.uncertainty is None
    known = soda(account(74_400, made(SODA, 400), fuels=(COAL,), coverage=0.9), meter_class="0.5S").verdict
    share = Decimal("9143.76") / Decimal("80573.76")
    assert known.actual_reported is not None
    assert known.uncertainty == pytest.approx(known.actual_reported * Decimal("0.105") * share, rel=Decimal("0.001"))


def lines(*entries: SiteAccount, kwh: float, **more: Any) -> Account:
    output = tuple(total for entry in entries for total in entry.output)
    whole = SiteAccount("works", "", electricity(kwh))
    steps = tuple(
        AllocationStep(f"m{entry.line}", "works", entry.line, "own", entry.electricity.kwh or Decimal(0), "")
        for entry in entries
    )
    return account(kwh, *output, sites=(whole, *entries), allocation=steps, **more)


def test_products_of_several_lines_are_judged_by_their_own_energy() -> None:
    one = SiteAccount("works", "L1", electricity(40_000), (made(SODA, 100, line="L1"),), (COAL,))
    other = SiteAccount("works", "L2", electricity(34_400), (made(SOLID, 300, line="L2"),), (COAL,))
    fuels = (replace(COAL, line="L1"), replace(COAL, line="L2"))
    found = judged(lines(one, other, kwh=74_400, fuels=fuels))
    soda_line = found[SODA, "comprehensive_energy"]
    assert (soda_line.kwh, soda_line.status) == (Decimal(40_000), "exceeds")
    assert found[SOLID, "comprehensive_energy"].kwh == Decimal(34_400)
    shared = judged(lines(one, other, kwh=80_000, fuels=fuels))
    assert "5600" in shared[SODA, "comprehensive_energy"].at_least[0].zh


def test_products_that_share_their_energy_are_not_divided_by_guess() -> None:
    found = judged(account(74_400, made(SODA, 100), made(SOLID, 100), fuels=(COAL,)))
    assert {one.status for one in found.values()} == {"needs_data"}
    assert all("分摊" in one.reason.zh for one in found.values())


def test_the_whole_plants_electricity_proves_no_excess_of_one_process() -> None:
    found = judged(account(744_000, made("hc_ferrochrome", 100), fuels=(COAL,)), ore_grade_pct="42", cr_fe_ratio="2.4")
    smelting = found["hc_ferrochrome", "smelting_electricity"]
    assert (smelting.verdict.status, smelting.status) == ("exceeds", "needs_data")
    fine = judged(account(7_440, made("hc_ferrochrome", 100), fuels=(COAL,)), ore_grade_pct="42", cr_fe_ratio="2.4")
    assert fine["hc_ferrochrome", "smelting_electricity"].status == "meets"
