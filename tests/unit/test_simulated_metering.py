"""Meters: snapshots and registers of the truth, and the faults laid over them."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import numpy as np
import pytest

from models.simulated.county import County, CountySpec, build
from models.simulated.metering import REGISTER_DIGITS_KWH, SiteReadings, read_meter, sample
from models.simulated.metering_faults import Stream, apply_faults
from models.simulated.seeding import stream
from models.simulated.spec import FaultKind, LoadClass, SiteSpec

COUNTY = build(CountySpec(seed=11, start=dt.date(2026, 3, 2), days=7, sites=60, minute_meters=4))


def site_of(county: County, load_class: LoadClass) -> SiteSpec:
    return next(spec for spec in county.sites if spec.load_class is load_class)


def readings_of(spec: SiteSpec, **meter: object) -> SiteReadings:
    changed = replace(spec, meter=replace(spec.meter, **meter))
    return read_meter(changed, COUNTY.site_load(spec.number), COUNTY.timeline, 1440, COUNTY.spec.seed)


def in_event_order(readings: SiteReadings) -> SiteReadings:
    order = np.lexsort((readings.arrival_ms, readings.ts_ms))
    first = np.concatenate(([True], np.diff(readings.ts_ms[order]) > 0))
    index = order[first]
    return SiteReadings(
        readings.ts_ms[index],
        readings.arrival_ms[index],
        readings.p_kw[index],
        readings.q_kvar[index],
        readings.e_imp_kwh[index],
    )


@pytest.mark.parametrize("step", [1, 15])
@pytest.mark.parametrize("load_class", [LoadClass.HIDDEN_FURNACE, LoadClass.TEXTILE, LoadClass.EV_DEPOT])
def test_the_register_differences_are_the_energy_of_the_truth(load_class: LoadClass, step: int) -> None:
    load = COUNTY.site_load(site_of(COUNTY, load_class).number)
    ends = np.arange(step, COUNTY.timeline.n + 1, step)
    seen = sample(load, COUNTY.timeline, ends, 0.0, stream(1, "sample"))
    expected_kwh = np.array([load.p_kw[end - step : end].sum() / 60.0 for end in ends])
    np.testing.assert_allclose(np.diff(np.concatenate(([0.0], seen.e_imp_kwh))), expected_kwh, rtol=1e-3, atol=1e-6)


def test_the_instant_is_the_last_minute_and_not_the_mean() -> None:
    load = COUNTY.site_load(site_of(COUNTY, LoadClass.HIDDEN_FURNACE).number)
    ends = np.arange(15, COUNTY.timeline.n + 1, 15)
    seen = sample(replace(load, snapshot_sd_kw=np.zeros(len(load.p_kw))), COUNTY.timeline, ends, 0.0, stream(1, "s"))
    np.testing.assert_array_equal(seen.p_kw, load.p_kw[ends - 1])


def test_a_late_clock_shifts_the_sample_and_the_register_alike() -> None:
    load = COUNTY.site_load(site_of(COUNTY, LoadClass.TEXTILE).number)
    ends = np.arange(15, COUNTY.timeline.n - 30, 15)
    late = sample(load, COUNTY.timeline, ends, 120.0, stream(1, "s"))
    later = sample(load, COUNTY.timeline, ends + 2, 0.0, stream(1, "s"))
    np.testing.assert_allclose(late.p_kw, later.p_kw)
    np.testing.assert_allclose(late.e_imp_kwh, later.e_imp_kwh)


def flat(n: int = 4000, step_s: int = 900) -> Stream:
    """A load of 60 kW read every `step_s`: the register climbs by one a minute."""
    ts_ms = 1_772_380_800_000 + 1000 * step_s * np.arange(1, n + 1, dtype=np.int64)
    return Stream(ts_ms, np.full(n, 60.0), np.full(n, 20.0), step_s / 60.0 * np.arange(1.0, n + 1))


def with_faults(*kinds: FaultKind) -> SiteSpec:
    spec = COUNTY.sites[0]
    return replace(spec, meter=replace(spec.meter, interval_s=900, faults=kinds))


def test_common_faults_leave_about_98_percent_and_repeat_a_few() -> None:
    kept, repeated, contradicted, late = [], [], [], []
    for seed in range(30):
        seen = apply_faults(with_faults(), flat(), stream(seed, "faults"))
        unique = np.unique(seen.ts_ms)
        kept.append(len(unique) / 4000)
        repeated.append((len(seen.ts_ms) - len(unique)) / len(unique))
        contradicted.append(np.mean(~np.isnan(seen.p_kw) & (seen.p_kw != 60.0)))
        late.append(np.mean(seen.arrival_ms - seen.ts_ms > 3_600_000))
        assert (seen.arrival_ms > seen.ts_ms).all()
    assert 0.95 < np.mean(kept) < 0.995
    assert np.mean(repeated) == pytest.approx(0.005, rel=0.3)
    assert np.mean(contradicted) == pytest.approx(0.001, rel=0.4)
    assert 0.01 < np.mean(late) < 0.06


def test_a_stuck_meter_catches_up_so_that_energy_is_kept() -> None:
    stuck = 0
    for seed in range(40):
        seen = apply_faults(with_faults(), flat(), stream(seed, "stuck"))
        order = np.argsort(seen.ts_ms, kind="stable")
        register, ts_ms = seen.e_imp_kwh[order], seen.ts_ms[order]
        ok = ~np.isnan(register)
        register, ts_ms = register[ok], ts_ms[ok]
        assert (np.diff(register) >= 0).all()
        true_kwh = (ts_ms - flat().ts_ms[0]) / 60_000 + 15.0
        frozen = register < true_kwh - 1e-9
        stuck += bool(frozen.any())
        assert frozen.mean() < 0.05
    assert stuck > 5


def test_a_dead_meter_falls_silent_for_good() -> None:
    seen = apply_faults(with_faults(FaultKind.DEAD), flat(), stream(1, "dead"))
    assert 0.25 < (seen.ts_ms.max() - flat().ts_ms[0]) / (flat().ts_ms[-1] - flat().ts_ms[0]) < 0.75


def test_a_replaced_meter_counts_from_nothing() -> None:
    seen = apply_faults(
        with_faults(FaultKind.REPLACED), replace(flat(), e_imp_kwh=flat().e_imp_kwh + 5e5), stream(1, "r")
    )
    register = seen.e_imp_kwh[np.argsort(seen.ts_ms, kind="stable")]
    falls = np.flatnonzero(np.diff(register) < -1000)
    assert len(falls) == 1
    assert register[falls[0] + 1] < 100.0


def test_a_changed_ratio_scales_power_and_the_speed_of_the_register() -> None:
    seen = apply_faults(with_faults(FaultKind.RATIO_CHANGED), flat(), stream(1, "ratio"))
    levels, counts = np.unique(seen.p_kw[~np.isnan(seen.p_kw)].round(6), return_counts=True)
    assert set(levels[counts > 500]) in ({60.0, 120.0}, {30.0, 60.0})


def test_a_register_that_rolls_over_wraps_at_its_size() -> None:
    spec = site_of(COUNTY, LoadClass.TEXTILE)
    seen = in_event_order(readings_of(spec, faults=(FaultKind.ROLLOVER,), ratio_applied=True))
    register = seen.e_imp_kwh[~np.isnan(seen.e_imp_kwh)]
    falls = np.flatnonzero(np.diff(register) < 0)
    wrap_kwh = REGISTER_DIGITS_KWH * spec.meter.ratio
    assert len(falls) == 1
    assert 0 < register[falls[0] + 1] - register[falls[0]] + wrap_kwh < 0.01 * wrap_kwh


def test_secondary_values_times_the_ratio_are_the_primary_ones() -> None:
    spec = site_of(COUNTY, LoadClass.TEXTILE)
    primary = readings_of(spec, ratio_applied=True, measures_q=True)
    secondary = readings_of(spec, ratio_applied=False, measures_q=True)
    ratio = spec.meter.ratio
    assert ratio > 1.0
    for name in ("p_kw", "q_kvar", "e_imp_kwh"):
        np.testing.assert_allclose(getattr(secondary, name) * ratio, getattr(primary, name), rtol=1e-9, atol=1e-4)


def test_a_meter_without_reactive_power_never_reports_it() -> None:
    assert np.isnan(readings_of(COUNTY.sites[3], measures_q=False).q_kvar).all()
