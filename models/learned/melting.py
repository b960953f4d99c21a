"""The transparent score of batch induction melting: nightly features pooled over a week, judged by named sub-scores.

Physics (reference: furnace signatures §1, §3-5): a crucible is filled, melted and tapped; the load returns every 35 to
150 minutes, each time with the same energy, on a flat top, with pauses that instants hit and averages hide. Each
sub-score asks for one of these, none leans on the hour of day, and the score multiplies what must hold together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.learned.features import ACF_NAMES

Floats = NDArray[np.float64]
Rows = Mapping[str, NDArray[np.float32]]

FIRST_PERIOD_LAG: Final = 3
LAST_PERIOD_LAG: Final = 10
LEVEL_SHARE: Final = 0.5
"""Nights whose p95 is below this share of the week's highest show other loads than the one in question."""
KWH_PER_TONNE: Final = 600.0
KWH_PER_TONNE_RANGE: Final = (550.0, 680.0)


@dataclass(frozen=True, slots=True)
class MeltEvidence:
    """Pooled measurements and sub-scores of n meters, (n,) each; NaN where nothing was measured.

    `score` in [0, 1]; `nights` counts nights with a rhythm to judge, `hours` their block hours.
    """

    score: Floats
    quarter_score: Floats
    heat_score: Floats
    rhythm: Floats
    quantum: Floats
    tempo: Floats
    depth: Floats
    filling: Floats
    flat_top: Floats
    instants: Floats
    circle: Floats
    nights: Floats
    hours: Floats
    filled: Floats
    rim_spread: Floats
    top_share: Floats
    crest: Floats
    acf_peak: Floats
    acf_trough: Floats
    period_min: Floats
    dips_per_hour: Floats
    cycle_count: Floats
    cycle_kwh: Floats
    cycle_kwh_spread: Floats
    cycle_minutes_spread: Floats
    dip_depth: Floats
    snapshot_rms: Floats
    circle_nats: Floats
    q_top_slope: Floats
    circle_pm_kw: Floats
    heats: Floats
    heat_minutes: Floats
    heat_kwh: Floats
    heat_kwh_cv: Floats
    heat_period_min: Floats
    heat_period_spread: Floats
    gap_minutes: Floats
    plateau_cv: Floats


def ramp(values: Floats, low: float, high: float) -> Floats:
    """0 up to `low`, 1 from `high`, straight between; NaN gives 0. A `high` below `low` falls instead."""
    return np.nan_to_num(np.clip((values - low) / (high - low), 0.0, 1.0))


def weigh_evidence(past: Rows) -> MeltEvidence:
    """Pool nightly rows (n, k) of the features into evidence for n meters."""
    night = {name: np.asarray(values, dtype=np.float64) for name, values in past.items()}
    hours = np.where(np.isfinite(night[ACF_NAMES[0]]), night["block_hours"], 0.0)
    level_kw = night["power_p95_kw"]
    highest_kw = np.fmax.reduce(level_kw, axis=1, initial=0.0)[:, None]
    hours = np.where(level_kw >= LEVEL_SHARE * highest_kw, np.nan_to_num(hours), 0.0)
    acf = np.stack([_mean(night[name], hours) for name in ACF_NAMES])
    peak, trough, period = _acf_peak(acf)
    cycles = np.where(hours > 0.0, np.nan_to_num(night["cycle_count"]), 0.0)
    total_hours = hours.sum(axis=1)
    cycle_count = cycles.sum(axis=1)
    dips = np.where(hours > 0.0, np.nan_to_num(night["dip_count"]), 0.0).sum(axis=1)
    dips_per_hour = np.where(total_hours > 0.0, dips / np.maximum(total_hours, 1e-9), np.nan)
    cycle_kwh = _mean(night["cycle_kwh"], cycles)
    kwh_spread = _mean(night["cycle_kwh_spread"], cycles)
    minutes_spread = _mean(night["cycle_minutes_spread"], cycles)
    dip_depth = _mean(night["dip_depth"], cycles)
    snapshot = _mean(night["snapshot_rms"], hours)
    nats = np.nan_to_num(np.clip(night["circle_nats"], -10.0, 10.0) * (hours > 0.0)).sum(axis=1)
    heats = np.nan_to_num(night["heat_count"])
    heat_kwh_cv = _mean(night["heat_kwh_cv"], heats)
    heat_period_spread = _mean(night["heat_period_spread"], heats)
    heat_minutes = _mean(night["heat_minutes_median"], heats)
    gap_minutes = _mean(night["gap_minutes_median"], heats)
    plateau_cv = _mean(night["plateau_cv"], heats)
    cycle_hours = (np.nan_to_num(night["cycle_minutes"]) * cycles).sum(axis=1) / 60.0
    filled = np.where(total_hours > 0.0, cycle_hours / np.maximum(total_hours, 1e-9), np.nan)
    rim_spread = _mean(night["dip_rim_spread"], cycles)
    top_share = _mean(night["top_share"], hours)
    crest = _mean(_ratio(night["power_max_kw"], level_kw), hours)
    rhythm = np.sqrt(ramp(peak, 0.10, 0.45) * ramp(peak - trough, 0.40, 1.00))
    several = ramp(cycle_count, 4.0, 10.0)
    quantum = ramp(kwh_spread, 0.40, 0.12) * several
    tempo = ramp(minutes_spread, 0.30, 0.10) * several
    depth = ramp(dip_depth, 0.12, 0.45)
    filling = ramp(filled, 0.22, 0.45)
    repeats = np.where(np.isfinite(rim_spread), ramp(rim_spread, 0.09, 0.03), 1.0)
    no_peaks = ramp(crest, 1.38, 1.15)
    flat_top = np.minimum(repeats, ramp(top_share, 0.25, 0.45)) * no_peaks
    instants = ramp(snapshot, 0.05, 0.20)
    q_top_slope = _mean(night["q_top_slope"], hours)
    circle = ramp(q_top_slope, 0.10, -0.20)
    regularity = np.maximum(quantum, tempo)
    quarter_score = rhythm * depth * filling * flat_top * (0.2 + 0.8 * regularity)
    regular = ramp(heat_kwh_cv, 0.30, 0.12) * ramp(heat_period_spread, 0.35, 0.15)
    heat_count = heats.sum(axis=1)
    heats_a_night = heat_count / np.maximum((heats > 0.0).sum(axis=1), 1)
    heat_score = (
        regular
        * ramp(heat_count, 3.0, 8.0)
        * ramp(heats_a_night, 1.2, 2.5)
        * no_peaks
        * ramp(top_share, 0.15, 0.35)
        * ramp(heat_minutes, 22.0, 32.0)
        * ramp(gap_minutes, 50.0, 35.0)
        * ramp(plateau_cv, 0.20, 0.10)
    )
    return MeltEvidence(
        score=np.maximum(quarter_score, heat_score),
        quarter_score=quarter_score,
        heat_score=heat_score,
        rhythm=rhythm,
        quantum=quantum,
        tempo=tempo,
        depth=depth,
        filling=filling,
        flat_top=flat_top,
        instants=instants,
        circle=circle,
        nights=(hours > 0.0).sum(axis=1).astype(np.float64),
        hours=total_hours,
        filled=filled,
        rim_spread=rim_spread,
        top_share=top_share,
        crest=crest,
        acf_peak=peak,
        acf_trough=trough,
        period_min=period,
        dips_per_hour=dips_per_hour,
        cycle_count=cycle_count,
        cycle_kwh=cycle_kwh,
        cycle_kwh_spread=kwh_spread,
        cycle_minutes_spread=minutes_spread,
        dip_depth=dip_depth,
        snapshot_rms=snapshot,
        circle_nats=nats,
        q_top_slope=q_top_slope,
        circle_pm_kw=_mean(night["circle_pm_kw"], hours),
        heats=heat_count,
        heat_minutes=heat_minutes,
        heat_kwh=_mean(night["heat_kwh_median"], heats),
        heat_kwh_cv=heat_kwh_cv,
        heat_period_min=_mean(night["heat_period_min"], heats),
        heat_period_spread=heat_period_spread,
        gap_minutes=gap_minutes,
        plateau_cv=plateau_cv,
    )


def _mean(values: Floats, weights: Floats) -> Floats:
    """Weighted mean over nights of what is known; NaN where nothing is."""
    weights = np.where(np.isfinite(values), weights, 0.0)
    total = weights.sum(axis=1)
    summed = np.where(weights > 0.0, values, 0.0) * weights
    return np.where(total > 0.0, summed.sum(axis=1) / np.where(total > 0.0, total, 1.0), np.nan)


def _ratio(top: Floats, bottom: Floats) -> Floats:
    return np.where(bottom > 0.0, top / np.where(bottom > 0.0, bottom, 1.0), np.nan)


def _acf_peak(acf: Floats) -> tuple[Floats, Floats, Floats]:
    """Height of the highest local maximum at 45 to 150 minutes, the trough before it, and its lag in minutes."""
    best = np.full(acf.shape[1], -np.inf)
    best_lag = np.full(acf.shape[1], np.nan)
    best_trough = np.full(acf.shape[1], np.nan)
    for lag in range(FIRST_PERIOD_LAG, LAST_PERIOD_LAG + 1):
        before, here, after = acf[lag - 2], acf[lag - 1], acf[lag]
        curvature = before - 2.0 * here + after
        bent = curvature < 0.0
        offset = np.where(bent, 0.5 * (before - after) / np.where(bent, curvature, 1.0), 0.0)
        height = here - 0.25 * (before - after) * offset
        local = (here >= before) & (here >= after)
        trough = np.fmin.reduce(acf[: lag - 1], axis=0)
        better = local & (height > best)
        best = np.where(better, height, best)
        best_lag = np.where(better, lag + offset, best_lag)
        best_trough = np.where(better, trough, best_trough)
    found = np.isfinite(best_lag)
    return np.where(found, best, np.nan), np.where(found, best_trough, np.nan), 15.0 * best_lag
