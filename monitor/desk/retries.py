"""What became of quarantine entries that were retried: derived from the journal, which holds what was taken in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert as upsert

from monitor.desk import audit_log
from monitor.desk.finding_rows import CHUNK
from monitor.desk.lead_rows import utc_text
from monitor.desk.schema import QUARANTINE_RETRIES as RETRIES
from monitor.journal.body import Retried

ACCEPTED = "accepted"
REFUSED = "refused"


def accepted(connection: sa.Connection, entries: Sequence[int]) -> dict[int, int]:
    """Entries that were taken in, with the journal record."""
    return {entry: row["seq"] for entry, row in retries_of(connection, entries).items() if row["outcome"] == ACCEPTED}


def retries_of(connection: sa.Connection, entries: Sequence[int]) -> dict[int, dict[str, Any]]:
    """By entry what its last retry came to: `outcome`, `detail`, `seq`, `by`, `at`; those that were retried."""
    found: dict[int, dict[str, Any]] = {}
    for start in range(0, len(entries), CHUNK):
        for row in connection.execute(sa.select(RETRIES).where(RETRIES.c.entry.in_(entries[start : start + CHUNK]))):
            found[int(row.entry)] = {
                "outcome": row.outcome,
                "detail": row.detail,
                "seq": row.seq,
                "by": row.by,
                "at": utc_text(row.at_ms),
            }
    return found


def mark_accepted(connection: sa.Connection, seq: int, retried: Sequence[Retried], now_ms: int) -> None:
    """Record that entries were taken in as journal record `seq`, with an audit entry; nothing if that is known."""
    entries = [entry for one in retried for entry in one.entries]
    known = accepted(connection, entries)
    by = {entry: one.by for one in retried for entry in one.entries if entry not in known}
    if not by:
        return
    detail = f"taken in as journal record {seq}"
    _put(connection, [_row(entry, ACCEPTED, detail, seq, who, now_ms) for entry, who in by.items()])
    _audit(connection, next(iter(by.values())), now_ms, {"outcome": ACCEPTED, "entries": sorted(by), "seq": seq})


def mark_refused(connection: sa.Connection, reasons: Mapping[int, str], by: str, now_ms: int) -> None:
    """Record that entries were refused once more, and why, with an audit entry."""
    _put(connection, [_row(entry, REFUSED, why, None, by, now_ms) for entry, why in reasons.items()])
    _audit(connection, by, now_ms, {"outcome": REFUSED, "entries": sorted(reasons)})


def _row(entry: int, outcome: str, detail: str, seq: int | None, by: str, now_ms: int) -> dict[str, Any]:
    return {"entry": entry, "outcome": outcome, "detail": detail, "seq": seq, "by": by, "at_ms": now_ms}


def _put(connection: sa.Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    statement = upsert(RETRIES)
    changed = {name: statement.excluded[name] for name in ("outcome", "detail", "seq", "by", "at_ms")}
    connection.execute(statement.on_conflict_do_update(index_elements=[RETRIES.c.entry], set_=changed), list(rows))


def _audit(connection: sa.Connection, by: str, now_ms: int, details: Mapping[str, Any]) -> None:
    audit_log.append(
        connection, at_ms=now_ms, actor=by, action="quarantine.retry", subject="quarantine", details=details
    )
