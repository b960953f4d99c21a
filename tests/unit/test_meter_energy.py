"""Electricity of a meter from its register: ends, gaps, resets, rollovers, ratio changes, contradictions."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.domain.accounts import Account, Gap, GapKind, MeterEnergy, Period
from models.domain.register import Meter
from monitor.accounts.registers import MeterDays, Stretch, day_index, energy_of
from monitor.history.history import History
from monitor.history.register_days import RegisterReader
from tests.support.plant import APRIL, HOUR_MS, MARCH, ZONE, Plant, midnight_ms, readings, register, register_readings
from tests.support.stores import DAY_MS, history_rows

FIRST = dt.date(2026, 3, 2)
DAYS = 4
START_MS = midnight_ms(FIRST)
STRETCH = Stretch(
    meter="m",
    site="s",
    first=FIRST,
    end=FIRST + dt.timedelta(days=DAYS),
    first_ms=START_MS,
    end_ms=START_MS + DAYS * DAY_MS,
)
Points = Sequence[tuple[float, float]]
"""Hours after the start, and what the register showed."""

STEADY = [(quarter / 4, 100.0 + quarter) for quarter in range(DAYS * 96 + 1)]


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    history = History.open(tmp_path)
    yield history
    history.close()


def stored(history: History, points: Points, *, rev: int = 0, seq: int = 1) -> None:
    rows = [("m", START_MS + round(hour * HOUR_MS), {"e_imp_kwh": kwh}) for hour, kwh in points]
    history.append(history_rows(rows, rev=rev, seq=seq), seq)


def energy(history: History, stretch: Stretch = STRETCH, *, rough: bool = False) -> tuple[MeterEnergy, tuple[Gap, ...]]:
    reader: RegisterReader = history.registers(ZONE)
    one = dt.timedelta(days=1)
    ends = {stretch.first - one, stretch.first, stretch.end - one, stretch.end}
    rows = reader.days(["m"], stretch.first - one, stretch.end + one, settle=ends if rough else None)
    found = energy_of(stretch, MeterDays("m", rows, day_index(rows)["m"], reader.readings))
    reader.close()
    return found


def kinds(gaps: Sequence[Gap]) -> list[GapKind]:
    return [gap.kind for gap in gaps]


def test_the_difference_between_two_midnights(history: History) -> None:
    stored(history, STEADY)
    found, gaps = energy(history)
    assert (found.kwh, found.coverage, gaps) == (Decimal(DAYS * 96), Decimal(1), ())
    assert (found.start_kwh, found.end_kwh) == (Decimal("100.000"), Decimal(100 + DAYS * 96))


def test_a_reading_near_midnight_stands_for_it_on_both_sides(history: History) -> None:
    stored(history, [(hour + 0.2, kwh) for hour, kwh in STEADY])
    found, _ = energy(history)
    assert found.coverage == 1
    assert found.start_ms == START_MS + round(0.2 * HOUR_MS)


def test_missing_ends_lower_the_coverage_and_are_not_filled(history: History) -> None:
    stored(history, [point for point in STEADY if 12 <= point[0] <= 72])
    found, gaps = energy(history)
    assert found.kwh == Decimal(60 * 4)
    assert found.coverage == Decimal("0.625000")
    assert kinds(gaps) == [GapKind.NO_READING, GapKind.NO_READING]
    assert "12.0 h missing" in gaps[0].en
    assert "24.0" in gaps[1].zh


def test_days_without_readings_inside_do_not_matter_and_are_told(history: History) -> None:
    stored(history, [point for point in STEADY if point[0] < 10 or point[0] > 80])
    found, (gap,) = energy(history)
    assert (found.kwh, found.coverage) == (Decimal(DAYS * 96), Decimal(1))
    assert (gap.kind, gap.lowers) == (GapKind.INSIDE, False)


def test_a_reset_costs_its_interval_and_nothing_else(history: History) -> None:
    stored(history, [(hour, kwh if hour < 30 else kwh - 215.0) for hour, kwh in STEADY])
    found, (gap,) = energy(history)
    assert found.kwh == Decimal(DAYS * 96 - 1)
    assert found.coverage == (1 - Decimal("0.25") / (24 * DAYS)).quantize(Decimal("0.000001"))
    assert (gap.kind, gap.first) == (GapKind.RESET, FIRST + dt.timedelta(days=1))


def test_a_rollover_at_the_known_size_costs_nothing(history: History) -> None:
    stored(history, [(hour, kwh % 300.0) for hour, kwh in STEADY])
    found, gaps = energy(history, dataclasses.replace(STRETCH, wrap_kwh=300.0))
    assert (found.kwh, found.coverage) == (Decimal(DAYS * 96), Decimal(1))
    assert kinds(gaps) == [GapKind.ROLLOVER]
    assert kinds(energy(history)[1]) == [GapKind.RESET]


@pytest.mark.parametrize("value", [0.0, 5_000_000.0])
def test_a_single_wrong_reading_is_left_out(history: History, value: float) -> None:
    points = [*STEADY]
    points[150] = (points[150][0], value)
    stored(history, points)
    found, (gap,) = energy(history)
    assert (found.kwh, found.coverage) == (Decimal(DAYS * 96), Decimal(1))
    assert (gap.kind, gap.lowers) == (GapKind.IMPLAUSIBLE, False)


def test_a_jump_beyond_the_rating_is_not_counted(history: History) -> None:
    stored(history, [(hour, kwh if hour < 30 else kwh + 1e6) for hour, kwh in STEADY])
    found, gaps = energy(history, dataclasses.replace(STRETCH, rated_kva=100.0))
    assert found.kwh == Decimal(DAYS * 96 - 1)
    assert kinds(gaps) == [GapKind.IMPLAUSIBLE]
    assert found.coverage < 1


@pytest.mark.parametrize("rough", [False, True])
def test_contradicting_readings_at_an_end_are_not_used(history: History, *, rough: bool) -> None:
    stored(history, STEADY)
    stored(history, [(0.0, 90.0)], seq=2)
    found, gaps = energy(history, rough=rough)
    assert found.start_ms == START_MS + HOUR_MS // 4
    assert found.kwh == Decimal(DAYS * 96 - 1)
    assert found.coverage == 1
    assert kinds(gaps) in ([], [GapKind.CONFLICT])
    stored(history, [(0.0, 96.0)], rev=1, seq=3)
    assert energy(history, rough=rough)[0].kwh == Decimal(DAYS * 96 + 4)


def test_nothing_known_is_said_to_be_unknown(history: History) -> None:
    found, gaps = energy(history)
    assert (found.kwh, found.coverage) == (None, Decimal(0))
    assert kinds(gaps) == [GapKind.NO_READING]


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.floats(0, 50, width=16), min_size=DAYS * 24, max_size=DAYS * 24),
    st.sets(st.integers(1, DAYS * 24 - 1), max_size=60),
    st.booleans(),
)
def test_whatever_is_missing_inside_the_difference_holds(
    tmp_path_factory: pytest.TempPathFactory, steps: list[float], missing: set[int], seal: bool
) -> None:
    history = History.open(tmp_path_factory.mktemp("history"))
    try:
        values = np.concatenate([[0.0], np.cumsum(steps)])
        stored(history, [(float(hour), float(kwh)) for hour, kwh in enumerate(values) if hour not in missing])
        if seal:
            history.seal(START_MS + 30 * DAY_MS, after_days=1)
        hourly = dataclasses.replace(STRETCH, cadence_s=3600)
        for rough in (False, True):
            found, gaps = energy(history, hourly, rough=rough)
            assert found.kwh is not None
            assert abs(found.kwh - Decimal(repr(float(values[-1])))) <= Decimal("0.001")
            assert found.coverage == 1
            assert not any(gap.lowers for gap in gaps)
    finally:
        history.close()


def test_a_change_of_ratio_cuts_the_month_and_a_replaced_meter_goes_on_in_the_next(tmp_path: Path) -> None:
    middle, later = MARCH.first.replace(day=11), MARCH.first.replace(day=21)
    meters = (
        Meter(
            meter="old",
            site="works",
            publisher="bureau",
            ratio=10,
            ratio_applied=False,
            cadence_s=3600,
            valid_to=middle,
        ),
        Meter(
            meter="old",
            site="works",
            publisher="bureau",
            ratio=20,
            ratio_applied=False,
            cadence_s=3600,
            valid_from=middle,
            valid_to=later,
        ),
        Meter(meter="new", site="works", publisher="bureau", cadence_s=3600, valid_from=later),
    )
    with Plant(tmp_path / "state", register(meters=meters, allocations=())) as plant:
        plant.feed(readings(register_readings({"old": 10.0}, end=later)))
        plant.feed(readings(register_readings({"new": 100.0}, later, start_kwh=0.0)))
        account: Account = plant.account(Period(MARCH.first, MARCH.last))
    works = account.of_site("works")
    assert works is not None
    assert works.electricity.kwh == Decimal(100 * 240 + 200 * 239 + 100 * 263)
    found = [gap.kind for gap in account.gaps if gap.subject in ("old", "new")]
    assert sorted(found) == [GapKind.NO_READING, GapKind.RATIO_CHANGE, GapKind.REPLACED]
    assert works.electricity.coverage == (1 - Decimal(2) / 744).quantize(Decimal("0.000001"))


def test_a_change_of_ratio_on_the_first_of_a_month_does_not_lend_a_reading_of_the_old_scale(tmp_path: Path) -> None:
    before = Meter(
        meter="m", site="works", publisher="bureau", ratio=10, ratio_applied=False, cadence_s=3600, valid_to=APRIL.first
    )
    meters = (before, dataclasses.replace(before, ratio=20, valid_from=APRIL.first, valid_to=None))
    with Plant(tmp_path / "state", register(meters=meters, allocations=())) as plant:
        plant.feed(readings(register_readings({"m": 10.0}, end=APRIL.end)))
        march, april = plant.account(MARCH).electricity, plant.account(APRIL).electricity
    assert (march.kwh, april.kwh) == (Decimal(100 * 744), Decimal(200 * 719))
    assert april.coverage < 1
