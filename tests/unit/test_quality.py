"""quality: each fault is named, sound data pass."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from detectors.quality import Quality
from models.domain.findings import Judgement, Status
from models.domain.windows import SlotFlag, Window
from tests.support.night_windows import judged_nights, series_windows

SLOTS = 96
NIGHTS = 5


def sound(seed: int = 1) -> NDArray[np.float64]:
    """Five alike nights of a shift load."""
    rng = np.random.default_rng(seed)
    shape = np.tile(np.concatenate([np.full(32, 300.0), np.full(40, 40.0), np.full(24, 280.0)]), NIGHTS)
    return shape * (1.0 + 0.02 * rng.standard_normal(len(shape)))


def last(windows: list[Window]) -> Judgement:
    *_, (window, context) = judged_nights(windows)
    return Quality().evaluate(window, context)


def windows_of(power_kw: NDArray[np.float64], kwh: NDArray[np.float64] | None = None) -> list[Window]:
    kwh = 1e4 + np.concatenate([[0.0], np.cumsum(np.nan_to_num(power_kw)) / 4.0]) if kwh is None else kwh
    return series_windows({"m": {"p_kw": power_kw, "e_imp_kwh": kwh}}, 900, dt.date(2026, 3, 2))


def codes(judgement: Judgement) -> set[str]:
    return {reason.code for finding in judgement.findings for reason in finding.reasons}


def test_sound_data_are_clear() -> None:
    judgement = last(windows_of(sound()))
    assert list(judgement.status) == [Status.CLEAR]
    assert judgement.score[0] < 0.5


def test_gaps() -> None:
    power = sound()
    kwh = 1e4 + np.concatenate([[0.0], np.cumsum(power) / 4.0])
    power[-40:-20] = np.nan
    kwh[-40:-20] = np.nan
    judgement = last(windows_of(power, kwh))
    assert codes(judgement) == {"gap"}
    assert judgement.findings[0].measures["gap_share"] == pytest.approx(21 / 96, rel=1e-4)


def test_a_value_that_stands_still() -> None:
    power = sound()
    power[-60:-45] = power[-60]
    assert codes(last(windows_of(power))) == {"stuck"}


def test_zero_for_hours_is_no_stuck_value() -> None:
    power = sound()
    power[-80:-20] = 0.0
    assert "stuck" not in codes(last(windows_of(power)))


def test_a_register_that_fell() -> None:
    power = sound()
    kwh = 1e4 + np.concatenate([[0.0], np.cumsum(power) / 4.0])
    kwh[-50:] -= kwh[-50]
    assert codes(last(windows_of(power, kwh))) == {"reset"}


def test_spikes() -> None:
    power = sound()
    kwh = 1e4 + np.concatenate([[0.0], np.cumsum(power) / 4.0])
    power[[-90, -70, -50, -30]] = 5000.0
    assert codes(last(windows_of(power, kwh))) == {"spike"}


@pytest.mark.parametrize("factor", [0.5, 2.0, 10.0, 3.0**-0.5])
def test_a_changed_ratio_moves_every_quantile_alike(factor: float) -> None:
    power = sound()
    power[-SLOTS:] *= factor
    judgement = last(windows_of(power))
    assert codes(judgement) == {"ratio"}
    assert judgement.findings[0].measures["ratio_step"] == pytest.approx(factor, rel=0.05)


def test_a_ratio_changed_in_the_middle_of_a_night_is_told_on_the_next() -> None:
    power = sound()
    power[-SLOTS - SLOTS // 2 :] *= 10.0
    assert codes(last(windows_of(power))) == {"ratio"}


def test_nights_that_differ_among_themselves_tell_no_ratio() -> None:
    power = sound()
    power[: 2 * SLOTS] *= 3.0
    power[-SLOTS:] *= 10.0
    assert "ratio" not in codes(last(windows_of(power)))


def test_twice_the_work_on_the_same_standby_is_no_changed_ratio() -> None:
    power = sound()
    power[-SLOTS:] = np.where(power[-SLOTS:] > 100.0, 2.0 * power[-SLOTS:], power[-SLOTS:])
    assert "ratio" not in codes(last(windows_of(power)))


@pytest.mark.parametrize(("flag", "code"), [(SlotFlag.CONFLICT, "conflict"), (SlotFlag.OFF_TICK, "clock")])
def test_flags_of_the_window(flag: SlotFlag, code: str) -> None:
    windows = windows_of(sound())
    flags = windows[-1].flags.copy()
    flags[0, :30] |= np.uint8(flag)
    windows[-1] = replace(windows[-1], flags=flags)
    assert codes(last(windows)) == {code}


def test_a_silent_night_cannot_be_judged() -> None:
    power = sound()
    kwh = 1e4 + np.concatenate([[0.0], np.cumsum(power) / 4.0])
    power[-SLOTS:] = np.nan
    kwh[-SLOTS:] = np.nan
    assert list(last(windows_of(power, kwh)).status) == [Status.UNDETERMINED]
