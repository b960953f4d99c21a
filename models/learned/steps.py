"""Steps in the comparable nights of many meters: where one lies, whether it holds, and whether the past knows it.

As in `own_past`, a meter's answer never depends on the other meters beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.learned.own_past import Bools, Floats, OwnPast, Places, nan_median, nan_quantile, packed, rolling_median

BEFORE: Final = 24
"""Comparable nights before a change that it is compared with."""
STRETCH: Final = 6
"""Comparable nights, a week's worth, whose median is a level."""
YEAR_DAYS: Final = 364
_FEWEST_BEFORE: Final = 16
_FEWEST_AFTER: Final = 3
_LATEST: Final = 4
_APART: Final = 14
"""Comparable nights between two low weeks that are not the same one."""
_SEASON_DAYS: Final = 28
_FEWEST_MOVES: Final = 10
_LITTLE_PAST: Final = 50
_LONG_STRETCH: Final = 11
"""Comparable nights that make a low level known: longer than a shutdown for maintenance."""
_MOST_SINCE: Final = 0.75
_FEW_BEFORE: Final = 0.25
_NO_DAY: Final = -(10**6)
_AT_ONCE: Final = 64
"""Meters whose cuts are weighed at once: a megabyte."""


@dataclass(frozen=True, slots=True)
class Steps:
    """The best step of each of m meters. `meters` (m,) are their rows in the past; `x` the quantity, `energy_kwh` and
    `day` (ordinals) its nights (m, w), packed to the right, NaN and long ago before them; `held` (m,) comparable nights
    since the step, `size` (m,) what it is worth."""

    meters: Places
    x: Floats
    energy_kwh: Floats
    day: NDArray[np.int64]
    held: NDArray[np.int64]
    size: Floats

    def of(self, which: Bools) -> Steps:
        """Those of the steps."""
        return Steps(
            self.meters[which], self.x[which], self.energy_kwh[which], self.day[which], self.held[which],
            self.size[which],
        )  # fmt: skip

    @property
    def onset(self) -> NDArray[np.int64]:
        """(m,) ordinal of the first night of the step."""
        return np.asarray(self.day[np.arange(len(self.day)), self.day.shape[1] - self.held])

    def before(self, values: Floats) -> Floats:
        """(m, `BEFORE`) of the packed values, the nights just before the step."""
        first = values.shape[1] - self.held[:, None] - BEFORE
        return np.take_along_axis(values, first + np.arange(BEFORE), axis=1)

    def after(self, values: Floats) -> Floats:
        """(m, longest) of the packed values, the nights since the step at the right end, NaN before them."""
        longest = int(self.held.max(initial=1))
        late = values[:, values.shape[1] - longest :]
        return np.where(np.arange(longest, 0, -1) <= self.held[:, None], late, np.nan)

    def hold(self, sign: float, least: float) -> Bools:
        """Nearly every night since lies beyond the middle and hardly one before; it came within days; it still is."""
        before, after = self.before(self.x), self.after(self.x)
        old = nan_median(before)
        middle = (old + 0.5 * self.size)[:, None]
        beyond = (sign * (after - middle) > 0.0).sum(axis=1) / self.held
        early = (sign * (before - middle) > 0.0).sum(axis=1) / np.isfinite(before).sum(axis=1)
        return np.asarray(
            (beyond >= _MOST_SINCE)
            & (early <= _FEW_BEFORE)
            & (sign * (nan_median(after) - nan_median(before[:, -STRETCH:])) >= 0.75 * least)
            & (sign * (nan_median(after[:, -_LATEST:]) - old) >= 0.8 * least)
        )

    def restlessness(self, unknown: float) -> Floats:
        """(m,) how far the level moves from `BEFORE` nights to the `STRETCH` after them, at most in nine of ten times.
        With little past it is at least `unknown`."""
        width = self.x.shape[1] - BEFORE - STRETCH + 1
        short = rolling_median(self.x, STRETCH)[:, BEFORE : BEFORE + width]
        moves = np.abs(short - rolling_median(self.x, BEFORE)[:, :width])
        moves = np.where(np.arange(width) < width - self.held[:, None], moves, np.nan)
        count = np.isfinite(moves).sum(axis=1)
        usual = nan_quantile(moves, 0.9)
        usual = np.where(count < _LITTLE_PAST, np.fmax(usual, unknown), usual)
        return np.where(count < _FEWEST_MOVES, unknown, usual)

    def known_level(self, sign: float, apart: float, known_days: int) -> Bools:
        """Whether it was about this level for a stretch in the months before, or in the same weeks of last year.

        A low level is known too from two weeks well apart: a plant that now and then runs low does so again.
        """
        goal = sign * nan_median(self.after(self.x)) - apart
        known = np.asarray(self._reached(self._levels(sign), sign, goal, known_days).any(axis=1))
        if sign > 0.0:
            return known
        weeks = self._reached(rolling_median(self.x, STRETCH), sign, goal, known_days)
        first, last = weeks.argmax(axis=1), weeks.shape[1] - 1 - weeks[:, ::-1].argmax(axis=1)
        return np.asarray(known | (weeks.any(axis=1) & (last - first >= _APART)))

    def _reached(self, levels: Floats, sign: float, goal: Floats, known_days: int) -> Bools:
        """Which of the levels before the step lie in the known time and reach the goal."""
        width = self.x.shape[1] - levels.shape[1] + 1
        ends, onset = self.day[:, width - 1 :], self.onset[:, None]
        past = np.arange(levels.shape[1]) + width <= self.x.shape[1] - self.held[:, None]
        near = (ends >= onset - known_days) | (np.abs(ends - onset + YEAR_DAYS) <= _SEASON_DAYS)
        return np.asarray(past & near & (sign * levels > goal[:, None]))

    def same_last_year(self, sign: float) -> Bools:
        """Whether it moved as far, the same way, within four weeks of the same date last year."""
        levels = self._levels(sign)
        near = np.abs(self.day - self.onset[:, None] + YEAR_DAYS) <= _SEASON_DAYS
        then = near.argmax(axis=1)[:, None] + np.arange(2 * _SEASON_DAYS + 1)
        then = np.minimum(then, levels.shape[1] - 1)
        stretch = self.x.shape[1] - levels.shape[1] + 1
        mine = np.take_along_axis(near, then, axis=1) & (then + stretch <= self.x.shape[1] - self.held[:, None])
        led_up = np.full((len(self.x), self.x.shape[1] + BEFORE), np.nan)
        led_up[:, BEFORE:] = self.x
        before = np.take_along_axis(led_up[:, None, :], then[:, :, None] + np.arange(BEFORE), axis=2)
        mine &= np.isfinite(before).sum(axis=2) >= STRETCH
        moved = np.take_along_axis(levels, then, axis=1) - nan_median(before)
        return np.asarray((mine & (sign * moved >= 0.6 * np.abs(self.size)[:, None])).any(axis=1))

    def _levels(self, sign: float) -> Floats:
        """Level of each stretch, by its first night. A low one needs four of five nights of a stretch that is longer
        than a shutdown for maintenance."""
        if sign > 0.0:
            return rolling_median(self.x, STRETCH)
        stretches = np.sort(np.lib.stride_tricks.sliding_window_view(self.x, _LONG_STRETCH, axis=1), axis=-1)
        most = stretches[:, :, _LONG_STRETCH - _LONG_STRETCH // 5 - 1]
        return np.where(np.isfinite(stretches[:, :, -1]), most, np.nan)


def fresh_steps(past: OwnPast, values: Floats, use: Bools, span_nights: int) -> Steps:
    """The step within the last `span_nights` that parts the late nights of each meter best (least absolute deviations).

    Meters for which none can lie there, for want of nights before or since, are left out.
    """
    late = span_nights + 1
    k = values.shape[1]
    width = max(k, late + BEFORE + STRETCH)
    x, energy_kwh = packed(values, use, width), packed(past.energy_kwh, use, width)
    dates = packed(np.broadcast_to(past.days.ordinal.astype(np.float64), values.shape), use, width)
    day: NDArray[np.int64] = np.where(np.isnan(dates), float(_NO_DAY), dates).astype(np.int64)
    begun = (day >= int(past.days.ordinal[-1]) - span_nights).sum(axis=1)
    before = np.minimum(np.isfinite(x).sum(axis=1) - begun, BEFORE)
    longest = np.minimum(begun, begun + before - _FEWEST_BEFORE)
    able = np.flatnonzero(longest >= _FEWEST_AFTER)
    x, energy_kwh, day = x[able], energy_kwh[able], day[able]
    begun, before, longest = begun[able], before[able], longest[able]
    near = x[:, width - late - BEFORE :]
    near = np.where(np.arange(late + BEFORE, 0, -1) <= (begun + before)[:, None], near, np.nan)
    held = late - _cost(near, longest).argmin(axis=1)
    steps = Steps(able, x, energy_kwh, day, held, np.zeros(len(able)))
    size = nan_median(steps.after(x)) - nan_median(steps.before(x))
    return Steps(able, x, energy_kwh, day, held, size)


def _cost(near: Floats, longest: NDArray[np.int64]) -> Floats:
    """(m, cuts) absolute distances from the medians on both sides of each cut, the one with most nights since first;
    infinite where the cut is not asked for."""
    width = near.shape[1]
    since = np.arange(width - BEFORE, _FEWEST_AFTER - 1, -1)
    later = np.arange(width, 0, -1) <= since[:, None]
    cost = np.empty((len(near), len(since)))
    for first in range(0, len(near), _AT_ONCE):
        some = near[first : first + _AT_ONCE, None, :]
        cost[first : first + _AT_ONCE] = _spread(np.where(later, np.nan, some)) + _spread(np.where(later, some, np.nan))
    return np.where(since <= longest[:, None], cost, np.inf)


def _spread(values: Floats) -> Floats:
    """Sum of absolute distances from the median over the last axis, NaN left out."""
    distance = np.abs(values - nan_median(values)[..., None])
    return np.asarray(np.where(np.isnan(distance), 0.0, distance).sum(axis=-1))
