"""Time and processor time of a stretch of work."""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds by the wall, and of processor time over all threads of the process."""

    wall_s: float
    cpu_s: float


class Stopwatch:
    """Runs from when it is made."""

    def __init__(self) -> None:
        self._wall_s = time.perf_counter()
        self._cpu_s = time.process_time()

    def cost(self) -> Cost:
        """What has passed since."""
        return Cost(time.perf_counter() - self._wall_s, time.process_time() - self._cpu_s)
