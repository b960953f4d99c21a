"""Changes of meters' habits: a start after idleness, days of rest that are worked, a contract that is exceeded.

As in `changes`: nights up to the last one, by the meter's row what is to be seen.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.learned.changes import HABIT_NIGHTS, IDLE_SHARE, Change, ChangeCode, Changes, runs
from models.learned.own_past import Bools, Floats, OwnPast, nan_median, nan_quantile, packed
from models.learned.steps import YEAR_DAYS

_START_SEASON_DAYS: Final = 42
_HALF_HABIT: Final = 5
_REST_GROWTH: Final = 1.25
_REST_WINDOW: Final = 35
_REST_WEEKS: Final = 3
_WORK_NIGHTS: Final = 40
_SAME_REST: Final = 0.35
"""Weekdays whose log level is this close to the lowest are rested alike."""
_ODD: Final = 0.12
"""Share of the earlier days of rest that may have been worked."""
_ODD_LONGER: Final = 0.2
"""The same where the days of rest are worked for four weeks and not for three."""
_FEWEST_REST: Final = 6
"""Days of rest that must be known before the five weeks."""
_WEEK: Final = 7
_ALL_ALONG: Final = 0.7
"""Share of the nights since a contract is known above which it was exceeded all along."""


_STOOD_SHARE: Final = 0.08
"""Energy of the idle nights, relative to the load after them, up to which a plant stood; a slack shop draws more."""


def restart(
    past: OwnPast, *, idle_nights: int, load_nights: int, span_nights: int, least_kwh: Floats, standing_kwh: Floats
) -> Changes:
    """Real load again after `idle_nights` or more near nothing, the festival weeks not counted.

    Near nothing: a median of at most `_STOOD_SHARE` of the load that came, and of `standing_kwh` (n,) a night.

    Nothing is said where idle stretches half as long are the meter's habit, or where it started in the same season last
    year, or of less than `least_kwh` (n,) a night.
    """
    known = np.isfinite(past.energy_kwh)
    recent = np.where(past.days.ordinal > int(past.days.ordinal[-1]) - span_nights, past.energy_kwh, np.nan)
    busiest = packed(recent, np.isfinite(recent), span_nights)
    busiest = np.sort(np.where(np.isnan(busiest), -np.inf, busiest), axis=1)[:, -load_nights:]
    working = nan_median(np.where(np.isinf(busiest), np.nan, busiest))
    idle = past.energy_kwh <= IDLE_SHARE * working[:, None]
    near = packed(idle.astype(np.float64), known, min(span_nights + idle_nights, known.shape[1]))
    able = (
        np.isfinite(busiest).all(axis=1)
        & (working >= np.maximum(least_kwh, 1e-9))
        & ((near == 1.0).sum(axis=1) >= idle_nights)
    )
    found: Changes = {}
    for meter in np.flatnonzero(able).tolist():
        use = np.flatnonzero(known[meter])
        energy_kwh = past.energy_kwh[meter][use]
        change = _restart(past, energy_kwh, idle[meter][use], use, idle_nights, load_nights, span_nights)
        if change is not None and change.before <= min(_STOOD_SHARE * change.after, float(standing_kwh[meter])):
            found[meter] = change
    return found


def _restart(
    past: OwnPast,
    energy_kwh: Floats,
    idle: Bools,
    known: NDArray[np.intp],
    idle_nights: int,
    load_nights: int,
    span_nights: int,
) -> Change | None:
    """The start of one meter, from its known nights (their places in the past)."""
    day = past.days.ordinal[known]
    long = [run for run in runs(idle) if run[1] - run[0] >= idle_nights]
    if not long:
        return None
    begin, cut = long[-1]
    if cut >= len(idle) or int(day[cut]) <= int(past.days.ordinal[-1]) - span_nights:
        return None
    counted = int((~past.days.festival[known[begin:cut]]).sum())
    usual = ~past.days.special[known[cut:]]
    loaded = ~idle[cut:]
    if counted < idle_nights or int(loaded.sum()) < load_nights or not bool(loaded[-3:].any()):
        return None
    if not bool(usual.any()) or float(loaded[usual].mean()) < 0.6:
        return None
    onset = int(day[cut])
    if any(2 * (b - a) >= cut - begin for a, b in long[:-1]) or _started_last_year(idle, day, onset):
        return None
    before, after = float(np.median(energy_kwh[begin:cut])), float(np.median(energy_kwh[cut:][loaded]))
    ratio = min(IDLE_SHARE * after / max(before, 1e-3 * after), 4.0) + (cut - begin) / 90.0
    return Change(ChangeCode.RESTART, onset, before, after, ratio, cut - begin, int(loaded.sum()), float("nan"))


def _started_last_year(idle: Bools, day: NDArray[np.int64], onset: int) -> bool:
    """Whether a long idle stretch ended in the same weeks of last year; where the past begins idle it may be short."""
    return any(
        (end - begin >= HABIT_NIGHTS or (begin == 0 and end >= _HALF_HABIT))
        and abs(int(day[end]) - onset + YEAR_DAYS) <= _START_SEASON_DAYS
        for begin, end in runs(idle)
        if end < len(day)
    )


def weekend_change(past: OwnPast, *, closed: float, least_kwh: Floats) -> Changes:
    """Days of rest that for three weeks were worked like others, and had not been in the months before.

    `closed` is the share of the distance to a working night that the days of rest must have made up. A night missing
    here and there is made up for by the week before.
    """
    day, tonight = past.days.ordinal, int(past.days.ordinal[-1])
    lately = day > tonight - _REST_WINDOW
    asked = np.flatnonzero((past.rest & lately).sum(axis=1) >= _REST_WEEKS)
    past = past.of(asked)
    rest = past.rest & (past.week <= past.week.min(axis=1, initial=0.0)[:, None] + _SAME_REST)[:, past.days.weekday]
    of_weekday = np.stack([rest[:, past.days.weekday == weekday].any(axis=1) for weekday in range(_WEEK)], axis=1)
    rest_days = of_weekday.sum(axis=1)
    since = _latest(rest & lately, _REST_WEEKS * rest_days)
    earlier = rest & ~lately & ~past.days.festival
    base = _latest(earlier, 8 * rest_days)
    work = past.at_work & (day > tonight - _REST_WEEKS * _WEEK)
    work_before = _latest(past.at_work & ~lately, np.full(len(rest), _WORK_NIGHTS))
    enough = (
        (since.sum(axis=1) >= np.maximum(3, 2 * rest_days))
        & (base.sum(axis=1) >= _FEWEST_REST)
        & (work.sum(axis=1) >= 8)
        & (work_before.sum(axis=1) >= 16)
    )
    energy = past.energy_kwh
    working, working_before = _median_of(energy, work), _median_of(energy, work_before)
    before, after = _median_of(energy, base), _median_of(energy, since)
    share_before = np.minimum(before / np.maximum(working_before, 1e-9), 1.0)
    goal = share_before + closed * (1.0 - share_before)
    shares = np.where(since, energy / np.maximum(working, 1e-9)[:, None], np.nan)
    then = np.where(earlier, energy / np.maximum(working_before, 1e-9)[:, None], np.nan)
    just_before = np.where(_latest(earlier, 4 * rest_days), then, np.nan)
    worked_earlier = _share_at(then, goal)
    longer = np.where(_latest(rest & lately, (_REST_WEEKS + 1) * rest_days), energy, np.nan)
    worked_longer = (np.isfinite(longer).sum(axis=1) > since.sum(axis=1)) & (
        _share_at(longer / np.maximum(working, 1e-9)[:, None], goal) >= 0.8
    )
    keep = (
        enough
        & (_share_at(shares, goal) >= 0.8)
        & (goal - share_before >= 0.15)
        & (working >= 0.6 * working_before)
        & (working * (goal - share_before) >= least_kwh[asked])
        & (after >= _REST_GROWTH * before)
        & (_share_at(just_before, goal) <= 0.3)
        & (worked_earlier <= np.where(worked_longer, _ODD_LONGER, _ODD))
        & (nan_quantile(shares, 0.2) >= nan_quantile(then, 1.0 - _ODD_LONGER))
    )
    usual_share = nan_median(shares)
    return {
        int(asked[at]): Change(
            code=ChangeCode.WEEKEND,
            onset=int(day[since[at].argmax()]),
            before=float(before[at]),
            after=float(after[at]),
            ratio=float((usual_share[at] - share_before[at]) / (goal[at] - share_before[at])),
            nights_before=int(base[at].sum()),
            nights_after=int(since[at].sum()),
            usual=float(worked_earlier[at]),
        )
        for at in np.flatnonzero(keep).tolist()
    }


def _latest(use: Bools, count: NDArray[np.int64]) -> Bools:
    """The last `count` (n,) True of each row."""
    later = use.sum(axis=1)[:, None] - use.cumsum(axis=1)
    return np.asarray(use & (later < count[:, None]))


def _median_of(values: Floats, use: Bools) -> Floats:
    return nan_median(np.where(use, values, np.nan))


def _share_at(values: Floats, goal: Floats) -> Floats:
    """Share of the known values that reach the goal; 0 where nothing is known."""
    known = np.isfinite(values).sum(axis=1)
    return np.asarray((values >= goal[:, None]).sum(axis=1) / np.maximum(known, 1))


def overdraw(past: OwnPast, contract_kva: Floats, since: NDArray[np.int64], *, margin: float, nights: int) -> Changes:
    """More active power than the contract allows on `nights` of the last seven, hardly ever in the weeks before.

    Where the contract is exceeded on most nights since there is anything to compare, that is told once, in the fourth
    and fifth week. `contract_kva` (n,), infinite where unknown; `since` (n,) ordinal of its first day.
    """
    day, tonight = past.days.ordinal, int(past.days.ordinal[-1])
    known = np.isfinite(past.peak_kw) & np.isfinite(past.energy_kwh)
    over = known & (past.peak_kw > margin * contract_kva[:, None])
    late, seen = known & (day > tonight - 7), known & (day <= tonight - 14)
    early = seen & (day > tonight - 35)
    holds = (over & late).sum(axis=1) >= nights
    begun = (
        (early.sum(axis=1) >= 10)
        & ((over & early).sum(axis=1) <= 0.15 * early.sum(axis=1))
        & ((over & seen).sum(axis=1) <= 0.05 * seen.sum(axis=1))
    )
    comparable = known & (day >= since[:, None])
    first = np.maximum(np.where(known.any(axis=1), day[known.argmax(axis=1)], tonight), since)
    always = (
        (tonight - first >= FIRST_TOLD_DAY)
        & (tonight - first <= LAST_TOLD_DAY)
        & ((over & comparable).sum(axis=1) >= _ALL_ALONG * comparable.sum(axis=1))
        & (comparable.sum(axis=1) >= 2 * nights)
    )
    found: Changes = {}
    for meter in np.flatnonzero(holds & (begun | always)).tolist():
        mine = over[meter]
        compared = early[meter] if begun[meter] else comparable[meter]
        onset = day[mine & (day > tonight - 14)][0] if begun[meter] else first[meter]
        after = float(np.median(past.peak_kw[meter][mine & late[meter]]))
        found[meter] = Change(
            code=ChangeCode.OVERDRAW,
            onset=int(onset),
            before=float(np.median(past.peak_kw[meter][compared])),
            after=after,
            ratio=after / (margin * float(contract_kva[meter])),
            nights_before=int(compared.sum()),
            nights_after=int((mine & late[meter]).sum()),
            usual=float(contract_kva[meter]),
        )
    return found


FIRST_TOLD_DAY: Final = 21
LAST_TOLD_DAY: Final = 34
"""Days after the first comparable one on which a contract exceeded all along is told."""
