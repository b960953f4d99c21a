"""Output, fuels and heats from XLSX and CSV, as the very messages a publisher would have sent."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from openpyxl.worksheet._read_only import ReadOnlyWorksheet

from monitor.accounts.file_columns import SHEETS, FileColumn, FileSheet, sheet_meant
from monitor.register.cells import Cell, fault, is_blank
from monitor.register.faults import Bilingual, CellError, CellFault, RegisterFaults, shown
from monitor.register.sources import (
    BROKEN_WORKBOOK,
    COMMENT_MARK,
    GUIDE_SHEETS,
    SourceError,
    csv_rows,
    open_workbook,
    sheet_fault,
    unreadable_workbook,
    xlsx_rows,
)

MESSAGE_ROWS: Final = 1000
"""Reports in one message made from a file."""


@dataclass(frozen=True, slots=True)
class FileMessage:
    """One message: `topic` it belongs on (`output` or `furnace`), its body, and where each of its reports stood."""

    topic: str
    payload: bytes
    places: tuple[str, ...]


@dataclass(slots=True)
class _Reading:
    file: str
    zone: ZoneInfo
    faults: list[CellFault] = field(default_factory=list)
    outputs: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    heats: list[tuple[str, dict[str, Any]]] = field(default_factory=list)


def read_file(path: Path, zone: ZoneInfo, *, encoding: str = "utf-8") -> list[FileMessage]:
    """The messages a file makes. `zone`: that of times without an offset.

    Raises RegisterFaults with every fault of the file (nothing is imported then), and OSError.
    """
    reading = _Reading(path.name, zone)
    try:
        if path.suffix.casefold() == ".csv":
            sheet = sheet_meant(path.stem) or SHEETS["output"]
            _read_sheet(reading, sheet, path.stem, csv_rows(path, path.stem, encoding))
        else:
            _read_workbook(reading, path)
    except SourceError as error:
        reading.faults.append(error.fault)
    if not reading.faults and not reading.outputs and not reading.heats:
        reading.faults.append(_nothing(path.name))
    if reading.faults:
        raise RegisterFaults(reading.faults)
    return [*_messages("output", "outputs", reading.outputs), *_messages("furnace", "heats", reading.heats)]


def _read_workbook(reading: _Reading, path: Path) -> None:
    with path.open("rb") as stream:
        try:
            book = open_workbook(stream, path.name)
        except SourceError:
            raise
        except BROKEN_WORKBOOK as error:
            raise SourceError(unreadable_workbook(path.name, "", error)) from error
        with closing(book.wb):
            sheets = [sheet for sheet in book.wb.worksheets if isinstance(sheet, ReadOnlyWorksheet)]
            for worksheet in sheets:
                title = worksheet.title
                if title.strip().casefold() in GUIDE_SHEETS:
                    continue
                meant = sheet_meant(title) or (SHEETS["output"] if len(sheets) == 1 else None)
                if meant is None:
                    reading.faults.append(_unknown_sheet(path.name, title))
                    continue
                worksheet.reset_dimensions()
                _read_sheet(reading, meant, title, xlsx_rows(worksheet, path.name, title))


def _read_sheet(reading: _Reading, sheet: FileSheet, title: str, rows: Iterator[tuple[int, Sequence[Cell]]]) -> None:
    content = (
        (number, cells)
        for number, cells in rows
        if any(not is_blank(cell) for cell in cells) and not str(cells[0] or "").startswith(COMMENT_MARK)
    )
    first = next(content, None)
    if first is None:
        return
    columns = _columns(reading, sheet, title, *first)
    fuels: dict[tuple[object, ...], tuple[str, dict[str, Any]]] = {}
    for number, cells in content:
        row = _row(reading, sheet, title, columns, number, cells)
        if row is None:
            continue
        place = f"{reading.file} {title} {number}"
        if sheet.name == "heats":
            reading.heats.append((place, row))
        elif sheet.name == "fuels":
            _gather(fuels, place, row)
        else:
            reading.outputs.append((place, row))
    reading.outputs += fuels.values()


def _columns(
    reading: _Reading, sheet: FileSheet, title: str, number: int, cells: Sequence[Cell]
) -> list[tuple[FileColumn, str] | None]:
    found: list[tuple[FileColumn, str] | None] = []
    for cell in cells:
        heading = "" if is_blank(cell) else str(cell).strip()
        column = sheet.column(heading) if heading else None
        if heading and column is None:
            names = "、".join(c.labels[0] for c in sheet.columns)
            error = fault(
                f"unknown column {shown(heading)}",
                f"未知的列“{shown(heading)}”",
                f"Take one of {', '.join(c.name for c in sheet.columns)}, or remove it",
                f"可用：{names}；否则请删除",
            )
            reading.faults.append(_blame(reading, title, number, heading, heading, error))
        elif column is not None and any(one is not None and one[0] is column for one in found):
            error = fault("the column is there twice", "该列重复", "Remove one of the two", "请删除其中一列")
            reading.faults.append(_blame(reading, title, number, heading, heading, error))
        found.append((column, heading) if column is not None else None)
    present = {one[0].name for one in found if one is not None}
    for column in sheet.columns:
        if column.required and column.name not in present:
            error = fault(f"the column {column.name} is missing", f"缺少列“{column.labels[0]}”", "Add it", "请添加")
            reading.faults.append(_blame(reading, title, number, column.labels[0], "", error))
    return found


def _row(
    reading: _Reading,
    sheet: FileSheet,
    title: str,
    columns: Sequence[tuple[FileColumn, str] | None],
    number: int,
    cells: Sequence[Cell],
) -> dict[str, Any] | None:
    row: dict[str, Any] = {}
    before = len(reading.faults)
    for at, cell in enumerate(cells):
        known = columns[at] if at < len(columns) else None
        if is_blank(cell):
            if known is not None and known[0].required:
                error = fault(f"{known[0].name} is missing", "未填写", "Fill the cell", "请填写")
                reading.faults.append(_blame(reading, title, number, known[1], "", error))
            continue
        if known is None:
            error = fault("the cell has no heading", "该格没有列名", "Write a heading, or empty it", "请补列名或清空")
            reading.faults.append(_blame(reading, title, number, "", cell, error))
            continue
        try:
            row[known[0].name] = _plain(known[0].read(cell), reading.zone)
        except CellError as unread:
            reading.faults.append(_blame(reading, title, number, known[1], cell, unread))
    if sheet.name != "heats" and sum(name in row for name in ("enterprise", "site", "line")) != 1:
        error = fault(
            "exactly one of enterprise, site and line is wanted",
            "信用代码、厂区、生产线须填且只填一项",
            "Fill one of the three",
            "请只填一项",
        )
        reading.faults.append(_blame(reading, title, number, "", "", error))
    return row if len(reading.faults) == before else None


def _plain(value: object, zone: ZoneInfo) -> object:
    """A value as JSON has it; times without an offset are those of the office."""
    if isinstance(value, dt.datetime):
        return value.replace(tzinfo=zone).isoformat()
    return value.isoformat() if isinstance(value, dt.date) else value


def _gather(fuels: dict[tuple[object, ...], tuple[str, dict[str, Any]]], place: str, row: dict[str, Any]) -> None:
    """Fuels of one subject and period are one report."""
    about = {name: row.pop(name) for name in ("enterprise", "site", "line", "from", "to", "rev") if name in row}
    known = fuels.setdefault(tuple(sorted(about.items())), (place, about | {"fuels": []}))
    known[1]["fuels"].append(row)


def _messages(topic: str, name: str, rows: Sequence[tuple[str, dict[str, Any]]]) -> Iterator[FileMessage]:
    for start in range(0, len(rows), MESSAGE_ROWS):
        part = rows[start : start + MESSAGE_ROWS]
        body = f'{{"v":1,"{name}":[{",".join(_json(row) for _, row in part)}]}}'
        yield FileMessage(topic, body.encode(), tuple(place for place, _ in part))


def _json(value: object) -> str:
    """JSON with decimals digit by digit."""
    match value:
        case Decimal():
            return format(value, "f")
        case dict():
            return "{" + ",".join(f"{json.dumps(key)}:{_json(one)}" for key, one in value.items()) + "}"
        case list():
            return "[" + ",".join(map(_json, value)) + "]"
        case _:
            return json.dumps(value, ensure_ascii=False)


def _blame(reading: _Reading, title: str, row: int, column: str, value: object, error: CellError) -> CellFault:
    return CellFault(
        reading.file,
        title,
        row,
        column,
        shown(value),
        error.problem.en,
        error.problem.zh,
        error.remedy.en,
        error.remedy.zh,
    )


def _nothing(file: str) -> CellFault:
    return sheet_fault(
        file,
        "",
        Bilingual("the file holds no row of output, fuels or heats", "文件中没有产量、能源或炉次"),
        Bilingual("Fill a sheet output, fuels or heats", "请填写“产量”“能源”或“炉次”表"),
    )


def _unknown_sheet(file: str, title: str) -> CellFault:
    return sheet_fault(
        file,
        shown(title),
        Bilingual(f"{shown(title)} is no sheet of output", f"“{shown(title)}”不是产量表"),
        Bilingual(f"Name it one of {', '.join(SHEETS)}, or remove it", "请命名为产量、能源、炉次之一，或删除"),
    )
