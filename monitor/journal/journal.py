"""The journal: every message exactly as it came, one transaction a commit group, chained by digests. It is the record.

History, windows and everything else are derived from it (design §2). One file a month of receipt (UTC), one writer;
sequence numbers, the digest chain and quarantine ids run on over the files.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from models.domain.clock import Clock
from models.domain.readings import RawMessage, Rejection
from monitor.fault_points import FaultPoint, hit
from monitor.journal.audit_chain import link
from monitor.journal.body import BodyCodec, Retried
from monitor.journal.opening import follow, month_of_ms, open_newest
from monitor.journal.quarantine import QuarantineBook, list_quarantine, show_quarantine
from monitor.journal.retried import KeptEntry, kept_entries
from monitor.journal.schema import (
    GROUP,
    PAGE_BYTES,
    TICK,
    Segment,
    digest_before,
    last_seq,
    month_of,
    open_reader,
    read_segment,
    records,
    segment_paths,
)
from monitor.storage import StateLock, StoreDamaged, StoreFatal, StoreFull, as_store_error, sqlite_errors

__all__ = ["Journal", "JournalEntry", "list_quarantine", "show_quarantine"]

_log = logging.getLogger(__name__)

CHECKPOINT_BYTES: Final = 8 * 1024 * 1024
_READ_RECORDS: Final = 16
_COMMIT_OVERHEAD_BYTES: Final = 3 * PAGE_BYTES


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One record read back: a commit group, or a TICK (`tick_ms` set, no messages).

    `cut` names the messages refused for SIZE of which only the first 64 KiB are kept: never decode these again.
    `retried` names the messages that were taken in once more from quarantine: only what it says of them counts.
    """

    seq: int
    messages: tuple[RawMessage, ...]
    rejections: tuple[Rejection, ...]
    tick_ms: int | None
    cut: tuple[int, ...] = ()
    retried: tuple[Retried, ...] = ()


class Journal:
    """The one writer of a state directory's journal. Opened by `open`; used from one thread at a time."""

    head: int
    """Last committed sequence number, 0 when nothing was committed yet."""

    def __init__(
        self, state_dir: Path, clock: Clock, lock: StateLock, segment: Segment, connection: sqlite3.Connection
    ) -> None:
        self._state_dir = state_dir
        self._clock = clock
        self._lock = lock
        self._segment = segment
        self._connection = connection
        self._codec = BodyCodec()
        self._failed: StoreFatal | None = None
        self._unchecked_bytes = CHECKPOINT_BYTES
        self.head = last_seq(connection, segment)
        self._digest = digest_before(connection, segment, self.head + 1)
        self._book = QuarantineBook.load(connection, segment)

    @property
    def digest(self) -> str:
        """Digest of the last record, hexadecimal: what the next one follows."""
        return self._digest.hex()

    @classmethod
    def open(cls, state_dir: Path, clock: Clock, *, applied: int = 0) -> Journal:
        """Take the lock, open the newest segment (or make the first) and verify its tail and the links before it.

        `applied` is the cursor of the derived stores: new records get higher numbers even if the journal's end is
        missing. A damaged newest segment is set aside and a fresh one begun (`monitor.journal.opening`).
        Raises `StoreLocked`, `StoreNewer`, `StoreFull`, `StoreFatal`, or `StoreDamaged` where a segment does not
        follow the one before it.
        """
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.ExitStack() as undo:
            lock = StateLock.acquire(state_dir)
            undo.callback(lock.release)
            segment, connection = open_newest(state_dir, applied=applied, now_ms=clock.wall_ms())
            undo.callback(connection.close)
            with sqlite_errors(segment.path):
                journal = cls(state_dir, clock, lock, segment, connection)
            undo.pop_all()
        _log.info("journal open at %d, SQLite %s", journal.head, sqlite3.sqlite_version)
        return journal

    def commit(
        self, messages: Sequence[RawMessage], rejections: Sequence[Rejection], retried: Sequence[Retried] = ()
    ) -> int:
        """Commit a group in one transaction and return its sequence number; only then may it be acknowledged.

        `StoreFull`: nothing was written, call again later. `StoreFatal`: leave; every later call raises it again.
        """
        if any(not 0 <= r.message < len(messages) for r in rejections):
            raise ValueError(f"a rejection names a message outside the group of {len(messages)}")
        body = self._codec.pack(messages, rejections, retried)
        return self._write(GROUP, None, messages, rejections, body)

    def tick(self, at_ms: int) -> int:
        """Commit that time has passed up to `at_ms` (Unix ms, UTC) without data; returns the sequence number."""
        return self._write(TICK, at_ms, (), (), b"")

    def read(self, after_seq: int) -> Iterator[JournalEntry]:
        """Every record after a sequence number, in order, each checked against the chain.

        Reads through connections of its own in short steps, so that commits may go on meanwhile. Raises
        `StoreDamaged` at the first record that is missing or not what was written.
        """
        codec = BodyCodec()
        paths = segment_paths(self._state_dir)
        for index, path in enumerate(paths):
            with sqlite_errors(path), contextlib.closing(open_reader(path)) as connection:
                segment = read_segment(connection, path)
                last = self.head if index == len(paths) - 1 else last_seq(connection, segment)
                if last > after_seq:
                    start = max(after_seq, segment.first_seq - 1)
                    yield from _entries(connection, segment, codec, start)

    def kept(self, ids: Sequence[int]) -> dict[int, KeptEntry]:
        """Quarantine entries by number with the messages they came from, those that are there."""
        return kept_entries(self._state_dir, ids)

    def last_committed_ms(self) -> int | None:
        """When the newest record was committed, wall clock, Unix ms; None in an empty segment."""
        with sqlite_errors(self._segment.path):
            row = self._connection.execute("SELECT committed_ms FROM record ORDER BY seq DESC LIMIT 1").fetchone()
        return None if row is None else int(row[0])

    def seq_before(self, messages: int) -> int:
        """The sequence number after which the newest segment's last `messages` messages or more were committed."""
        with sqlite_errors(self._segment.path):
            left = messages
            for seq, count in self._connection.execute("SELECT seq, messages FROM record ORDER BY seq DESC"):
                left -= count
                if left <= 0:
                    return int(seq) - 1
        return self._segment.first_seq - 1

    def checkpoint(self) -> None:
        """Move what was committed from the write-ahead log into the file. Raises `StoreFatal` if an fsync fails."""
        self._usable()
        try:
            hit(FaultPoint.IN_CHECKPOINT)
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.Error as error:
            failure = as_store_error(self._segment.path, error)
            if isinstance(failure, StoreFull):
                _log.warning("checkpoint put off: %s", failure)
            else:
                raise self._fail(failure) from error
        self._unchecked_bytes = 0

    def close(self) -> None:
        """Close the files and give the lock back. After a failure the files are left for recovery as they are."""
        with contextlib.suppress(sqlite3.Error):
            self._connection.close()
        self._lock.release()

    def _write(
        self,
        kind: int,
        tick_ms: int | None,
        messages: Sequence[RawMessage],
        rejections: Sequence[Rejection],
        body: bytes,
    ) -> int:
        self._usable()
        now_ms = self._clock.wall_ms()
        if month_of_ms(now_ms) > month_of(self._segment.path):
            self._next_segment(now_ms)
        seq = self.head + 1
        digest = link(
            self._digest,
            seq=seq,
            kind=kind,
            committed_ms=now_ms,
            tick_ms=tick_ms,
            messages=len(messages),
            body=body,
        )
        entries = self._book.enter(seq, messages, rejections)
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.execute(
                "INSERT INTO record (seq, kind, committed_ms, tick_ms, messages, digest, body)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (seq, kind, now_ms, tick_ms, len(messages), digest, body),
            )
            entries.write(self._connection)
            hit(FaultPoint.BEFORE_COMMIT)
            self._connection.execute("COMMIT")
            self.head, self._digest = seq, digest
            self._book.keep(entries)
        except sqlite3.Error as error:
            raise self._rolled_back(error) from error
        except BaseException as error:
            self._roll_back()
            self._fail(StoreFatal(f"interrupted between two records by {error!r}"))
            raise
        self._unchecked_bytes += len(body) + _COMMIT_OVERHEAD_BYTES
        if self._unchecked_bytes >= CHECKPOINT_BYTES:
            self.checkpoint()
        return seq

    def _next_segment(self, now_ms: int) -> None:
        try:
            segment, connection = follow(
                self._state_dir,
                seq=self.head,
                digest=self._digest,
                quarantine_id=self._book.next_id,
                now_ms=now_ms,
            )
            self.checkpoint()
        except StoreFatal as error:
            raise self._fail(error) from error
        self._connection.close()
        self._connection, self._segment = connection, segment
        self._book = QuarantineBook.load(connection, segment)
        _log.info("journal goes on in %s from %d", segment.path.name, segment.first_seq)

    def _usable(self) -> None:
        if self._failed is not None:
            raise StoreFatal(f"the journal failed before and was not reopened: {self._failed}")

    def _rolled_back(self, error: sqlite3.Error) -> Exception:
        """What to raise for a transaction that failed; anything but a full disk ends the use of this journal."""
        self._roll_back()
        if isinstance(error, sqlite3.IntegrityError):
            return error
        failure = as_store_error(self._segment.path, error)
        return failure if isinstance(failure, StoreFull) else self._fail(failure)

    def _roll_back(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    def _fail(self, failure: Exception) -> StoreFatal:
        fatal = failure if isinstance(failure, StoreFatal) else StoreFatal(str(failure))
        self._failed = fatal
        return fatal


def _entries(
    connection: sqlite3.Connection, segment: Segment, codec: BodyCodec, after_seq: int
) -> Iterator[JournalEntry]:
    digest = digest_before(connection, segment, after_seq + 1)
    while batch := records(connection, after_seq, _READ_RECORDS):
        for record in batch:
            if record.seq != after_seq + 1:
                raise StoreDamaged(segment.path, f"records {after_seq + 1} to {record.seq - 1} are missing")
            if not record.follows(digest):
                raise StoreDamaged(segment.path, f"record {record.seq} does not match its digest")
            digest, after_seq = record.digest, record.seq
            if record.kind == TICK:
                yield JournalEntry(record.seq, (), (), record.tick_ms)
                continue
            try:
                group = codec.unpack(record.body)
            except ValueError as error:
                raise StoreDamaged(segment.path, f"record {record.seq}: {error}") from error
            cut = tuple(cut.message for cut in group.cuts)
            yield JournalEntry(record.seq, group.messages, group.rejections, None, cut, group.retried)
