"""What must hold within one row, once its cells have been read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from models.domain.register import ALWAYS, CalendarKind, EnterpriseStatus
from monitor.register.cells import fault
from monitor.register.faults import CellError

Values = Mapping[str, object]
"""The cells of a row that are filled, by field name; None where the cell is at fault."""


def row_problems(sheet: str, values: Values) -> Iterator[tuple[str, CellError]]:
    """(column to blame, what is wrong) for each rule the row breaks. A rule with a faulty cell in it is not judged."""
    yield from _validity(values)
    extra = _RULES.get(sheet)
    if extra is not None:
        yield from extra(values)


def _validity(values: Values) -> Iterator[tuple[str, CellError]]:
    start, end = values.get("valid_from", ALWAYS), values.get("valid_to")
    if start is not None and end is not None and not start < end:  # type: ignore[operator]  # both are dates
        yield (
            "valid_to",
            fault(
                f"valid_to {end} is not after valid_from {start}; valid_to is the first day the row no longer holds",
                f"失效日期 {end} 不晚于生效日期 {start}；失效日期为不再有效的第一天",
                "Correct one of the two dates, or leave valid_to empty for “no end”",
                "请更正其中一个日期；长期有效则失效日期留空",
            ),
        )


def _enterprise(values: Values) -> Iterator[tuple[str, CellError]]:
    status = values.get("status")
    if status in (EnterpriseStatus.CLOSED, EnterpriseStatus.POWER_CUT) and "since" not in values:
        yield (
            "since",
            fault(
                f"the status is {status}, but the day it was ordered is missing",
                "状态为关停或断电，但缺少状态起始日期",
                "Write the day of the order, for example 2026-03-02",
                "请填写执行日期，例如 2026-03-02",
            ),
        )


def _meter(values: Values) -> Iterator[tuple[str, CellError]]:
    if values.get("ratio_applied") is False and "ratio" not in values:
        yield (
            "ratio",
            fault(
                "ratio_applied is no, but the ratio is missing",
                "“已乘倍率”为否，但缺少倍率",
                "Write CT × PT, for example 80 for 400/5 at low voltage",
                "请填写综合倍率（CT×PT），例如低压 400/5 填 80",
            ),
        )


def _calendar(values: Values) -> Iterator[tuple[str, CellError]]:
    kind = values.get("kind")
    if kind is None:
        return
    tariff = kind is CalendarKind.TARIFF
    needed, unused = (("band", "start", "end"), ("day",)) if tariff else (("day",), ("band", "start", "end"))
    for column in needed:
        if column not in values:
            yield (
                column,
                fault(
                    f"a calendar row of kind {kind} needs {column}",
                    f"{_KIND_ZH[kind]}行缺少“{_FIELD_ZH[column]}”",  # type: ignore[index]  # kind is a CalendarKind
                    "Fill the cell",
                    "请填写",
                ),
            )
    for column in unused:
        if column in values:
            yield (
                column,
                fault(
                    f"a calendar row of kind {kind} has no {column}",
                    f"{_KIND_ZH[kind]}行不应填写“{_FIELD_ZH[column]}”",  # type: ignore[index]  # kind is a CalendarKind
                    "Empty the cell, or correct the kind",
                    "请清空该格，或更正类型",
                ),
            )
    if tariff and values.get("start") is not None and values.get("start") == values.get("end"):
        yield (
            "end",
            fault(
                "the band ends when it starts",
                "时段的开始与结束相同",
                "Correct one of them; write a whole day as 00:00-12:00 and 12:00-24:00",
                "请更正；全天请分两行填写 00:00—12:00 和 12:00—24:00",
            ),
        )


def _allocation(values: Values) -> Iterator[tuple[str, CellError]]:
    if "line" in values and "site" in values:
        yield (
            "site",
            fault(
                "both a line and a site get the meter's electricity",
                "同时填写了生产线和厂区",
                "Leave one of the two empty; a line has its site already",
                "请只填一项；生产线已属于某厂区",
            ),
        )
    if not {"line", "site", "within"} & values.keys():
        yield (
            "line",
            fault(
                "the row does not say what the meter is for",
                "未说明该电表电量的归属",
                "Write a line, a site, or the meter it is metered behind; or remove the row",
                "请填写生产线、厂区或上级电表；否则请删除本行",
            ),
        )
    if values.get("within") is not None and values.get("within") == values.get("meter"):
        yield (
            "within",
            fault(
                "a meter is not metered behind itself",
                "上级电表不能是本表",
                "Write the meter in front of it, or leave the cell empty",
                "请填写其上级电表，或留空",
            ),
        )


_KIND_ZH: Final = {
    CalendarKind.TARIFF: "分时电价",
    CalendarKind.HOLIDAY: "节假日",
    CalendarKind.WORKDAY: "调休上班",
}
_FIELD_ZH: Final = {"band": "电价时段", "start": "开始时间", "end": "结束时间", "day": "日期"}
_RULES: Final[Mapping[str, Callable[[Values], Iterator[tuple[str, CellError]]]]] = {
    "enterprises": _enterprise,
    "meters": _meter,
    "calendar": _calendar,
    "allocations": _allocation,
}
