"""Own pasts of many meters, night by night, made comparable: what can be used, the week, the usual level.

Every function works on rows of meters, one a meter, and what it says of a meter never depends on the others: medians
come from sorted rows, sums run over rows of one width.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.domain.holidays import DayFacts

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Places = NDArray[np.intp]

LEAST_COVERAGE: Final = 0.8
"""Share of a night that must be known for its energy to count."""
WEEK_NIGHTS: Final = 120
"""Nights from which the shape of the week is learned."""
REST_LEVEL: Final = 0.75
"""Energy of a weekday, relative to the week's median, below which it is a day of rest for this meter."""
_LOWEST: Final = 0.02
"""Nights are told apart down to this share of a high night; everything below is equally idle."""
_FEWEST_WEEK: Final = 14


@dataclass(frozen=True, slots=True)
class NightRows:
    """Nightly columns (n, k) of consecutive nights, oldest first: energy in kWh, share of it in valley hours,
    95 % quantile of power in kW, share of the night that is known. NaN where nothing is known."""

    energy_kwh: Floats
    valley_share: Floats
    peak_kw: Floats
    coverage: Floats

    def of(self, meters: Places) -> NightRows:
        """The columns of some meters."""
        return NightRows(
            self.energy_kwh[meters], self.valley_share[meters], self.peak_kw[meters], self.coverage[meters]
        )  # fmt: skip

    def until(self, end: int) -> NightRows:
        """The columns up to a night, as a slice's end."""
        return NightRows(
            self.energy_kwh[:, :end], self.valley_share[:, :end], self.peak_kw[:, :end], self.coverage[:, :end]
        )

    def usable_kwh(self) -> Floats:
        """Energy of whole nights: scaled up from at least `LEAST_COVERAGE`, NaN elsewhere and where negative."""
        known = (self.coverage >= LEAST_COVERAGE) & (self.energy_kwh >= 0.0)
        return np.where(known, self.energy_kwh / np.where(known, self.coverage, 1.0), np.nan)


@dataclass(frozen=True, slots=True)
class OwnPast:
    """Comparable nights of n meters, oldest first.

    All arrays (n, k): `energy_kwh` NaN where unusable; `log_level` its log, freed of the weekday; `plain` usable nights
    that are neither special nor low nights of the festival weeks; `at_work` those of them on the meter's working
    weekdays; `censored` the low festival nights on such weekdays; `rest` usable nights on its weekdays of rest, special
    ones apart. `week` (n, 7) is the log of each weekday relative to the week's median, Monday first. `days` (k,).
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

    def of(self, meters: Places) -> OwnPast:
        """The pasts of some meters."""
        return OwnPast(
            self.days, self.energy_kwh[meters], self.valley_share[meters], self.peak_kw[meters],
            self.log_level[meters], self.plain[meters], self.at_work[meters], self.censored[meters],
            self.rest[meters], self.week[meters],
        )  # fmt: skip


def own_past(rows: NightRows, days: DayFacts, *, settled: int) -> OwnPast:
    """Make the nights (n, k) of each meter comparable; a meter without any load has no night `at_work` nor at `rest`.

    The week is learned from nights before the last `settled` ones, so that a new habit does not hide itself. In the
    festival weeks a low night says nothing and is left out; a night at or above the usual level counts.
    """
    energy_kwh = rows.usable_kwh()
    high = nan_quantile(np.where(energy_kwh > 0.0, energy_kwh, np.nan), 0.9)
    known = np.isfinite(energy_kwh) & np.isfinite(high)[:, None]
    with np.errstate(invalid="ignore"):
        log_energy = np.log(np.maximum(np.where(known, energy_kwh, np.nan), _LOWEST * high[:, None]))
    usual = known & ~days.special
    quiet = usual & ~days.festival
    until = max(energy_kwh.shape[1] - settled, 0)
    since = max(until - WEEK_NIGHTS, 0)
    week = _week(log_energy[:, since:until], days.weekday[since:until], quiet[:, since:until])
    log_level = log_energy - week[:, days.weekday]
    plain = quiet
    if bool(days.festival.any()):
        level = nan_median(packed(log_level, quiet)[:, -WEEK_NIGHTS:])[:, None]
        plain = np.where(np.isfinite(level), usual & (~days.festival | (log_level >= level)), quiet)
    resting = (week < np.log(REST_LEVEL))[:, days.weekday]
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
    n, k = log_energy.shape
    week = np.zeros((n, 7))
    values = np.where(use, log_energy, np.nan)
    padded = np.full((n, k + 6), np.nan)
    padded[:, 3 : k + 3] = values
    distance = values - nan_median(np.lib.stride_tricks.sliding_window_view(padded, 7, axis=1))
    enough = use.sum(axis=1) >= _FEWEST_WEEK
    for day in range(7):
        mine = distance[:, weekday == day]
        some = enough & (np.isfinite(mine).sum(axis=1) >= 3)
        week[some, day] = nan_median(mine[some])
    return week


def packed(values: Floats, use: Bools, width: int | None = None) -> Floats:
    """The values in use moved to the right end of each row, in order, NaN before them; (n, k) -> (n, width or k)."""
    n, k = values.shape
    width = k if width is None else width
    place = use.cumsum(axis=1)
    place += width - place[:, -1:] - 1
    rows, columns = np.nonzero(use & (place >= 0))
    ordered = np.full((n, width), np.nan)
    ordered[rows, place[rows, columns]] = values[rows, columns]
    return ordered


def nan_median(values: Floats) -> Floats:
    """Median over the last axis without NaN; NaN where nothing is known. (..., k) -> (...)."""
    ordered, count = _ordered(values)
    row, last = np.arange(len(ordered)), np.maximum(count - 1, 0)
    low, high = ordered[row, last // 2], ordered[row, (last + 1) // 2]
    return np.asarray((0.5 * (low + high)).reshape(values.shape[:-1]))


def nan_quantile(values: Floats, share: float) -> Floats:
    """Quantile (between neighbours in proportion) over the last axis without NaN; NaN where nothing is known."""
    ordered, count = _ordered(values)
    row, last = np.arange(len(ordered)), np.maximum(count - 1, 0)
    at = share * last
    below = at.astype(np.intp)
    low, high = ordered[row, below], ordered[row, np.minimum(below + 1, last)]
    return np.asarray((low + (at - below) * (high - low)).reshape(values.shape[:-1]))


def _ordered(values: Floats) -> tuple[Floats, NDArray[np.intp]]:
    """Rows (r, k) of the last axis, sorted with NaN at their ends, and how many values of each are known."""
    width = values.shape[-1]
    if width == 0:
        rows = math.prod(values.shape[:-1])
        return np.full((rows, 1), np.nan), np.zeros(rows, dtype=np.intp)
    ordered = np.sort(values, axis=-1).reshape(-1, width)
    return ordered, np.asarray(np.count_nonzero(ordered < np.inf, axis=-1))


def rolling_median(values: Floats, width: int) -> Floats:
    """Median of each stretch of `width` values, NaN where one of them is; (n, k) -> (n, k - width + 1)."""
    if values.shape[1] < width:
        return np.zeros((len(values), 0))
    ordered = np.sort(np.lib.stride_tricks.sliding_window_view(values, width, axis=1), axis=-1)
    middle = 0.5 * (ordered[:, :, (width - 1) // 2] + ordered[:, :, width // 2])
    return np.where(np.isfinite(ordered[:, :, -1]), middle, np.nan)
