"""Heats of a one- or two-minute series, by explicit thresholds and durations (reference: §4.2 of the signatures).

A slot is on above 55 % and off below 35 % of the night's plateau above base; between them the last state holds. Off
stretches of up to two minutes are charging notches and belong to the heat; on stretches shorter than fifteen minutes
are superheats or other loads, and no heats; neither is a run of more than 160 minutes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.learned.cycles import grouped_median

ON_SHARE: Final = 0.55
OFF_SHARE: Final = 0.35
NOTCH_MIN: Final = 2.0
SHORTEST_HEAT_MIN: Final = 15.0
LONGEST_HEAT_MIN: Final = 160.0
LONGEST_PAUSE_MIN: Final = 45.0

Floats = NDArray[np.float32]
Index = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Heats:
    """Per meter, (n,): see the names in `models.learned.features.FEATURES` that begin with `heat_`; NaN: no heats."""

    count: Floats
    minutes: Floats
    minutes_spread: Floats
    kwh: Floats
    kwh_spread: Floats
    period_min: Floats
    period_spread: Floats
    gap_min: Floats
    plateau_cv: Floats
    rise_min: Floats
    fall_min: Floats
    shallow_share: Floats


def find_heats(power_kw: Floats, base_kw: Floats, plateau_kw: Floats, interval_s: int) -> Heats:
    """Heats of n meters; (n, s) kW, base and plateau (n,) kW. A NaN ends a run, and that run is not a heat."""
    n, s = power_kw.shape
    step_min = interval_s / 60.0
    known = np.isfinite(power_kw)
    swing = np.maximum(plateau_kw - base_kw, 1e-6)[:, None]
    height = np.where(known, (power_kw - base_kw[:, None]) / swing, np.float32(0.0)).astype(np.float32)
    row, start, end = _runs(_on(height), round(NOTCH_MIN / step_min))
    length = (end - start) * step_min
    missing = np.concatenate([np.zeros((n, 1), dtype=np.int64), np.cumsum(~known, axis=1)], axis=1)
    whole = missing[row, np.minimum(end + 1, s)] == missing[row, np.maximum(start - 1, 0)]
    keep = whole & (length >= SHORTEST_HEAT_MIN) & (length <= LONGEST_HEAT_MIN) & (start > 0) & (end < s)
    row, start, end, length = row[keep], start[keep], end[keep], length[keep]
    running = np.concatenate([np.zeros((n, 1)), np.cumsum(np.where(known, power_kw, 0.0), axis=1, dtype=np.float64)], 1)
    kwh = (running[row, end] - running[row, start]) * (interval_s / 3600.0)
    next_one = np.flatnonzero(row[1:] == row[:-1])
    pause = (start[next_one + 1] - end[next_one]) * step_min
    next_one = next_one[pause <= LONGEST_PAUSE_MIN]
    pause = pause[pause <= LONGEST_PAUSE_MIN]
    pair = row[next_one]
    period = (start[next_one + 1] - start[next_one]) * step_min
    minutes, minutes_spread = grouped_median(row, length, n, fewest=3)
    energy, energy_spread = grouped_median(row, kwh, n, fewest=3)
    period_min, period_spread = grouped_median(pair, period, n, fewest=3)
    flat = _plateau_cv(height, start, end, row)
    rise, fall = _edges(height, row, start, end, step_min)
    return Heats(
        count=np.bincount(row, minlength=n).astype(np.float32),
        minutes=minutes,
        minutes_spread=minutes_spread,
        kwh=energy,
        kwh_spread=energy_spread,
        period_min=period_min,
        period_spread=period_spread,
        gap_min=grouped_median(pair, pause, n)[0],
        plateau_cv=grouped_median(row, flat, n)[0],
        rise_min=grouped_median(row, rise, n)[0],
        fall_min=grouped_median(row, fall, n)[0],
        shallow_share=_between(height, known),
    )


def _on(height: Floats) -> NDArray[np.bool_]:
    """Hysteresis: the state of the last slot that was clearly on or off, off before the first."""
    decided = (height > ON_SHARE) | (height < OFF_SHARE)
    slot = np.where(decided, np.arange(height.shape[1]), -1)
    last = np.maximum.accumulate(slot, axis=1)
    held = np.take_along_axis(height, np.maximum(last, 0), axis=1)
    return np.asarray((last >= 0) & (held > ON_SHARE))


def _runs(on: NDArray[np.bool_], notch_slots: int) -> tuple[Index, Index, Index]:
    """Row, first slot and one past the last slot of each on-run, short notches filled."""
    n, s = on.shape
    padded = np.zeros((n, s + 2), dtype=np.int8)
    padded[:, 1:-1] = on
    change = np.diff(padded, axis=1)
    row, start = np.nonzero(change == 1)
    _, end = np.nonzero(change == -1)
    if not len(row):
        return row, start, end
    joins = (row[1:] == row[:-1]) & (start[1:] - end[:-1] <= notch_slots)
    first = np.concatenate([[True], ~joins])
    last = np.concatenate([~joins, [True]])
    return row[first], start[first], end[last]


def _plateau_cv(height: Floats, start: Index, end: Index, row: Index) -> NDArray[np.float64]:
    """CV of power over the middle half of each heat."""
    quarter = (end - start) // 4
    low, high = start + quarter, end - quarter
    count = np.maximum(high - low, 1)
    first = _cumulative(height)
    second = _cumulative(height * height)
    mean = (first[row, high] - first[row, low]) / count
    variance = (second[row, high] - second[row, low]) / count - mean * mean
    return np.asarray(np.sqrt(np.maximum(variance, 0.0)) / np.maximum(mean, 1e-6))


def _cumulative(values: Floats) -> NDArray[np.float64]:
    return np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, axis=1, dtype=np.float64)], axis=1)


def _edges(
    height: Floats, row: Index, start: Index, end: Index, step_min: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Minutes from 55 % to 85 % of the plateau after the start, and from 85 % down to the end, at most twenty."""
    s = height.shape[1]
    steps = np.arange(int(20 / step_min) + 1)
    after = np.minimum(start[:, None] + steps, s - 1)
    before = np.maximum(end[:, None] - 1 - steps, 0)
    high_after = height[row[:, None], after] >= 0.85
    high_before = height[row[:, None], before] >= 0.85
    rise = np.where(high_after.any(axis=1), high_after.argmax(axis=1), len(steps)) * step_min
    fall = np.where(high_before.any(axis=1), high_before.argmax(axis=1), len(steps)) * step_min
    return rise.astype(np.float64), fall.astype(np.float64)


def _between(height: Floats, known: NDArray[np.bool_]) -> Floats:
    """Share of the working minutes (above a tenth) spent between 25 % and 75 % of the plateau."""
    working = known & (height > 0.10)
    middle = working & (height > 0.25) & (height < 0.75)
    count = working.sum(axis=1)
    share = middle.sum(axis=1) / np.maximum(count, 1)
    return np.where(count > 0, share, np.nan).astype(np.float32)
