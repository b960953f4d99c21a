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
FUNDAMENTAL_SHARE: Final = 0.6
MULTIPLE_TOLERANCE: Final = 0.08
LEVEL_SHARE: Final = 0.5
"""Nights whose p95 is below this share of the week's usual high level show other loads than the one in question."""
WRONG_LEVEL: Final = 3.0
"""A night this many times above the usual high level is metered wrongly."""
NATS_A_NIGHT: Final = 10.0
"""No single night may decide between circle and line."""
KWH_PER_TONNE: Final = 600.0
KWH_PER_TONNE_RANGE: Final = (550.0, 680.0)


@dataclass(frozen=True, slots=True)
class Pooled:
    """A week's measurements of n meters, (n,) each; NaN where nothing was measured.

    Means over the nights that show a rhythm at the week's usual level, weighted by block hours, cycles or heats.
    `nights` counts these nights and `hours` their block hours; the other names are those of the features.
    """

    nights: Floats
    hours: Floats
    acf_peak: Floats
    acf_trough: Floats
    period_min: Floats
    dips_per_hour: Floats
    dip_depth: Floats
    dip_rim_spread: Floats
    cycle_count: Floats
    cycle_minutes: Floats
    cycle_kwh: Floats
    cycle_kwh_spread: Floats
    cycle_minutes_spread: Floats
    filled: Floats
    top_share: Floats
    crest: Floats
    snapshot_rms: Floats
    circle_nats: Floats
    circle_pm_kw: Floats
    q_top_slope: Floats
    pf_high: Floats
    heat_count: Floats
    heats_a_night: Floats
    heat_minutes: Floats
    heat_kwh: Floats
    heat_kwh_cv: Floats
    heat_period_min: Floats
    heat_period_spread: Floats
    gap_minutes: Floats
    plateau_cv: Floats


@dataclass(frozen=True, slots=True)
class SubScores:
    """What the score is made of, (n,) each in [0, 1]; 0 where it could not be measured.

    rhythm    the load repeats: a peak of the pooled autocorrelation at 45 to 150 minutes, above the trough before it,
              and from dip to dip passes the time a heat takes at least; thermostats and tanks switch sooner, or lose
              the beat as weather and demand change
    depth     the dips are deep: tapping and recharging take nearly no power
    filling   cycles fill the working hours: decoys stop now and then, a furnace heats again at once
    flat_top  full power is the same each time, most of the time, and nothing stands far above it; or the load kept
              time and energy through so many cycles that another load on top of it may blur the level
    quantum   each cycle takes the same energy: the crucible is a measuring cup
    tempo     each cycle takes the same time: one crew, one furnace
    heats     the one-minute series shows heats of equal energy and period, flat inside, with short pauses
    instants  instants disagree with the means of their intervals: pauses within the quarter hour (not in the score)
    circle    Q falls as P rises in the upper half: a phase-controlled supply (not in the score)
    motor     Q rises with P on a straight line at a power factor no furnace supply has at full power: a pump or a
              compressor that switches (lowers the score; 0 where Q is not metered)
    """

    rhythm: Floats
    depth: Floats
    filling: Floats
    flat_top: Floats
    quantum: Floats
    tempo: Floats
    heats: Floats
    instants: Floats
    circle: Floats
    motor: Floats


@dataclass(frozen=True, slots=True)
class MeltEvidence:
    """Scores of n meters and what they rest on; `score` (n,) in [0, 1] is the larger of the other two.

    `quarter_score` = rhythm x depth x filling x flat_top x (0.2 + 0.8 x the better of quantum and tempo), from quarter
    hours; `heat_score` = the sub-score `heats`, from a one-minute series; both x (1 - motor). The circle and the
    instants only support: forging heaters have them too, so they are reasons and no part of the score.
    """

    score: Floats
    quarter_score: Floats
    heat_score: Floats
    parts: SubScores
    pooled: Pooled


def ramp(values: Floats, low: float, high: float) -> Floats:
    """0 up to `low`, 1 from `high`, straight between; NaN gives 0. A `high` below `low` falls instead."""
    return np.nan_to_num(np.clip((values - low) / (high - low), 0.0, 1.0))


def weigh_evidence(past: Rows) -> MeltEvidence:
    """Evidence for n meters from nightly rows (n, k) of the features."""
    pooled = pool_nights(past)
    parts = _sub_scores(pooled)
    regularity = np.maximum(parts.quantum, parts.tempo)
    no_motor = 1.0 - parts.motor
    quarter_score = parts.rhythm * parts.depth * parts.filling * parts.flat_top * (0.2 + 0.8 * regularity) * no_motor
    heat_score = parts.heats * no_motor
    return MeltEvidence(
        score=np.maximum(quarter_score, heat_score),
        quarter_score=quarter_score,
        heat_score=heat_score,
        parts=parts,
        pooled=pooled,
    )


def pool_nights(past: Rows) -> Pooled:
    """Pool nightly rows (n, k); a night counts by its block hours, its cycles or its heats."""
    night = {name: np.asarray(values, dtype=np.float64) for name, values in past.items()}
    level_kw = night["power_p95_kw"]
    judged = _usual_level(level_kw) & np.isfinite(night[ACF_NAMES[0]])
    hours = np.where(judged, np.nan_to_num(night["block_hours"]), 0.0)
    cycles = np.where(judged, np.nan_to_num(night["cycle_count"]), 0.0)
    heats = np.nan_to_num(night["heat_count"])
    total_hours, heat_count = hours.sum(axis=1), heats.sum(axis=1)
    dips = np.where(judged, np.nan_to_num(night["dip_count"]), 0.0).sum(axis=1)
    cycle_hours = (np.nan_to_num(night["cycle_minutes"]) * cycles).sum(axis=1) / 60.0
    peak, trough, period_min = _acf_peak(np.stack([_mean(night[name], hours) for name in ACF_NAMES]))
    nats = np.clip(night["circle_nats"], -NATS_A_NIGHT, NATS_A_NIGHT)
    return Pooled(
        nights=judged.sum(axis=1).astype(np.float64),
        hours=total_hours,
        acf_peak=peak,
        acf_trough=trough,
        period_min=period_min,
        dips_per_hour=_ratio(dips, total_hours),
        dip_depth=_mean(night["dip_depth"], cycles),
        dip_rim_spread=_mean(night["dip_rim_spread"], cycles),
        cycle_count=cycles.sum(axis=1),
        cycle_minutes=_mean(night["cycle_minutes"], cycles),
        cycle_kwh=_mean(night["cycle_kwh"], cycles),
        cycle_kwh_spread=_mean(night["cycle_kwh_spread"], cycles),
        cycle_minutes_spread=_mean(night["cycle_minutes_spread"], cycles),
        filled=_ratio(cycle_hours, total_hours),
        top_share=_mean(night["top_share"], hours),
        crest=_mean(_ratio(night["power_max_kw"], level_kw), hours),
        snapshot_rms=_mean(night["snapshot_rms"], hours),
        circle_nats=np.where(judged, np.nan_to_num(nats), 0.0).sum(axis=1),
        circle_pm_kw=_mean(night["circle_pm_kw"], hours),
        q_top_slope=_mean(night["q_top_slope"], hours),
        pf_high=_mean(night["pf_high"], hours),
        heat_count=heat_count,
        heats_a_night=_ratio(heat_count, (heats > 0.0).sum(axis=1).astype(np.float64)),
        heat_minutes=_mean(night["heat_minutes_median"], heats),
        heat_kwh=_mean(night["heat_kwh_median"], heats),
        heat_kwh_cv=_mean(night["heat_kwh_cv"], heats),
        heat_period_min=_mean(night["heat_period_min"], heats),
        heat_period_spread=_mean(night["heat_period_spread"], heats),
        gap_minutes=_mean(night["gap_minutes_median"], heats),
        plateau_cv=_mean(night["plateau_cv"], heats),
    )


def _sub_scores(week: Pooled) -> SubScores:
    several = ramp(week.cycle_count, 4.0, 10.0)
    repeats = np.where(np.isfinite(week.dip_rim_spread), ramp(week.dip_rim_spread, 0.09, 0.03), 1.0)
    no_peaks = ramp(week.crest, 1.38, 1.15)
    prominence = week.acf_peak - week.acf_trough
    repeating = np.sqrt(ramp(week.acf_peak, 0.25, 0.50) * ramp(prominence, 0.60, 1.00))
    long_enough = np.where(np.isfinite(week.cycle_minutes), ramp(week.cycle_minutes, 36.0, 44.0), 1.0)
    quantum = ramp(week.cycle_kwh_spread, 0.40, 0.12) * several
    tempo = ramp(week.cycle_minutes_spread, 0.30, 0.10) * several
    flat = np.minimum(repeats, ramp(week.top_share, 0.25, 0.45))
    clockwork = ramp(week.cycle_count, 40.0, 80.0) * np.minimum(quantum, tempo)
    rising = np.minimum(ramp(week.q_top_slope, 0.36, 0.46), ramp(week.pf_high, 0.94, 0.90))
    return SubScores(
        rhythm=repeating * long_enough,
        depth=ramp(week.dip_depth, 0.12, 0.45),
        filling=ramp(week.filled, 0.22, 0.45),
        flat_top=np.maximum(flat, clockwork) * no_peaks,
        quantum=quantum,
        tempo=tempo,
        heats=ramp(week.heat_kwh_cv, 0.30, 0.12)
        * ramp(week.heat_period_spread, 0.35, 0.15)
        * ramp(week.heat_count, 3.0, 8.0)
        * ramp(week.heats_a_night, 1.2, 2.5)
        * ramp(week.heat_minutes, 22.0, 32.0)
        * ramp(week.gap_minutes, 50.0, 35.0)
        * ramp(week.plateau_cv, 0.20, 0.10)
        * ramp(week.top_share, 0.15, 0.35)
        * no_peaks,
        instants=ramp(week.snapshot_rms, 0.05, 0.20),
        circle=ramp(week.q_top_slope, 0.10, -0.20),
        motor=rising * ramp(week.circle_nats, 0.0, -20.0),
    )


def _usual_level(level_kw: Floats) -> NDArray[np.bool_]:
    """Nights (n, k) at the week's usual high level: the second highest p95 where three nights are known."""
    known = np.isfinite(level_kw)
    ordered = np.sort(np.where(known, level_kw, 0.0), axis=1)
    highest = ordered[:, -1]
    three = (known.sum(axis=1) >= 3) & (level_kw.shape[1] >= 3)
    usual = np.where(three, ordered[:, max(-2, -level_kw.shape[1])], highest)[:, None]
    return np.asarray((level_kw >= LEVEL_SHARE * usual) & (level_kw <= WRONG_LEVEL * usual))


def _mean(values: Floats, weights: Floats) -> Floats:
    """Weighted mean over nights of what is known; NaN where nothing is."""
    weights = np.where(np.isfinite(values), weights, 0.0)
    total = weights.sum(axis=1)
    summed = np.where(weights > 0.0, values, 0.0) * weights
    return np.where(total > 0.0, summed.sum(axis=1) / np.where(total > 0.0, total, 1.0), np.nan)


def _ratio(top: Floats, bottom: Floats) -> Floats:
    return np.where(bottom > 0.0, top / np.where(bottom > 0.0, bottom, 1.0), np.nan)


def _acf_peak(acf: Floats) -> tuple[Floats, Floats, Floats]:
    """Height of the highest local maximum at 45 to 150 minutes, the trough before it, and the period in minutes.

    Whole multiples of a period are maxima too, often higher ones where the quarter hour samples the period badly. The
    period is the shortest maximum of `FUNDAMENTAL_SHARE` of the highest whose multiple the highest is.
    """
    lags = range(FIRST_PERIOD_LAG, LAST_PERIOD_LAG + 1)
    heights = np.full((len(lags), acf.shape[1]), -np.inf)
    positions = np.full(heights.shape, np.nan)
    for i, lag in enumerate(lags):
        before, here, after = acf[lag - 2], acf[lag - 1], acf[lag]
        curvature = before - 2.0 * here + after
        bent = curvature < 0.0
        offset = np.where(bent, 0.5 * (before - after) / np.where(bent, curvature, 1.0), 0.0)
        local = (here >= before) & (here >= after)
        heights[i] = np.where(local, here - 0.25 * (before - after) * offset, -np.inf)
        positions[i] = np.where(local, lag + offset, np.nan)
    meter = np.arange(acf.shape[1])
    highest = heights.argmax(axis=0)
    best, best_lag = heights[highest, meter], positions[highest, meter]
    trough = np.fmin.accumulate(acf, axis=0)[highest + FIRST_PERIOD_LAG - 2, meter]
    times = best_lag / positions
    multiple = np.abs(times - np.round(times)) <= MULTIPLE_TOLERANCE * times
    high = heights >= np.minimum(FUNDAMENTAL_SHARE * best, best)
    fundamental = positions[(multiple & high).argmax(axis=0), meter]
    found = np.isfinite(best_lag)
    return np.where(found, best, np.nan), np.where(found, trough, np.nan), 15.0 * np.where(found, fundamental, np.nan)
