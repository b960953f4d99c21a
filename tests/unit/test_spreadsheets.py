"""Exports: what a spreadsheet makes of them, above all nothing that runs."""

from __future__ import annotations

import csv
import datetime as dt
from pathlib import Path

import openpyxl
import pytest

from monitor import spreadsheets
from monitor.spreadsheets import TooManyRows, csv_table, xlsx_table

HOSTILE = ("=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "\0x")
STAMP = dt.datetime(2026, 1, 21, 8, 15, tzinfo=dt.timezone(dt.timedelta(hours=8)))


def test_text_that_would_begin_a_formula_gets_a_quote_in_csv(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    with csv_table(path, ["文字", "数"]) as write:
        for text in HOSTILE:
            write((text, -1.5))
        write(("平常 a=b", 3))
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["文字", "数"]
    assert [row[0] for row in rows[1:]] == [*(f"'{text}" for text in HOSTILE), "平常 a=b"]
    assert [row[1] for row in rows[1:]] == ["-1.5"] * len(HOSTILE) + ["3"]


def test_csv_opens_in_excel_with_its_chinese(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    with csv_table(path, ["企业"]) as write:
        write((None,))
        write((float("nan"),))
        write((STAMP,))
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    assert path.read_text(encoding="utf-8-sig").splitlines()[1:] == ['""', '""', "2026-01-21T08:15:00+08:00"]


def test_xlsx_holds_text_as_text_and_numbers_as_numbers(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    with xlsx_table(path, ["文字", "数", "空"], title="线索") as write:
        for text in ("=1+1", "+1", "-1", "@SUM(A1)", "91330100000000001X", "330124001"):
            write((text, 0.25, None))
    sheet = openpyxl.load_workbook(path)["线索"]
    cells = [(row[0].value, row[0].data_type, row[1].value, row[1].data_type) for row in sheet.iter_rows(min_row=2)]
    assert [cell[0] for cell in cells[:4]] == ["'=1+1", "'+1", "'-1", "'@SUM(A1)"]
    assert {cell[1] for cell in cells} == {"s"}
    assert {cell[2:] for cell in cells} == {(0.25, "n")}
    assert sheet.freeze_panes == "A2"


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    def half() -> None:
        with csv_table(tmp_path / "a.csv", ["x"]) as write:
            write((1,))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        half()
    assert list(tmp_path.iterdir()) == []


def test_more_rows_than_a_sheet_holds_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spreadsheets, "MAX_XLSX_ROWS", 2)

    def three() -> None:
        with xlsx_table(tmp_path / "a.xlsx", ["x"], title="x") as write:
            for number in range(3):
                write((number,))

    with pytest.raises(TooManyRows, match="csv or parquet"):
        three()
    assert list(tmp_path.iterdir()) == []
