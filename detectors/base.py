"""The contract every detector keeps: pure, vectorised over meters, no I/O, no clock, no state."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Final, Protocol, runtime_checkable
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from models.domain.findings import Judgement
from models.domain.register import Register
from models.domain.windows import PastNights, Window

RECENT_NIGHTS: Final = 35
"""Nights of `Context.recent`: five weeks, the window's own night included."""
MOST_NIGHTS: Final = 400
"""How far back a detector may look."""

_NO_PAST: Final = PastNights((), {})


@dataclass(frozen=True, slots=True)
class Context:
    """What is known besides the window, all of it as of the window's night.

    `past` holds the nightly feature rows of the window's meters, the window's own night last. `feed_alive` (n,) is
    False where so few meters of a meter's feed reported that night that silence says nothing about the meter.

    `recent` and `long_past` are for detectors that look back (see `LooksBack`) and empty for all others. `recent` holds
    `RECENT_NIGHTS` nights of the features the detector named. `long_past` holds its `long_nights` of its
    `long_features`, own night last: NaN throughout for a meter its screen did not let through, None while it screens
    and where the screen let nobody through.
    """

    register: Register
    zone: ZoneInfo
    past: PastNights
    feed_alive: NDArray[np.bool_]
    recent: PastNights = _NO_PAST
    long_past: PastNights | None = None


class Detector(Protocol):
    """Settings and one function. The same window and context give the same answer, whatever else was judged."""

    name: ClassVar[str]
    needs: ClassVar[frozenset[str]]

    def evaluate(self, window: Window, context: Context) -> Judgement:
        """Judge every meter of the window: scores for all of them, findings with reasons where it matters."""


@runtime_checkable
class LooksBack(Protocol):
    """A detector that is judged from nightly feature rows alone, and may look back further than a week.

    Its window names meters, night and cadence and has no slot: `instants` and `registers` are empty, `flags` is
    (n, 0). A late reading that changes the row of a night then changes the answers of later nights without any reading
    being read again, and only meters that have a row for the night are asked about; the others are UNDETERMINED.
    `context.past` is `context.recent`. Both it and `long_past` hold rows of the window's cadence only.

    `recent_features` are read for every meter every night: name few. `screen` picks, from `recent`, the meters whose
    answer needs the long past: let few through. What a meter is told never depends on the other meters of the window.
    """

    name: ClassVar[str]
    needs: ClassVar[frozenset[str]]
    recent_features: ClassVar[tuple[str, ...]]
    long_features: ClassVar[tuple[str, ...]]
    long_nights: ClassVar[int]
    """At most `MOST_NIGHTS`, the own night included."""

    def screen(self, window: Window, context: Context) -> NDArray[np.bool_]:
        """(n,) True for meters whose long past is needed; `context.long_past` is None."""

    def evaluate(self, window: Window, context: Context) -> Judgement:
        """As `Detector.evaluate`."""


def nights_looked_back(detectors: Iterable[Detector]) -> int:
    """How many nights, its own included, the answer for one night may depend on beyond the pooled week; 0: none."""
    looking = [detector for detector in detectors if isinstance(detector, LooksBack)]
    return max((max(RECENT_NIGHTS, min(one.long_nights, MOST_NIGHTS)) for one in looking), default=0)
