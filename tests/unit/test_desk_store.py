"""The desk: leads follow the findings, whatever the order; every change leaves a trail and a notice."""

from __future__ import annotations

import datetime as dt
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.domain.clock import ManualClock
from models.domain.findings import Status
from models.domain.leads import LeadKind, lead_id
from monitor.desk.database import open_desk
from monitor.desk.events import ChangeKind
from monitor.desk.queries import list_leads, show_lead
from monitor.desk.schema import LEADS
from monitor.desk.store import Desk
from monitor.leads import NightFinding
from tests.support.desk_parts import (
    DETECTORS,
    NOW_MS,
    SITES,
    commit,
    copy_of,
    desk_on,
    everything,
    finding,
    moved,
    night,
    register,
    without_stamps,
)

METERS = [f"M{i}" for i in range(2 * SITES)]
JANUARY = lead_id(LeadKind.FURNACE_MELT, "S0", "2026-01")
FEBRUARY = lead_id(LeadKind.FURNACE_MELT, "S0", "2026-02")


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[sa.Engine]:
    engine = open_desk(tmp_path)
    yield engine
    engine.dispose()


@pytest.fixture
def desk(engine: sa.Engine) -> Desk:
    return desk_on(engine, sinks=("file", "webhook"))


def notices(engine: sa.Engine, sink: str = "file") -> list[dict[str, Any]]:
    with engine.begin() as connection:
        rows = connection.execute(sa.text("SELECT body FROM outbox WHERE sink = :s ORDER BY seq"), {"s": sink})
        return [json.loads(body) for (body,) in rows]


def test_a_lead_is_raised_once_and_amended_when_more_is_found(engine: sa.Engine, desk: Desk) -> None:
    assert commit(desk, 0, finding(0)) == []
    (raised,) = commit(desk, 1, finding(1))
    assert (raised.change, raised.revision, raised.lead_id) == (ChangeKind.RAISED, 1, JANUARY)
    (amended,) = commit(desk, 2, finding(2))
    assert (amended.change, amended.revision) == (ChangeKind.AMENDED, 2)
    events = notices(engine)
    assert [event["type"] for event in events] == ["cn.gridwarden.lead.raised.v1", "cn.gridwarden.lead.amended.v1"]
    assert events == notices(engine, "webhook")
    assert events[1]["data"] == amended.lead
    assert events[0]["source"] == "urn:gridwarden:330100"
    assert events[0]["time"] == "2026-01-22T04:00:00Z"


def test_judging_again_with_the_same_result_changes_nothing(engine: sa.Engine, desk: Desk) -> None:
    commit(desk, 0, finding(0))
    commit(desk, 1, finding(1))
    before = everything(engine)
    assert commit(desk, 1, finding(1)) == []
    assert everything(engine) == before


def test_a_new_version_that_says_the_same_is_no_revision(engine: sa.Engine, desk: Desk) -> None:
    commit(desk, 0, finding(0))
    commit(desk, 1, finding(1))
    newer = desk_on(engine, versions={"software": "2"})
    assert commit(newer, 1, finding(1)) == []


def test_late_data_withdraws_a_lead_with_its_trail_and_brings_it_back(engine: sa.Engine, desk: Desk) -> None:
    commit(desk, 0, finding(0))
    commit(desk, 1, finding(1))
    (withdrawn,) = commit(desk, 1)
    assert withdrawn.change is ChangeKind.WITHDRAWN
    assert withdrawn.lead["state"] == "withdrawn"
    assert list(desk.final_leads()) == []
    (reopened,) = commit(desk, 1, finding(1))
    assert reopened.change is ChangeKind.REOPENED
    shown = show_lead(engine, JANUARY, now_ms=NOW_MS)
    assert shown is not None
    assert [r["change"] for r in shown["revisions"]] == ["raised", "withdrawn", "reopened"]
    assert all(r["intact"] for r in shown["revisions"])
    keys = [event["id"] for event in notices(engine)]
    assert len(set(keys)) == 3


def test_a_person_s_decision_outlives_what_the_machine_finds_later(engine: sa.Engine, desk: Desk) -> None:
    commit(desk, 0, finding(0))
    commit(desk, 1, finding(1))
    with engine.begin() as connection:
        connection.execute(sa.update(LEADS).values(handling="dismissed", handled_by="wang", handled_reason="铸造"))
    (amended,) = commit(desk, 2, finding(2))
    assert (amended.change, amended.lead["state"]) == (ChangeKind.AMENDED, "dismissed")
    for offset in (0, 1, 2):
        changes = commit(desk, offset)
    assert changes == []
    shown = show_lead(engine, JANUARY, now_ms=NOW_MS)
    assert shown is not None
    assert (shown["state"], shown["standing"], shown["handled_by"]) == ("dismissed", "withdrawn", "wang")


def test_a_finding_near_the_month_s_end_completes_next_month_s_lead(desk: Desk) -> None:
    commit(desk, 12, finding(12))
    changes = commit(desk, 11, finding(11))
    assert [change.lead_id for change in changes] == [FEBRUARY]


def test_next_month_s_lead_links_back_even_when_last_month_s_comes_later(desk: Desk) -> None:
    for offset in (20, 21):
        commit(desk, offset, finding(offset))
    (february,) = desk.final_leads()
    assert february["previous"] is None
    for offset in (0, 1):
        changes = commit(desk, offset, finding(offset))
    assert {change.lead_id: change.change for change in changes} == {
        JANUARY: ChangeKind.RAISED,
        FEBRUARY: ChangeKind.AMENDED,
    }
    by_id = {lead["id"]: lead for lead in desk.final_leads()}
    assert by_id[FEBRUARY]["previous"] == JANUARY
    commit(desk, 1)
    (february,) = desk.final_leads()
    assert february["previous"] is None


def test_cursor_and_closed_nights_move_with_the_commit(desk: Desk) -> None:
    assert desk.journal_cursor() == 0
    desk.commit_night(
        night=night(3),
        judged=METERS,
        detectors=DETECTORS,
        findings=[],
        register=register(),
        closed={"bureau": night(3).date},
        cursor=41,
    )
    assert (desk.journal_cursor(), desk.closed_nights()) == (41, {"bureau": night(3).date})
    desk.set_closed("bureau", night(1).date)
    desk.set_closed("plant", dt.date(2026, 3, 1))
    desk.set_journal_cursor(42)
    assert desk.closed_nights() == {"bureau": night(3).date, "plant": dt.date(2026, 3, 1)}
    assert desk.journal_cursor() == 42


def test_a_finding_that_moves_to_another_site_leaves_the_first(desk: Desk) -> None:
    commit(desk, 0, finding(0))
    commit(desk, 1, finding(1))
    there = NightFinding(finding(1).finding, "S1", "00", night(1).end_ms)
    assert [change.change for change in commit(desk, 1, there)] == [ChangeKind.WITHDRAWN]


def test_a_finding_without_a_site_is_kept_and_makes_no_lead(engine: sa.Engine, desk: Desk) -> None:
    for offset in (0, 1):
        nowhere = NightFinding(finding(offset).finding, "", "00", night(offset).end_ms)
        assert commit(desk, offset, nowhere) == []
    assert len(everything(engine)["findings"]) == 2


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(finding(1), id="another_night"),
        pytest.param(finding(0, "M99"), id="a_meter_not_judged"),
        pytest.param(finding(0, detector="intensity"), id="a_detector_not_run"),
        pytest.param(finding(0, score=float("nan")), id="score_nan"),
        pytest.param(finding(0, mismatch=float("inf")), id="mismatch_infinite"),
    ],
)
def test_what_does_not_belong_is_refused_whole(engine: sa.Engine, desk: Desk, bad: NightFinding) -> None:
    before = everything(engine)
    with pytest.raises(ValueError, match="finding of"):
        commit(desk, 0, finding(0, "M1"), bad)
    assert everything(engine) == before


def test_two_findings_for_the_same_meter_night_and_detector_are_refused(desk: Desk) -> None:
    with pytest.raises(ValueError, match="two findings"):
        commit(desk, 0, finding(0), finding(0, score=0.9))


def test_measures_that_could_not_be_computed_are_left_out(desk: Desk) -> None:
    odd = {"p_max_kw": 812.4, "h5_pct": float("nan")}
    commit(desk, 0, finding(0, measures=odd))
    commit(desk, 1, moved(finding(1, measures=odd), probability=float("nan")))
    (lead,) = desk.final_leads()
    assert lead["measures"] == {"p_max_kw": 812.4}
    assert lead["probability"] is None
    json.dumps(lead, allow_nan=False)


def test_lists_filter_and_put_the_latest_first(engine: sa.Engine, desk: Desk) -> None:
    for offset in (0, 1):
        commit(desk, offset, finding(offset), finding(offset, "M6", detector="sealed_site"))
    for offset in (20, 21):
        commit(desk, offset, finding(offset))
    leads = list_leads(engine, now_ms=NOW_MS)
    assert leads[0]["id"] == FEBRUARY
    assert leads[0]["delivery"] == {"file": "pending", "webhook": "pending"}
    assert [lead["kind"] for lead in list_leads(engine, kind="sealed_site", now_ms=NOW_MS)] == ["sealed_site"]
    assert [lead["id"] for lead in list_leads(engine, site="S0", month="2026-01", now_ms=NOW_MS)] == [JANUARY]
    assert len(list_leads(engine, limit=2, now_ms=NOW_MS)) == 2
    assert list_leads(engine, offset=2, now_ms=NOW_MS) == leads[2:]
    commit(desk, 1)
    assert [lead["id"] for lead in list_leads(engine, state="withdrawn", now_ms=NOW_MS)] == [JANUARY]
    assert len(list_leads(engine, state="open", now_ms=NOW_MS)) == 2
    with pytest.raises(ValueError, match="nonsense"):
        list_leads(engine, state="nonsense", now_ms=NOW_MS)
    assert show_lead(engine, "L0", now_ms=NOW_MS) is None


def test_receipt_stamps_are_the_only_thing_the_clock_writes(tmp_path: Path) -> None:
    said = []
    for number, wall_ms in enumerate((1, 1_900_000_000_000)):
        (tmp_path / str(number)).mkdir()
        engine = open_desk(tmp_path / str(number))
        desk = desk_on(engine, clock=ManualClock(wall_ms))
        commit(desk, 0, finding(0))
        commit(desk, 1, finding(1))
        leads = list(desk.final_leads())
        said.append((without_stamps(leads), notices(engine)))
        assert leads[0]["raised_at"] == ("1970-01-01T00:00:00.001Z" if wall_ms == 1 else "2030-03-17T17:46:40.000Z")
        engine.dispose()
    assert said[0] == said[1]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("template")
    open_desk(directory).dispose()
    return directory


def final(template: Path, target: Path, commits: list[tuple[int, list[str], list[NightFinding]]]) -> list[Any]:
    engine = open_desk(copy_of(template, target))
    desk = desk_on(engine)
    try:
        for offset, judged, findings in commits:
            commit(desk, offset, *findings, judged=judged)
        return without_stamps(list(desk.final_leads()))
    finally:
        engine.dispose()


CELLS = st.dictionaries(
    st.tuples(st.integers(0, 27), st.sampled_from(["M0", "M1", "M2", "M6"])),
    st.tuples(
        st.sampled_from(["furnace_melt", "sealed_site"]),
        st.sampled_from([Status.SUSPECT, Status.SUSPECT, Status.DECLARED]),
        st.sampled_from([0.5, 0.7, 0.9]),
    ),
    max_size=14,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(last=CELLS, stale=CELLS, seed=st.integers(0, 10_000))
def test_order_slices_and_earlier_verdicts_leave_the_same_final_leads(
    template: Path, tmp_path_factory: pytest.TempPathFactory, last: Any, stale: Any, seed: int
) -> None:
    rng = random.Random(seed)

    def said(cells: Any, offset: int, meters: list[str]) -> list[NightFinding]:
        return [
            finding(day, meter, detector=detector, status=status, score=score)
            for (day, meter), (detector, status, score) in cells.items()
            if day == offset and meter in meters
        ]

    days = sorted({day for day, _ in (*last, *stale)})
    straight = [(day, METERS, said(last, day, METERS)) for day in days]
    winding = [(day, METERS, said(stale, day, METERS)) for day in days]
    again = []
    for day in days:
        cut = rng.randrange(len(METERS))
        again += [(day, part, said(last, day, part)) for part in (METERS[:cut], METERS[cut:])]
    rng.shuffle(winding)
    rng.shuffle(again)
    root = tmp_path_factory.mktemp("orders")
    assert final(template, root / "winding", winding + again) == final(template, root / "straight", straight)


def test_meters_under_suspicion_are_known_with_their_last_suspect_night(desk: Desk) -> None:
    commit(desk, 0, finding(0, "M0"), finding(0, "M1"))
    commit(desk, 2, finding(2, "M0"), finding(2, "M2", status=Status.DECLARED))
    assert desk.suspects_since(night(0).date) == {"M0": night(2).date, "M1": night(0).date}
    assert desk.suspects_since(night(1).date) == {"M0": night(2).date}
