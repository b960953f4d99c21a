"""Changes of level and of night share in the own pasts of many meters.

Every function looks at the nights of each meter up to the last one and says, by the meter's row, which change that
began a little while ago still holds. Meters of which nothing is said: nothing to see, or the past does not suffice.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from models.learned.own_past import Bools, Floats, OwnPast, nan_median
from models.learned.steps import Steps, fresh_steps


class ChangeCode(StrEnum):
    """What changed."""

    RISE = "rise"
    FALL = "fall"
    STOP = "stop"
    RESTART = "restart"
    NIGHT_SHARE = "night_share"
    WEEKEND = "weekend"
    OVERDRAW = "overdraw"


@dataclass(frozen=True, slots=True)
class Change:
    """One change that holds tonight. `onset` is the ordinal of its first night; `before` and `after` the compared
    measurements in the unit of the code (kWh a night, share, kW); `ratio` how many times the threshold it reached;
    `nights` compared nights before and since; `usual` the largest such move the meter's own past shows."""

    code: ChangeCode
    onset: int
    before: float
    after: float
    ratio: float
    nights_before: int
    nights_after: int
    usual: float


Changes = dict[int, Change]
"""By row of the past."""


@dataclass(frozen=True, slots=True)
class LevelLimits:
    """Least factor of a rise and largest of a fall; nights it must have held; the meter's own moves it must exceed."""

    rise: float
    fall: float
    rise_nights: int
    fall_nights: int
    span_nights: int
    own_times: float


IDLE_SHARE: Final = 0.15
"""Energy relative to the working level at or below which a night is idle."""
_STANDBY_SHARE: Final = 0.05
"""Energy relative to the working level up to which a constant load is a standby, not a meter that got stuck."""
_KNOWN_LEVEL_DAYS: Final = 150
_UNKNOWN_RESTLESSNESS: Final = 0.3
_UNKNOWN_SHARE_RESTLESSNESS: Final = 0.05
HABIT_NIGHTS: Final = 14
_NEW_LEVEL: Final = 0.15
"""Distance, in logs, that a new level keeps from every level of the known past."""
_NEW_SHARE: Final = 0.03


def level_change(past: OwnPast, limits: LevelLimits, least_kwh: Floats) -> Changes:
    """A sudden rise or fall of the level of working nights that has held and that the past does not know.

    `least_kwh` (n,): a smaller change of a night's energy is a trifle.
    """
    steps = fresh_steps(past, past.log_level, past.at_work, limits.span_nights)
    found: Changes = {}
    for sign, least, nights in (
        (1.0, float(np.log(limits.rise)), limits.rise_nights),
        (-1.0, -float(np.log(limits.fall)), limits.fall_nights),
    ):
        mine = steps.of((sign * steps.size >= least) & (steps.held >= nights))
        if mine.meters.size == 0:
            continue
        mine = mine.of(mine.hold(sign, least))
        if mine.meters.size == 0:
            continue
        hidden = (past.censored[mine.meters] & (past.days.ordinal >= mine.onset[:, None])).sum(axis=1)
        mine = mine.of(hidden <= 0.25 * mine.held)
        usual = mine.restlessness(_UNKNOWN_RESTLESSNESS)
        needed = np.maximum(least, limits.own_times * usual)
        far = sign * mine.size >= needed
        mine, usual, needed = mine.of(far), usual[far], needed[far]
        if mine.meters.size == 0:
            continue
        new = ~mine.known_level(sign, _NEW_LEVEL, _KNOWN_LEVEL_DAYS)
        new[new] = ~mine.of(new).same_last_year(sign)
        found |= _level_changes(past, mine.of(new), sign, usual[new], needed[new], least_kwh)
    return found


def _level_changes(
    past: OwnPast, steps: Steps, sign: float, usual: Floats, needed: Floats, least_kwh: Floats
) -> Changes:
    before_kwh, after_kwh = nan_median(steps.before(steps.energy_kwh)), nan_median(steps.after(steps.energy_kwh))
    nights_before = np.isfinite(steps.before(steps.x)).sum(axis=1)
    found: Changes = {}
    for at, meter in enumerate(steps.meters.tolist()):
        before, after = float(before_kwh[at]), float(after_kwh[at])
        code = _level_code(past.energy_kwh[meter], past, steps, at, sign, before, after)
        if code is None or abs(after - before) < least_kwh[meter]:
            continue
        found[meter] = Change(
            code=code,
            onset=int(steps.onset[at]),
            before=before,
            after=after,
            ratio=float(sign * steps.size[at] / needed[at]),
            nights_before=int(nights_before[at]),
            nights_after=int(steps.held[at]),
            usual=float(np.exp(usual[at])),
        )
    return found


def _level_code(
    energy_kwh: Floats, past: OwnPast, steps: Steps, at: int, sign: float, before_kwh: float, after_kwh: float
) -> ChangeCode | None:
    """None for what other rules judge: a start after idleness, a dead meter, a plant that often stands idle."""
    if sign > 0.0:
        return None if before_kwh <= IDLE_SHARE * after_kwh else ChangeCode.RISE
    if after_kwh > IDLE_SHARE * before_kwh:
        return ChangeCode.FALL
    earlier = past.days.ordinal < int(steps.onset[at])
    if _dead(steps.energy_kwh[at, -int(steps.held[at]) :], before_kwh) or _idled_before(
        energy_kwh, earlier & ~past.days.festival, before_kwh
    ):
        return None
    return ChangeCode.STOP


def _dead(energy_kwh: Floats, working_kwh: float) -> bool:
    """Nothing, or the same number night after night: a meter that does not count, not a plant that stopped.

    A number that is small beside the working level is what a controller or a lamp draws at a standstill.
    """
    usual = float(np.sort(energy_kwh)[len(energy_kwh) // 2])
    if 0.0 < usual <= _STANDBY_SHARE * working_kwh:
        return False
    return float(energy_kwh.max()) <= 0.0 or float((energy_kwh == usual).mean()) >= 0.6


def _idled_before(energy_kwh: Floats, when: Bools, working_kwh: float) -> bool:
    """Whether idle stretches are in the meter's habits, the festival weeks apart."""
    stretches = runs(energy_kwh[when & np.isfinite(energy_kwh)] <= IDLE_SHARE * working_kwh)
    return any(end - begin >= HABIT_NIGHTS for begin, end in stretches)


def runs(idle: Bools) -> list[tuple[int, int]]:
    """(begin, end) of each stretch of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], idle.astype(np.int8), [0]])))
    return [(int(begin), int(end)) for begin, end in zip(edges[::2], edges[1::2], strict=True)]


@dataclass(frozen=True, slots=True)
class ShareLimits:
    """Least rise of the share of valley hours, least factor of the energy in them, nights it must have held."""

    rise: float
    growth: float
    nights: int
    span_nights: int
    own_times: float


def night_share_change(past: OwnPast, limits: ShareLimits, least_kwh: Floats) -> Changes:
    """More of the energy in valley hours than ever, and more energy there: a night shift; a low day is none.

    `least_kwh` (n,): less energy more in these hours is a trifle.
    """
    steps = fresh_steps(past, past.valley_share, past.at_work & np.isfinite(past.valley_share), limits.span_nights)
    steps = steps.of((steps.size >= limits.rise) & (steps.held >= limits.nights))
    steps = steps.of(steps.hold(1.0, limits.rise))
    if steps.meters.size == 0:
        return {}
    usual = steps.restlessness(_UNKNOWN_SHARE_RESTLESSNESS)
    needed = np.maximum(limits.rise, limits.own_times * usual)
    keep = steps.size >= needed
    steps, usual, needed = steps.of(keep), usual[keep], needed[keep]
    keep = ~steps.known_level(1.0, _NEW_SHARE, len(past.days.ordinal))
    keep[keep] = ~steps.of(keep).same_last_year(1.0)
    night_kwh = steps.x * steps.energy_kwh
    before_kwh, after_kwh = nan_median(steps.before(night_kwh)), nan_median(steps.after(night_kwh))
    keep &= (after_kwh >= limits.growth * before_kwh) & (after_kwh - before_kwh >= least_kwh[steps.meters])
    before, after = nan_median(steps.before(steps.x)), nan_median(steps.after(steps.x))
    nights_before = np.isfinite(steps.before(steps.x)).sum(axis=1)
    return {
        int(steps.meters[at]): Change(
            code=ChangeCode.NIGHT_SHARE,
            onset=int(steps.onset[at]),
            before=float(before[at]),
            after=float(after[at]),
            ratio=float(steps.size[at] / needed[at]),
            nights_before=int(nights_before[at]),
            nights_after=int(steps.held[at]),
            usual=float(usual[at]),
        )
        for at in np.flatnonzero(keep).tolist()
    }
