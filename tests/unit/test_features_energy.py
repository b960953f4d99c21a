"""Interval energy from registers: never negative, gaps never attributed to an interval (rule T5)."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.learned.energy import gap_energy_kwh, interval_energy_kwh
from tests.support.naive_features import naive_interval_energy

NAN = math.nan


@pytest.mark.parametrize(
    ("registers", "limit_kw", "wrap_kwh", "energy", "reset"),
    [
        pytest.param([10.0, 12.5, 12.5], None, None, [2.5, 0.0], [False, False], id="zero_is_an_energy"),
        pytest.param([10.0, NAN, 14.0], None, None, [NAN, NAN], [False, False], id="a_gap_belongs_to_no_interval"),
        pytest.param([999.0, 3.0, 5.0], None, 1000.0, [4.0, 2.0], [False, False], id="plausible_rollover"),
        pytest.param([999.0, 3.0, 5.0], 16.1, 1000.0, [4.0, 2.0], [False, False], id="rollover_within_rating"),
        pytest.param([999.0, 3.0, 5.0], 15.0, 1000.0, [NAN, 2.0], [True, False], id="rollover_beyond_rating"),
        pytest.param([500.0, 0.0, 2.0], None, 1000.0, [NAN, 2.0], [True, False], id="meter_replaced"),
        pytest.param([500.0, 0.0, 2.0], None, None, [NAN, 2.0], [True, False], id="fall_without_known_size"),
        pytest.param([0.0, 900.0, 902.0], 100.0, None, [NAN, 2.0], [True, False], id="jump_beyond_rating"),
        pytest.param([0.0, 900.0, 902.0], NAN, None, [900.0, 2.0], [False, False], id="unknown_rating_judges_nothing"),
    ],
)
def test_interval_energy(
    registers: list[float],
    limit_kw: float | None,
    wrap_kwh: float | None,
    energy: list[float],
    reset: list[bool],
) -> None:
    found, flags = interval_energy_kwh(
        np.array([registers]),
        900,
        limit_kw=None if limit_kw is None else np.array([limit_kw]),
        wrap_kwh=None if wrap_kwh is None else np.array([wrap_kwh]),
    )
    np.testing.assert_allclose(found[0], energy)
    assert flags[0].tolist() == reset


registers = st.lists(st.one_of(st.just(NAN), st.integers(0, 1000).map(float)), min_size=2, max_size=20)


@given(registers, st.one_of(st.none(), st.integers(1, 500).map(float)), st.sampled_from([None, 1000.0]))
def test_interval_energy_is_the_loop_and_never_negative(
    values: list[float], limit_kwh: float | None, wrap_kwh: float | None
) -> None:
    found, flags = interval_energy_kwh(
        np.array([values]),
        3600,
        limit_kw=None if limit_kwh is None else np.array([limit_kwh]),
        wrap_kwh=None if wrap_kwh is None else np.array([wrap_kwh]),
    )
    expected = naive_interval_energy(values, limit_kwh, wrap_kwh)
    np.testing.assert_allclose(found[0], [energy for energy, _ in expected])
    assert flags[0].tolist() == [reset for _, reset in expected]
    assert not (found < 0.0).any()


def test_the_total_of_a_gap_stands_where_it_ends() -> None:
    values = np.array([[0.0, 1.0, NAN, NAN, 7.0, 8.0], [0.0, NAN, 5.0, 6.0, 7.0, NAN]])
    totals = gap_energy_kwh(values, 900)
    np.testing.assert_allclose(totals, [[NAN, NAN, NAN, 6.0, NAN], [NAN, 5.0, NAN, NAN, NAN]])


def test_a_gap_across_a_reset_has_no_total() -> None:
    assert np.isnan(gap_energy_kwh(np.array([[50.0, NAN, 3.0]]), 900)).all()
    wrapped = gap_energy_kwh(np.array([[998.0, NAN, 3.0]]), 900, wrap_kwh=np.array([1000.0]))
    np.testing.assert_allclose(wrapped, [[NAN, 5.0]])


@given(registers)
def test_intervals_and_gaps_together_are_what_the_register_moved(values: list[float]) -> None:
    rising = np.cumsum(np.nan_to_num(np.array(values)))
    rising[np.isnan(values)] = NAN
    known = rising[np.isfinite(rising)]
    inside, _ = interval_energy_kwh(rising[None, :], 900)
    total = np.nansum(inside) + np.nansum(gap_energy_kwh(rising[None, :], 900))
    assert total == pytest.approx(known[-1] - known[0] if known.size else 0.0)
