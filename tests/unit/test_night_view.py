"""A night that lies beyond the rings is read for the meters asked about, and for no others."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from models.domain.nights import night_of_date
from monitor.history.history import History
from monitor.jobs import Job
from monitor.night_view import NightView
from tests.support.district import FIRST, ZONE, District, Reading, by_hour, message, slot_ms, steady

FEED = ("bureau", 900)
NIGHT = night_of_date(FIRST, ZONE)


@pytest.fixture
def scrolled(tmp_path: Path) -> Iterator[District]:
    """A district whose rings have moved a month on from the first night; "dead" never reported."""
    rows = [*steady("calm", [0]), *steady("shut", [0], 210.0, channel="p_mean_kw"), *steady("melt", [0], 300.0)]
    later = [*steady("calm", [30]), *steady("shut", [30], 1.0), *steady("melt", [30])]
    with District(tmp_path / "state") as one:
        one.feed(by_hour([*rows, *later], 12))
        list(one.pipeline.judge.run(Job(FEED, NIGHT)))
        yield one


def test_one_late_reading_reads_the_night_of_its_meter_alone(
    scrolled: District, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[tuple[Any, int]] = []
    plain = History.read

    def counted(self: History, *span: int, **asked: Any) -> pa.Table:
        table = plain(self, *span, **asked)
        read.append((asked.get("meters"), table.num_rows))
        return table

    scrolled.feed([[message(Reading("calm", slot_ms(0, 9) + 60_000, {"p_kw": 999.0}))]])
    monkeypatch.setattr(History, "read", counted)
    keys = np.array([scrolled.pipeline.roster.index["calm"]], dtype=np.int32)
    list(scrolled.pipeline.judge.run(Job(FEED, NIGHT, keys)))
    assert [meters for meters, _ in read] == [["calm"]]
    assert read[0][1] < 110


def test_who_was_heard_is_the_same_from_history_as_from_rings(tmp_path: Path) -> None:
    edge_ms = 450_000
    rows = [
        *steady("calm", [0]),
        Reading("shut", slot_ms(0, 0) + edge_ms - 1, {"p_kw": 1.0}),
        Reading("melt", slot_ms(0, 0) + edge_ms, {"p_kw": 1.0}),
        Reading("moved", slot_ms(0, 96) + edge_ms, {"p_kw": 1.0}),
    ]
    later = [reading for meter in ("calm", "shut", "melt", "moved") for reading in steady(meter, [40])]
    answers = []
    for name, more in (("ring", []), ("history", later)):
        with District(tmp_path / name) as one:
            one.feed([[message(*rows)], [message(*more)]] if more else [[message(*rows)]])
            view = NightView(one.pipeline.applier, one.core.history, ZONE, NIGHT)
            keys = np.arange(len(one.pipeline.roster.ids), dtype=np.int32)
            last = [answer for answer in view.heard(900, keys) if answer is not None][-1]
            answers.append({one.pipeline.roster.ids[key] for key in keys[last]})
    assert answers[0] == answers[1] == {"calm", "melt"}


def test_days_that_were_sealed_are_asked_as_well(scrolled: District) -> None:
    history = scrolled.core.history
    end_ms = NIGHT.end_ms + int(dt.timedelta(days=1).total_seconds()) * 1000
    before = history.reported(NIGHT.start_ms, NIGHT.end_ms, 900, ["calm", "dead", "stranger"])
    assert history.seal(end_ms + 9 * 86_400_000) > 0
    after = history.reported(NIGHT.start_ms, NIGHT.end_ms, 900, ["calm", "dead", "stranger"])
    assert before.tolist() == after.tolist() == [True, False, False]
