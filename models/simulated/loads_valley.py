"""Loads that follow the cheap hours: mills, chargers, batteries, boilers, pumps, cold stores."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from models.simulated.electrical import constant_pf_q_kvar, motor_q_kvar, thyristor_q_kvar
from models.simulated.schedules import daily_blocks, outdoor_degc
from models.simulated.shapes import Curve, Minutes, Rng, ar1, by_day
from models.simulated.timeline import MINUTES_A_DAY, Timeline

_VALLEY_START_MIN: Final = 23 * 60
_VALLEY_MIN: Final = 8 * 60
_CHARGE_DECAY_MIN: Final = 12.0
_DESIGN_KELVIN: Final = 14.0


def cement_mill(rated_kw: float, time: Timeline, rng: Rng) -> Curve:
    """Ball mills started once a night and run to the morning, level to a percent; a second mill beside them."""
    mills = 2 if rng.random() < 0.5 else 1
    p_kw = np.zeros(time.n)
    for _ in range(mills):
        works = rng.random(time.n_days) < 0.93
        begin = 22.0 * 60 + 10.0 + rng.normal(0.0, 20.0, time.n_days)
        end = MINUTES_A_DAY + 7.0 * 60 + rng.normal(0.0, 40.0, time.n_days)
        on = daily_blocks(time, begin, end, works)
        for day in np.flatnonzero(works & (rng.random(time.n_days) < 0.1)).tolist():
            stop = int(time.day_start[day]) + 23 * 60 + int(rng.integers(0, 420))
            on[stop : stop + int(rng.integers(20, 91))] = False
        p_kw += rated_kw / mills * rng.uniform(0.82, 0.95) * on * (1.0 + ar1(rng, time.n, 0.01, 0.9))
    if rng.random() < 0.3:
        return Curve(p_kw, constant_pf_q_kvar(p_kw, 0.97), 0.01)
    return Curve(p_kw, motor_q_kvar(p_kw, rated_kw=rated_kw, full_pf=rng.uniform(0.86, 0.93)), 0.01)


def ev_depot(rated_kw: float, time: Timeline, rng: Rng) -> Curve:
    """Buses that come home in the evening: fast rise, descending staircase, often a gate at the valley's start."""
    charger_kw = rng.uniform(60.0, 180.0)
    buses = int(np.clip(rated_kw / (0.6 * charger_kw), 15, 150))
    gated, midday = rng.random() < 0.6, rng.random() < 0.5
    p_kw = np.zeros(time.n)
    for day in range(time.n_days):
        midnight = int(time.day_start[day])
        running = buses if not time.rest_day[day] else round(0.8 * buses)
        come = np.clip(rng.normal(21.0 * 60 + 40.0, 70.0, running), 18.0 * 60, 26.0 * 60)
        if gated:
            come = np.maximum(come, _VALLEY_START_MIN + rng.uniform(0.0, 4.0, running))
        _charge(p_kw, midnight + come, rng.uniform(80.0, 220.0, running), charger_kw)
        if midday:
            noon = rng.uniform(11.5 * 60, 13.5 * 60, running // 3)
            _charge(p_kw, midnight + noon, rng.uniform(40.0, 90.0, running // 3), charger_kw)
    p_kw = np.minimum(p_kw, rated_kw) * (1.0 + 0.003 * rng.standard_normal(time.n))
    return Curve(p_kw, constant_pf_q_kvar(p_kw, 0.985), 0.01)


def _charge(p_kw: Minutes, begin_min: Minutes, energy_kwh: Minutes, charger_kw: float) -> None:
    """Constant power, then an exponential tail, added for each bus."""
    tail_kw = charger_kw * np.exp(-np.arange(1, 61) / _CHARGE_DECAY_MIN)
    for begin, energy in zip(begin_min.tolist(), energy_kwh.tolist(), strict=True):
        first = int(begin)
        flat = max(1, round(60.0 * energy / charger_kw - _CHARGE_DECAY_MIN))
        p_kw[first : first + flat] += charger_kw
        room = max(0, min(len(tail_kw), len(p_kw) - first - flat))
        p_kw[first + flat : first + flat + room] += tail_kw[:room]


def battery(rated_kw: float, time: Timeline, rng: Rng) -> Curve:
    """Storage behind the meter: charges flat in the valley, gives it back in the peaks; negative when discharging."""
    hours = rng.uniform(2.0, 7.5)
    begin = _VALLEY_START_MIN + rng.uniform(0.0, 30.0)
    works = np.ones(time.n_days, dtype=np.bool_)
    charging = daily_blocks(time, np.full(time.n_days, begin), np.full(time.n_days, begin + 60.0 * hours), works)
    each_peak_min = 60.0 * hours * 0.88 / 2.0
    discharging = time.between(8 * 60, 8 * 60 + min(each_peak_min, 180.0))
    discharging |= time.between(17 * 60, 17 * 60 + min(each_peak_min, 300.0))
    p_kw = rated_kw * (charging * 1.0 - discharging * rng.uniform(0.7, 1.0))
    p_kw = p_kw * (1.0 + 0.003 * rng.standard_normal(time.n))
    return Curve(p_kw, constant_pf_q_kvar(np.abs(p_kw), 0.99), 0.003)


def heating_boiler(rated_kw: float, time: Timeline, rng: Rng) -> Curve:
    """Storage heating: on with the valley to the minute, off when the store is full; in the heating season only."""
    degc = outdoor_degc(time, rng)
    heating = np.array([(date.month, date.day) >= (11, 15) or (date.month, date.day) <= (3, 15) for date in time.dates])
    stages = int(rng.integers(4, 13))
    delay_min = rng.uniform(0.0, 3.0)
    full_min = _VALLEY_MIN * rng.uniform(0.6, 0.95) * np.maximum(18.0 - degc, 0.0) / _DESIGN_KELVIN
    full_min = np.minimum(full_min * (1.0 + rng.normal(0.0, 0.06, time.n_days)), _VALLEY_MIN)
    begin = np.full(time.n_days, _VALLEY_START_MIN + delay_min)
    on = daily_blocks(time, begin, begin + full_min, heating & (full_min > 5.0))
    tail = daily_blocks(time, begin + 0.85 * full_min, begin + full_min, heating & (full_min > 60.0))
    level = np.where(tail, math.ceil(0.6 * stages) / stages, 1.0) * on
    circulation = 0.02 * by_day(time, heating.astype(np.float64))
    p_kw = rated_kw * (0.95 * level * (1.0 + ar1(rng, time.n, 0.004, 0.95)) + circulation)
    if rng.random() < 0.2:
        return Curve(p_kw, thyristor_q_kvar(p_kw, p_max_kw=1.05 * rated_kw, overlap_deg=3.0), 0.004)
    return Curve(p_kw, constant_pf_q_kvar(p_kw, rng.uniform(0.99, 1.0)), 0.004)


def pumping(rated_kw: float, time: Timeline, rng: Rng) -> Curve:
    """Pumps in whole steps: many in the valley until the tank is full, few by day as the tank asks."""
    pumps = int(rng.integers(1, 5))
    running = np.zeros(time.n)
    for pump in range(pumps):
        begin = _VALLEY_START_MIN + 5.0 * pump + rng.normal(0.0, 6.0, time.n_days)
        end = begin + rng.uniform(240.0, 470.0, time.n_days)
        running += daily_blocks(time, begin, end, rng.random(time.n_days) < 0.92)
    for day in range(time.n_days):
        for _ in range(int(rng.poisson(2.0))):
            begin_day = int(time.day_start[day]) + int(rng.integers(420, 1320))
            running[begin_day : begin_day + int(rng.integers(30, 121))] += 1.0
    running = np.minimum(running, pumps)
    p_kw = rated_kw / pumps * 0.9 * running * (1.0 + ar1(rng, time.n, 0.006, 0.9))
    return Curve(p_kw, motor_q_kvar(p_kw, rated_kw=rated_kw, full_pf=rng.uniform(0.82, 0.90)), 0.008)


def cold_store(rated_kw: float, time: Timeline, rng: Rng) -> Curve:
    """Compressors in steps, asked for by the weather, pre-cooling in the valley, defrosting some times a day."""
    compressors = int(rng.integers(2, 7))
    warmth = np.clip(by_day(time, outdoor_degc(time, rng)) / 35.0, 0.0, 1.0)
    asked = 0.25 + 0.35 * warmth + 0.10 * np.sin(2.0 * np.pi * (time.minute_of_day - 540.0) / MINUTES_A_DAY)
    if rng.random() < 0.6:
        asked = asked + 0.3 * time.between(_VALLEY_START_MIN, 7 * 60)
    asked = asked + ar1(rng, time.n, 0.12, 0.96)
    steps = np.clip(np.round(asked * compressors), 0, compressors)
    level = 0.04 + 0.92 * steps / compressors
    defrosts = int(rng.integers(4, 7))
    for at in range(int(rng.integers(0, MINUTES_A_DAY // defrosts)), time.n, MINUTES_A_DAY // defrosts):
        level[at : at + int(rng.integers(20, 41))] += 0.08
    p_kw = rated_kw * level * (1.0 + 0.01 * rng.standard_normal(time.n))
    return Curve(p_kw, motor_q_kvar(p_kw, rated_kw=rated_kw, full_pf=rng.uniform(0.82, 0.88)), 0.02)
