"""A register written as the files it can be read from: a directory of CSV or one XLSX workbook."""

from __future__ import annotations

import csv
import datetime as dt
import re
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Final

import xlsxwriter  # type: ignore[import-untyped]  # ships no types

from models.domain.register import Dated, RegisterRows
from monitor.register.columns import SPECS, SheetSpec

_FORMULA_LIKE: Final = re.compile(r"'*[=+\-@]")

_XLSX_DIGITS: Final = 16
"""Significant digits of a number in a workbook; one that needs more is written as text, which reads back exactly."""


def write_csv(rows: RegisterRows, directory: Path) -> list[Path]:
    """One UTF-8 CSV file a sheet, headed by field names; they read back as the same rows. Replaces what is there."""
    directory.mkdir(parents=True, exist_ok=True)
    paths = []
    for spec in SPECS.values():
        path = directory / f"{spec.name}.csv"
        with path.open("w", encoding="utf-8-sig", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(column.name for column in spec.columns)
            for row in getattr(rows, spec.name):
                writer.writerow("" if cell is None else str(cell) for cell in _cells(spec, row))
        paths.append(path)
    return paths


def write_xlsx(rows: RegisterRows, path: Path) -> Path:
    """One workbook with a sheet each, headed by field names; text is stored as text, never as a formula (rule W6)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {"constant_memory": True, "strings_to_formulas": False}
    with path.open("wb") as stream, xlsxwriter.Workbook(stream, options) as book:
        for spec in SPECS.values():
            sheet = book.add_worksheet(spec.name)
            for index, column in enumerate(spec.columns):
                sheet.write_string(0, index, column.name)
            for number, row in enumerate(getattr(rows, spec.name), start=1):
                for index, cell in enumerate(_cells(spec, row)):
                    if isinstance(cell, int | float) and float(f"{cell:.{_XLSX_DIGITS}g}") == cell:
                        sheet.write_number(number, index, cell)
                    elif cell is not None:
                        sheet.write_string(number, index, str(cell))
    return path


def _cells(spec: SheetSpec, row: Dated) -> Iterator[str | int | float | None]:
    for column in spec.columns:
        value = getattr(row, column.name)
        yield None if value is None or value == "" else _cell(value)


def _cell(value: object) -> str | int | float:
    match value:
        case bool():
            return "是" if value else "否"
        case StrEnum():
            return value.value
        case int() | float():
            return value
        case dt.time():
            return value.isoformat("seconds")
        case dt.date():
            return value.isoformat()
        case _:
            text = str(value)
            return f"'{text}" if _FORMULA_LIKE.match(text) else text
