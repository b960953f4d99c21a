"""meter_silent: the dead man's switch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from detectors.base import Context
from detectors.meter_silent import MeterSilent
from models.domain.findings import Status
from models.domain.register import Register, RegisterRows
from models.domain.windows import SlotFlag, Window
from models.learned.features import night_features
from tests.support.night_windows import SHANGHAI, past_of, window_of

NAN = float("nan")


def answer(coverages: list[float], *, alive: bool = True, window: Window | None = None) -> tuple[Status, float]:
    """Status and score where the earlier nights had these coverages (NaN: no row) and the window's night is silent."""
    window = window or window_of({"p_kw": np.full((1, 96), NAN)})
    row = night_features(window, None)
    rows = [{**row, "coverage": np.array([c], dtype=np.float32)} for c in coverages]
    past = past_of([*rows, row], [window.night] * (len(rows) + 1))
    context = Context(Register(RegisterRows(), SHANGHAI), SHANGHAI, past, np.array([alive]))
    judgement = MeterSilent().evaluate(window, context)
    assert bool(judgement.findings) == (judgement.status[0] is Status.SUSPECT)
    return judgement.status[0], float(judgement.score[0])


@pytest.mark.parametrize(
    ("coverages", "alive", "status", "score"),
    [
        pytest.param([1.0, 1.0], True, Status.UNDETERMINED, 0.5, id="first_silent_night"),
        pytest.param([1.0, 0.0], True, Status.SUSPECT, 1.0, id="second_silent_night"),
        pytest.param([0.0, 1.0], True, Status.UNDETERMINED, 0.5, id="a_night_with_readings_breaks_the_silence"),
        pytest.param([0.0, NAN], True, Status.SUSPECT, 1.0, id="a_night_without_a_row_neither_counts_nor_breaks"),
        pytest.param([NAN, NAN], True, Status.UNDETERMINED, 0.5, id="unknown_nights_are_not_silent"),
        pytest.param([0.0, 0.0], False, Status.INHIBITED, 1.0, id="the_feed_is_down"),
    ],
)
def test_silence(coverages: list[float], alive: bool, status: Status, score: float) -> None:
    assert answer(coverages, alive=alive) == (status, score)


@pytest.mark.parametrize("channel", ["p_kw", "q_kvar", "ua_v", "e_q1_kvarh"])
def test_one_value_of_any_channel_is_a_sign_of_life(channel: str) -> None:
    values = np.full((1, 97 if channel.startswith("e_") else 96), NAN)
    values[0, 40] = 0.0
    assert answer([0.0, 0.0], window=window_of({channel: values})) == (Status.CLEAR, 0.0)


def test_contradicting_values_are_a_sign_of_life() -> None:
    window = window_of({"p_kw": np.full((1, 96), NAN)})
    flags = window.flags.copy()
    flags[0, 3] = SlotFlag.CONFLICT | SlotFlag.HAS_DATA
    assert answer([0.0, 0.0], window=replace(window, flags=flags)) == (Status.CLEAR, 0.0)


@pytest.mark.parametrize(
    ("coverages", "status"),
    [
        pytest.param([1.0, 0.0], Status.UNDETERMINED, id="two_days"),
        pytest.param([1.0, 0.0, 0.0], Status.SUSPECT, id="three_days"),
    ],
)
def test_a_meter_read_daily_may_miss_more(coverages: list[float], status: Status) -> None:
    window = window_of({"e_imp_kwh": np.full((1, 2), NAN)}, interval_s=86_400)
    assert answer(coverages, window=window)[0] is status
