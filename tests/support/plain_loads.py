"""A few loads by the minute, drawn from physics alone and independent of the county simulator."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MINUTES = 1440
Minutes = NDArray[np.float64]


def crucible_kw(
    rng: np.random.Generator,
    *,
    nights: int,
    rated_kw: float = 1000.0,
    melt_min: float = 55.0,
    gap_min: float = 16.0,
    start_min: int = 660,
    hours: float = 8.0,
    spread: float = 0.06,
    base_kw: float = 20.0,
) -> Minutes:
    """One crucible: ramp, flat melt, a deep gap for tapping and recharging, again; (nights * 1440,) from noon."""
    power = np.full(nights * MINUTES, base_kw)
    for night in range(nights):
        t = night * MINUTES + start_min + int(rng.normal(0.0, 15.0))
        end = t + int(60 * hours)
        while t < end:
            melt = max(20, round(melt_min * (1.0 + spread * rng.standard_normal())))
            ramp = np.minimum(np.linspace(0.5, 1.5, melt), 1.0)
            stretch = power[t : t + melt]
            stretch += (rated_kw * ramp * (1.0 + 0.01 * rng.standard_normal(melt)))[: len(stretch)]
            t += melt + max(4, round(gap_min * (1.0 + 0.25 * rng.standard_normal())))
    return power


def forging_kw(rng: np.random.Generator, *, nights: int, rated_kw: float = 1000.0) -> Minutes:
    """A forging heater on two shifts: flat, with stops at random times of random length."""
    power = np.full(nights * MINUTES, 15.0)
    for night in range(nights):
        for start, stop in ((660, 900), (930, 1140)):
            span = slice(night * MINUTES + start, night * MINUTES + stop)
            level = rated_kw * (1.0 + 0.03 * rng.standard_normal(stop - start))
            t = 0.0
            while t < stop - start:
                t += rng.exponential(60.0 / 0.7)
                low = int(t)
                t += float(np.exp(np.log(8.0) + 0.6 * rng.standard_normal()))
                level[low : int(t)] = 0.0
            power[span] += level
    return power


def mill_kw(rng: np.random.Generator, *, nights: int, rated_kw: float = 2500.0) -> Minutes:
    """A cement mill in the valley hours: one flat block."""
    power = np.full(nights * MINUTES, 60.0)
    for night in range(nights):
        start = night * MINUTES + 610 + int(rng.normal(0.0, 20.0))
        power[start : start + 520] += rated_kw * (1.0 + 0.01 * rng.standard_normal(len(power[start : start + 520])))
    return power


def noisy_shift_kw(rng: np.random.Generator, *, nights: int, rated_kw: float = 600.0) -> Minutes:
    """Machining on a day shift: a noisy level that wanders."""
    power = np.full(nights * MINUTES, 20.0)
    for night in range(nights):
        for start, stop in ((0, 300), (1200, 1440)):
            steps = rng.standard_normal(stop - start)
            wander = np.zeros(stop - start)
            for t in range(1, stop - start):
                wander[t] = 0.95 * wander[t - 1] + 0.1 * steps[t]
            power[night * MINUTES + start : night * MINUTES + stop] += rated_kw * np.clip(0.6 + wander, 0.1, 1.2)
    return power


def quarter_hours(minutes_kw: Minutes) -> tuple[Minutes, Minutes, Minutes]:
    """(mean kW, instant kW at the tick, register kWh with one value more) of a minute series."""
    means = minutes_kw.reshape(-1, 15).mean(axis=1)
    register = 5000.0 + np.concatenate([[0.0], np.cumsum(means) / 4.0])
    return means, minutes_kw[14::15].copy(), register
