"""Verdicts over time: revisions, late data, restarts, new packs, forecasts, and what a running daemon is asked."""

from __future__ import annotations

import dataclasses
import datetime as dt
import itertools
from collections.abc import Sequence
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from models.domain.accounts import Period
from models.domain.readings import RawMessage
from models.law.library import assemble, shipped_law
from monitor.config.intensity_sections import IntensitySettings
from monitor.config.settings import Settings
from monitor.desk.database import read_desk
from monitor.intensity import rows
from monitor.intensity.requests import intensity_list, intensity_show
from monitor.intensity.rounds import Rounds
from monitor.replay import replay
from tests.support.desk_parts import without_stamps
from tests.support.intensity import daily_registers as registers
from tests.support.intensity import judged, kwh_of, leads, opened, plant_register, states, told, verdicts
from tests.support.plant import USCC, Plant, midnight_ms

MARCH, APRIL = Period.month(2026, 3), Period.month(2026, 4)
PRODUCT, METRIC = "caustic_liquid_30", "comprehensive_energy"
FACTS = {"plant": "existing", "region": "CN-SD"}


def report(month: Period, *, tonnes: float, rev: int = 0, after_days: int = 2, **more: Any) -> RawMessage:
    """Caustic soda: 74,400 kWh and 100 t of coal, 80,573.8 kgce, over so many tonnes."""
    fuels = [{"fuel": "raw-coal", "quantity": 100, "unit": "t"}]
    made: dict[str, Any] = {"product": PRODUCT, "quantity": tonnes, "unit": "t", "fuels": fuels}
    return told(month, after_days=after_days, **made, rev=rev, **more)


FIRST = report(MARCH, tonnes=400)
CORRECTED = report(MARCH, tonnes=100, rev=1, after_days=20)


def plant_with(path: Path, *messages: RawMessage) -> Plant:
    return opened(path, PRODUCT, messages, declared=FACTS)


def final(plant: Plant) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What stands, without how it came about."""
    stand = [
        {name: value for name, value in one.items() if name not in {"revision", "cause", "recorded_at_ms"}}
        for one in verdicts(plant)
    ]
    return stand, without_stamps(list(plant.core.desk.final_leads()))


def test_a_late_correction_makes_a_revision_and_keeps_both_values(tmp_path: Path) -> None:
    with plant_with(tmp_path, registers(MARCH), FIRST) as plant:
        (before,) = judged(plant, MARCH)
        assert (before["status"], states(plant)) == ("meets", [])
        plant.feed(CORRECTED)
        (after,) = judged(plant, MARCH)
        assert (after["status"], after["cause"], after["revision"]) == ("exceeds", "data", 2)
        old, new = verdicts(plant, trail=True, period="2026-03")
        assert Decimal(old["actual"]) * 4 == pytest.approx(Decimal(new["actual"]))
        assert (old["latest"], new["latest"]) == (False, True)
        assert old["account"] != new["account"]
        assert states(plant) == [("intensity", "raised")]
        plant.feed(report(MARCH, tonnes=400, rev=2, after_days=25))
        (back,) = judged(plant, MARCH)
        assert (back["status"], back["revision"]) == ("meets", 3)
        (lead,) = leads(plant)
        assert (lead["standing"], [one["change"] for one in lead["revisions"]]) == (
            "withdrawn",
            ["raised", "withdrawn"],
        )


def test_judging_again_without_news_writes_nothing(tmp_path: Path) -> None:
    with plant_with(tmp_path, registers(MARCH), CORRECTED) as plant:
        judged(plant, MARCH)
        before = verdicts(plant, trail=True), leads(plant)
        judged(plant, MARCH)
        assert (verdicts(plant, trail=True), leads(plant)) == before
        (lead,) = leads(plant)
        assert lead["revision"] == 1


def test_output_that_is_taken_back_leaves_a_trail(tmp_path: Path) -> None:
    with plant_with(tmp_path, registers(MARCH), CORRECTED) as plant:
        judged(plant, MARCH)
        void = told(MARCH, after_days=21, product=PRODUCT, void=True, rev=2)
        (after,) = judged(plant.feed(void), MARCH)
        assert (after["status"], after["revision"]) == ("needs_data", 2)
        assert "没有产量报送" in after["reason_zh"]
        assert [lead["standing"] for lead in leads(plant)] == ["withdrawn"]


def test_the_calculation_in_a_lead_can_be_redone_by_hand(tmp_path: Path) -> None:
    with plant_with(tmp_path, registers(MARCH), CORRECTED) as plant:
        judged(plant, MARCH)
        (lead,) = leads(plant)
    steps = [reason["en"] for reason in lead["reasons"] if reason["code"] == "step"]
    text = "\n".join(steps)
    assert "electricity of meter main: 75400.00 - 1000.00 = 74400.00 kWh" in text
    assert "74400.00 kWh × 0.1229 = 9143.76 kgce" in text
    assert "100 t × 714.30 = 71430.00 kgce" in text or "100 t × 714.3 = 71430" in text
    assert "80573.76 kgce / 100 t = 805.7376 kgce/t" in text
    assert any("GB 21257-2024" in reason["zh"] for reason in lead["reasons"] if reason["code"] == "citation")


@pytest.mark.parametrize("order", list(itertools.permutations(range(3)))[:4])
def test_the_same_messages_in_any_order_and_with_restarts_say_the_same(order: Sequence[int], tmp_path: Path) -> None:
    messages = [registers(MARCH), FIRST, CORRECTED]
    with plant_with(tmp_path / "plain", *messages) as plain:
        judged(plain, MARCH)
        expected = final(plain)
    with plant_with(tmp_path / "other") as other:
        for index in order:
            other.feed(messages[index])
            judged(other, MARCH)
            other.crash()
        judged(other, MARCH)
        assert final(other) == expected


def test_a_round_that_ends_anywhere_is_made_good_by_the_next(tmp_path: Path) -> None:
    messages = [registers(MARCH), CORRECTED]
    with plant_with(tmp_path / "plain", *messages) as plain:
        judged(plain, MARCH)
        expected = final(plain)
    for cut in range(6):
        with plant_with(tmp_path / f"cut{cut}", *messages) as plant:
            plant.rest()
            rounds = plant.core.intensity
            rounds.reached_ms = lambda: midnight_ms(dt.date(2026, 4, 20))
            for _ in range(cut):
                rounds.run()
            plant.crash()
            plant.core.intensity.reached_ms = lambda: midnight_ms(dt.date(2026, 4, 20))
            while plant.core.intensity.run():
                pass
            assert final(plant) == expected


def test_a_month_is_judged_when_its_days_of_grace_are_over(tmp_path: Path) -> None:
    with plant_with(tmp_path, registers(MARCH), FIRST) as plant:
        plant.rest()
        rounds = plant.core.intensity
        for day, found in ((dt.date(2026, 4, 10), 0), (dt.date(2026, 4, 11), 1)):
            rounds.reached_ms = partial(midnight_ms, day)
            while rounds.run():
                pass
            assert len(verdicts(plant)) == found


def test_nothing_is_judged_before_a_reading_came(tmp_path: Path) -> None:
    with plant_with(tmp_path) as plant:
        assert not plant.core.intensity.run()
        assert verdicts(plant) == []


def test_a_new_pack_that_changes_a_verdict_makes_a_revision(tmp_path: Path) -> None:
    with plant_with(tmp_path, registers(MARCH), FIRST) as plant:
        (before,) = judged(plant, MARCH)
        plant.core.intensity.finish(midnight_ms(MARCH.end))
        rounds = dataclasses.replace(plant.core.intensity, law=stricter())
        rounds.finish(midnight_ms(MARCH.end))
        old, new = verdicts(plant, trail=True, period="2026-03")
        assert (old["status"], new["status"], new["cause"]) == ("meets", "exceeds", "law")
        assert (old["law_digest"], new["law_digest"]) == (before["law_digest"], rounds.law.digest)
        assert states(plant) == [("intensity", "raised")]


def stricter() -> Any:
    """The shipped packs with a level 3 of caustic soda below 201.43 kgce/t."""
    sources = []
    for name, data in shipped_law().sources:
        text = data.decode()
        if 'product = "caustic_liquid_30"' in text:
            head, mark, tail = text.partition('product = "caustic_liquid_30"')
            block, gap, rest = tail.partition("\n\n")
            lines = [
                {"level1": "level1 = 100", "level2": "level2 = 110", "level3": "level3 = 120"}.get(
                    line.split(" ")[0], line
                )
                for line in block.split("\n")
            ]
            text = head + mark + "\n".join(lines) + gap + rest
        sources.append((name, text.encode()))
    return assemble(sources)


def test_a_year_is_judged_when_its_last_month_is(tmp_path: Path) -> None:
    months = [Period.month(2025, month) for month in range(1, 13)]
    year = Period.parse("2025")
    with opened(tmp_path, PRODUCT, [registers(year)], declared=FACTS) as plant:
        plant.feed(*(report(month, tonnes=400 if month.first.month < 12 else 50) for month in months))
        judged(plant, year)
        (whole,) = verdicts(plant, period="2025")
        december = verdicts(plant, period="2025-12")[0]
        assert whole["output"] == "4450"
        assert (december["status"], whole["kwh"]) == ("exceeds", f"{kwh_of(year)}.000")
        assert [lead["month"] for lead in leads(plant)] == ["2025-12"]


def weekly(first: dt.date, weeks: int, tonnes: Sequence[float]) -> list[RawMessage]:
    """Reports of weeks, one after the other."""
    found = []
    for week in range(weeks):
        start = first + dt.timedelta(days=7 * week)
        found.append(report(Period(start, start + dt.timedelta(days=6)), tonnes=tonnes[week % len(tonnes)]))
    return found


def with_settings(rounds: Rounds, **more: Any) -> Rounds:
    return dataclasses.replace(rounds, settings=IntensitySettings(**more))


def test_a_running_month_is_forecast_and_its_judgement_takes_the_forecast_away(tmp_path: Path) -> None:
    days = Period(dt.date(2026, 2, 22), dt.date(2026, 4, 30))
    as_of = dt.date(2026, 3, 21)
    with opened(tmp_path, PRODUCT, [registers(days)], declared=FACTS) as plant:
        plant.feed(*weekly(dt.date(2026, 2, 22), 9, [60.0, 62.0, 58.0]))
        plant.rest()
        rounds = with_settings(plant.core.intensity, forecast_lead=0.9)
        rounds.finish(midnight_ms(as_of + dt.timedelta(days=1)))
        (found,) = intensity_list(plant.core, {"period": "2026-03"})["forecasts"]
        assert found["forecast"] is True
        assert (found["as_of"], found["blocks"]) == (f"{as_of}", 4)
        assert found["low"] < found["expected"] < found["high"]
        assert found["probability"] > 0.9
        (lead,) = [lead for lead in leads(plant) if lead["month"] == "2026-03"]
        assert "预测" in lead["reasons"][0]["zh"]
        assert lead["probability"] == found["probability"]
        rounds.finish(midnight_ms(dt.date(2026, 4, 2)))
        assert intensity_list(plant.core, {"period": "2026-03"})["forecasts"] == []
        (march,) = verdicts(plant, period="2026-03")
        assert "产量只覆盖" in march["reason_zh"]
        (lead,) = [lead for lead in leads(plant) if lead["month"] == "2026-03"]
        assert lead["standing"] == "withdrawn"


def test_a_forecast_alone_makes_no_lead_unless_asked_for(tmp_path: Path) -> None:
    days = Period(dt.date(2026, 2, 22), dt.date(2026, 3, 21))
    with opened(tmp_path, PRODUCT, [registers(days)], declared=FACTS) as plant:
        plant.feed(*weekly(dt.date(2026, 2, 22), 4, [20.0]))
        plant.rest()
        plant.core.intensity.finish(midnight_ms(dt.date(2026, 3, 22)))
        (found,) = intensity_list(plant.core, {"period": "2026-03"})["forecasts"]
        assert found["probability"] == 1.0
        assert [lead for lead in leads(plant) if lead["month"] == "2026-03"] == []


def test_a_period_that_was_not_judged_is_worked_out_when_asked_for(tmp_path: Path) -> None:
    with plant_with(tmp_path, registers(MARCH), FIRST) as plant:
        plant.rest()
        ask = {"enterprise": USCC, "period": "2026-03", "product": None}
        (now,) = intensity_show(plant.core, ask)["items"]
        assert now["status"] == "meets"
        assert "revision" not in now
        judged(plant, MARCH)
        (stored,) = intensity_show(plant.core, ask)["items"]
        assert {name: stored[name] for name in now} == now
        assert intensity_show(plant.core, ask | {"product": "cement"})["items"] == []
        with plant.core.engine.connect() as connection:
            assert rows.judged_subjects(connection) == {(USCC, "2026-03")}


def test_a_replay_judges_months_too(tmp_path: Path) -> None:
    days = [MARCH.first + dt.timedelta(days=n) for n in range(MARCH.days + 1)]
    lines = [f"main,{day}T00:00:00+08:00,{1000 + 2400 * n}" for n, day in enumerate(days)]
    (tmp_path / "march.csv").write_text("\n".join(["meter,ts,e_imp_kwh", *lines]))
    replay(
        settings=Settings(),
        register=plant_register(PRODUCT, declared=FACTS),
        readings=tmp_path / "march.csv",
        state_dir=tmp_path / "state",
        by_arrival=False,
        leads_path=None,
        scores_path=None,
        on_rows=lambda _: None,
        on_judging=lambda _: None,
    )
    engine = read_desk(tmp_path / "state")
    with engine.connect() as connection:
        (found,) = rows.verdicts_of(connection, period="2026-03")
    engine.dispose()
    assert (found["status"], found["kwh"]) == ("needs_data", "74400.000")
    assert "没有产量报送" in found["reason_zh"]
