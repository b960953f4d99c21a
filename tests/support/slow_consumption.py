"""Slow twin of the numerics of `consumption`: one meter at a time, one cut at a time, as plainly as it can be said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.domain.holidays import DayFacts
from models.learned.changes import Change, ChangeCode, LevelLimits, ShareLimits
from models.learned.own_past import REST_LEVEL, WEEK_NIGHTS, NightRows

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_LOWEST: Final = 0.02
IDLE_SHARE: Final = 0.15
"""Energy relative to the working level at or below which a night is idle."""
_BEFORE: Final = 24
"""Comparable nights before a change that it is compared with."""
_FEWEST_BEFORE: Final = 16
_STRETCH: Final = 6
"""Comparable nights, a week's worth, whose median is a level."""
_LATEST: Final = 4
_KNOWN_LEVEL_DAYS: Final = 150
_APART: Final = 14
"""Comparable nights between two low weeks that are not the same one."""
_SEASON_DAYS: Final = 28
YEAR_DAYS: Final = 364
_LITTLE_PAST: Final = 50
_UNKNOWN_RESTLESSNESS: Final = 0.3
_UNKNOWN_SHARE_RESTLESSNESS: Final = 0.05
HABIT_NIGHTS: Final = 14
_LONG_STRETCH: Final = 11
"""Comparable nights that make a low level known: longer than a shutdown for maintenance."""
_NEW_LEVEL: Final = 0.15
"""Distance, in logs, that a new level keeps from every level of the known past."""
_NEW_SHARE: Final = 0.03


@dataclass(frozen=True, slots=True)
class SlowPast:
    """One meter's comparable nights, oldest first.

    All arrays (k,): `energy_kwh` NaN where unusable; `log_level` its log, freed of the weekday; `plain` usable nights
    that are neither special nor low nights of the festival weeks; `at_work` those of them on the meter's working
    weekdays; `censored` the low festival nights on such weekdays; `rest` usable nights on its weekdays of rest, special
    ones apart. `week` (7,) is the log of each weekday relative to the week's median, Monday first.
    """

    days: DayFacts
    energy_kwh: Floats
    valley_share: Floats
    peak_kw: Floats
    log_level: Floats
    plain: Bools
    at_work: Bools
    censored: Bools
    rest: Bools
    week: Floats


def slow_past(rows: NightRows, days: DayFacts, *, settled: int) -> SlowPast | None:
    """Make the nights (k,) of one meter comparable; None where no night has any load.

    The week is learned from nights before the last `settled` ones, so that a new habit does not hide itself. In the
    festival weeks a low night says nothing and is left out; a night at or above the usual level counts.
    """
    energy_kwh = rows.usable_kwh()
    known = np.isfinite(energy_kwh)
    loaded = energy_kwh[known & (energy_kwh > 0.0)]
    if loaded.size == 0:
        return None
    high = float(np.quantile(loaded, 0.9))
    log_energy = np.log(np.maximum(np.where(known, energy_kwh, np.nan), _LOWEST * high))
    usual = known & ~days.special
    quiet = usual & ~days.festival
    until = max(len(energy_kwh) - settled, 0)
    since = max(until - WEEK_NIGHTS, 0)
    week = _week(log_energy[since:until], days.weekday[since:until], quiet[since:until])
    log_level = log_energy - week[days.weekday]
    if bool(days.festival.any()) and bool(quiet.any()):
        level = middle(log_level[quiet][-WEEK_NIGHTS:])
        plain = usual & (~days.festival | (log_level >= level))
    else:
        plain = quiet
    resting = (week < np.log(REST_LEVEL))[days.weekday]
    return SlowPast(
        days=days,
        energy_kwh=energy_kwh,
        valley_share=rows.valley_share,
        peak_kw=rows.peak_kw,
        log_level=log_level,
        plain=plain,
        at_work=plain & ~resting,
        censored=usual & ~plain & ~resting,
        rest=usual & resting,
        week=week,
    )


def _week(log_energy: Floats, weekday: NDArray[np.int64], use: Bools) -> Floats:
    """Median of each weekday's distance from the median of the seven nights around it; 0 below three samples."""
    week = np.zeros(7)
    if int(use.sum()) < 14:
        return week
    values = np.where(use, log_energy, np.nan)
    padded = np.concatenate([np.full(3, np.nan), values, np.full(3, np.nan)])
    around = np.array([_known_median(padded[k : k + 7]) for k in range(len(values))])
    distance = values - around
    for day in range(7):
        mine = distance[(weekday == day) & np.isfinite(distance)]
        if mine.size >= 3:
            week[day] = middle(mine)
    return week


def _known_median(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else np.nan


def middle(values: Floats) -> float:
    """Median of a short array without NaN, cheaply; it must not be empty."""
    ordered = np.sort(values)
    count = len(ordered)
    return float(0.5 * (ordered[(count - 1) // 2] + ordered[count // 2]))


def rolling_median(values: Floats, width: int) -> Floats:
    """Median of each stretch of `width` values; (k,) -> (k - width + 1,), empty where k < width."""
    if len(values) < width:
        return np.zeros(0)
    return np.asarray(np.median(np.lib.stride_tricks.sliding_window_view(values, width), axis=-1))


def slow_level_change(past: SlowPast, limits: LevelLimits, least_kwh: float) -> Change | None:
    """A sudden rise or fall of the level of working nights that has held and that the past does not know."""
    at = np.flatnonzero(past.at_work)
    track = _Track(past.log_level[at], past.days.ordinal[at], int(past.days.ordinal[-1]))
    step = track.fresh_step(limits.rise_nights, limits.fall_nights, limits.span_nights)
    if step is None:
        return None
    cut, size = step
    sign = 1.0 if size > 0.0 else -1.0
    least = float(np.log(limits.rise)) if size > 0.0 else -float(np.log(limits.fall))
    if sign * size < least or not track.holds(cut, size, least):
        return None
    usual = track.restlessness(cut, _UNKNOWN_RESTLESSNESS)
    needed = max(least, limits.own_times * usual)
    hidden = int((past.censored & (past.days.ordinal >= track.day[cut])).sum())
    if hidden > 0.25 * (len(at) - cut):
        return None
    if sign * size < needed or track.known_level(cut, sign, _NEW_LEVEL) or track.same_last_year(cut, sign, size):
        return None
    first = max(0, cut - _BEFORE)
    before_kwh, after_kwh = middle(past.energy_kwh[at[first:cut]]), middle(past.energy_kwh[at[cut:]])
    code = _level_code(past, at[cut:], sign, before_kwh, after_kwh)
    if code is None or abs(after_kwh - before_kwh) < least_kwh:
        return None
    return Change(
        code=code,
        onset=int(track.day[cut]),
        before=before_kwh,
        after=after_kwh,
        ratio=sign * size / needed,
        nights_before=cut - first,
        nights_after=len(at) - cut,
        usual=float(np.exp(usual)),
    )


def _level_code(
    past: SlowPast, since: NDArray[np.intp], sign: float, before_kwh: float, after_kwh: float
) -> ChangeCode | None:
    """None for what other rules judge: a start after idleness, a dead meter, a plant that often stands idle."""
    if sign > 0.0:
        return None if before_kwh <= IDLE_SHARE * after_kwh else ChangeCode.RISE
    if after_kwh > IDLE_SHARE * before_kwh:
        return ChangeCode.FALL
    if _dead(past.energy_kwh[since]) or _idled_before(past, int(since[0]), before_kwh):
        return None
    return ChangeCode.STOP


def _dead(energy_kwh: Floats) -> bool:
    """Nothing, or the same number night after night: a meter that does not count, not a plant that stopped."""
    return (
        float(energy_kwh.max()) <= 0.0 or float((energy_kwh == np.sort(energy_kwh)[len(energy_kwh) // 2]).mean()) >= 0.6
    )


def _idled_before(past: SlowPast, cut: int, working_kwh: float) -> bool:
    """Whether idle stretches are in the meter's habits, the festival weeks apart."""
    use = np.isfinite(past.energy_kwh[:cut]) & ~past.days.festival[:cut]
    stretches = runs(past.energy_kwh[:cut][use] <= IDLE_SHARE * working_kwh)
    return any(end - begin >= HABIT_NIGHTS for begin, end in stretches)


def runs(idle: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """(begin, end) of each stretch of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], idle.astype(np.int8), [0]])))
    return [(int(begin), int(end)) for begin, end in zip(edges[::2], edges[1::2], strict=True)]


@dataclass(frozen=True, slots=True)
class _Track:
    """Comparable nights of one quantity: values and the ordinals of their dates (k,), and tonight's ordinal."""

    x: Floats
    day: NDArray[np.int64]
    tonight: int

    def fresh_step(self, least_up: int, least_down: int, span_nights: int) -> tuple[int, float] | None:
        """First night and size of the step that parts the late nights best (least absolute deviations), if it has held
        for the least number of nights of its direction; `least_down` 0 looks for steps up alone."""
        begins = int(np.searchsorted(self.day, self.tonight - span_nights))
        first = max(begins - _BEFORE, 0)
        best: tuple[float, int] | None = None
        for cut in range(max(begins, first + _FEWEST_BEFORE), len(self.x) - 2):
            cost = _spread(self.x[first:cut]) + _spread(self.x[cut:])
            if best is None or cost < best[0]:
                best = (cost, cut)
        if best is None:
            return None
        cut = best[1]
        size = self.size(cut)
        least = least_up if size > 0.0 else least_down
        return (cut, size) if 0 < least <= len(self.x) - cut else None

    def size(self, cut: int) -> float:
        return middle(self.x[cut:]) - middle(self.x[max(0, cut - _BEFORE) : cut])

    def holds(self, cut: int, size: float, least: float) -> bool:
        """Nearly every night since lies beyond the middle and hardly one before; it came within days; it still is."""
        before, after = self.x[max(0, cut - _BEFORE) : cut], self.x[cut:]
        sign = 1.0 if size > 0.0 else -1.0
        center = middle(before) + 0.5 * size
        return (
            float((sign * (after - center) > 0.0).mean()) >= 0.75
            and float((sign * (before - center) > 0.0).mean()) <= 0.25
            and sign * (middle(after) - middle(before[-_STRETCH:])) >= 0.75 * least
            and sign * (middle(after[-_LATEST:]) - middle(before)) >= 0.8 * least
        )

    def restlessness(self, cut: int, unknown: float) -> float:
        """How far the level moves from `_BEFORE` nights to the `_STRETCH` after them, at most in nine of ten times.
        With little past it is at least `unknown`."""
        short, long = rolling_median(self.x[:cut], _STRETCH), rolling_median(self.x[:cut], _BEFORE)
        count = cut - _STRETCH - _BEFORE + 1
        if count < 10:
            return unknown
        usual = float(np.quantile(np.abs(short[_BEFORE : _BEFORE + count] - long[:count]), 0.9))
        return max(usual, unknown) if count < _LITTLE_PAST else usual

    def known_level(self, cut: int, sign: float, apart: float, known_days: int = _KNOWN_LEVEL_DAYS) -> bool:
        """Whether it was about this level for a stretch in the months before, or in the same weeks of last year.

        A low level is known too from two weeks well apart: a plant that now and then runs low does so again.
        """
        goal = sign * middle(self.x[cut:]) - apart
        if self._reached(self._levels(cut, sign), cut, sign, goal, known_days).any():
            return True
        weeks = np.flatnonzero(self._reached(rolling_median(self.x[:cut], _STRETCH), cut, sign, goal, known_days))
        return sign < 0.0 and bool(weeks.size) and int(weeks[-1] - weeks[0]) >= _APART

    def _reached(self, levels: Floats, cut: int, sign: float, goal: float, known_days: int) -> NDArray[np.bool_]:
        """Which of the levels before `cut` lie in the known time and reach the goal."""
        ends, onset = self.day[cut - len(levels) : cut], int(self.day[cut])
        near = (ends >= onset - known_days) | (np.abs(ends - onset + YEAR_DAYS) <= _SEASON_DAYS)
        return np.asarray(near & (sign * levels > goal), dtype=np.bool_)

    def same_last_year(self, cut: int, sign: float, size: float) -> bool:
        """Whether it moved as far, the same way, within four weeks of the same date last year."""
        stretch = _STRETCH if sign > 0.0 else _LONG_STRETCH
        levels = self._levels(cut, sign)
        near = np.flatnonzero(np.abs(self.day - int(self.day[cut]) + YEAR_DAYS) <= _SEASON_DAYS)
        for then in near.tolist():
            if _STRETCH <= then <= cut - stretch:
                moved = float(levels[then]) - middle(self.x[max(0, then - _BEFORE) : then])
                if sign * moved >= 0.6 * abs(size):
                    return True
        return False

    def _levels(self, cut: int, sign: float) -> Floats:
        """Level of each stretch before `cut`, by its first night. A low one needs four of five nights of a stretch that
        is longer than a shutdown for maintenance."""
        if sign > 0.0:
            return rolling_median(self.x[:cut], _STRETCH)
        if cut < _LONG_STRETCH:
            return np.zeros(0)
        stretches = np.sort(np.lib.stride_tricks.sliding_window_view(self.x[:cut], _LONG_STRETCH), axis=-1)
        return np.asarray(stretches[:, _LONG_STRETCH - _LONG_STRETCH // 5 - 1])


def _spread(values: Floats) -> float:
    """Sum of absolute distances from the median; the values must not be empty."""
    ordered = np.sort(values)
    half = len(ordered) // 2
    return float(ordered[len(ordered) - half :].sum() - ordered[:half].sum())


def slow_night_share_change(past: SlowPast, limits: ShareLimits, least_kwh: float) -> Change | None:
    """More of the energy in valley hours than ever, and more energy there: a night shift; a low day is none."""
    at = np.flatnonzero(past.at_work & np.isfinite(past.valley_share))
    track = _Track(past.valley_share[at], past.days.ordinal[at], int(past.days.ordinal[-1]))
    step = track.fresh_step(limits.nights, 0, limits.span_nights)
    if step is None:
        return None
    cut, size = step
    if size < limits.rise or not track.holds(cut, size, limits.rise):
        return None
    usual = track.restlessness(cut, _UNKNOWN_SHARE_RESTLESSNESS)
    needed = max(limits.rise, limits.own_times * usual)
    if size < needed or track.known_level(cut, 1.0, _NEW_SHARE, known_days=cut) or track.same_last_year(cut, 1.0, size):
        return None
    first = max(0, cut - _BEFORE)
    night_kwh = track.x * past.energy_kwh[at]
    before_kwh, after_kwh = middle(night_kwh[first:cut]), middle(night_kwh[cut:])
    if after_kwh < limits.growth * before_kwh or after_kwh - before_kwh < least_kwh:
        return None
    return Change(
        code=ChangeCode.NIGHT_SHARE,
        onset=int(track.day[cut]),
        before=middle(track.x[first:cut]),
        after=middle(track.x[cut:]),
        ratio=size / needed,
        nights_before=cut - first,
        nights_after=len(at) - cut,
        usual=usual,
    )
