"""Decoys keep the shape that tells them from melting."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from models.simulated import loads_general, loads_metal, loads_valley
from models.simulated.loads import LOADS
from models.simulated.schedules import daily_blocks
from models.simulated.seeding import stream
from models.simulated.shapes import ar1, low_pass
from models.simulated.spec import LoadClass
from models.simulated.timeline import Timeline, timeline

SHANGHAI = ZoneInfo("Asia/Shanghai")
TIME = timeline(dt.date(2026, 3, 2), 28, SHANGHAI)
WINTER = timeline(dt.date(2026, 1, 5), 7, SHANGHAI)
SUMMER = timeline(dt.date(2026, 6, 1), 7, SHANGHAI)


@pytest.mark.parametrize("load_class", list(LOADS))
def test_every_load_is_finite_bounded_and_the_same_for_the_same_seed(load_class: LoadClass) -> None:
    for seed in range(6):
        curve = LOADS[load_class](1000.0, TIME, stream(seed, "load"))
        again = LOADS[load_class](1000.0, TIME, stream(seed, "load"))
        assert curve.p_kw.shape == curve.q_kvar.shape == (TIME.n,)
        assert np.isfinite(curve.p_kw).all()
        assert np.isfinite(curve.q_kvar).all()
        assert curve.p_kw.max() <= 1500.0
        assert curve.p_kw.min() >= (-1100.0 if load_class is LoadClass.BATTERY else 0.0)
        assert curve.p_kw.tobytes() == again.p_kw.tobytes()
        assert curve.q_kvar.tobytes() == again.q_kvar.tobytes()


def quarter_hours(values: np.ndarray, time: Timeline) -> np.ndarray:
    return values[: time.n // 15 * 15].reshape(-1, 15).mean(axis=1)


def test_a_mill_around_the_clock_has_the_spread_of_a_measured_one() -> None:
    spreads, flatness = [], []
    for seed in range(20):
        p_kw = loads_metal.rolling_mill(1900.0, TIME, stream(seed, "mill")).p_kw
        if np.mean(p_kw == 0.0) < 0.01:
            means = quarter_hours(p_kw, TIME)
            spreads.append(means.std() / means.mean())
            hours = p_kw.reshape(TIME.n_days, 24, 60).mean(axis=(0, 2))
            flatness.append(hours.max() / hours.min())
    assert np.mean(spreads) == pytest.approx(0.25, rel=0.15)
    assert max(flatness) < 1.4


def test_coil_cutting_follows_the_hours_of_a_measured_plant() -> None:
    workdays = np.flatnonzero((TIME.weekday() < 5) & ~TIME.rest_day)
    hours = np.mean(
        [
            loads_general.steel_coil(490.0, TIME, stream(seed, "coil"))
            .p_kw.reshape(-1, 24, 60)[workdays]
            .mean(axis=(0, 2))
            for seed in range(12)
        ],
        axis=0,
    )
    assert hours[1:5].mean() == pytest.approx(17.0, rel=0.2)
    assert hours[[9, 10, 14, 15]].mean() == pytest.approx(270.0, rel=0.2)
    assert hours[12] == pytest.approx(90.0, rel=0.2)
    assert hours[18:21].mean() == pytest.approx(200.0, rel=0.2)


def test_forging_is_flat_by_the_minute_and_stops_irregularly() -> None:
    gaps_cv = []
    for seed in range(30):
        p_kw = loads_metal.forging(1000.0, TIME, stream(seed, "forge")).p_kw
        running = p_kw > 0.6 * np.percentile(p_kw, 99)
        starts = np.flatnonzero(np.diff(running.astype(int)) == 1)
        gaps = np.diff(starts)
        gaps = gaps[gaps < 300]
        gaps_cv.append(gaps.std() / gaps.mean())
        steady = p_kw[1:][running[1:] & running[:-1]]
        assert steady.std() / steady.mean() < 0.06
    assert np.median(gaps_cv) > 0.5


def test_the_heating_boiler_starts_with_the_valley_in_winter_and_rests_in_summer() -> None:
    p_kw = loads_valley.heating_boiler(1000.0, WINTER, stream(1, "boiler")).p_kw
    starts = np.flatnonzero((p_kw[1:] > 500.0) & (p_kw[:-1] < 500.0)) + 1
    minutes = WINTER.minute_of_day[starts]
    assert len(starts) >= 6
    assert ((minutes >= 23 * 60) & (minutes <= 23 * 60 + 3)).all()
    assert loads_valley.heating_boiler(1000.0, SUMMER, stream(1, "boiler")).p_kw.max() == 0.0


def test_the_cement_mill_starts_about_once_a_night_and_is_level() -> None:
    p_kw = loads_valley.cement_mill(3000.0, TIME, stream(4, "cement")).p_kw
    night = p_kw[TIME.between(0, 6 * 60)]
    running = night[night > 0.9 * np.percentile(night, 99)]
    assert running.std() / running.mean() < 0.03


def test_the_battery_gives_back_less_than_it_took() -> None:
    p_kw = loads_valley.battery(500.0, TIME, stream(2, "battery")).p_kw
    taken, given = p_kw[p_kw > 0].sum(), -p_kw[p_kw < 0].sum()
    assert 0.3 * taken < given < 0.95 * taken


def test_daily_blocks_equal_the_obvious_loop() -> None:
    time = timeline(dt.date(2026, 3, 2), 4, SHANGHAI)
    start = np.array([-30.0, 600.0, 1430.0, 1300.0])
    end = np.array([20.0, 700.0, 1500.0, 1600.0])
    works = np.array([True, True, True, False])
    expected = np.zeros(time.n, dtype=bool)
    for minute in range(time.n):
        for day in range(4):
            midnight = time.day_start[day]
            if works[day] and midnight + start[day] <= minute < midnight + end[day]:
                expected[minute] = True
    np.testing.assert_array_equal(daily_blocks(time, start, end, works), expected)


def test_noise_has_the_spread_and_memory_asked_for() -> None:
    noise = ar1(stream(1, "noise"), 400_000, 0.05, 0.8)
    assert noise.std() == pytest.approx(0.05, rel=0.03)
    assert np.corrcoef(noise[1:], noise[:-1])[0, 1] == pytest.approx(0.8, abs=0.02)


def test_low_pass_starts_at_its_first_value_and_equals_the_recursion() -> None:
    values = stream(2, "lag").random(50)
    keep = np.exp(-1.0 / 7.0)
    expected, last = [], values[0]
    for value in values:
        last = keep * last + (1.0 - keep) * value
        expected.append(last)
    np.testing.assert_allclose(low_pass(values, 7.0), expected)


def test_a_day_of_a_clock_change_has_its_own_length() -> None:
    time = timeline(dt.date(2026, 3, 28), 3, ZoneInfo("Europe/Berlin"))
    assert np.diff(time.day_start).tolist() == [1440, 1380, 1440]
    assert time.minute_of_day[time.day_start[1]] == 0
