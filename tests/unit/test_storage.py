"""The state directory's lock, pragmas and names for failures."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from monitor.storage import (
    BALLAST_BYTES,
    BALLAST_NAME,
    READER_PRAGMAS,
    WRITER_PRAGMAS,
    StateLock,
    StoreDamaged,
    StoreFatal,
    StoreLocked,
    connect_reader,
    connect_writer,
    drop_ballast,
    keep_ballast,
    sqlite_errors,
)

HOLD = """
import sys
from pathlib import Path
from monitor.storage import StateLock
lock = StateLock.acquire(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_process_is_refused_with_the_pid_of_the_first_until_that_is_killed(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(StoreLocked) as refused:
            StateLock.acquire(tmp_path)
        assert refused.value.pid == holder.pid
        assert str(holder.pid) in str(refused.value)
        holder.kill()
        holder.wait()
    StateLock.acquire(tmp_path).release()


def test_the_lock_holds_within_one_process_and_names_it(tmp_path: Path) -> None:
    lock = StateLock.acquire(tmp_path)
    with pytest.raises(StoreLocked) as refused:
        StateLock.acquire(tmp_path)
    assert refused.value.pid == os.getpid()
    lock.release()
    lock.release()
    StateLock.acquire(tmp_path).release()


def test_connections_run_with_the_pragmas_of_the_rules(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    writer = connect_writer(path)
    writer.execute("CREATE TABLE t (x INTEGER) STRICT")
    reader = connect_reader(path)
    for connection, pragmas in ((writer, WRITER_PRAGMAS), (reader, READER_PRAGMAS)):
        for name, wanted in pragmas.items():
            row = connection.execute(f"PRAGMA {name}").fetchone()
            assert row is None or row[0] == wanted
    with pytest.raises(sqlite3.OperationalError):
        reader.execute("INSERT INTO t VALUES (1)")
    reader.close()
    writer.close()


def test_a_pragma_that_does_not_hold_refuses_the_store() -> None:
    with pytest.raises(StoreFatal, match="journal_mode"):
        connect_writer(Path(":memory:"))


def test_a_file_that_is_not_a_database_is_damage_and_not_a_disk_fault(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(StoreDamaged) as damaged, sqlite_errors(path):
        connect_writer(path)
    assert damaged.value.path == path


def test_ballast_is_real_space_and_can_be_given_back(tmp_path: Path) -> None:
    assert keep_ballast(tmp_path)
    ballast = tmp_path / BALLAST_NAME
    assert ballast.stat().st_size == BALLAST_BYTES
    assert ballast.stat().st_blocks * 512 >= BALLAST_BYTES
    assert keep_ballast(tmp_path)
    drop_ballast(tmp_path)
    drop_ballast(tmp_path)
    assert not ballast.exists()
