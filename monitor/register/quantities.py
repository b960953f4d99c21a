"""One cell to a number, a date, a time or yes and no; like `cells`, each takes a cell that is not blank."""

from __future__ import annotations

import datetime as dt
import math
import re
import unicodedata
from typing import Final

from models.domain.readings import CADENCES_S
from monitor.register.cells import Cell, PaddedNumber, Unreadable, fault
from monitor.register.faults import CellError, shown

_NUMBER: Final = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]{1,3})?", re.ASCII)
_DATE: Final = re.compile(r"([0-9]{4})(?:([-/.])([0-9]{1,2})\2|年([0-9]{1,2})月)([0-9]{1,2})日?")
_COMPACT_DATE: Final = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})")
_TIME: Final = re.compile(r"([0-9]{1,2})[:：]([0-9]{2})(?:[:：]([0-9]{2}))?")
_RATIO: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*[/:：]\s*([0-9]+(?:\.[0-9]+)?)")


def number(cell: Cell) -> float:
    """A finite number."""
    match cell:
        case Unreadable():
            raise cell.error
        case PaddedNumber():
            return float(cell.value)
        case int() | float() if not isinstance(cell, bool):
            value = float(cell)
        case str() if _NUMBER.fullmatch(cell.strip()):
            value = float(cell.strip())
        case _:
            raise _not_a_number(cell)
    if not math.isfinite(value):
        raise _not_a_number(cell)
    return value


def _not_a_number(cell: Cell) -> CellError:
    remedy_en, remedy_zh = "Write digits only, for example 1250.5", "只写数字，例如 1250.5"
    written = cell.strip() if isinstance(cell, str) else ""
    quotient = _RATIO.fullmatch(written)
    plain = re.sub(r"[,，\s]", "", unicodedata.normalize("NFKC", written))
    leading = re.match(r"[0-9]+(?:\.[0-9]+)?(?=[A-Za-z一-鿿]+$)", plain)
    if quotient is not None and float(quotient[2]) > 0:
        result = f"{float(quotient[1]) / float(quotient[2]):.10g}"
        remedy_en, remedy_zh = f"Write the result of the division: {result}", f"请填写相除后的结果：{result}"
    elif plain != written and _NUMBER.fullmatch(plain):
        remedy_en, remedy_zh = f"Write it without separators: {plain}", f"请去掉分隔符，用半角数字：{plain}"
    elif leading is not None:
        remedy_en = f"Write it without the unit, which stands in the template: {leading[0]}"
        remedy_zh = f"不要写单位（单位见模板）：{leading[0]}"
    return fault(f"{shown(cell)} is not a number", f"“{shown(cell)}”不是数字", remedy_en, remedy_zh)


def positive(cell: Cell) -> float:
    """A number above zero and below 10⁹."""
    value = number(cell)
    if not 0.0 < value < 1e9:
        raise fault(
            f"{shown(cell)} is not above zero and below 1000000000",
            f"“{shown(cell)}”应大于 0 且小于 10 亿",
            "Write the value, or leave the cell empty if it is unknown",
            "请填写实际值；未知则留空",
        )
    return value


def share(cell: Cell) -> float:
    """A share of one: above zero, at most 1."""
    value = number(cell)
    if not 0.0 < value <= 1.0:
        raise fault(
            f"{shown(cell)} is not a share above 0 and at most 1",
            f"“{shown(cell)}”应大于 0 且不超过 1",
            "Write 0.6 for 60 %",
            "60% 请填 0.6",
        )
    return value


def register_size(cell: Cell) -> float:
    """A register's wrap value in kWh: above zero, up to 10¹²."""
    value = number(cell)
    if not 0.0 < value <= 1e12:
        raise fault(
            f"{shown(cell)} is not above zero and at most 1e12",
            f"“{shown(cell)}”应大于 0 且不超过 1e12",
            "Write the reading at which the register wraps, in primary kWh, or leave the cell empty",
            "请填写示数翻转值（一次侧 kWh）；未知则留空",
        )
    return value


def cadence(cell: Cell) -> int:
    """Seconds between readings, one of CADENCES_S."""
    value = number(cell)
    if value not in CADENCES_S:
        known = ", ".join(str(s) for s in CADENCES_S)
        minutes = value * 60
        hint_en, hint_zh = (
            (f"It looks like minutes: write {minutes:.0f}", f"看起来是分钟：请填 {minutes:.0f}")
            if minutes in CADENCES_S
            else ("Write one of them", "请填其中之一")
        )
        raise fault(
            f"{shown(cell)} is not a cadence in seconds; it may be {known}",
            f"“{shown(cell)}”不是有效的采集周期（秒）；可填 {known}",
            hint_en,
            hint_zh,
        )
    return int(value)


def date(cell: Cell) -> dt.date:
    """A date: a spreadsheet's own, or written year first (2026-03-02, 2026/3/2, 2026年3月2日, 20260302)."""
    match cell:
        case Unreadable():
            raise cell.error
        case dt.datetime() if cell.time() == dt.time():
            return _sane(cell.date(), cell)
        case dt.date() if not isinstance(cell, dt.datetime):
            return _sane(cell, cell)
        case str() | int() if not isinstance(cell, bool):
            written = str(cell).strip()
            match_ = _DATE.fullmatch(written) or _COMPACT_DATE.fullmatch(written)
            if match_ is not None:
                year, month, day = (int(part) for part in match_.groups() if part and part.isdigit())
                try:
                    return _sane(dt.date(year, month, day), cell)
                except ValueError as error:
                    if isinstance(error, CellError):
                        raise
                    raise fault(
                        f"{shown(cell)} is not a day of the calendar",
                        f"“{shown(cell)}”不是日历上的日期",
                        "Correct the month or the day",
                        "请更正月或日",
                    ) from None
        case _:
            pass
    raise fault(
        f"{shown(cell)} is not a date",
        f"“{shown(cell)}”不是日期",
        "Write year first, for example 2026-03-02, or format the cell as a date without a time",
        "请按年-月-日填写，例如 2026-03-02，或设为不带时间的日期格式",
    )


def _sane(day: dt.date, cell: Cell) -> dt.date:
    if not 1949 <= day.year <= 2100:
        raise fault(
            f"the year of {shown(cell)} is not between 1949 and 2100",
            f"“{shown(cell)}”的年份不在 1949—2100 之间",
            "Correct the year; leave the cell empty for “no end”",
            "请更正年份；无截止日期则留空",
        )
    return day


def time_of_day(cell: Cell) -> dt.time:
    """A time of day to the second; 24:00 is midnight."""
    match cell:
        case Unreadable():
            raise cell.error
        case dt.datetime() if cell.year <= 1900:
            return cell.time().replace(microsecond=0)
        case dt.time():
            return cell.replace(microsecond=0)
        case dt.timedelta() if dt.timedelta(0) <= cell <= dt.timedelta(days=1):
            seconds = int(cell.total_seconds()) % 86400
            return dt.time(seconds // 3600, seconds // 60 % 60, seconds % 60)
        case str():
            match_ = _TIME.fullmatch(cell.strip())
            if match_ is not None:
                hour, minute, second = int(match_[1]), int(match_[2]), int(match_[3] or 0)
                if (hour, minute, second) == (24, 0, 0):
                    return dt.time()
                if hour < 24 and minute < 60 and second < 60:
                    return dt.time(hour, minute, second)
        case _:
            pass
    raise fault(
        f"{shown(cell)} is not a time of day",
        f"“{shown(cell)}”不是时刻",
        "Write hours and minutes, for example 08:00 or 24:00",
        "请填写时:分，例如 08:00、24:00",
    )


_YES: Final = frozenset({"是", "true", "1", "yes", "y"})
_NO: Final = frozenset({"否", "false", "0", "no", "n"})


def boolean(cell: Cell) -> bool:
    """是/否, true/false, 1/0, yes/no."""
    if isinstance(cell, bool):
        return cell
    word = str(cell).strip().casefold() if isinstance(cell, str | int) else ""
    if word in _YES:
        return True
    if word in _NO:
        return False
    if isinstance(cell, Unreadable):
        raise cell.error
    raise fault(
        f"{shown(cell)} is neither yes nor no",
        f"“{shown(cell)}”不是“是”或“否”",
        "Write 是 or 否",
        "请填“是”或“否”",
    )
