"""Writing checkpoints: appended, fsynced, one after the other; for the core thread, which alone writes (rule L3)."""

from __future__ import annotations

import datetime as dt
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from models.domain.clock import Clock
from monitor.audit.checkpoint import (
    FORMAT,
    GENESIS,
    HEAD_NAME,
    Body,
    Checkpoint,
    JournalHead,
    Occasion,
    RowsDigest,
    SealedFile,
    TableDigest,
    last_checkpoint,
    last_sealed,
    rows_sha256,
    signed,
    unsigned,
)
from monitor.audit.keys import PublicKey, SigningKey, former_public_keys
from monitor.desk.audit_log import SYSTEM, append
from monitor.desk.database import desk_transaction
from monitor.desk.schema import AUDIT_LOG
from monitor.journal.journal import Journal
from monitor.journal.links import link_digests, links_sha256, segment_of
from monitor.storage import disk_errors, sync_directory

log = logging.getLogger(__name__)

MOST_RECORDS: Final = 4096
"""Records one checkpoint covers at most: a proof lists the digests of all of them."""
MOST_ROWS: Final = 4096
KEY_REPLACED: Final = "checkpoint.key_replaced"

APPENDED: Final[Mapping[str, tuple[str, str]]] = {
    "revisions": (
        "SELECT rowid, lead_id, revision, change, event_ms, recorded_at_ms, sha256 FROM lead_revisions",
        "rowid",
    ),
    "outbox": ("SELECT seq, sink, idempotency_key, subject, event_type, sha256, created_at_ms FROM outbox", "seq"),
}
"""What of the desk is only ever appended: columns that never change, and the key they are ordered by."""


class Checkpoints:
    """The one writer of a state directory's checkpoints. `newest` is the short form of the last one, for notices."""

    def __init__(self, state_dir: Path, key: SigningKey, journal: Journal, engine: sa.Engine, clock: Clock) -> None:
        self._state_dir = state_dir
        self._key = key
        self._journal = journal
        self._engine = engine
        self._clock = clock
        self._last: Checkpoint | None = last_checkpoint(state_dir)
        self._sealed = last_sealed(state_dir)
        self._started = False

    @property
    def newest(self) -> str:
        return self._last.short.text if self._last is not None else ""

    @property
    def sealed(self) -> Mapping[str, SealedFile]:
        """Sealed files that are listed, by name."""
        return {file.file: file for file in self._sealed}

    def stop(self, tables: Callable[[], Mapping[str, TableDigest]]) -> None:
        """The last word of an orderly end: all that is left to cover, and a digest of every table."""
        while self.write(Occasion.CLOCK):
            pass
        self.write(Occasion.STOP, tables=tables())

    def due(self) -> bool:
        """Write what the clock asks for, nothing where nothing happened; True while more is to be covered."""
        occasion = Occasion.CLOCK if self._started else Occasion.START
        self._started = True
        return self.write(occasion)

    def write(
        self,
        occasion: Occasion,
        *,
        sealed: SealedFile | None = None,
        tables: Mapping[str, TableDigest] | None = None,
    ) -> bool:
        """Append one checkpoint over what came since the last; True where one cannot cover all of it.

        Raises `StoreFull` or `StoreFatal`.
        """
        journal, more = self._journal_head()
        audit, parts, unread = self._desk_rows()
        fresh = journal.count or any(part.count for part in parts.values())
        idle = not fresh and self._last is not None and self._last.body.audit == audit
        if occasion is Occasion.CLOCK and idle:
            return False
        if sealed is not None:
            self._sealed = (*(file for file in self._sealed if file.file != sealed.file), sealed)
        last = self._last
        body = Body(
            v=FORMAT,
            n=1 if last is None else last.body.n + 1,
            at_ms=self._clock.wall_ms(),
            occasion=occasion,
            previous=GENESIS if last is None else last.sha256,
            key=self._key.public.fingerprint,
            journal=journal,
            audit=audit,
            revisions=parts["revisions"],
            outbox=parts["outbox"],
            sealed=self._sealed if occasion in (Occasion.START, Occasion.SEALED) else (),
            tables=tables or {},
        )
        checkpoint = signed(body, self._key.sign(unsigned(body).message))
        self._append(checkpoint)
        self._last = checkpoint
        self._name_newest(checkpoint)
        return more or unread

    def _journal_head(self) -> tuple[JournalHead, bool]:
        """What the next checkpoint says of the journal, and whether records are left for another one."""
        after = self._last.body.journal.seq if self._last is not None else 0
        if self._journal.head <= after:
            before = self._last.body.journal if self._last is not None else None
            name, row = segment_of(self._state_dir, after)
            digest = before.digest if before is not None else self._journal.digest
            return JournalHead(after, after, digest, 0, links_sha256([]), name, row), False
        run = link_digests(self._state_dir, after, self._journal.head, limit=MOST_RECORDS + 1)
        more = len(run) > MOST_RECORDS
        run = run[:MOST_RECORDS]
        seq, link = run[-1]
        name, row = segment_of(self._state_dir, seq)
        links = links_sha256([each for _, each in run])
        return JournalHead(after, seq, link.hex(), len(run), links, name, row), more

    def _desk_rows(self) -> tuple[tuple[int, str], dict[str, RowsDigest], bool]:
        """Head of the audit log, and digests of the rows that were appended; True where rows are left."""
        parts: dict[str, RowsDigest] = {}
        unread = False
        with desk_transaction(self._engine) as connection:
            audit = audit_head(connection)
            for name in APPENDED:
                after = getattr(self._last.body, name).upto if self._last is not None else 0
                rows = appended_rows(connection, name, after, limit=MOST_ROWS)
                unread |= len(rows) == MOST_ROWS
                parts[name] = RowsDigest(after, int(rows[-1][0]) if rows else after, len(rows), rows_sha256(rows))
        return audit, parts, unread

    def _append(self, checkpoint: Checkpoint) -> None:
        month = dt.datetime.fromtimestamp(checkpoint.body.at_ms / 1000.0, dt.UTC)
        path = self._state_dir / f"checkpoints-{month:%Y%m}.jsonl"
        if self._last is not None:
            newest = max(self._state_dir.glob("checkpoints-*.jsonl"), default=path)
            path = max(path, newest)
        with disk_errors(path):
            descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                size = os.fstat(descriptor).st_size
                torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
                content = (b"\n" if torn else b"") + checkpoint.line + b"\n"
                written = os.write(descriptor, content)
                if written != len(content):
                    raise OSError(28, "the line did not fit")
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            if size == 0:
                sync_directory(path.parent)

    def _name_newest(self, checkpoint: Checkpoint) -> None:
        """Replace the file that names the newest checkpoint; a crash leaves the one before, which is there."""
        path = self._state_dir / HEAD_NAME
        unfinished = path.with_name(path.name + ".new")
        with disk_errors(path):
            descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(checkpoint.short.text.encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(path)
            sync_directory(path.parent)


def appended_rows(connection: sa.Connection, name: str, after: int, *, limit: int) -> list[tuple[Any, ...]]:
    """Rows of one of `APPENDED` after a key, in order, without what may change later."""
    select, key = APPENDED[name]
    query = sa.text(f"{select} WHERE {key} > :after ORDER BY {key} LIMIT :limit")
    return [tuple(row) for row in connection.execute(query, {"after": after, "limit": limit})]


def audit_former_keys(state_dir: Path, present: PublicKey, engine: sa.Engine, clock: Clock) -> None:
    """Make an entry of the audit log for each key that signed here before the present one and has none yet."""
    with desk_transaction(engine) as connection:
        told = set(connection.scalars(sa.select(AUDIT_LOG.c.subject).where(AUDIT_LOG.c.action == KEY_REPLACED)))
        for former in former_public_keys(state_dir):
            subject = f"key:{former.fingerprint}"
            if subject not in told:
                append(
                    connection,
                    at_ms=clock.wall_ms(),
                    actor=SYSTEM,
                    action=KEY_REPLACED,
                    subject=subject,
                    details={"by": present.fingerprint},
                )


def audit_head(connection: sa.Connection) -> tuple[int, str]:
    """Number and digest of the last entry of the audit log; 0 and nothing where there is none."""
    row = connection.execute(
        sa.select(AUDIT_LOG.c.seq, AUDIT_LOG.c.digest).order_by(AUDIT_LOG.c.seq.desc()).limit(1)
    ).one_or_none()
    return (0, "") if row is None else (int(row.seq), str(row.digest))
