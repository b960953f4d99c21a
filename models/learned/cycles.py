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


@dataclass(frozen=True, slots=True)
class Dips:
    """All dips of a window in order of row and slot; `at` is the centre of what is missing, in slots."""

    row: NDArray[np.intp]
    slot: NDArray[np.intp]
    at: NDArray[np.float64]
    depth: NDArray[np.float64]
    rim: NDArray[np.float64]


def find_cycles(mean_kw: Floats, relative: Floats, inside: Bools, interval_s: int) -> Cycles:
    """Cycles of each meter's working blocks; (n, s) each. NaN slots hold no dip, and no cycle runs across one."""
    n = len(mean_kw)
    dips = find_dips(relative, inside)
    known = np.isfinite(mean_kw)
    broken = np.cumsum(~(inside & known), axis=1)
    follows = np.flatnonzero(dips.row[1:] == dips.row[:-1])
    row, slot, next_slot = dips.row[follows], dips.slot[follows], dips.slot[follows + 1]
    length = dips.at[follows + 1] - dips.at[follows]
    whole = (
        (broken[row, slot] == broken[row, next_slot])
        & (length >= SHORTEST_CYCLE_SLOTS)
        & (length <= LONGEST_CYCLE_SLOTS)
    )
    follows, row, length = follows[whole], row[whole], length[whole]
    running = np.cumsum(np.where(known, mean_kw, 0.0), axis=1, dtype=np.float64)
    energy = (_until(running, row, dips.at[follows + 1]) - _until(running, row, dips.at[follows])) * (
        interval_s / 3600.0
    )
    minutes, minutes_spread = grouped_median(row, length * (interval_s / 60.0), n)
    kwh, kwh_spread = grouped_median(row, energy, n)
    return Cycles(
        dips=np.bincount(dips.row, minlength=n).astype(np.float32),
        count=np.bincount(row, minlength=n).astype(np.float32),
        minutes=minutes,
        kwh=kwh,
        kwh_spread=kwh_spread,
        minutes_spread=minutes_spread,
        depth=_medians(dips.row, dips.depth, n).astype(np.float32),
        rim_spread=grouped_median(dips.row, dips.rim, n)[1],
    )


def grouped_median(
    group: NDArray[np.intp], values: NDArray[np.float64], n: int, *, fewest: int = 2
) -> tuple[Floats, Floats]:
    """Median of each group and the median absolute deviation relative to it (n,); NaN for an empty group.

    `group` ascends.

    The spread is scaled by 1.4826, so that it estimates a CV; it is NaN for fewer than `fewest` values.
    """
    median = _medians(group, values, n)
    deviation = _medians(group, np.abs(values - median[group]), n)
    many = np.bincount(group, minlength=n) >= fewest
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = np.where(many & (median > 0.0), 1.4826 * deviation / median, np.nan)
    return median.astype(np.float32), spread.astype(np.float32)


def _medians(group: NDArray[np.intp], values: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """Median of each group; `group` ascends."""
    count = np.bincount(group, minlength=n)
    if not len(group):
        return np.full(n, np.nan)
    start = np.cumsum(count) - count
    table = np.full((n, int(count.max())), np.nan)
    table[group, np.arange(len(group)) - start[group]] = values
    table.sort(axis=1)
    row, last = np.arange(n), table.shape[1] - 1
    low, high = np.maximum(count - 1, 0) // 2, np.minimum(count // 2, last)
    return np.asarray(0.5 * (table[row, low] + table[row, high]))


def find_dips(relative: Floats, inside: Bools) -> Dips:
    """Local minima inside blocks, at least `SHALLOWEST_DIP` below the lower of their two shoulders."""
    n, s = relative.shape
    reach = SHOULDER_SLOTS
    padded = np.full((n, s + 2 * reach), _NOTHING, dtype=np.float32)
    padded[:, reach : reach + s] = np.where(inside & np.isfinite(relative), relative, _NOTHING)
    here = padded[:, reach : reach + s]
    left, right = padded[:, reach - 1 : reach - 1 + s], padded[:, reach + 1 : reach + 1 + s]
    rows, columns = np.nonzero((here <= left) & (here < right) & (here > _NOTHING) & (left > _NOTHING))
    flat, width = padded.reshape(-1), s + 2 * reach
    at = rows * width + columns + reach
    low, before, after = flat[at], flat[at - 1], flat[at + 1]
    shoulder_left, shoulder_right = before, after
    for step in range(2, reach + 1):
        shoulder_left = np.maximum(shoulder_left, flat[at - step])
        shoulder_right = np.maximum(shoulder_right, flat[at + step])
    rim = np.minimum(shoulder_left, shoulder_right)
    deep = rim - low >= SHALLOWEST_DIP
    rows, columns, rim, depth = rows[deep], columns[deep], rim[deep], (rim - low)[deep]
    lack_left, lack_right = np.maximum(rim - before[deep], 0.0), np.maximum(rim - after[deep], 0.0)
    shift = (lack_right - lack_left) / (depth + lack_left + lack_right)
    return Dips(rows, columns, columns + shift.astype(np.float64), depth.astype(np.float64), rim.astype(np.float64))


def _until(running: NDArray[np.float64], row: NDArray[np.intp], at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Running total up to the middle of the slot at a fractional position."""
    position = at - 0.5
    whole = np.floor(position).astype(np.intp)
    last = running.shape[1] - 1
    below = np.where(whole >= 0, running[row, np.clip(whole, 0, last)], 0.0)
    above = running[row, np.clip(whole + 1, 0, last)]
    return np.asarray(below + (position - whole) * (above - below))
