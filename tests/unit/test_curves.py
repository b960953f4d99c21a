"""Readings of a span: read beside the writer, drawn in letters, written to files."""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow.parquet as pq
import pytest

from monitor.cli.history_access import in_pieces
from monitor.curves import curve_of
from monitor.history import span
from monitor.history.history import History
from monitor.history.span import SpanTooLarge
from monitor.ops.history_api import HistoryQuestion
from monitor.reading_files import write_parquet, write_rows
from monitor.spreadsheets import csv_table
from tests.support.stores import DAY_MS, MARCH_MS, history_rows

ZONE = ZoneInfo("Asia/Shanghai")
LOCAL_MS = MARCH_MS - 8 * 3_600_000
"""2026-03-02 00:00 in Shanghai."""
QUARTER_MS = 900_000


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    history = History.open(tmp_path)
    rows = [
        (meter, LOCAL_MS + k * QUARTER_MS, {"p_kw": kw + 0.1 * (k % 4), "e_imp_kwh": 1_284_533.12 + k})
        for meter, kw in (("M1", 10.0), ("M2", 500.0))
        for k in range(1, 3 * 96 + 1)
        if not (meter == "M1" and 96 < k <= 192)
    ]
    history.append(history_rows(rows), cursor=1)
    yield history
    history.close()


def asked(*meters: str) -> HistoryQuestion:
    return HistoryQuestion(LOCAL_MS, LOCAL_MS + 3 * DAY_MS, meters or None)


def test_a_span_is_read_from_both_stores_and_one_meter_only(history: History) -> None:
    spans = history.spans()
    before = spans.read(LOCAL_MS, LOCAL_MS + 3 * DAY_MS, meters=["M1"])
    history.seal(MARCH_MS + 11 * DAY_MS)
    after = spans.read(LOCAL_MS, LOCAL_MS + 3 * DAY_MS, meters=["M1"])
    assert before.equals(after)
    assert before.num_rows == 192
    assert set(before.column("meter").to_pylist()) == {"M1"}
    assert spans.read(LOCAL_MS, LOCAL_MS + DAY_MS, meters=["nobody"]).num_rows == 0


def test_the_writer_goes_on_and_what_it_has_not_committed_is_not_seen(history: History) -> None:
    spans = history.spans()
    with history.transaction():
        history.append(history_rows([("M9", MARCH_MS)]), cursor=2)
        assert spans.read(LOCAL_MS, LOCAL_MS + 3 * DAY_MS, meters=["M9"]).num_rows == 0
    assert spans.read(LOCAL_MS, LOCAL_MS + 3 * DAY_MS, meters=["M9"]).num_rows == 1


def test_an_answer_is_bounded_and_a_long_span_comes_in_pieces(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(span, "MAX_ROWS", 50)
    spans = history.spans()
    with pytest.raises(SpanTooLarge, match="shorter span"):
        spans.read(LOCAL_MS, LOCAL_MS + DAY_MS, meters=None)
    pieces = list(in_pieces(lambda q: spans.read(q.start_ms, q.end_ms, meters=q.meters), asked()))
    assert sum(piece.num_rows for piece in pieces) == 96 * 5
    assert max(piece.num_rows for piece in pieces) <= 50
    monkeypatch.setattr(span, "MAX_ROWS", 1)
    at_ms = LOCAL_MS + QUARTER_MS
    assert spans.read(at_ms - 60_000, at_ms, meters=None).num_rows == 2, "one stamp cannot be cut"


def test_a_curve_shows_every_day_and_its_gap(history: History) -> None:
    curve = curve_of([history.spans().read(LOCAL_MS, LOCAL_MS + 3 * DAY_MS, meters=["M1"])], None)
    assert curve is not None
    assert (curve.channel, curve.unit, curve.interval_s) == ("p_kw", "kW", 900)
    days = list(curve.days(ZONE))
    assert [(day.date.day, day.known, day.expected) for day in days] == [(2, 96, 96), (3, 0, 96), (4, 96, 96)]
    assert days[1].line == "·" * 48
    assert "·" not in days[0].line
    assert np.isnan(days[1].mean)
    assert days[0].highest == pytest.approx(10.3, abs=1e-5)


def test_contradicting_values_are_no_value_until_a_revision(history: History) -> None:
    at_ms = LOCAL_MS + 5 * QUARTER_MS
    history.append(history_rows([("M1", at_ms, {"p_kw": 99.0})], seq=2), cursor=2)
    question = (LOCAL_MS, LOCAL_MS + DAY_MS)
    curve = curve_of([history.spans().read(*question, meters=["M1"])], "p_kw")
    assert curve is not None
    assert (curve.n_contested, int(curve.ts_ms[curve.contested][0])) == (1, at_ms)
    assert np.isnan(curve.values[curve.contested]).all()
    history.append(history_rows([("M1", at_ms, {"p_kw": 12.0})], seq=3, rev=1), cursor=3)
    curve = curve_of([history.spans().read(*question, meters=["M1"])], "p_kw")
    assert curve is not None
    assert curve.n_contested == 0
    assert curve.values[curve.ts_ms == at_ms].tolist() == [12.0]


def test_a_channel_that_is_not_there_is_no_curve(history: History) -> None:
    assert curve_of([history.spans().read(LOCAL_MS, LOCAL_MS + DAY_MS, meters=["M1"])], "q_kvar") is None
    assert curve_of([], None) is None


def test_files_hold_numbers_as_they_were_and_local_times(history: History, tmp_path: Path) -> None:
    pieces = [history.spans().read(LOCAL_MS, LOCAL_MS + DAY_MS, meters=["M1"])]
    assert write_rows(iter(pieces), lambda headings: csv_table(tmp_path / "a.csv", headings), ZONE) == 96
    with (tmp_path / "a.csv").open(encoding="utf-8-sig", newline="") as file:
        first = next(csv.DictReader(file))
    assert first["ts"] == "2026-03-02T00:15:00+08:00"
    assert (first["p_kw"], first["e_imp_kwh"]) == ("10.1", "1284534.12")
    assert write_parquet(iter(pieces), tmp_path / "a.parquet", ZONE) == 96
    table = pq.read_table(tmp_path / "a.parquet")
    assert table.column("ts")[0].as_py() == dt.datetime(2026, 3, 2, 0, 15, tzinfo=ZONE)
    assert table.column("e_imp_kwh")[0].as_py() == 1_284_534.12


def test_nothing_there_is_an_empty_file(tmp_path: Path) -> None:
    assert write_rows(iter(()), lambda headings: csv_table(tmp_path / "a.csv", headings), ZONE) == 0
    assert write_parquet(iter(()), tmp_path / "a.parquet", ZONE) == 0
