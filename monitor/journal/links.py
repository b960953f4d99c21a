"""Parts of the chain for those who sign or prove it: digests of a run of records, the row a segment has of itself."""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import msgspec

from monitor.journal.schema import Record, last_seq, open_reader, read_segment, segment_paths
from monitor.storage import sqlite_errors


def link_digests(state_dir: Path, after: int, upto: int, *, limit: int) -> list[tuple[int, bytes]]:
    """(sequence, digest) of the first `limit` records after `after` up to `upto`, as stored.

    Where the chain broke, numbers jump.
    """
    found: list[tuple[int, bytes]] = []
    for path in _holding(state_dir, after, upto):
        with sqlite_errors(path), contextlib.closing(open_reader(path)) as connection:
            rows = connection.execute(
                "SELECT seq, digest FROM record WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?",
                (after, upto, limit - len(found)),
            )
            found += [(int(seq), bytes(digest)) for seq, digest in rows]
    return found


def links_sha256(digests: Sequence[bytes]) -> str:
    """SHA-256 (hex) over digests one after the other."""
    return hashlib.sha256(b"".join(digests)).hexdigest()


def stored_records(state_dir: Path, wanted: Sequence[int]) -> list[tuple[Record, bytes]]:
    """The records of these sequence numbers, in order, each with the digest it follows; missing ones left out."""
    found: list[tuple[Record, bytes]] = []
    left = sorted(set(wanted))
    if not left:
        return found
    for path in _holding(state_dir, left[0] - 1, left[-1]):
        with sqlite_errors(path), contextlib.closing(open_reader(path)) as connection:
            segment = read_segment(connection, path)
            for seq in [seq for seq in left if seq >= segment.first_seq]:
                row = connection.execute(
                    "SELECT seq, kind, committed_ms, tick_ms, messages, digest, body FROM record WHERE seq = ?", (seq,)
                ).fetchone()
                if row is not None:
                    found.append((Record(*row), _digest_before(connection, seq, segment.previous_digest)))
    return sorted(found, key=lambda item: item[0].seq)


def segment_of(state_dir: Path, seq: int) -> tuple[str, str]:
    """Name of the segment that holds a record, or will hold the next one, and the SHA-256 of its own row."""
    chosen = ("", "")
    for path in segment_paths(state_dir):
        with sqlite_errors(path), contextlib.closing(open_reader(path)) as connection:
            if read_segment(connection, path).first_seq > max(seq, 1):
                break
            chosen = (path.name, segment_row_sha256(connection))
    return chosen


def segment_row_sha256(connection: sqlite3.Connection) -> str:
    """SHA-256 (hex) of what a segment says of itself."""
    row = connection.execute(
        "SELECT one, algorithm, first_seq, hex(previous_digest), first_quarantine_id, created_ms, broken FROM segment"
    ).fetchone()
    return hashlib.sha256(msgspec.json.encode(list(row or ()))).hexdigest()


def _digest_before(connection: sqlite3.Connection, seq: int, first: bytes) -> bytes:
    row = connection.execute("SELECT digest FROM record WHERE seq < ? ORDER BY seq DESC LIMIT 1", (seq,)).fetchone()
    return first if row is None else bytes(row[0])


def _holding(state_dir: Path, after: int, upto: int) -> list[Path]:
    """The segments that may hold records after `after` up to `upto`, oldest first."""
    chosen: list[Path] = []
    for path in segment_paths(state_dir):
        with sqlite_errors(path), contextlib.closing(open_reader(path)) as connection:
            segment = read_segment(connection, path)
            if segment.first_seq <= upto and last_seq(connection, segment) > after:
                chosen.append(path)
    return chosen
