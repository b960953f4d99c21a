"""furnace_melt on loads drawn from physics, on the simulator, and on measured loads that do not melt."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

import numpy as np
import pytest
from numpy.typing import NDArray

from detectors.furnace_melt import FurnaceMelt, register_mismatch
from models.domain.findings import Finding, Status
from models.domain.register import (
    Enterprise,
    EnterpriseStatus,
    Furnace,
    FurnaceKind,
    Meter,
    Register,
    RegisterRows,
    Site,
)
from tests.bench.accuracy import HOLD_NIGHTS, Tally, judge_county, judge_measured
from tests.support.measured_loads import FOLDER
from tests.support.night_windows import SHANGHAI, judged_nights, series_windows
from tests.support.plain_loads import crucible_kw, forging_kw, mill_kw, noisy_shift_kw, quarter_hours

START = dt.date(2026, 3, 2)
NIGHTS = 7


def register(**furnace: object) -> Register:
    rows = RegisterRows(
        enterprises=(Enterprise(uscc="U", name="甲", trade="C2927"),),
        sites=(Site(site="S", uscc="U"),),
        meters=(Meter(meter="m", site="S", publisher="P", contract_kva=630.0),),
        furnaces=(Furnace(furnace="F1", site="S", **furnace),) if furnace else (),  # type: ignore[arg-type]
    )
    return Register(rows, SHANGHAI)


def judge(
    channels: Mapping[str, NDArray[np.floating]], interval_s: int = 900, known: Register | None = None
) -> tuple[list[Status], Finding | None]:
    """Status of every night and the last finding."""
    statuses: list[Status] = []
    finding = None
    for window, context in judged_nights(series_windows({"m": channels}, interval_s, START), known or register()):
        judgement = FurnaceMelt().evaluate(window, context)
        statuses.append(judgement.status[0])
        finding = judgement.findings[0] if judgement.findings else None
    return statuses, finding


def by_register(minutes_kw: NDArray[np.float64]) -> dict[str, NDArray[np.floating]]:
    _, instant, kwh = quarter_hours(minutes_kw)
    return {"e_imp_kwh": kwh, "p_kw": instant}


CRUCIBLES = [
    pytest.param({"melt_min": 50, "gap_min": 14}, id="modern_one_tonne"),
    pytest.param({"rated_kw": 350.0, "melt_min": 95, "gap_min": 22}, id="old_and_slow"),
    pytest.param({"start_min": 1200, "hours": 9}, id="day_shift"),
    pytest.param({"rated_kw": 6000.0, "melt_min": 62, "gap_min": 18, "spread": 0.1}, id="ten_tonnes_less_regular"),
    pytest.param({"rated_kw": 3000.0, "start_min": 60, "hours": 22}, id="around_the_clock"),
    pytest.param({"rated_kw": 800.0, "base_kw": 300.0}, id="beside_a_steady_load"),
]


@pytest.mark.parametrize("crucible", CRUCIBLES)
@pytest.mark.parametrize("fed", ["register", "mean", "minute"])
def test_a_crucible_is_found_within_a_week(crucible: dict[str, float], fed: str) -> None:
    minutes = crucible_kw(np.random.default_rng(3), nights=NIGHTS, **crucible)  # type: ignore[arg-type]
    means, _, _ = quarter_hours(minutes)
    if fed == "register":
        statuses, finding = judge(by_register(minutes))
    elif fed == "mean":
        statuses, finding = judge({"p_mean_kw": means})
    else:
        statuses, finding = judge({"p_kw": minutes}, interval_s=60)
    assert statuses.count(Status.SUSPECT) >= 2
    assert finding is not None
    assert finding.score >= FurnaceMelt().threshold


@pytest.mark.parametrize("load", [forging_kw, mill_kw, noisy_shift_kw])
@pytest.mark.parametrize("fed", ["register", "minute"])
@pytest.mark.parametrize("seed", range(5))
def test_other_loads_raise_no_lead(load: object, fed: str, seed: int) -> None:
    minutes = load(np.random.default_rng(seed), nights=NIGHTS)  # type: ignore[operator]
    if fed == "register":
        statuses, _ = judge(by_register(minutes))
    else:
        statuses, _ = judge({"p_kw": minutes}, interval_s=60)
    assert statuses.count(Status.SUSPECT) < HOLD_NIGHTS


def test_the_reasons_name_what_a_clerk_can_check() -> None:
    minutes = crucible_kw(np.random.default_rng(4), nights=NIGHTS, rated_kw=1000.0, melt_min=55, gap_min=16)
    _, finding = judge(by_register(minutes))
    assert finding is not None
    reasons = {reason.code: reason for reason in finding.reasons}
    assert {"period", "dips", "heat_kwh", "block_hours", "snapshot", "block_start", "decoy"} <= set(reasons)
    assert reasons["period"].value == pytest.approx(71.0, abs=6.0)
    assert reasons["heat_kwh"].value == pytest.approx(0.9 * 1000.0 * 55.0 / 60.0, rel=0.15)
    assert "t" in reasons["heat_kwh"].en
    assert "疑似" in reasons["period"].zh
    assert reasons["contract_ratio"].value > 1.4
    assert reasons["block_start"].value == pytest.approx(11.0, abs=1.5)


def test_a_declared_melting_furnace_is_declared_and_never_suspect() -> None:
    minutes = crucible_kw(np.random.default_rng(5), nights=NIGHTS)
    statuses, finding = judge(by_register(minutes), known=register(kind=FurnaceKind.MEDIUM_FREQUENCY))
    assert Status.SUSPECT not in statuses
    assert statuses[-1] is Status.DECLARED
    assert finding is not None
    assert finding.status is Status.DECLARED


def test_a_declared_forging_heater_does_not_excuse_melting() -> None:
    minutes = crucible_kw(np.random.default_rng(5), nights=NIGHTS)
    statuses, _ = judge(by_register(minutes), known=register(kind=FurnaceKind.INDUCTION_HEATING))
    assert statuses[-1] is Status.SUSPECT


def test_the_score_does_not_read_the_register() -> None:
    minutes = crucible_kw(np.random.default_rng(6), nights=NIGHTS)
    _, undeclared = judge(by_register(minutes))
    _, declared = judge(by_register(minutes), known=register(kind=FurnaceKind.MEDIUM_FREQUENCY))
    assert undeclared is not None
    assert declared is not None
    assert undeclared.score == declared.score
    assert undeclared.mismatch > declared.mismatch


def test_a_night_without_melting_is_clear_whatever_the_week_was() -> None:
    minutes = crucible_kw(np.random.default_rng(7), nights=NIGHTS)
    minutes[-1440:] = 20.0
    statuses, _ = judge(by_register(minutes))
    assert statuses[-2] is Status.SUSPECT
    assert statuses[-1] is Status.CLEAR


def test_a_night_that_is_mostly_missing_cannot_be_judged() -> None:
    minutes = crucible_kw(np.random.default_rng(8), nights=NIGHTS)
    channels = by_register(minutes)
    channels["e_imp_kwh"][-60:] = np.nan
    channels["p_kw"][-60:] = np.nan
    statuses, _ = judge(channels)
    assert statuses[-1] is Status.UNDETERMINED


def test_a_load_of_furnace_size_read_every_hour_cannot_be_judged() -> None:
    minutes = crucible_kw(np.random.default_rng(9), nights=NIGHTS)
    statuses, _ = judge({"p_mean_kw": minutes.reshape(-1, 60).mean(axis=1)}, interval_s=3600)
    assert set(statuses) == {Status.UNDETERMINED}


def test_ten_percent_of_lost_readings_do_not_hide_a_crucible() -> None:
    rng = np.random.default_rng(10)
    channels = by_register(crucible_kw(rng, nights=NIGHTS, start_min=60, hours=22))
    lost = rng.random(len(channels["p_kw"])) < 0.05
    channels["p_kw"][lost] = np.nan
    channels["e_imp_kwh"][1:][lost] = np.nan
    statuses, _ = judge(channels)
    assert statuses.count(Status.SUSPECT) >= 2


@pytest.mark.parametrize(
    ("enterprise", "meter", "furnaces", "peak_kw", "expected"),
    [
        pytest.param(None, None, (), 500.0, 0.4, id="nothing_known_but_no_furnace"),
        pytest.param(Enterprise(uscc="U", name="a", trade="C3391"), None, (), 500.0, 0.4, id="casting_trade"),
        pytest.param(Enterprise(uscc="U", name="a", trade="2927"), None, (), 500.0, 0.6, id="plastics_trade"),
        pytest.param(
            Enterprise(uscc="U", name="a", trade="2927", status=EnterpriseStatus.CLOSED),
            Meter(meter="m", site="S", publisher="P", contract_kva=400.0),
            (),
            500.0,
            1.0,
            id="closed_plastics_above_contract",
        ),
        pytest.param(
            Enterprise(uscc="U", name="a", trade="2927"),
            Meter(meter="m", site="S", publisher="P", contract_kva=800.0),
            (Furnace(furnace="F", site="S", kind=FurnaceKind.MEDIUM_FREQUENCY),),
            500.0,
            0.0,
            id="declared_within_contract",
        ),
    ],
)
def test_mismatch(
    enterprise: Enterprise | None, meter: Meter | None, furnaces: tuple[Furnace, ...], peak_kw: float, expected: float
) -> None:
    assert register_mismatch(enterprise, meter, furnaces, peak_kw=peak_kw) == pytest.approx(expected)


@pytest.mark.slow
def test_simulated_counties_meet_the_bar() -> None:
    tally = Tally()
    for seed in (31, 32, 33):
        judge_county(seed, tally)
    majors = [kind for kind in tally.sites if kind.startswith("furnace major")]
    found = sum(tally.leads[kind] for kind in majors)
    false = sum(count for kind, count in tally.leads.items() if not kind.startswith("furnace"))
    assert found / sum(tally.sites[kind] for kind in majors) >= 0.70
    assert 1000.0 * false / tally.site_weeks <= 10.0


@pytest.mark.real_data
@pytest.mark.skipif(not FOLDER.is_dir(), reason="the measured loads do not stand beside this checkout")
def test_no_measured_load_is_suspected_at_any_scale_or_way_of_feeding() -> None:
    judged = judge_measured(FOLDER)
    assert len(judged) == 16 * 9
    assert {meter: suspect for meter, (_, suspect) in judged.items() if suspect} == {}
