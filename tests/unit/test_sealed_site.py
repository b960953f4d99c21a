"""sealed_site: closed and cut-off plants that draw power, and what must not be taken for that."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
from numpy.typing import NDArray

from detectors.sealed_site import SealedSite
from models.domain.findings import Finding, Status
from models.domain.register import Enterprise, EnterpriseStatus, Meter, Register, RegisterRows, Site
from tests.support.night_windows import SHANGHAI, judged_nights, series_windows

START = dt.date(2026, 3, 2)
SINCE = dt.date(2026, 1, 15)
SLOTS = 96


def register(
    status: EnterpriseStatus = EnterpriseStatus.CLOSED,
    since: dt.date | None = SINCE,
    contract_kva: float | None = 800.0,
) -> Register:
    return Register(
        RegisterRows(
            enterprises=(Enterprise(uscc="U", name="甲", status=status, since=since),),
            sites=(Site(site="S", uscc="U"),),
            meters=(Meter(meter="m", site="S", publisher="P", contract_kva=contract_kva),),
        ),
        SHANGHAI,
    )


def judge(power_kw: NDArray[np.float64], known: Register, channel: str = "p_mean_kw") -> list[tuple[Status, float]]:
    return [(status, score) for status, score, _ in judged(power_kw, known, channel)]


def judged(
    power_kw: NDArray[np.float64], known: Register, channel: str = "p_mean_kw"
) -> list[tuple[Status, float, Finding | None]]:
    out = []
    for window, context in judged_nights(series_windows({"m": {channel: power_kw}}, 900, START), known):
        judgement = SealedSite().evaluate(window, context)
        finding = judgement.findings[0] if judgement.findings else None
        out.append((judgement.status[0], float(judgement.score[0]), finding))
    return out


def standby(nights: int, level_kw: float = 2.0) -> NDArray[np.float64]:
    return np.full(nights * SLOTS, level_kw)


@pytest.mark.parametrize("status", [EnterpriseStatus.CLOSED, EnterpriseStatus.POWER_CUT])
def test_one_night_of_work_at_a_sealed_site_is_enough(status: EnterpriseStatus) -> None:
    power = standby(3)
    power[2 * SLOTS + 44 : 2 * SLOTS + 60] = 400.0
    answers = judged(power, register(status))
    assert [answer[0] for answer in answers] == [Status.CLEAR, Status.CLEAR, Status.SUSPECT]
    finding = answers[-1][2]
    assert finding is not None
    reasons = {reason.code: reason for reason in finding.reasons}
    assert reasons["energy"].value == pytest.approx(1600.0)
    assert reasons["peak"].value == pytest.approx(400.0)
    assert reasons["sustained"].value == pytest.approx(240.0)
    assert "2026-01-15" in reasons["status"].zh
    assert "疑似" in reasons["status"].zh
    assert "suspected" in reasons["status"].en


def test_an_operating_enterprise_may_run() -> None:
    assert judge(np.full(SLOTS, 400.0), register(EnterpriseStatus.OPERATING)) == [(Status.CLEAR, 0.0)]


def test_a_closure_from_next_week_does_not_count_yet() -> None:
    known = register(since=START + dt.timedelta(days=7))
    assert judge(np.full(SLOTS, 400.0), known)[0][0] is Status.CLEAR


def test_a_plant_that_runs_every_night_does_not_become_its_own_standby() -> None:
    answers = judge(np.full(7 * SLOTS, 400.0), register())
    assert {status for status, _ in answers} == {Status.SUSPECT}


@pytest.mark.parametrize(
    "disturb",
    [
        pytest.param(lambda p: p.__setitem__(50, 900.0), id="a_single_spike"),
        pytest.param(lambda p: p.__setitem__(slice(40, 90), 4.5), id="a_watchman_and_his_heater"),
        pytest.param(lambda p: p.__setitem__(slice(0, 96, 2), 8.0), id="noise_that_never_lasts"),
    ],
)
def test_what_is_not_work(disturb: object) -> None:
    power = standby(2)
    disturb(power[SLOTS:])  # type: ignore[operator]
    assert judge(power, register())[-1][0] is Status.CLEAR


def test_a_site_with_a_high_standby_is_measured_against_it() -> None:
    power = standby(3, 12.0)
    power[2 * SLOTS + 20 : 2 * SLOTS + 40] = 25.0
    assert judge(power, register())[-1][0] is Status.CLEAR
    power[2 * SLOTS + 20 : 2 * SLOTS + 40] = 90.0
    assert judge(power, register())[-1][0] is Status.SUSPECT


def test_gaps_do_not_hide_work_but_silence_proves_nothing() -> None:
    power = standby(1)
    power[:60] = np.nan
    assert judge(power, register())[0][0] is Status.UNDETERMINED
    power[70:80] = 300.0
    assert judge(power, register())[0][0] is Status.SUSPECT


def test_work_is_read_from_the_register_not_from_one_instant() -> None:
    kwh = 100.0 + np.concatenate([[0.0], np.cumsum(np.full(SLOTS, 0.25))])
    kwh[60:] += np.minimum(np.arange(SLOTS - 59), 8) * 60.0
    assert judge(kwh, register(), channel="e_imp_kwh")[0][0] is Status.SUSPECT


def judged_days(kwh: list[float], known: Register, interval_s: int = 86_400) -> list[Status]:
    """Verdicts from a register read once an interval; the first of `kwh` belongs to the night of `START`."""
    read = np.concatenate([[1000.0], 1000.0 + np.cumsum(kwh)])
    windows = series_windows({"m": {"e_imp_kwh": read}}, interval_s, START)
    return [SealedSite().evaluate(window, context).status[0] for window, context in judged_nights(windows, known)]


@pytest.mark.parametrize("contract_kva", [None, 800.0, 2500.0])
def test_some_hours_of_work_are_seen_in_the_energy_of_a_day(contract_kva: float | None) -> None:
    days = judged_days([60.0, 70.0, 55.0, 65.0, 60.0 + 4 * 300.0, 60.0], register(contract_kva=contract_kva))
    assert days == [Status.CLEAR] * 4 + [Status.SUSPECT, Status.CLEAR]


@pytest.mark.parametrize(
    ("kwh", "contract_kva"),
    [
        pytest.param([350.0, 400.0, 360.0, 380.0, 500.0, 610.0], 2500.0, id="lights_and_guards_of_a_large_plant"),
        pytest.param([0.0] * 6, 800.0, id="a_register_that_stands"),
        pytest.param([50.0, 60.0, 50.0, 55.0, 110.0, 50.0], None, id="standby_of_an_unknown_contract"),
    ],
)
def test_days_within_standby_are_clear(kwh: list[float], contract_kva: float | None) -> None:
    assert set(judged_days(kwh, register(contract_kva=contract_kva))) == {Status.CLEAR}


def test_a_moderate_day_is_in_doubt_until_the_standby_of_the_days_before_is_known() -> None:
    known = register(contract_kva=2500.0)
    assert judged_days([1000.0] * 5, known) == [Status.UNDETERMINED] * 3 + [Status.CLEAR] * 2
    assert judged_days([4000.0] * 9, known) == [Status.SUSPECT] * 9


def test_one_hour_of_work_is_enough_from_registers_and_not_from_an_instant() -> None:
    hours = np.full(24, 2.0)
    hours[14] = 45.0
    assert judged_days(hours.tolist(), register(), 3600) == [Status.SUSPECT]
    (window,) = series_windows({"m": {"p_kw": hours}}, 3600, START)
    ((_, context),) = judged_nights([window], register())
    assert SealedSite().evaluate(window, context).status[0] is Status.CLEAR
