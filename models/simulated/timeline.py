"""The minutes that are simulated, and what the local calendar says of each."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

MINUTE_MS: Final = 60_000
MINUTES_A_DAY: Final = 1440


@dataclass(frozen=True, slots=True)
class Timeline:
    """n minutes from local midnight of `dates[0]`; minute k covers [start_ms + k·60 s, start_ms + (k+1)·60 s).

    `day_start` (n_days + 1,) is the first minute of each local day and n; `minute_of_day` and `day` (n,) are the
    local minute and the day's position in `dates`; `rest_day` (n_days,) is True on Sundays and public holidays.
    """

    start_ms: int
    dates: tuple[dt.date, ...]
    day_start: NDArray[np.int64]
    minute_of_day: NDArray[np.int64]
    day: NDArray[np.int64]
    rest_day: NDArray[np.bool_]

    @property
    def n(self) -> int:
        return len(self.minute_of_day)

    @property
    def n_days(self) -> int:
        return len(self.dates)

    def between(self, start_minute: float, end_minute: float) -> NDArray[np.bool_]:
        """(n,) mask of a daily stretch of local minutes; an end before the start runs over midnight."""
        if start_minute <= end_minute:
            return (self.minute_of_day >= start_minute) & (self.minute_of_day < end_minute)
        return (self.minute_of_day >= start_minute) | (self.minute_of_day < end_minute)

    def weekday(self) -> NDArray[np.int64]:
        """(n_days,) 0 = Monday."""
        return np.array([date.weekday() for date in self.dates], dtype=np.int64)


def midnight_ms(date: dt.date, zone: ZoneInfo) -> int:
    """Unix milliseconds of the local midnight that begins `date`."""
    return int(dt.datetime(date.year, date.month, date.day, tzinfo=zone).timestamp()) * 1000


def timeline(start: dt.date, days: int, zone: ZoneInfo, holidays: frozenset[dt.date] = frozenset()) -> Timeline:
    """The minutes of `days` local days from `start`; a day of a clock change has 23 or 25 hours."""
    dates = tuple(start + dt.timedelta(days=k) for k in range(days))
    midnights_ms = np.array([midnight_ms(d, zone) for d in (*dates, start + dt.timedelta(days=days))], dtype=np.int64)
    day_start = (midnights_ms - midnights_ms[0]) // MINUTE_MS
    lengths = np.diff(day_start)
    day = np.repeat(np.arange(days, dtype=np.int64), lengths)
    minute_of_day = np.minimum(np.arange(day_start[-1]) - day_start[day], MINUTES_A_DAY - 1)
    rest_day = np.array([d.weekday() == 6 or d in holidays for d in dates], dtype=np.bool_)
    return Timeline(int(midnights_ms[0]), dates, day_start, minute_of_day, day, rest_day)
