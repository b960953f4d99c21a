"""Features against their slow twins, and what gaps, cadences and scale do to them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from models.learned.blocks import autocorrelation, residual, working_blocks
from models.learned.circle import fit_circle
from models.learned.counting import count_true
from models.learned.features import FEATURES, night_features
from models.learned.rounding import round_features
from models.learned.series import to_quarters
from tests.support.naive_features import (
    naive_acf,
    naive_blocks,
    naive_cycles,
    naive_quantile,
    naive_residual,
    naive_rhythm,
    naive_rounded,
)
from tests.support.night_windows import valley_slots, window_of
from tests.support.plain_loads import crucible_kw, quarter_hours

NAN = math.nan
nights = hnp.arrays(
    np.float32,
    (3, 96),
    elements=st.one_of(st.just(NAN), st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0]), st.floats(0.0, 1.25, width=32)),
)


@settings(max_examples=60, deadline=None)
@given(nights, st.floats(0.0, 0.6))
def test_blocks_residual_and_autocorrelation_are_the_loops(relative: np.ndarray, base: float) -> None:
    blocks = working_blocks(relative, np.full(3, base, dtype=np.float32))
    deviation = residual(relative, blocks.core)
    correlations = np.stack(autocorrelation(deviation, blocks.core), axis=1)
    for row in range(3):
        inside, core = naive_blocks(relative[row].tolist(), float(np.float32(base)))
        assert blocks.inside[row].tolist() == inside
        assert blocks.core[row].tolist() == core
        expected = naive_residual(relative[row].tolist(), core)
        np.testing.assert_allclose(deviation[row], expected, atol=1e-5)
        if sum(d * d for d in expected) > 1e-3:
            np.testing.assert_allclose(correlations[row], naive_acf(expected, core), atol=1e-3)


def test_night_features_are_the_loops_on_a_crucible_with_gaps() -> None:
    rng = np.random.default_rng(2)
    means, _, _ = quarter_hours(crucible_kw(rng, nights=6))
    means[rng.random(len(means)) < 0.04] = NAN
    power = means.reshape(6, 96).astype(np.float32)
    features = night_features(window_of({"p_mean_kw": power}), None)
    for row in range(6):
        expected = naive_rhythm(power[row].tolist())
        assert features["power_p95_kw"][row] == pytest.approx(expected["p95"], rel=1e-5)
        assert features["power_p20_kw"][row] == pytest.approx(naive_quantile(power[row].tolist(), 0.20), rel=1e-5)
        assert features["block_hours"][row] == pytest.approx(expected["block_hours"])
        assert features["wiggle"][row] == pytest.approx(expected["wiggle"], rel=1e-3)
        assert features["dip_count"][row] == expected["dip_count"]
        acf = [float(features[f"acf_{15 * lag}min"][row]) for lag in range(1, 12)]
        np.testing.assert_allclose(acf, expected["acf"], atol=2e-3)


def test_cycles_are_the_loop() -> None:
    rng = np.random.default_rng(21)
    means, _, _ = quarter_hours(crucible_kw(rng, nights=8, start_min=200, hours=18, spread=0.2))
    means[rng.random(len(means)) < 0.03] = NAN
    power = means.reshape(8, 96).astype(np.float32)
    features = night_features(window_of({"p_mean_kw": power}), None)
    for row in range(8):
        expected = naive_cycles(power[row].astype(float).tolist())
        assert features["cycle_count"][row] == len(expected)
        assert features["cycle_minutes"][row] == pytest.approx(np.median([m for m, _ in expected]), rel=1e-3)
        assert features["cycle_kwh"][row] == pytest.approx(np.median([e for _, e in expected]), rel=1e-3)


def test_a_cycle_is_measured_in_minutes_and_energy() -> None:
    _, instant, kwh = quarter_hours(crucible_kw(np.random.default_rng(5), nights=1, melt_min=58, gap_min=17))
    features = night_features(window_of({"p_kw": instant[None], "e_imp_kwh": kwh[None]}), valley_slots(900, 96))
    assert features["cycle_minutes"][0] == pytest.approx(75.0, abs=6.0)
    assert features["cycle_kwh"][0] == pytest.approx(0.9 * 1000.0 * 58.0 / 60.0, rel=0.12)
    assert features["cycle_kwh_spread"][0] < 0.2
    assert features["valley_share"][0] > 0.85
    assert features["snapshot_rms"][0] > 0.1


def test_heats_of_a_minute_series_are_counted_and_measured() -> None:
    minutes = crucible_kw(np.random.default_rng(6), nights=1, melt_min=55, gap_min=15)
    features = night_features(window_of({"p_kw": minutes[None]}, interval_s=60), None)
    assert features["heat_count"][0] == pytest.approx(7, abs=1)
    assert features["heat_minutes_median"][0] == pytest.approx(55.0, abs=5.0)
    assert features["gap_minutes_median"][0] == pytest.approx(17.0, abs=5.0)
    assert features["heat_kwh_median"][0] == pytest.approx(0.9 * 1000 * 55 / 60, rel=0.12)
    assert features["heat_kwh_cv"][0] < 0.15
    assert features["plateau_cv"][0] < 0.08
    assert features["fall_minutes_median"][0] <= 1.0
    assert 2.0 <= features["rise_minutes_median"][0] <= 20.0


def test_a_charging_notch_of_two_minutes_does_not_split_a_heat() -> None:
    minutes = crucible_kw(np.random.default_rng(7), nights=1)
    whole = night_features(window_of({"p_kw": minutes[None]}, interval_s=60), None)["heat_count"][0]
    on = np.flatnonzero(minutes > 900.0)
    minutes[on[len(on) // 2] : on[len(on) // 2] + 2] = 100.0
    notched = night_features(window_of({"p_kw": minutes[None]}, interval_s=60), None)["heat_count"][0]
    assert notched == whole


@pytest.mark.parametrize("interval_s", [60, 120, 180, 300, 600, 900])
def test_every_fine_cadence_sees_the_same_cycles(interval_s: int) -> None:
    minutes = crucible_kw(np.random.default_rng(8), nights=1, melt_min=60, gap_min=20)
    power = minutes.reshape(-1, interval_s // 60).mean(axis=1)
    features = night_features(window_of({"p_mean_kw": power[None]}, interval_s=interval_s), None)
    assert features["cycle_minutes"][0] == pytest.approx(80.0, abs=8.0)
    assert features["cadence_s"][0] == interval_s
    assert np.isfinite(features["heat_count"][0]) == (interval_s <= 120)


@pytest.mark.parametrize("interval_s", [1200, 1800, 3600])
def test_slow_cadences_have_no_rhythm_but_all_plain_features(interval_s: int) -> None:
    minutes = crucible_kw(np.random.default_rng(9), nights=1)
    power = minutes.reshape(-1, interval_s // 60).mean(axis=1)
    features = night_features(window_of({"p_mean_kw": power[None]}, interval_s=interval_s), None)
    assert features["energy_kwh"][0] == pytest.approx(minutes.sum() / 60.0, rel=1e-3)
    assert np.isnan(features["acf_60min"][0])


def test_quarters_of_ten_minutes_share_what_straddles() -> None:
    values = np.array([[30.0, 60.0, 90.0, 10.0, NAN, 10.0]], dtype=np.float32)
    np.testing.assert_allclose(to_quarters(values, 600), [[40.0, 80.0, 10.0, 10.0]])


def test_scale_changes_kilowatts_and_nothing_else() -> None:
    means, _, _ = quarter_hours(crucible_kw(np.random.default_rng(10), nights=1))
    small = night_features(window_of({"p_mean_kw": means[None]}), None)
    large = night_features(window_of({"p_mean_kw": 8.0 * means[None]}), None)
    for spec in FEATURES:
        factor = 8.0 if spec.unit in ("kW", "kWh", "kvar") else 1.0
        np.testing.assert_allclose(large[spec.name], factor * small[spec.name], rtol=1e-4, err_msg=spec.name)


def test_instants_means_and_registers_are_not_mixed() -> None:
    means, instant, kwh = quarter_hours(crucible_kw(np.random.default_rng(11), nights=1))
    both = night_features(window_of({"p_kw": instant[None], "e_imp_kwh": kwh[None]}), None)
    only_registers = night_features(window_of({"e_imp_kwh": kwh[None]}), None)
    only_instants = night_features(window_of({"p_kw": instant[None]}), None)
    assert both["energy_kwh"][0] == only_registers["energy_kwh"][0] == pytest.approx(means.sum() / 4.0, rel=1e-4)
    assert only_instants["energy_kwh"][0] != both["energy_kwh"][0]
    assert np.isnan(only_instants["snapshot_rms"][0])
    assert np.isnan(only_registers["snapshot_rms"][0])


def test_a_register_that_stood_still_and_caught_up_is_not_a_peak() -> None:
    _, instant, kwh = quarter_hours(crucible_kw(np.random.default_rng(12), nights=1, start_min=0, hours=23))
    clean = night_features(window_of({"p_kw": instant[None], "e_imp_kwh": kwh[None]}), None)
    stuck = kwh.copy()
    stuck[40:52] = stuck[40]
    frozen = instant.copy()
    frozen[40:51] = 900.0
    found = night_features(window_of({"p_kw": frozen[None], "e_imp_kwh": stuck[None]}), None)
    assert found["power_max_kw"][0] <= 1.02 * clean["power_max_kw"][0]
    assert found["coverage"][0] < 0.90


def test_a_single_quarter_of_a_replaced_meter_is_not_a_peak() -> None:
    kwh = 1000.0 + np.cumsum(np.full(97, 2.0))
    kwh[50:] += 40_000.0
    features = night_features(window_of({"e_imp_kwh": kwh[None]}), None)
    assert features["power_max_kw"][0] == pytest.approx(8.0)
    assert features["coverage"][0] == pytest.approx(95 / 96, rel=1e-5)


@settings(max_examples=200)
@given(hnp.arrays(np.float32, 4, elements=st.floats(-(2.0**40), 2.0**40, width=32, allow_subnormal=False)))
def test_rounding_is_six_decimal_digits(values: np.ndarray) -> None:
    values = values[(values == 0.0) | (np.abs(values) > 1e-20)]
    expected = np.array([naive_rounded(float(v)) for v in values.tolist()], dtype=np.float32)
    np.testing.assert_allclose(round_features(values), expected, rtol=1.2e-6)
    np.testing.assert_array_equal(round_features(round_features(values)), round_features(values))


@pytest.mark.parametrize("width", [0, 1, 96, 255, 256, 1440])
def test_counting_does_not_overflow(width: int) -> None:
    mask = np.ones((3, width), dtype=np.bool_)
    mask[1, ::2] = False
    assert count_true(mask).tolist() == mask.sum(axis=1).tolist()


def test_rounding_keeps_nan_and_zero() -> None:
    kept = round_features(np.array([NAN, 0.0, -0.0, 1234567.0, 0.00123456789], dtype=np.float32))
    assert math.isnan(kept[0])
    assert kept[1:].tolist() == np.array([0.0, 0.0, 1234570.0, 0.00123457], dtype=np.float32).tolist()


def pq(kind: str, rng: np.random.Generator, n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    power = rng.uniform(150.0, 1000.0, n)
    if kind == "thyristor":
        kvar = np.sqrt(power * (1060.0 - power)) - 120.0
    elif kind == "motor":
        kvar = 200.0 + 0.4 * power
    else:
        kvar = 0.2 * power
    return power, kvar + 8.0 * rng.standard_normal(n)


@pytest.mark.parametrize(("kind", "wins"), [("thyristor", True), ("motor", False), ("diode", False)])
def test_the_circle_wins_for_phase_control_only(kind: str, wins: bool) -> None:
    power, kvar = pq(kind, np.random.default_rng(1))
    fit = fit_circle(
        power[None].astype(np.float32),
        kvar[None].astype(np.float32),
        np.ones((1, len(power)), dtype=np.bool_),
        np.array([990.0], dtype=np.float32),
    )
    assert (fit.nats[0] > 10.0) == wins
    if wins:
        assert fit.pm_kw[0] == pytest.approx(1060.0, rel=0.05)
        assert fit.qc_kvar[0] == pytest.approx(120.0, abs=40.0)
        assert fit.top_slope[0] < 0.0
