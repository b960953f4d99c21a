"""What statements add up to, how shared meters are divided, which heats are odd, and files of output."""

from __future__ import annotations

import datetime as dt
import itertools
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter  # type: ignore[import-untyped]

from models.domain.accounts import GapKind, MeterEnergy, OutputTotal, Period
from models.domain.production import HeatReport, OutputReport
from models.domain.register import Allocation, AllocationBasis, Furnace, FurnaceKind
from monitor.accounts.allocation import Part, divided
from monitor.accounts.heats import heats_of
from monitor.accounts.importer import read_file
from monitor.accounts.output import Production, production_of
from monitor.accounts.registers import Stretch
from monitor.register.faults import RegisterFaults
from tests.support.plant import MARCH, ZONE

LINES = {"L1": "S", "L2": "S"}


def report(quantity: str, *, first: int = 1, last: int = 31, **more: Any) -> OutputReport:
    about = {} if more.keys() & {"site", "uscc"} else {"line": "L1"}
    whole = {"publisher": "p", "product": "clinker", "unit": "t", "quantity": Decimal(quantity), **about, **more}
    return OutputReport(first=dt.date(2026, 3, first), last=dt.date(2026, 3, last), **whole)


def production(*reports: OutputReport) -> Production:
    found = [production_of(order, MARCH, LINES) for order in itertools.islice(itertools.permutations(reports), 24)]
    assert all(one == found[0] for one in found)
    return found[0]


def quantity_of(found: Production) -> tuple[Decimal | None, Decimal]:
    (total,) = found.total
    return total.quantity, total.coverage


def kinds(found: Production) -> list[GapKind]:
    return [gap.kind for gap in found.gaps]


def test_parts_of_a_month_add_up_and_the_days_they_cover_are_told() -> None:
    assert quantity_of(production(report("10", last=10), report("5.5", first=11, last=20))) == (
        Decimal("15.5"),
        Decimal("0.645161"),
    )


def test_a_months_closing_counts_over_its_days() -> None:
    found = production(report("100"), report("3", last=1), report("4", first=2, last=2))
    assert quantity_of(found) == (Decimal(100), Decimal(1))
    assert not any(gap.lowers for gap in found.gaps)


def test_reports_that_overlap_in_part_are_not_mixed() -> None:
    found = production(report("100", last=20), report("50", first=15, last=31))
    assert found.total[0].quantity == Decimal(100)
    assert kinds(found) == [GapKind.OUTPUT_OVERLAP]
    assert found.gaps[0].lowers


def test_a_report_beyond_the_period_is_not_divided() -> None:
    beyond = OutputReport(
        publisher="p",
        line="L1",
        product="clinker",
        unit="t",
        quantity=Decimal(9),
        first=dt.date(2026, 2, 20),
        last=MARCH.first,
    )
    found = production(report("100"), beyond)
    assert quantity_of(found) == (Decimal(100), Decimal(1))
    assert kinds(found) == [GapKind.STRADDLES]


def test_units_of_one_kind_add_up_and_others_leave_the_sum_unknown() -> None:
    assert production(report("1"), report("500", unit="kg", line="L2")).total[0].quantity == Decimal("1.5")
    found = production(report("1"), report("500", unit="m3", line="L2"))
    assert found.total[0].quantity is None
    assert kinds(found) == [GapKind.OUTPUT_UNIT]


def test_the_sites_own_statement_counts_over_its_lines() -> None:
    found = production(report("60"), report("50", line="L2"), report("100", site="S"))
    assert found.total[0].quantity == Decimal(100)
    assert kinds(found) == [GapKind.OUTPUT_OVERLAP]
    assert "110" in found.gaps[0].en
    assert kinds(production(report("60"), report("40", line="L2"), report("100", site="S"))) == []


def test_a_higher_revision_settles_and_the_publisher_does_not_matter() -> None:
    found = production(report("1"), report("2", publisher="q"), report("3", rev=2), report("2.5", rev=1))
    assert quantity_of(found)[0] == Decimal(3)
    assert production(report("1"), report("1.0", publisher="q")).gaps == ()


def part(meter: str, kwh: int | None, *rows: Allocation, site: str = "S") -> Part:
    stretch = Stretch(meter=meter, site=site, first=MARCH.first, end=MARCH.end, first_ms=0, end_ms=1000)
    known = None if kwh is None else Decimal(kwh)
    return Part(stretch, MeterEnergy(meter, site, known, Decimal(kwh is not None)), rows)


def made(line: str, quantity: str, unit: str = "t") -> dict[tuple[str, str], list[OutputTotal]]:
    return {("S", line): [OutputTotal("clinker", Decimal(quantity), unit, Decimal(1))]}


BY_OUTPUT = [Allocation(meter="m", line=line, basis=AllocationBasis.OUTPUT) for line in LINES]
BY_KWH = [Allocation(meter="m", line=line, basis=AllocationBasis.KWH) for line in LINES]


def test_a_shared_meter_is_divided_by_output_to_the_last_watt_hour() -> None:
    division = divided([part("m", 100, *BY_OUTPUT)], LINES, made("L1", "1") | made("L2", "2000", "kg"))
    assert division.kwh["S", "L1"] == Decimal("33.333")
    assert division.kwh["S", "L2"] == Decimal("66.667")
    assert division.kwh["S", ""] == 0


def test_a_shared_meter_is_divided_by_what_the_lines_have_of_their_own() -> None:
    own = [part("a", 30, Allocation(meter="a", line="L1")), part("b", 90, Allocation(meter="b", line="L2"))]
    division = divided([part("m", 40, *BY_KWH), *own], LINES, {})
    assert (division.kwh["S", "L1"], division.kwh["S", "L2"]) == (Decimal(40), Decimal(120))


@pytest.mark.parametrize("outputs", [{}, made("L1", "5"), made("L1", "5") | made("L2", "5", "m3")])
def test_what_has_no_key_stays_with_the_site(outputs: dict[tuple[str, str], list[OutputTotal]]) -> None:
    division = divided([part("m", 40, *BY_OUTPUT)], LINES, outputs)
    assert division.kwh == {("S", ""): Decimal(40)}
    assert [gap.kind for gap in division.gaps] == [GapKind.UNALLOCATED]


def test_a_meter_behind_another_counts_once_even_on_another_site() -> None:
    tenant = part("t", 25, Allocation(meter="t", within="m"), site="T")
    division = divided([part("m", 100), tenant], LINES, {})
    assert division.kwh == {("S", ""): Decimal(75), ("T", ""): Decimal(25)}
    unknown = part("t", None, Allocation(meter="t", within="m"))
    assert divided([part("m", 100), unknown], LINES, {}).kwh == {("S", ""): Decimal(100)}


FURNACE = Furnace(furnace="F", site="S", kind=FurnaceKind.MEDIUM_FREQUENCY, capacity_t=3.0, rated_kw=2000.0)


def heat(hour: int, **more: Any) -> HeatReport:
    start_ms = 1772294400000 + hour * 3_600_000
    numbers = {"energy_kwh": Decimal(1200), "charged_t": Decimal("2.1"), "tapped_t": Decimal(2)}
    whole: dict[str, Any] = (
        {"publisher": "p", "furnace": "F", "start_ms": start_ms, "end_ms": start_ms + 3_600_000} | numbers | more
    )
    return HeatReport(**whole)


@pytest.mark.parametrize(
    ("change", "flag"),
    [
        pytest.param({"tapped_t": Decimal("2.15")}, "yield", id="more_out_than_in"),
        pytest.param({"energy_kwh": Decimal(700)}, "energy_low", id="too_little_to_melt"),
        pytest.param({"energy_kwh": Decimal(2500)}, "energy_high", id="too_much"),
        pytest.param(
            {"charged_t": Decimal(5), "tapped_t": Decimal(4), "energy_kwh": Decimal(2400)}, "overfull", id="full"
        ),
        pytest.param({"end_ms": 1772294400000 + 900_000}, "power", id="beyond_the_rating"),
        pytest.param({"end_ms": 1772294400000 + 2 * 3_600_000}, "overlap", id="overlap"),
    ],
)
def test_odd_heats_are_flagged_and_left_out(change: dict[str, Any], flag: str) -> None:
    found, gaps = heats_of([heat(0, **change), heat(1), heat(5)], {"F": FURNACE}, MARCH)
    assert flag in found.lines[0].flags
    assert found.groups[0].kwh_per_tapped_t == Decimal("600.0")
    assert [gap.kind for gap in gaps] == [GapKind.HEAT_ODD]


def test_rolling_energy_forgets_the_oldest_heats_and_products_are_told_apart() -> None:
    old = [heat(hour, energy_kwh=Decimal(1600), product="A") for hour in range(10)]
    new = [heat(10 + hour, product="B") for hour in range(30)]
    found, _ = heats_of([*new, *old], {"F": FURNACE}, MARCH)
    assert found.lines[9].rolling_kwh_per_tapped_t == Decimal("800.0")
    assert found.lines[-1].rolling_kwh_per_tapped_t == Decimal("600.0")
    by_product = {(group.furnace, group.product): group.kwh_per_tapped_t for group in found.groups}
    assert by_product["", "A"] == Decimal("800.0")
    assert by_product["F", "B"] == Decimal("600.0")
    assert by_product["", ""] == Decimal("650.0")


def test_contradicting_heats_are_shown_without_numbers() -> None:
    found, (gap,) = heats_of([heat(0), heat(0, energy_kwh=Decimal(1300))], {"F": FURNACE}, MARCH)
    assert [(line.energy_kwh, line.flags) for line in found.lines] == [(None, ("conflict",))]
    assert gap.kind is GapKind.HEAT_CONFLICT


def test_a_workbook_with_chinese_headings_becomes_messages(tmp_path: Path) -> None:
    path = tmp_path / "三月.xlsx"
    sheets: dict[str, list[list[object]]] = {
        "产量": [
            ["生产线", "起始日期", "截止日期", "产品", "产量（吨）", "单位"],
            ["L1", "2026-03-01", "2026年3月31日", "clinker", 0.1, "t"],
        ],
        "能源": [
            ["厂区", "起始日期", "截止日期", "能源品种", "消耗量", "单位"],
            ["S", "2026-03-01", "2026-03-31", "coke", 5, "t"],
            ["S", "2026-03-01", "2026-03-31", "diesel", 7, "kg"],
        ],
        "炉次": [["炉号", "开始时间", "结束时间", "电量"], ["F1", "2026-03-01 8:00", "2026-03-01 9:10", 1210.5]],
    }
    with xlsxwriter.Workbook(str(path)) as book:
        for name, rows in sheets.items():
            sheet = book.add_worksheet(name)
            for number, row in enumerate(rows):
                sheet.write_row(number, 0, row)
    output, heats = read_file(path, ZONE)
    assert (output.topic, heats.topic) == ("output", "furnace")
    rows = json.loads(output.payload, parse_float=Decimal)["outputs"]
    assert (rows[0]["quantity"], rows[0]["to"]) == (Decimal("0.1"), "2026-03-31")
    assert [fuel["fuel"] for fuel in rows[1]["fuels"]] == ["coke", "diesel"]
    assert json.loads(heats.payload)["heats"][0]["start"] == "2026-03-01T08:00:00+08:00"
    assert output.places == ("三月.xlsx 产量 2", "三月.xlsx 能源 2")


def test_every_fault_of_a_file_names_its_cell(tmp_path: Path) -> None:
    path = tmp_path / "output.csv"
    path.write_text("line,site,from,to,quantity,colour\nL1,S,2026-03-01,,1e,red\n", encoding="utf-8")
    with pytest.raises(RegisterFaults) as caught:
        read_file(path, ZONE)
    assert [(fault.row, fault.column) for fault in caught.value.faults] == [
        (1, "colour"),
        (2, "to"),
        (2, "quantity"),
        (2, ""),
        (2, ""),
    ]


@pytest.mark.parametrize("text", ["2026-03", "2026-Q1", "2026", "2026-03-05..2026-04-04"])
def test_periods_are_written_as_they_are_read(text: str) -> None:
    assert Period.parse(text).name == text


@pytest.mark.parametrize("text", ["2026-13", "2026-Q5", "03-2026", "2026-03-05..2026-03-04", ""])
def test_what_is_no_period_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="period"):
        Period.parse(text)
