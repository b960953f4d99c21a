"""Nights: the stretch from local noon to the next local noon, dated by its evening."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

DAY_S: Final = 86_400
"""The cadence of daily readings: one slot a night, that of the night their stamp lies in."""

_QUARTER_MS: Final = 900_000
"""Every zone's offset is a multiple of this."""
_MAX_TABLE: Final = 40_000
"""Quarters of an hour, about a year, for which a table is cheaper than sorting."""


@dataclass(frozen=True, slots=True, order=True)
class Night:
    """One night in one time zone; `start_ms` and `end_ms` are Unix milliseconds, UTC."""

    date: dt.date
    start_ms: int
    end_ms: int

    @property
    def month(self) -> str:
        """Local calendar month of the evening, `YYYY-MM`."""
        return f"{self.date:%Y-%m}"


@lru_cache(maxsize=4096)
def night_of_date(date: dt.date, zone: ZoneInfo) -> Night:
    """The night whose evening is `date`."""
    return Night(date, _noon_ms(date, zone), _noon_ms(date + dt.timedelta(days=1), zone))


def night_of_stamp(ts_ms: int, zone: ZoneInfo) -> Night:
    """The night an interval that ENDS at `ts_ms` belongs to: noon itself closes the night before."""
    local = dt.datetime.fromtimestamp((ts_ms - 1) / 1000.0, zone)
    evening = local.date() if local.hour >= 12 else local.date() - dt.timedelta(days=1)
    return night_of_date(evening, zone)


def nights_before(night: Night, count: int, zone: ZoneInfo) -> tuple[Night, ...]:
    """`count` nights that end with `night`, oldest first."""
    days = [night.date - dt.timedelta(days=back) for back in range(count - 1, -1, -1)]
    return tuple(night_of_date(day, zone) for day in days)


def _noon_ms(date: dt.date, zone: ZoneInfo) -> int:
    return int(dt.datetime(date.year, date.month, date.day, 12, tzinfo=zone).timestamp()) * 1000


def night_ordinals(ts_ms: NDArray[np.int64], zone: ZoneInfo) -> NDArray[np.int64]:
    """`date.toordinal()` of the night of each stamp, (n,) -> (n,); looked up once a quarter hour of event time."""
    if ts_ms.size == 0:
        return np.zeros(0, dtype=np.int64)
    quarter = (ts_ms - 1) // _QUARTER_MS
    first = int(quarter.min())
    span = int(quarter.max()) - first + 1
    if span > _MAX_TABLE:
        quarters, position = np.unique(quarter, return_inverse=True)
        return _ordinals(quarters, zone)[position]
    position = quarter - first
    present = np.zeros(span, dtype=np.bool_)
    present[position] = True
    table = np.zeros(span, dtype=np.int64)
    table[present] = _ordinals(np.flatnonzero(present) + first, zone)
    return table[position]


def _ordinals(quarters: NDArray[np.int64], zone: ZoneInfo) -> NDArray[np.int64]:
    ordinals = [night_of_stamp(quarter * _QUARTER_MS + 1, zone).date.toordinal() for quarter in quarters.tolist()]
    return np.array(ordinals, dtype=np.int64)
