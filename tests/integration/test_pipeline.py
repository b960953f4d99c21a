"""The whole path over real stores: order, restarts and lateness change nothing of what is found."""

from __future__ import annotations

import dataclasses
import datetime as dt
import random
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.domain.readings import RawMessage
from monitor.storage import StoreFull
from tests.support.district import (
    FIRST,
    Crash,
    District,
    Reading,
    arranged,
    bureau,
    by_hour,
    fresh_state,
    message,
    slot_ms,
    steady,
)

NIGHTS = 3
MANY = settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def contradictions() -> list[Reading]:
    """Two contradictions (one settled by a revision), a duplicate of the first night and a stamp beside its tick."""
    return [
        Reading("calm", slot_ms(1, 10), {"p_kw": 700.0}),
        Reading("shut", slot_ms(1, 11), {"p_mean_kw": 1.0}),
        Reading("shut", slot_ms(1, 11), {"p_mean_kw": 190.0}, rev=1),
        Reading("calm", slot_ms(2, 20) + 45_000, {"p_kw": 41.0}),
    ]


def refused() -> list[Reading]:
    """What the register does not let in."""
    return [
        Reading("nobody", slot_ms(1, 5), {"p_kw": 1.0}),
        Reading("calm", slot_ms(1, 5), {"p_kw": 1.0}, publisher="plant"),
        Reading("plant1", slot_ms(1, 5), {"p_kw": 1.0}, rev=1, publisher="plant"),
    ]


EVERYTHING = [*bureau(NIGHTS), *contradictions(), *refused(), *bureau(NIGHTS)[::37]]


@pytest.fixture(scope="module")
def truth(template: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What comes of everything, taken in in event-time order and judged at the end."""
    state_dir = fresh_state(template, tmp_path_factory.mktemp("truth") / "state")
    with District(state_dir) as district:
        district.feed(by_hour(EVERYTHING, 24)).finish()
        return told(district)


def told(district: District) -> dict[str, Any]:
    """Everything that may not depend on the way the readings came."""
    return {
        "leads": district.leads(),
        "scores": district.scores().to_pylist(),
        "totals": district.totals(),
        "stored": district.stored(),
        "quarantined": district.quarantined(),
    }


def test_a_lead_of_each_kind_stands_and_no_other(truth: dict[str, Any]) -> None:
    kinds = {(lead["kind"], lead["site"]["id"]) for lead in truth["leads"]}
    assert kinds == {("furnace_melt", "melt"), ("sealed_site", "shut"), ("meter_silent", "dead")}
    assert truth["quarantined"] == Counter({"AUTHZ": 2, "UNKNOWN_METER": 1})
    n = len(bureau(NIGHTS))
    repeated = len(bureau(NIGHTS)[::37])
    assert truth["totals"] == {"STORED": n + 2, "DUPLICATE": repeated, "CONFLICT": 2, "REFUSED": 3}
    assert len(truth["stored"]) == n + 4


@MANY
@given(seed=st.integers(0, 1 << 20), messages=st.integers(1, 40), groups=st.integers(1, 12))
def test_order_messages_and_groups_change_nothing(
    new: Callable[..., District], truth: dict[str, Any], seed: int, messages: int, groups: int
) -> None:
    district = new()
    district.feed(arranged(EVERYTHING, random.Random(seed), messages=messages, groups=groups)).finish()
    assert told(district) == truth


@MANY
@given(seed=st.integers(0, 1 << 20))
def test_a_crash_at_any_point_loses_nothing_and_repeats_nothing(
    new: Callable[..., District], truth: dict[str, Any], seed: int
) -> None:
    rng = random.Random(seed)
    district = new()
    for group in arranged(EVERYTHING, rng, messages=12, groups=8):
        crash_during(district, group, rng)
    district.finish()
    district.crash().finish()
    found = told(district)
    assert found["stored"] == truth["stored"]
    assert found["leads"] == truth["leads"]
    assert found["scores"] == truth["scores"]
    assert found["quarantined"] == truth["quarantined"]


def crash_during(district: District, group: Sequence[RawMessage], rng: random.Random) -> None:
    """Take a group in; the process ends after the commit, after the application, after the flush, or while judging."""
    match rng.randrange(5):
        case 0:
            district.watcher.crash_after_commit = 1
            with pytest.raises(Crash):
                district.feed([group])
            district.crash()
        case 1:
            district.feed([group]).crash()
        case 2:
            district.feed([group])
            district.pipeline.applier.flush()
            district.crash()
        case 3:
            district.feed([group])
            district.watcher.crash_after_verdict = rng.randrange(1, 200)
            try:
                district.finish()
            except Crash:
                district.crash()
            district.watcher.crash_after_verdict = 0
        case _:
            district.feed([group])


@MANY
@given(seed=st.integers(0, 1 << 20))
def test_crashes_while_living_change_no_lead(new: Callable[..., District], truth: dict[str, Any], seed: int) -> None:
    rng = random.Random(seed)
    district = new()
    for group in by_hour(EVERYTHING, 5):
        district.clock.set_wall_ms(max(m.received_ms for m in group))
        crash_during(district, group, rng)
        district.judge(rng.choice([0, 1, 3, 10, 1000]))
        if rng.random() < 0.2:
            district.crash()
    district.finish()
    assert district.stored() == truth["stored"]
    assert district.leads() == truth["leads"]


@MANY
@given(seed=st.integers(0, 1 << 20), share=st.sampled_from([0.02, 0.3]))
def test_live_with_late_readings_equals_everything_taken_in_first(
    new: Callable[..., District], truth: dict[str, Any], seed: int, share: float
) -> None:
    rng = random.Random(seed)
    held = {id(r) for r in EVERYTHING if rng.random() < share}
    held |= {id(r) for r in EVERYTHING if r.meter in rng.sample(["melt", "shut", "calm", "plant1"], 1)}
    prompt = [r for r in EVERYTHING if id(r) not in held]
    late = arranged([r for r in EVERYTHING if id(r) in held], rng, messages=6, groups=6)
    district = new()
    for group in by_hour(prompt, 6):
        district.feed([group], live=True)
        if late and rng.random() < 0.3:
            late_now = [m for m in late[0] if m.received_ms <= district.clock.wall_ms() + 300_000]
            if len(late_now) == len(late[0]):
                district.feed([late.pop(0)], live=True)
    district.feed(late, live=True).finish()
    assert district.leads() == truth["leads"]
    assert district.stored() == truth["stored"]


def test_history_is_rebuilt_from_the_journal(new: Callable[..., District], truth: dict[str, Any]) -> None:
    district = new()
    district.feed(by_hour(EVERYTHING, 8), live=True).finish()
    district.end()
    (district.state_dir / "history.duckdb").unlink()
    district.open().judge().finish()
    assert district.stored() == truth["stored"]
    assert district.leads() == truth["leads"]
    heard = [row for row in truth["scores"] if row["night"] >= FIRST]
    assert [row for row in district.scores().to_pylist() if row["night"] >= FIRST] == heard


@pytest.mark.parametrize("upto", [2, 6])
def test_a_desk_behind_the_history_catches_up(
    new: Callable[..., District], truth: dict[str, Any], upto: int, template: Path
) -> None:
    district = new()
    groups = by_hour(EVERYTHING, 8)
    district.feed(groups[:upto], live=True)
    district.end()
    behind = (district.state_dir / "desk.sqlite").read_bytes()
    district.open().feed(groups[upto:], live=True).judge()
    district.end()
    for path in district.state_dir.glob("desk.sqlite*"):
        path.unlink()
    (district.state_dir / "desk.sqlite").write_bytes(behind)
    district.open().judge().finish()
    assert district.leads() == truth["leads"]
    assert district.stored() == truth["stored"]


def test_a_full_store_holds_the_group_and_takes_it_later_once(new: Callable[..., District]) -> None:
    district = new()
    watcher, journal = district.watcher, district.core.journal
    (pages,) = journal._connection.execute("PRAGMA page_count").fetchone()
    journal._connection.execute(f"PRAGMA max_page_count={pages}")
    group = [message(*steady("calm", [0, 1, 2], 40.0))]
    noise = random.Random(1)
    group.append(
        message(*(dataclasses.replace(r, channels={"p_kw": noise.random()}) for r in steady("melt", range(8))))
    )
    watcher.waiting = list(group)
    for _ in range(3):
        with pytest.raises(StoreFull):
            district.pipeline.intake_once(0.0)
    assert not watcher.acknowledged
    assert not district.stored()
    journal._connection.execute("PRAGMA max_page_count=1000000")
    assert district.pipeline.intake_once(0.0) == 2
    assert watcher.acknowledged == group
    assert district.pipeline.intake_once(0.0) == 0
    assert district.totals() == {"STORED": 11 * 96, "REFUSED": 0}
    rows = district.stored()
    district.crash()
    assert district.stored() == rows
    assert len(rows) == 11 * 96


def test_readings_older_than_the_rings_are_stored_once_and_their_night_is_judged_again(
    new: Callable[..., District],
) -> None:
    late = list(steady("shut", [0], 210.0, channel="p_mean_kw"))
    known = [*steady("calm", range(14)), *steady("melt", range(14), 30.0), *steady("shut", range(14), 0.5)]
    district = new()
    district.feed(by_hour(known, 12), live=True)
    assert ("sealed_site", "shut") not in district.kinds()
    now_ms = district.clock.wall_ms()
    district.feed([[message(*late, received_ms=now_ms)]] * 2, live=True)
    district.crash().feed([[message(*late, received_ms=now_ms)]], live=True).judge()
    assert ("sealed_site", "shut") in district.kinds()
    lead = next(lead for lead in district.leads() if lead["kind"] == "sealed_site")
    assert [night["night"] for night in lead["nights"]] == ["2026-03-02"]
    rows = [row for row in district.stored() if row[0] == "shut" and ("p_mean_kw", 210.01) in row[4]]
    district.finish()
    replayed = new().feed(by_hour([*known, *late], 48)).finish()
    assert district.leads() == replayed.leads()
    assert district.stored() == replayed.stored()
    assert len(rows) == len({row[1] for row in rows})


@pytest.mark.parametrize("back", [10, 2], ids=["older_than_the_rings", "in_the_rings"])
def test_late_readings_that_were_stored_and_not_yet_judged_are_judged_after_a_crash(
    new: Callable[..., District], back: int
) -> None:
    known = [*steady("calm", range(12)), *steady("melt", range(12), 30.0), *steady("shut", range(12), 0.5)]
    district = new()
    district.feed(by_hour(known, 24), live=True).judge()
    late = steady("shut", [11 - back], 210.0, channel="p_mean_kw")
    district.pipeline.take_in([message(*late, received_ms=district.clock.wall_ms())])
    if back == 10:
        assert district.pipeline.applier.n_old == len(late)
        district.judge()
    district.pipeline.applier.flush()
    assert ("sealed_site", "shut") not in district.kinds()
    district.crash().judge()
    assert ("sealed_site", "shut") in district.kinds()


def test_nights_that_pool_a_late_one_are_judged_again_though_its_row_was_stored_before_the_crash(
    new: Callable[..., District],
) -> None:
    district = new()
    district.feed(by_hour([r for r in bureau(2) if r.publisher == "bureau"], 8), live=True).finish()
    assert ("meter_silent", "dead") in district.kinds()
    district.watcher.crash_after_verdict = 1
    with pytest.raises(Crash):
        district.feed([[message(*steady("dead", [0])[:90], received_ms=district.clock.wall_ms())]], live=True)
    district.crash().judge()
    assert ("meter_silent", "dead") not in district.kinds()


def test_a_night_that_was_due_before_the_crash_is_judged_after_it_without_another_word(
    new: Callable[..., District],
) -> None:
    rows = [r for r in bureau(3) if r.ts_ms <= slot_ms(2, 4)]
    district = new()
    district.feed(by_hour([r for r in rows if r.ts_ms <= slot_ms(1, 90)], 8), live=True)
    assert not district.pipeline.judge_once()
    district.feed(by_hour([r for r in rows if r.ts_ms > slot_ms(1, 90)], 8))
    assert not district.pipeline.judge_once()
    district.pipeline.applier.flush()
    assert district.core.desk.journal_cursor() == district.core.journal.head
    assert district.core.desk.closed_nights()["bureau/900"] == FIRST
    district.crash().judge()
    assert district.core.desk.closed_nights()["bureau/900"] == FIRST + dt.timedelta(days=1)
