"""The history keeps rows exactly, however they were cut into batches, sealed or interrupted."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
import tempfile
from collections.abc import Callable
from itertools import pairwise, product
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.domain.channels import CHANNELS
from monitor.history.history import History, HistoryRows, KnownKind
from monitor.history.schema import as_store_error
from monitor.storage import StoreDamaged, StoreError, StoreFatal, StoreFull, StoreLocked
from tests.support.stores import DAY_MS, MARCH_MS, history_rows

ALL = (0, 1 << 45)

slots = st.integers(1, 12).map(lambda k: MARCH_MS + k * 6 * 3_600_000)
values = st.dictionaries(
    st.sampled_from(["p_kw", "e_imp_kwh", "f_hz"]), st.floats(0, 1000, width=16), min_size=1, max_size=3
)
stored_rows = st.lists(st.tuples(st.sampled_from(["m1", "m10", "m2", "a-3"]), slots, values), max_size=20)


def part_of(rows: HistoryRows, start: int, end: int) -> HistoryRows:
    return HistoryRows(
        list(rows.meter)[start:end],
        rows.ts_ms[start:end],
        rows.interval_s[start:end],
        rows.rev[start:end],
        rows.seq[start:end],
        rows.flags[start:end],
        {name: value[start:end] for name, value in rows.channels.items()},
    )


@settings(max_examples=12, deadline=None)
@given(stored_rows, st.lists(st.integers(0, 20), max_size=3), st.integers(0, 6), st.booleans())
def test_neither_batches_nor_sealing_nor_a_restart_change_what_is_read(
    given_rows: list[tuple[str, int, dict[str, float]]], cuts: list[int], sealed_after: int, restart: bool
) -> None:
    rows = history_rows(given_rows)
    with tempfile.TemporaryDirectory() as directory:
        whole, parts = History.open(Path(directory) / "whole"), History.open(Path(directory) / "parts")
        whole.append(rows, 1)
        edges = [0, *sorted(cuts), len(rows)]
        for start, end in pairwise(edges):
            parts.append(part_of(rows, start, end), 1)
            parts.seal(MARCH_MS + sealed_after * DAY_MS, after_days=1)
            if restart:
                parts.close()
                parts = History.open(Path(directory) / "parts")
        assert parts.read(*ALL).to_pylist() == whole.read(*ALL).to_pylist()
        wanted = ["m10", "a-3", "unknown"]
        some = parts.read(MARCH_MS, MARCH_MS + DAY_MS, meters=wanted)
        expected = [
            row
            for row in whole.read(*ALL).to_pylist()
            if row["meter"] in wanted and MARCH_MS < row["ts_ms"] <= MARCH_MS + DAY_MS
        ]
        assert some.to_pylist() == expected
        assert parts.newest().to_pylist() == whole.newest().to_pylist()
        assert parts.span() == whole.span()
        scanned = [row for piece in parts.scan(*ALL) for row in piece.to_pylist()]
        assert sorted(map(str, scanned)) == sorted(map(str, whole.read(*ALL).to_pylist()))
        whole.close()
        parts.close()


def test_rows_come_back_sorted_with_null_for_what_was_not_reported(tmp_path: Path) -> None:
    history = History.open(tmp_path)
    history.append(history_rows([("m2", 2, {"p_kw": 5.0}), ("m10", 9, {"p_kw": 0.0}), ("m2", 1, {"pf": -1.0})]), 3)
    table = history.read(0, 9)
    assert table.schema.names == ["meter", "ts_ms", "interval_s", "rev", "seq", "flags", "p_kw", "pf"]
    assert [(row["meter"], row["ts_ms"], row["p_kw"], row["pf"]) for row in table.to_pylist()] == [
        ("m10", 9, 0.0, None),
        ("m2", 1, None, -1.0),
        ("m2", 2, 5.0, None),
    ]
    assert history.read(2, 9).num_rows == 1
    assert history.read(0, 9, interval_s=60).num_rows == 0
    assert history.read(0, 9, meters=[]).num_rows == 0
    history.close()


def test_every_question_may_follow_every_other(tmp_path: Path) -> None:
    history = History.open(tmp_path)
    rows = history_rows([("m", MARCH_MS + k * DAY_MS) for k in range(3)])
    history.append(rows, 1)
    history.seal(MARCH_MS + 2 * DAY_MS, after_days=1)
    night = dt.date(2026, 3, 2)
    history.write_features(night, 900, 1, ["m"], {"load": np.ones(1, dtype=np.float32)})
    questions: list[Callable[[], object]] = [
        history.span,
        history.newest,
        lambda: history.read(*ALL),
        lambda: next(history.scan(*ALL)),
        lambda: history.classify_old(rows),
        lambda: history.read_features([night], 900, 1, ["m"]),
        lambda: history.append(rows, 1),
        lambda: history.seal(MARCH_MS, after_days=1),
        history.verify_sealed,
    ]
    for first, second in product(questions, questions):
        first()
        second()
    history.close()


def test_registers_are_exact_to_the_cent_at_a_billion(tmp_path: Path) -> None:
    cents = np.random.default_rng(1).integers(99_999_999_000, 100_000_000_000, 200)
    energy = cents / 100.0
    rows = [(f"m{k}", MARCH_MS, {"e_imp_kwh": float(e), "e_q4_kvarh": float(e)}) for k, e in enumerate(energy)]
    history = History.open(tmp_path)
    history.append(history_rows(rows), 1)
    history.seal(MARCH_MS + 2 * DAY_MS, after_days=1)
    table = history.read(*ALL, meters=["m7"])
    assert table.schema.field("e_imp_kwh").type == pa.float64()
    by_meter = {row["meter"]: row for row in history.read(*ALL).to_pylist()}
    assert [by_meter[f"m{k}"]["e_imp_kwh"] for k in range(200)] == energy.tolist()
    assert [by_meter[f"m{k}"]["e_q4_kvarh"] for k in range(200)] == energy.tolist()
    history.close()


def test_every_channel_can_be_stored_and_another_name_cannot(tmp_path: Path) -> None:
    history = History.open(tmp_path)
    history.append(history_rows([("m", MARCH_MS, dict.fromkeys(CHANNELS, 1.0))]), 1)
    assert [name for name in history.read(*ALL).schema.names if name in CHANNELS] == list(CHANNELS)
    with pytest.raises(ValueError, match="not a channel"):
        history.append(history_rows([("m", MARCH_MS, {"p_mw": 1.0})]), 2)
    assert history.cursor == 1
    history.close()


def test_arrow_strings_and_dictionaries_name_meters_as_lists_do(tmp_path: Path) -> None:
    names = ["b", "a", "b"]
    plain = history_rows([(name, MARCH_MS + k) for k, name in enumerate(names)])
    wide = pa.DictionaryArray.from_arrays(pa.array([3, 1, 3], pa.int32()), pa.array(["x", "a", "y", "b"]))
    tables = []
    for number, meter in enumerate([names, pa.array(names), pa.chunked_array([["b", "a"], ["b"]]), wide]):
        history = History.open(tmp_path / str(number))
        rows = HistoryRows(meter, plain.ts_ms, plain.interval_s, plain.rev, plain.seq, plain.flags, plain.channels)
        history.append(rows, 1)
        tables.append(history.read(*ALL).to_pylist())
        history.close()
    assert tables[1:] == tables[:1] * 3
    assert [row["meter"] for row in tables[0]] == ["a", "b", "b"]


def test_the_cursor_moves_with_the_rows_and_never_back(tmp_path: Path) -> None:
    history = History.open(tmp_path)
    history.append(history_rows([("m", MARCH_MS)]), 5)
    history.append(history_rows([]), 9)
    with pytest.raises(ValueError, match="go back"):
        history.append(history_rows([("m", MARCH_MS + 1)]), 8)
    history.close()
    history = History.open(tmp_path)
    assert history.cursor == 9
    assert history.read(*ALL).num_rows == 1
    history.close()


def write_and_fail(history: History, failure: dict[str, float] | None) -> None:
    with history.transaction():
        history.append(history_rows([("new", MARCH_MS, {"f_hz": 50.0})]), 7)
        if failure is None:
            raise KeyError
        history.append(history_rows([("other", MARCH_MS, failure)]), 8)


def test_a_transaction_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    history = History.open(tmp_path)
    history.append(history_rows([("m", MARCH_MS)]), 1)
    with pytest.raises(KeyError):
        write_and_fail(history, None)
    with pytest.raises(ValueError, match="not a channel"):
        write_and_fail(history, {"wrong": 1.0})
    assert (history.cursor, history.read(*ALL).num_rows) == (1, 1)
    assert "f_hz" not in history.read(*ALL).schema.names
    history.append(history_rows([("newer", MARCH_MS, {"f_hz": 50.0}), ("new", MARCH_MS, {"p_kw": 1.0})]), 2)
    assert [row["meter"] for row in history.read(*ALL).to_pylist()] == ["m", "new", "newer"]
    history.close()


def test_a_statement_that_fails_says_why_and_the_history_goes_on(tmp_path: Path) -> None:
    history = History.open(tmp_path)
    rows = history_rows([("m", MARCH_MS), ("n", MARCH_MS)])
    nameless = pa.DictionaryArray.from_arrays(pa.array([0, 1], pa.int32()), pa.array(["m", None]))
    wrong = HistoryRows(nameless, rows.ts_ms, rows.interval_s, rows.rev, rows.seq, rows.flags, rows.channels)
    with pytest.raises(duckdb.ConstraintException, match="NOT NULL"):
        history.append(wrong, 1)
    assert (history.cursor, history.read(*ALL).num_rows) == (0, 0)
    history.append(rows, 1)
    assert [row["meter"] for row in history.read(*ALL).to_pylist()] == ["m", "n"]
    history.close()


@pytest.mark.parametrize("sealed", [False, True])
def test_old_stamps_are_told_apart_against_either_store(tmp_path: Path, sealed: bool) -> None:
    history = History.open(tmp_path)
    history.append(history_rows([("m", MARCH_MS, {"p_kw": 0.1, "e_imp_kwh": 10.01})]), 1)
    history.append(history_rows([("other", MARCH_MS + 8 * DAY_MS, {"pf": 0.5})]), 2)
    if sealed:
        assert history.seal(MARCH_MS + 2 * DAY_MS, after_days=1) == 1
    old = history_rows(
        [
            ("m", MARCH_MS, {"p_kw": 0.1, "e_imp_kwh": 10.02}),
            ("m", MARCH_MS, {"pf": 1.0}),
            ("m", MARCH_MS, {"pf": 1.0, "f_hz": 50.0}),
            ("n", MARCH_MS, {"p_kw": 0.1}),
            ("m", MARCH_MS + 1, {"p_kw": 0.1}),
        ]
    )
    absent, new, same, conflict = KnownKind.ABSENT, KnownKind.NEW, KnownKind.DUPLICATE, KnownKind.CONFLICT
    kinds = history.classify_old(old)
    assert kinds["p_kw"].tolist() == [same, absent, absent, new, new]
    assert kinds["e_imp_kwh"].tolist() == [conflict, absent, absent, absent, absent]
    assert kinds["pf"].tolist() == [absent, new, same, absent, absent]
    assert kinds["f_hz"].tolist() == [absent, absent, new, absent, absent]
    revised = history_rows([("m", MARCH_MS, {"p_kw": 0.2})], rev=1)
    assert history.classify_old(revised)["p_kw"].tolist() == [KnownKind.REVISION]
    assert history.classify_old(history_rows([])) == {}
    history.close()


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    history = History.open(tmp_path)
    code = (
        "import sys; from pathlib import Path; from monitor.history.history import History\n"
        "from monitor.storage import StoreLocked\n"
        "try: History.open(Path(sys.argv[1]))\n"
        "except StoreLocked as error: print(error.pid)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert int(done.stdout) > 0
    history.close()
    assert issubclass(StoreLocked, OSError)


def test_a_file_that_is_not_a_history_is_named_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "history.duckdb"
    path.write_bytes(b"not a history" * 1000)
    with pytest.raises(StoreDamaged) as damaged:
        History.open(tmp_path)
    assert damaged.value.path == path
    assert path.read_bytes() == b"not a history" * 1000


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Failed to commit: Could not write file: No space left on device", StoreFull),
        ("Could not write file: Read-only file system", StoreFull),
        ("Could not set lock on file: Conflicting lock is held in python (PID 4711)", StoreLocked),
        ("Could not fsync file: Input/output error", StoreFatal),
    ],
)
def test_a_failing_disk_has_a_name_whichever_class_of_error_duckdb_takes(
    tmp_path: Path, text: str, kind: type[StoreError]
) -> None:
    for error in (duckdb.IOException(text), duckdb.TransactionException(text), duckdb.FatalException(text)):
        assert type(as_store_error(tmp_path, error)) is kind
