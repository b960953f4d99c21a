"""Which slot a stamp falls into: ticks of the clock for cadences within a day, the night itself for daily readings."""

from __future__ import annotations

import datetime as dt
from typing import Final, Protocol
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from models.domain.nights import DAY_S, Night, night_ordinals

_UTC: Final = ZoneInfo("UTC")
_MOST_NIGHTS: Final = 10_000
"""Span of nights for which a table is cheaper than sorting."""


class Slots(Protocol):
    """Whole numbers for the slots of one cadence, each with the tick its readings are stamped at."""

    def of(self, ts_ms: NDArray[np.int64]) -> NDArray[np.int64]:
        """Slot of each stamp, (n,)."""

    def tick_ms(self, slot: NDArray[np.int64]) -> NDArray[np.int64]:
        """Stamp of each slot's tick, (n,)."""

    def of_night(self, night: Night) -> tuple[int, int]:
        """The slot whose reading opens the night, and how many slots follow it."""

    def stamps_of(self, night: Night) -> tuple[int, int]:
        """Stamps in (first, last] are those of the slots that follow the opening one."""

    def off_tick(self, offset_ms: NDArray[np.int32], share: float) -> NDArray[np.bool_]:
        """(n,) True for stamps further from their tick than `share` of the interval."""


class ClockSlots:
    """Slot k ends at k intervals after 1970; a stamp belongs to the nearest tick, the later of two."""

    def __init__(self, interval_s: int) -> None:
        self._step_ms = interval_s * 1000

    def of(self, ts_ms: NDArray[np.int64]) -> NDArray[np.int64]:
        return (ts_ms + self._step_ms // 2) // self._step_ms

    def tick_ms(self, slot: NDArray[np.int64]) -> NDArray[np.int64]:
        return slot * self._step_ms

    def of_night(self, night: Night) -> tuple[int, int]:
        return night.start_ms // self._step_ms, (night.end_ms - night.start_ms) // self._step_ms

    def stamps_of(self, night: Night) -> tuple[int, int]:
        first, count = self.of_night(night)
        opening_ms = first * self._step_ms + self._step_ms - self._step_ms // 2 - 1
        return opening_ms, opening_ms + count * self._step_ms

    def off_tick(self, offset_ms: NDArray[np.int32], share: float) -> NDArray[np.bool_]:
        result: NDArray[np.bool_] = np.abs(offset_ms) > share * self._step_ms
        return result


class NightSlots:
    """One slot a night of the zone, numbered by its date's ordinal; its tick is the local midnight within.

    Whoever freezes registers at 23:59:59, at midnight or at 8 in the morning has one reading a night. The hour is the
    sender's custom, so no stamp is off the tick; of two in one night the one nearer to midnight counts.
    """

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone
        self._midnight_ms: dict[int, int] = {}

    def of(self, ts_ms: NDArray[np.int64]) -> NDArray[np.int64]:
        return night_ordinals(ts_ms, self._zone)

    def tick_ms(self, slot: NDArray[np.int64]) -> NDArray[np.int64]:
        if slot.size == 0:
            return np.zeros(0, dtype=np.int64)
        first = int(slot.min())
        span = int(slot.max()) - first + 1
        if span > _MOST_NIGHTS:
            nights, position = np.unique(slot, return_inverse=True)
            return self._ticks(nights)[position.reshape(-1)]
        present = np.zeros(span, dtype=np.bool_)
        present[slot - first] = True
        table = np.zeros(len(present), dtype=np.int64)
        table[present] = self._ticks(np.flatnonzero(present) + first)
        return table[slot - first]

    def of_night(self, night: Night) -> tuple[int, int]:
        return night.date.toordinal() - 1, 1

    def stamps_of(self, night: Night) -> tuple[int, int]:
        return night.start_ms, night.end_ms

    def off_tick(self, offset_ms: NDArray[np.int32], share: float) -> NDArray[np.bool_]:  # noqa: ARG002  # any hour is on it
        return np.zeros(len(offset_ms), dtype=np.bool_)

    def _ticks(self, nights: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.array([self._tick_ms(night) for night in nights.tolist()], dtype=np.int64)

    def _tick_ms(self, ordinal: int) -> int:
        known = self._midnight_ms.get(ordinal)
        if known is None:
            if not 1 <= ordinal < dt.date.max.toordinal():
                return 0
            date = dt.date.fromordinal(ordinal + 1)
            midnight = dt.datetime(date.year, date.month, date.day, tzinfo=self._zone)
            known = self._midnight_ms[ordinal] = int(midnight.timestamp()) * 1000
        return known


def slots_of(interval_s: int, zone: ZoneInfo = _UTC) -> Slots:
    """The slots of a cadence; the zone matters to daily readings alone."""
    return NightSlots(zone) if interval_s == DAY_S else ClockSlots(interval_s)
