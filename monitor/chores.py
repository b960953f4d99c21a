"""What the core thread does by the clock beside taking in and judging: sealing days, keeping time, keeping house."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from models.domain.clock import Clock

if TYPE_CHECKING:
    from monitor.wiring import Core

DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class Chore:
    """Work in slices of at most about 50 ms. `run` returns True while there is more to do in this round.

    `every_s` counts monotonic seconds from round to round; None: once a day of the wall clock, and after the start.
    """

    name: str
    every_s: float | None
    run: Callable[[Core], bool]


class Chores:
    """Runs the chores that are due, a slice of each a turn; for the core thread."""

    def __init__(self, chores: Sequence[Chore], clock: Clock) -> None:
        self._chores = tuple(chores)
        self._clock = clock
        self._done_s = {chore.name: clock.monotonic_s() for chore in chores}
        self._done_day = dict.fromkeys(self._done_s, 0)

    def turn(self, core: Core) -> None:
        """A slice of every chore that is due; a chore that raises stays due."""
        for chore in self._chores:
            if self._due(chore) and not chore.run(core):
                self._done_s[chore.name] = self._clock.monotonic_s()
                self._done_day[chore.name] = self._clock.wall_ms() // DAY_MS

    def _due(self, chore: Chore) -> bool:
        if chore.every_s is None:
            return self._clock.wall_ms() // DAY_MS != self._done_day[chore.name]
        return self._clock.monotonic_s() - self._done_s[chore.name] >= chore.every_s
