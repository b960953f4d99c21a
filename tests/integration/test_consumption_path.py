"""Abnormal consumption from daily readings through the whole path: journal, history, rows, detector, leads."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from models.domain.register import Enterprise, EnterpriseStatus, Meter, Publisher, Register, RegisterRows, Site
from tests.support.district import CLOSED, OPEN, ZONE, District, Reading, fresh_state, message

BEGIN = dt.date(2026, 5, 4)
CHANGE = dt.date(2026, 7, 1)
DAYS = 78
DAY_S = 86_400
METERS = ("steps", "starts", "usual", "dead", "constant", "gaps")

pytestmark = pytest.mark.timeout(120)


def register() -> Register:
    return Register(
        RegisterRows(
            enterprises=(
                Enterprise(uscc=OPEN, name="某某金属制品有限公司", trade="3391"),
                Enterprise(uscc=CLOSED, name="停产公司", status=EnterpriseStatus.CLOSED, since=dt.date(2026, 1, 1)),
            ),
            sites=tuple(Site(site=name, uscc=CLOSED if name == "starts" else OPEN, name=name) for name in METERS),
            meters=tuple(Meter(meter=name, site=name, publisher="bureau", cadence_s=DAY_S) for name in METERS),
            publishers=(Publisher(publisher="bureau"),),
        ),
        ZONE,
        version="consumption",
    )


def day_kwh(meter: str, day: dt.date, rng: np.random.Generator) -> float:
    noisy = float(np.exp(rng.normal(0.0, 0.06))) * (0.3 if day.weekday() == 6 else 1.0)
    match meter:
        case "steps":
            return 5000.0 * noisy * (2.2 if day >= CHANGE else 1.0)
        case "starts":
            return 4000.0 * noisy if day >= CHANGE else 60.0 * noisy
        case "dead":
            return 0.0
        case "constant":
            return 480.0
        case _:
            return 5000.0 * noisy


def readings() -> list[Reading]:
    rng = np.random.default_rng(5)
    rows = []
    for meter in METERS:
        register_kwh = 1000.0
        for number in range(DAYS):
            day = BEGIN + dt.timedelta(days=number)
            register_kwh += day_kwh(meter, day, rng)
            if meter == "gaps" and rng.random() < 0.15:
                continue
            midnight = dt.datetime(day.year, day.month, day.day, tzinfo=ZONE) + dt.timedelta(days=1)
            rows.append(Reading(meter, int(midnight.timestamp() * 1000), {"e_imp_kwh": round(register_kwh, 2)}, DAY_S))
    return sorted(rows, key=lambda row: (row.ts_ms, row.meter))


@pytest.fixture
def district(template: Path, tmp_path: Path) -> Iterator[Callable[[], District]]:
    made: list[District] = []

    def make() -> District:
        made.append(District(fresh_state(template, tmp_path / f"state{len(made)}"), register()).open())
        return made[-1]

    yield make
    for one in made:
        one.end()


def test_a_step_and_a_restart_are_one_lead_each_and_nothing_else_is(district: Callable[[], District]) -> None:
    core = district()
    core.feed([[message(*readings())]]).finish()
    mine = {lead["site"]["id"]: lead for lead in core.leads() if lead["kind"] == "consumption"}
    assert sorted(mine) == ["starts", "steps"]
    assert sum(lead["kind"] == "consumption" for lead in core.leads()) == 2
    assert mine["starts"]["reasons"][0]["code"] == "restart"
    assert mine["starts"]["mismatch"] == 0.6
    assert mine["steps"]["reasons"][0]["code"] == "rise"
    assert mine["steps"]["mismatch"] == 0.0
    assert mine["steps"]["month"] == "2026-07"
    assert "疑似用电异常" in mine["steps"]["summary"]["zh"]
