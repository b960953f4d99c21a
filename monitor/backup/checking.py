"""Verifying the files of a backup, or what was made of them: chain, digests, and how the stores fit together."""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from monitor.backup.copying import check_sqlite
from monitor.backup.manifest import BackupError
from monitor.desk.database import DESK_FILE
from monitor.journal.check import verify_journal
from monitor.journal.schema import last_seq, open_reader, read_segment, segment_paths
from monitor.retention.records import stored_removals
from monitor.storage import connect_reader, sqlite_errors

_BODY_TABLES: Final = (("lead_revisions", "lead_id"), ("outbox", "seq"), ("findings", "meter"))


@dataclass(frozen=True, slots=True)
class Held:
    """How far the SQLite stores of a directory are: records verified, last record, the desk's cursor."""

    records: int
    journal_head: int
    desk_cursor: int


def check_stores(directory: Path) -> Held:
    """Verify the journal's chain and every digest of the desk. Raises BackupError or `StoreDamaged`."""
    records, head = 0, 0
    desk = directory / DESK_FILE
    if segment_paths(directory):
        removed = stored_removals(desk).ends if desk.is_file() else ()
        records = verify_journal(directory, removed)
        head = journal_head(directory)
    cursor = 0
    if desk.is_file():
        with sqlite_errors(desk), contextlib.closing(connect_reader(desk)) as connection:
            check_sqlite(connection, desk)
            _check_bodies(connection, desk)
            row = connection.execute("SELECT value FROM cursors WHERE name = 'journal'").fetchone()
            cursor = int(row[0]) if row is not None else 0
    return Held(records, head, cursor)


def journal_head(directory: Path) -> int:
    """The last record of the newest segment; 0 where there is none."""
    paths = segment_paths(directory)
    if not paths:
        return 0
    with sqlite_errors(paths[-1]), contextlib.closing(open_reader(paths[-1])) as connection:
        return last_seq(connection, read_segment(connection, paths[-1]))


def check_order(*, journal_head: int, history_cursor: int, desk_cursor: int) -> None:
    """No store may know of a record the journal does not have. Raises BackupError."""
    for name, seq in (("history", history_cursor), ("desk", desk_cursor)):
        if seq > journal_head:
            raise BackupError(
                f"the {name} is at record {seq}, the journal ends at {journal_head}: its end is missing. "
                "Look at the journal with `gridwarden verify` before making or using this backup"
            )


def _check_bodies(connection: sqlite3.Connection, desk: Path) -> None:
    present = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    for table, key in _BODY_TABLES:
        if table not in present:
            continue
        for row_key, body, sha256 in _bodies(connection, table, key):
            if hashlib.sha256(body).hexdigest() != sha256:
                raise BackupError(f"{desk}: {table} {row_key} does not match its digest: it is damaged")


def _bodies(connection: sqlite3.Connection, table: str, key: str) -> Iterator[tuple[object, bytes, str]]:
    yield from connection.execute(f"SELECT {key}, body, sha256 FROM {table}")  # noqa: S608 -- names of the table above
