"""Pooling of nights and the sub-scores of melting."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.learned.features import FEATURES, night_features
from models.learned.melting import pool_nights, ramp, weigh_evidence
from tests.support.night_windows import window_of
from tests.support.plain_loads import crucible_kw, quarter_hours

NIGHTS = 7
Rows = dict[str, NDArray[np.float32]]


def week(seed: int = 1, **crucible: float) -> Rows:
    """The feature rows of one meter with a crucible, (1, 7)."""
    means, _, _ = quarter_hours(crucible_kw(np.random.default_rng(seed), nights=NIGHTS, **crucible))  # type: ignore[arg-type]
    features = night_features(window_of({"p_mean_kw": means.reshape(NIGHTS, 96)}), None)
    return {name: values[None, :].copy() for name, values in features.items()}


def test_no_nights_are_no_evidence() -> None:
    nothing = {spec.name: np.full((3, NIGHTS), np.nan, dtype=np.float32) for spec in FEATURES}
    evidence = weigh_evidence(nothing)
    assert evidence.score.tolist() == [0.0, 0.0, 0.0]
    assert evidence.pooled.nights.tolist() == [0.0, 0.0, 0.0]


def test_means_over_nights_weigh_hours_and_cycles() -> None:
    rows = week()
    pooled = pool_nights(rows)
    hours, cycles = rows["block_hours"][0].astype(float), rows["cycle_count"][0].astype(float)
    assert pooled.hours[0] == pytest.approx(hours.sum())
    assert pooled.cycle_kwh[0] == pytest.approx((rows["cycle_kwh"][0] * cycles).sum() / cycles.sum())
    assert pooled.top_share[0] == pytest.approx((rows["top_share"][0] * hours).sum() / hours.sum())


def test_the_order_of_the_nights_does_not_matter() -> None:
    rows = week()
    backwards = {name: values[:, ::-1].copy() for name, values in rows.items()}
    assert weigh_evidence(backwards).score[0] == pytest.approx(weigh_evidence(rows).score[0], abs=1e-9)


def test_a_night_of_another_load_does_not_dilute_the_week() -> None:
    rows = week()
    clean = weigh_evidence(rows).score[0]
    rows["power_p95_kw"][0, 3] = 60.0
    rows["power_max_kw"][0, 3] = 400.0
    pooled = pool_nights(rows)
    assert pooled.nights[0] == NIGHTS - 1
    assert pooled.crest[0] < 1.2
    assert weigh_evidence(rows).score[0] == pytest.approx(clean, abs=0.1)


def test_one_night_metered_tenfold_does_not_hide_the_others() -> None:
    rows = week()
    rows["power_p95_kw"][0, 2] *= 10.0
    assert pool_nights(rows).nights[0] == NIGHTS - 1


def test_a_night_without_a_row_counts_nothing() -> None:
    rows = week()
    for values in rows.values():
        values[0, :2] = np.nan
    assert pool_nights(rows).nights[0] == NIGHTS - 2
    assert weigh_evidence(rows).score[0] > 0.5


@pytest.mark.parametrize(
    ("feature", "value", "part"),
    [
        ("dip_depth", 0.11, "depth"),
        ("dip_rim_spread", 0.2, "flat_top"),
        ("power_max_kw", 5000.0, "flat_top"),
        ("cycle_kwh_spread", 0.6, "quantum"),
        ("cycle_minutes_spread", 0.6, "tempo"),
        ("cycle_minutes", 5.0, "filling"),
        ("acf_75min", -0.3, "rhythm"),
    ],
)
def test_each_sub_score_falls_with_its_own_measurement(feature: str, value: float, part: str) -> None:
    rows = week(melt_min=58.0, gap_min=17.0)
    before = weigh_evidence(rows)
    rows[feature][:] = value
    if feature == "acf_75min":
        for name in rows:
            if name.startswith("acf_"):
                rows[name][:] = value
    after = weigh_evidence(rows)
    assert getattr(after.parts, part)[0] < getattr(before.parts, part)[0]
    assert after.quarter_score[0] <= before.quarter_score[0]


@pytest.mark.parametrize("period", [52.0, 62.0, 70.0])
def test_the_period_is_the_shortest_one_and_not_a_multiple_of_it(period: float) -> None:
    for seed in range(4):
        rows = week(seed=seed, melt_min=period - 14.0, gap_min=14.0)
        assert pool_nights(rows).period_min[0] == pytest.approx(period, rel=0.1)


def test_cycles_shorter_than_a_heat_are_no_rhythm() -> None:
    rows = week()
    rows["cycle_minutes"][:] = 35.0
    assert weigh_evidence(rows).parts.rhythm[0] == 0.0


@pytest.mark.parametrize(
    ("slope", "power_factor", "nats", "cleared"),
    [
        (0.57, 0.87, -10.0, True),
        (0.29, 0.96, -10.0, False),
        (-0.40, 0.93, 10.0, False),
        (0.57, 0.87, 10.0, False),
        (np.nan, np.nan, np.nan, False),
    ],
)
def test_only_the_reactive_power_of_a_motor_clears_a_rhythm(
    slope: float, power_factor: float, nats: float, cleared: bool
) -> None:
    rows = week()
    rows["q_top_slope"][:], rows["pf_high"][:], rows["circle_nats"][:] = slope, power_factor, nats
    assert (weigh_evidence(rows).score[0] < 0.05) == cleared


@given(st.floats(-2.0, 2.0), st.floats(-1.0, 1.0), st.floats(0.01, 1.0))
def test_ramp_rises_or_falls_between_zero_and_one(value: float, low: float, width: float) -> None:
    rising = float(ramp(np.array([value]), low, low + width)[0])
    falling = float(ramp(np.array([value]), low + width, low)[0])
    assert 0.0 <= rising <= 1.0
    assert rising + falling == pytest.approx(1.0)
    assert ramp(np.array([np.nan]), low, low + width)[0] == 0.0
