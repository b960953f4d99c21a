"""Any single change to what is stored is found, and named: every table, every file, every kind of tampering."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pytest

from monitor.audit.checkpoint import (
    HEAD_NAME,
    Checkpoint,
    Occasion,
    Short,
    last_checkpoint,
    read_lines,
    signed,
    unsigned,
)
from monitor.audit.faults import StateReport
from monitor.audit.keys import FORMER_PATTERN, KEY_NAME, PUBLIC_NAME, PublicKey, SigningKey
from monitor.audit.state_check import check_state
from monitor.desk.schema import METADATA
from monitor.history.tables import TABLES
from tests.support.kept_state import copied, make_state

DESK_TABLES = sorted(table.name for table in METADATA.sorted_tables)
JOURNAL_TABLES = ("segment", "record", "quarantine", "quarantine_count")
OPEN_MONTH, SEALED_MONTH = "journal-202604.sqlite", "journal-202603.sqlite"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    state_dir = tmp_path_factory.mktemp("kept") / "state"
    make_state(state_dir)
    return state_dir


@pytest.fixture
def state(template: Path, tmp_path: Path) -> Path:
    return copied(template, tmp_path / "state")


def look(state_dir: Path, *kept: Short, key: PublicKey | None = None) -> StateReport:
    return check_state(state_dir, ask=None, key=key, kept=kept)


def files_at_fault(report: StateReport) -> set[str]:
    return {fault.file for fault in report.faults}


@contextlib.contextmanager
def tampering(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that nothing holds back: no triggers, no checks, no foreign keys."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute("PRAGMA foreign_keys = OFF")
        for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
            if path.name.startswith("desk"):
                connection.execute(f'DROP TRIGGER "{name}"')
        yield connection
    finally:
        connection.close()


def changed(value: object) -> object:
    """Another value of the same kind."""
    match value:
        case None:
            return None
        case int() | float():
            return value + 1
        case str():
            return "0" + value[1:] if value[:1] != "0" else "1" + value[1:]
        case bytes():
            return bytes([value[0] ^ 1]) + value[1:] if value else b"x"
    raise AssertionError(value)


@dataclass(frozen=True)
class Rows:
    """What a table holds, and how one row of it is named."""

    table: str
    names: list[str]
    primary: list[str]
    rows: list[tuple[Any, ...]]

    def of(self, row: tuple[Any, ...]) -> tuple[str, list[Any]]:
        chosen = [(name, row[self.names.index(name)]) for name in self.primary]
        return " AND ".join(f'"{name}" = ?' for name, _ in chosen), [value for _, value in chosen]

    def update(self, connection: sqlite3.Connection, name: str) -> None:
        row = self.rows[len(self.rows) // 2]
        clause, values = self.of(row)
        value = changed(row[self.names.index(name)])
        connection.execute(f'UPDATE OR REPLACE {self.table} SET "{name}" = ? WHERE {clause}', [value, *values])

    def delete(self, connection: sqlite3.Connection, position: int) -> None:
        clause, values = self.of(self.rows[position])
        connection.execute(f"DELETE FROM {self.table} WHERE {clause}", values)

    def insert(self, connection: sqlite3.Connection) -> None:
        more = list(self.rows[-1])
        at = self.names.index(self.primary[-1])
        more[at] = more[at] + 1 if isinstance(more[at], int) else f"{more[at]}x"
        for unique in {"subject", "idempotency_key"}.intersection(self.names):
            more[self.names.index(unique)] += "x"
        connection.execute(f"INSERT INTO {self.table} VALUES ({', '.join('?' * len(more))})", more)


def single_changes(path: Path, table: str) -> Iterator[tuple[str, Callable[[sqlite3.Connection], None]]]:
    """Every column of a middle row changed, rows deleted at either end and between, and a row added."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        info = connection.execute(f"PRAGMA table_info({table})").fetchall()
        rows = connection.execute(f"SELECT * FROM {table}").fetchall()
    found = Rows(table, [row[1] for row in info], [row[1] for row in info if row[5]], rows)
    if not rows:
        return
    middle = rows[len(rows) // 2]
    for name, value in zip(found.names, middle, strict=True):
        if value is not None:
            yield f"{table}.{name} changed", partial(found.update, name=name)
    for position in sorted({0, len(rows) // 2, len(rows) - 1}):
        yield f"{table} row {position} deleted", partial(found.delete, position=position)
    if table != "segment":
        yield f"{table} row added", found.insert


def missed(template: Path, scratch: Path, file: str, table: str) -> list[str]:
    """The single changes of a table that nothing was said about."""
    silent = []
    for number, (what, change) in enumerate(single_changes(template / file, table)):
        state_dir = copied(template, scratch / f"{table}{number}")
        with tampering(state_dir / file) as connection:
            change(connection)
        if file not in files_at_fault(look(state_dir)):
            silent.append(what)
    return silent


def test_a_state_that_nobody_touched_is_whole(state: Path) -> None:
    report = look(state)
    assert report.faults == []
    assert report.counts["journal records"] > 20
    assert report.counts["sealed history files"] >= 4
    assert report.counts["sealed journal months"] == 1
    assert look(state).faults == [], "looking changes nothing"


@pytest.mark.parametrize("table", DESK_TABLES)
def test_every_change_to_a_table_of_the_desk_is_found(template: Path, tmp_path: Path, table: str) -> None:
    assert missed(template, tmp_path, "desk.sqlite", table) == []


@pytest.mark.parametrize("table", JOURNAL_TABLES)
def test_every_change_to_the_open_month_of_the_journal_is_found(template: Path, tmp_path: Path, table: str) -> None:
    assert missed(template, tmp_path, OPEN_MONTH, table) == []


def test_records_that_changed_places_are_found_and_named(state: Path) -> None:
    with tampering(state / OPEN_MONTH) as connection:
        first, second = (seq for (seq,) in connection.execute("SELECT seq FROM record ORDER BY seq LIMIT 2").fetchall())
        for old, new in ((first, 9_999), (second, first), (9_999, second)):
            connection.execute("UPDATE record SET seq = ? WHERE seq = ?", (new, old))
    named = {fault.record for fault in look(state).faults if fault.file == OPEN_MONTH}
    assert f"record {first}" in named


def test_the_tail_of_the_journal_cannot_be_cut_unseen(state: Path) -> None:
    with tampering(state / OPEN_MONTH) as connection:
        (last,) = connection.execute("SELECT max(seq) FROM record").fetchone()
        connection.execute("DELETE FROM record WHERE seq = ?", (last,))
        connection.execute("DELETE FROM quarantine WHERE seq = ?", (last,))
    assert f"record {last}" in {fault.record for fault in look(state).faults}


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("how", ["deleted", "doubled", "changed"])
def test_every_table_of_the_history_is_as_at_the_last_stop(state: Path, table: str, how: str) -> None:
    with contextlib.closing(duckdb.connect(str(state / "history.duckdb"))) as connection:
        row = connection.execute(f"SELECT min(rowid) FROM {table}").fetchone()
        assert row is not None
        if row[0] is None:
            assert table == "feature"
            return
        if how == "deleted":
            connection.execute(f"DELETE FROM {table} WHERE rowid = ?", row)
        elif how == "doubled":
            connection.execute(f"INSERT INTO {table} SELECT * FROM {table} WHERE rowid = ?", row)
        else:
            described = connection.execute(f"DESCRIBE {table}").fetchall()
            name = next(n for n, kind, *_ in described if kind in ("BIGINT", "INTEGER") and n != "version")
            connection.execute(f'UPDATE {table} SET "{name}" = "{name}" + 1 WHERE rowid = ?', row)
    report = look(state)
    assert {file for file in files_at_fault(report) if file.startswith(("history", "day="))} != set()


def kept_files(state_dir: Path) -> list[str]:
    """Files that hold something and never change in place."""
    patterns = ("history/**/*.parquet", "checkpoints-*.jsonl", "origins/*", PUBLIC_NAME, SEALED_MONTH)
    return sorted(path.relative_to(state_dir).as_posix() for pattern in patterns for path in state_dir.glob(pattern))


@pytest.mark.parametrize("how", ["first byte", "middle byte", "last byte", "cut", "longer", "deleted"])
def test_every_byte_of_what_never_changes_counts(template: Path, tmp_path: Path, how: str) -> None:
    silent = []
    for number, name in enumerate(kept_files(template)):
        state_dir = copied(template, tmp_path / f"s{number}")
        path = state_dir / name
        content = bytearray(path.read_bytes())
        match how:
            case "first byte":
                content[0] ^= 1
            case "middle byte":
                content[len(content) // 2] ^= 1
            case "last byte":
                content[-2] ^= 1
            case "cut":
                content = content[: len(content) // 2]
            case "longer":
                content += b"\n{}\n"
        path.unlink() if how == "deleted" else path.write_bytes(content)
        newest = last_checkpoint(template)
        assert newest is not None
        at_fault = files_at_fault(look(state_dir, newest.short))
        chained = name.startswith("checkpoints-") and any(file.startswith("checkpoints") for file in at_fault)
        if name not in at_fault and not chained:
            silent.append(name)
    assert silent == []


def test_a_file_put_among_the_sealed_days_is_found(state: Path) -> None:
    parts = sorted((state / "history").rglob("*.parquet"))
    (parts[0].parent / "part-000099.parquet").write_bytes(parts[0].read_bytes())
    assert any("added" in fault.what for fault in look(state).faults)


@pytest.mark.parametrize("how", ["deleted", "swapped", "doubled"])
def test_lines_of_checkpoints_are_chained(state: Path, how: str) -> None:
    path = state / "checkpoints-202603.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    match how:
        case "deleted":
            del lines[5]
        case "swapped":
            lines[5], lines[6] = lines[6], lines[5]
        case "doubled":
            lines.insert(5, lines[5])
    path.write_bytes(b"".join(lines))
    report = look(state)
    assert any(fault.file == path.name and "line" in fault.record for fault in report.faults)


def older_state(state: Path) -> list[Checkpoint]:
    """Put the state back to what it was at an earlier checkpoint; returns all there were."""
    lines = [(path, line) for path, _, line, _ in read_lines(state)]
    checkpoints = [Checkpoint.parse(line) for _, line in lines]
    keep = next(i for i, c in enumerate(checkpoints) if c.body.journal.seq == checkpoints[-1].body.journal.seq) - 1
    for path in {path for path, _ in lines}:
        mine = [line + b"\n" for i, (p, line) in enumerate(lines) if p == path and i <= keep]
        path.write_bytes(b"".join(mine)) if mine else path.unlink()
    (state / HEAD_NAME).write_text(checkpoints[keep].short.text + "\n")
    upto = checkpoints[keep].body
    with tampering(state / OPEN_MONTH) as connection:
        connection.execute("DELETE FROM quarantine WHERE seq > ?", (upto.journal.seq,))
        connection.execute("DELETE FROM record WHERE seq > ?", (upto.journal.seq,))
    return checkpoints


def test_a_checkpoint_kept_elsewhere_finds_a_state_that_was_put_back(state: Path) -> None:
    newest = last_checkpoint(state)
    assert newest is not None
    assert newest.body.occasion is Occasion.STOP
    assert look(state, newest.short).whole
    older_state(state)
    assert not any("kept elsewhere" in fault.what for fault in look(state).faults)
    named = [fault for fault in look(state, newest.short).faults if "kept elsewhere" in fault.what]
    assert [fault.record for fault in named] == [f"checkpoint {newest.body.n}"]


def test_the_copies_in_notices_find_checkpoints_that_were_cut(state: Path) -> None:
    """Notices carry the checkpoint that was newest when they were written."""
    for path in state.glob("checkpoints-*.jsonl"):
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join(lines[:2])) if path.name.endswith("03.jsonl") else path.unlink()
    faults = [fault for fault in look(state).faults if "kept elsewhere" in fault.what]
    assert faults


def test_a_rewritten_journal_that_is_signed_anew_is_found_by_the_public_key(state: Path, tmp_path: Path) -> None:
    other = SigningKey.open(tmp_path, None).public
    report = look(state, key=other)
    assert any(other.fingerprint in fault.what for fault in report.faults)


def test_a_crash_that_cut_the_last_line_short_is_no_fault(state: Path) -> None:
    path = state / "checkpoints-202604.jsonl"
    path.write_bytes(path.read_bytes() + b'{"body":{"at_ms":17')
    report = look(state)
    assert report.faults == []
    assert any("crash" in note for note in report.notes)


def with_a_new_key(state: Path) -> PublicKey:
    """A restored daemon without its old private key: it makes one and signs the next checkpoint with it."""
    (state / KEY_NAME).unlink()
    key = SigningKey.open(state, None)
    last = last_checkpoint(state)
    assert last is not None
    body = msgspec.structs.replace(
        last.body, n=last.body.n + 1, previous=last.sha256, occasion=Occasion.START, key=key.public.fingerprint
    )
    line = signed(body, key.sign(unsigned(body).message)).line
    path = state / "checkpoints-202604.jsonl"
    path.write_bytes(path.read_bytes() + line + b"\n")
    return key.public


def test_what_a_former_key_signed_stays_whole_once_the_new_key_signed_after_it(state: Path) -> None:
    former = SigningKey.read(state / KEY_NAME).public
    with_a_new_key(state)
    report = look(state)
    assert report.faults == []
    assert any(former.fingerprint in note for note in report.notes)


def test_a_line_of_a_former_key_that_no_later_one_ties_down_is_a_fault(state: Path) -> None:
    key = SigningKey.read(state / KEY_NAME)
    with_a_new_key(state)
    last = last_checkpoint(state)
    assert last is not None
    body = msgspec.structs.replace(last.body, n=last.body.n + 1, previous=last.sha256, key=key.public.fingerprint)
    path = state / "checkpoints-202604.jsonl"
    path.write_bytes(path.read_bytes() + signed(body, key.sign(unsigned(body).message)).line + b"\n")
    assert any("not signed by the key" in fault.what for fault in look(state).faults)


def test_a_former_key_that_is_taken_away_is_missed(state: Path) -> None:
    with_a_new_key(state)
    next(state.glob(FORMER_PATTERN)).unlink()
    assert any("not signed by the key" in fault.what for fault in look(state).faults)


@pytest.mark.parametrize("name", ["desk.sqlite", "history.duckdb"])
def test_a_database_damaged_anywhere_is_named_and_ends_no_verification(state: Path, name: str) -> None:
    path = state / name
    whole = path.read_bytes()
    for at in range(len(whole) // 10, len(whole), len(whole) // 5):
        path.write_bytes(whole[:at] + bytes(b ^ 0xFF for b in whole[at : at + 4096]) + whole[at + 4096 :])
        report = look(state)
        assert not report.faults or name in files_at_fault(report)
        for side in state.glob(f"{name}*wal"):
            side.unlink()


@pytest.mark.parametrize("cut", [1, 40], ids=["its end", "half of it"])
def test_the_last_checkpoint_cannot_be_cut_off_unseen(state: Path, cut: int) -> None:
    path = state / "checkpoints-202604.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]) + (lines[-1][: len(lines[-1]) // 2] if cut > 1 else b""))
    assert any("kept elsewhere" in fault.what for fault in look(state).faults)


def test_the_file_that_names_the_newest_checkpoint_is_missed_and_is_compared(state: Path) -> None:
    head = state / HEAD_NAME
    whole = head.read_bytes()
    for at in range(0, len(whole), 7):
        head.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert look(state).faults, at
    head.unlink()
    assert HEAD_NAME in files_at_fault(look(state))


def test_a_journal_of_a_newer_version_is_one_line_that_says_so(state: Path) -> None:
    with tampering(state / SEALED_MONTH) as connection:
        connection.execute("PRAGMA user_version = 99")
    (fault,) = look(state).faults
    assert fault.file == SEALED_MONTH
    assert "written by a newer version (has schema 99" in fault.what
