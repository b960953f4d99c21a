"""A register from files: every cell checked, every fault reported at once, rows in canonical order."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from models.domain.register import Register, RegisterRows
from monitor.register.checks import check_rows
from monitor.register.columns import SPECS
from monitor.register.faults import Bilingual, CellFault, RegisterFaults
from monitor.register.parse import ParsedSheet, parse_sheet
from monitor.register.snapshot import rows_from_json, rows_to_json, version_of
from monitor.register.sources import RawSheet, SourceError, csv_sheets, has_rows, sheet_fault, xlsx_sheets

__all__ = ["ENCODINGS", "CellFault", "RegisterFaults", "load_register", "read_register"]

ENCODINGS: Final = ("utf-8", "gb18030")
"""Encodings of CSV files; the second only on request, since it can read almost any bytes as something."""


def read_register(path: Path, *, encoding: str = "utf-8") -> RegisterRows:
    """The rows of an XLSX workbook or a directory of CSV files, checked, in canonical order.

    Raises RegisterFaults with every fault, FileNotFoundError where there is nothing, OSError where it cannot be read,
    and ValueError for an encoding that is not one of ENCODINGS.
    """
    if encoding not in ENCODINGS:
        raise ValueError(f"encoding {encoding!r} is not known; it may be {' or '.join(ENCODINGS)}")
    if path.is_dir():
        book = _workbook_beside(path)
        if book is None:
            return _checked(*csv_sheets(path, encoding))
        path = book
    if path.suffix.casefold() not in {".xlsx", ".xlsm"} and path.exists():
        raise RegisterFaults([_other_file(path)])
    with path.open("rb") as stream, warnings.catch_warnings():
        # openpyxl warns of styles it drops, and of impossible dates, which it then gives as #VALUE!: told as a fault
        warnings.filterwarnings("ignore", module="openpyxl")
        try:
            sheets, faults = xlsx_sheets(stream, path.name)
        except SourceError as error:
            raise RegisterFaults([error.fault]) from error
        return _checked(sheets, faults)


def load_register(path: Path, zone: ZoneInfo, *, encoding: str = "utf-8") -> Register:
    """A register ready for look-ups; its version is the digest of its rows. Raises as `read_register` does."""
    rows = read_register(path, encoding=encoding)
    return Register(rows, zone, version_of(rows_to_json(rows)))


def _workbook_beside(directory: Path) -> Path | None:
    """The one workbook of a directory whose CSV files, if any, hold no rows: a template filled in as a workbook."""
    books = [p for p in sorted(directory.glob("*.xlsx")) if not p.name.startswith("~$")]
    filled = any(has_rows(path) for path in directory.iterdir() if path.suffix.casefold() == ".csv")
    return books[0] if len(books) == 1 and not filled else None


def _checked(sheets: list[RawSheet], faults: list[CellFault]) -> RegisterRows:
    by_name: dict[str, ParsedSheet] = {}
    read = {sheet.spec.name: sheet for sheet in sheets}
    for name in SPECS:
        if name in read:
            by_name[name] = parse_sheet(read[name])
    between = check_rows(by_name)
    found = list(faults)
    for name, parsed in by_name.items():
        found += sorted([*parsed.faults, *between[name]], key=lambda fault: fault.row)
    if found:
        raise RegisterFaults(found)
    rows = {name: tuple(row for _, row in parsed.rows) for name, parsed in by_name.items()}
    return rows_from_json(rows_to_json(RegisterRows(**rows)))  # type: ignore[arg-type]  # each sheet has its row type


def _other_file(path: Path) -> CellFault:
    return sheet_fault(
        path.name,
        "",
        Bilingual(
            "the file is neither an XLSX workbook nor a directory of CSV files",
            "既不是 XLSX 工作簿，也不是 CSV 目录",
        ),
        Bilingual(
            "Save an old .xls as .xlsx; put CSV files into a directory and name that",
            "旧版 .xls 请另存为 .xlsx；CSV 文件请放入目录并指定该目录",
        ),
    )
