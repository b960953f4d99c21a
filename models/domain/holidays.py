"""What kind of day a date is in mainland China: official days off and make-up days, and the weeks around New Year.

The arrangement of a year is published by the State Council each autumn before; `chinese_calendar` carries those known
when it was released. For other years the weekday holds, and days on which an arrangement is usual are UNKNOWN.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final

import chinese_calendar
import numpy as np
from chinese_calendar import constants
from numpy.typing import NDArray

from models.domain.register import CalendarKind, CalendarRow

FESTIVAL_BEFORE: Final = 21
"""Days before the lunar new year in which plants run down."""
FESTIVAL_AFTER: Final = 24
"""Days after it, past the Lantern Festival (day 15), in which they run up again."""

_NEW_YEAR_DAYS: Final = (
    "2004-01-22", "2005-02-09", "2006-01-29", "2007-02-18", "2008-02-07", "2009-01-26", "2010-02-14", "2011-02-03",
    "2012-01-23", "2013-02-10", "2014-01-31", "2015-02-19", "2016-02-08", "2017-01-28", "2018-02-16", "2019-02-05",
    "2020-01-25", "2021-02-12", "2022-02-01", "2023-01-22", "2024-02-10", "2025-01-29", "2026-02-17", "2027-02-06",
    "2028-01-26", "2029-02-13", "2030-02-03", "2031-01-23", "2032-02-11", "2033-01-31", "2034-02-19", "2035-02-08",
    "2036-01-28", "2037-02-15", "2038-02-04", "2039-01-24", "2040-02-12",
)  # fmt: skip
"""First day of the first lunar month (GB/T 33661-2017); a test compares 2004 to 2026 with the official days off."""
LUNAR_NEW_YEARS: Final = tuple(dt.date.fromisoformat(day) for day in _NEW_YEAR_DAYS)

_ARRANGED_YEARS: Final = frozenset(day.year for day in constants.holidays)
_USUAL_DAYS_OFF: Final = (((1, 1), (1, 3)), ((4, 3), (4, 7)), ((4, 28), (5, 6)), ((9, 25), (10, 9)))
"""Stretches (month, day) in which days off or make-up days lie in most years."""


class DayKind(StrEnum):
    """What a date is by the calendar; UNKNOWN where no arrangement is known and one is likely."""

    WORKDAY = "workday"
    REST = "rest"
    HOLIDAY = "holiday"
    MAKE_UP = "make_up"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class DayFacts:
    """Columns of k consecutive dates: `special` is True where a day's load is no pattern of its weekday (holiday,
    make-up day, unknown); `festival` in the weeks around the lunar new year; `weekday` 0 is Monday; `known` is False
    where the year's arrangement is not known."""

    ordinal: NDArray[np.int64]
    weekday: NDArray[np.int64]
    special: NDArray[np.bool_]
    festival: NDArray[np.bool_]
    known: NDArray[np.bool_]

    def until(self, end: int) -> DayFacts:
        """The facts up to a day, as a slice's end."""
        return DayFacts(
            self.ordinal[:end], self.weekday[:end], self.special[:end], self.festival[:end], self.known[:end]
        )


@lru_cache(maxsize=4096)
def day_kind(date: dt.date) -> DayKind:
    """The kind of a date by the national calendar."""
    rest = date.weekday() >= 5
    if date.year not in _ARRANGED_YEARS:
        off = in_festival(date, before=2, after=9) or any(
            start <= (date.month, date.day) <= end for start, end in _USUAL_DAYS_OFF
        )
        return DayKind.UNKNOWN if off else (DayKind.REST if rest else DayKind.WORKDAY)
    if chinese_calendar.is_workday(date):
        return DayKind.MAKE_UP if rest else DayKind.WORKDAY
    if date in constants.holidays:
        return DayKind.HOLIDAY
    return DayKind.REST


@lru_cache(maxsize=4096)
def in_festival(date: dt.date, *, before: int = FESTIVAL_BEFORE, after: int = FESTIVAL_AFTER) -> bool:
    """Whether a date lies between `before` days before and `after` days after a lunar new year; False out of range."""
    return any(-before <= (date - day).days <= after for day in _near(date.year))


@lru_cache(maxsize=64)
def _near(year: int) -> tuple[dt.date, ...]:
    return tuple(day for day in LUNAR_NEW_YEARS if abs(day.year - year) <= 1)


def day_facts(dates: Sequence[dt.date], rows: Iterable[CalendarRow] = ()) -> DayFacts:
    """The facts of some dates; HOLIDAY and WORKDAY rows of the register's calendar come before the national ones."""
    own = {row.day: row.kind for row in rows if row.day is not None and row.kind is not CalendarKind.TARIFF}
    special = np.array([_special(date, own.get(date)) for date in dates], dtype=np.bool_)
    return DayFacts(
        ordinal=np.array([date.toordinal() for date in dates], dtype=np.int64),
        weekday=np.array([date.weekday() for date in dates], dtype=np.int64),
        special=special,
        festival=np.array([in_festival(date) for date in dates], dtype=np.bool_),
        known=np.array([date.year in _ARRANGED_YEARS for date in dates], dtype=np.bool_),
    )


def _special(date: dt.date, own: CalendarKind | None) -> bool:
    if own is CalendarKind.HOLIDAY:
        return True
    if own is CalendarKind.WORKDAY:
        return date.weekday() >= 5
    return day_kind(date) in (DayKind.HOLIDAY, DayKind.MAKE_UP, DayKind.UNKNOWN)
