"""Building blocks of load curves: noise, draws, steps and daily profiles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from models.simulated.timeline import Timeline

Rng = np.random.Generator
Minutes = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Curve:
    """What one block of load draws: `p_kw` and `q_kvar` (n,) by minute, import and lagging positive.

    `snapshot_rel` is the spread (sd) of a one-second sample about the minute's mean, as a share of the mean.
    """

    p_kw: Minutes
    q_kvar: Minutes
    snapshot_rel: float = 0.003


def lognormal(rng: Rng, median: float, log_sd: float) -> float:
    """One draw with that median and that sd of the logarithm."""
    return median * math.exp(log_sd * rng.standard_normal())


def clipped_normal(rng: Rng, mean: float, sd: float, low: float, high: float) -> float:
    """One normal draw kept within [low, high]."""
    return float(min(max(mean + sd * rng.standard_normal(), low), high))


def pick(rng: Rng, options: Sequence[tuple[str, float]]) -> str:
    """One of the named options by weight."""
    weights = np.array([weight for _, weight in options])
    return options[int(rng.choice(len(options), p=weights / weights.sum()))][0]


def ar1(rng: Rng, n: int, sd: float, rho: float) -> Minutes:
    """First-order noise of standard deviation `sd` and lag-one correlation `rho`, (n,)."""
    white = rng.standard_normal(n)
    if n:
        white[0] /= math.sqrt(1.0 - rho * rho)
    noise: Minutes = np.asarray(lfilter([sd * math.sqrt(1.0 - rho * rho)], [1.0, -rho], white), dtype=np.float64)
    return noise


def low_pass(values: Minutes, time_constant_min: float) -> Minutes:
    """First-order lag of a curve, started at its first value, (n,)."""
    keep = math.exp(-1.0 / time_constant_min)
    settled = np.array([keep * values[0]]) if len(values) else np.zeros(1)
    lagged, _ = lfilter([1.0 - keep], [1.0, -keep], values, zi=settled)
    return np.asarray(lagged, dtype=np.float64)


def dips(rng: Rng, n: int, per_hour: float, length_min: tuple[float, float], depth: tuple[float, float]) -> Minutes:
    """Factors (n,) that are 1 save in random stretches, where they fall by a uniform depth."""
    factor = np.ones(n)
    for start in np.flatnonzero(rng.random(n) < per_hour / 60.0).tolist():
        stretch = max(1, round(rng.uniform(*length_min)))
        factor[start : start + stretch] = 1.0 - rng.uniform(*depth)
    return factor


def by_day(time: Timeline, values: NDArray[np.float64]) -> Minutes:
    """Spread one value a day (n_days,) over the minutes."""
    return values[time.day]


def hourly_profile(time: Timeline, hours: Sequence[float]) -> Minutes:
    """A 24-point daily profile, interpolated to the minute, (n,)."""
    points = np.asarray([*hours, hours[0]], dtype=np.float64)
    profile: Minutes = np.interp(time.minute_of_day / 60.0, np.arange(25.0), points)
    return profile
