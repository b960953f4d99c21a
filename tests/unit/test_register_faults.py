"""Every kind of fault of a register is told with its place, its message and its remedy, and told once."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.domain.codes import uscc_check_character
from tests.support.register_files import USCC, faults_of, save_csv, sheets_with, spoilt

WRONG_CHECK = USCC[:17] + ("A" if USCC[17] != "A" else "B")


@pytest.mark.parametrize(
    ("sheet", "column", "value", "problem", "remedy"),
    [
        pytest.param("enterprises", "uscc", WRONG_CHECK, "check character", "Compare every", id="uscc_check"),
        pytest.param("enterprises", "uscc", USCC[:17], "it has 17", "licence", id="uscc_length"),
        pytest.param("enterprises", "uscc", "O" + USCC[1:], "without I O S V Z", "not the letters", id="uscc_letter_o"),
        pytest.param("furnaces", "furnace", "", "furnace is empty", "Fill it", id="required_cell_is_empty"),
        pytest.param("enterprises", "name", "铸造\u202e厂", "U+202E", "Delete it", id="bidi_character_in_a_name"),
        pytest.param("enterprises", "name", "铸\u200b造", "U+200B", "铸造", id="invisible_character_in_a_name"),
        pytest.param("enterprises", "name", "铸\x07造", "U+0007", "Delete it", id="control_character_in_a_name"),
        pytest.param("enterprises", "name", "厂" * 201, "201 characters", "Shorten", id="name_is_too_long"),
        pytest.param("enterprises", "name", "=HYPERLINK(1)", "formula", "paste it as a value", id="formula_in_csv"),
        pytest.param("enterprises", "trade", "C9999", "GB/T 4754", "C3391", id="trade_division_does_not_exist"),
        pytest.param("enterprises", "trade", "D3391", "GB/T 4754", "C3391", id="trade_letter_of_another_section"),
        pytest.param("enterprises", "trade", "33911", "GB/T 4754", "C3391", id="trade_has_five_digits"),
        pytest.param("enterprises", "status", "停产", "allowed words", "power_cut (断电/停电)", id="status_unknown"),
        pytest.param("enterprises", "status", "关停", "day it was ordered", "2026-03-02", id="closed_without_since"),
        pytest.param(
            "enterprises", "status", "power_cut", "day it was ordered", "Write the day", id="cut_without_since"
        ),
        pytest.param("enterprises", "since", "02/03/2026", "not a date", "year first", id="date_is_not_year_first"),
        pytest.param("enterprises", "since", "2026-02-30", "not a day of the calendar", "Correct", id="no_such_day"),
        pytest.param("enterprises", "since", "2026-3/2", "not a date", "year first", id="date_of_mixed_separators"),
        pytest.param("enterprises", "since", "9999-12-31", "1949 and 2100", "leave the cell empty", id="year_9999"),
        pytest.param("enterprises", "since", "46083", "not a date", "format the cell", id="excel_serial_number"),
        pytest.param("enterprises", "district", "桐庐", "not an id", "name column", id="district_is_not_an_id"),
        pytest.param("meters", "meter", "330124001.0", "decimal number", "330124001", id="id_as_decimal"),
        pytest.param("meters", "meter", "3.30124E+11", "scientific", "from its source", id="id_in_scientific_notation"),
        pytest.param("meters", "meter", "３３０１", "not an id", "half-width characters", id="id_is_full_width"),
        pytest.param("meters", "meter", "a b", "not an id", "Use the number", id="id_with_a_space"),
        pytest.param("meters", "meter", "m" * 65, "64 at most", "Use the number", id="id_is_too_long"),
        pytest.param("meters", "meter", "a/+/b", "not an id", "Use the number", id="id_with_topic_wildcard"),
        pytest.param("meters", "ratio", "400/5", "not a number", "80", id="ratio_as_fraction"),
        pytest.param("meters", "ratio", "1,200", "not a number", "1200", id="thousands_separator"),
        pytest.param("meters", "ratio", "80倍", "not a number", "without the unit", id="number_with_a_unit"),
        pytest.param("meters", "ratio", "１２", "not a number", "12", id="full_width_digits"),
        pytest.param("meters", "ratio", "1_0", "not a number", "digits only", id="python_digits"),
        pytest.param("meters", "ratio", "nan", "not a number", "digits only", id="not_a_number"),
        pytest.param("meters", "ratio", "1e999", "not a number", "digits only", id="infinite"),
        pytest.param("meters", "ratio", "0", "above zero", "Write the value", id="ratio_zero"),
        pytest.param("meters", "ratio", "-1", "above zero", "Write the value", id="ratio_negative"),
        pytest.param("meters", "register_wrap_kwh", "1e13", "at most 1e12", "primary kWh", id="wrap_too_large"),
        pytest.param("meters", "cadence_s", "15", "may be 60, 120", "write 900", id="cadence_in_minutes"),
        pytest.param("meters", "cadence_s", "700", "may be 60, 120", "Write one of them", id="cadence_unknown"),
        pytest.param("meters", "ratio_applied", "也许", "neither yes nor no", "是", id="neither_yes_nor_no"),
        pytest.param("meters", "valid_to", "2024-01-01", "not after valid_from", "leave valid_to", id="validity_empty"),
        pytest.param("meters", "valid_to", "2000-01-01", "not after valid_from", "Correct", id="validity_backwards"),
        pytest.param("meters", "site", "S9", "sites has no S9", "add the row", id="unknown_site"),
        pytest.param("meters", "publisher", "bureau2", "no bureau2", "Meant bureau1?", id="unknown_publisher"),
        pytest.param("meters", "feeder", "X", "feeders has no X", "add the row", id="unknown_feeder"),
        pytest.param("feeders", "meter", "330124001", "no 330124001", "Leading zeros", id="leading_zeros_lost"),
        pytest.param("furnaces", "site", "S9", "sites has no S9", "add the row", id="furnace_at_unknown_site"),
        pytest.param("lines", "site", "S9", "sites has no S9", "add the row", id="line_at_unknown_site"),
        pytest.param("furnaces", "kind", "高炉", "allowed words", "medium_frequency (中频炉", id="furnace_kind"),
        pytest.param("calendar", "band", "", "needs band", "Fill", id="tariff_without_band"),
        pytest.param("calendar", "start", "", "needs start", "Fill", id="tariff_without_start"),
        pytest.param("calendar", "end", "", "needs end", "Fill", id="tariff_without_end"),
        pytest.param("calendar", "day", "2026-10-01", "has no day", "Empty the cell", id="tariff_with_a_day"),
        pytest.param("calendar", "start", "25:00", "not a time", "08:00", id="no_such_time"),
        pytest.param("calendar", "start", "8点", "not a time", "08:00", id="time_in_words"),
        pytest.param("calendar", "start", "08:00", "ends when it starts", "00:00-12:00", id="band_of_no_length"),
        pytest.param("calendar", "band", "高", "allowed words", "sharp (尖/尖峰)", id="band_unknown"),
    ],
)
def test_a_faulty_cell_is_told_once_with_place_and_remedy(
    tmp_path: Path, sheet: str, column: str, value: str, problem: str, remedy: str
) -> None:
    (fault,) = faults_of(save_csv(spoilt(sheet, column, value), tmp_path))
    assert (fault.file, fault.sheet, fault.row) == (f"{sheet}.csv", sheet, 2)
    assert fault.column == ("since" if "day it was ordered" in problem else "end" if "ends when" in problem else column)
    assert problem in fault.problem_en
    assert remedy in fault.remedy_en
    assert fault.problem_zh
    assert fault.remedy_zh


def test_the_good_register_has_no_faults(tmp_path: Path) -> None:
    assert faults_of(save_csv(sheets_with(), tmp_path)) == ()


@pytest.mark.parametrize(
    ("rows", "place", "problem", "remedy"),
    [
        pytest.param(
            [["site", "uscc", "nmae"], ["S1", USCC, "x"]], (1, "nmae"), "no column nmae", "Meant name?", id="typo"
        ),
        pytest.param(
            [["厂区编号", "信用代马"], ["S1", USCC]], (1, "信用代马"), "no column", "Meant uscc?", id="chinese_typo"
        ),
        pytest.param([["site", "name"], ["S1", "x"]], (1, "uscc"), "uscc is missing", "统一社会信用代码", id="missing"),
        pytest.param(
            [["site", "uscc", "厂区"], ["S1", USCC, "S1"]], (1, "厂区"), "there twice", "Keep one", id="twice"
        ),
        pytest.param([["site", "uscc"], ["S1", USCC, "x"]], (2, "C"), "no heading", "quotation marks", id="surplus"),
        pytest.param(
            [["site", "", "uscc"], ["S1", "x", USCC]], (2, "B"), "no heading", "Name the column", id="headless"
        ),
    ],
)
def test_a_faulty_heading_is_told(
    tmp_path: Path, rows: list[list[object]], place: tuple[int, str], problem: str, remedy: str
) -> None:
    faults = [f for f in faults_of(save_csv(sheets_with(sites=rows), tmp_path)) if problem in f.problem_en]
    assert [(f.row, f.column) for f in faults] == [place]
    assert remedy in faults[0].remedy_en


def test_a_file_separated_by_semicolons_is_explained(tmp_path: Path) -> None:
    save_csv(sheets_with(), tmp_path)
    (tmp_path / "sites.csv").write_text(f"site;uscc\nS1;{USCC}\n")
    first = faults_of(tmp_path)[0]
    assert "not separated by commas" in first.problem_en


def test_a_missing_key_column_does_not_break_every_reference(tmp_path: Path) -> None:
    sheets = sheets_with(sites=[["uscc", "name"], [USCC, "x"]])
    (fault,) = faults_of(save_csv(sheets, tmp_path))
    assert "site is missing" in fault.problem_en


def test_a_missing_sheet_is_told_once_per_sheet_that_refers_to_it(tmp_path: Path) -> None:
    sheets = sheets_with()
    sheets["meters"] += [[f"m{i}", "S1", "bureau1", "F12", 80, 900, None, None] for i in range(50)]
    del sheets["publishers"]
    (fault,) = faults_of(save_csv(sheets, tmp_path))
    assert "missing or empty" in fault.problem_en
    assert "publishers.csv" in fault.remedy_en


def test_a_reference_to_a_faulty_row_is_not_a_second_fault(tmp_path: Path) -> None:
    sheets = spoilt("sites", "name", "\u202e")
    assert [f.sheet for f in faults_of(save_csv(sheets, tmp_path))] == ["sites"]


@pytest.mark.parametrize(
    ("written", "problem"), [("9.13301E+17", "not a unified social credit code"), ("", "uscc is empty")]
)
def test_a_lost_key_is_told_before_the_references_it_leaves_open(tmp_path: Path, written: str, problem: str) -> None:
    lost, open_ = faults_of(save_csv(spoilt("enterprises", "uscc", written), tmp_path))
    assert problem in lost.problem_en
    assert (open_.sheet, open_.column) == ("sites", "uscc")


def test_a_row_with_a_faulty_cell_still_has_its_references_and_overlaps_checked(tmp_path: Path) -> None:
    sheets = sheets_with()
    sheets["meters"].append(["0330124001", "S9", "bureau1", "F12", "x", 900, "2025-01-01", None])
    told = [(f.row, f.column) for f in faults_of(save_csv(sheets, tmp_path))]
    assert told == [(3, "ratio"), (3, "meter"), (3, "site")]


@pytest.mark.parametrize(
    ("spans", "overlap"),
    [
        pytest.param([("2024-01-01", "2025-01-01"), ("2025-01-01", None)], False, id="one_ends_as_the_next_begins"),
        pytest.param([("2024-01-01", "2025-01-02"), ("2025-01-01", None)], True, id="one_day_too_long"),
        pytest.param([("2024-01-01", None), ("2025-01-01", None)], True, id="an_open_end"),
        pytest.param([("2025-01-01", None), ("2024-01-01", None)], True, id="in_the_other_order"),
        pytest.param(
            [("2020-01-01", "2030-01-01"), ("2021-01-01", "2022-01-01"), ("2023-01-01", "2024-01-01")],
            True,
            id="two_inside_a_long_one",
        ),
    ],
)
def test_one_id_may_not_be_valid_twice_at_once(
    tmp_path: Path, spans: list[tuple[str, str | None]], overlap: bool
) -> None:
    rows: list[list[object]] = [["F12", valid_from, valid_to] for valid_from, valid_to in spans]
    sheets = sheets_with(feeders=[["feeder", "valid_from", "valid_to"], *rows])
    faults = faults_of(save_csv(sheets, tmp_path))
    assert len(faults) == (len(spans) - 1 if overlap else 0)
    for fault in faults:
        assert "valid twice at once" in fault.problem_en
        assert fault.column == "feeder"


def test_a_reference_must_meet_a_common_day(tmp_path: Path) -> None:
    sheets = sheets_with(publishers=[["publisher", "valid_to"], ["bureau1", "2023-12-31"]])
    (fault,) = faults_of(save_csv(sheets, tmp_path))
    assert "never valid together" in fault.problem_en
    assert (fault.sheet, fault.row, fault.column) == ("meters", 2, "publisher")


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        pytest.param([["节假日", "国庆", "2026-10-01"], ["补班", "", "2026-10-01"]], "already in row 2", id="both"),
        pytest.param([["holiday", "a", "2026-10-01"], ["holiday", "b", "2026-10-01"]], "already in row 2", id="twice"),
        pytest.param([["节假日", "国庆"]], "needs day", id="holiday_without_day"),
        pytest.param([["workday", "x"]], "needs day", id="workday_without_day"),
        pytest.param([["holiday", "x", "2026-10-01", "峰"]], "has no band", id="holiday_with_band"),
        pytest.param(
            [["tariff", "A", "", "谷", "22:00", "8:00"], ["tariff", "A", "", "峰", "7:30", "9:00"]], "overlap", id="h"
        ),
    ],
)
def test_the_calendar_may_not_contradict_itself(tmp_path: Path, rows: list[list[object]], problem: str) -> None:
    head: list[object] = ["kind", "name", "day", "band", "start", "end"]
    (fault,) = faults_of(save_csv(sheets_with(calendar=[head, *rows]), tmp_path))
    assert problem in fault.problem_en


def test_bands_that_touch_and_tariffs_of_other_names_do_not_clash(tmp_path: Path) -> None:
    head: list[object] = ["kind", "name", "band", "start", "end"]
    rows: list[list[object]] = [
        ["tariff", "A", "谷", "22:00", "8:00"],
        ["tariff", "A", "峰", "8:00", "22:00"],
        ["tariff", "B", "平", "7:00", "9:00"],
        ["tariff", "C", "平", "0:00", "12:00"],
        ["tariff", "C", "峰", "12:00", "24:00"],
    ]
    assert faults_of(save_csv(sheets_with(calendar=[head, *rows]), tmp_path)) == ()


def test_not_applied_ratio_must_be_known(tmp_path: Path) -> None:
    sheets = sheets_with(meters=[["meter", "site", "publisher", "ratio_applied"], ["m1", "S1", "bureau1", "否"]])
    (fault,) = faults_of(save_csv(sheets, tmp_path))
    assert fault.column == "ratio"
    assert "ratio is missing" in fault.problem_en


def test_twenty_faults_are_twenty_faults(tmp_path: Path) -> None:
    head: list[object] = ["uscc", "name", "trade", "status"]
    rows: list[list[object]] = []
    for index in range(10):
        body = f"91330122{index:09d}"
        rows.append([body + uscc_check_character(body), "\u202e", "ZZ", "在产"])
    faults = faults_of(
        save_csv(sheets_with(enterprises=[head, *rows], sites=[], meters=[], furnaces=[], lines=[]), tmp_path)
    )
    assert [(f.row, f.column) for f in faults] == [(r, c) for r in range(2, 12) for c in ("name", "trade")]


def test_an_untrusted_value_is_repeated_short_and_without_control_characters(tmp_path: Path) -> None:
    (fault,) = faults_of(save_csv(spoilt("meters", "meter", "\x1b[31m" + "x" * 500), tmp_path))
    assert "\x1b" not in fault.value + fault.problem_en
    assert len(fault.value) <= 80
