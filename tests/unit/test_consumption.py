"""consumption: what raises a lead, what never does, and how a lead ends."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from detectors.base import RECENT_NIGHTS, Context
from detectors.consumption import Consumption
from models.domain.findings import Finding, Status
from models.domain.nights import night_of_date, nights_before
from models.domain.register import (
    CalendarKind,
    CalendarRow,
    Enterprise,
    EnterpriseStatus,
    Meter,
    Register,
    RegisterRows,
    Site,
    TariffBand,
)
from models.domain.windows import PastNights, Window
from tests.bench.consumption import DAY_S, QUARTER_S, Rows, Tally, judge_measured, suspect_nights
from tests.support.measured_loads import FOLDER
from tests.support.night_windows import SHANGHAI

START = dt.date(2025, 3, 3)
NIGHTS = 240
AT = 180
"""Night of a change: 30 August 2025, clear of the festival."""

Floats = NDArray[np.float64]


def usual(seed: int = 1, *, level: float = 4000.0, sunday: float = 1.0, nights: int = NIGHTS) -> Floats:
    rng = np.random.default_rng(seed)
    week = np.array([sunday if (START + dt.timedelta(days=k)).weekday() == 6 else 1.0 for k in range(nights)])
    return np.asarray(level * week * np.exp(rng.normal(0.0, 0.05, nights)))


def rows(energy: Floats, *, share: Floats | float = 0.12, peak: Floats | None = None) -> Rows:
    columns = {
        "energy_kwh": energy,
        "coverage": np.where(np.isfinite(energy), 1.0, 0.0),
        "valley_share": np.broadcast_to(np.asarray(share, dtype=np.float64), energy.shape),
        "power_p95_kw": energy / 12.0 if peak is None else peak,
    }
    return {name: np.asarray(values, dtype=np.float32)[None, :] for name, values in columns.items()}


def found(given: Rows, register: Register | None = None, cadence_s: int = QUARTER_S) -> list[tuple[dt.date, Finding]]:
    register = register or Register(RegisterRows(), SHANGHAI)
    return list(suspect_nights(given, ["m"], START, cadence_s, register, RECENT_NIGHTS, Tally()))


def codes(given: Rows, register: Register | None = None, cadence_s: int = QUARTER_S) -> set[str]:
    return {finding.reasons[0].code for _, finding in found(given, register, cadence_s)}


def after(energy: Floats, factor: float, at: int = AT) -> Floats:
    changed = energy.copy()
    changed[at:] *= factor
    return changed


@pytest.mark.parametrize("cadence_s", [QUARTER_S, DAY_S])
@pytest.mark.parametrize(("factor", "code"), [(1.7, "rise"), (4.0, "rise"), (0.4, "fall"), (0.05, "stop")])
def test_a_sudden_change_of_level_that_holds_is_suspect(factor: float, code: str, cadence_s: int) -> None:
    nights = found(rows(after(usual(), factor)), cadence_s=cadence_s)
    assert {finding.reasons[0].code for _, finding in nights} == {code}
    first = nights[0][0] - START
    assert AT + 4 <= first.days <= AT + 18


@pytest.mark.parametrize("cadence_s", [QUARTER_S, DAY_S])
@pytest.mark.parametrize(("kwh", "expected"), [(9.6, {"stop"}), (0.0, set()), (400.0, set())])
def test_a_stop_to_a_constant_standby_is_a_stop_and_a_stuck_or_dead_meter_is_none(
    kwh: float, expected: set[str], cadence_s: int
) -> None:
    energy = np.where(np.arange(NIGHTS) < AT, usual(), kwh)
    assert codes(rows(energy), cadence_s=cadence_s) == expected


def test_the_reason_names_numbers_a_clerk_can_check() -> None:
    energy = after(usual(), 3.0)
    reason = found(rows(energy))[0][1].reasons[0]
    assert "2025-08-30" in reason.zh
    assert f"{float(np.median(energy[AT : AT + 6])):,.0f}"[:3] in reason.zh
    assert "3.0 倍" in reason.zh or "2.9 倍" in reason.zh or "3.1 倍" in reason.zh
    assert "kWh" in reason.en


def test_a_lead_ends_by_itself_and_does_not_come_back_next_month() -> None:
    nights = [night for night, _ in found(rows(after(usual(), 2.5)))]
    assert len({f"{night:%Y-%m}" for night in nights}) == 1
    assert max(nights) <= START + dt.timedelta(days=AT + 34)


@pytest.mark.parametrize("day", range(0, 31, 5))
def test_whatever_its_day_a_step_is_suspect_in_one_month(day: int) -> None:
    nights = [night for night, _ in found(rows(after(usual(day), 2.5, AT - 20 + day)))]
    assert len({f"{night:%Y-%m}" for night in nights}) == 1


@pytest.mark.parametrize("seed", range(4))
def test_usual_weeks_raise_nothing(seed: int) -> None:
    assert found(rows(usual(seed, sunday=0.2))) == []


@pytest.mark.parametrize(
    "energy",
    [
        pytest.param(np.zeros(NIGHTS), id="always_zero"),
        pytest.param(np.full(NIGHTS, np.nan), id="never_anything"),
        pytest.param(np.full(NIGHTS, 480.0), id="constant"),
        pytest.param(usual(level=30.0), id="closed_all_along"),
        pytest.param(np.where(np.arange(NIGHTS) < AT, usual(), 0.0), id="dies"),
        pytest.param(np.where(np.arange(NIGHTS) < AT, usual(), np.nan), id="falls_silent"),
        pytest.param(np.where(np.arange(NIGHTS) < AT, usual(), 4000.0), id="sticks"),
        pytest.param(np.where(np.arange(NIGHTS) < AT, 0.0, 0.5), id="a_trifle"),
        pytest.param(np.where(np.arange(NIGHTS) < AT, np.nan, usual()), id="new_meter"),
        pytest.param(-usual(), id="exports_all_the_time"),
    ],
)
def test_what_never_raises_a_lead(energy: Floats) -> None:
    assert found(rows(energy)) == []


@pytest.mark.parametrize("length", [1, 3, 7])
@pytest.mark.parametrize("factor", [-2.0, 0.0, 0.1, 9.0])
def test_a_few_odd_nights_are_no_change(length: int, factor: float) -> None:
    energy = usual()
    energy[AT : AT + min(length, 3 if factor > 1.0 else 7)] *= factor
    assert found(rows(energy)) == []


def test_growth_over_months_is_no_change() -> None:
    ramp = 2.2 ** np.clip((np.arange(NIGHTS) - 60) / 120.0, 0.0, 1.0)
    assert found(rows(usual() * ramp)) == []


def test_what_happened_in_the_same_weeks_last_year_is_the_season() -> None:
    energy = usual(nights=520)
    for begins in (60, 60 + 364):
        energy[begins : begins + 80] *= 2.5
    nights = [night for night, _ in found(rows(energy))]
    assert all(night < START + dt.timedelta(days=300) for night in nights)


def test_the_festival_with_its_run_down_and_run_up_is_no_change() -> None:
    energy = usual(nights=460)
    for new_year in (dt.date(2026, 2, 17),):
        at = (new_year - START).days
        energy[at - 12 : at + 10] *= 0.05
        energy[at + 10 : at + 18] *= 0.5
    assert found(rows(energy)) == []


def test_a_golden_week_is_no_change() -> None:
    energy = usual()
    at = (dt.date(2025, 10, 1) - START).days
    energy[at : at + 8] *= 0.1
    assert found(rows(energy)) == []


def test_real_load_after_months_near_nothing_is_a_restart() -> None:
    energy = usual()
    energy[60:AT] = usual(2)[60:AT] * 0.02
    assert codes(rows(energy), cadence_s=DAY_S) == {"stop", "restart"}
    restarts = [item for item in found(rows(energy), cadence_s=DAY_S) if item[1].reasons[0].code == "restart"]
    assert (restarts[0][0] - START).days <= AT + 8


def test_a_slack_shop_that_gets_busy_is_no_restart_and_a_plant_that_stood_is_one() -> None:
    for idle, expected in ((0.03, {"restart"}), (0.13, set())):
        energy = usual()
        energy[:AT] = usual(2)[:AT] * idle
        assert codes(rows(energy), cadence_s=DAY_S) & {"restart"} == expected


def test_what_is_much_for_the_contract_is_not_near_nothing() -> None:
    energy = usual()
    energy[:AT] = usual(2)[:AT] * 0.06
    for kva, expected in ((1000.0, {"restart"}), (150.0, set())):
        known = Register(RegisterRows(meters=(Meter(meter="m", site="s", publisher="p", contract_kva=kva),)), SHANGHAI)
        assert codes(rows(energy), known, DAY_S) & {"restart"} == expected


def test_a_restart_after_a_year_of_zeros_is_found() -> None:
    energy = np.where(np.arange(NIGHTS) < AT, 0.0, usual())
    assert codes(rows(energy), cadence_s=DAY_S) == {"restart"}


def test_a_night_shift_shows_by_its_share_even_where_the_level_hardly_rises() -> None:
    energy = after(usual(), 1.38)
    share = np.where(np.arange(NIGHTS) < AT, 0.12, 0.34) + np.random.default_rng(0).normal(0.0, 0.01, NIGHTS)
    assert codes(rows(energy, share=share)) == {"night_share"}


def test_a_share_that_grows_because_the_day_shrinks_is_none() -> None:
    share = np.where(np.arange(NIGHTS) < AT, 0.12, 0.3)
    assert "night_share" not in codes(rows(after(usual(), 0.45), share=share))


def test_new_tariff_hours_are_no_night_shift() -> None:
    energy = after(usual(), 1.38)
    share = np.where(np.arange(NIGHTS) < AT, 0.12, 0.34)
    moved = START + dt.timedelta(days=AT)
    hours = (
        CalendarRow(
            kind=CalendarKind.TARIFF, band=TariffBand.VALLEY, start=dt.time(23), end=dt.time(7), valid_to=moved
        ),
        CalendarRow(
            kind=CalendarKind.TARIFF, band=TariffBand.VALLEY, start=dt.time(10), end=dt.time(15), valid_from=moved
        ),
    )
    assert found(rows(energy, share=share), Register(RegisterRows(calendar=hours), SHANGHAI)) == []


def test_sundays_worked_like_other_days_are_found() -> None:
    energy = usual(sunday=0.1)
    sundays = np.array([(START + dt.timedelta(days=k)).weekday() == 6 for k in range(NIGHTS)])
    energy[AT:] = np.where(sundays[AT:], usual(3)[AT:], energy[AT:])
    assert codes(rows(energy), cadence_s=DAY_S) == {"weekend"}


def registered(status: EnterpriseStatus, contract_kva: float | None) -> Register:
    return Register(
        RegisterRows(
            enterprises=(Enterprise(uscc="U", name="甲", status=status, since=START),),
            sites=(Site(site="S", uscc="U"),),
            meters=(Meter(meter="m", site="S", publisher="P", contract_kva=contract_kva),),
        ),
        SHANGHAI,
    )


def test_power_above_the_contract_that_lasts_is_found_and_does_not_fit_the_register() -> None:
    given = rows(after(usual(), 1.3))
    nights = found(given, registered(EnterpriseStatus.OPERATING, 390.0))
    assert {finding.reasons[0].code for _, finding in nights} == {"overdraw"}
    assert nights[0][1].mismatch == 0.3
    assert found(given, registered(EnterpriseStatus.OPERATING, 800.0)) == []


def test_daily_readings_above_the_contract_are_found_by_their_mean_though_they_have_no_quantile() -> None:
    energy = after(usual(), 1.3)
    given = rows(energy, peak=np.full_like(energy, np.nan))
    nights = found(given, registered(EnterpriseStatus.OPERATING, 195.0), cadence_s=DAY_S)
    assert {finding.reasons[0].code for _, finding in nights} == {"overdraw"}
    assert found(given, registered(EnterpriseStatus.OPERATING, 400.0), cadence_s=DAY_S) == []


def test_a_contract_exceeded_all_along_is_told_once() -> None:
    given = rows(usual(nights=300))
    given["energy_kwh"][:, :40] = np.nan
    given["coverage"][:, :40] = 0.0
    nights = found(given, registered(EnterpriseStatus.OPERATING, 200.0))
    assert {finding.reasons[0].code for _, finding in nights} == {"overdraw"}
    assert len({f"{night:%Y-%m}" for night, _ in nights}) == 1
    assert (nights[0][0] - START).days <= 40 + 28
    assert {finding.measures["overdraw_onset_ordinal"] for _, finding in nights} == {START.toordinal() + 40}


def test_a_contract_entered_later_that_was_exceeded_all_along_is_told_once() -> None:
    entered = START + dt.timedelta(days=AT)
    meters = (
        Meter(meter="m", site="S", publisher="P", contract_kva=800.0, valid_to=entered),
        Meter(meter="m", site="S", publisher="P", contract_kva=200.0, valid_from=entered),
    )
    nights = [night for night, _ in found(rows(usual()), Register(RegisterRows(meters=meters), SHANGHAI))]
    assert nights
    assert min(nights) >= entered + dt.timedelta(days=21)
    assert len({f"{night:%Y-%m}" for night in nights}) == 1


def test_a_fall_ranks_below_a_rise_of_the_same_size() -> None:
    fallen, risen = found(rows(after(usual(), 0.4))), found(rows(after(usual(), 2.5)))
    assert max(finding.score for _, finding in fallen) < min(finding.score for _, finding in risen)


def test_mismatch_is_the_registers_side_and_leaves_the_score_alone() -> None:
    given = rows(after(usual(), 2.5))
    operating = found(given, registered(EnterpriseStatus.OPERATING, None))
    closed = found(given, registered(EnterpriseStatus.CLOSED, None))
    assert [f.score for _, f in operating] == [f.score for _, f in closed]
    assert {f.mismatch for _, f in operating} == {0.0}
    assert {f.mismatch for _, f in closed} == {0.6}


@pytest.mark.parametrize("unit", [1e-2, 1.0, 1e4])
def test_the_size_of_a_plant_changes_nothing_above_a_trifle(unit: float) -> None:
    assert codes(rows(after(usual(level=9000.0), 2.0) * unit)) == {"rise"}


def context_of(given: Rows, at: int) -> tuple[Window, Context]:
    night = night_of_date(START + dt.timedelta(days=at), SHANGHAI)
    values = {name: column[:, max(0, at + 1 - RECENT_NIGHTS) : at + 1] for name, column in given.items()}
    recent = PastNights(nights_before(night, RECENT_NIGHTS, SHANGHAI), values)
    window = Window(night, QUARTER_S, ("m",), {}, {}, np.zeros((1, 0), dtype=np.uint8))
    return window, Context(Register(RegisterRows(), SHANGHAI), SHANGHAI, recent, np.ones(1, dtype=np.bool_), recent)


def test_until_enough_nights_are_known_nothing_is_said() -> None:
    energy = usual()
    energy[:160] = np.nan
    for at, status in ((175, Status.UNDETERMINED), (200, Status.CLEAR)):
        window, context = context_of(rows(energy), at)
        judgement = Consumption().evaluate(window, context)
        assert list(judgement.status) == [status]
        assert np.isnan(judgement.score[0]) == (status is Status.UNDETERMINED)


def test_a_meter_without_load_is_clear() -> None:
    window, context = context_of(rows(np.zeros(NIGHTS)), 100)
    assert list(Consumption().evaluate(window, context).status) == [Status.CLEAR]


def test_the_screen_lets_quiet_meters_go() -> None:
    detector = Consumption()
    energy = usual()
    passed = []
    for at in range(RECENT_NIGHTS, AT):
        window, context = context_of(rows(energy), at)
        passed.append(bool(detector.screen(window, replace(context, long_past=None))[0]))
    assert sum(passed) <= 0.05 * len(passed)


@pytest.mark.real_data
@pytest.mark.skipif(not FOLDER.is_dir(), reason="the measured loads do not stand beside this checkout")
def test_measured_loads_raise_a_lead_for_falls_of_weeks_alone() -> None:
    raised = [(site, text) for site, _, _, texts in judge_measured(FOLDER) for text in texts]
    assert len(raised) <= 6, raised
    assert all(" fell on " in text or " stopped on " in text for _, text in raised), raised
