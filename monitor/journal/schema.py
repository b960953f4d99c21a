"""Tables of one journal segment (one month's SQLite file), and how one is made, opened and checked."""

from __future__ import annotations

import re
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from models.domain.readings import RejectReason
from monitor.journal.audit_chain import ALGORITHM, DIGEST_BYTES, link
from monitor.storage import (
    StoreDamaged,
    StoreNewer,
    connect_reader,
    connect_writer,
    disk_errors,
    sqlite_errors,
    sync_directory,
)

USER_VERSION: Final = 1
APPLICATION_ID: Final = 0x47574A31
PAGE_BYTES: Final = 8192
DETAIL_CHARACTERS: Final = 512

GROUP: Final = 1
TICK: Final = 2

_NAME: Final = re.compile(r"^journal-(\d{6})(?:-(\d{1,6}))?\.sqlite$")
_REASONS: Final = ", ".join(f"'{reason.value}'" for reason in RejectReason)

SCHEMA: Final = f"""
CREATE TABLE segment (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    algorithm TEXT NOT NULL CHECK (algorithm = '{ALGORITHM}'),
    first_seq INTEGER NOT NULL CHECK (first_seq > 0),
    previous_digest BLOB NOT NULL CHECK (length(previous_digest) = {DIGEST_BYTES}),
    first_quarantine_id INTEGER NOT NULL CHECK (first_quarantine_id > 0),
    created_ms INTEGER NOT NULL CHECK (created_ms >= 0),
    broken INTEGER NOT NULL CHECK (broken IN (0, 1))
) STRICT;
CREATE TABLE record (
    seq INTEGER PRIMARY KEY CHECK (seq > 0),
    kind INTEGER NOT NULL CHECK (kind IN ({GROUP}, {TICK})),
    committed_ms INTEGER NOT NULL CHECK (committed_ms >= 0),
    tick_ms INTEGER CHECK ((tick_ms IS NOT NULL) = (kind = {TICK}) AND tick_ms >= 0),
    messages INTEGER NOT NULL CHECK (messages >= 0),
    digest BLOB NOT NULL CHECK (length(digest) = {DIGEST_BYTES}),
    body BLOB NOT NULL
) STRICT;
CREATE TABLE quarantine (
    id INTEGER PRIMARY KEY CHECK (id > 0),
    seq INTEGER NOT NULL REFERENCES record (seq),
    rejection INTEGER NOT NULL CHECK (rejection >= 0),
    message INTEGER NOT NULL CHECK (message >= 0),
    publisher TEXT NOT NULL CHECK (length(publisher) <= 256),
    reason TEXT NOT NULL CHECK (reason IN ({_REASONS})),
    field TEXT NOT NULL CHECK (length(field) <= 64),
    readings INTEGER NOT NULL CHECK (readings >= 0),
    detail TEXT NOT NULL CHECK (length(detail) <= {DETAIL_CHARACTERS}),
    received_ms INTEGER NOT NULL CHECK (received_ms >= 0)
) STRICT;
CREATE TABLE quarantine_count (
    publisher TEXT NOT NULL CHECK (length(publisher) <= 256),
    reason TEXT NOT NULL CHECK (reason IN ({_REASONS})),
    entries INTEGER NOT NULL CHECK (entries > 0),
    detailed INTEGER NOT NULL CHECK (detailed BETWEEN 0 AND entries),
    first_ms INTEGER NOT NULL CHECK (first_ms >= 0),
    last_ms INTEGER NOT NULL CHECK (last_ms >= 0),
    PRIMARY KEY (publisher, reason)
) STRICT, WITHOUT ROWID;
"""
_TABLES: Final = {statement.strip() for statement in SCHEMA.split(";") if statement.strip()}


@dataclass(frozen=True, slots=True)
class Record:
    """One row of `record`. `body` is the zstd blob of a commit group, empty for a TICK."""

    seq: int
    kind: int
    committed_ms: int
    tick_ms: int | None
    messages: int
    digest: bytes
    body: bytes

    def follows(self, previous: bytes) -> bool:
        """True if the stored digest is that of this record after `previous`."""
        expected = link(
            previous,
            seq=self.seq,
            kind=self.kind,
            committed_ms=self.committed_ms,
            tick_ms=self.tick_ms,
            messages=self.messages,
            body=self.body,
        )
        return expected == self.digest


@dataclass(frozen=True, slots=True)
class Segment:
    """What a segment says of itself: `first_seq` and `previous_digest` tie it to the segment before.

    `broken` is true where that one was damaged or its end missing: then sequence numbers jump, and `previous_digest`
    is the digest of the damaged file, or of the last record there was.
    """

    path: Path
    first_seq: int
    previous_digest: bytes
    first_quarantine_id: int
    broken: bool


def new_segment_path(state_dir: Path, month: str) -> Path:
    """A free name for a receipt month `YYYYMM`: `journal-YYYYMM.sqlite`, after a break `journal-YYYYMM-2.sqlite`."""
    part = 1 + max((number for of, number in map(_month_and_part, segment_paths(state_dir)) if of == month), default=0)
    return state_dir / (f"journal-{month}.sqlite" if part == 1 else f"journal-{month}-{part}.sqlite")


def segment_paths(state_dir: Path) -> list[Path]:
    """All segments, oldest first."""
    named = (path for path in state_dir.glob("journal-*.sqlite") if _NAME.match(path.name))
    return sorted(named, key=_month_and_part)


def month_of(path: Path) -> str:
    """`YYYYMM` of a segment's file."""
    return _month_and_part(path)[0]


def _month_and_part(path: Path) -> tuple[str, int]:
    match = _NAME.match(path.name)
    if match is None:
        raise ValueError(f"{path.name} is not a journal segment; its name is journal-YYYYMM.sqlite")
    return match.group(1), int(match.group(2) or 1)


def create_segment(
    path: Path,
    *,
    first_seq: int,
    previous_digest: bytes,
    first_quarantine_id: int,
    created_ms: int,
    broken: bool,
) -> sqlite3.Connection:
    """Make a new segment beside the others and return its writing connection.

    It is built under another name and renamed when whole, so that a crash leaves no half-made segment.
    """
    unfinished = path.with_suffix(".new")
    for leftover in (unfinished, *(unfinished.with_name(unfinished.name + tail) for tail in ("-wal", "-shm"))):
        leftover.unlink(missing_ok=True)
    with disk_errors(path), sqlite_errors(path):
        connection = sqlite3.connect(unfinished, isolation_level=None)
        try:
            connection.execute(f"PRAGMA page_size={PAGE_BYTES}")
            connection.execute("PRAGMA synchronous=FULL")
            connection.executescript(f"BEGIN IMMEDIATE;{SCHEMA}")
            connection.execute(
                "INSERT INTO segment VALUES (1, ?, ?, ?, ?, ?, ?)",
                (ALGORITHM, first_seq, previous_digest, first_quarantine_id, created_ms, int(broken)),
            )
            connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version={USER_VERSION}")
            connection.execute("COMMIT")
        finally:
            connection.close()
        unfinished.rename(path)
        sync_directory(path.parent)
    return open_writer(path)


def open_writer(path: Path) -> sqlite3.Connection:
    """The writing connection of an existing segment. Raises `StoreNewer` or `StoreDamaged`."""
    with sqlite_errors(path):
        connection = connect_writer(path)
        try:
            check_version(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """A read-only connection to a segment. Raises `StoreNewer` or `StoreDamaged`."""
    with sqlite_errors(path):
        connection = connect_reader(path)
        try:
            check_version(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


def check_version(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse a file that is not a segment, one of a newer program (rule S5), or one with other tables than ours."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION_ID or version < 1:
        raise StoreDamaged(path, "this is not a journal of GridWarden")
    if version > USER_VERSION:
        raise StoreNewer(path, version, USER_VERSION)
    tables = {sql for (sql,) in connection.execute("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL")}
    if tables != _TABLES:
        raise StoreDamaged(path, f"its tables are not those of schema {USER_VERSION}")


def read_segment(connection: sqlite3.Connection, path: Path) -> Segment:
    """The one row of `segment`."""
    row = connection.execute("SELECT first_seq, previous_digest, first_quarantine_id, broken FROM segment").fetchone()
    if row is None:
        raise StoreDamaged(path, "the segment's own row is missing")
    first_seq, previous_digest, first_quarantine_id, broken = row
    return Segment(path, first_seq, previous_digest, first_quarantine_id, bool(broken))


def last_seq(connection: sqlite3.Connection, segment: Segment) -> int:
    """Sequence of the last record, or of the one before the segment where it is empty."""
    (seq,) = connection.execute("SELECT max(seq) FROM record").fetchone()
    return segment.first_seq - 1 if seq is None else int(seq)


def next_quarantine_id(connection: sqlite3.Connection, segment: Segment) -> int:
    """The first id no quarantine entry up to this segment's end has."""
    (last_id,) = connection.execute("SELECT max(id) FROM quarantine").fetchone()
    return segment.first_quarantine_id if last_id is None else int(last_id) + 1


def digest_before(connection: sqlite3.Connection, segment: Segment, seq: int) -> bytes:
    """Digest the record `seq` must follow. Raises `StoreDamaged` if the record before it is missing."""
    if seq <= segment.first_seq:
        return segment.previous_digest
    row = connection.execute("SELECT digest FROM record WHERE seq = ?", (seq - 1,)).fetchone()
    if row is None:
        raise StoreDamaged(segment.path, f"record {seq - 1} is missing")
    return bytes(row[0])


def records(connection: sqlite3.Connection, after_seq: int, limit: int) -> list[Record]:
    """Up to `limit` records after a sequence number, in order."""
    rows = connection.execute(
        "SELECT seq, kind, committed_ms, tick_ms, messages, digest, body FROM record"
        " WHERE seq > ? ORDER BY seq LIMIT ?",
        (after_seq, limit),
    ).fetchall()
    return [Record(*row) for row in rows]
