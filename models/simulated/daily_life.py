"""Nightly consumption of enterprises over a year and more: weeks, holidays, seasons, order books, gaps.

Only what a nightly row says is drawn (energy, valley share, peak), straight at that scale: a county of hundreds of
sites over 600 nights takes seconds. No site here does anything worth a lead; `labelled_changes` adds what is.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.domain.holidays import LUNAR_NEW_YEARS, DayKind, day_kind
from models.simulated.seeding import stream

Floats = NDArray[np.float64]


class Trade(StrEnum):
    """How a site works."""

    ONE_SHIFT = "one_shift"
    TWO_SHIFT = "two_shift"
    CONTINUOUS = "continuous"
    OFFICE = "office"
    SHOP = "shop"
    WORKSHOP = "workshop"
    COLD_STORE = "cold_store"
    SOLAR = "solar"
    SEASONAL = "seasonal"
    HEATED = "heated"
    IDLE = "idle"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class _Manner:
    """`rest` load on Sundays and, where `two_days`, Saturdays; `valley` usual share of energy in valley hours; sd of
    the order book by week and of single days; load of a public holiday; how far heat and cold move it."""

    rest: tuple[float, float]
    two_days: float
    valley: tuple[float, float]
    orders: tuple[float, float]
    daily: tuple[float, float]
    holiday: tuple[float, float]
    cooling: tuple[float, float] = (0.0, 0.15)
    heating: tuple[float, float] = (0.0, 0.1)


_MANNERS: Final = {
    Trade.ONE_SHIFT: _Manner((0.04, 0.5), 0.3, (0.05, 0.16), (0.04, 0.16), (0.03, 0.1), (0.03, 0.3)),
    Trade.TWO_SHIFT: _Manner((0.1, 1.0), 0.1, (0.14, 0.25), (0.03, 0.12), (0.02, 0.07), (0.05, 0.8)),
    Trade.CONTINUOUS: _Manner((0.97, 1.0), 0.0, (0.31, 0.36), (0.02, 0.08), (0.01, 0.05), (0.5, 1.0)),
    Trade.OFFICE: _Manner((0.15, 0.5), 1.0, (0.1, 0.22), (0.02, 0.05), (0.03, 0.06), (0.15, 0.4), (0.2, 0.7)),
    Trade.SHOP: _Manner((0.95, 1.2), 1.0, (0.1, 0.2), (0.02, 0.06), (0.03, 0.07), (0.8, 1.3), (0.2, 0.8)),
    Trade.WORKSHOP: _Manner((0.05, 0.9), 0.2, (0.04, 0.2), (0.12, 0.3), (0.1, 0.35), (0.03, 0.4)),
    Trade.COLD_STORE: _Manner((0.9, 1.0), 0.0, (0.3, 0.4), (0.03, 0.08), (0.03, 0.07), (0.8, 1.0), (0.2, 0.6)),
    Trade.SOLAR: _Manner((0.3, 0.8), 0.3, (0.1, 0.3), (0.04, 0.12), (0.04, 0.1), (0.1, 0.4)),
    Trade.SEASONAL: _Manner((0.6, 1.0), 0.0, (0.1, 0.35), (0.05, 0.15), (0.05, 0.12), (0.2, 0.9)),
    Trade.HEATED: _Manner((0.5, 1.0), 0.3, (0.2, 0.36), (0.03, 0.1), (0.03, 0.08), (0.4, 0.9), (0.0, 0.2), (0.4, 1.2)),
    Trade.IDLE: _Manner((0.9, 1.0), 0.0, (0.3, 0.5), (0.05, 0.2), (0.1, 0.3), (0.9, 1.0), (0.0, 0.2), (0.0, 0.5)),
    Trade.DEAD: _Manner((1.0, 1.0), 0.0, (0.3, 0.3), (0.0, 0.0), (0.0, 0.0), (1.0, 1.0)),
}
_SHARES: Final = {
    Trade.ONE_SHIFT: 0.26, Trade.TWO_SHIFT: 0.15, Trade.CONTINUOUS: 0.12, Trade.OFFICE: 0.07, Trade.SHOP: 0.08,
    Trade.WORKSHOP: 0.1, Trade.COLD_STORE: 0.03, Trade.SOLAR: 0.05, Trade.SEASONAL: 0.05, Trade.HEATED: 0.04,
    Trade.IDLE: 0.03, Trade.DEAD: 0.02,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class NightlyLife:
    """n sites over k consecutive nights from `start`. `energy_kwh`, `valley_share`, `peak_kw`, `coverage` are (n, k),
    NaN in gaps; `contract_kva` (n,); `works` (n, k) how far a usual working day it was, 1 for a full one."""

    start: dt.date
    trade: tuple[Trade, ...]
    energy_kwh: Floats
    valley_share: Floats
    peak_kw: Floats
    coverage: Floats
    contract_kva: Floats
    works: Floats

    @property
    def dates(self) -> tuple[dt.date, ...]:
        return tuple(self.start + dt.timedelta(days=k) for k in range(self.energy_kwh.shape[1]))

    def cut(self, site: int, **columns: Floats) -> NightlyLife:
        """The same life with some columns of one site replaced."""
        changed = {}
        for name, values in columns.items():
            whole = getattr(self, name).copy()
            whole[site] = values
            changed[name] = whole
        return replace(self, **changed)


def nightly_life(seed: int, start: dt.date, nights: int, sites: int) -> NightlyLife:
    """Draw normal life; the same arguments always give the same numbers."""
    dates = tuple(start + dt.timedelta(days=k) for k in range(nights))
    weather_degc = _weather(stream(seed, "weather"), dates)
    trades = list(_SHARES)
    share = np.array(list(_SHARES.values()))
    kinds = stream(seed, "trades").choice(len(trades), size=sites, p=share / share.sum())
    drawn = [_site(stream(seed, "site", i), trades[kinds[i]], dates, weather_degc) for i in range(sites)]
    columns = [np.stack(rows) for rows in zip(*(columns for columns, _ in drawn), strict=True)]
    energy, valley, peak, coverage, works = columns
    contract = np.array([kva for _, kva in drawn])
    return NightlyLife(start, tuple(trades[k] for k in kinds), energy, valley, peak, coverage, contract, works)


def _weather(rng: np.random.Generator, dates: tuple[dt.date, ...]) -> Floats:
    day = np.array([date.timetuple().tm_yday for date in dates], dtype=np.float64)
    return np.asarray(16.5 - 12.5 * np.cos(2.0 * np.pi * (day - 20.0) / 365.25) + _ar1(rng, len(dates), 3.2, 0.75))


def _ar1(rng: np.random.Generator, n: int, sd: float, rho: float) -> Floats:
    steps = rng.normal(0.0, sd * np.sqrt(1.0 - rho * rho), n)
    values = np.empty(n)
    last = rng.normal(0.0, sd)
    for k in range(n):
        last = rho * last + steps[k]
        values[k] = last
    return values


def _site(
    rng: np.random.Generator, trade: Trade, dates: tuple[dt.date, ...], weather_degc: Floats
) -> tuple[tuple[Floats, Floats, Floats, Floats, Floats], float]:
    manner = _MANNERS[trade]
    n = len(dates)
    level_kw = float(np.exp(rng.uniform(np.log(15.0), np.log(3000.0)))) * (0.01 if trade is Trade.IDLE else 1.0)
    works = _working(rng, manner, dates)
    works *= _festival(rng, manner, dates)
    works *= _shutdowns(rng, trade, n)
    if trade is Trade.SEASONAL:
        works *= _campaign(rng, dates)
    orders = np.exp(_orders(rng, n, rng.uniform(*manner.orders)) + rng.uniform(-0.3, 0.3) * np.arange(n) / 365.0)
    climate = 1.0 + rng.uniform(*manner.cooling) * np.clip((weather_degc - 22.0) / 8.0, 0.0, 1.5)
    climate = climate + rng.uniform(*manner.heating) * np.clip((12.0 - weather_degc) / 10.0, 0.0, 1.5)
    daily = np.exp(_ar1(rng, n, rng.uniform(*manner.daily), rng.uniform(0.0, 0.5)))
    power_kw = level_kw * works * orders * climate * daily
    standby_kw = level_kw * rng.uniform(0.01, 0.08)
    energy = 24.0 * (power_kw + standby_kw)
    valley = rng.uniform(*manner.valley)
    share = np.clip(valley + _ar1(rng, n, rng.uniform(0.005, 0.03), 0.5), 0.01, 0.95)
    idle = np.clip(1.0 - works, 0.0, 1.0)
    share = share * (1.0 - idle) + 0.34 * idle
    if trade is Trade.SOLAR:
        sun = np.clip(rng.beta(2.0, 1.5, n) * (0.7 + 0.4 * (weather_degc - 4.0) / 25.0), 0.0, 1.2)
        made = 24.0 * level_kw * rng.uniform(0.05, 0.35) * sun
        share = np.clip(share * energy / np.maximum(energy - made, 0.15 * energy), 0.01, 0.98)
        energy = np.maximum(energy - made, 0.15 * energy)
    if trade is Trade.DEAD:
        energy = np.full(n, rng.choice([0.0, 1.0, 480.0]))
    factor = rng.uniform(0.35, 0.65) + 0.3 * (valley > 0.3)
    peak = energy / 24.0 / factor * np.exp(rng.normal(0.0, 0.04, n))
    usual_kw = float(np.quantile(peak, 0.98))
    contract = usual_kw * rng.uniform(1.15, 2.0)
    coverage = np.ones(n)
    energy, coverage = _gaps(rng, energy, coverage)
    return (energy, np.where(energy > 0.0, share, np.nan), peak, coverage, works), contract


def _working(rng: np.random.Generator, manner: _Manner, dates: tuple[dt.date, ...]) -> Floats:
    sunday, holiday = rng.uniform(*manner.rest), rng.uniform(*manner.holiday)
    saturday = sunday if rng.random() < manner.two_days else rng.choice([1.0, rng.uniform(0.5, 1.0)])
    odd = rng.uniform(0.0, 0.08)
    works = np.ones(len(dates))
    for k, date in enumerate(dates):
        kind = day_kind(date)
        if kind is DayKind.HOLIDAY:
            works[k] = holiday
        elif kind is not DayKind.MAKE_UP:
            works[k] = {5: saturday, 6: sunday}.get(date.weekday(), 1.0)
        if rng.random() < odd and date.weekday() >= 5:
            works[k] = 1.0
    return works


def _festival(rng: np.random.Generator, manner: _Manner, dates: tuple[dt.date, ...]) -> Floats:
    rests = manner.holiday[0] < 0.4
    works = np.ones(len(dates))
    low = rng.uniform(*manner.holiday) if not rests else rng.uniform(0.0, 0.1)
    for new_year in LUNAR_NEW_YEARS:
        leave, back, full = rng.integers(3, 16), rng.integers(5, 15), rng.integers(2, 10)
        for k, date in enumerate(dates):
            days = (date - new_year).days
            if -leave - 6 <= days < -leave:
                works[k] *= 1.0 - (1.0 - low) * (days + leave + 7) / 7.0 * rng.uniform(0.5, 1.0)
            elif -leave <= days < back:
                works[k] = low
            elif back <= days < back + full:
                works[k] *= low + (1.0 - low) * (days - back) / full
    return works


def _shutdowns(rng: np.random.Generator, trade: Trade, n: int) -> Floats:
    works = np.ones(n)
    if trade not in (Trade.SHOP, Trade.COLD_STORE, Trade.IDLE, Trade.DEAD):
        for begin in np.flatnonzero(rng.random(n) < 0.8 / 365.0).tolist():
            works[begin : begin + int(rng.integers(3, 10))] *= rng.uniform(0.0, 0.5)
    return works


def _campaign(rng: np.random.Generator, dates: tuple[dt.date, ...]) -> Floats:
    opens, lasts = int(rng.integers(0, 365)), int(rng.integers(90, 220))
    works = np.full(len(dates), 0.01)
    for year in range(dates[0].year - 1, dates[-1].year + 1):
        first = dt.date(year, 1, 1) + dt.timedelta(days=opens + int(rng.integers(-12, 13)))
        last = first + dt.timedelta(days=lasts + int(rng.integers(-12, 13)))
        for k, date in enumerate(dates):
            if first <= date < last:
                works[k] = min((date - first).days / 10.0 + 0.2, 1.0)
    return works


def _orders(rng: np.random.Generator, n: int, sd: float) -> Floats:
    """Log order book: slow swings, and busy or slack stretches of two to six weeks."""
    log_level = _ar1(rng, n, sd, 0.96)
    for begin in np.flatnonzero(rng.random(n) < 1.2 / 365.0).tolist():
        lasts = int(rng.integers(14, 43))
        log_level[begin : begin + lasts] += rng.choice([rng.uniform(0.08, 0.25), -rng.uniform(0.08, 0.3)])
    return log_level


def _gaps(rng: np.random.Generator, energy: Floats, coverage: Floats) -> tuple[Floats, Floats]:
    n = len(energy)
    energy, coverage = energy.copy(), coverage.copy()
    lost = rng.random(n) < rng.uniform(0.0, 0.04)
    for begin in np.flatnonzero(rng.random(n) < 1.5 / 365.0).tolist():
        lost[begin : begin + int(rng.integers(2, 15))] = True
    partly = rng.random(n) < 0.02
    coverage[partly] = rng.uniform(0.3, 0.95, int(partly.sum()))
    energy[partly] *= coverage[partly]
    for k in np.flatnonzero(rng.random(n) < 0.5 / 365.0).tolist():
        energy[k] = rng.choice([-3.0 * energy[k], 8.0 * energy[k], 0.0])
    energy[lost], coverage[lost] = np.nan, 0.0
    return energy, coverage
