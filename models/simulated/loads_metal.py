"""Metal trades that resemble melting: arcs, mills, forging heaters, heat treatment, rectifiers."""

from __future__ import annotations

import numpy as np

from models.simulated.electrical import constant_pf_q_kvar, motor_q_kvar, thyristor_q_kvar
from models.simulated.schedules import daily_blocks, random_stops, shift_hours
from models.simulated.shapes import Curve, Minutes, Rng, ar1, clipped_normal, dips, lognormal
from models.simulated.timeline import Timeline

_DAY_SHIFT = ((8.0, 12.0), (13.0, 17.0))
_LATE_SHIFT = ((8.0, 12.0), (13.0, 17.0), (18.0, 22.0))
_NIGHT_SHIFT = ((22.0, 30.0),)


def forging(rated_kw: float, time: Timeline, rng: Rng) -> Curve:
    """Induction heating of billets: whole shifts flat by the minute, irregular die changes, a quarter by night."""
    night = rng.random() < 0.25
    shifts = _NIGHT_SHIFT if night else (_DAY_SHIFT if rng.random() < 0.5 else _LATE_SHIFT)
    on = shift_hours(time, shifts, 8.0, rng)
    standby = 0.5 if rng.random() < 0.3 else 0.0
    level = rng.uniform(0.75, 0.95) * (1.0 + ar1(rng, time.n, rng.uniform(0.02, 0.04), 0.3))
    level = np.where(random_stops(time.n, 0.7, 8.0, 0.6, rng), standby * level, level) * on
    p_kw = rated_kw * np.clip(level, 0.0, 1.0)
    if rng.random() < 0.72:
        q_kvar = thyristor_q_kvar(p_kw, p_max_kw=rated_kw * rng.uniform(1.02, 1.12), overlap_deg=rng.uniform(8.0, 22.0))
    else:
        q_kvar = constant_pf_q_kvar(p_kw, clipped_normal(rng, 0.968, 0.008, 0.94, 0.99))
    return Curve(p_kw, q_kvar, 0.03)


def arc_furnace(rated_kw: float, time: Timeline, rng: Rng) -> Curve:
    """Arc furnace, with or without a ladle furnace, or a ladle furnace alone; some melt at night only."""
    variant = rng.random()
    works = ~time.rest_day | (rng.random() < 0.6)
    on = np.ones(time.n, dtype=np.bool_)
    if rng.random() < 0.3:
        on = daily_blocks(time, np.full(time.n_days, 21.5 * 60), np.full(time.n_days, 30.5 * 60), works)
    p_kw = np.zeros(time.n)
    if variant < 0.7:
        tapped = _arc_heats(rated_kw, on, p_kw, rng)
        if variant < 0.45:
            for at in tapped:
                begin = at + int(rng.integers(3, 9))
                _add_noisy(p_kw, begin, int(rng.integers(25, 41)), rng.uniform(0.12, 0.2) * rated_kw, 0.06, rng)
    else:
        at = int(rng.integers(0, 60))
        while at < time.n:
            minutes = int(rng.integers(25, 46))
            if on[at]:
                _add_noisy(p_kw, at, minutes, rng.uniform(0.7, 0.95) * rated_kw, 0.06, rng)
            at += minutes + int(rng.integers(15, 61))
    pf = 0.95 if rng.random() < 0.3 else rng.uniform(0.70, 0.85)
    return Curve(p_kw, constant_pf_q_kvar(p_kw, pf), 0.25)


def _arc_heats(rated_kw: float, on: np.ndarray[tuple[int], np.dtype[np.bool_]], p_kw: Minutes, rng: Rng) -> list[int]:
    tapped: list[int] = []
    at = int(rng.integers(0, 60))
    while at < len(on):
        if not on[at]:
            later = np.flatnonzero(on[at:])
            if not len(later):
                break
            at += int(later[0])
        minutes = max(30, round(lognormal(rng, 48.0, 0.2)))
        bore, refining = int(rng.integers(3, 6)), int(rng.integers(8, 16))
        melting = minutes - bore - refining
        level = np.concatenate((np.full(bore, 0.6), np.full(melting, 0.95), np.full(refining, 0.55)))
        sd = np.concatenate((np.full(bore + melting, rng.uniform(0.12, 0.20)), np.full(refining, 0.05)))
        for _ in range(int(rng.integers(1, 3))):
            bucket = bore + int(rng.integers(2, max(3, melting - 4)))
            level[bucket : bucket + int(rng.integers(3, 6))] = 0.0
        level *= rng.uniform(0.82, 1.05) * (1.0 + sd * ar1(rng, minutes, 1.0, 0.6))
        heat_kw = rated_kw * np.clip(level, 0.0, 1.2)
        room = max(0, min(minutes, len(p_kw) - at))
        p_kw[at : at + room] += heat_kw[:room]
        tapped.append(at + minutes)
        delay_min = rng.uniform(15.0, 90.0) if rng.random() < 0.08 else 0.0
        at += minutes + max(4, round(lognormal(rng, 11.0, 0.4) + delay_min))
    return tapped


def _add_noisy(p_kw: Minutes, begin: int, minutes: int, level_kw: float, sd: float, rng: Rng) -> None:
    room = max(0, min(minutes, len(p_kw) - begin))
    p_kw[begin : begin + room] += level_kw * (1.0 + sd * rng.standard_normal(room))


def submerged_arc(rated_kw: float, time: Timeline, rng: Rng) -> Curve:
    """Ferroalloy or carbide: flat around the clock, a shallow dip at each tap, seldom an outage."""
    level = clipped_normal(rng, 0.93, 0.02, 0.85, 0.98) * (1.0 + ar1(rng, time.n, rng.uniform(0.015, 0.03), 0.93))
    level *= dips(rng, time.n, 0.15, (2.0, 10.0), (0.01, 0.03))
    at = int(rng.integers(0, 180))
    while at < time.n:
        level[at : at + int(rng.integers(10, 41))] *= 1.0 - rng.uniform(0.05, 0.20)
        at += int(rng.integers(120, 241))
    level[random_stops(time.n, 0.7 / 720.0, 300.0, 0.8, rng)] = 0.02
    if rng.random() < 0.25:
        level *= np.where(time.between(8 * 60, 11 * 60) | time.between(17 * 60, 22 * 60), rng.uniform(0.6, 0.8), 1.0)
    p_kw = rated_kw * np.maximum(level, 0.0)
    return Curve(p_kw, constant_pf_q_kvar(p_kw, rng.uniform(0.70, 0.92)), 0.02)


def rolling_mill(rated_kw: float, time: Timeline, rng: Rng) -> Curve:
    """Passes that blur to heavy noise at a minute, roll changes, short delays; two shifts, three, or cheap nights."""
    habit = rng.random()
    if habit < 0.3:
        works = ~time.rest_day
        begin = 60.0 * 22.5 + rng.normal(0.0, 15.0, time.n_days)
        on = daily_blocks(time, begin, begin + 60.0 * 9.0 + rng.normal(0.0, 30.0, time.n_days), works)
    elif habit < 0.6:
        on = shift_hours(time, ((6.5, 22.0),), 15.0, rng) > 0.0
    else:
        on = np.ones(time.n, dtype=np.bool_)
    level = 0.66 * (1.0 + ar1(rng, time.n, rng.uniform(0.10, 0.18), 0.4) + ar1(rng, time.n, 0.19, 0.985))
    level = np.where(random_stops(time.n, 2.0, 2.5, 0.5, rng), 0.5 * level, level)
    level = np.where(random_stops(time.n, 0.2, 20.0, 0.4, rng), 0.25, level) * on
    p_kw = rated_kw * np.clip(level, 0.0, 1.1)
    if rng.random() < 0.6:
        return Curve(p_kw, thyristor_q_kvar(p_kw, p_max_kw=1.15 * rated_kw, overlap_deg=10.0), 0.30)
    return Curve(p_kw, constant_pf_q_kvar(p_kw, 0.95), 0.30)


def heat_treatment(rated_kw: float, time: Timeline, rng: Rng) -> Curve:
    """Resistance furnaces: loaded in the evening, hours at full power, then a decaying duty cycle; unsynchronised."""
    furnaces = int(rng.integers(2, 13))
    each_kw = rated_kw / furnaces
    phase_angle = rng.random() < 0.2
    p_kw, q_kvar = np.zeros(time.n), np.zeros(time.n)
    for _ in range(furnaces):
        habit_h = rng.uniform(19.0, 24.0)
        period_min = int(rng.integers(3, 21))
        for day in np.flatnonzero(~time.rest_day & (rng.random(time.n_days) < 0.85)).tolist():
            begin = int(time.day_start[day]) + round(60.0 * habit_h + rng.normal(0.0, 25.0))
            full_min, soak_min = round(rng.uniform(90.0, 240.0)), round(rng.uniform(120.0, 600.0))
            duty = 0.25 + 0.25 * np.exp(-np.arange(soak_min) / 150.0)
            soaking = duty if phase_angle else (np.arange(soak_min) % period_min < np.round(duty * period_min)) * 1.0
            share = np.concatenate((np.ones(full_min), soaking))
            room = max(0, min(len(share), time.n - begin))
            power_kw = each_kw * share[:room] * (1.0 + 0.005 * rng.standard_normal(room))
            p_kw[begin : begin + room] += power_kw
            if phase_angle:
                q_kvar[begin : begin + room] += power_kw * np.sqrt(np.maximum(1.0 / share[:room] - 1.0, 0.0))
    return Curve(p_kw, q_kvar if phase_angle else constant_pf_q_kvar(p_kw, rng.uniform(0.985, 1.0)), 0.06)


def electrolysis(rated_kw: float, time: Timeline, rng: Rng) -> Curve:
    """Rectifiers that stay flat for months; short rises by anode effects."""
    level = rng.uniform(0.85, 0.97) * (1.0 + ar1(rng, time.n, rng.uniform(0.003, 0.01), 0.95))
    for at in np.flatnonzero(rng.random(time.n) < 1.0 / 1440.0).tolist():
        level[at : at + int(rng.integers(1, 5))] *= 1.0 + rng.uniform(0.03, 0.06)
    p_kw = rated_kw * level
    return Curve(p_kw, constant_pf_q_kvar(p_kw, rng.uniform(0.90, 0.96)), 0.004)


def plating(rated_kw: float, time: Timeline, rng: Rng) -> Curve:
    """Plating rectifiers at a fixed angle: day or two shifts, a step for each bath."""
    shifts = ((7.5, 22.0),) if rng.random() < 0.5 else ((8.0, 12.0), (13.0, 18.0))
    baths = int(rng.integers(2, 9))
    level = np.zeros(time.n)
    for _ in range(baths):
        level += ~random_stops(time.n, rng.uniform(0.3, 1.0), 12.0, 0.4, rng) / baths
    level *= shift_hours(time, shifts, 10.0, rng) * rng.uniform(0.6, 0.9)
    p_kw = rated_kw * level * (1.0 + ar1(rng, time.n, 0.01, 0.8))
    return Curve(p_kw, constant_pf_q_kvar(p_kw, rng.uniform(0.75, 0.90)), 0.01)


def night_works(rated_kw: float, time: Timeline, rng: Rng) -> Curve:
    """Crushing or cutting that runs by night where nobody should: rough, with pauses."""
    begin = 60.0 * 22.6 + rng.normal(0.0, 20.0, time.n_days)
    end = 60.0 * 29.7 + rng.normal(0.0, 30.0, time.n_days)
    on = daily_blocks(time, begin, end, rng.random(time.n_days) < 0.9)
    level = rng.uniform(0.6, 0.85) * (1.0 + ar1(rng, time.n, 0.12, 0.7))
    level = np.where(random_stops(time.n, 0.5, 9.0, 0.6, rng), 0.1, level) * on
    p_kw = rated_kw * np.clip(level, 0.0, 1.1)
    return Curve(p_kw, motor_q_kvar(p_kw, rated_kw=rated_kw, full_pf=rng.uniform(0.75, 0.85)), 0.1)
