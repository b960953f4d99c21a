# ruff: noqa: S608 -- the only text put into SQL is the two constants `_LISTED` and `_CHOSEN`
"""Quarantine: what was refused, why, and the bytes as they came (rule D10). Bounded per publisher and month."""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import hashlib
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from models.domain.readings import RawMessage, Rejection
from monitor.journal.body import BodyCodec, encodable
from monitor.journal.remedies import REMEDIES
from monitor.journal.schema import DETAIL_CHARACTERS, Segment, next_quarantine_id, open_reader, segment_paths
from monitor.storage import sqlite_errors

DETAILED_PER_PUBLISHER: Final = 10_000
"""Entries a publisher gets in one month's segment; what comes after is counted, its bytes stay in the journal."""

PUBLISHERS_PER_SEGMENT: Final = 4096
OTHER_PUBLISHERS: Final = "*"
"""Stands for all publishers after the first 4096 of a month."""

MAX_LIMIT: Final = 1000

_LISTED: Final = "id, seq, received_ms, publisher, reason, field, readings, detail"
_CHOSEN: Final = (
    "(:publisher IS NULL OR publisher = :publisher) AND (:reason IS NULL OR reason = :reason)"
    " AND (:before IS NULL OR id < :before)"
)
_PUBLISHER_CHARACTERS: Final = 256
_FIELD_CHARACTERS: Final = 64


_Row: TypeAlias = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Entries:
    """What one commit adds to the quarantine: rows to keep in detail, and counts by (publisher, reason)."""

    rows: list[_Row]
    counts: Mapping[tuple[str, str], tuple[int, int, int]]
    detailed: Counter[str]

    def write(self, connection: sqlite3.Connection) -> None:
        """Add them inside the caller's transaction."""
        if self.rows:
            connection.executemany(
                "INSERT INTO quarantine (id, seq, rejection, publisher, received_ms, message, reason, field, readings,"
                " detail) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                self.rows,
            )
        for (publisher, reason), (entries, detailed, at_ms) in self.counts.items():
            connection.execute(
                "INSERT INTO quarantine_count VALUES (?1, ?2, ?3, ?4, ?5, ?5) ON CONFLICT (publisher, reason) DO UPDATE"
                " SET entries = entries + ?3, detailed = detailed + ?4, last_ms = max(last_ms, ?5)",
                (publisher, reason, entries, detailed, at_ms),
            )


_NOTHING: Final = Entries([], MappingProxyType({}), Counter())


@dataclass(slots=True)
class QuarantineBook:
    """How much of each publisher's refusals the open segment holds in detail, and the next entry's id."""

    next_id: int
    detailed: Counter[str] = field(default_factory=Counter)

    @classmethod
    def load(cls, connection: sqlite3.Connection, segment: Segment) -> QuarantineBook:
        """The book of a segment, from its tables."""
        rows = connection.execute("SELECT publisher, sum(detailed) FROM quarantine_count GROUP BY publisher")
        return cls(next_quarantine_id(connection, segment), Counter({p: int(n) for p, n in rows}))

    def enter(self, seq: int, messages: Sequence[RawMessage], rejections: Sequence[Rejection]) -> Entries:
        """The entries of one commit group; nothing changes until `keep`."""
        if not rejections:
            return _NOTHING
        rows: list[_Row] = []
        counts: dict[tuple[str, str], tuple[int, int, int]] = {}
        added: Counter[str] = Counter()
        for ordinal, rejection in enumerate(rejections):
            message = messages[rejection.message]
            publisher = self._bucket(encodable(message.publisher)[:_PUBLISHER_CHARACTERS], added)
            received_ms = max(0, message.received_ms)
            keep = self.detailed[publisher] + added[publisher] < DETAILED_PER_PUBLISHER
            added[publisher] += keep
            key = (publisher, rejection.reason.value)
            entries, detailed, last_ms = counts.get(key, (0, 0, 0))
            counts[key] = (entries + 1, detailed + keep, max(last_ms, received_ms))
            if keep:
                place = (self.next_id + len(rows), seq, ordinal)
                rows.append((*place, publisher, received_ms, *entry_of(rejection)))
        return Entries(rows, counts, added)

    def keep(self, entries: Entries) -> None:
        """Remember entries whose transaction was committed."""
        self.next_id += len(entries.rows)
        self.detailed.update(entries.detailed)

    def _bucket(self, publisher: str, added: Mapping[str, int]) -> str:
        if publisher in self.detailed or publisher in added:
            return publisher
        return publisher if len(self.detailed) + len(added) < PUBLISHERS_PER_SEGMENT else OTHER_PUBLISHERS


def entry_of(rejection: Rejection) -> list[Any]:
    """What an entry repeats of its rejection: message, reason, field, number of readings, detail."""
    return [
        rejection.message,
        rejection.reason.value,
        encodable(rejection.field)[:_FIELD_CHARACTERS],
        len(rejection.rows),
        encodable(rejection.detail)[:DETAIL_CHARACTERS],
    ]


def list_quarantine(
    state_dir: Path,
    *,
    publisher: str | None = None,
    reason: str | None = None,
    limit: int = 100,
    before_id: int | None = None,
    offset: int = 0,
) -> list[dict[str, Any]]:
    """Entries newest first, at most `limit` (1 to 1000), older than `before_id`, after skipping `offset` of them.

    Keys: `id, seq, received_ms, received, publisher, reason, field, readings, detail, count`. On the first page,
    rows without an `id` follow for what a publisher had refused beyond its bound; their `count` says how many.
    """
    if not 1 <= limit <= MAX_LIMIT or offset < 0:
        raise ValueError(f"limit {limit}, offset {offset}: limit is 1 to {MAX_LIMIT}, offset 0 or more")
    first_page = before_id is None and offset == 0
    chosen = {"publisher": publisher, "reason": reason, "before": before_id}
    found: list[dict[str, Any]] = []
    summaries: list[dict[str, Any]] = []
    for connection in _newest_first(state_dir):
        if len(found) < limit:
            page = _detailed(connection, chosen | {"limit": limit - len(found), "offset": offset})
            offset = 0 if page else max(0, offset - _count(connection, chosen))
            found += page
        if first_page:
            summaries += _summarised(connection, publisher, reason)
    return found + summaries


def show_quarantine(state_dir: Path, entry_id: int) -> dict[str, Any] | None:
    """One entry whole: the keys of `list_quarantine`, the rejection's `rows`, the message as it came, the remedy.

    `payload_text` is None where the payload is not UTF-8; `payload_base64` is always there. `payload_bytes` and
    `payload_sha256` are of the whole payload, `payload_cut` says that only its first 64 KiB are kept.
    """
    for connection in _newest_first(state_dir):
        row = connection.execute(f"SELECT {_LISTED} FROM quarantine WHERE id = ?", (entry_id,)).fetchone()
        if row is not None:
            return _entry(row) | _message_of(connection, entry_id)
    return None


def _newest_first(state_dir: Path) -> Iterator[sqlite3.Connection]:
    for path in reversed(segment_paths(state_dir)):
        with sqlite_errors(path), contextlib.closing(open_reader(path)) as connection:
            yield connection


def _detailed(connection: sqlite3.Connection, chosen: Mapping[str, object]) -> list[dict[str, Any]]:
    query = f"SELECT {_LISTED} FROM quarantine WHERE {_CHOSEN} ORDER BY id DESC LIMIT :limit OFFSET :offset"
    return [_entry(row) for row in connection.execute(query, chosen)]


def _count(connection: sqlite3.Connection, chosen: Mapping[str, object]) -> int:
    (count,) = connection.execute(f"SELECT count(*) FROM quarantine WHERE {_CHOSEN}", chosen).fetchone()
    return int(count)


def _entry(row: Sequence[Any]) -> dict[str, Any]:
    entry = dict(zip(_LISTED.split(", "), row, strict=True))
    return entry | {"received": _iso(entry["received_ms"]), "count": 1}


def _summarised(connection: sqlite3.Connection, publisher: str | None, reason: str | None) -> list[dict[str, Any]]:
    rows = connection.execute(
        "SELECT publisher, reason, entries - detailed, last_ms FROM quarantine_count WHERE entries > detailed"
        " AND (?1 IS NULL OR publisher = ?1) AND (?2 IS NULL OR reason = ?2) ORDER BY publisher, reason",
        (publisher, reason),
    )
    return [
        {
            "id": None,
            "seq": None,
            "received_ms": last_ms,
            "publisher": name,
            "reason": why,
            "field": "",
            "readings": 0,
            "detail": f"{count} more beyond the {DETAILED_PER_PUBLISHER} kept one by one; the bytes are in the journal",
            "received": _iso(last_ms),
            "count": count,
        }
        for name, why, count, last_ms in rows
    ]


def _message_of(connection: sqlite3.Connection, entry_id: int) -> dict[str, Any]:
    body, ordinal, index = connection.execute(
        "SELECT body, rejection, message FROM quarantine JOIN record USING (seq) WHERE id = ?", (entry_id,)
    ).fetchone()
    group = BodyCodec().unpack(body)
    message, rejection = group.messages[index], group.rejections[ordinal]
    cut = next((cut for cut in group.cuts if cut.message == index), None)
    remedy = REMEDIES[rejection.reason]
    return {
        "rows": list(rejection.rows),
        "topic": message.topic,
        "adapter": message.adapter,
        "qos": message.qos,
        "retain": message.retain,
        "payload_bytes": len(message.payload) if cut is None else cut.whole_bytes,
        "payload_sha256": (hashlib.sha256(message.payload).digest() if cut is None else cut.sha256).hex(),
        "payload_cut": cut is not None,
        "payload_text": _text(message.payload),
        "payload_base64": base64.b64encode(message.payload).decode("ascii"),
        "remedy_zh": remedy.zh,
        "remedy_en": remedy.en,
    }


def _text(payload: bytes) -> str | None:
    try:
        return payload.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _iso(unix_ms: int) -> str:
    return dt.datetime.fromtimestamp(unix_ms / 1000.0, dt.UTC).isoformat(timespec="milliseconds")
