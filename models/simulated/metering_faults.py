"""Metering faults, laid over readings that were right: gaps, repeats, contradictions, stuck values, late arrival."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.simulated.shapes import Rng, lognormal
from models.simulated.spec import FaultKind, SiteSpec

_NO_ARRIVALS: Final = np.zeros(0, dtype=np.int64)
_HOUR_MS: Final = 3_600_000


@dataclass(frozen=True, slots=True)
class Stream:
    """Readings of one meter in event order, primary values; `arrival_ms` is filled in by `apply_faults`."""

    ts_ms: NDArray[np.int64]
    p_kw: NDArray[np.float64]
    q_kvar: NDArray[np.float64]
    e_imp_kwh: NDArray[np.float64]
    arrival_ms: NDArray[np.int64] = field(default_factory=lambda: _NO_ARRIVALS)

    def take(self, index: NDArray[np.intp] | NDArray[np.bool_]) -> Stream:
        """The readings an index or a mask selects."""
        arrival_ms = self.arrival_ms[index] if len(self.arrival_ms) else self.arrival_ms
        return Stream(self.ts_ms[index], self.p_kw[index], self.q_kvar[index], self.e_imp_kwh[index], arrival_ms)


def apply_faults(spec: SiteSpec, right: Stream, rng: Rng) -> Stream:
    """Readings as they arrive, unsorted: the meter's own faults, then the common ones, then delays and repeats."""
    readings = right
    for kind in spec.meter.faults:
        own = _OWN_FAULTS.get(kind)
        if own is not None:
            readings = own(readings, rng)
    readings = _stick(readings, rng)
    readings = _drop_channels(readings, rng)
    readings = _lose(readings, rng)
    readings = replace(readings, arrival_ms=_arrivals_ms(readings.ts_ms, spec.meter.interval_s, rng))
    return _repeat(readings, rng)


def _change_ratio(readings: Stream, rng: Rng) -> Stream:
    """From some moment on the wire is off by a factor, and the register moves at the wrong speed."""
    at, factor = _moment(readings, rng), float(rng.choice([0.5, 2.0]))
    p_kw, q_kvar, e_imp_kwh = readings.p_kw.copy(), readings.q_kvar.copy(), readings.e_imp_kwh.copy()
    p_kw[at:] *= factor
    q_kvar[at:] *= factor
    e_imp_kwh[at:] = e_imp_kwh[at] + factor * (e_imp_kwh[at:] - e_imp_kwh[at])
    return replace(readings, p_kw=p_kw, q_kvar=q_kvar, e_imp_kwh=e_imp_kwh)


def _replace_meter(readings: Stream, rng: Rng) -> Stream:
    """A new meter counts from nearly nothing."""
    at = _moment(readings, rng)
    e_imp_kwh = readings.e_imp_kwh.copy()
    e_imp_kwh[at:] -= e_imp_kwh[at] - rng.uniform(0.0, 1.0)
    return replace(readings, e_imp_kwh=e_imp_kwh)


def _die(readings: Stream, rng: Rng) -> Stream:
    """Nothing after some moment."""
    return readings.take(np.arange(_moment(readings, rng)))


_OWN_FAULTS: Final[dict[FaultKind, Callable[[Stream, Rng], Stream]]] = {
    FaultKind.RATIO_CHANGED: _change_ratio,
    FaultKind.REPLACED: _replace_meter,
    FaultKind.DEAD: _die,
}


def _moment(readings: Stream, rng: Rng) -> int:
    return int(len(readings.ts_ms) * rng.uniform(0.3, 0.7))


def _days(readings: Stream) -> float:
    return float(readings.ts_ms[-1] - readings.ts_ms[0]) / (24.0 * _HOUR_MS) if len(readings.ts_ms) else 0.0


def _stick(readings: Stream, rng: Rng) -> Stream:
    """Values freeze for hours; afterwards the register catches up in one jump, so that energy is kept."""
    p_kw, q_kvar, e_imp_kwh = readings.p_kw.copy(), readings.q_kvar.copy(), readings.e_imp_kwh.copy()
    for _ in range(int(rng.poisson(0.15 * _days(readings) / 30.0))):
        first = int(rng.integers(0, len(p_kw)))
        length_ms = lognormal(rng, 3.0, 0.7) * _HOUR_MS
        last = int(np.searchsorted(readings.ts_ms, readings.ts_ms[first] + length_ms))
        for values in (p_kw, q_kvar, e_imp_kwh):
            values[first:last] = values[first]
    return replace(readings, p_kw=p_kw, q_kvar=q_kvar, e_imp_kwh=e_imp_kwh)


def _drop_channels(readings: Stream, rng: Rng) -> Stream:
    """Now and then one value of a reading is absent."""
    p_kw, q_kvar, e_imp_kwh = readings.p_kw.copy(), readings.q_kvar.copy(), readings.e_imp_kwh.copy()
    for values in (p_kw, q_kvar, e_imp_kwh):
        values[rng.random(len(values)) < 0.001] = np.nan
    return replace(readings, p_kw=p_kw, q_kvar=q_kvar, e_imp_kwh=e_imp_kwh)


def _lose(readings: Stream, rng: Rng) -> Stream:
    """Points lost for good: short bad spells, and seldom a whole day. An empty reading is not sent either."""
    n = len(readings.ts_ms)
    kept = ~(np.isnan(readings.p_kw) & np.isnan(readings.q_kvar) & np.isnan(readings.e_imp_kwh))
    for first in np.flatnonzero(rng.random(n) < 0.002).tolist():
        length = int(rng.geometric(0.12))
        kept[first : first + length] &= rng.random(len(kept[first : first + length])) > 0.9
    for _ in range(int(rng.poisson(0.3 * _days(readings) / 30.0))):
        begin_ms = readings.ts_ms[int(rng.integers(0, n))]
        kept &= (readings.ts_ms < begin_ms) | (readings.ts_ms >= begin_ms + 24 * _HOUR_MS)
    return readings.take(kept)


def _arrivals_ms(ts_ms: NDArray[np.int64], interval_s: int, rng: Rng) -> NDArray[np.int64]:
    """Arrival: minutes after the tick; in an outage everything waits for its end and comes in one back-fill."""
    n = len(ts_ms)
    median_s, longest_s = (180.0, 2400.0) if interval_s >= 300 else (20.0, 300.0)
    delay_s = np.clip(median_s * np.exp(0.8 * rng.standard_normal(n)), 2.0, longest_s)
    arrival_ms = ts_ms + np.round(delay_s * 1000.0).astype(np.int64)
    if n == 0:
        return arrival_ms
    hours = float(ts_ms[-1] - ts_ms[0]) / _HOUR_MS
    for _ in range(int(rng.poisson(0.03 * hours / 6.0))):
        begin_ms = int(ts_ms[0]) + round(rng.uniform(0.0, hours) * _HOUR_MS)
        end_ms = begin_ms + round(min(max(lognormal(rng, 4.0, 0.8), 1.0), 36.0) * _HOUR_MS)
        waiting = (ts_ms >= begin_ms) & (ts_ms < end_ms)
        arrival_ms[waiting] = end_ms + rng.integers(0, 600_000, int(waiting.sum()))
    return arrival_ms


def _repeat(readings: Stream, rng: Rng) -> Stream:
    """Some readings come twice, a few of them with another value (a re-read)."""
    n = len(readings.ts_ms)
    same = np.flatnonzero(rng.random(n) < 0.004)
    changed = np.flatnonzero(rng.random(n) < 0.001)
    again = readings.take(same)
    other = readings.take(changed)
    scale = 1.0 + rng.choice([-1.0, 1.0], len(changed)) * rng.uniform(0.01, 0.2, len(changed))
    other = replace(other, p_kw=other.p_kw * scale, q_kvar=other.q_kvar * scale)
    later = [part.arrival_ms + rng.integers(30_000, 7_200_000, len(part.arrival_ms)) for part in (again, other)]
    return Stream(
        np.concatenate((readings.ts_ms, again.ts_ms, other.ts_ms)),
        np.concatenate((readings.p_kw, again.p_kw, other.p_kw)),
        np.concatenate((readings.q_kvar, again.q_kvar, other.q_kvar)),
        np.concatenate((readings.e_imp_kwh, again.e_imp_kwh, other.e_imp_kwh)),
        np.concatenate((readings.arrival_ms, *later)),
    )
