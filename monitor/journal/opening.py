"""Opening the journal's newest segment: verified first, set aside if it is damaged (rules C2, S4).

A damaged segment is never repaired or deleted: it is renamed, made read-only and kept, and a fresh one begins after it.
The fresh one's first link is the digest of the damaged file, so that the break itself is part of the chain.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import logging
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from monitor.journal.audit_chain import GENESIS
from monitor.journal.check import check_links, check_tail
from monitor.journal.schema import (
    Segment,
    create_segment,
    digest_before,
    last_seq,
    month_of,
    new_segment_path,
    next_quarantine_id,
    open_reader,
    open_writer,
    read_segment,
    segment_paths,
)
from monitor.storage import StoreDamaged, connect_reader, disk_errors, sqlite_errors, sync_directory

_log = logging.getLogger(__name__)

DAMAGED_PREFIX: Final = "damaged-"
_SIDE_FILES: Final = ("-wal", "-shm")


@dataclass(frozen=True, slots=True)
class _End:
    """Where a chain of segments ends: last sequence number, digest to follow, first free quarantine id."""

    seq: int
    digest: bytes
    quarantine_id: int


def open_newest(state_dir: Path, *, applied: int, now_ms: int) -> tuple[Segment, sqlite3.Connection]:
    """The segment to write to, and its connection.

    `applied` is the last record the derived stores have seen: if the journal ends before it, its end was cut off or an
    older copy was put back, and a fresh segment begins after it, so that no sequence number is ever used twice.
    Raises `StoreDamaged` where a segment does not follow the one before it.
    """
    paths = segment_paths(state_dir)
    broken_at = _set_aside_if_damaged(paths[-1]) if paths else None
    if broken_at is not None:
        paths.pop()
    check_links(paths)
    end = _end_of(paths[-1]) if paths else _End(0, GENESIS, 1)
    if broken_at is not None:
        end = _End(max(end.seq, broken_at.seq), broken_at.digest, max(end.quarantine_id, broken_at.quarantine_id))
    if end.seq < applied:
        _log.error("the journal ends at record %d but %d was applied: its end is missing", end.seq, applied)
    broken = broken_at is not None or end.seq < applied
    if paths and not broken:
        connection = open_writer(paths[-1])
        return read_segment(connection, paths[-1]), connection
    month = max(month_of_ms(now_ms), month_of(paths[-1]) if paths else "")
    return start_segment(
        state_dir, month, _End(max(end.seq, applied), end.digest, end.quarantine_id), broken=broken, now_ms=now_ms
    )


def follow(
    state_dir: Path, *, seq: int, digest: bytes, quarantine_id: int, now_ms: int
) -> tuple[Segment, sqlite3.Connection]:
    """Begin the segment of a new month after the record `seq`."""
    return start_segment(state_dir, month_of_ms(now_ms), _End(seq, digest, quarantine_id), broken=False, now_ms=now_ms)


def start_segment(
    state_dir: Path, month: str, end: _End, *, broken: bool, now_ms: int
) -> tuple[Segment, sqlite3.Connection]:
    """Make a segment that follows `end`; `broken` says that what should come before it is damaged or missing."""
    path = new_segment_path(state_dir, month)
    connection = create_segment(
        path,
        first_seq=end.seq + 1,
        previous_digest=end.digest,
        first_quarantine_id=end.quarantine_id,
        created_ms=now_ms,
        broken=broken,
    )
    return read_segment(connection, path), connection


def month_of_ms(wall_ms: int) -> str:
    """Month of receipt, UTC, `YYYYMM`."""
    return f"{dt.datetime.fromtimestamp(wall_ms / 1000.0, dt.UTC):%Y%m}"


def _end_of(path: Path) -> _End:
    with sqlite_errors(path), contextlib.closing(open_reader(path)) as connection:
        segment = read_segment(connection, path)
        seq = last_seq(connection, segment)
        return _End(seq, digest_before(connection, segment, seq + 1), next_quarantine_id(connection, segment))


def _set_aside_if_damaged(path: Path) -> _End | None:
    """Verify a segment without writing to it; None if it is whole, else where the chain goes on after it."""
    try:
        with sqlite_errors(path), contextlib.closing(open_reader(path)) as connection:
            check_tail(connection, read_segment(connection, path))
    except StoreDamaged as damage:
        end = _readable_end(path)
        kept = _set_aside(path)
        _log.exception("%s; kept as %s, a fresh segment begins after record %d", damage, kept.name, end.seq)
        return end
    return None


def _readable_end(path: Path) -> _End:
    """The end as far as a damaged file tells it; the digest is that of the file."""
    seq, entry = 0, 0
    with contextlib.suppress(sqlite3.Error), contextlib.closing(connect_reader(path)) as connection:
        seq = connection.execute("SELECT max(seq) FROM record").fetchone()[0] or 0
        entry = connection.execute("SELECT max(id) FROM quarantine").fetchone()[0] or 0
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").digest()
    return _End(int(seq), digest, int(entry) + 1)


def _set_aside(path: Path) -> Path:
    kept = path.with_name(DAMAGED_PREFIX + path.name)
    number = 1
    while kept.exists():
        number += 1
        kept = path.with_name(f"{DAMAGED_PREFIX}{number}-{path.name}")
    with disk_errors(path):
        for tail in ("", *_SIDE_FILES):
            part = path.with_name(path.name + tail)
            if part.exists():
                part.chmod(0o400)
                part.rename(kept.with_name(kept.name + tail))
        sync_directory(path.parent)
    return kept
