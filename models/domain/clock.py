"""Wall clock and monotonic clock as an argument (rule T1): nothing else in the project reads the time."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """What the running parts may ask about time."""

    def wall_ms(self) -> int:
        """Unix time, UTC, in milliseconds: for receipt stamps only."""

    def monotonic_s(self) -> float:
        """Seconds of a clock that never steps: for timers, timeouts and rates."""


class SystemClock:
    """The machine's clocks."""

    def wall_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_s(self) -> float:
        return time.monotonic()


class ManualClock:
    """A clock that moves when it is told to: for replay and tests."""

    def __init__(self, wall_ms: int = 0) -> None:
        self._wall_ms = wall_ms
        self._monotonic_s = 0.0

    def wall_ms(self) -> int:
        return self._wall_ms

    def monotonic_s(self) -> float:
        return self._monotonic_s

    def set_wall_ms(self, wall_ms: int) -> None:
        """Move the wall clock; the monotonic clock follows forwards only."""
        self._monotonic_s += max(0, wall_ms - self._wall_ms) / 1000.0
        self._wall_ms = wall_ms
