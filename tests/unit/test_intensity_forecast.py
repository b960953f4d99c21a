"""The forecast of a period's end: what is known counts, and less data never makes it surer."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.intensity.forecast import CONFIDENCE, LEAST_BLOCKS, Forecast, forecast

figures = st.floats(50.0, 500.0, allow_nan=False)
blocks_of = st.lists(figures, min_size=LEAST_BLOCKS, max_size=12)
shares = st.floats(0.05, 0.95)


def told(blocks: list[float], *, so_far: float | None = 300.0, passed: float = 0.5, limit: float = 310.0) -> Forecast:
    found = forecast(so_far=so_far, blocks=blocks, passed=passed, blocks_to_come=2.0, limit=limit)
    assert found is not None
    return found


def width(found: Forecast) -> float:
    return found.high - found.low


@given(blocks_of, shares, figures)
def test_the_interval_holds_what_is_expected_and_the_chance_is_a_chance(
    blocks: list[float], passed: float, limit: float
) -> None:
    found = told(blocks, passed=passed, limit=limit)
    assert found.low <= found.expected <= found.high
    assert found.probability is not None
    assert 0.0 <= found.probability <= 1.0
    assert (found.probability >= 0.5) is (found.expected >= limit) or math.isclose(found.expected, limit, rel_tol=1e-4)


@given(figures, st.floats(1.0, 40.0), shares)
def test_fewer_blocks_of_the_same_spread_widen_it(mean: float, spread: float, passed: float) -> None:
    few, many = [mean - spread, mean, mean + spread], [mean - spread, mean, mean + spread] * 4
    assert width(told(few, passed=passed)) > width(told(many, passed=passed))


@given(blocks_of, st.floats(0.05, 0.45), st.floats(0.5, 0.95))
def test_the_more_of_the_period_has_passed_the_narrower_it_is(blocks: list[float], early: float, late: float) -> None:
    assert width(told(blocks, passed=late)) <= width(told(blocks, passed=early)) * (1 + 1e-5)


@given(blocks_of, st.integers(0, 11))
def test_the_order_of_the_blocks_is_nothing(blocks: list[float], cut: int) -> None:
    assert told(blocks) == told(blocks[cut:] + blocks[:cut])


@given(blocks_of, figures, figures)
def test_a_higher_limit_is_less_likely_exceeded(blocks: list[float], one: float, other: float) -> None:
    low, high = sorted((one, other))
    chances = [told(blocks, limit=limit).probability for limit in (low, high)]
    assert chances[0] is not None
    assert chances[1] is not None
    assert chances[0] >= chances[1]


def test_the_figures_of_a_hand_made_case() -> None:
    found = told([300.0, 310.0, 320.0, 330.0], so_far=305.0, passed=0.25, limit=320.0)
    assert found.expected == pytest.approx(0.75 * 315.0 + 0.25 * 305.0)
    error = 0.75 * math.sqrt((15**2 + 5**2 + 5**2 + 15**2) / 3) * math.sqrt(1 / 2 + 1 / 4)
    assert found.high - found.expected == pytest.approx(2.353363 * error, rel=1e-4)
    assert CONFIDENCE == 0.9


def test_without_a_figure_so_far_the_blocks_stand_for_all_of_it() -> None:
    assert told([300.0, 310.0, 320.0], so_far=None).expected == pytest.approx(310.0)


def test_alike_blocks_leave_no_doubt() -> None:
    found = told([300.0, 300.0, 300.0], so_far=300.0, limit=299.0)
    assert (found.low, found.high, found.probability) == (300.0, 300.0, 1.0)


@pytest.mark.parametrize(
    ("blocks", "passed", "to_come"),
    [
        pytest.param([300.0, 310.0], 0.5, 2.0, id="two_blocks_say_nothing"),
        pytest.param([300.0, 310.0, 320.0], 1.0, 2.0, id="the_period_is_over"),
        pytest.param([300.0, 310.0, 320.0], 0.9, 0.0, id="nothing_is_to_come"),
    ],
)
def test_what_cannot_be_said_is_not_said(blocks: list[float], passed: float, to_come: float) -> None:
    assert forecast(so_far=300.0, blocks=blocks, passed=passed, blocks_to_come=to_come, limit=310.0) is None
