"""What the meters make of the truth: snapshots and registers at the tick, quantised, some of them wrong or late."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.simulated.metering_faults import Stream, apply_faults
from models.simulated.seeding import stream
from models.simulated.site import SiteLoad
from models.simulated.spec import FaultKind, SiteSpec
from models.simulated.timeline import MINUTE_MS, Timeline

REGISTER_DIGITS_KWH: Final = 1_000_000.0
"""A register of 6.2 digits wraps here, before the ratio."""

_GAIN_SD: Final = 0.003
_NO_LOAD_KW: Final = 1e-6


@dataclass(frozen=True, slots=True)
class SiteReadings:
    """Readings of one meter in arrival order, n of them; NaN where a reading lacks the channel."""

    ts_ms: NDArray[np.int64]
    arrival_ms: NDArray[np.int64]
    p_kw: NDArray[np.float64]
    q_kvar: NDArray[np.float64]
    e_imp_kwh: NDArray[np.float64]


def read_meter(spec: SiteSpec, load: SiteLoad, time: Timeline, from_minute: int, seed: int) -> SiteReadings:
    """All readings whose interval ends after `from_minute` of the timeline."""
    meter = spec.meter
    rng = stream(seed, "site", spec.number, "meter")
    step = meter.interval_s // 60
    ends = np.arange(from_minute + step, time.n + 1, step, dtype=np.int64)
    right = sample(load, time, ends, _clock_offset_s(spec, rng), rng)
    gain = 1.0 + _GAIN_SD * rng.standard_normal()
    e_imp_kwh = gain * right.e_imp_kwh
    seen = Stream(
        ts_ms=right.ts_ms + (rng.integers(1, 10, len(ends)) * 1000 if FaultKind.OFF_TICK in meter.faults else 0),
        p_kw=gain * right.p_kw,
        q_kvar=gain * right.q_kvar if meter.measures_q else np.full(len(ends), np.nan),
        e_imp_kwh=e_imp_kwh + _first_register_kwh(spec, e_imp_kwh, rng),
    )
    return _on_the_wire(spec, apply_faults(spec, seen, rng))


def sample(
    load: SiteLoad, time: Timeline, ends: NDArray[np.int64], offset_s: float, rng: np.random.Generator
) -> Stream:
    """A perfect meter whose clock is `offset_s` late, read at the minutes `ends` of the timeline.

    P and Q are those of the last second, the register is the import since the timeline's first minute.
    """
    at = np.clip(np.ceil(ends + offset_s / 60.0).astype(np.int64) - 1, 0, time.n - 1)
    mean_kw = load.p_kw[at]
    p_kw = mean_kw + load.snapshot_sd_kw[at] * rng.standard_normal(len(ends))
    swing = np.divide(p_kw, mean_kw, out=np.ones(len(ends)), where=np.abs(mean_kw) > _NO_LOAD_KW)
    energy_kwh = np.concatenate(([0.0], np.cumsum(np.maximum(load.p_kw, 0.0)))) / 60.0
    return Stream(
        ts_ms=time.start_ms + ends * MINUTE_MS,
        p_kw=p_kw,
        q_kvar=load.q_kvar[at] * np.clip(swing, 0.5, 1.5),
        e_imp_kwh=np.interp(ends + offset_s / 60.0, np.arange(time.n + 1.0), energy_kwh),
    )


def _clock_offset_s(spec: SiteSpec, rng: np.random.Generator) -> float:
    """How far the meter's clock is off: a few seconds, seldom minutes, and the wait before the sample is taken."""
    offset_s = min(4.0 * float(np.exp(1.2 * rng.standard_normal())), 60.0) * rng.choice([-1.0, 1.0])
    if rng.random() < 0.02:
        offset_s = rng.uniform(120.0, 240.0) * rng.choice([-1.0, 1.0])
    if rng.random() < 0.05:
        offset_s += rng.uniform(0.0, 120.0)
    return float(max(offset_s, -60.0)) if spec.meter.interval_s == 60 else float(offset_s)


def _first_register_kwh(spec: SiteSpec, energy_kwh: NDArray[np.float64], rng: np.random.Generator) -> float:
    """The register's value at the start; one that shall roll over passes its last digit in the span."""
    wrap_kwh = REGISTER_DIGITS_KWH * spec.meter.ratio
    grows_kwh = float(energy_kwh[-1] - energy_kwh[0]) if len(energy_kwh) else 0.0
    if FaultKind.ROLLOVER in spec.meter.faults:
        return wrap_kwh - rng.uniform(0.3, 0.7) * grows_kwh
    return float(rng.uniform(0.001, 0.6)) * max(wrap_kwh - grows_kwh, 0.0)


def _on_the_wire(spec: SiteSpec, raw: Stream) -> SiteReadings:
    """Quantised as the meter counts, wrapped, multiplied out where the publisher does that, in arrival order."""
    meter = spec.meter
    factor = meter.ratio if meter.ratio_applied else 1.0
    order = np.argsort(raw.arrival_ms, kind="stable")
    register = np.mod(np.round(raw.e_imp_kwh[order] / meter.ratio, meter.decimals), REGISTER_DIGITS_KWH)
    return SiteReadings(
        ts_ms=raw.ts_ms[order],
        arrival_ms=raw.arrival_ms[order],
        p_kw=_quantised(raw.p_kw[order] / meter.ratio, factor),
        q_kvar=_quantised(raw.q_kvar[order] / meter.ratio, factor),
        e_imp_kwh=np.round(register * factor, 4),
    )


def _quantised(secondary: NDArray[np.float64], factor: float) -> NDArray[np.float64]:
    """Four decimals before the ratio; 0.0, not -0.0."""
    return np.round(np.round(secondary, 4) * factor, 4) + 0.0
