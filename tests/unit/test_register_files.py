"""Workbooks and CSV files as offices make them: Chinese headings and words, Excel's dates, its traps."""

from __future__ import annotations

import datetime as dt
import zipfile
from pathlib import Path

import openpyxl
import pytest

from models.domain.register import EnterpriseStatus, FurnaceKind, TariffBand
from monitor.register.importer import read_register
from monitor.register.sources import MAX_INFLATED_BYTES
from tests.support.register_files import USCC, faults_of, save_csv, save_xlsx, sheets_with, spoilt

MIDNIGHT = dt.datetime.fromisoformat("2026-01-02")
MORNING = dt.datetime.fromisoformat("2026-03-02T08:00:00")


def test_chinese_sheets_headings_and_words_are_understood(tmp_path: Path) -> None:
    sheets: dict[str, list[list[object]]] = {
        "企业": [
            ["统一社会信用代码", "企业名称 *", "行业代码", "生产状态", "状态起始日期"],
            [USCC.lower(), " 某某铸造 ", 3391, "关停", MIDNIGHT],
        ],
        "厂区": [["厂区编号", "信用代码"], ["S1", USCC]],
        "电表": [
            ["电表资产号", "厂区", "数据源", "倍率", "已乘倍率", "采集周期（秒）", "合同容量(kVA)", "生效日期"],
            [330124001, "S1", "bureau1", "80", "否", 900, 630, "2024年3月1日"],
        ],
        "炉": [["炉号", "厂区", "炉型"], ["L1", "S1", "中频炉"]],
        "数据源": [["数据源", "可修订"], ["bureau1", "是"]],
        "日历": [
            ["类型", "名称", "时段", "开始时间", "结束时间"],
            ["分时电价", "大工业", "深谷", dt.time(22), "24:00"],
        ],
        "说明": [["随便写"]],
    }
    rows = read_register(save_xlsx(sheets, tmp_path / "登记簿.xlsx"))
    assert rows.enterprises[0].uscc == USCC
    assert rows.enterprises[0].name == "某某铸造"
    assert rows.enterprises[0].trade == "3391"
    assert rows.enterprises[0].status is EnterpriseStatus.CLOSED
    assert rows.enterprises[0].since == dt.date(2026, 1, 2)
    meter = rows.meters[0]
    assert (meter.meter, meter.ratio, meter.ratio_applied, meter.contract_kva) == ("330124001", 80.0, False, 630.0)
    assert meter.valid_from == dt.date(2024, 3, 1)
    assert rows.furnaces[0].kind is FurnaceKind.MEDIUM_FREQUENCY
    assert rows.publishers[0].may_revise is True
    assert (rows.calendar[0].band, rows.calendar[0].end) == (TariffBand.DEEP_VALLEY, dt.time())


@pytest.mark.parametrize(
    "written",
    ["2026-03-02", "2026-3-2", "2026/3/2", "2026.3.2", "2026年3月2日", "20260302", dt.date(2026, 3, 2), 20260302],
)
def test_dates_are_read_year_first(tmp_path: Path, written: object) -> None:
    rows = read_register(save_xlsx(spoilt("enterprises", "since", written), tmp_path / "r.xlsx"))
    assert rows.enterprises[0].since == dt.date(2026, 3, 2)


@pytest.mark.parametrize(
    ("written", "read"),
    [("是", True), ("否", False), ("TRUE", True), (False, False), (1, True), (0, False), ("No", False)],
)
def test_yes_and_no(tmp_path: Path, written: object, read: bool) -> None:
    rows = read_register(save_xlsx(spoilt("publishers", "may_revise", written), tmp_path / "r.xlsx"))
    assert rows.publishers[0].may_revise is read


@pytest.mark.parametrize(
    ("sheet", "column", "value", "problem"),
    [
        pytest.param("meters", "ratio", "=2*40", "holds a formula", id="formula"),
        pytest.param("enterprises", "name", "#REF!", "shows the error #REF!", id="error_value"),
        pytest.param("enterprises", "uscc", 913301221234567890, "more than 15 digits", id="digits_lost"),
        pytest.param("lines", "line", 12.5, "not a code", id="decimal_id"),
        pytest.param("enterprises", "trade", 111, "lost a leading zero", id="trade_lost_a_zero"),
        pytest.param("lines", "product", MIDNIGHT, "holds a date", id="date_for_text"),
        pytest.param("enterprises", "since", MORNING, "not a date", id="date_with_a_time"),
        pytest.param("enterprises", "since", 46083.5, "not a date", id="serial_number"),
        pytest.param("meters", "ratio", True, "not a number", id="boolean_for_a_number"),
        pytest.param("calendar", "start", 0.5, "not a time", id="fraction_of_a_day"),
        pytest.param("publishers", "may_revise", 2, "neither yes nor no", id="two_is_not_a_boolean"),
    ],
)
def test_traps_of_a_spreadsheet_are_explained(
    tmp_path: Path, sheet: str, column: str, value: object, problem: str
) -> None:
    faults = faults_of(save_xlsx(spoilt(sheet, column, value), tmp_path / "r.xlsx"))
    assert problem in faults[0].problem_en
    assert (faults[0].file, faults[0].sheet, faults[0].row, faults[0].column) == ("r.xlsx", sheet, 2, column)


def test_a_number_shown_with_leading_zeros_is_not_taken_for_its_digits(tmp_path: Path) -> None:
    path = save_xlsx(spoilt("meters", "meter", 330124001), tmp_path / "r.xlsx")
    book = openpyxl.load_workbook(path)
    book["meters"]["A2"].number_format = "0000000000"
    book.save(path)
    (fault,) = faults_of(path)
    assert fault.value == "0330124001"
    assert "leading zeros are not stored" in fault.problem_en
    assert "type 0330124001" in fault.remedy_en


def test_a_number_formatted_as_an_impossible_date_is_a_fault(tmp_path: Path) -> None:
    path = save_xlsx(spoilt("enterprises", "since", 1e10), tmp_path / "r.xlsx")
    book = openpyxl.load_workbook(path)
    book["enterprises"]["E2"].number_format = "yyyy-mm-dd"
    book.save(path)
    (fault,) = faults_of(path)
    assert (fault.row, fault.column) == (2, "since")
    assert "#VALUE!" in fault.problem_en


def test_merged_cells_are_a_fault(tmp_path: Path) -> None:
    path = save_xlsx(sheets_with(), tmp_path / "r.xlsx")
    book = openpyxl.load_workbook(path)
    book["sites"].merge_cells("E5:F6")
    book["lines"].merge_cells("A9:A12")
    book.save(path)
    assert [(f.sheet, f.value) for f in faults_of(path)] == [("sites", "E5:F6"), ("lines", "A9:A12")]


def test_rows_are_counted_as_the_spreadsheet_shows_them(tmp_path: Path) -> None:
    sheets = sheets_with(publishers=[["publisher"], [None], ["## 说明"], ["bureau1"], [None], ["a b"]])
    assert [(f.sheet, f.row) for f in faults_of(save_xlsx(sheets, tmp_path / "r.xlsx"))] == [("publishers", 6)]
    assert [(f.sheet, f.row) for f in faults_of(save_csv(sheets, tmp_path / "csv"))] == [("publishers", 6)]


def test_an_unknown_sheet_is_a_fault_unless_it_is_empty(tmp_path: Path) -> None:
    sheets = sheets_with(metres=[["x"]], Sheet1=[])
    (fault,) = faults_of(save_xlsx(sheets, tmp_path / "r.xlsx"))
    assert fault.sheet == "metres"
    assert "Meant meters?" in fault.remedy_en


def test_a_sheet_under_two_names_is_a_fault(tmp_path: Path) -> None:
    (fault,) = faults_of(save_xlsx(sheets_with(厂区=[["site"]]), tmp_path / "r.xlsx"))
    assert "there twice" in fault.problem_en


def test_an_unknown_csv_file_is_a_fault_and_other_files_are_not(tmp_path: Path) -> None:
    save_csv(sheets_with(), tmp_path)
    (tmp_path / "furnace.csv").write_text("x\n")
    (tmp_path / "README.txt").write_text("x\n")
    (fault,) = faults_of(tmp_path)
    assert fault.file == "furnace.csv"
    assert "Meant furnaces?" in fault.remedy_en


def test_gb18030_is_read_on_request_only(tmp_path: Path) -> None:
    save_csv(sheets_with(), tmp_path, encoding="gb18030")
    faults = faults_of(tmp_path)
    assert "not utf-8" in faults[0].problem_en
    assert "--encoding gb18030" in faults[0].remedy_en
    assert read_register(tmp_path, encoding="gb18030").enterprises[0].name == "某某铸造有限公司"


def test_a_byte_order_mark_is_no_part_of_the_first_heading(tmp_path: Path) -> None:
    assert faults_of(save_csv(sheets_with(), tmp_path, encoding="utf-8-sig")) == ()


def test_an_unknown_encoding_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="utf-8 or gb18030"):
        read_register(tmp_path, encoding="utf-16")


def test_a_broken_quotation_names_its_row_and_spares_the_rest(tmp_path: Path) -> None:
    save_csv(sheets_with(), tmp_path)
    (tmp_path / "sites.csv").write_text(f'site,uscc,name\nS1,{USCC},"a"b\n')
    (fault,) = faults_of(tmp_path)
    assert (fault.file, fault.row) == ("sites.csv", 2)
    assert "quotation marks" in fault.remedy_en


def test_a_nul_byte_is_a_fault_not_a_crash(tmp_path: Path) -> None:
    save_csv(sheets_with(), tmp_path)
    (tmp_path / "lines.csv").write_bytes(b"line,site\nX\x001,S1\n")
    assert len(faults_of(tmp_path)) == 1


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"not a zip", id="text"),
        pytest.param(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\x00" * 600, id="password_or_old_format"),
    ],
)
def test_a_file_that_is_no_workbook_is_a_fault(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "r.xlsx"
    path.write_bytes(content)
    (fault,) = faults_of(path)
    assert "not a readable XLSX workbook" in fault.problem_en


def test_a_damaged_sheet_is_a_fault(tmp_path: Path) -> None:
    whole = save_xlsx(sheets_with(), tmp_path / "r.xlsx")
    cut = tmp_path / "cut.xlsx"
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(cut, "w") as target:
        for entry in source.namelist():
            body = source.read(entry)
            target.writestr(entry, body[: len(body) // 2] if entry.endswith("sheet3.xml") else body)
    faults = faults_of(cut)
    assert [(f.sheet, "not a readable" in f.problem_en) for f in faults] == [("meters", True)]


def test_a_workbook_that_unpacks_to_too_much_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save_xlsx(sheets_with(), tmp_path / "r.xlsx")
    assert MAX_INFLATED_BYTES >= 1 << 29
    monkeypatch.setattr("monitor.register.sources.MAX_INFLATED_BYTES", 1000)
    (fault,) = faults_of(path)
    assert "unpacks to" in fault.problem_en


def test_an_old_xls_or_a_single_csv_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "meters.csv"
    path.write_text("meter\n")
    (fault,) = faults_of(path)
    assert "directory of CSV files" in fault.problem_en


def test_a_directory_without_csv_files_is_a_fault(tmp_path: Path) -> None:
    (fault,) = faults_of(tmp_path)
    assert "no CSV file" in fault.problem_en


def test_nothing_there_is_the_callers_to_handle(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_register(tmp_path / "nothing.xlsx")
