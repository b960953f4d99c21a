"""A small register without faults as files, and the faults of one that was spoilt."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import openpyxl

from monitor.register.faults import CellFault, RegisterFaults
from monitor.register.importer import read_register

USCC = "91330122MA27X0007W"

SHEETS: Mapping[str, list[list[object]]] = {
    "enterprises": [["uscc", "name", "trade", "status", "since"], [USCC, "某某铸造有限公司", "C3391", "在产", None]],
    "sites": [["site", "uscc", "name"], ["S1", USCC, "一号厂区"]],
    "meters": [
        ["meter", "site", "publisher", "feeder", "ratio", "cadence_s", "valid_from", "valid_to"],
        ["0330124001", "S1", "bureau1", "F12", 80, 900, "2024-01-01", None],
    ],
    "feeders": [["feeder", "voltage_kv", "meter"], ["F12", 10, None]],
    "furnaces": [["furnace", "site", "kind", "rated_kw"], ["L1", "S1", "中频炉", 1000]],
    "lines": [["line", "site", "product"], ["X1", "S1", "灰铸铁件"]],
    "publishers": [["publisher", "may_revise"], ["bureau1", "否"]],
    "calendar": [["kind", "name", "day", "band", "start", "end"], ["分时电价", "大工业", None, "谷", "22:00", "08:00"]],
}


def sheets_with(**changed: list[list[object]]) -> dict[str, list[list[object]]]:
    """The good sheets with some of them replaced."""
    return {**{name: [list(row) for row in rows] for name, rows in SHEETS.items()}, **changed}


def spoilt(sheet: str, column: str, value: object, row: int = 1) -> dict[str, list[list[object]]]:
    """The good sheets with one cell changed; the column is added where the sheet does not have it."""
    sheets = sheets_with()
    rows = sheets[sheet]
    if column not in rows[0]:
        for index, cells in enumerate(rows):
            cells.append(column if index == 0 else None)
    rows[row][rows[0].index(column)] = value
    return sheets


def save_csv(sheets: Mapping[str, list[list[object]]], directory: Path, encoding: str = "utf-8") -> Path:
    """Write a CSV file for each sheet."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, rows in sheets.items():
        lines = (",".join(_quoted(cell) for cell in row) for row in rows)
        (directory / f"{name}.csv").write_text("\n".join(lines) + "\n", encoding=encoding)
    return directory


def _quoted(cell: object) -> str:
    text = "" if cell is None else str(cell)
    return '"' + text.replace('"', '""') + '"' if any(c in text for c in ',"\n') else text


def save_xlsx(sheets: Mapping[str, list[list[object]]], path: Path) -> Path:
    """Write a workbook with a sheet each; values keep their Python types."""
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    for name, rows in sheets.items():
        worksheet = book.create_sheet(name)
        for row in rows:
            worksheet.append(row)
    book.save(path)
    return path


def faults_of(path: Path, encoding: str = "utf-8") -> tuple[CellFault, ...]:
    """The faults of a register, none where it can be read."""
    try:
        read_register(path, encoding=encoding)
    except RegisterFaults as error:
        return error.faults
    return ()
