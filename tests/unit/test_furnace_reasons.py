"""What a clerk reads about a suspected furnace."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from detectors.furnace_reasons import _decoy, _nights


def nights(*hours_after_noon: float) -> dict[str, NDArray[np.float64]]:
    return {"block_start_h": np.array(hours_after_noon), "acf_15min": np.ones(len(hours_after_noon))}


def test_starting_hours_tell_this_day_from_the_next() -> None:
    (reason,) = _nights(nights(10.5, 0.0, 20.0))
    assert reason.zh == "开工时刻中位数为 22:30（最早 12:00 或更早，最晚次日 08:00）"
    assert reason.en == "work starts at 22:30 (median; earliest 12:00 or before, latest 08:00 the next day)"


AT = {
    "heat_score": 0.0,
    "quarter_score": 0.5,
    "heat_kwh_cv": math.nan,
    "cycle_kwh_spread": 0.08,
    "period_min": 62.0,
    "heat_period_min": math.nan,
    "acf_peak": 0.7,
    "dip_depth": 0.8,
    "score_circle": 1.0,
}


@pytest.mark.parametrize(
    ("changed", "value"),
    [
        pytest.param({}, 8.0, id="forging_heater_by_the_spread_of_energy"),
        pytest.param({"score_circle": 0.0}, 62.0, id="arc_furnace_by_the_period"),
        pytest.param({"score_circle": 0.0, "dip_depth": 0.2}, 0.7, id="groups_by_the_autocorrelation"),
        pytest.param({"cycle_kwh_spread": math.nan}, 62.0, id="what_was_not_measured_says_nothing"),
    ],
)
def test_the_nearest_other_load_is_named_with_what_was_measured(changed: dict[str, float], value: float) -> None:
    (reason,) = _decoy(AT | changed)
    assert reason.value == value
    assert "nan" not in reason.zh + reason.en


def test_nothing_measured_names_no_other_load() -> None:
    assert _decoy(dict.fromkeys(AT, math.nan)) == []
