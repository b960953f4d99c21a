"""Event time of each feed: how far the readings of one publisher and cadence have come, and what silence does."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.domain.nights import DAY_S

Feed = tuple[str, int]
"""Publisher and cadence in seconds."""


def feed_key(feed: Feed) -> str:
    """The feed's name in the desk's cursors."""
    return f"{feed[0]}/{feed[1]}"


class Feeds:
    """Watermarks that only move forward.

    A feed's watermark is the lower median of its meters' newest stamps, capped at the newest receipt, minus the
    lateness budget: half of the meters must lie before one of them can move it (rule T3). TICK records move it when
    nothing arrives at all: to the tick minus the silence budget. A feed of daily readings speaks once a day, so it may
    be silent, and lag, a day longer.
    """

    def __init__(self, *, lateness_s: int, silence_s: int) -> None:
        self._lateness_ms = lateness_s * 1000
        self._silence_ms = silence_s * 1000
        self._watermark_ms: dict[Feed, int] = {}
        self._received_ms = 0
        self._tick_ms = 0

    def received(self, at_ms: int) -> None:
        """The receipt stamp of what is being applied."""
        self._received_ms = max(self._received_ms, at_ms)

    def tick(self, at_ms: int) -> None:
        self._tick_ms = max(self._tick_ms, at_ms)

    def advance(self, feed: Feed, newest_ms: NDArray[np.int64]) -> None:
        """Take the newest stamps of the feed's meters into account, (n,)."""
        if newest_ms.size == 0:
            return
        middle = (newest_ms.size - 1) // 2
        median_ms = int(np.partition(newest_ms, middle)[middle])
        reached = min(median_ms, self._received_ms) - self._lateness_ms
        self._watermark_ms[feed] = max(self._watermark_ms.get(feed, 0), reached)

    def watermark_ms(self, feed: Feed) -> int:
        """Up to where the feed's readings are taken as complete; 0 before anything was heard or ticked."""
        silent = self._tick_ms - self._silence_ms - _between_ms(feed) if self._tick_ms else 0
        return max(self._watermark_ms.get(feed, 0), silent)

    def reached_ms(self) -> int:
        """How far the foremost feed that reported has come; 0 before anything was heard."""
        return max((self.watermark_ms(feed) for feed in self._watermark_ms), default=0)

    def lag_s(self, now_ms: int) -> float:
        """How far the slowest feed that reported lies behind the wall clock, in seconds; 0 while none did."""
        lags = ((now_ms - self.watermark_ms(feed) - _between_ms(feed)) / 1000.0 for feed in self._watermark_ms)
        return max(lags, default=0.0)


def _between_ms(feed: Feed) -> int:
    return DAY_S * 1000 if feed[1] >= DAY_S else 0
