"""Cycles between dips of the quarter-hour series: how long they are and how much energy each takes.

A crucible is a measuring cup: the energy of a heat is fixed by its size, so it repeats better than any other figure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

SHALLOWEST_DIP: Final = 0.10
"""Depth of a dip below both shoulders, as a share of the night's p95."""
SHOULDER_SLOTS: Final = 4
SHORTEST_CYCLE_SLOTS: Final = 2.0
LONGEST_CYCLE_SLOTS: Final = 12.0
_NOTHING: Final = np.float32(-1000.0)

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Cycles:
    """Per meter, (n,): dips, whole cycles, their median minutes and kWh and the robust CV of either.

    `depth` is the median depth of the dips relative to p95, `rim_spread` the robust CV of the
    level they fall from. NaN where there is no dip or no cycle.
    """

    dips: Floats
    count: Floats
    minutes: Floats
    kwh: Floats
    kwh_spread: Floats
    minutes_spread: Floats
    depth: Floats
    rim_spread: Floats


def find_cycles(mean_kw: Floats, relative: Floats, inside: Bools, interval_s: int) -> Cycles:
    """Cycles of each meter's working blocks; (n, s) each. NaN slots hold no dip, and no cycle runs across one."""
    n = len(mean_kw)
    depth, shift, rim = _dips(relative, inside)
    rows, columns = np.nonzero(depth >= SHALLOWEST_DIP)
    dips = np.bincount(rows, minlength=n).astype(np.float32)
    at = columns + shift[rows, columns]
    broken = np.cumsum(~inside | ~np.isfinite(mean_kw), axis=1)
    follows = np.flatnonzero(rows[1:] == rows[:-1])
    same_block = broken[rows[follows], columns[follows]] == broken[rows[follows], columns[follows + 1]]
    slots = at[follows + 1] - at[follows]
    follows = follows[same_block & (slots >= SHORTEST_CYCLE_SLOTS) & (slots <= LONGEST_CYCLE_SLOTS)]
    row = rows[follows]
    length = at[follows + 1] - at[follows]
    running = np.cumsum(np.where(np.isfinite(mean_kw), mean_kw, 0.0), axis=1, dtype=np.float64)
    energy = (_until(running, row, at[follows + 1]) - _until(running, row, at[follows])) * (interval_s / 3600.0)
    minutes, minutes_spread = grouped_median(row, length * (interval_s / 60.0), n)
    kwh, kwh_spread = grouped_median(row, energy, n)
    return Cycles(
        dips=dips,
        count=np.bincount(row, minlength=n).astype(np.float32),
        minutes=minutes,
        kwh=kwh,
        kwh_spread=kwh_spread,
        minutes_spread=minutes_spread,
        depth=grouped_median(rows, depth[rows, columns].astype(np.float64), n)[0],
        rim_spread=grouped_median(rows, rim[rows, columns].astype(np.float64), n)[1],
    )


def grouped_median(
    group: NDArray[np.intp], values: NDArray[np.float64], n: int, *, fewest: int = 2
) -> tuple[Floats, Floats]:
    """Median of each group and the median absolute deviation relative to it (n,); NaN for an empty group.

    The spread is scaled by 1.4826, so that it estimates a CV; it is NaN for fewer than `fewest` values.
    """
    median = _medians(group, values, n)
    deviation = _medians(group, np.abs(values - median[group]), n)
    many = np.bincount(group, minlength=n) >= fewest
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = np.where(many & (median > 0.0), 1.4826 * deviation / median, np.nan)
    return median.astype(np.float32), spread.astype(np.float32)


def _medians(group: NDArray[np.intp], values: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    by_value = np.argsort(values, kind="stable")
    ordered = values[by_value[np.argsort(group[by_value], kind="stable")]]
    count = np.bincount(group, minlength=n)
    start = np.cumsum(count) - count
    filled = count > 0
    low = (start + (count - 1) // 2)[filled]
    high = (start + count // 2)[filled]
    median = np.full(n, np.nan)
    median[filled] = 0.5 * (ordered[low] + ordered[high])
    return median


def _dips(relative: Floats, inside: Bools) -> tuple[Floats, Floats, Floats]:
    """Depth of each local minimum below the lower of its two shoulders, its centre's offset in slots, the shoulder."""
    n, s = relative.shape
    reach = SHOULDER_SLOTS
    padded = np.full((n, s + 2 * reach), _NOTHING, dtype=np.float32)
    padded[:, reach : reach + s] = np.where(inside & np.isfinite(relative), relative, _NOTHING)
    left, right = padded[:, reach - 1 : reach - 1 + s], padded[:, reach + 1 : reach + 1 + s]
    lowest = (relative <= left) & (relative < right) & inside & (left > _NOTHING) & (right > _NOTHING)
    shoulder_left, shoulder_right = left, right
    for step in range(2, reach + 1):
        shoulder_left = np.maximum(shoulder_left, padded[:, reach - step : reach - step + s])
        shoulder_right = np.maximum(shoulder_right, padded[:, reach + step : reach + step + s])
    rim = np.minimum(shoulder_left, shoulder_right)
    depth = np.where(lowest & (rim > _NOTHING), rim - np.where(lowest, relative, np.float32(0.0)), np.float32(0.0))
    lack_left = np.where((depth > 0.0) & (left > _NOTHING), np.maximum(rim - left, 0.0), 0.0)
    lack_right = np.where((depth > 0.0) & (right > _NOTHING), np.maximum(rim - right, 0.0), 0.0)
    weight = depth + lack_left + lack_right
    shift = (lack_right - lack_left) / np.where(weight > 0.0, weight, 1.0)
    return depth, shift.astype(np.float32), rim


def _until(running: NDArray[np.float64], row: NDArray[np.intp], at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Running total up to the middle of the slot at a fractional position."""
    position = at - 0.5
    whole = np.floor(position).astype(np.intp)
    last = running.shape[1] - 1
    below = np.where(whole >= 0, running[row, np.clip(whole, 0, last)], 0.0)
    above = running[row, np.clip(whole + 1, 0, last)]
    return np.asarray(below + (position - whole) * (above - below))
