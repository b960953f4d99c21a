"""Meters read once a day, through the whole path: found the same whatever the order, batches and restarts."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.daily import BEGIN, RESTART, DailyDistrict, daily, daily_register
from tests.support.district import HOUR_MS, arranged, fresh_state, message

DAYS = 75
ALL = daily(DAYS)
MANY = settings(max_examples=2, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Made:
    """Makes districts over fresh state directories."""

    def __init__(self, template: Path, under: Path) -> None:
        self._template = template
        self._under = under
        self.made: list[DailyDistrict] = []

    def __call__(self) -> DailyDistrict:
        state_dir = fresh_state(self._template, self._under / f"daily{len(self.made)}")
        self.made.append(DailyDistrict(state_dir, daily_register()))
        self.made[-1].open()
        return self.made[-1]


@pytest.fixture
def new(template: Path, tmp_path: Path) -> Iterator[Made]:
    made = Made(template, tmp_path)
    yield made
    for district in made.made:
        district.end()


@pytest.fixture(scope="module")
def truth(template: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What comes of everything, taken in first and judged at the end."""
    made = Made(template, tmp_path_factory.mktemp("truth"))
    district = made()
    district.feed([[message(*ALL)]]).finish()
    found = told(district)
    district.end()
    return found


def told(district: DailyDistrict) -> dict[str, Any]:
    scores = [row for row in district.scores().to_pylist() if row["night"] >= BEGIN]
    return {"leads": district.leads(), "scores": scores, "stored": district.stored()}


def kinds(truth: dict[str, Any], kind: str) -> list[tuple[str, str]]:
    return sorted((lead["site"]["id"], lead["first_night"]) for lead in truth["leads"] if lead["kind"] == kind)


def test_the_plant_that_starts_again_is_one_lead_on_its_first_night_and_no_other_closed_plant_is(
    truth: dict[str, Any],
) -> None:
    assert kinds(truth, "sealed_site") == [("shut", RESTART.isoformat())]


def test_a_meter_read_daily_is_silent_only_where_it_never_speaks(truth: dict[str, Any]) -> None:
    assert {site for site, _ in kinds(truth, "meter_silent")} == {"dead"}


def test_a_meter_registered_at_a_quarter_hour_is_judged_at_the_day_it_delivers(truth: dict[str, Any]) -> None:
    mine = [row for row in truth["scores"] if row["meter"] == "coarse" and row["detector"] == "meter_silent"]
    assert len(mine) >= DAYS
    told_of = [BEGIN + dt.timedelta(days=number) for number in range(DAYS)]
    assert {row["status"] for row in mine if row["night"] in told_of} == {"clear"}


def test_everything_in_one_message_is_judged_while_living(new: Made, truth: dict[str, Any]) -> None:
    """Not only the last week of a backlog, and without a finish."""
    district = new()
    district.pipeline.late_every_s = 0.0
    district.feed([[message(*ALL)]], live=True)
    nights = {row["night"] for row in district.scores().to_pylist() if row["meter"] == "runs"}
    assert nights >= {BEGIN + dt.timedelta(days=number) for number in range(DAYS - 1)}
    assert kinds({"leads": district.leads()}, "sealed_site") == [("shut", RESTART.isoformat())]
    district.finish()
    assert told(district) == truth


@MANY
@given(seed=st.integers(0, 1 << 20), groups=st.integers(1, 9))
def test_order_messages_and_groups_change_nothing(new: Made, truth: dict[str, Any], seed: int, groups: int) -> None:
    district = new()
    district.feed(arranged(ALL, random.Random(seed), messages=20, groups=groups), live=bool(seed % 2)).finish()
    assert told(district) == truth


@pytest.mark.parametrize("seed", [1, 2])
def test_days_that_trickle_in_late_with_restarts_change_nothing(new: Made, seed: int) -> None:
    days = 18
    rows = daily(days)
    plain = new()
    plain.feed([[message(*rows)]]).finish()
    rng = random.Random(seed)
    district = new()
    held = {id(r) for r in rows if rng.random() < 0.2 or (r.meter == "runs" and rng.random() < 0.8)}
    waiting = []
    for number in range(days):
        today = rows[number * 6 : number * 6 + 6]
        prompt = [r for r in today if id(r) not in held]
        waiting += [r for r in today if id(r) in held]
        now_ms = max(r.ts_ms for r in today) + 3 * HOUR_MS
        if rng.random() < 0.3:
            rng.shuffle(waiting)
            prompt, waiting = prompt + waiting[:9], waiting[9:]
        if prompt:
            district.feed([[message(*prompt, received_ms=now_ms)]], live=rng.random() < 0.8)
        if rng.random() < 0.1:
            district.crash()
    parts = [waiting[:2], waiting[2:]]
    district.feed([[message(*part, received_ms=now_ms)] for part in parts if part], live=True)
    district.crash().finish()
    assert told(district) == told(plain)
