"""Daily consumption as awkward as real meters write it, with nothing in it that is worth a lead.

Drawn apart from the simulated lives the limits were tuned on: other shapes, other scales, other faults. Each maker
gives (n, k) kWh a day; the name says what is awkward.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.domain.holidays import LUNAR_NEW_YEARS, DayKind, day_kind

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Days:
    """The dates of a series as columns (k,)."""

    date: tuple[dt.date, ...]
    weekday: NDArray[np.int64]
    of_year: Floats
    off: NDArray[np.bool_]
    made_up: NDArray[np.bool_]
    to_new_year: NDArray[np.int64]

    @classmethod
    def of(cls, start: dt.date, count: int) -> Days:
        dates = tuple(start + dt.timedelta(days=k) for k in range(count))
        kinds = [day_kind(date) for date in dates]
        near = [min(((date - day).days for day in LUNAR_NEW_YEARS), key=abs) for date in dates]
        return cls(
            dates,
            np.array([date.weekday() for date in dates]),
            np.array([date.timetuple().tm_yday for date in dates], dtype=np.float64),
            np.array([kind in (DayKind.HOLIDAY, DayKind.UNKNOWN) for kind in kinds]),
            np.array([kind is DayKind.MAKE_UP for kind in kinds]),
            np.array(near),
        )


def _wander(rng: np.random.Generator, k: int, sd: float, rho: float) -> Floats:
    steps = rng.normal(0.0, sd * np.sqrt(1.0 - rho * rho), k)
    values = np.empty(k)
    last = rng.normal(0.0, sd)
    for at in range(k):
        last = rho * last + steps[at]
        values[at] = last
    return values


def _working(rng: np.random.Generator, days: Days, *, rest: tuple[int, ...] = (5, 6), low: float = 0.15) -> Floats:
    works = np.where(np.isin(days.weekday, rest) & ~days.made_up, low, 1.0)
    works = np.where(days.off, rng.uniform(0.05, 0.3), works)
    before, after = int(rng.integers(2, 12)), int(rng.integers(6, 18))
    works = np.where((days.to_new_year >= -before) & (days.to_new_year <= after), low * 0.5, works)
    noise = rng.lognormal(0.0, rng.uniform(0.04, 0.15), len(works)) * np.exp(_wander(rng, len(works), 0.1, 0.95))
    return np.asarray(np.exp(rng.uniform(np.log(60.0), np.log(200_000.0))) * works * noise)


def weekends_off(rng: np.random.Generator, days: Days) -> Floats:
    return _working(rng, days, low=rng.uniform(0.0, 0.2))


def summer_stop(rng: np.random.Generator, days: Days) -> Floats:
    """Closed three to five weeks each August, as the years before."""
    begins, lasts = rng.uniform(205, 225), rng.uniform(18, 35)
    shut = (days.of_year >= begins + rng.normal(0.0, 3.0)) & (days.of_year < begins + lasts)
    return np.where(shut, 0.08, 1.0) * _working(rng, days)


def hot_summer(rng: np.random.Generator, days: Days) -> Floats:
    """Cooling doubles the summer within a fortnight, as the years before."""
    heat = np.clip(np.cos(2.0 * np.pi * (days.of_year - 205.0) / 365.0) * 1.6 - 0.5, 0.0, 1.0)
    return (1.0 + rng.uniform(0.5, 1.5) * heat + _wander(rng, len(heat), 0.08, 0.8)).clip(0.1) * _working(
        rng, days, rest=(6,), low=0.6
    )


def solar_roof(rng: np.random.Generator, days: Days) -> Floats:
    """What the roof leaves over: near zero, or exactly zero, on fine days of rest."""
    use = _working(rng, days, low=rng.uniform(0.2, 0.6))
    sun = rng.beta(2.0, 1.2, len(use)) * (0.6 + 0.4 * np.cos(2.0 * np.pi * (days.of_year - 172.0) / 365.0))
    return np.maximum(use - np.median(use) * rng.uniform(0.3, 0.7) * sun, 0.0)


def in_batches(rng: np.random.Generator, days: Days) -> Floats:
    """Runs for some days, stands for some days, all the time."""
    k, level = len(days.date), np.exp(rng.uniform(np.log(300.0), np.log(50_000.0)))
    works, at = np.zeros(k), 0
    while at < k:
        on, off = int(rng.integers(2, 13)), int(rng.integers(2, 13))
        works[at : at + on] = rng.uniform(0.7, 1.2)
        at += on + off
    return np.asarray(level * (works * rng.lognormal(0.0, 0.2, k) + rng.uniform(0.0, 0.05)))


def pumping(rng: np.random.Generator, days: Days) -> Floats:
    """Irrigation: zero most of the year, each year at about its season, in bouts."""
    k = len(days.date)
    season = np.abs((days.of_year - rng.uniform(120, 240) + 182.0) % 365.0 - 182.0) < rng.uniform(25, 60)
    bouts = _wander(rng, k, 1.0, 0.8) > 0.3
    return np.asarray(np.where(season & bouts, rng.uniform(50.0, 3000.0) * rng.lognormal(0.0, 0.4, k), 0.0))


def catch_up(rng: np.random.Generator, days: Days) -> Floats:
    """Days that were not read are zero, and the next one holds their sum."""
    return _with_lost_days(rng, _working(rng, days), stuck=0.0, summed=True)


def lost_days(rng: np.random.Generator, days: Days) -> Floats:
    """One day in eight missing, and a fortnight now and then."""
    return _with_lost_days(rng, _working(rng, days), stuck=np.nan, summed=False)


def _with_lost_days(rng: np.random.Generator, energy: Floats, *, stuck: float, summed: bool) -> Floats:
    energy = energy.copy()
    k = len(energy)
    at = 0
    while at < k:
        lost = int(rng.choice([1, 2, 3, 5, 14], p=[0.5, 0.25, 0.15, 0.07, 0.03]))
        end = min(at + lost, k - 1)
        if summed:
            energy[end] += energy[at:end].sum()
        energy[at:end] = stuck
        at = end + int(rng.integers(4, 25))
    return energy


def outliers(rng: np.random.Generator, days: Days) -> Floats:
    """Single days of a thousand times, a negative number or nothing."""
    energy = _working(rng, days, low=0.5)
    hit = rng.random(len(energy)) < 0.02
    return np.where(hit, energy * rng.choice([1000.0, 30.0, -1.0, 0.0, 0.001], len(energy)), energy)


def replaced(rng: np.random.Generator, days: Days) -> Floats:
    """A meter changed each half-year: a day lost, one of a few kWh, one a huge jump of the register."""
    energy = _working(rng, days, low=0.4)
    for at in range(int(rng.integers(20, 180)), len(energy) - 4, 183):
        energy[at : at + 3] = (np.nan, 0.02 * energy[at], rng.choice([5e6, -5e6]))
    return energy


def drift(rng: np.random.Generator, days: Days) -> Floats:
    """Twice as much, or half, over a year."""
    return _working(rng, days) * 2.0 ** (rng.choice([-1.0, 1.0]) * np.arange(len(days.date)) / 365.0)


def coarse(rng: np.random.Generator, days: Days) -> Floats:
    """A register of 100 kWh steps and a load of a few of them a day."""
    use = rng.uniform(60.0, 400.0) * rng.lognormal(0.0, 0.1, len(days.date))
    return np.asarray(np.diff(np.floor(np.concatenate([[0.0], use.cumsum()]) / 100.0)) * 100.0)


def trifle(rng: np.random.Generator, days: Days) -> Floats:
    """A site that hardly uses anything, in whole kWh: an empty hall with a lamp and a heater."""
    return np.floor(rng.gamma(0.6, rng.uniform(2.0, 12.0), len(days.date)))


def vacant(rng: np.random.Generator, days: Days) -> Floats:
    """Let and empty in turn for months, as rented workshops are, with weeks of fitting out between."""
    k, level = len(days.date), np.exp(rng.uniform(np.log(100.0), np.log(3000.0)))
    return np.asarray(level * np.exp(_wander(rng, k, 0.5, 0.985)) * rng.lognormal(0.0, 0.15, k))


def six_then_seven(rng: np.random.Generator, days: Days) -> Floats:
    """Sundays off every other week, Saturdays when there is work."""
    energy = _working(rng, days, rest=(), low=0.2)
    week = np.arange(len(energy)) // 7
    free = (days.weekday == 6) & ((week % 2 == 0) | (rng.random(len(energy)) < 0.3))
    free |= (days.weekday == 5) & (rng.random(len(energy)) < 0.4)
    return np.where(free, 0.25 * energy, energy)


def heating(rng: np.random.Generator, days: Days) -> Floats:
    """Electric heat switched on about 15 November and off about 15 March, as the years before."""
    on = (days.of_year > 319 + rng.normal(0.0, 2.0)) | (days.of_year < 74 + rng.normal(0.0, 2.0))
    return np.where(on, rng.uniform(1.6, 2.6), 1.0) * _working(rng, days, rest=(6,), low=0.7)


def ordered_about(rng: np.random.Generator, days: Days) -> Floats:
    """Load shifting in summer heat: a week told to run at night or to stand, several times."""
    energy = _working(rng, days, rest=(6,), low=0.5)
    for at in np.flatnonzero((days.of_year > 190) & (days.of_year < 240) & (rng.random(len(energy)) < 0.04)).tolist():
        energy[at : at + int(rng.integers(3, 8))] *= rng.uniform(0.1, 0.6)
    return energy


AWKWARD: Final[Mapping[str, Callable[[np.random.Generator, Days], Floats]]] = MappingProxyType(
    {
        maker.__name__: maker
        for maker in (
            weekends_off, summer_stop, hot_summer, solar_roof, in_batches, pumping, catch_up, lost_days, outliers,
            replaced, drift, coarse, trifle, vacant, six_then_seven, heating, ordered_about,
        )
    }
)  # fmt: skip


def awkward_days(name: str, seed: int, sites: int, start: dt.date, count: int) -> Floats:
    """(sites, count) kWh a day of one kind of awkwardness; the same arguments always give the same numbers."""
    days = Days.of(start, count)
    number = sorted(AWKWARD).index(name)
    return np.stack([AWKWARD[name](np.random.default_rng([seed, number, site]), days) for site in range(sites)])
