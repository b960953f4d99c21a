"""A night's readings of some meters: from the live rings where they hold all of it, else read back from history.

What history gives goes into rings of the same kind, so that both paths give the same bytes (design §2, invariant 3).
Only the meters asked for are read: a late reading of one meter costs one meter's night, whatever the district.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from models.domain.nights import DAY_S, Night, nights_before
from models.domain.windows import Window
from monitor.applier import Applier, fill_ring
from monitor.history.history import History
from monitor.jobs import NO_KEYS, Keys
from monitor.slots import slots_of
from monitor.windows import Ring

ASKED_AT_ONCE: Final = 50_000
"""Meters asked in one slice whether they were heard."""
_MARGIN_MS: Final = 3_600_000


class NightView:
    """One night, for one job. Iterators yield between slices."""

    def __init__(self, applier: Applier, history: History, zone: ZoneInfo, night: Night) -> None:
        self._applier = applier
        self._history = history
        self._zone = zone
        self._night = night
        self._held: tuple[Keys, Ring] | None = None

    @property
    def cadences(self) -> tuple[int, ...]:
        """Intervals in seconds at which anything was ever reported and a ring is kept."""
        return tuple(self._applier.rings)

    def heard(self, interval_s: int, keys: Keys) -> Iterator[NDArray[np.bool_] | None]:
        """(n,) True where a meter reported anything for the night at a cadence; None before the last, for slices."""
        found = np.zeros(len(keys), dtype=np.bool_)
        ring = self._applier.rings.get(interval_s)
        elsewhere = [NO_KEYS]
        if ring is not None:
            for start in range(0, len(keys), ASKED_AT_ONCE):
                some = keys[start : start + ASKED_AT_ONCE]
                live = ring.covers(some, self._night)
                found[start : start + len(some)] = live & ring.has_data(self._night, some)
                elsewhere.append(np.flatnonzero(~live).astype(np.int32) + np.int32(start))
                yield None
        asked = np.concatenate(elsewhere)
        if asked.size:
            found[asked] = self._stored(interval_s, keys[asked])
        yield found

    def hold(self, interval_s: int, keys: Keys) -> bool:
        """Read what windows of these meters need, where the live ring lacks it; returns whether that took a read."""
        ring = self._applier.rings.get(interval_s)
        if ring is None or ring.covers(keys, self._night).all():
            return False
        self._held = (np.sort(keys), self._read(interval_s, keys))
        return True

    def window(self, interval_s: int, keys: Keys) -> Window:
        """The night of some meters, with what the register says of their counters."""
        ring = self._applier.rings.get(interval_s) or Ring(interval_s, 1, zone=self._zone)
        if not ring.covers(keys, self._night).all():
            if self._held is None or not np.isin(keys, self._held[0], assume_unique=True).all():
                self.hold(interval_s, keys)
            ring = ring if self._held is None else self._held[1]
        roster = self._applier.roster
        wrap_kwh = roster.rows.wraps(self._night.date, keys)
        return dataclasses.replace(ring.window(self._night, keys, roster.names(keys)), wrap_kwh=wrap_kwh)

    def _stored(self, interval_s: int, keys: Keys) -> NDArray[np.bool_]:
        """(n,) True where history holds a reading in one of the night's slots."""
        self._applier.flush()
        start_ms, end_ms = slots_of(interval_s, self._zone).stamps_of(self._night)
        return self._history.reported(start_ms, end_ms, interval_s, self._applier.roster.names(keys))

    def _read(self, interval_s: int, keys: Keys) -> Ring:
        """A ring of these meters' night, with the slot that opens it."""
        self._applier.flush()
        night = self._night
        if interval_s == DAY_S:
            opening, _ = nights_before(night, 2, self._zone)
            start_ms, end_ms, slots = opening.start_ms, night.end_ms, 2
        else:
            start_ms, end_ms = night.start_ms - _MARGIN_MS, night.end_ms + _MARGIN_MS
            slots = (night.end_ms - night.start_ms + 3 * _MARGIN_MS) // (interval_s * 1000)
        names = self._applier.roster.names(keys)
        stored = self._history.read(start_ms, end_ms, interval_s=interval_s, meters=names)
        ring = Ring(interval_s, slots, wide=True, zone=self._zone)
        fill_ring(ring, stored, self._applier.roster)
        return ring
