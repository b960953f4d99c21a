"""Nights whose long past changed: one pass over the nights for all meters concerned, however many rows changed."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

_NONE: Final = np.iinfo(np.int32).max

Keys = NDArray[np.int32]
Ordinals = NDArray[np.int64]


class Following:
    """Which later nights detectors that look back have to judge again, by cadence and meter.

    A pass goes over the nights in order. What changes meanwhile waits for the next pass, united: a year of days that
    comes in late, one by one, costs a pass whenever one may begin, not a pass a day. Per meter only the first changed
    night and the last one it reaches are kept; nights between them are judged though nothing changed for them.
    """

    def __init__(self, n_meters: int, nights: int) -> None:
        """`nights`: how many nights the answer for one depends on, itself included; 0 where nothing looks back."""
        self._n_meters = n_meters
        self._nights = nights
        self._waiting: dict[int, _Spans] = {}
        self._passing: dict[int, _Spans] = {}

    @property
    def is_passing(self) -> bool:
        """Whether a pass has nights left."""
        return bool(self._passing)

    @property
    def is_waiting(self) -> bool:
        """Whether something changed since the pass began."""
        return bool(self._waiting)

    def changed(self, interval_s: int, ordinal: int, keys: Keys) -> None:
        """The rows of a night (its date's ordinal) changed for these meters."""
        if keys.size and self._nights > 1:
            spans = self._waiting.setdefault(interval_s, _Spans(self._n_meters))
            spans.add(keys, ordinal + 1, ordinal + self._nights - 1)

    def begin(self) -> None:
        """Begin a pass with all that waits."""
        self._passing, self._waiting = self._waiting, {}

    def next(self, closed_of: dict[int, Ordinals]) -> tuple[int, int, Keys] | None:
        """Cadence, night and meters to judge next; None at the end of the pass.

        Nights not closed yet (after `closed_of[cadence]`, by meter) are left to their time.
        """
        for interval_s in list(self._passing):
            if not self._passing[interval_s].cut(closed_of.get(interval_s)):
                del self._passing[interval_s]
        if not self._passing:
            return None
        ordinal, interval_s = min((spans.first(), interval_s) for interval_s, spans in self._passing.items())
        return interval_s, ordinal, self._passing[interval_s].take(ordinal)


class _Spans:
    """A stretch of nights a meter, `_NONE` where there is none."""

    def __init__(self, n_meters: int) -> None:
        self._first = np.full(n_meters, _NONE, dtype=np.int32)
        self._last = np.zeros(n_meters, dtype=np.int32)

    def add(self, keys: Keys, first: int, last: int) -> None:
        self._first[keys] = np.minimum(self._first[keys], first)
        self._last[keys] = np.maximum(self._last[keys], last)

    def first(self) -> int:
        return int(self._first.min())

    def cut(self, closed_of: Ordinals | None) -> bool:
        """End every stretch with what is closed; False when nothing is left."""
        last = self._last if closed_of is None else np.minimum(self._last, closed_of)
        self._first[self._first > last] = _NONE
        return closed_of is not None and self.first() < _NONE

    def take(self, ordinal: int) -> Keys:
        """The meters whose stretch begins with this night, which is taken off."""
        keys = np.flatnonzero(self._first == ordinal).astype(np.int32)
        self._first[keys] += 1
        return keys
