"""Changes of a meter's habits: a start after idleness, days of rest that are worked, a contract that is exceeded.

As in `changes`: one meter's nights up to the last one, None where nothing is to be seen or the past does not suffice.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.learned.changes import HABIT_NIGHTS, IDLE_SHARE, YEAR_DAYS, Change, ChangeCode, runs
from models.learned.own_past import OwnPast, middle

_START_SEASON_DAYS: Final = 42
_HALF_HABIT: Final = 5
_REST_GROWTH: Final = 1.25
_REST_WINDOW: Final = 35
_SAME_REST: Final = 0.35
"""Weekdays whose log level is this close to the lowest are rested alike."""


def restart(past: OwnPast, *, idle_nights: int, load_nights: int, span_nights: int, least_kwh: float) -> Change | None:
    """Real load again after `idle_nights` or more near nothing, the festival weeks not counted.

    None where idle stretches half as long are the meter's habit, or where it started in the same season last year.
    """
    known = np.flatnonzero(np.isfinite(past.energy_kwh))
    energy, day = past.energy_kwh[known], past.days.ordinal[known]
    tonight = int(past.days.ordinal[-1])
    recent = energy[day > tonight - span_nights]
    if len(recent) < load_nights:
        return None
    working = middle(np.sort(recent)[-load_nights:])
    idle = energy <= IDLE_SHARE * working
    long = [run for run in runs(idle) if run[1] - run[0] >= idle_nights]
    if working < least_kwh or not long:
        return None
    begin, cut = long[-1]
    if cut >= len(energy) or int(day[cut]) <= tonight - span_nights:
        return None
    counted = int((~past.days.festival[known[begin:cut]]).sum())
    usual = ~past.days.special[known[cut:]]
    loaded = ~idle[cut:]
    if counted < idle_nights or int(loaded.sum()) < load_nights or not bool(loaded[-3:].any()):
        return None
    if float(loaded[usual].mean()) < 0.6 if bool(usual.any()) else True:
        return None
    onset = int(day[cut])
    if any(2 * (b - a) >= cut - begin for a, b in long[:-1]) or _started_last_year(idle, day, onset):
        return None
    before, after = middle(energy[begin:cut]), middle(energy[cut:][loaded])
    ratio = min(IDLE_SHARE * after / max(before, 1e-3 * after), 4.0) + (cut - begin) / 90.0
    return Change(ChangeCode.RESTART, onset, before, after, ratio, cut - begin, int(loaded.sum()), float("nan"))


def _started_last_year(idle: NDArray[np.bool_], day: NDArray[np.int64], onset: int) -> bool:
    """Whether a long idle stretch ended in the same weeks of last year; where the past begins idle it may be short."""
    return any(
        (end - begin >= HABIT_NIGHTS or (begin == 0 and end >= _HALF_HABIT))
        and abs(int(day[end]) - onset + YEAR_DAYS) <= _START_SEASON_DAYS
        for begin, end in runs(idle)
        if end < len(day)
    )


def weekend_change(past: OwnPast, *, closed: float, least_kwh: float) -> Change | None:
    """Days of rest that for three weeks were worked like others, and had not been in the months before.

    `closed` is the share of the distance to a working night that the days of rest must have made up. A night missing
    here and there is made up for by the week before.
    """
    day, tonight = past.days.ordinal, int(past.days.ordinal[-1])
    rest = past.rest & (past.week <= past.week.min() + _SAME_REST)[past.days.weekday]
    rest_days = len(np.unique(past.days.weekday[rest]))
    since = np.flatnonzero(rest & (day > tonight - _REST_WINDOW))[-3 * rest_days :]
    earlier = np.flatnonzero(rest & (day <= tonight - _REST_WINDOW) & ~past.days.festival)
    base = earlier[-8 * rest_days :]
    work = np.flatnonzero(past.at_work & (day > tonight - 21))
    work_before = np.flatnonzero(past.at_work & (day <= tonight - _REST_WINDOW))[-40:]
    if len(since) < max(3, 2 * rest_days) or len(base) < 4 or len(work) < 8 or len(work_before) < 16:
        return None
    working, working_before = middle(past.energy_kwh[work]), middle(past.energy_kwh[work_before])
    before = middle(past.energy_kwh[base])
    share_before = min(before / max(working_before, 1e-9), 1.0)
    goal = share_before + closed * (1.0 - share_before)
    shares = past.energy_kwh[since] / max(working, 1e-9)
    if float((shares >= goal).mean()) < 0.8 or goal - share_before < 0.15 or working < 0.6 * working_before:
        return None
    after = middle(past.energy_kwh[since])
    if working * (goal - share_before) < least_kwh or after < _REST_GROWTH * before:
        return None
    just_before = past.energy_kwh[earlier[-4 * rest_days :]] / max(working_before, 1e-9)
    if float((just_before >= goal).mean()) > 0.3:
        return None
    worked_earlier = float((past.energy_kwh[earlier] / max(working_before, 1e-9) >= goal).mean())
    highest_before = float(np.quantile(past.energy_kwh[earlier], 0.9)) / max(working_before, 1e-9)
    if worked_earlier > 0.12 or float(np.quantile(shares, 0.2)) < highest_before:
        return None
    return Change(
        code=ChangeCode.WEEKEND,
        onset=int(day[since[0]]),
        before=before,
        after=after,
        ratio=(middle(shares) - share_before) / (goal - share_before),
        nights_before=len(base),
        nights_after=len(since),
        usual=worked_earlier,
    )


def overdraw(past: OwnPast, contract_kva: float, *, margin: float, nights: int) -> Change | None:
    """More active power than the contract allows on `nights` of the last seven, hardly ever in the weeks before."""
    day, tonight = past.days.ordinal, int(past.days.ordinal[-1])
    known = np.isfinite(past.peak_kw) & np.isfinite(past.energy_kwh)
    over = known & (past.peak_kw > margin * contract_kva)
    late = known & (day > tonight - 7)
    early = known & (day <= tonight - 14) & (day > tonight - 35)
    seen = known & (day <= tonight - 14)
    if int((over & late).sum()) < nights or int(early.sum()) < 10:
        return None
    if float(over[early].mean()) > 0.15 or float(over[seen].mean()) > 0.05:
        return None
    after = middle(past.peak_kw[over & late])
    return Change(
        code=ChangeCode.OVERDRAW,
        onset=int(day[over & (day > tonight - 14)][0]),
        before=middle(past.peak_kw[early]),
        after=after,
        ratio=after / (margin * contract_kva),
        nights_before=int(early.sum()),
        nights_after=int((over & late).sum()),
        usual=contract_kva,
    )
