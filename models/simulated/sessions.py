"""When a furnace is manned: sessions of a night, a shift or days on end."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.simulated.shapes import Rng, pick
from models.simulated.timeline import MINUTES_A_DAY, Timeline


class SessionKind(StrEnum):
    """Working habits of melting shops."""

    VALLEY_NIGHT = "valley_night"
    NIGHT_AND_MIDDAY = "night_and_midday"
    CONTINUOUS = "continuous"
    TWO_SHIFT = "two_shift"
    DAY = "day"
    IRREGULAR_NIGHTS = "irregular_nights"


_HIDDEN: Final = (
    ("valley_night", 0.50),
    ("night_and_midday", 0.15),
    ("continuous", 0.12),
    ("two_shift", 0.08),
    ("day", 0.10),
    ("irregular_nights", 0.05),
)
_LEGAL: Final = (("day", 0.35), ("two_shift", 0.30), ("valley_night", 0.25), ("continuous", 0.10))
_DAY_STARTS: Final = {SessionKind.TWO_SHIFT: (6 * 60, 21 * 60), SessionKind.DAY: (8 * 60, 17 * 60)}


@dataclass(frozen=True, slots=True)
class SessionPlan:
    """`active_share` of the days are worked; `stops_a_month` campaign stops of 2 to 12 days."""

    kind: SessionKind
    active_share: float
    stops_a_month: float = 0.35


@dataclass(frozen=True, slots=True)
class Session:
    """Melting may begin at minute `start` of the timeline; no heat is begun at or after `last_start`."""

    start: int
    last_start: int


def draw_plan(rng: Rng, *, legal: bool) -> SessionPlan:
    """A working habit: 5.7 days of 7 on average."""
    kind = SessionKind(pick(rng, _LEGAL if legal else _HIDDEN))
    active_share = 0.55 if kind is SessionKind.IRREGULAR_NIGHTS else float(rng.beta(8.14, 1.86))
    return SessionPlan(kind, active_share)


def draw_sessions(plan: SessionPlan, time: Timeline, rng: Rng) -> tuple[Session, ...]:
    """The sessions that begin within the timeline, in order, never overlapping."""
    active = _active_days(plan, time, rng)
    if plan.kind is SessionKind.CONTINUOUS:
        return _runs(active, time)
    found: list[Session] = []
    for day in np.flatnonzero(active).tolist():
        midnight = int(time.day_start[day])
        for start, last_start in _of_day(plan.kind, rng):
            session = Session(midnight + round(start), midnight + round(last_start))
            if session.last_start > session.start and (not found or session.start > found[-1].last_start + 60):
                found.append(session)
    return tuple(found)


def _active_days(plan: SessionPlan, time: Timeline, rng: Rng) -> NDArray[np.bool_]:
    active = rng.random(time.n_days) < plan.active_share
    for _ in range(int(rng.poisson(plan.stops_a_month * time.n_days / 30.0))):
        first = int(rng.integers(0, time.n_days))
        active[first : first + int(rng.integers(2, 13))] = False
    return active


def _of_day(kind: SessionKind, rng: Rng) -> list[tuple[float, float]]:
    if kind in _DAY_STARTS:
        start, stop = _DAY_STARTS[kind]
        return [(start + rng.normal(0.0, 12.0), stop + rng.normal(0.0, 25.0))]
    evening = 22 * 60 + 55 + rng.normal(0.0, 25.0)
    morning = MINUTES_A_DAY + 6 * 60 + 10 + rng.normal(0.0, 35.0)
    if kind is SessionKind.NIGHT_AND_MIDDAY:
        return [(11 * 60 + rng.normal(0.0, 15.0), 14 * 60 + rng.normal(0.0, 20.0)), (evening, morning)]
    return [(evening, morning)]


def _runs(active: NDArray[np.bool_], time: Timeline) -> tuple[Session, ...]:
    edges = np.flatnonzero(np.diff(np.concatenate(([False], active, [False])).astype(np.int8)))
    return tuple(
        Session(int(time.day_start[first]), int(time.day_start[end])) for first, end in edges.reshape(-1, 2).tolist()
    )
