"""The template is empty, explained, reads back as it is and is filled in where its columns say."""

from __future__ import annotations

import csv
from pathlib import Path

import openpyxl
import pytest

from models.domain.register import RegisterRows
from monitor.register.columns import SPECS, headings
from monitor.register.importer import read_register
from monitor.register.parse import parse_sheet
from monitor.register.sources import RawSheet
from monitor.register.template import WORKBOOK_NAME, write_template
from tests.support.register_files import SHEETS


def test_a_template_reads_back_as_an_empty_register(tmp_path: Path) -> None:
    written = write_template(tmp_path / "both")
    assert [path.name for path in written] == [*(f"{name}.csv" for name in SPECS), WORKBOOK_NAME]
    assert read_register(tmp_path / "both") == RegisterRows()
    assert read_register(tmp_path / "both" / WORKBOOK_NAME) == RegisterRows()
    write_template(tmp_path / "csv", xlsx=False)
    assert read_register(tmp_path / "csv") == RegisterRows()


def test_a_template_is_filled_in_as_csv(tmp_path: Path) -> None:
    write_template(tmp_path)
    for name, (head, *rows) in SHEETS.items():
        with (tmp_path / f"{name}.csv").open("a", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, [column.name for column in SPECS[name].columns])
            writer.writerows(dict(zip(map(str, head), row, strict=True)) for row in rows)
    rows_read = read_register(tmp_path)
    assert rows_read.meters[0].meter == "0330124001"
    assert len(rows_read.calendar) == 1


def test_a_template_is_filled_in_as_a_workbook_and_found_beside_its_empty_csv_files(tmp_path: Path) -> None:
    *_, path = write_template(tmp_path)
    book = openpyxl.load_workbook(path)
    for name, (head, *rows) in SHEETS.items():
        sheet = book[SPECS[name].label_zh]
        place = [column.name for column in SPECS[name].columns]
        for number, row in enumerate(rows, start=2):
            for column, value in zip(head, row, strict=True):
                sheet.cell(number, place.index(str(column)) + 1).value = value  # type: ignore[assignment]  # cells of the test data
    book.save(path)
    assert read_register(tmp_path) == read_register(path)
    assert read_register(path).meters[0].meter == "0330124001"


def test_every_heading_means_one_column() -> None:
    for spec in SPECS.values():
        words = [word for column in spec.columns for word in {column.name, column.label_zh, *column.aliases}]
        assert len(headings(spec)) == len(words), spec.name


@pytest.mark.parametrize("name", list(SPECS))
def test_the_examples_of_the_template_are_valid(name: str) -> None:
    spec = SPECS[name]
    row = [column.example if column.name != "day" else "" for column in spec.columns]
    rows = iter([(1, [column.label_zh for column in spec.columns]), (2, row)])
    parsed = parse_sheet(RawSheet(spec, "example", name, rows))
    assert parsed.faults == []
    assert len(parsed.rows) == 1


@pytest.mark.parametrize("name", list(SPECS))
def test_every_word_the_template_offers_can_be_read(name: str) -> None:
    for column in SPECS[name].columns:
        for word in column.choices:
            assert column.read(word) is not None


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "meters.csv").write_text("mine")
    with pytest.raises(FileExistsError, match=r"meters\.csv"):
        write_template(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["meters.csv"]
    assert (tmp_path / "meters.csv").read_text() == "mine"
