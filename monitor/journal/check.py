"""Checks of what the journal holds: the tail at every start (rule C2), the whole chain on demand (rules S4, L3)."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from models.domain.readings import Rejection
from monitor.journal.audit_chain import GENESIS
from monitor.journal.body import BodyCodec
from monitor.journal.quarantine import entry_of
from monitor.journal.schema import (
    Segment,
    digest_before,
    last_seq,
    open_reader,
    read_segment,
    records,
    segment_paths,
)
from monitor.storage import StoreDamaged, sqlite_errors

TAIL_RECORDS: Final = 256
_STEP_RECORDS: Final = 16


def check_tail(connection: sqlite3.Connection, segment: Segment) -> None:
    """Verify the last records of a segment. Raises `StoreDamaged`."""
    last = last_seq(connection, segment)
    check_range(connection, segment, max(segment.first_seq, last - TAIL_RECORDS + 1), last)


def check_links(paths: Sequence[Path], removed: Sequence[tuple[int, bytes]] | None = None) -> None:
    """Verify that each segment begins where the one before it ends, or later after a break. Raises `StoreDamaged`.

    `removed` names the ends (sequence, digest) of segments that retention took out: the first one there must begin
    the journal or follow one of them. None: where it begins is not looked at.
    """
    if paths and removed is not None:
        _check_beginning(paths[0], removed)
    expected: tuple[int, bytes] | None = None
    for path in paths:
        with sqlite_errors(path), contextlib.closing(open_reader(path)) as connection:
            segment = read_segment(connection, path)
            follows = expected is None or expected == (segment.first_seq, segment.previous_digest)
            if expected is not None and segment.broken:
                follows = segment.first_seq >= expected[0]
            if expected is not None and not follows:
                raise StoreDamaged(path, f"it does not follow the segment before it, which ends at {expected[0] - 1}")
            following = last_seq(connection, segment) + 1
            expected = (following, digest_before(connection, segment, following))


def verify_journal(state_dir: Path, removed: Sequence[tuple[int, bytes]] = ()) -> int:
    """Verify every record of every segment, and that the quarantine entries are those of the records.

    `removed` as in `check_links`. Returns the number of records. Raises `StoreDamaged` at the first fault.
    """
    paths = segment_paths(state_dir)
    check_links(paths, removed)
    count = 0
    for path in paths:
        with sqlite_errors(path), contextlib.closing(open_reader(path)) as connection:
            segment = read_segment(connection, path)
            last = last_seq(connection, segment)
            check_range(connection, segment, segment.first_seq, last)
            _check_quarantine(connection, path)
            count += last - segment.first_seq + 1
    return count


def _check_beginning(path: Path, removed: Sequence[tuple[int, bytes]]) -> None:
    with sqlite_errors(path), contextlib.closing(open_reader(path)) as connection:
        segment = read_segment(connection, path)
    ends = {(0, GENESIS), *removed}
    if not segment.broken and (segment.first_seq - 1, segment.previous_digest) not in ends:
        raise StoreDamaged(path, f"it does not follow the beginning: records up to {segment.first_seq - 1} are missing")


def _check_quarantine(connection: sqlite3.Connection, path: Path) -> None:
    """Every entry must say what its record's rejection says."""
    codec = BodyCodec()
    rows = connection.execute(
        "SELECT id, seq, rejection, message, reason, field, readings, detail FROM quarantine ORDER BY id"
    )
    group: tuple[int, tuple[Rejection, ...]] = (0, ())
    for entry, seq, ordinal, *said in rows:
        if seq != group[0]:
            body = connection.execute("SELECT body FROM record WHERE seq = ?", (seq,)).fetchone()
            group = (seq, codec.unpack(body[0]).rejections if body is not None else ())
        if ordinal >= len(group[1]) or said != entry_of(group[1][ordinal]):
            raise StoreDamaged(path, f"quarantine entry {entry} does not match record {seq}")


def check_range(connection: sqlite3.Connection, segment: Segment, first: int, last: int) -> None:
    """Verify the records `first` to `last` of a segment against the chain. Raises `StoreDamaged`."""
    digest = digest_before(connection, segment, first)
    seq = first - 1
    while seq < last:
        for record in records(connection, seq, _STEP_RECORDS):
            seq += 1
            if record.seq != seq:
                raise StoreDamaged(segment.path, f"records {seq} to {record.seq - 1} are missing")
            if not record.follows(digest):
                raise StoreDamaged(segment.path, f"record {seq} does not match its digest")
            digest = record.digest
