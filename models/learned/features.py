"""One row of features a meter and night: what detectors pool over nights instead of raw readings.

Every feature is a function of one meter's window alone; how many meters are computed together changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.domain.windows import SlotFlag, Window
from models.learned.blocks import LAGS, autocorrelation, longest_block, residual, working_blocks
from models.learned.circle import fit_circle
from models.learned.counting import count_true
from models.learned.cycles import find_cycles
from models.learned.heats import find_heats
from models.learned.rounding import round_features
from models.learned.series import NightSeries, night_series

FEATURE_VERSION: Final = 1
CHUNK_METERS: Final = 500
SMALLEST_FURNACE_KW: Final = 60.0
"""p95 below which no melting furnace is looked for: a 0.1 t set draws about 70 kW."""
LEAST_JITTER: Final = 0.03
"""Mean step from slot to slot, relative to p95, below which nothing is cyclic: the cheap screen."""
LEAST_WIGGLE: Final = 0.045
"""Deviation inside blocks, relative to p95, below which a load counts as flat and has no rhythm."""
FEWEST_DIPS: Final = 2
"""Dips a night needs, and a whole cycle, before its instants and its P-Q circle are examined."""
LEAST_COVERAGE: Final = 0.5
_OF_SEVERAL: Final = (
    "power_p05_kw",
    "power_p20_kw",
    "power_p95_kw",
    "power_p98_kw",
    "power_max_kw",
    "load_factor",
    "valley_share",
    "jitter",
)
"""Plain features that take more than one value a night."""
_FEWEST_CORE_SLOTS: Final = 6
_SPIKE_TIMES: Final = 3.0
_SHORTEST_STUCK_H: Final = 1.0

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class FeatureSpec:
    """One column of the nightly row."""

    name: str
    unit: str
    meaning: str


def _acf_name(lag: int) -> str:
    return f"acf_{15 * lag}min"


ACF_NAMES: Final = tuple(_acf_name(lag) for lag in LAGS)

_PLAIN: Final = (
    FeatureSpec("coverage", "1", "share of the night's slots with a power reading (instant, mean or register)"),
    FeatureSpec("cadence_s", "s", "cadence of the readings"),
    FeatureSpec("energy_kwh", "kWh", "energy of the known slots"),
    FeatureSpec("power_p05_kw", "kW", "5 % quantile of interval mean power"),
    FeatureSpec("power_p20_kw", "kW", "20 % quantile"),
    FeatureSpec("power_p50_kw", "kW", "median"),
    FeatureSpec("power_p95_kw", "kW", "95 % quantile"),
    FeatureSpec("power_p98_kw", "kW", "98 % quantile"),
    FeatureSpec("power_max_kw", "kW", "largest interval mean power"),
    FeatureSpec("load_factor", "1", "mean power over p95"),
    FeatureSpec("valley_share", "1", "share of the night's energy drawn in valley tariff hours"),
    FeatureSpec("jitter", "1", "mean absolute step from slot to slot over p95"),
    FeatureSpec("conflict_share", "1", "share of slots whose reported values contradict each other"),
    FeatureSpec("off_tick_share", "1", "share of slots stamped well beside the clock's ticks"),
    FeatureSpec("reset_count", "1", "times a register fell: a reset, or a rollover"),
    FeatureSpec("spike_count", "1", "instants more than three times above both neighbours and the night's p95"),
    FeatureSpec("stuck_hours", "h", "longest run of an unchanged, nonzero instant power; 0 below one hour"),
)
_RHYTHM: Final = (
    FeatureSpec("block_hours", "h", "hours inside working blocks, block edges left out"),
    FeatureSpec("block_level", "1", "mean power inside working blocks over p95"),
    FeatureSpec("block_start_h", "h", "start of the longest block, hours after noon"),
    FeatureSpec("block_longest_h", "h", "length of the longest block"),
    FeatureSpec("base_share", "1", "power outside the blocks over p95"),
    FeatureSpec("wiggle", "1", "standard deviation inside blocks around their local mean, over p95"),
    FeatureSpec("edge_asym", "1", "mean upward step over mean downward step inside blocks"),
    FeatureSpec("top_share", "1", "share of block slots above 85 % of p95"),
    *(FeatureSpec(_acf_name(lag), "1", f"autocorrelation inside blocks at {15 * lag} minutes") for lag in LAGS),
    FeatureSpec("dip_count", "1", "dips inside blocks, at least 10 % of p95 deep"),
    FeatureSpec("dip_depth", "1", "median depth of the dips over p95"),
    FeatureSpec("dip_rim_spread", "1", "robust CV of the level the dips fall from: a crucible's full power repeats"),
    FeatureSpec("cycle_count", "1", "whole cycles from dip to dip, 30 to 180 minutes"),
    FeatureSpec("cycle_minutes", "min", "median length of a cycle"),
    FeatureSpec("cycle_minutes_spread", "1", "robust CV of the length of a cycle"),
    FeatureSpec("cycle_kwh", "kWh", "median energy of a cycle"),
    FeatureSpec("cycle_kwh_spread", "1", "robust CV of the energy of a cycle"),
)
_INSTANT: Final = (
    FeatureSpec("snapshot_rms", "1", "rms of instant minus interval mean inside blocks, over p95"),
    FeatureSpec("snapshot_low_share", "1", "share of block instants below 30 % of p95 while the interval is above"),
    FeatureSpec("snapshot_mid_share", "1", "share of block instants between 30 % and 75 % of p95"),
    FeatureSpec("circle_nats", "1", "log evidence of the P-Q circle over the straight line, nats"),
    FeatureSpec("circle_r2", "1", "variance of Q that the circle explains"),
    FeatureSpec("circle_pm_kw", "kW", "full power of the circle"),
    FeatureSpec("circle_qc_kvar", "kvar", "fixed compensation below the circle"),
    FeatureSpec("q_top_slope", "1", "slope of Q over P in the upper half of power"),
    FeatureSpec("pf_high", "1", "power factor at high power (P > 0.8 of p95)"),
    FeatureSpec("pf_drop", "1", "power factor at high power minus at 20 to 60 % of it"),
)
_HEATS: Final = (
    FeatureSpec("heat_count", "1", "heats of the one-minute series: on-runs of 15 to 160 minutes"),
    FeatureSpec("heat_minutes_median", "min", "median length of a heat"),
    FeatureSpec("heat_minutes_spread", "1", "robust CV of the length of a heat"),
    FeatureSpec("heat_kwh_median", "kWh", "median energy of a heat"),
    FeatureSpec("heat_kwh_cv", "1", "robust CV of the energy of a heat"),
    FeatureSpec("heat_period_min", "min", "median time from heat to heat"),
    FeatureSpec("heat_period_spread", "1", "robust CV of the time from heat to heat"),
    FeatureSpec("gap_minutes_median", "min", "median pause between heats"),
    FeatureSpec("plateau_cv", "1", "CV of power over the middle half of a heat"),
    FeatureSpec("rise_minutes_median", "min", "from 55 % to 85 % of the plateau"),
    FeatureSpec("fall_minutes_median", "min", "from 85 % of the plateau to the end of the heat"),
    FeatureSpec("between_share", "1", "share of working minutes between 25 % and 75 % of the plateau"),
)
FEATURES: Final[tuple[FeatureSpec, ...]] = (*_PLAIN, *_RHYTHM, *_INSTANT, *_HEATS)
"""The columns of the nightly row, in order."""

_ROW: Final = {spec.name: position for position, spec in enumerate(FEATURES)}
_HEAT_FIELDS: Final = {
    "count": "heat_count",
    "minutes": "heat_minutes_median",
    "minutes_spread": "heat_minutes_spread",
    "kwh": "heat_kwh_median",
    "kwh_spread": "heat_kwh_cv",
    "period_min": "heat_period_min",
    "period_spread": "heat_period_spread",
    "gap_min": "gap_minutes_median",
    "plateau_cv": "plateau_cv",
    "rise_min": "rise_minutes_median",
    "fall_min": "fall_minutes_median",
    "shallow_share": "between_share",
}


def night_features(window: Window, valley: NDArray[np.bool_] | None) -> dict[str, Floats]:
    """Features of every meter of the window: each name of `FEATURES` -> (n,) float32, six significant digits.

    `valley` (n_slots,) marks the window's slots in valley tariff hours, None where the calendar is unknown.
    NaN where a feature cannot be computed: no reading, coverage below one half (all but the quality features), no
    working block, a cadence slower than the quarter hour (rhythm), more than two minutes (heats), or a flat load. Of
    the one value of a daily window come coverage, energy and the median, which is the mean over the day; a register
    reported without the one of the day before covers the night, and its energy is NaN.
    Duplicates never reach a window; contradictions and resets are NaN slots; gaps shorten what is known and are never
    filled.
    """
    n = len(window.meters)
    table = np.full((len(FEATURES), n), np.nan, dtype=np.float32)
    for first in range(0, n, CHUNK_METERS):
        rows = slice(first, min(first + CHUNK_METERS, n))
        _fill(table[:, rows], window, rows, valley)
    return {spec.name: table[position] for position, spec in enumerate(FEATURES)}


def _fill(out: Floats, window: Window, rows: slice, valley: NDArray[np.bool_] | None) -> None:
    part = np.full(out.shape, np.nan, dtype=np.float32)
    series = night_series(window, rows)
    p95_kw, p20_kw, covered = _plain(part, window, series, valley)
    if window.n_slots == 1:
        _one_value(part, window, rows)
        covered[:] = False
    _quality(part, window, rows, series)
    part[: len(_PLAIN)] = round_features(part[: len(_PLAIN)])
    looked_at = np.flatnonzero(covered & (p95_kw >= SMALLEST_FURNACE_KW) & (part[_ROW["jitter"]] >= LEAST_JITTER))
    if len(looked_at) and series.quarter:
        _rhythm(part, series, looked_at, p95_kw[looked_at], p20_kw[looked_at])
    if len(looked_at) and series.fine_kw is not None:
        _heats(part, series, looked_at)
    if len(looked_at):
        part[len(_PLAIN) :, looked_at] = round_features(part[len(_PLAIN) :, looked_at])
    out[...] = part


def _plain(
    out: Floats, window: Window, series: NightSeries, valley: NDArray[np.bool_] | None
) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    power, count = series.mean_kw, series.count
    nothing = np.float32(np.nan)
    slots = max(power.shape[1], 1)
    hours = np.float32(series.grid_s / 3600.0)
    gappy = np.flatnonzero(count < power.shape[1])
    known = np.isfinite(power[gappy])
    filled = power
    if len(gappy):
        filled = power.copy()
        filled[gappy] = np.where(known, power[gappy], np.float32(0.0))
    total = filled.sum(axis=1)
    covered = count >= LEAST_COVERAGE * slots
    quantiles = {q: _quantile(series.ordered_kw, count, q) for q in (0.05, 0.20, 0.50, 0.95, 0.98, 1.0)}
    p95 = quantiles[0.95]
    safe = np.where(p95 > 0.0, p95, np.float32(1.0))
    out[_ROW["coverage"]] = count.astype(np.float32) / np.float32(slots)
    out[_ROW["cadence_s"]] = np.float32(window.interval_s)
    out[_ROW["energy_kwh"]] = np.where(count > 0, total * hours, nothing)
    for name, q in (("p05", 0.05), ("p20", 0.20), ("p50", 0.50), ("p95", 0.95), ("p98", 0.98), ("max", 1.0)):
        out[_ROW[f"power_{name}_kw"]] = quantiles[q]
    loaded = covered & (p95 > 0.0)
    mean = total / np.maximum(count, 1).astype(np.float32)
    out[_ROW["load_factor"]] = np.where(loaded, mean / safe, nothing)
    step = filled[:, 1:] - filled[:, :-1]
    np.abs(step, out=step)
    steps = np.full(len(power), max(power.shape[1] - 1, 1), dtype=np.float32)
    if len(gappy):
        stepped = known[:, 1:] & known[:, :-1]
        step[gappy] *= stepped
        steps[gappy] = np.maximum(count_true(stepped), 1)
    out[_ROW["jitter"]] = np.where(loaded, step.sum(axis=1) / steps / safe, nothing)
    if valley is not None and window.interval_s <= series.grid_s:
        ends = np.arange(1, slots + 1) * series.grid_s // window.interval_s - 1
        in_valley = np.compress(valley[ends], filled, axis=1).sum(axis=1)
        drawn = covered & (total > 0.0)
        out[_ROW["valley_share"]] = np.where(drawn, in_valley / np.where(drawn, total, 1.0), nothing)
    return p95, quantiles[0.20], loaded


def _one_value(out: Floats, window: Window, rows: slice) -> None:
    """Take back what a single value does not say; a register or an instant alone is a reading of unknown energy."""
    for name in _OF_SEVERAL:
        out[_ROW[name]] = np.nan
    for reported in (window.registers.get("e_imp_kwh"), window.instants.get("p_kw")):
        if reported is not None:
            out[_ROW["coverage"], np.isfinite(reported[rows, -1])] = 1.0


def _quantile(ordered: Floats, count: NDArray[np.intp], q: float) -> Floats:
    """Lower empirical quantile of rows sorted with NaN last; NaN for an empty row."""
    n, s = ordered.shape
    if s == 0:
        return np.full(n, np.nan, dtype=np.float32)
    position = np.maximum(np.floor(q * (count - 1)).astype(np.intp), 0)
    chosen: Floats = ordered.reshape(-1)[position + s * np.arange(n)]
    return chosen


def _quality(out: Floats, window: Window, rows: slice, series: NightSeries) -> None:
    flags = window.flags[rows]
    slots = np.float32(max(flags.shape[1], 1))
    present = np.bitwise_or.reduce(flags, axis=1)
    for name, flag in (("conflict_share", SlotFlag.CONFLICT), ("off_tick_share", SlotFlag.OFF_TICK)):
        out[_ROW[name]] = 0.0
        at = np.flatnonzero(present & np.uint8(flag))
        out[_ROW[name], at] = ((flags[at] & np.uint8(flag)) != 0).sum(axis=1).astype(np.float32) / slots
    out[_ROW["reset_count"]] = series.resets.astype(np.float32)
    instant = window.instants.get("p_kw")
    if instant is None or instant.shape[1] < 3:
        return
    power = instant[rows]
    largest = np.fmax.reduce(np.abs(power), axis=1)
    heard = np.isfinite(largest)
    out[_ROW["stuck_hours"]] = np.where(heard, np.float32(0.0), np.float32(np.nan))
    out[_ROW["spike_count"]] = out[_ROW["stuck_hours"]]
    same = (power[:, 1:] == power[:, :-1]) & (power[:, 1:] != 0.0)
    fewest = int(_SHORTEST_STUCK_H * 3600.0 / window.interval_s)
    likely = np.flatnonzero(count_true(same) >= fewest)
    if len(likely):
        _, length = longest_block(same[likely])
        stuck = np.where(length >= fewest, length, 0) * (window.interval_s / 3600.0)
        out[_ROW["stuck_hours"], likely] = stuck.astype(np.float32)
    limit = _SPIKE_TIMES * np.maximum(np.nan_to_num(out[_ROW["power_p95_kw"]]), np.float32(1.0))
    likely = np.flatnonzero(largest > limit)
    if len(likely):
        size = np.abs(power[likely])
        beside = np.maximum(size[:, :-2], size[:, 2:])
        spikes = size[:, 1:-1] > np.maximum(_SPIKE_TIMES * beside, limit[likely][:, None])
        out[_ROW["spike_count"], likely] = spikes.sum(axis=1).astype(np.float32)


def _rhythm(out: Floats, series: NightSeries, at: NDArray[np.intp], p95_kw: Floats, p20_kw: Floats) -> None:
    power = series.mean_kw[at]
    relative = power / p95_kw[:, None]
    blocks = working_blocks(relative, np.maximum(p20_kw / p95_kw, 0.0))
    slots = count_true(blocks.core)
    working = slots >= _FEWEST_CORE_SLOTS
    at, power, relative, slots = at[working], power[working], relative[working], slots[working]
    inside, core, p95_kw = blocks.inside[working], blocks.core[working], p95_kw[working]
    if not len(at):
        return
    hours = np.float32(series.grid_s / 3600.0)
    count = slots.astype(np.float32)
    deviation = residual(relative, core)
    wiggle = np.sqrt((deviation * deviation).sum(axis=1) / count)
    out[_ROW["block_hours"], at] = count * hours
    out[_ROW["block_level"], at] = np.where(core, relative, np.float32(0.0)).sum(axis=1) / count
    start, length = longest_block(inside)
    out[_ROW["block_start_h"], at] = (start * hours).astype(np.float32)
    out[_ROW["block_longest_h"], at] = (length * hours).astype(np.float32)
    outside = ~inside & np.isfinite(relative)
    beyond = outside.sum(axis=1)
    rest = np.where(outside, relative, np.float32(0.0)).sum(axis=1) / np.maximum(beyond, 1).astype(np.float32)
    out[_ROW["base_share"], at] = np.where(beyond > 0, rest, np.float32(np.nan))
    out[_ROW["wiggle"], at] = wiggle
    lively = wiggle >= LEAST_WIGGLE
    if not bool(lively.any()):
        return
    at, power, relative, deviation = at[lively], power[lively], relative[lively], deviation[lively]
    inside, core, count, p95_kw = inside[lively], core[lively], count[lively], p95_kw[lively]
    for name, values in zip(ACF_NAMES, autocorrelation(deviation, core), strict=True):
        out[_ROW[name], at] = values
    out[_ROW["top_share"], at] = (core & (relative > 0.85)).sum(axis=1).astype(np.float32) / count
    out[_ROW["edge_asym"], at] = _edge_asymmetry(relative, core)
    cycles = find_cycles(power, relative, inside, series.grid_s)
    out[_ROW["dip_count"], at] = cycles.dips
    out[_ROW["dip_depth"], at] = cycles.depth
    out[_ROW["dip_rim_spread"], at] = cycles.rim_spread
    out[_ROW["cycle_count"], at] = cycles.count
    out[_ROW["cycle_minutes"], at] = cycles.minutes
    out[_ROW["cycle_minutes_spread"], at] = cycles.minutes_spread
    out[_ROW["cycle_kwh"], at] = cycles.kwh
    out[_ROW["cycle_kwh_spread"], at] = cycles.kwh_spread
    dipped = (cycles.dips >= FEWEST_DIPS) & (cycles.count >= 1)
    if bool(dipped.any()):
        _against_instants(out, series, at[dipped], p95_kw[dipped], core[dipped])


def _edge_asymmetry(relative: Floats, core: NDArray[np.bool_]) -> Floats:
    step = np.where(core[:, 1:] & core[:, :-1], relative[:, 1:] - relative[:, :-1], np.float32(0.0))
    up, down = step > 0.02, step < -0.02
    ups, downs = up.sum(axis=1), down.sum(axis=1)
    rise = np.where(up, step, np.float32(0.0)).sum(axis=1) / np.maximum(ups, 1)
    fall = -np.where(down, step, np.float32(0.0)).sum(axis=1) / np.maximum(downs, 1)
    usable = (ups >= 3) & (downs >= 3)
    return np.where(usable, rise / np.where(usable, fall, 1.0), np.nan).astype(np.float32)


def _against_instants(
    out: Floats, series: NightSeries, at: NDArray[np.intp], p95_kw: Floats, core: NDArray[np.bool_]
) -> None:
    if series.snapshot_kw is None:
        return
    instant = series.snapshot_kw[at]
    paired = core & np.isfinite(instant)
    count = paired.sum(axis=1)
    relative = instant / p95_kw[:, None]
    means = series.mean_kw[at] / p95_kw[:, None]
    differs = np.where(paired, relative - means, np.float32(0.0))
    safe = np.maximum(count, 1).astype(np.float32)
    usable = (count >= _FEWEST_CORE_SLOTS) & ~series.from_instants[at]
    rms = np.sqrt((differs * differs).sum(axis=1) / safe)
    out[_ROW["snapshot_rms"], at] = np.where(usable, rms, np.float32(np.nan))
    low = (paired & (relative < 0.30) & (means >= 0.30)).sum(axis=1) / safe
    middle = (paired & (relative >= 0.30) & (relative < 0.75)).sum(axis=1) / safe
    out[_ROW["snapshot_low_share"], at] = np.where(usable, low, np.nan)
    out[_ROW["snapshot_mid_share"], at] = np.where(count >= _FEWEST_CORE_SLOTS, middle, np.nan)
    if series.snapshot_kvar is None:
        return
    kvar = series.snapshot_kvar[at]
    use = np.isfinite(instant) & np.isfinite(kvar) & (relative > 0.10)
    fit = fit_circle(instant, kvar, use, p95_kw)
    out[_ROW["circle_nats"], at] = fit.nats
    out[_ROW["circle_r2"], at] = fit.r2
    out[_ROW["circle_pm_kw"], at] = fit.pm_kw
    out[_ROW["circle_qc_kvar"], at] = fit.qc_kvar
    out[_ROW["q_top_slope"], at] = fit.top_slope
    high, low_pf = _power_factors(instant, kvar, relative, use)
    out[_ROW["pf_high"], at] = high
    out[_ROW["pf_drop"], at] = high - low_pf


def _power_factors(instant: Floats, kvar: Floats, relative: Floats, use: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    factor = instant / np.maximum(np.hypot(instant, kvar), np.float32(1e-6))
    averages = []
    for chosen in (use & (relative > 0.8), use & (relative > 0.2) & (relative < 0.6)):
        count = chosen.sum(axis=1)
        mean = np.where(chosen, factor, np.float32(0.0)).sum(axis=1) / np.maximum(count, 1)
        averages.append(np.where(count >= 3, mean, np.nan).astype(np.float32))
    return averages[0], averages[1]


def _heats(out: Floats, series: NightSeries, at: NDArray[np.intp]) -> None:
    if series.fine_kw is None:
        return
    power = series.fine_kw[at]
    known = np.isfinite(power)
    count = known.sum(axis=1)
    ordered = np.sort(power, axis=1)
    enough = count >= LEAST_COVERAGE * power.shape[1]
    plateau = np.where(enough, _quantile(ordered, count, 0.93), np.float32(1.0))
    base = np.where(enough, _quantile(ordered, count, 0.05), np.float32(0.0))
    heats = find_heats(power, base, plateau, series.fine_s)
    for field in fields(heats):
        values = getattr(heats, field.name)
        out[_ROW[_HEAT_FIELDS[field.name]], at] = np.where(enough, values, np.float32(np.nan))
