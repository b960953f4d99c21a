"""The contract every detector keeps: pure, vectorised over meters, no I/O, no clock, no state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from models.domain.findings import Judgement
from models.domain.register import Register
from models.domain.windows import PastNights, Window


@dataclass(frozen=True, slots=True)
class Context:
    """What is known besides the window, all of it as of the window's night.

    `past` holds the nightly feature rows of the window's meters, the window's own night last. `feed_alive` (n,) is
    False where so few meters of a meter's feed reported that night that silence says nothing about the meter.
    """

    register: Register
    zone: ZoneInfo
    past: PastNights
    feed_alive: NDArray[np.bool_]


class Detector(Protocol):
    """Settings and one function. The same window and context give the same answer, whatever else was judged."""

    name: ClassVar[str]
    needs: ClassVar[frozenset[str]]

    def evaluate(self, window: Window, context: Context) -> Judgement:
        """Judge every meter of the window: scores for all of them, findings with reasons where it matters."""
