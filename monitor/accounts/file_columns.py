"""The sheets output can be imported from, as a table one can read: columns, headings, readers and examples."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from types import MappingProxyType
from typing import Final

from monitor.register import cells, quantities
from monitor.register.cells import Cell, PaddedNumber, Unreadable, fault
from monitor.register.columns import folded
from monitor.register.faults import shown

_NUMBER: Final = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]{1,3})?", re.ASCII)
_MOMENT: Final = re.compile(r"\d{4}-\d{1,2}-\d{1,2}[ T]\d{1,2}:\d{2}(:\d{2})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class FileColumn:
    """One column: `name` is the field of the message, `labels` the headings it may have, the first in the template."""

    name: str
    labels: tuple[str, ...]
    read: Callable[[Cell], object]
    example: str = ""
    required: bool = False


@dataclass(frozen=True, slots=True)
class FileSheet:
    """One sheet by the names it may have."""

    name: str
    labels: tuple[str, ...]
    columns: tuple[FileColumn, ...]

    def column(self, heading: str) -> FileColumn | None:
        """The column a heading means: its field or one of its labels, whatever stands in brackets."""
        wanted = folded(heading)
        return next((c for c in self.columns if wanted in map(folded, (c.name, *c.labels))), None)


def exact(cell: Cell) -> Decimal:
    """A number as it is written: a cell of a workbook in its shortest form, the text of a CSV digit by digit."""
    match cell:
        case Unreadable():
            raise cell.error
        case PaddedNumber():
            return Decimal(repr(cell.value))
        case int() | float() if not isinstance(cell, bool):
            return Decimal(repr(cell))
        case str() if _NUMBER.fullmatch(cell.strip()):
            try:
                return Decimal(cell.strip())
            except InvalidOperation:
                pass
    quantities.number(cell)
    raise AssertionError("a cell that is a number was not read as one")


def moment(cell: Cell) -> dt.datetime | str:
    """A moment: local time of the office, or RFC 3339 with an offset."""
    match cell:
        case Unreadable():
            raise cell.error
        case dt.datetime():
            return cell
        case str() if _MOMENT.fullmatch(cell.strip()):
            try:
                return dt.datetime.fromisoformat(_padded(cell.strip()))
            except ValueError:
                pass
        case str() if cell.strip()[-1:] in "Zz" or re.search(r"[+-]\d{2}:\d{2}$", cell.strip()):
            return cell.strip()
    raise fault(
        f"{shown(cell)} is not a time",
        f"“{shown(cell)}”不是时间",
        "Write 2026-03-02 08:15",
        "请填写如 2026-03-02 08:15",
    )


def _padded(text: str) -> str:
    date, time = re.split("[ T]", text)
    year, month, day = date.split("-")
    hour, rest = time.split(":", 1)
    return f"{year}-{int(month):02d}-{int(day):02d} {int(hour):02d}:{rest}"


def whole(cell: Cell) -> int:
    """A whole number not below zero."""
    number = exact(cell)
    if number != int(number) or number < 0:
        raise fault(
            f"{shown(cell)} is not a whole number", f"“{shown(cell)}”不是整数", "Write 0, 1, 2 …", "请填 0、1、2 …"
        )
    return int(number)


def word(cell: Cell) -> str:
    """A word such as a unit or an id of a fuel."""
    return cells.text(cell)


_SUBJECT: Final = (
    FileColumn("enterprise", ("统一社会信用代码", "信用代码", "企业"), cells.uscc),
    FileColumn("site", ("厂区编号", "厂区"), cells.identifier),
    FileColumn("line", ("生产线编号", "生产线", "产线"), cells.identifier, "X1"),
    FileColumn("from", ("起始日期", "开始日期", "期初"), quantities.date, "2026-03-01", required=True),
    FileColumn("to", ("截止日期", "结束日期", "期末"), quantities.date, "2026-03-31", required=True),
)
_TAIL: Final = (
    FileColumn("rev", ("版本", "修订号"), whole),
    FileColumn("void", ("作废",), quantities.boolean),
)

SHEETS: Final[Mapping[str, FileSheet]] = MappingProxyType(
    {
        sheet.name: sheet
        for sheet in (
            FileSheet(
                "output",
                ("产量", "产品产量"),
                (
                    *_SUBJECT,
                    FileColumn("product", ("产品", "产品名称"), cells.name, "灰铸铁件"),
                    FileColumn("quantity", ("产量", "数量"), exact, "1250.5"),
                    FileColumn("unit", ("单位", "计量单位"), word, "t"),
                    *_TAIL,
                ),
            ),
            FileSheet(
                "fuels",
                ("能源", "能源消耗", "燃料"),
                (
                    *_SUBJECT,
                    FileColumn("fuel", ("能源品种", "品种", "燃料"), word, "natural-gas", required=True),
                    FileColumn("quantity", ("消耗量", "数量"), exact, "3200", required=True),
                    FileColumn("unit", ("单位", "计量单位"), word, "m3", required=True),
                    FileColumn("kj_per_unit", ("实测热值", "低位发热量"), exact),
                    FileColumn("kgce_per_unit", ("折标系数",), exact),
                    FileColumn("value_source", ("热值来源", "来源"), cells.name),
                    FileColumn("recovered", ("回收", "外供"), quantities.boolean),
                    FileColumn("rev", ("版本", "修订号"), whole),
                ),
            ),
            FileSheet(
                "heats",
                ("炉次",),
                (
                    FileColumn("furnace", ("炉编号", "炉号", "炉"), cells.identifier, "F1", required=True),
                    FileColumn("start", ("开始时间", "开炉时间"), moment, "2026-03-01 08:00", required=True),
                    FileColumn("end", ("结束时间", "出炉时间"), moment, "2026-03-01 09:10", required=True),
                    FileColumn("energy_kwh", ("电量", "耗电量"), exact, "1210.5"),
                    FileColumn("charged_t", ("装料", "装料量", "加料量"), exact, "2.1"),
                    FileColumn("tapped_t", ("出炉量", "出铁量", "出钢量"), exact, "2.0"),
                    FileColumn("product", ("产品", "牌号"), cells.name, "HT250"),
                    *_TAIL,
                ),
            ),
        )
    }
)
"""Every sheet by name."""


def sheet_meant(title: str) -> FileSheet | None:
    """The sheet a title or a file's stem means."""
    wanted = folded(title)
    return next((s for s in SHEETS.values() if wanted in map(folded, (s.name, *s.labels))), None)
