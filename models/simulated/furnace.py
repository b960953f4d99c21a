"""Induction melting by the minute: heats with charging, melting, trimming and tapping, and what runs beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from models.simulated.electrical import constant_pf_q_kvar, thyristor_q_kvar
from models.simulated.furnace_spec import Bodies, FurnaceSpec, Supply, recharge_gap_min
from models.simulated.sessions import Session, draw_sessions
from models.simulated.shapes import Curve, Minutes, Rng, ar1, clipped_normal, lognormal
from models.simulated.timeline import Timeline

_LONGEST_HEAT_MIN: Final = 300
_AUX_SHARE: Final = 0.03
_AUX_PF: Final = 0.82


@dataclass(frozen=True, slots=True)
class Heat:
    """One charge: power on at minute `start`, tapped at minute `end` of the timeline."""

    start: int
    end: int
    energy_kwh: float
    tapped_t: float


@dataclass(frozen=True, slots=True)
class FurnaceRun:
    """`melt_kw` (n,) is what the converter alone draws; `curve` adds pumps, crane and fans."""

    curve: Curve
    melt_kw: Minutes
    heats: tuple[Heat, ...]


def run_furnace(spec: FurnaceSpec, time: Timeline, rng: Rng) -> FurnaceRun:
    """One installation over the whole timeline."""
    melt_kw = np.zeros(time.n)
    auxiliary_kw = np.zeros(time.n)
    heats: list[Heat] = []
    free_from = 0
    for session in draw_sessions(spec.plan, time, rng):
        if session.last_start <= free_from:
            continue
        begin = max(session.start, free_from)
        manned = Session(begin, session.last_start)
        melt = _share_power if spec.bodies is Bodies.POWER_SHARING else _melt_in_turn
        done = melt(spec, manned, melt_kw, rng)
        heats += done
        last = max((heat.end for heat in done), default=begin)
        _add_auxiliaries(spec, begin, last, done, auxiliary_kw, rng)
        free_from = last + 20
    if spec.supply is Supply.THYRISTOR:
        q_kvar = thyristor_q_kvar(melt_kw, p_max_kw=spec.p_max_kw, overlap_deg=spec.overlap_deg)
    else:
        q_kvar = constant_pf_q_kvar(melt_kw, spec.diode_pf)
    q_kvar = q_kvar + constant_pf_q_kvar(auxiliary_kw, _AUX_PF)
    return FurnaceRun(Curve(melt_kw + auxiliary_kw, q_kvar, 0.012), melt_kw, tuple(heats))


def _melt_in_turn(spec: FurnaceSpec, session: Session, melt_kw: Minutes, rng: Rng) -> list[Heat]:
    """Heat after heat on one supply; with two bodies the other one is ready while the first is tapped."""
    pair = spec.bodies is Bodies.SWITCHED_PAIR
    heats: list[Heat] = []
    at = session.start
    while at < session.last_start:
        turn = len(heats) // 2 if pair else len(heats)
        power_kw, tapped_t = _heat_kw(spec, turn, rng)
        energy_kwh = float(power_kw.sum()) / 60.0
        end = at + len(power_kw)
        heats.append(Heat(at, end, energy_kwh, tapped_t))
        tap_min, wait_min = recharge_gap_min(rng, spec)
        gap = round(lognormal(rng, 3.0, 0.5)) if pair else round(tap_min + wait_min)
        gap_kw = np.zeros(gap)
        if not pair:
            gap_kw[: round(tap_min)] = rng.uniform(0.0, 0.06) * spec.rated_kw
            gap_kw[round(tap_min) :] = spec.hold_share * spec.rated_kw
        _put(melt_kw, at, np.concatenate((power_kw, gap_kw)))
        at = end + gap
    return heats


def _heat_kw(spec: FurnaceSpec, turn: int, rng: Rng) -> tuple[Minutes, float]:
    """Power by minute from power on to tapping, and the tonnes tapped; `turn` counts the body's heats since cold."""
    tapped_t = spec.capacity_t * clipped_normal(rng, 0.95, 0.07, 0.65, 1.1)
    lining = {0: 1.0 + rng.uniform(0.06, 0.16), 1: 1.0 + rng.uniform(0.02, 0.05)}.get(turn, 1.0)
    need_kwh = spec.kwh_per_t * tapped_t * lining
    plateau_kw = spec.rated_kw * min(max(spec.plateau_share + rng.normal(0.0, 0.015), 0.7), 1.02)
    ramp_min = lognormal(rng, 14.0, 0.35) if turn == 0 else lognormal(rng, 5.0, 0.4)
    first = rng.uniform(0.3, 0.6)
    minute = np.arange(_LONGEST_HEAT_MIN, dtype=np.float64)
    power_kw = plateau_kw * np.minimum(1.0, first + (1.0 - first) * minute / ramp_min)
    molten = np.minimum(np.cumsum(power_kw) / (60.0 * need_kwh), 1.0)
    power_kw *= spec.start_drift_share + (1.0 - spec.start_drift_share) * np.minimum(1.0, molten / 0.4)
    power_kw *= _notches(molten, rng)
    solid = ar1(rng, _LONGEST_HEAT_MIN, rng.uniform(0.03, 0.06), 0.5)
    liquid = ar1(rng, _LONGEST_HEAT_MIN, 0.008, 0.5)
    power_kw *= 1.0 + np.where(molten < 0.5, solid, liquid)
    power_kw = np.minimum(power_kw, 0.995 * spec.p_max_kw)
    melt_kwh = need_kwh * rng.uniform(0.86, 0.96)
    used_kwh = np.cumsum(power_kw) / 60.0
    last = min(int(np.searchsorted(used_kwh, melt_kwh)), _LONGEST_HEAT_MIN - 1)
    power_kw[last] *= 1.0 - min(1.0, max(0.0, (used_kwh[last] - melt_kwh) * 60.0 / power_kw[last]))
    trim = np.full(max(1, round(lognormal(rng, 6.0, 0.4))), rng.uniform(0.08, 0.4) * spec.rated_kw)
    superheat_min = max(1, round(lognormal(rng, 3.0, 0.4))) if rng.random() < 0.55 else 0
    superheat = np.full(superheat_min, rng.uniform(0.75, 1.0) * plateau_kw)
    return np.concatenate((power_kw[: last + 1], trim, superheat)), tapped_t


def _notches(molten: Minutes, rng: Rng) -> Minutes:
    """Factors below 1 in the minutes in which scrap is pushed in, only while the charge is mostly solid."""
    factor = np.ones(len(molten))
    for minute in np.flatnonzero((rng.random(len(molten)) < 5.0 / 60.0) & (molten < 0.55)).tolist():
        left_min = min(lognormal(rng, 45.0, 0.5) / 60.0, 4.0)
        depth = rng.uniform(0.15, 0.6)
        at = minute
        while left_min > 0.0 and at < len(factor):
            factor[at] = min(factor[at], 1.0 - depth * min(1.0, left_min))
            left_min -= 1.0
            at += 1
    return factor


def _share_power(spec: FurnaceSpec, session: Session, melt_kw: Minutes, rng: Rng) -> list[Heat]:
    """Two bodies on a sharing supply: nearly flat, a small notch each time the roles are swapped."""
    n = session.last_start - session.start
    minute = np.arange(n, dtype=np.float64)
    level = 0.95 + 0.03 * np.sin(2.0 * np.pi * minute / spec.swap_min) + 0.01 * rng.standard_normal(n)
    ramp_min = lognormal(rng, 14.0, 0.35)
    level *= np.minimum(1.0, 0.45 + 0.55 * minute / ramp_min)
    heats: list[Heat] = []
    begin = 0.0
    while begin < n:
        end = min(begin + spec.swap_min * clipped_normal(rng, 1.0, 0.03, 0.9, 1.1), float(n))
        swap = round(end)
        level[swap : swap + int(rng.integers(1, 4))] *= 1.0 - rng.uniform(0.03, 0.08)
        if end - begin > 0.8 * spec.swap_min:
            energy_kwh = float(level[round(begin) : swap].sum()) * spec.rated_kw * spec.plateau_share / 60.0
            first = session.start + max(0, round(begin - spec.swap_min))
            heats.append(Heat(first, session.start + swap, energy_kwh, energy_kwh / spec.kwh_per_t))
        begin = end
    _put(melt_kw, session.start, np.minimum(level * spec.rated_kw * spec.plateau_share / 0.95, 0.995 * spec.p_max_kw))
    return heats


def _add_auxiliaries(
    spec: FurnaceSpec, begin: int, end: int, heats: list[Heat], auxiliary_kw: Minutes, rng: Rng
) -> None:
    pumps_kw = _AUX_SHARE * spec.rated_kw
    on = max(0, begin - round(rng.uniform(20.0, 45.0)))
    off = end + round(min(lognormal(rng, 150.0, 0.5), 360.0))
    auxiliary_kw[on:off] = np.maximum(auxiliary_kw[on:off], pumps_kw)
    auxiliary_kw[max(0, begin) : end] += spec.fan_kw
    for heat in heats:
        auxiliary_kw[heat.start : heat.start + int(rng.integers(2, 7))] += min(rng.uniform(20.0, 50.0), pumps_kw * 2.0)


def _put(target: Minutes, at: int, values: Minutes) -> None:
    room = max(0, min(len(values), len(target) - at))
    target[at : at + room] = values[:room]
