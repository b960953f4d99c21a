"""Slots into which more than one reading fell: all of them are kept, and the whole set decides what the slot holds."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from models.domain.windows import SlotFlag

Stamp = tuple[int, int]
"""Distance of the stamp from the tick in ms, and the revision."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What a slot holds: `value` is NaN where its readings contradict each other."""

    value: float
    offset_ms: int
    rev: int


@dataclass(slots=True)
class Cell:
    """The readings of one slot of one meter, by channel, stamp and revision."""

    channels: dict[str, dict[Stamp, list[float]]] = field(default_factory=dict)

    def add(self, channel: str, stamp: Stamp, value: float) -> bool:
        """Keep a value that differs from those known for its stamp; True when it contradicts one of them."""
        values = self.channels.setdefault(channel, {}).setdefault(stamp, [])
        values.append(value)
        return len(values) > 1

    def knows(self, channel: str, stamp: Stamp, value: float) -> bool:
        return value in self.channels.get(channel, {}).get(stamp, ())

    def settle(self, channel: str) -> Settled:
        """Nearest stamp to the tick (the earlier of two), its highest revision, one value or none."""
        stamps = self.channels[channel]
        offset_ms = min((stamp[0] for stamp in stamps), key=lambda ms: (abs(ms), ms))
        rev = max(stamp[1] for stamp in stamps if stamp[0] == offset_ms)
        values = stamps[offset_ms, rev]
        return Settled(values[0] if len(values) == 1 else math.nan, offset_ms, rev)

    def flags(self) -> SlotFlag:
        """CONFLICT and REVISED as they follow from all channels."""
        flags = SlotFlag.CONTESTED | SlotFlag.HAS_DATA
        for channel in self.channels:
            outcome = self.settle(channel)
            flags |= SlotFlag.CONFLICT if math.isnan(outcome.value) else SlotFlag(0)
            flags |= SlotFlag.REVISED if outcome.rev > 0 else SlotFlag(0)
        return flags
