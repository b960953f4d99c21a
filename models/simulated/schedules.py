"""Stretches of time in which something runs, stops or fails, as masks and lists of minutes."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from models.simulated.shapes import Minutes, Rng, lognormal
from models.simulated.timeline import Timeline


def daily_blocks(
    time: Timeline, start_min: NDArray[np.float64], end_min: NDArray[np.float64], works: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """(n,) mask of one block a day: minutes from that day's midnight (n_days,), which may pass the next midnight."""
    on = np.zeros(time.n, dtype=np.bool_)
    for day in np.flatnonzero(works).tolist():
        midnight = int(time.day_start[day])
        on[max(0, midnight + round(start_min[day])) : max(0, midnight + round(end_min[day]))] = True
    return on


def random_stops(n: int, per_hour: float, median_min: float, log_sd: float, rng: Rng) -> NDArray[np.bool_]:
    """(n,) mask that is True during stops that begin at random and last a lognormal time."""
    stopped = np.zeros(n, dtype=np.bool_)
    for begin in np.flatnonzero(rng.random(n) < per_hour / 60.0).tolist():
        stopped[begin : begin + max(1, round(lognormal(rng, median_min, log_sd)))] = True
    return stopped


def shift_hours(time: Timeline, shifts: tuple[tuple[float, float], ...], late_sd_min: float, rng: Rng) -> Minutes:
    """(n,) 1.0 within the shifts (hours of the day) of working days, their edges moved a little each day, else 0."""
    on = np.zeros(time.n, dtype=np.bool_)
    for begin_h, end_h in shifts:
        begin = 60.0 * begin_h + rng.normal(0.0, late_sd_min, time.n_days)
        end = 60.0 * end_h + rng.normal(0.0, late_sd_min, time.n_days)
        on |= daily_blocks(time, begin, end, ~time.rest_day)
    return on.astype(np.float64)


def outdoor_degc(time: Timeline, rng: Rng) -> NDArray[np.float64]:
    """Daily mean temperature (n_days,): a season that is coldest in mid-January, and weather that lasts for days."""
    day_of_year = np.array([date.timetuple().tm_yday for date in time.dates], dtype=np.float64)
    season = 16.0 - 12.0 * np.cos(2.0 * math.pi * (day_of_year - 15.0) / 365.0)
    weather = np.zeros(time.n_days)
    last = rng.normal(0.0, 3.0)
    for day in range(time.n_days):
        last = 0.7 * last + rng.normal(0.0, 2.1)
        weather[day] = last
    return season + weather
