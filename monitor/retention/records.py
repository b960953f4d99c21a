"""What was removed on purpose, as the audit log tells it: so that a check knows it from what was taken away.

An entry is committed before anything is removed. A file that such an entry names may be there or not; any other file
that is missing was not removed by this program.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from monitor.desk.audit_log import SYSTEM, append
from monitor.desk.schema import AUDIT_LOG
from monitor.storage import connect_reader, sqlite_errors

JOURNAL_ACTION: Final = "retention.journal"
HISTORY_ACTION: Final = "retention.history"
NIGHTS_ACTION: Final = "retention.nights"


class RemovedSegment(msgspec.Struct, frozen=True):
    """A journal segment that was removed whole: where it began and ended, and the digests it stood between (hex)."""

    segment: str
    first_seq: int
    last_seq: int
    previous_digest: str
    last_digest: str
    messages: int
    quarantined: int
    first_ms: int
    last_ms: int


class RemovedPart(msgspec.Struct, frozen=True):
    """A sealed file of the history that was removed; `file` is relative to the directory of sealed days."""

    file: str
    rows: int
    bytes: int
    sha256: str


class RemovedNight(msgspec.Struct, frozen=True):
    """A night of features or scores that was removed."""

    table: str
    night: str
    rows: int


Removed = RemovedSegment | RemovedPart | RemovedNight


@dataclass(frozen=True, slots=True)
class Removals:
    """Everything that retention removed. `segments` in the order of the journal; `parts` by file."""

    segments: tuple[RemovedSegment, ...]
    parts: dict[str, RemovedPart]

    @property
    def ends(self) -> tuple[tuple[int, bytes], ...]:
        """(last sequence number, its digest) of each removed segment: what a first remaining one may follow."""
        return tuple((segment.last_seq, bytes.fromhex(segment.last_digest)) for segment in self.segments)


def subject_of(removed: Removed) -> str:
    """What the audit entry is about."""
    match removed:
        case RemovedSegment(segment=name):
            return f"journal:{name}"
        case RemovedPart(file=name):
            return f"history:{name}"
        case RemovedNight(table=table, night=night):
            return f"{table}:{night}"


def note_removal(connection: sa.Connection, removed: Removed, at_ms: int) -> None:
    """Add the entry, unless it is there already from before a crash, in the caller's transaction."""
    subject = subject_of(removed)
    known = connection.execute(sa.select(AUDIT_LOG.c.seq).where(AUDIT_LOG.c.subject == subject).limit(1)).first()
    if known is not None and not isinstance(removed, RemovedNight):
        return
    action = {RemovedSegment: JOURNAL_ACTION, RemovedPart: HISTORY_ACTION, RemovedNight: NIGHTS_ACTION}[type(removed)]
    details = msgspec.to_builtins(removed)
    append(connection, at_ms=at_ms, actor=SYSTEM, action=action, subject=subject, details=details)


def removals(connection: sa.Connection) -> Removals:
    """What the audit log says was removed; that the log is whole is checked by its own chain."""
    segments = [msgspec.convert(details, RemovedSegment) for details in _details(connection, JOURNAL_ACTION)]
    parts = [msgspec.convert(details, RemovedPart) for details in _details(connection, HISTORY_ACTION)]
    return _gathered(segments, parts)


def _gathered(segments: Sequence[RemovedSegment], parts: Sequence[RemovedPart]) -> Removals:
    in_order = sorted(segments, key=lambda segment: segment.first_seq)
    return Removals(tuple(in_order), {part.file: part for part in parts})


def _details(connection: sa.Connection, action: str) -> Iterator[dict[str, Any]]:
    query = sa.select(AUDIT_LOG.c.details).where(AUDIT_LOG.c.action == action).order_by(AUDIT_LOG.c.seq)
    for (details,) in connection.execute(query):
        yield msgspec.json.decode(details)


def stored_removals(desk: Path) -> Removals:
    """`removals` from a desk's file that is not open, for looking only; none where it has no audit log yet."""
    with sqlite_errors(desk), contextlib.closing(connect_reader(desk)) as reader:
        if reader.execute("SELECT 1 FROM sqlite_schema WHERE name = 'audit_log'").fetchone() is None:
            return Removals((), {})
        rows = reader.execute("SELECT action, details FROM audit_log WHERE action LIKE 'retention.%' ORDER BY seq")
        told = [(action, bytes(details)) for action, details in rows]
    segments = [msgspec.json.decode(body, type=RemovedSegment) for action, body in told if action == JOURNAL_ACTION]
    parts = [msgspec.json.decode(body, type=RemovedPart) for action, body in told if action == HISTORY_ACTION]
    return _gathered(segments, parts)
