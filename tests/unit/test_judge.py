"""Judging a night: from rings or from history the same, each meter where it reported, silence only of living feeds."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pytest

from detectors.base import Context
from models.domain.findings import Finding, Judgement, Reason, Status
from models.domain.nights import Night, night_of_date
from models.domain.windows import Window
from models.learned.features import FEATURE_VERSION
from monitor.jobs import Job
from monitor.judge import Judge
from monitor.scores import score_table
from tests.support.district import FIRST, ZONE, District, Reading, by_hour, message, slot_ms, steady

FEED, FINE = ("bureau", 900), ("bureau", 300)
NIGHT = night_of_date(FIRST, ZONE)


@pytest.fixture
def district(tmp_path: Path) -> Iterator[District]:
    with District(tmp_path / "state") as one:
        yield one


def night(offset: int) -> Night:
    return night_of_date(FIRST + dt.timedelta(days=offset), ZONE)


def run(judge: Judge, job: Job) -> list[str]:
    """Run a job to its end; the meters whose feature rows changed."""
    changed = [judge.roster.ids[key] for keys in judge.run(job) for key in keys.tolist()]
    return sorted(changed)


def statuses(district: District, detector: str, offset: int = 0) -> dict[str, str]:
    return {
        row["meter"]: row["status"]
        for row in district.scores().to_pylist()
        if row["detector"] == detector and row["night"] == night(offset).date
    }


def coverage(district: District, meter: str, interval_s: int = 900, offset: int = 0) -> float:
    stored = district.core.history.read_features([night(offset).date], interval_s, FEATURE_VERSION, [meter])
    return float(stored["coverage"][0, 0]) if "coverage" in stored else float("nan")


def test_every_member_of_the_feed_is_judged_by_every_detector(district: District) -> None:
    district.feed(by_hour([*steady("calm", [0]), *steady("shut", [0], 210.0, channel="p_mean_kw")], 12))
    run(district.pipeline.judge, Job(FEED, NIGHT))
    for detector in ("quality", "sealed_site", "furnace_melt", "meter_silent"):
        assert set(statuses(district, detector)) == {"calm", "dead", "melt", "moved", "shut"}
    assert statuses(district, "sealed_site")["shut"] == "suspect"
    assert district.core.desk.closed_nights() == {"bureau/900": NIGHT.date}


def test_a_night_that_did_not_change_reports_no_changed_rows(district: District) -> None:
    judge = district.pipeline.judge
    district.feed([[message(*steady("calm", [0]), *steady("shut", [0]))]])
    assert {"calm", "shut"} <= set(run(judge, Job(FEED, NIGHT)))
    keys = np.array([judge.roster.index["calm"]], dtype=np.int32)
    assert run(judge, Job(FEED, NIGHT, keys)) == []
    district.feed([[message(Reading("calm", slot_ms(0, 9), {"p_kw": 999.0}))]])
    assert run(judge, Job(FEED, NIGHT, keys)) == ["calm"]


def test_rings_that_scrolled_on_give_way_to_history_with_the_same_answer(tmp_path: Path) -> None:
    rows = [*steady("calm", [0]), *steady("shut", [0], 210.0, channel="p_mean_kw"), *steady("melt", [0], 300.0)]
    later = [*steady("calm", [30]), *steady("shut", [30], 1.0), *steady("melt", [30])]
    answers = []
    for name, more in (("ring", []), ("history", later)):
        with District(tmp_path / name) as one:
            one.feed(by_hour([*rows, *more], 12))
            run(one.pipeline.judge, Job(FEED, NIGHT))
            answers.append((one.scores().to_pylist(), one.leads()))
    assert answers[0] == answers[1]
    assert answers[0][1]


def test_intake_that_moves_the_rings_on_in_the_middle_of_a_job_takes_nothing_from_it(tmp_path: Path) -> None:
    rows = [*steady("calm", [0]), *steady("shut", [0], 210.0, channel="p_mean_kw"), *steady("melt", [0], 300.0)]
    answers = []
    for name, catches_up in (("quiet", False), ("busy", True)):
        with District(tmp_path / name) as one:
            one.feed(by_hour(rows, 12))
            slices = one.pipeline.judge.run(Job(FEED, NIGHT))
            next(slices)
            if catches_up:
                one.feed(by_hour([*steady("calm", [40]), *steady("shut", [40]), *steady("melt", [40])], 24))
            list(slices)
            answers.append((one.scores().to_pylist(), one.leads()))
    assert answers[0] == answers[1]


def test_a_meter_is_judged_where_it_reported_and_at_its_own_cadence_if_at_both(district: District) -> None:
    both = [*steady("melt", [0]), *steady("melt", [0], step_ms=300_000, interval_s=300)]
    fine = steady("shut", [0], 210.0, channel="p_mean_kw", step_ms=300_000, interval_s=300)
    district.feed(by_hour([*steady("calm", [0]), *both, *fine], 12))
    judge = district.pipeline.judge
    run(judge, Job(FEED, NIGHT))
    assert set(statuses(district, "quality")) == {"calm", "dead", "melt", "moved"}
    run(judge, Job(FINE, NIGHT))
    assert statuses(district, "sealed_site")["shut"] == "suspect"
    assert coverage(district, "shut", 300) == 1.0
    assert np.isnan(coverage(district, "shut", 900))
    assert np.isnan(coverage(district, "melt", 300))


def test_a_late_reading_at_a_cadence_that_does_not_count_judges_nobody(district: District) -> None:
    district.feed([[message(*steady("melt", [0]), Reading("melt", slot_ms(0, 3), {"p_kw": 9.0}, 300))]])
    keys = np.array([district.pipeline.roster.index["melt"]], dtype=np.int32)
    assert run(district.pipeline.judge, Job(FINE, NIGHT, keys)) == []
    assert district.scores().num_rows == 0


def test_silence_in_a_feed_that_is_down_is_unknown_and_turns_into_silence_when_the_feed_is_heard(
    district: District,
) -> None:
    judge = district.pipeline.judge
    run(judge, Job(FEED, NIGHT))
    assert set(statuses(district, "meter_silent").values()) == {"inhibited"}
    assert np.isnan(coverage(district, "dead"))
    district.feed([[message(*steady("calm", [0]), *steady("melt", [0]))]])
    keys = np.array([judge.roster.index["calm"]], dtype=np.int32)
    changed = run(judge, Job(FEED, NIGHT, keys))
    assert changed == ["calm", "dead", "moved", "shut"]
    assert coverage(district, "dead") == 0.0
    assert statuses(district, "meter_silent")["dead"] == "undetermined"


def test_a_provisional_look_keeps_no_row_no_score_and_judges_sealed_sites_alone(district: District) -> None:
    district.feed([[message(*steady("shut", [0], 210.0, channel="p_mean_kw")[:40])]])
    judge = district.pipeline.judge
    assert [judge.roster.ids[key] for key in judge.sealed(NIGHT)] == ["shut"]
    run(judge, Job(FEED, NIGHT, judge.sealed(NIGHT), until_ms=slot_ms(0, 48)))
    assert district.kinds() == {("sealed_site", "shut")}
    assert district.scores().num_rows == 0
    assert np.isnan(coverage(district, "shut"))
    assert district.core.desk.closed_nights() == {}


class Broken:
    """A detector with a fault of its own."""

    name: ClassVar[str] = "quality"
    needs: ClassVar[frozenset[str]] = frozenset()

    def evaluate(self, window: Window, context: Context) -> Judgement:
        raise ZeroDivisionError


def test_a_detector_that_fails_costs_its_own_answer_and_no_other(district: District) -> None:
    judge = district.pipeline.judge
    judge.detectors = [Broken(), *(d for d in judge.detectors if d.name != "quality")]
    district.feed([[message(*steady("calm", [0]), *steady("shut", [0], 210.0, channel="p_mean_kw"))]])
    run(judge, Job(FEED, NIGHT))
    assert set(statuses(district, "quality").values()) == {"undetermined"}
    assert statuses(district, "sealed_site")["shut"] == "suspect"


def test_a_meter_not_registered_that_night_is_not_judged_though_its_readings_are_late(district: District) -> None:
    rows = steady("moved", [2], publisher="plant")
    district.feed(by_hour([*rows, *steady("plant1", [2], publisher="plant")], 24))
    keys = np.array([district.pipeline.roster.index["moved"]], dtype=np.int32)
    assert run(district.pipeline.judge, Job(FEED, night(2), keys)) == []
    assert run(district.pipeline.judge, Job(("plant", 900), night(2), keys)) != []


def test_scores_are_a_row_a_meter_and_detector_with_the_reasons_of_its_finding() -> None:
    reason = Reason("gap", 5.0, "%", "缺数", "missing")
    finding = Finding("quality", "b", FIRST, Status.SUSPECT, 0.5, None, 0.0, (reason,), {})
    numbers: dict[str, Any] = {"score": np.array([np.nan, 0.5]), "probability": np.array([np.nan, np.nan])}
    one = Judgement("quality", ("a", "b"), status=(Status.UNDETERMINED, Status.SUSPECT), findings=(finding,), **numbers)
    table = score_table([one], pa.array(["a", "b"]), pa.array(["A", "B"])).to_pylist()
    assert [(r["meter"], r["site"], r["score"], r["status"]) for r in table] == [
        ("a", "A", None, "undetermined"),
        ("b", "B", 0.5, "suspect"),
    ]
    assert table[0]["reasons"] == "[]"
    assert '"gap"' in table[1]["reasons"]
    assert score_table([], pa.array([], pa.string()), pa.array([], pa.string())).num_rows == 0


def test_how_many_meters_are_judged_and_stored_at_once_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [*steady("calm", [0, 1]), *steady("shut", [0, 1], 210.0, channel="p_mean_kw"), *steady("melt", [0], 300.0)]
    answers = []
    for name, chunk, store, commit in (("whole", 500, 4000, 200), ("small", 2, 3, 1)):
        monkeypatch.setattr("monitor.judge.CHUNK_METERS", chunk)
        monkeypatch.setattr("monitor.judge.STORE_METERS", store)
        monkeypatch.setattr("monitor.judge.COMMIT_FINDINGS", commit)
        with District(tmp_path / name) as one:
            one.feed(by_hour(rows, 12))
            changed = [run(one.pipeline.judge, Job(FEED, night(offset))) for offset in (0, 1)]
            answers.append((changed, one.scores().to_pylist(), one.leads()))
    assert answers[0] == answers[1]
    assert answers[0][2]


def test_sealed_sites_are_judged_before_all_others(district: District, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monitor.judge.CHUNK_METERS", 1)
    monkeypatch.setattr("monitor.judge.STORE_METERS", 1)
    district.feed(by_hour([*steady("calm", [0]), *steady("shut", [0], 210.0, channel="p_mean_kw")], 12))
    judge = district.pipeline.judge
    slices = judge.run(Job(FEED, NIGHT))
    while not district.kinds():
        next(slices)
    assert district.kinds() == {("sealed_site", "shut")}
    assert judge.n_judged == 1
    list(slices)
