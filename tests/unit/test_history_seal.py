"""Sealed days: whole, named by the manifest, and never read twice whatever interrupts them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import monitor.history.seal
from monitor.history.history import History
from monitor.storage import StoreDamaged
from tests.support.stores import DAY_MS, MARCH_MS, history_rows

ALL = (0, 1 << 45)
HOUR_MS = 3_600_000


def two_days(state_dir: Path) -> History:
    history = History.open(state_dir)
    rows = [(f"m{k % 3}", MARCH_MS + k * HOUR_MS, {"p_kw": float(k), "e_imp_kwh": k / 100}) for k in range(1, 49)]
    history.append(history_rows(rows), 1)
    return history


def parts(state_dir: Path) -> list[str]:
    return sorted(str(path.relative_to(state_dir / "history")) for path in state_dir.glob("history/*/*"))


def test_a_day_is_sealed_when_it_is_old_enough_and_midnight_belongs_to_the_day_before(tmp_path: Path) -> None:
    history = two_days(tmp_path)
    before = history.read(*ALL).to_pylist()
    assert history.seal(MARCH_MS + 8 * DAY_MS - 1) == 0
    assert history.seal(MARCH_MS + 8 * DAY_MS) == 24
    assert parts(tmp_path) == ["day=2026-03-02/part-000001.parquet"]
    assert history.seal(MARCH_MS + 8 * DAY_MS) == 0
    assert history.seal(MARCH_MS + 9 * DAY_MS) == 24
    assert history.read(*ALL).to_pylist() == before
    history.close()


def test_a_sealed_file_speaks_for_itself(tmp_path: Path) -> None:
    history = two_days(tmp_path)
    history.seal(MARCH_MS + 8 * DAY_MS)
    path = tmp_path / "history" / "day=2026-03-02" / "part-000001.parquet"
    table = pq.read_table(path, partitioning=None)
    assert table.schema.names == ["meter", "ts_ms", "interval_s", "rev", "seq", "flags", "p_kw", "e_imp_kwh"]
    assert table.column("meter").to_pylist() == sorted(table.column("meter").to_pylist())
    assert history._connection.execute("SELECT rows, bytes, sha256 FROM part").fetchall() == [
        (24, path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())
    ]
    assert history.verify_sealed() == 1
    history.close()


def test_rows_that_come_after_the_sealing_make_another_part_with_their_new_channels(tmp_path: Path) -> None:
    history = two_days(tmp_path)
    history.seal(MARCH_MS + 8 * DAY_MS)
    history.append(history_rows([("late", MARCH_MS + 1, {"f_hz": 50.0})], seq=2), 2)
    before = history.read(*ALL).to_pylist()
    assert history.seal(MARCH_MS + 8 * DAY_MS) == 1
    assert parts(tmp_path) == ["day=2026-03-02/part-000001.parquet", "day=2026-03-02/part-000002.parquet"]
    assert history.read(*ALL).to_pylist() == before
    assert history.read(*ALL, meters=["late"]).to_pylist()[0]["f_hz"] == 50.0
    history.close()


def test_a_large_day_is_sealed_in_slices_that_cut_no_hour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitor.history.seal, "SLICE_ROWS", 10)
    history = two_days(tmp_path)
    before = history.read(*ALL).to_pylist()
    today_ms = MARCH_MS + 9 * DAY_MS
    assert [history.seal_next(today_ms) for _ in range(7)] == [10, 10, 4, 10, 10, 4, 0]
    assert history.read(*ALL).to_pylist() == before
    history.close()


class Crash(BaseException):
    """Stands for the power going off: nothing after it runs."""


@pytest.mark.parametrize("step", ["sync_file", "sync_directory", "file_sha256", "_confirm"])
@pytest.mark.parametrize("done_first", [False, True])
def test_a_crash_at_any_step_leaves_every_row_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, done_first: bool
) -> None:
    history = two_days(tmp_path)
    before = history.read(*ALL).to_pylist()
    real: Callable[..., object] = getattr(monitor.history.seal, step)

    def crash(*arguments: object) -> object:
        if done_first:
            real(*arguments)
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(monitor.history.seal, step, crash)
        with pytest.raises(Crash):
            history.seal(MARCH_MS + 9 * DAY_MS)
    history.close()
    history = History.open(tmp_path)
    assert history.read(*ALL).to_pylist() == before
    assert parts(tmp_path) == []
    assert history.seal(MARCH_MS + 9 * DAY_MS) == 48
    assert history.read(*ALL).to_pylist() == before
    history.close()


def test_a_file_nobody_recorded_is_neither_read_nor_removed(tmp_path: Path) -> None:
    history = two_days(tmp_path)
    history.seal(MARCH_MS + 9 * DAY_MS)
    before = history.read(*ALL).to_pylist()
    history.close()
    known = tmp_path / "history" / "day=2026-03-02" / "part-000001.parquet"
    stranger = known.with_name("part-000077.parquet")
    stranger.write_bytes(known.read_bytes())
    history = History.open(tmp_path)
    assert history.read(*ALL).to_pylist() == before
    assert stranger.exists()
    history.close()


def test_a_missing_or_shortened_sealed_file_stops_the_start_and_a_changed_one_is_found(tmp_path: Path) -> None:
    history = two_days(tmp_path)
    history.seal(MARCH_MS + 9 * DAY_MS)
    path = tmp_path / "history" / "day=2026-03-03" / "part-000002.parquet"
    original = path.read_bytes()
    path.write_bytes(original[:100] + bytes([original[100] ^ 1]) + original[101:])
    with pytest.raises(StoreDamaged) as damaged:
        history.verify_sealed()
    assert damaged.value.path == path
    history.close()
    path.write_bytes(original[:-1])
    with pytest.raises(StoreDamaged, match="bytes, not"):
        History.open(tmp_path)
    path.unlink()
    with pytest.raises(StoreDamaged, match="missing"):
        History.open(tmp_path)
    path.write_bytes(original)
    History.open(tmp_path).close()


def test_sealing_inside_a_transaction_is_refused(tmp_path: Path) -> None:
    history = two_days(tmp_path)
    with pytest.raises(RuntimeError, match="outside"), history.transaction():
        history.seal(MARCH_MS + 9 * DAY_MS)
    history.close()
