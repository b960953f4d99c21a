"""A meter's own past, night by night, made comparable: what can be used, its week, its usual level and restlessness."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.domain.holidays import DayFacts

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

LEAST_COVERAGE: Final = 0.8
"""Share of a night that must be known for its energy to count."""
WEEK_NIGHTS: Final = 120
"""Nights from which the shape of the week is learned."""
REST_LEVEL: Final = 0.75
"""Energy of a weekday, relative to the week's median, below which it is a day of rest for this meter."""
_LOWEST: Final = 0.02
"""Nights are told apart down to this share of a high night; everything below is equally idle."""


@dataclass(frozen=True, slots=True)
class NightRows:
    """Nightly columns (..., k) of consecutive nights, oldest first: energy in kWh, share of it in valley hours,
    95 % quantile of power in kW, share of the night that is known. NaN where nothing is known."""

    energy_kwh: Floats
    valley_share: Floats
    peak_kw: Floats
    coverage: Floats

    def of(self, meter: int) -> NightRows:
        """The columns (k,) of one meter."""
        return NightRows(
            self.energy_kwh[meter], self.valley_share[meter], self.peak_kw[meter], self.coverage[meter]
        )  # fmt: skip

    def until(self, end: int) -> NightRows:
        """The columns up to a night, as a slice's end."""
        return NightRows(
            self.energy_kwh[..., :end], self.valley_share[..., :end], self.peak_kw[..., :end], self.coverage[..., :end]
        )

    def usable_kwh(self) -> Floats:
        """Energy of whole nights: scaled up from at least `LEAST_COVERAGE`, NaN elsewhere and where negative."""
        known = (self.coverage >= LEAST_COVERAGE) & (self.energy_kwh >= 0.0)
        return np.where(known, self.energy_kwh / np.where(known, self.coverage, 1.0), np.nan)


@dataclass(frozen=True, slots=True)
class OwnPast:
    """One meter's comparable nights, oldest first.

    All arrays (k,): `energy_kwh` NaN where unusable; `log_level` its log, freed of the weekday; `plain` usable nights
    that are neither special nor low nights of the festival weeks; `at_work` those of them on the meter's working
    weekdays; `censored` the low festival nights on such weekdays; `rest` usable nights on its weekdays of rest, special
    ones apart. `week` (7,) is the log of each weekday relative to the week's median, Monday first.
    """

    days: DayFacts
    energy_kwh: Floats
    valley_share: Floats
    peak_kw: Floats
    log_level: Floats
    plain: Bools
    at_work: Bools
    censored: Bools
    rest: Bools
    week: Floats


def own_past(rows: NightRows, days: DayFacts, *, settled: int) -> OwnPast | None:
    """Make the nights (k,) of one meter comparable; None where no night has any load.

    The week is learned from nights before the last `settled` ones, so that a new habit does not hide itself. In the
    festival weeks a low night says nothing and is left out; a night at or above the usual level counts.
    """
    energy_kwh = rows.usable_kwh()
    known = np.isfinite(energy_kwh)
    loaded = energy_kwh[known & (energy_kwh > 0.0)]
    if loaded.size == 0:
        return None
    high = float(np.quantile(loaded, 0.9))
    log_energy = np.log(np.maximum(np.where(known, energy_kwh, np.nan), _LOWEST * high))
    usual = known & ~days.special
    quiet = usual & ~days.festival
    until = max(len(energy_kwh) - settled, 0)
    since = max(until - WEEK_NIGHTS, 0)
    week = _week(log_energy[since:until], days.weekday[since:until], quiet[since:until])
    log_level = log_energy - week[days.weekday]
    if bool(days.festival.any()) and bool(quiet.any()):
        level = middle(log_level[quiet][-WEEK_NIGHTS:])
        plain = usual & (~days.festival | (log_level >= level))
    else:
        plain = quiet
    resting = (week < np.log(REST_LEVEL))[days.weekday]
    return OwnPast(
        days=days,
        energy_kwh=energy_kwh,
        valley_share=rows.valley_share,
        peak_kw=rows.peak_kw,
        log_level=log_level,
        plain=plain,
        at_work=plain & ~resting,
        censored=usual & ~plain & ~resting,
        rest=usual & resting,
        week=week,
    )


def _week(log_energy: Floats, weekday: NDArray[np.int64], use: Bools) -> Floats:
    """Median of each weekday's distance from the median of the seven nights around it; 0 below three samples."""
    week = np.zeros(7)
    if int(use.sum()) < 14:
        return week
    values = np.where(use, log_energy, np.nan)
    padded = np.concatenate([np.full(3, np.nan), values, np.full(3, np.nan)])
    around = nan_median(np.lib.stride_tricks.sliding_window_view(padded, 7))
    distance = values - around
    for day in range(7):
        mine = distance[(weekday == day) & np.isfinite(distance)]
        if mine.size >= 3:
            week[day] = middle(mine)
    return week


def middle(values: Floats) -> float:
    """Median of a short array without NaN, cheaply; it must not be empty."""
    ordered = np.sort(values)
    count = len(ordered)
    return float(0.5 * (ordered[(count - 1) // 2] + ordered[count // 2]))


def nan_median(values: Floats) -> Floats:
    """Median over the last axis without NaN; NaN where nothing is known. (..., k) -> (...)."""
    ordered = np.sort(values, axis=-1)
    count = np.isfinite(ordered).sum(axis=-1)
    low = np.take_along_axis(ordered, np.maximum((count - 1) // 2, 0)[..., None], axis=-1)[..., 0]
    high = np.take_along_axis(ordered, np.minimum(count // 2, values.shape[-1] - 1)[..., None], axis=-1)[..., 0]
    return np.where(count > 0, 0.5 * (low + high), np.nan)


def rolling_median(values: Floats, width: int) -> Floats:
    """Median of each stretch of `width` values; (k,) -> (k - width + 1,), empty where k < width."""
    if len(values) < width:
        return np.zeros(0)
    return np.asarray(np.median(np.lib.stride_tricks.sliding_window_view(values, width), axis=-1))
