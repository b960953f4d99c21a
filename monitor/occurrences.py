"""What threads notice and the core thread writes into the audit log: gaps (rule D11) and steps of the clock (T4)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from models.domain.clock import Clock
from monitor.desk.audit_log import SYSTEM, append
from monitor.desk.database import desk_transaction
from monitor.desk.gaps import GapCause, note_gap

if TYPE_CHECKING:
    from monitor.wiring import Core

MOST_WAITING: Final = 1000
"""Occurrences kept until the desk can be written; beyond that the newest are counted by the metrics alone."""


class Occurrences:
    """Any thread notes; the core thread writes."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: deque[Callable[[sa.Connection], object]] = deque()

    def gap(self, cause: GapCause, start_ms: int, end_ms: int) -> None:
        """Readings of a stretch (wall clock, Unix ms) may have been missed."""
        at_ms = self._clock.wall_ms()
        self._note(partial(note_gap, at_ms=at_ms, cause=cause, start_ms=start_ms, end_ms=end_ms))

    def clock_stepped(self, seconds: float) -> None:
        """The wall clock was set, by so many seconds."""
        details = {"seconds": round(seconds, 3)}
        at_ms = self._clock.wall_ms()
        self._note(partial(append, at_ms=at_ms, actor=SYSTEM, action="clock.stepped", subject="clock", details=details))

    def write(self, core: Core) -> bool:
        """Write what waits, in one transaction; for the core thread. Raises what `desk_transaction` raises."""
        some = list(self._waiting)
        if some:
            with desk_transaction(core.engine) as connection:
                for entry in some:
                    entry(connection)
            for _ in some:
                self._waiting.popleft()
        return False

    def _note(self, entry: Callable[[sa.Connection], object]) -> None:
        if len(self._waiting) < MOST_WAITING:
            self._waiting.append(entry)
