"""One night of one feed to judge: what the agenda hands to the judge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.domain.nights import Night
from monitor.feeds import Feed

POOL_NIGHTS: Final = 7
"""Nights that a judgement pools, its own included."""

Keys = NDArray[np.int32]
NO_KEYS: Final = np.zeros(0, dtype=np.int32)


@dataclass(frozen=True, slots=True)
class Job:
    """One night of one feed to judge: all of its meters (`keys` None), or those that got late readings.

    A provisional job runs before the night is over, up to `until_ms`, over the detectors that can say something then.
    A `far` job has `keys` and runs the detectors that look back alone: rows they read have changed, not the night's.
    """

    feed: Feed
    night: Night
    keys: Keys | None = None
    until_ms: int | None = None
    far: bool = False

    @property
    def provisional(self) -> bool:
        return self.until_ms is not None
