"""The register's meter rows as columns: what holds for every meter on a date, without asking meter by meter."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from models.domain.register import Register

Feed = tuple[str, int]
_OPEN: Final = dt.date.max.toordinal()
_MOST_DATES: Final = 8


@dataclass(frozen=True, slots=True)
class OnDate:
    """The register on one date, by meter key: `row` (n,) int32, -1 for a meter that is not registered then.

    `wrap_kwh` (n,) float64, NaN where unknown; `feeds` the keys of each feed's meters, in order.
    """

    row: NDArray[np.int32]
    wrap_kwh: NDArray[np.float64]
    feeds: Mapping[Feed, NDArray[np.int32]]


@dataclass(frozen=True, slots=True)
class Permits:
    """`Register.admit` of many meters at once, each by its own publisher (an index into `publishers`): columns."""

    key: NDArray[np.int32]
    publisher: NDArray[np.int32]
    cadence_s: NDArray[np.int32]
    factor: NDArray[np.float64]
    may_revise: NDArray[np.bool_]
    from_ms: NDArray[np.int64]
    to_ms: NDArray[np.int64]


class MeterRows:
    """Columns over the rows of the sheet `meters`, m of them, of n meters by key."""

    def __init__(self, register: Register, index: Mapping[str, int]) -> None:
        rows = register.rows.meters
        m = len(rows)
        self._register = register
        self._n = len(index)
        self._key = np.fromiter((index[row.meter] for row in rows), np.int32, m)
        self._from = np.fromiter((row.valid_from.toordinal() for row in rows), np.int32, m)
        ends = (_OPEN if row.valid_to is None else row.valid_to.toordinal() for row in rows)
        self._to = np.fromiter(ends, np.int32, m)
        wraps = (np.nan if row.register_wrap_kwh is None else row.register_wrap_kwh for row in rows)
        self._wrap_kwh = np.fromiter(wraps, np.float64, m)
        self._site: pa.Array[Any] = pa.array([row.site for row in rows], pa.string())
        factors = (1.0 if row.ratio_applied else row.ratio for row in rows)
        self._factor = np.fromiter(factors, np.float64, m)
        number: dict[Feed, int] = {}
        codes = (number.setdefault((row.publisher, row.cadence_s), len(number)) for row in rows)
        self._feed = np.fromiter(codes, np.int32, m)
        self._feeds = tuple(number)
        self._dates: dict[dt.date, OnDate] = {}

    def on(self, date: dt.date) -> OnDate:
        """What holds on a date; kept for the dates asked last."""
        known = self._dates.pop(date, None) or self._made(date)
        self._dates[date] = known
        if len(self._dates) > _MOST_DATES:
            del self._dates[next(iter(self._dates))]
        return known

    def at_cadence(self, interval_s: int) -> int:
        """How many rows of the sheet have a cadence."""
        sizes = np.bincount(self._feed, minlength=len(self._feeds)).tolist()
        return sum(size for (_, cadence_s), size in zip(self._feeds, sizes, strict=True) if cadence_s == interval_s)

    def sites(self, date: dt.date, keys: NDArray[np.int32]) -> pa.Array[Any]:
        """Sites of meters on a date, strings (n,); "" for a meter that is not registered then."""
        row = self.on(date).row[keys]
        found = self._site.take(pa.array(row, mask=row < 0))
        return found.fill_null("")

    def permits(self, date: dt.date) -> tuple[Permits, tuple[str, ...]]:
        """What every meter's own publisher may send on a date, and the names of the publishers."""
        row = self.on(date).row
        key = np.flatnonzero(row >= 0).astype(np.int32)
        names = tuple(dict.fromkeys(publisher for publisher, _ in self._feeds))
        place = {name: i for i, name in enumerate(names)}
        senders = [self._register.publisher(name, date) for name in names]
        publisher = np.array([place[name] for name, _ in self._feeds], dtype=np.int32)[self._feed[row[key]]]
        known = np.array([sender is not None for sender in senders], dtype=np.bool_)[publisher]
        key, publisher = key[known], publisher[known]
        mine = row[key]
        begins = np.array([0 if s is None else s.valid_from.toordinal() for s in senders], dtype=np.int32)
        ends = [_OPEN if s is None or s.valid_to is None else s.valid_to.toordinal() for s in senders]
        cadences = np.array([cadence_s for _, cadence_s in self._feeds], dtype=np.int32)
        revising = np.array([s is not None and s.may_revise for s in senders], dtype=np.bool_)
        permits = Permits(
            key=key,
            publisher=publisher,
            cadence_s=cadences[self._feed[mine]],
            factor=self._factor[mine],
            may_revise=revising[publisher],
            from_ms=self._midnights(np.maximum(self._from[mine], begins[publisher])),
            to_ms=self._midnights(np.minimum(self._to[mine], np.array(ends, dtype=np.int32)[publisher])),
        )
        return permits, names

    def _midnights(self, ordinals: NDArray[np.int32]) -> NDArray[np.int64]:
        days, place = np.unique(ordinals, return_inverse=True)
        dates = [None if day == _OPEN else dt.date.fromordinal(day) for day in days.tolist()]
        return np.array([self._register.midnight_ms(date) for date in dates], dtype=np.int64)[place]

    def _made(self, date: dt.date) -> OnDate:
        day = date.toordinal()
        holds = np.flatnonzero((self._from <= day) & (day < self._to))[::-1].astype(np.int32)
        row = np.full(self._n, -1, dtype=np.int32)
        row[self._key[holds]] = holds
        registered = np.flatnonzero(row >= 0).astype(np.int32)
        wrap_kwh = np.full(self._n, np.nan)
        wrap_kwh[registered] = self._wrap_kwh[row[registered]]
        feed = self._feed[row[registered]]
        sizes = np.bincount(feed, minlength=len(self._feeds))
        order = registered[np.argsort(feed, kind="stable")] if len(self._feeds) > 1 else registered
        members = np.split(order, np.cumsum(sizes)[:-1]) if len(self._feeds) else []
        feeds = {name: keys for name, keys in zip(self._feeds, members, strict=True) if keys.size}
        return OnDate(row, wrap_kwh, feeds)
