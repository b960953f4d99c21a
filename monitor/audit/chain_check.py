"""Checkpoints and journal, walked together: every line and every record, in order, each against the other."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from monitor.audit.checkpoint import GENESIS, Checkpoint, SealedFile, Short, read_lines
from monitor.audit.faults import StateReport
from monitor.audit.keys import PublicKey, former_public_keys
from monitor.history.seal import file_sha256
from monitor.journal.audit_chain import GENESIS as FIRST_DIGEST
from monitor.journal.body import BodyCodec
from monitor.journal.links import links_sha256, segment_row_sha256
from monitor.journal.quarantine import QuarantineBook
from monitor.journal.schema import GROUP, Record, Segment, open_reader, read_segment, records, segment_paths
from monitor.retention.records import Removals
from monitor.storage import StoreError, sqlite_errors

_STEP = 64


def checked_lines(
    state_dir: Path, key: PublicKey | None, kept: Sequence[Short], report: StateReport
) -> Iterator[Checkpoint]:
    """Every checkpoint that can be read, in order; the chain of lines and their signatures are checked on the way.

    A line signed by a former key counts as long as a later line is signed by `key`: that one names its digest.

    `kept` are copies from elsewhere: each must be found, or its end was cut, or an older state put back.
    """
    missing = {copy.body_sha256: copy for copy in kept}
    chain = _Lines(key, former_public_keys(state_dir), report)
    for path, number, line, ended in read_lines(state_dir):
        checkpoint = chain.take(path.name, f"line {number}", line, ended=ended)
        if checkpoint is not None:
            missing.pop(checkpoint.short.body_sha256, None)
            yield checkpoint
    chain.finish()
    for copy in missing.values():
        report.fault(
            chain.file or "checkpoints",
            f"checkpoint {copy.n}",
            f"kept elsewhere with record {copy.seq}, is not here: cut, rewritten, or an older state put back",
        )


class _Lines:
    """Takes line after line. One that cannot be read is a crash's if its neighbours follow each other."""

    def __init__(self, key: PublicKey | None, former: Sequence[PublicKey], report: StateReport) -> None:
        self._key = key
        self._former = {each.fingerprint: each for each in former}
        self._untied: list[tuple[str, str, str]] = []
        self._report = report
        self._previous, self._n = GENESIS, 0
        self._torn: tuple[str, str] | None = None
        self.file = ""

    def take(self, file: str, place: str, line: bytes, *, ended: bool) -> Checkpoint | None:
        self.file = file
        try:
            checkpoint = Checkpoint.parse(line)
        except ValueError as error:
            self.end()
            self._torn = (file, place) if ended else None
            if not ended:
                self._report.notes.append(f"{file} {place}: {error}; the end of a line that a crash cut short")
            return None
        self._follow(file, place, checkpoint)
        self._previous, self._n = checkpoint.sha256, checkpoint.body.n
        self._report.counted("checkpoints", 1)
        return checkpoint

    def finish(self) -> None:
        """No line is left: what a former key signed last is tied to nothing."""
        self.end()
        if self._key is not None:
            for file, name, _ in self._untied:
                self._report.fault(file, name, f"not signed by the key {self._key.fingerprint}")

    def end(self) -> None:
        """Whatever could not be read before and is not explained was changed."""
        if self._torn is not None:
            self._report.fault(*self._torn, "cannot be read: changed, or put there")
            self._torn = None

    def _follow(self, file: str, place: str, checkpoint: Checkpoint) -> None:
        body, name = checkpoint.body, f"{place}, checkpoint {checkpoint.body.n}"
        if self._torn is not None and (body.n, body.previous) == (self._n + 1, self._previous):
            self._report.notes.append(f"{' '.join(self._torn)}: left by a crash while written; nothing is missing")
            self._torn = None
        self.end()
        if body.n != self._n + 1:
            self._report.fault(file, name, f"follows {self._n}: lines are missing, added or moved")
        elif body.previous != self._previous:
            self._report.fault(file, name, "does not follow the line before it: one of them was changed")
        if self._key is not None:
            self._signature(file, name, checkpoint.short, self._key)

    def _signature(self, file: str, name: str, short: Short, key: PublicKey) -> None:
        former = self._former.get(short.key)
        if short.signed_by(key):
            for fingerprint in sorted({signer for _, _, signer in self._untied}):
                self._report.notes.append(f"checkpoints before {short.n} are signed by a former key, {fingerprint}")
            self._untied.clear()
        elif former is not None and short.signed_by(former):
            self._untied.append((file, name, short.key))
        else:
            self._report.fault(file, name, f"not signed by the key {key.fingerprint}")


class JournalWalk:
    """Walks all segments record by record up to each checkpoint in turn; `finish` walks the rest."""

    def __init__(self, state_dir: Path, removed: Removals, report: StateReport) -> None:
        self._state_dir = state_dir
        self._ends = {(0, FIRST_DIGEST), *removed.ends}
        self._removed = {segment.segment for segment in removed.segments}
        self._report = report
        self._records = self._walk()
        self._ahead: Record | None = None
        self._first: int | None = None
        self._rows: dict[str, str] = {}
        self._seq = 0
        self._digest = ""
        self.present = {path.name for path in segment_paths(state_dir)}

    def advance(self, checkpoint: Checkpoint) -> None:
        """Walk to the record a checkpoint names and compare what it says of the run before it."""
        journal, name = checkpoint.body.journal, f"checkpoint {checkpoint.body.n}"
        run = [record.digest for record in self._upto(journal.seq)]
        if self._first is not None and journal.after + 1 < self._first and journal.seq:
            return
        file = journal.segment or "journal"
        if journal.segment and journal.segment not in self.present | self._removed:
            self._report.fault(file, "", f"missing, {name} names it")
            self.present.add(journal.segment)
        if self._seq < journal.seq:
            self._report.fault(
                file,
                f"record {journal.seq}",
                f"missing: the journal ends at {self._seq}, {name} covers it; cut or put back",
            )
        elif journal.seq and self._seq == journal.seq and self._digest != journal.digest:
            self._report.fault(file, f"record {journal.seq}", f"is not the one that {name} signed: rewritten")
        elif len(run) != journal.count or links_sha256(run) != journal.links:
            self._report.fault(
                file, f"records {journal.after + 1} to {journal.seq}", f"are not those that {name} signed"
            )
        row = self._rows.get(journal.segment)
        if row is not None and row != journal.segment_sha256:
            self._report.fault(file, "segment", f"its own row is not what {name} signed: changed")
            self._rows[journal.segment] = journal.segment_sha256

    def finish(self) -> None:
        """Walk what no checkpoint covers."""
        left = sum(1 for _ in self._upto(1 << 62))
        if left:
            self._report.notes.append(f"{left} journal records are newer than the last checkpoint: chained, not signed")

    def _upto(self, seq: int) -> Iterator[Record]:
        while True:
            record = self._ahead if self._ahead is not None else next(self._records, None)
            if record is None or record.seq > seq:
                self._ahead = record
                return
            self._ahead = None
            self._seq, self._digest = record.seq, record.digest.hex()
            yield record

    def _walk(self) -> Iterator[Record]:
        expected: tuple[int, bytes] = (1, FIRST_DIGEST)
        for position, path in enumerate(segment_paths(self._state_dir)):
            try:
                with sqlite_errors(path), contextlib.closing(open_reader(path)) as connection:
                    segment = read_segment(connection, path)
                    if position == 0:
                        self._first = segment.first_seq
                    self._rows[path.name] = segment_row_sha256(connection)
                    self._check_start(segment, expected, first=position == 0)
                    expected = (segment.first_seq, segment.previous_digest)
                    for record in _Segment(connection, segment, self._report).run():
                        expected = (record.seq + 1, record.digest)
                        yield record
            except StoreError as error:
                self._report.fault(path.name, "", str(error))

    def _check_start(self, segment: Segment, expected: tuple[int, bytes], *, first: bool) -> None:
        if first and (segment.first_seq - 1, segment.previous_digest) in self._ends:
            if segment.first_seq > 1:
                self._report.notes.append(f"records before {segment.first_seq} were removed by retention, as recorded")
            return
        if segment.broken:
            self._report.notes.append(f"{segment.path.name} begins after a break that was recorded when it happened")
            if segment.first_seq >= expected[0]:
                return
        if first:
            self._report.fault(
                segment.path.name, "segment", f"records before {segment.first_seq} are missing: no removal is recorded"
            )
            return
        if (segment.first_seq, segment.previous_digest) != expected:
            self._report.fault(
                segment.path.name, "segment", f"does not follow the segment before it, which ends at {expected[0] - 1}"
            )


class _Segment:
    """One file: its records against their chain, and the quarantine against the records."""

    def __init__(self, connection: sqlite3.Connection, segment: Segment, report: StateReport) -> None:
        self._connection = connection
        self._segment = segment
        self._report = report
        self._codec = BodyCodec()
        self._book = QuarantineBook(segment.first_quarantine_id)
        self._entries: dict[int, tuple[object, ...]] = {}
        self._counts: dict[tuple[str, str], list[int]] = {}
        self._sound = True

    def run(self) -> Iterator[Record]:
        name = self._segment.path.name
        for (verdict,) in self._connection.execute("PRAGMA integrity_check(20)"):
            if verdict != "ok":
                self._report.fault(name, "", f"SQLite finds: {verdict}")
        seq, digest = self._segment.first_seq - 1, self._segment.previous_digest
        while page := records(self._connection, seq, _STEP):
            for record in page:
                self._check(record, seq, digest)
                seq, digest = record.seq, record.digest
                yield record
            self._report.counted("journal records", len(page))
        if self._sound:
            self._check_quarantine()

    def _check(self, record: Record, before: int, digest: bytes) -> None:
        name = self._segment.path.name
        if record.seq != before + 1:
            self._sound = False
            self._report.fault(name, f"record {before + 1}", f"missing: {record.seq} follows {before}")
        elif not record.follows(digest):
            self._sound = False
            self._report.fault(name, f"record {record.seq}", "does not fit its digest: changed, added or moved")
        if record.kind != GROUP or not self._sound:
            return
        try:
            group = self._codec.unpack(record.body)
        except ValueError as error:
            self._report.fault(name, f"record {record.seq}", str(error))
            return
        entries = self._book.enter(record.seq, group.messages, group.rejections)
        self._book.keep(entries)
        for row in entries.rows:
            self._entries[int(row[0])] = tuple(row)
        for key, (number, detailed, at_ms) in entries.counts.items():
            have = self._counts.setdefault(key, [0, 0, at_ms, at_ms])
            have[0], have[1], have[3] = have[0] + number, have[1] + detailed, max(have[3], at_ms)

    def _check_quarantine(self) -> None:
        name = self._segment.path.name
        found = self._connection.execute(
            "SELECT id, seq, rejection, publisher, received_ms, message, reason, field, readings, detail"
            " FROM quarantine ORDER BY id"
        )
        for row in found:
            if self._entries.pop(int(row[0]), None) != tuple(row):
                self._report.fault(name, f"quarantine entry {row[0]}", f"not what record {row[1]} says: changed, added")
        for entry in self._entries:
            self._report.fault(name, f"quarantine entry {entry}", "missing, the records say that there was one")
        counts = self._connection.execute(
            "SELECT publisher, reason, entries, detailed, first_ms, last_ms FROM quarantine_count"
        )
        for publisher, reason, *said in counts:
            if self._counts.pop((publisher, reason), None) != said:
                self._report.fault(name, f"quarantine_count {publisher} {reason}", "not what the records say: changed")
        for publisher, reason in self._counts:
            self._report.fault(name, f"quarantine_count {publisher} {reason}", "missing")


def check_sealed(state_dir: Path, sealed: Sequence[SealedFile], removed: Removals, report: StateReport) -> None:
    """Files that never change again, byte for byte."""
    gone = {segment.segment for segment in removed.segments}
    for file in sealed:
        path = state_dir / file.file
        if not path.exists() and file.file in gone:
            continue
        if not path.is_file():
            report.fault(file.file, "", "missing, a checkpoint lists it as sealed")
        elif path.stat().st_size != file.bytes or file_sha256(path) != file.sha256:
            report.fault(file.file, "", "is not the file that was sealed, byte for byte: changed")
        wal = path.with_name(path.name + "-wal")
        if wal.exists() and wal.stat().st_size:
            report.fault(wal.name, "", "added: it would change a month that is sealed")
        report.counted("sealed journal months", 1)


def segment_files_beside(state_dir: Path) -> list[str]:
    """Segments that were set aside as damaged."""
    return sorted(path.name for path in state_dir.glob("damaged-*.sqlite"))
