"""Chores: each in its own time, in slices, and again where one raised."""

from __future__ import annotations

from typing import cast

import pytest

from models.domain.clock import ManualClock
from monitor.chores import DAY_MS, Chore, Chores
from monitor.storage import StoreFull
from monitor.wiring import Core

CORE = cast("Core", None)


def test_a_chore_with_an_interval_waits_for_it_and_goes_on_in_slices() -> None:
    clock, slices = ManualClock(wall_ms=10 * DAY_MS), [True, True, False, False]
    ran: list[int] = []

    def run(_core: Core) -> bool:
        ran.append(1)
        return slices.pop(0)

    chores = Chores([Chore("tick", 60.0, run)], clock)
    chores.turn(CORE)
    assert ran == []
    clock.set_wall_ms(clock.wall_ms() + 60_000)
    for expected in (1, 2, 3, 3):
        chores.turn(CORE)
        assert len(ran) == expected
    clock.set_wall_ms(clock.wall_ms() + 60_000)
    chores.turn(CORE)
    assert len(ran) == 4


def test_a_daily_chore_runs_after_the_start_and_once_a_day() -> None:
    clock, ran = ManualClock(wall_ms=10 * DAY_MS + 5), []
    chores = Chores([Chore("seal", None, lambda _core: bool(ran.append(1)))], clock)
    for _ in range(3):
        chores.turn(CORE)
    assert len(ran) == 1
    clock.set_wall_ms(clock.wall_ms() + DAY_MS)
    chores.turn(CORE)
    assert len(ran) == 2


def test_a_chore_that_meets_a_full_store_stays_due() -> None:
    clock, outcomes = ManualClock(wall_ms=10 * DAY_MS), [StoreFull("no room"), False]

    def run(_core: Core) -> bool:
        outcome = outcomes.pop(0)
        if isinstance(outcome, StoreFull):
            raise outcome
        return outcome

    chores = Chores([Chore("seal", None, run)], clock)
    with pytest.raises(StoreFull):
        chores.turn(CORE)
    chores.turn(CORE)
    assert outcomes == []
