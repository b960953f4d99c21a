"""Whether our own clock can be believed (rule T4): where it cannot, judging waits, and intake goes on."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from models.domain.clock import Clock

CLOCK_STEP_S: Final = 2.0
"""Wall and monotonic clocks that part by more between two looks: the wall clock was stepped."""

STEADY_S: Final = 300.0
"""How long a clock that was stepped must run evenly before it is believed again."""

HEARD_S: Final = 1800.0
"""How long what a publisher last sent says something about our clock."""

LEAST_AHEAD: Final = 2
"""Publishers that must be ahead of us at once: one alone may well be wrong itself."""


class TimeWatch:
    """Looks at the wall clock, and at how many publishers are ahead of it at once.

    `heard` is called from the core thread, `step_s` and `doubt` from the watching one.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset_s = self._sample()
        self._steady_from_s = clock.monotonic_s()
        self._ahead: dict[str, tuple[float, bool]] = {}

    def _sample(self) -> float:
        return self._clock.wall_ms() / 1000.0 - self._clock.monotonic_s()

    def step_s(self) -> float | None:
        """Seconds the wall clock was stepped by since the last look, or None where it was not."""
        offset_s = self._sample()
        step = offset_s - self._offset_s
        self._offset_s = offset_s
        if abs(step) <= CLOCK_STEP_S:
            return None
        self._steady_from_s = self._clock.monotonic_s() + STEADY_S
        return step

    def heard(self, publishers: Iterable[str], ahead: Collection[str]) -> None:
        """These registered publishers sent readings; most of what those in `ahead` sent is ahead of our clock."""
        now_s = self._clock.monotonic_s()
        for name in publishers:
            self._ahead[name] = (now_s, name in ahead)

    def doubt(self) -> str | None:
        """Why the clock is not to be believed now, or None where it is."""
        now_s = self._clock.monotonic_s()
        if now_s < self._steady_from_s:
            return f"the wall clock was stepped; judging waits until it ran evenly for {STEADY_S:.0f} s"
        recent = [ahead for at_s, ahead in list(self._ahead.values()) if now_s - at_s <= HEARD_S]
        if sum(recent) >= LEAST_AHEAD and 2 * sum(recent) > len(recent):
            return "most publishers are ahead of this machine's clock; judging waits: set this clock"
        return None
