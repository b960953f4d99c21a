"""What a detector is given: aligned readings of many meters over one night."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntFlag

import numpy as np
from numpy.typing import NDArray

from models.domain.nights import DAY_S, Night


class SlotFlag(IntFlag):
    """What is known of one slot of one meter; held in a uint8 array.

    CONFLICT: two different values for one stamp, the slot is NaN. REVISED: the value is an authorised revision.
    OFF_TICK: stamped well beside the tick. HAS_DATA: something was reported. CONTESTED: more than one reading
    fell into the slot; the window keeps them all to settle it the same way in any order.
    """

    CONFLICT = 1
    REVISED = 2
    OFF_TICK = 4
    HAS_DATA = 16
    CONTESTED = 32


@dataclass(frozen=True, slots=True)
class Window:
    """Readings of n meters of one cadence over `night`, slots on the clock's grid.

    Slot k covers (start + k·interval, start + (k+1)·interval] and is stamped at its end. `instants` maps a channel
    that is not a register to (n, n_slots) float32; `registers` maps a register to (n, n_slots + 1) float64 whose
    column 0 is the reading at the night's start. NaN: nothing was reported, or the values reported contradict each
    other (`SlotFlag.CONFLICT`). A channel no meter of the window carries is absent. `flags` (n, n_slots) uint8.
    A cadence that does not divide the night leaves the last, incomplete slot out. At the cadence of a day
    (`nights.DAY_S`) there is one slot, whatever the clock does to the night's length: it holds the reading stamped
    within the night, and column 0 of its registers the one of the night before. `wrap_kwh` (n,) is the value at which
    a meter's energy registers wrap to zero, NaN where the register does not know it; None where nobody asked.
    """

    night: Night
    interval_s: int
    meters: tuple[str, ...]
    instants: Mapping[str, NDArray[np.float32]]
    registers: Mapping[str, NDArray[np.float64]]
    flags: NDArray[np.uint8]
    wrap_kwh: NDArray[np.float64] | None = None

    @property
    def n_slots(self) -> int:
        return int(self.flags.shape[1])

    def end_ms(self) -> NDArray[np.int64]:
        """Stamp of each slot, (n_slots,); of a day's only slot, the night's end."""
        if self.interval_s == DAY_S:
            return np.full(self.n_slots, self.night.end_ms, dtype=np.int64)
        step = self.interval_s * 1000
        return self.night.start_ms + step * np.arange(1, self.n_slots + 1, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class PastNights:
    """Nightly feature rows of the window's meters: k nights, oldest first, the last one being the window's own.

    `values` maps a feature's name to (n, k) float32; NaN where a night has no row or the feature could not be
    computed.
    """

    nights: tuple[Night, ...]
    values: Mapping[str, NDArray[np.float32]]
