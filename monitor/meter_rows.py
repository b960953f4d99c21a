"""The register's meter rows as columns: what holds for every meter on a date, without asking meter by meter."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from models.domain.register import Register
from models.domain.sheets import column

Feed = tuple[str, int]
_OPEN: Final = dt.date.max.toordinal()
_MOST_SPANS: Final = 4


@dataclass(frozen=True, slots=True)
class OnDate:
    """The register on one date, by meter key: `row` (n,) int32, -1 for a meter that is not registered then.

    `feeds` are the keys of each feed's meters, in order.
    """

    row: NDArray[np.int32]
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
        self._key = np.fromiter(map(index.__getitem__, column(rows, "meter")), np.int32, m)
        self._from = np.fromiter(map(dt.date.toordinal, column(rows, "valid_from")), np.int32, m)
        ends = (_OPEN if end is None else end.toordinal() for end in column(rows, "valid_to"))
        self._to = np.fromiter(ends, np.int32, m)
        wraps = (np.nan if wrap is None else wrap for wrap in column(rows, "register_wrap_kwh"))
        self._wrap_kwh = np.fromiter(wraps, np.float64, m)
        self._site: pa.Array[Any] = pa.array(column(rows, "site"), pa.string())
        ratios = zip(column(rows, "ratio_applied"), column(rows, "ratio"), strict=True)
        self._factor = np.fromiter((1.0 if applied else ratio for applied, ratio in ratios), np.float64, m)
        number: dict[Feed, int] = {}
        feeds = zip(column(rows, "publisher"), column(rows, "cadence_s"), strict=True)
        self._feed = np.fromiter((number.setdefault(feed, len(number)) for feed in feeds), np.int32, m)
        self._feeds = tuple(number)
        self._changes = np.unique(np.concatenate([self._from, self._to]))
        self._spans: dict[int, OnDate] = {}

    def on(self, date: dt.date) -> OnDate:
        """What holds on a date; kept for the dates asked last, and the same between two changes of the sheet."""
        span = int(np.searchsorted(self._changes, date.toordinal(), side="right"))
        known = self._spans.pop(span, None) or self._made(date)
        self._spans[span] = known
        if len(self._spans) > _MOST_SPANS:
            del self._spans[next(iter(self._spans))]
        return known

    def last_publishers(self) -> tuple[tuple[str, ...], NDArray[np.int32]]:
        """Publishers of the rows that begin last, sorted, and the index of each meter's, (n,)."""
        last = np.full(self._n, -1, dtype=np.int32)
        order = np.argsort(self._from, kind="stable")
        last[self._key[order]] = self._feed[order]
        mine = np.array([publisher for publisher, _ in self._feeds], dtype=np.str_)[last] if len(last) else last
        names, home = np.unique(mine, return_inverse=True)
        return tuple(names.tolist()), home.astype(np.int32)

    def by_publisher(self) -> dict[str, NDArray[np.int32]]:
        """Keys of the meters that were ever registered with a publisher, by publisher."""
        return {name: self._ever(feed[0] == name for feed in self._feeds) for name, _ in self._feeds}

    def by_cadence(self) -> dict[int, NDArray[np.int32]]:
        """Keys of the meters that were ever registered at a cadence, by cadence in seconds."""
        return {cadence_s: self._ever(feed[1] == cadence_s for feed in self._feeds) for _, cadence_s in self._feeds}

    def _ever(self, wanted: Iterable[bool]) -> NDArray[np.int32]:
        return np.unique(self._key[np.array(list(wanted), dtype=np.bool_)[self._feed]])

    def at_cadence(self, interval_s: int) -> int:
        """How many rows of the sheet have a cadence."""
        sizes = np.bincount(self._feed, minlength=len(self._feeds)).tolist()
        return sum(size for (_, cadence_s), size in zip(self._feeds, sizes, strict=True) if cadence_s == interval_s)

    def sites(self, date: dt.date, keys: NDArray[np.int32]) -> pa.Array[Any]:
        """Sites of meters on a date, strings (n,); "" for a meter that is not registered then."""
        row = self.on(date).row[keys]
        found = self._site.take(pa.array(row, mask=row < 0))
        return found.fill_null("")

    def wraps(self, date: dt.date, keys: NDArray[np.int32]) -> NDArray[np.float64]:
        """Register values in kWh at which counters wrap on a date, (n,); NaN where unknown or not registered."""
        row = self.on(date).row[keys]
        return np.where(row >= 0, self._wrap_kwh[row], np.nan) if len(self._wrap_kwh) else np.full(len(keys), np.nan)

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
        feed = self._feed[row[registered]]
        sizes = np.bincount(feed, minlength=len(self._feeds))
        order = registered[np.argsort(feed, kind="stable")] if len(self._feeds) > 1 else registered
        members = np.split(order, np.cumsum(sizes)[:-1]) if len(self._feeds) else []
        feeds = {name: keys for name, keys in zip(self._feeds, members, strict=True) if keys.size}
        return OnDate(row, feeds)
