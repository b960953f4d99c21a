"""Slices of the history by journal record, while the core thread writes and seals."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from monitor.history.history import History, HistoryRows
from monitor.history.since import SinceReader
from tests.support.stores import DAY_MS, MARCH_MS, history_rows

QUARTER_MS = 900_000


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    opened = History.open(tmp_path)
    yield opened
    opened.close()


def add(history: History, seq: int, rows: list[tuple[str, int, dict[str, float]]], **more: int) -> None:
    history.append(history_rows(rows, seq=seq, **more), cursor=seq)


def followed(reader: SinceReader, after: int = 0) -> tuple[int, list[tuple[str, int, int, float | None]]]:
    """Everything after a record: the last record, and (meter, stamp, revision, p_kw) of all rows shown."""
    shown: list[tuple[str, int, int, float | None]] = []
    while (slice_ := reader.next(after)) is not None:
        names = slice_.names
        shown += [(names[r["meter_id"]], r["ts_ms"], r["rev"], r.get("p_kw")) for r in slice_.rows.to_pylist()]
        if slice_.complete:
            assert slice_.seq > after
            after = slice_.seq
    return after, shown


def test_every_row_is_shown_once_the_newest_records_last(history: History) -> None:
    for seq in range(1, 200):
        add(history, seq, [("M1", MARCH_MS + seq * QUARTER_MS, {"p_kw": float(seq)})] if seq % 3 else [])
    reader = history.reader()
    after, shown = followed(reader)
    assert after == 199
    assert [row[3] for row in shown] == [float(seq) for seq in range(1, 200) if seq % 3]
    assert reader.next(199) is None
    add(history, 230, [("M2", MARCH_MS, {"p_kw": 7.0})])
    assert followed(reader, 199) == (230, [("M2", MARCH_MS, 0, 7.0)])
    reader.close()


def test_a_stamp_is_shown_with_all_that_is_known_of_it_up_to_the_slice(history: History) -> None:
    add(history, 1, [("M1", MARCH_MS, {"p_kw": 1.0}), ("M1", MARCH_MS + QUARTER_MS, {"p_kw": 5.0})])
    add(history, 2, [("M2", MARCH_MS, {"p_kw": 9.0})])
    add(history, 3, [("M1", MARCH_MS, {"p_kw": 2.0})], rev=1)
    reader = history.reader()
    assert followed(reader, 2)[1] == [("M1", MARCH_MS, 0, 1.0), ("M1", MARCH_MS, 1, 2.0)]
    reader.close()


def test_sealed_days_are_shown_as_hot_ones_are(history: History) -> None:
    days = 12
    for seq in range(1, days * 4 + 1):
        at_ms = MARCH_MS + seq * DAY_MS // 4
        add(history, seq, [(f"M{m}", at_ms, {"p_kw": float(seq * 10 + m)}) for m in range(5)])
    reader = history.reader()
    before = followed(reader)
    assert history.seal(MARCH_MS + (days + 4) * DAY_MS) > 0
    assert sorted(followed(history.reader())[1]) == sorted(before[1])
    add(history, 1000, [("M3", MARCH_MS + DAY_MS // 4, {"p_kw": -1.0})])
    late = followed(reader, days * 4)[1]
    assert late == [("M3", MARCH_MS + DAY_MS // 4, 0, -1.0), ("M3", MARCH_MS + DAY_MS // 4, 0, 13.0)] or late == [
        ("M3", MARCH_MS + DAY_MS // 4, 0, 13.0),
        ("M3", MARCH_MS + DAY_MS // 4, 0, -1.0),
    ]
    reader.close()


def test_a_record_with_too_many_rows_comes_in_pieces_and_completes_once(tmp_path: Path, history: History) -> None:
    rows = [(f"M{m:04d}", MARCH_MS + slot * QUARTER_MS, {"p_kw": float(m)}) for m in range(300) for slot in range(10)]
    add(history, 1, [("M1", MARCH_MS, {"p_kw": 1.0})])
    add(history, 2, rows)
    add(history, 3, [("M2", MARCH_MS, {"p_kw": 1.0})])
    reader = SinceReader(tmp_path, history._connection.cursor(), slice_rows=500)
    after, pieces, shown = 0, 0, set[tuple[str, int]]()
    while (slice_ := reader.next(after)) is not None:
        assert slice_.rows.num_rows < 1500
        pieces += not slice_.complete
        shown |= {(slice_.names[row["meter_id"]], row["ts_ms"]) for row in slice_.rows.to_pylist()}
        after = slice_.seq if slice_.complete else after
    assert after == 3
    assert pieces == 5
    assert shown >= {(meter, ts_ms) for meter, ts_ms, _ in rows}
    reader.close()


def test_a_late_reading_does_not_have_the_days_between_read(history: History) -> None:
    for day in range(30):
        add(history, day + 1, [("M1", MARCH_MS + day * DAY_MS + QUARTER_MS, {"p_kw": float(day)})])
    add(history, 31, [("M1", MARCH_MS + QUARTER_MS, {"p_kw": 0.0}), ("M1", MARCH_MS + 29 * DAY_MS, {"p_kw": 3.0})])
    reader = history.reader()
    assert len(followed(reader, 30)[1]) == 3
    reader.close()


def test_a_thread_reads_everything_while_rows_are_added_and_sealed(history: History) -> None:
    """The reader never sees half a flush or half a sealing, and the writer never fails."""
    rng = random.Random(5)
    written: list[tuple[str, int, int, float | None]] = []
    shown: list[tuple[str, int, int, float | None]] = []
    failed: list[BaseException] = []
    done = threading.Event()
    reader = history.reader()

    def read() -> None:
        after = 0
        try:
            while not (done.is_set() and after == 120):
                after, more = followed(reader, after)
                shown.extend(more)
        except Exception as error:  # noqa: BLE001 - told below
            failed.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    for seq in range(1, 121):
        n = rng.randrange(0, 400)
        stamps = MARCH_MS + (seq * 3 + np.arange(n) % 3) * QUARTER_MS * 8
        names = [f"M{m:03d}" for m in range(n)]
        kw = np.arange(n, dtype=np.float64) + 1000.0 * seq
        channel = {"p_kw": kw} if seq < 60 else {"p_kw": kw, "q_kvar": kw}
        zeros = np.zeros(n, dtype=np.int32)
        rows = HistoryRows(
            names, stamps.astype(np.int64), zeros + 900, zeros, np.full(n, seq), zeros.astype(np.uint8), channel
        )
        history.append(rows, cursor=seq)
        written += [(names[i], int(stamps[i]), 0, float(kw[i])) for i in range(n)]
        if seq % 10 == 0:
            history.seal(int(stamps.max()) + 3 * DAY_MS if n else MARCH_MS, 5)
    done.set()
    thread.join(30)
    assert not thread.is_alive()
    assert not failed
    assert sorted(set(shown)) == sorted(written)
    reader.close()
