"""The list for the price authority: what is to be billed on one sheet, what cannot be said and why on another.

A year's list takes the year's own flag where the rule is yearly, else one line for the months that agree in rule, tier
and surcharge. Rows are plain JSON values as `monitor.tariffs.store.standing` gives them; amounts stay exact.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from monitor.spreadsheets import csv_table, harmless, written_beside
from monitor.tariffs.flag import FlagStatus

Row = dict[str, Any]
_YEAR: Final = 4

STATUS_ZH: Final = {
    "flag": "应加价",
    "clear": "不加价",
    "undetermined": "无法确定",
    "needs_data": "缺少数据",
    "needs_review": "需要复核",
}
_CONFIDENCE_ZH: Final = {"V": "已核实 V", "M": "未核实 M", "S": "摘要 S"}
_NUMBERS: Final = frozenset({"surcharge_cny_per_kwh", "kwh", "amount_cny", "actual", "limit", "coverage", "revision"})

COLUMNS: Final[Sequence[tuple[str, str, int]]] = (
    ("uscc", "统一社会信用代码", 22),
    ("name", "企业名称", 30),
    ("district", "区县", 10),
    ("industry", "行业", 18),
    ("period", "期间", 10),
    ("months", "月份", 24),
    ("subject", "对象", 8),
    ("status", "状态", 10),
    ("rule", "规则", 22),
    ("rule_title", "文号与名称", 36),
    ("tier", "档次", 14),
    ("surcharge_cny_per_kwh", "加价标准（元/千瓦时）", 14),
    ("billing_base", "计费电量口径", 22),
    ("kwh", "计费电量（千瓦时）", 16),
    ("amount_cny", "加价金额（元）", 16),
    ("basis", "判定依据", 16),
    ("base_period", "依据期间", 10),
    ("actual", "实际值", 12),
    ("limit", "限额或分档值", 12),
    ("unit", "单位", 10),
    ("coverage", "电量覆盖率", 10),
    ("confidence", "可信度", 10),
    ("citations", "依据文件", 40),
    ("reason_zh", "说明", 50),
    ("revision", "修订号", 8),
)
"""Field, heading and width of every column; `OTHER_COLUMNS` follow them on the second sheet."""

OTHER_COLUMNS: Final[Sequence[tuple[str, str, int]]] = (
    ("missing", "缺少的资料", 60),
    ("preview", "预览（不得执行）", 14),
)


@dataclass(frozen=True, slots=True)
class Listing:
    """`flags`: to be billed; `other`: what is not a flag, with what is missing. `total_cny`: of the amounts known."""

    period: str
    flags: tuple[Row, ...]
    other: tuple[Row, ...]
    total_kwh: Decimal
    total_cny: Decimal
    without_amount: int


def listing(rows: Iterable[Row], period: str, *, with_clear: bool = False) -> Listing:
    """The list of a month or a year from flags as they stand; what is clear is left out unless asked for."""
    found = list(rows)
    lines = _of_year(found, period) if len(period) == _YEAR else [_line(row, [row]) for row in found]
    flags = [line for line in lines if line["status"] == FlagStatus.FLAG]
    other = [
        line
        for line in lines
        if line["status"] != FlagStatus.FLAG and (with_clear or line["status"] != FlagStatus.CLEAR)
    ]
    amounts = [Decimal(line["amount_cny"]) for line in flags if line["amount_cny"] is not None]
    power = [line for line in flags if line["subject"] == "power" and line["kwh"] is not None]
    return Listing(
        period=period,
        flags=tuple(flags),
        other=tuple(other),
        total_kwh=sum((Decimal(line["kwh"]) for line in power), Decimal(0)),
        total_cny=sum(amounts, Decimal(0)),
        without_amount=len(flags) - len(amounts),
    )


def periods_of(period: str) -> list[str]:
    """The periods whose flags make up a list: a month itself; a year and its twelve months."""
    return [period, *(f"{period}-{month:02d}" for month in range(1, 13))] if len(period) == _YEAR else [period]


def write_listing(found: Listing, out: Path, kind: str) -> list[Path]:
    """Write the list as `xlsx` (two sheets), `csv` (a second file beside it) or `json`; returns the files written.

    Each appears whole or not at all. Text is typed as text and harmless, numbers are numbers. Raises OSError.
    """
    match kind:
        case "json":
            with written_beside(out) as part:
                part.write_text(json.dumps(listing_json(found), ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
            return [out]
        case "csv":
            second = out.with_name(f"{out.stem}.other{out.suffix}")
            _write_csv(out, found.flags, COLUMNS)
            _write_csv(second, found.other, (*COLUMNS, *OTHER_COLUMNS))
            return [out, second]
        case _:
            _write_xlsx(out, found)
            return [out]


def listing_json(found: Listing) -> Row:
    """The list for programs; numbers are text, so that no digit is lost."""
    return {
        "period": found.period,
        "total_kwh": format(found.total_kwh, "f"),
        "total_cny": format(found.total_cny, "f"),
        "without_amount": found.without_amount,
        "flags": list(found.flags),
        "other": list(found.other),
    }


def _of_year(rows: list[Row], year: str) -> list[Row]:
    yearly = {(row["uscc"], row["subject"]) for row in rows if row["period"] == year}
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        key = (row["uscc"], row["subject"])
        if row["period"] != year and key in yearly:
            continue
        same = (*key, row["status"], row["rule"], row["tier"], row["surcharge_cny_per_kwh"], row["billing_base"])
        groups.setdefault(same, []).append(row)
    lines = [_line({**months[-1], "period": year}, months) for months in groups.values()]
    return sorted(lines, key=lambda line: (line["uscc"], line["subject"], line["months"]))


def _line(row: Row, parts: list[Row]) -> Row:
    months = [part["period"] for part in parts if len(part["period"]) != _YEAR]
    summed = {name: _sum([part[name] for part in parts]) for name in ("kwh", "amount_cny")}
    return {**row, **summed, "months": "、".join(month[5:] for month in months) if len(row["period"]) == _YEAR else ""}


def _sum(values: list[str | None]) -> str | None:
    """The exact sum; None where a part is not known: a sum of what is known would read as all of it."""
    known = [Decimal(value) for value in values if value is not None]
    return format(sum(known, Decimal(0)), "f") if len(known) == len(values) else None


def _cell(row: Row, name: str) -> str | Decimal | int | None:
    value = row[name]
    if value is None:
        return None
    match name:
        case "status" | "preview":
            return STATUS_ZH[value]
        case "subject":
            return "用水" if value == "water" else "用电"
        case "confidence":
            return _CONFIDENCE_ZH.get(value, value)
        case "citations":
            named = dict.fromkeys(f"{one['document']} {one['clause']}".strip() for one in value)
            return "；".join(named)
        case "missing":
            return "；".join(f"{one['what_zh']}（{one['where']}）" for one in value)
        case "revision":
            return int(value)
        case _:
            return Decimal(value) if name in _NUMBERS else str(value)


def _write_csv(out: Path, rows: Sequence[Row], columns: Sequence[tuple[str, str, int]]) -> None:
    with csv_table(out, [heading for _, heading, _ in columns]) as write:
        for row in rows:
            write([_cell(row, name) for name, _, _ in columns])


def _write_xlsx(out: Path, found: Listing) -> None:
    import xlsxwriter  # type: ignore[import-untyped]

    options = {"strings_to_formulas": False, "strings_to_urls": False, "constant_memory": True}
    with written_beside(out) as part, xlsxwriter.Workbook(str(part), options) as book:
        bold = book.add_format({"bold": True})
        text = book.add_format({"num_format": "@"})
        for title, rows, columns in (
            ("加价清单", found.flags, COLUMNS),
            ("其他情形", found.other, (*COLUMNS, *OTHER_COLUMNS)),
        ):
            sheet = book.add_worksheet(title)
            sheet.freeze_panes(1, 0)
            for index, (_, heading, width) in enumerate(columns):
                sheet.set_column(index, index, width)
                sheet.write_string(0, index, heading, bold)
            for number, row in enumerate(rows, start=1):
                for index, (name, _, _) in enumerate(columns):
                    cell = _cell(row, name)
                    if isinstance(cell, str):
                        sheet.write_string(number, index, harmless(cell), text)
                    elif cell is not None:
                        sheet.write_number(number, index, float(cell))
        sheet = book.add_worksheet("合计")
        totals: tuple[tuple[str, str | Decimal | int], ...] = (
            ("期间", found.period),
            ("计费电量合计（千瓦时）", found.total_kwh),
            ("加价金额合计（元）", found.total_cny),
            ("尚无金额的标识数", found.without_amount),
        )
        for number, (heading, value) in enumerate(totals):
            sheet.write_string(number, 0, heading, bold)
            if isinstance(value, str):
                sheet.write_string(number, 1, value, text)
            else:
                sheet.write_number(number, 1, float(value))
