"""Gaps: stretches in which readings may have been missed, with their cause (rule D11). They stand in the audit log.

A gap is a fact about the path of the readings and not about the readings: it changes no verdict, but whoever reads a
lead is told of those that touch its nights.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

import sqlalchemy as sa

from monitor.desk.audit_log import SYSTEM, append, entries_of
from monitor.desk.lead_rows import utc_text

SUBJECT: Final = "gap"
ACTION: Final = "gap.noted"
_DAY_MS: Final = 86_400_000


class GapCause(StrEnum):
    """Why readings may be missing. After a DOWNTIME they come late where the broker kept our session."""

    SESSION_LOST = "session_lost"
    DOWNTIME = "downtime"


def note_gap(connection: sa.Connection, *, at_ms: int, cause: GapCause, start_ms: int, end_ms: int) -> None:
    """Add a gap to the audit log, inside the caller's transaction; wall clock, Unix ms, both ends."""
    details = {"cause": cause.value, "start_ms": start_ms, "end_ms": end_ms}
    append(connection, at_ms=at_ms, actor=SYSTEM, action=ACTION, subject=SUBJECT, details=details)


def gaps_touching(connection: sa.Connection, lead: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Gaps that touch the nights of a lead (its plain dict), oldest first: cause, from, to (UTC)."""
    nights = dt.date.fromisoformat(lead["last_night"]) - dt.date.fromisoformat(lead["first_night"])
    first_ms = lead["end_ms"] - (nights.days + 1) * _DAY_MS
    noted = [entry["details"] for entry in entries_of(connection, SUBJECT, limit=100_000)]
    return [
        {"cause": gap["cause"], "from": utc_text(gap["start_ms"]), "to": utc_text(gap["end_ms"])}
        for gap in noted
        if gap["start_ms"] < lead["end_ms"] and first_ms < gap["end_ms"]
    ]
