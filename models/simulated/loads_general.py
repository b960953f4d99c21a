"""Loads of the ordinary economy: plastics, textile, machining, coil lines, offices, homes, data halls, kilns."""

from __future__ import annotations

import numpy as np

from models.simulated.electrical import constant_pf_q_kvar, motor_q_kvar
from models.simulated.shapes import Curve, Rng, ar1, by_day, dips, hourly_profile, low_pass
from models.simulated.timeline import Timeline


def plastics(rated_kw: float, time: Timeline, rng: Rng) -> Curve:
    """Machines of 12-hour shifts: a slow warm-up, hydraulic ripple, mould changes, perhaps Sundays off."""
    machines = int(rng.integers(3, 12))
    both_shifts = rng.random() < 0.7
    works = np.ones(time.n_days, dtype=np.bool_)
    if rng.random() < 0.4:
        works &= ~time.rest_day
    on = by_day(time, works.astype(np.float64))
    if not both_shifts:
        on = on * time.between(7.5 * 60, 19.5 * 60)
    running = np.zeros(time.n)
    for _ in range(machines):
        running += dips(rng, time.n, 1.0 / 30.0, (60.0, 180.0), (0.85, 1.0))
    level = rng.uniform(0.6, 0.85) * on * running / machines
    warm_min = rng.uniform(60.0, 120.0)
    level = low_pass(level, warm_min / 3.0)
    level *= 1.0 + ar1(rng, time.n, 0.03, 0.3) + ar1(rng, time.n, rng.uniform(0.02, 0.05), 0.99)
    p_kw = rated_kw * np.maximum(level, 0.0)
    if rng.random() < 0.3:
        return Curve(p_kw, constant_pf_q_kvar(p_kw, 0.95), 0.04)
    return Curve(p_kw, motor_q_kvar(p_kw, rated_kw=rated_kw, full_pf=rng.uniform(0.80, 0.90)), 0.04)


def textile(rated_kw: float, time: Timeline, rng: Rng) -> Curve:
    """Spinning around the clock, a ripple at three meals, stopped on rest days by a few mills only."""
    level = rng.uniform(0.75, 0.9) * (1.0 + ar1(rng, time.n, rng.uniform(0.015, 0.03), 0.97))
    for meal in (11.5, 17.5, 23.5):
        start = 60.0 * meal + rng.normal(0.0, 10.0)
        level *= 1.0 - rng.uniform(0.05, 0.10) * time.between(start, start + 30.0)
    if rng.random() < 0.2:
        level *= by_day(time, np.where(time.rest_day, 0.15, 1.0))
    p_kw = rated_kw * np.maximum(level, 0.0)
    return Curve(p_kw, motor_q_kvar(p_kw, rated_kw=rated_kw, full_pf=rng.uniform(0.82, 0.95)), 0.01)


def machining(rated_kw: float, time: Timeline, rng: Rng) -> Curve:
    """Day shift with a lunch dip, now and then an evening; spindles come and go by the minute."""
    late = np.where(rng.random(time.n_days) < rng.uniform(0.0, 0.6), rng.uniform(0.4, 0.7), 0.0)
    shift = np.where(time.between(480, 720), 1.0, 0.0)
    shift[time.between(780, 1080)] = rng.uniform(0.85, 1.0)
    shift[time.between(720, 780)] = rng.uniform(0.2, 0.4)
    shift += np.where(time.between(1080, 1320), by_day(time, late), 0.0)
    saturday = time.weekday() == 5
    works = np.where(time.rest_day, rng.choice([0.0, 0.05, 0.5]), np.where(saturday, rng.uniform(0.35, 1.0), 1.0))
    level = 0.04 + 0.75 * shift * by_day(time, works)
    level *= 1.0 + ar1(rng, time.n, rng.uniform(0.15, 0.3), 0.85)
    p_kw = rated_kw * np.clip(level, 0.02, 1.1)
    return Curve(p_kw, motor_q_kvar(p_kw, rated_kw=rated_kw, full_pf=rng.uniform(0.75, 0.88)), 0.1)


def commercial(rated_kw: float, time: Timeline, rng: Rng) -> Curve:
    """Shops and offices: up in the morning, down at night, less or more on rest days."""
    hours = (25, 24, 23, 23, 23, 25, 32, 48, 70, 86, 92, 94, 90, 92, 94, 92, 90, 88, 86, 84, 76, 60, 40, 30)
    level = np.asarray(hourly_profile(time, hours)) / 100.0
    rest = np.where(time.rest_day, rng.uniform(0.5, 1.15), 1.0)
    level *= by_day(time, rest * (1.0 + rng.normal(0.0, 0.04, time.n_days)))
    level *= 1.0 + ar1(rng, time.n, 0.03, 0.95)
    p_kw = rated_kw * np.maximum(level, 0.02)
    return Curve(p_kw, constant_pf_q_kvar(p_kw, rng.uniform(0.86, 0.97)), 0.02)


def steel_coil(rated_kw: float, time: Timeline, rng: Rng) -> Curve:
    """Coil cutting as in a measured plant: two day plateaus, lunch dip, some evenings, a third of it on Saturdays."""
    hours = (
        np.array((6, 6, 6, 6, 6, 6, 7, 30, 95, 100, 100, 95, 33, 95, 100, 100, 100, 95, 75, 75, 73, 70, 20, 8)) / 100.0
    )
    level = low_pass(hours[time.minute_of_day // 60], 5.0)
    week = np.where(time.rest_day, 0.06, np.where(time.weekday() == 5, 0.35, 1.0))
    noise = np.where(level > 0.1, ar1(rng, time.n, 0.4, 0.97), ar1(rng, time.n, 0.05, 0.9))
    busy = np.maximum(level * by_day(time, week), 0.06) * (1.0 + noise)
    p_kw = rated_kw * 0.55 * np.clip(busy, 0.03, 1.8)
    return Curve(p_kw, motor_q_kvar(p_kw, rated_kw=rated_kw, full_pf=0.90), 0.1)


def kiln(rated_kw: float, time: Timeline, rng: Rng) -> Curve:
    """Brick kiln: fans around the clock, the extruder by day with short stops."""
    extruder = time.between(360, 1080) * by_day(time, np.where(time.rest_day, 0.0, 1.0))
    extruder = extruder * dips(rng, time.n, 0.25, (15.0, 30.0), (0.9, 1.0))
    level = 0.45 * (1.0 + ar1(rng, time.n, 0.02, 0.9)) + 0.45 * extruder * (1.0 + ar1(rng, time.n, 0.06, 0.5))
    p_kw = rated_kw * np.maximum(level, 0.0)
    return Curve(p_kw, motor_q_kvar(p_kw, rated_kw=rated_kw, full_pf=rng.uniform(0.82, 0.90)), 0.03)


def crypto(rated_kw: float, time: Timeline, rng: Rng) -> Curve:
    """Flat to half a percent; some switch off when electricity is dear."""
    level = rng.uniform(0.88, 0.96) * (1.0 + ar1(rng, time.n, 0.006, 0.95))
    if rng.random() < 0.2:
        level = level * np.where(time.between(17 * 60, 22 * 60), 0.1, 1.0)
    p_kw = rated_kw * level
    return Curve(p_kw, constant_pf_q_kvar(p_kw, rng.uniform(0.97, 0.99)), 0.003)


def data_centre(rated_kw: float, time: Timeline, rng: Rng) -> Curve:
    """Flat, with the cooling of the afternoon on top."""
    afternoon = 0.03 * np.sin(2.0 * np.pi * (time.minute_of_day - 540.0) / 1440.0)
    p_kw = rated_kw * rng.uniform(0.4, 0.8) * (1.0 + afternoon + ar1(rng, time.n, 0.005, 0.97))
    return Curve(p_kw, constant_pf_q_kvar(p_kw, rng.uniform(0.95, 0.99)), 0.003)


def warehouse(rated_kw: float, time: Timeline, rng: Rng) -> Curve:
    """Lights and doors by day; half of them charge their trucks in the evening."""
    level = 0.08 + 0.5 * time.between(450, 1110) * by_day(time, np.where(time.rest_day, 0.2, 1.0))
    if rng.random() < 0.5:
        level = level + 0.3 * time.between(1110, 1380) * by_day(time, np.where(time.rest_day, 0.0, 1.0))
    p_kw = rated_kw * np.maximum(level * (1.0 + ar1(rng, time.n, 0.08, 0.9)), 0.02)
    return Curve(p_kw, constant_pf_q_kvar(p_kw, rng.uniform(0.85, 0.96)), 0.03)


def residential(rated_kw: float, time: Timeline, rng: Rng) -> Curve:
    """A block of homes: morning shoulder, evening peak."""
    hours = (42, 34, 30, 28, 28, 30, 40, 52, 50, 48, 50, 58, 60, 54, 50, 50, 56, 68, 84, 96, 100, 92, 74, 56)
    level = hourly_profile(time, hours) / 100.0 * by_day(time, 1.0 + rng.normal(0.0, 0.06, time.n_days))
    p_kw = rated_kw * 0.8 * np.maximum(level * (1.0 + ar1(rng, time.n, 0.05, 0.9)), 0.05)
    return Curve(p_kw, constant_pf_q_kvar(p_kw, rng.uniform(0.93, 0.98)), 0.03)
