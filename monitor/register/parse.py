"""One raw sheet to rows: headings matched, cells read, faults placed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Final

from openpyxl.utils import get_column_letter

from models.domain.register import ALWAYS, SHEETS, Dated
from monitor.register.cells import Cell, fault, is_blank
from monitor.register.columns import Column, SheetSpec, folded, headings
from monitor.register.faults import CellError, CellFault, shown
from monitor.register.rules import row_problems
from monitor.register.sources import COMMENT_MARK, RawSheet, SourceError


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenRow(Dated):
    """A row with faults: its cells that could be read, kept so that faults between rows are told at the same time.

    `key` is its id as far as it can be told. Where its dates are at fault it is taken to hold always and not `dated`.
    """

    key: str
    cells: Mapping[str, object]
    dated: bool


@dataclass(slots=True)
class ParsedSheet:
    """What one sheet says: good and broken rows, each with its row number, and the faults within rows.

    `whole` is False where the sheet could not be read to its end or has no key column, so that what it does not hold
    proves nothing. `written` maps a column's name to the heading as it stands in the file.
    """

    spec: SheetSpec
    file: str
    title: str
    rows: list[tuple[int, Dated]] = field(default_factory=list)
    broken: list[tuple[int, BrokenRow]] = field(default_factory=list)
    faults: list[CellFault] = field(default_factory=list)
    written: dict[str, str] = field(default_factory=dict)
    whole: bool = True

    def blame(self, row: int, column: str, value: object, error: CellError) -> CellFault:
        """A fault of one cell of this sheet; `column` is the name of a field."""
        return CellFault(
            file=self.file,
            sheet=self.title,
            row=row,
            column=self.written.get(column, column),
            value=shown(value),
            problem_en=error.problem.en,
            problem_zh=error.problem.zh,
            remedy_en=error.remedy.en,
            remedy_zh=error.remedy.zh,
        )

    def add(self, row: int, column: str, value: object, error: CellError) -> None:
        """Note a fault of one cell."""
        self.faults.append(self.blame(row, column, value, error))


def parse_sheet(raw: RawSheet) -> ParsedSheet:
    """All rows and all faults of a sheet."""
    parsed = ParsedSheet(raw.spec, raw.file, raw.title)
    for merged in raw.merged:
        parsed.add(0, "", merged, _MERGED)
    try:
        rows = _content(raw.rows)
        first = next(rows, None)
        if first is not None:
            plan = _match_headings(parsed, *first)
            for number, cells in rows:
                _read_row(parsed, plan, number, cells)
    except SourceError as error:
        parsed.faults.append(error.fault)
        parsed.whole = False
    return parsed


def _content(rows: Iterator[tuple[int, Sequence[Cell]]]) -> Iterator[tuple[int, Sequence[Cell]]]:
    for number, cells in rows:
        filled = next((cell for cell in cells if not is_blank(cell)), None)
        if filled is None or (cells[0] is filled and isinstance(filled, str) and filled.startswith(COMMENT_MARK)):
            continue
        yield number, cells


@dataclass(frozen=True, slots=True)
class _Plan:
    """Which cell is which column. `headless` cells have no heading; `buildable`: no needed column is missing."""

    columns: tuple[tuple[int, Column], ...]
    width: int
    headless: tuple[int, ...]
    buildable: bool


def _match_headings(parsed: ParsedSheet, number: int, cells: Sequence[Cell]) -> _Plan:
    known = headings(parsed.spec)
    positions: dict[str, int] = {}
    headless: list[int] = []
    for index, cell in enumerate(cells):
        heading = "" if is_blank(cell) else str(cell).strip()
        column = known.get(folded(heading))
        if not heading:
            headless.append(index)
        elif column is None:
            parsed.faults.append(_unknown_heading(parsed, number, heading, alone=len(cells) == 1))
        elif column.name in positions:
            parsed.add(number, heading, heading, _twice(column, parsed.written[column.name]))
        else:
            positions[column.name] = index
            parsed.written[column.name] = heading
    missing = [column for column in parsed.spec.columns if column.required and column.name not in positions]
    for column in missing:
        parsed.add(number, column.name, "", _missing_column(column))
        parsed.whole = parsed.whole and column.name != parsed.spec.key
    by_name = {column.name: column for column in parsed.spec.columns}
    columns = tuple((index, by_name[name]) for name, index in positions.items())
    return _Plan(columns, len(cells), tuple(headless), not missing)


def _read_row(parsed: ParsedSheet, plan: _Plan, number: int, cells: Sequence[Cell]) -> None:
    values: dict[str, object] = {}
    faults_before = len(parsed.faults)
    width = len(cells)
    key = ""
    for index, column in plan.columns:
        cell = cells[index] if index < width else None
        if is_blank(cell):
            if column.required:
                parsed.add(number, column.name, "", _missing_value(column))
            continue
        try:
            values[column.name] = column.read(cell)
        except CellError as unread:
            values[column.name] = None
            parsed.add(number, column.name, cell, unread)
        if column.name == parsed.spec.key:
            key = str(values[column.name] or cell).strip()
    for index in (*plan.headless, *range(plan.width, width)):
        if index < width and not is_blank(cells[index]):
            parsed.add(number, get_column_letter(index + 1), cells[index], _NO_HEADING)
    for name, error in row_problems(parsed.spec.name, values):
        parsed.add(number, name, values.get(name, ""), error)
    if len(parsed.faults) > faults_before or not plan.buildable:
        parsed.broken.append((number, _broken_row(key, values)))
    else:
        parsed.rows.append((number, SHEETS[parsed.spec.name](**values)))  # type: ignore[arg-type]  # read by column


def _broken_row(key: str, values: Mapping[str, object]) -> BrokenRow:
    start, end = values.get("valid_from", ALWAYS), values.get("valid_to", dt.date.max)
    if isinstance(start, dt.date) and isinstance(end, dt.date) and start < end:
        return BrokenRow(valid_from=start, valid_to=end, key=key, cells=values, dated=True)
    return BrokenRow(valid_from=dt.date.min, key=key, cells=values, dated=False)


def _unknown_heading(parsed: ParsedSheet, number: int, heading: str, *, alone: bool) -> CellFault:
    delimiter = next((d for d in (";", "\t", "|") if alone and d in heading), None)
    if delimiter is not None:
        error = fault(
            f"the heading is one cell with {shown(delimiter)!r} in it: the file is not separated by commas",
            f"表头只有一格且含 {shown(delimiter)!r}：文件不是以逗号分隔",
            "Save it as CSV separated by commas",
            "请另存为以逗号分隔的 CSV",
        )
        return parsed.blame(number, shown(heading), heading, error)
    columns = headings(parsed.spec)
    near = get_close_matches(folded(heading), columns, n=1, cutoff=0.5)
    takes_en = ", ".join(column.name for column in parsed.spec.columns)
    takes_zh = "、".join(column.label_zh for column in parsed.spec.columns)
    guess_en, guess_zh = "", ""
    if near:
        column = columns[near[0]]
        guess_en, guess_zh = f"Meant {column.name}? ", f"是否为“{column.label_zh}”？"
    error = fault(
        f"the sheet has no column {shown(heading)}",
        f"本表没有“{shown(heading)}”列",
        f"{guess_en}It takes: {takes_en}; rename the column or remove it",
        f"{guess_zh}可用的列：{takes_zh}；请改名或删除该列",
    )
    return parsed.blame(number, shown(heading), heading, error)


def _twice(column: Column, first: str) -> CellError:
    return fault(
        f"the column {column.name} is there twice: also as {shown(first)}",
        f"“{column.label_zh}”列重复：另见“{shown(first)}”",
        "Keep one of them",
        "请只保留一列",
    )


def _missing_column(column: Column) -> CellError:
    return fault(
        f"the column {column.name} is missing",
        f"缺少“{column.label_zh}”列",
        f"Add a column headed {column.name} or {column.label_zh}: {column.help_en}",
        f"请增加“{column.label_zh}”列：{column.help_zh}",
    )


def _missing_value(column: Column) -> CellError:
    return fault(
        f"{column.name} is empty",
        f"“{column.label_zh}”为空",
        f"Fill it, for example {column.example}",
        f"请填写，例如 {column.example}",
    )


_NO_HEADING: Final = fault(
    "the cell has a value, but its column has no heading",
    "该单元格有内容，但所在列没有表头",
    "Name the column in the header row, or empty the cell; a comma inside a CSV value needs quotation marks",
    "请补上表头或清空该格；CSV 内容含逗号时须加引号",
)
_MERGED: Final = fault(
    "the sheet has merged cells: only the first of them holds the value",
    "表中有合并单元格：只有左上角一格有值",
    "Undo the merge and fill every row",
    "请取消合并并逐行填写",
)
