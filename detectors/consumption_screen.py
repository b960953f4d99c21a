"""Which meters' five weeks show anything that could be a change: the cheap look before the far past is read."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.domain.holidays import DayFacts
from models.learned.habits import FIRST_TOLD_DAY, LAST_TOLD_DAY
from models.learned.own_past import Bools, Floats, NightRows, nan_median, nan_quantile

_WEEK: Final = 7
_WEEKS: Final = 5
_OF_LIMIT: Final = 0.8
"""How much of a limit must be reached for a closer look."""
_STILL: Final = 0.7
"""How much of it the last four nights must reach."""
_MOST: Final = 0.7
"""Share of weekdays that must have moved half as far."""
_FEWEST_DAYS: Final = 4
_FEWEST_QUIET: Final = 7
_LOWEST: Final = 0.02
_OWN_TIMES: Final = 1.2
_BELOW_USUAL: Final = 0.1
_REST_BELOW: Final = 0.8
_SAME_REST: Final = 0.35
_TURNS: Final = 4
_NOTHING_KWH: Final = 1e-3


@dataclass(frozen=True, slots=True)
class ScreenLimits:
    """The limits of the examination that the screen relaxes, as in `Consumption`."""

    rise_ratio: float
    fall_ratio: float
    night_share: float
    night_growth: float
    weekend_closed: float
    overdraw_margin: float
    overdraw_nights: int


def could_be_a_change(
    rows: NightRows, days: DayFacts, meters: Sequence[str], limits: ScreenLimits, least_kwh: Floats,
    contract_kva: Floats, contract_since: NDArray[np.int64], *, valley: bool,
) -> Bools:  # fmt: skip
    """(n,) from the nights (n, 35) of each meter. `valley`: whether the share of the valley hours means something.

    The last week is compared with the fourth and fifth before, weekday by weekday. Where these say nothing (the weeks
    around the Spring Festival, a gap), a meter has its turn every fourth night.
    """
    energy = rows.usable_kwh()
    high = nan_quantile(energy, 0.9)
    with np.errstate(divide="ignore", invalid="ignore"):
        level = np.log(np.maximum(energy, np.maximum(_LOWEST * high, _NOTHING_KWH)[:, None]))
    level[:, days.special] = np.nan
    _leave_out_festival(level, days)
    weeks = level.reshape(len(level), _WEEKS, _WEEK)
    old = _mean(weeks[:, :2])
    passed = _level_moved(weeks, old, limits) & (_move_kwh(energy) >= 0.5 * least_kwh)
    passed |= _rest_moved(weeks, limits.weekend_closed)
    blind = (np.isfinite(weeks[:, -1] - old).sum(axis=1) < _FEWEST_DAYS) & (
        np.isfinite(weeks[:, -1]).sum(axis=1) >= _FEWEST_DAYS
    )
    tonight = int(days.ordinal[-1])
    for meter in np.flatnonzero(blind & ~passed).tolist():
        passed[meter] = (zlib.crc32(meters[meter].encode()) + tonight) % _TURNS == 0
    if valley:
        passed |= _share_moved(rows.valley_share, energy, days, limits)
    passed |= _overdrawn(rows, energy, tonight, contract_kva, contract_since, limits)
    return passed


def _leave_out_festival(level: Floats, days: DayFacts) -> None:
    """A low night of the festival weeks says nothing; where no other night tells what is low, none of them does."""
    if not bool(days.festival.any()):
        return
    quiet = level[:, ~days.festival]
    usual = nan_median(quiet)
    usual[np.isfinite(quiet).sum(axis=1) < _FEWEST_QUIET] = np.inf
    low = days.festival & ~(level >= usual[:, None] - _BELOW_USUAL)
    level[low] = np.nan


def _level_moved(weeks: Floats, old: Floats, limits: ScreenLimits) -> Bools:
    moved = weeks[:, -1] - old
    known = np.isfinite(moved).sum(axis=1)
    size, latest = nan_median(moved), nan_median(moved[:, -4:])
    highest = np.fmax(weeks[:, 0], weeks[:, 1])
    lower, week_before = weeks[:, -1] - highest, nan_median(weeks[:, -2] - highest)
    restless = _OWN_TIMES * np.nan_to_num(np.abs(nan_median(weeks[:, 1] - weeks[:, 0])))
    up, down = float(np.log(limits.rise_ratio)), -float(np.log(limits.fall_ratio))
    enough = (known >= _FEWEST_DAYS) & (np.abs(size) >= restless)
    risen = (size >= _OF_LIMIT * up) & (latest >= _STILL * up)
    risen &= (moved > 0.5 * _OF_LIMIT * up).sum(axis=1) >= _MOST * known
    fallen = (nan_median(lower) <= -_OF_LIMIT * down) & (nan_median(lower[:, -4:]) <= -_STILL * down)
    fallen &= ~(week_before > -_STILL * down) & ((lower < -0.5 * _OF_LIMIT * down).sum(axis=1) >= _MOST * known)
    return np.asarray(enough & (risen | fallen))


def _move_kwh(energy: Floats) -> Floats:
    return np.nan_to_num(np.abs(nan_median(energy[:, -_WEEK:]) - nan_median(energy[:, : 2 * _WEEK])), nan=np.inf)


def _rest_moved(weeks: Floats, closed: float) -> Bools:
    """The lowest weekdays of the first two weeks are hardly lower than the others in the last three."""
    with np.errstate(over="ignore"):
        share = np.minimum(np.exp(weeks - nan_median(weeks)[:, :, None]), 1.0)
    old = _mean(share[:, :2])
    lowest = np.fmin.reduce(old, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        rest = (old < _REST_BELOW) & (np.log(old) <= np.log(lowest)[:, None] + _SAME_REST)
    goal = old + _OF_LIMIT * closed * (1.0 - old)
    asked = rest[:, None, :] & np.isfinite(share[:, 2:])
    worked = asked & (share[:, 2:] >= goal[:, None, :])
    more = np.where(rest[:, None, :], weeks[:, 2:] - _mean(weeks[:, :2])[:, None, :], np.nan)
    count = asked.sum(axis=(1, 2))
    enough = (count >= 2) & (worked.sum(axis=(1, 2)) >= _OF_LIMIT * count)
    grown = nan_median(more.reshape(len(more), (_WEEKS - 2) * _WEEK)) >= np.log(1.15)
    return np.asarray(enough & grown)


def _share_moved(valley_share: Floats, energy: Floats, days: DayFacts, limits: ScreenLimits) -> Bools:
    share = np.where(days.special, np.nan, valley_share)
    moved = nan_median(share[:, -_WEEK:]) - nan_median(share[:, : 2 * _WEEK]) > _OF_LIMIT * limits.night_share
    some = np.flatnonzero(moved)
    night_kwh = share[some] * energy[some]
    grown = nan_median(night_kwh[:, -_WEEK:]) >= 0.85 * limits.night_growth * nan_median(night_kwh[:, : 2 * _WEEK])
    moved[some] = grown
    return np.asarray(moved)


def _overdrawn(
    rows: NightRows, energy: Floats, tonight: int, contract_kva: Floats, since: NDArray[np.int64], limits: ScreenLimits
) -> Bools:
    over = rows.peak_kw > limits.overdraw_margin * contract_kva[:, None]
    holds = over[:, -_WEEK:].sum(axis=1) >= limits.overdraw_nights
    some = np.flatnonzero(holds)
    known = np.isfinite(energy[some])
    early = known[:, : -2 * _WEEK].sum(axis=1)
    begun = (over[some] & known)[:, : -2 * _WEEK].sum(axis=1) <= 0.15 * early
    first = np.maximum(tonight - known.shape[1] + 1 + known.argmax(axis=1), since[some])
    age = tonight - first
    holds[some] = begun | ((age >= FIRST_TOLD_DAY) & (age <= LAST_TOLD_DAY))
    return np.asarray(holds)


def _mean(values: Floats) -> Floats:
    """Mean over two weeks (n, 2, 7), of the one that is known where the other is not."""
    first, second = values[:, 0], values[:, 1]
    both = 0.5 * (first + second)
    return np.where(np.isnan(both), np.fmax(first, second), both)
