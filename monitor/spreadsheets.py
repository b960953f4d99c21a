"""Tables for people with a spreadsheet: CSV and XLSX, row by row, in which no text can become a formula (rule W6)."""

from __future__ import annotations

import contextlib
import csv
import datetime as dt
import math
import os
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Final

from monitor.storage import sync_directory

Cell = str | int | float | Decimal | dt.date | None
WriteRow = Callable[[Sequence[Cell]], None]

MAX_XLSX_ROWS: Final = 1_048_575
"""Rows a sheet holds below its heading."""

_DANGEROUS: Final = ("=", "+", "-", "@", "\t", "\r", "\0")
_CSV_BUFFER: Final = 1 << 20


class TooManyRows(ValueError):  # noqa: N818 - reads as the condition it names
    """More rows than a worksheet holds."""


def harmless(text: str) -> str:
    """Text that a spreadsheet shows as it is: a leading quote where it would begin a formula."""
    return f"'{text}" if text.startswith(_DANGEROUS) else text


@contextlib.contextmanager
def csv_table(path: Path, headings: Sequence[str]) -> Iterator[WriteRow]:
    """A CSV file in UTF-8 with a byte order mark, so that Excel reads Chinese; appears whole or not at all.

    Numbers are written as numbers, decimals digit by digit, times in RFC 3339, None and NaN as empty cells.
    """
    with (
        written_beside(path) as part,
        part.open("w", encoding="utf-8-sig", newline="", buffering=_CSV_BUFFER) as file,
    ):
        writer = csv.writer(file)
        writer.writerow([harmless(heading) for heading in headings])
        yield lambda row: writer.writerow([_digits(cell) for cell in row])


@contextlib.contextmanager
def xlsx_table(path: Path, headings: Sequence[str], *, title: str, widths: Sequence[int] = ()) -> Iterator[WriteRow]:
    """A workbook of one sheet, its heading frozen; numbers are numeric cells, everything else is typed as text.

    Written in constant memory; appears whole or not at all. Raises TooManyRows beyond what a sheet holds.
    """
    import xlsxwriter  # type: ignore[import-untyped]

    with written_beside(path) as part:
        options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
        with xlsxwriter.Workbook(str(part), options) as book:
            sheet = book.add_worksheet(title)
            bold = book.add_format({"bold": True})
            sheet.freeze_panes(1, 0)
            for column, width in enumerate(widths):
                sheet.set_column(column, column, width)
            for column, heading in enumerate(headings):
                sheet.write_string(0, column, harmless(heading), bold)
            number = 0

            def write(row: Sequence[Cell]) -> None:
                nonlocal number
                number += 1
                if number > MAX_XLSX_ROWS:
                    raise TooManyRows(
                        f"一张工作表最多 {MAX_XLSX_ROWS} 行，请缩短时间或改用 csv、parquet。"
                        f"A sheet holds {MAX_XLSX_ROWS} rows: ask for less, or take csv or parquet."
                    )
                for column, cell in enumerate(row):
                    plain = _plain(cell)
                    if isinstance(plain, str):
                        if plain:
                            sheet.write_string(number, column, plain)
                    else:
                        sheet.write_number(number, column, plain)

            yield write


def _plain(cell: Cell) -> str | int | float:
    match cell:
        case None:
            return ""
        case str():
            return harmless(cell)
        case float():
            return cell if math.isfinite(cell) else ""
        case int():
            return cell
        case Decimal():
            return float(cell)
        case _:
            return cell.isoformat()


def _digits(cell: Cell) -> str | int | float:
    """A cell of a CSV file: a decimal keeps every digit, and is no text that needs a guard."""
    return format(cell, "f") if isinstance(cell, Decimal) and cell.is_finite() else _plain(cell)


@contextlib.contextmanager
def written_beside(path: Path) -> Iterator[Path]:
    """A name beside the file; on success it is synced and takes the file's name, else it is removed."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(path)
        sync_directory(path.parent)
    finally:
        part.unlink(missing_ok=True)
