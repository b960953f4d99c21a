"""When to try the broker again: longer each time, and not for a while when a second client fights for our name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

FIRST_S: Final = 0.5
LONGEST_S: Final = 60.0
GIVE_WAY_S: Final = 60.0
QUICK_LOSS_S: Final = 5.0
QUICK_LOSSES: Final = 3
_STEADY_S: Final = 30.0


@dataclass(slots=True)
class Backoff:
    """All times are of the monotonic clock, in seconds."""

    hold_until_s: float = 0.0
    _next_s: float = FIRST_S
    _connected_at_s: float | None = None
    _quick_losses: int = 0

    def connected(self, now_s: float) -> None:
        """The broker accepted us."""
        self._connected_at_s = now_s

    def ended(self, now_s: float, *, on_purpose: bool) -> bool:
        """An attempt or a connection ended: set when to try again.

        True when accepted connections were lost at once several times in a row: a broker need not say that another
        client took them over. Then we give way, as we do when it says so.
        """
        lasted_s = None if self._connected_at_s is None else now_s - self._connected_at_s
        self._connected_at_s = None
        if on_purpose or (lasted_s is not None and lasted_s > _STEADY_S):
            self._next_s = FIRST_S
        self.hold_until_s = max(self.hold_until_s, now_s + self._next_s)
        self._next_s = min(2 * self._next_s, LONGEST_S)
        if on_purpose:
            return False
        self._quick_losses = self._quick_losses + 1 if lasted_s is not None and lasted_s < QUICK_LOSS_S else 0
        fought_over = self._quick_losses >= QUICK_LOSSES
        if fought_over:
            self.give_way(now_s)
        return fought_over

    def give_way(self, now_s: float) -> None:
        """Another client took over our session: stay away for a minute (rule A7)."""
        self._quick_losses = 0
        self.hold_until_s = now_s + GIVE_WAY_S
