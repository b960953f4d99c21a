"""The rows that changes of leads make: leads, their trail, and a notice for every sink."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from models.domain.leads import LeadKind, LeadState, lead_id
from monitor.desk.events import ChangeKind, lead_notice
from monitor.desk.handling import by_machine
from monitor.desk.lead_rows import STANDING_RAISED, STANDING_WITHDRAWN, lead_dict
from monitor.desk.schema import HELD_NOTICES, LEAD_REVISIONS, LEADS, OUTBOX
from monitor.desk.silences import Hush
from monitor.leads import LeadContent, canonical_json, verdict_sha256

Subject = tuple[LeadKind, str, str]
"""(kind, site, month): what a lead is about."""


@dataclass(frozen=True, slots=True)
class LeadChange:
    """One change that was committed. `lead` is the lead's canonical dict after it, without receipt stamps."""

    lead_id: str
    kind: LeadKind
    subject: str
    month: str
    change: ChangeKind
    revision: int
    lead: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Statement:
    """What a lead says at one revision, ready to be stored."""

    body: bytes
    event_ms: int
    content_sha256: str
    last_night: str
    score: float


def statement_of(content: LeadContent) -> Statement:
    """The stored form of a derived lead."""
    plain = content.as_dict()
    return Statement(
        canonical_json(plain), content.end_ms, verdict_sha256(plain), content.last_night.isoformat(), content.score
    )


def stored_statement(connection: sa.Connection, row: sa.Row[Any]) -> Statement:
    """What a known lead says now."""
    query = sa.select(LEAD_REVISIONS.c.body, LEAD_REVISIONS.c.event_ms).where(
        LEAD_REVISIONS.c.lead_id == row.id, LEAD_REVISIONS.c.revision == row.revision
    )
    body, event_ms = connection.execute(query).one()
    return Statement(bytes(body), int(event_ms), row.content_sha256, row.last_night, row.score)


class LeadWrites:
    """Rows of one transaction, gathered and written together. What a silence of `hush` is over is told to nobody."""

    def __init__(self, district: str, sinks: Sequence[str], now_ms: int, hush: Hush, checkpoint: str = "") -> None:
        self._district = district
        self._sinks = sinks
        self._now_ms = now_ms
        self._hush = hush
        self._checkpoint = checkpoint
        self._held: list[dict[str, Any]] = []
        self._woken: list[tuple[str, int, str]] = []
        self._new: list[dict[str, Any]] = []
        self._changed: list[dict[str, Any]] = []
        self._revisions: list[dict[str, Any]] = []
        self._notices: list[dict[str, Any]] = []

    def add(self, subject: Subject, row: sa.Row[Any] | None, change: ChangeKind, says: Statement) -> LeadChange:
        """A new revision of the lead in `row`, or the first of a new one."""
        kind, site, month = subject
        id_ = lead_id(kind, site, month)
        revision = 1 if row is None else int(row.revision) + 1
        standing = STANDING_WITHDRAWN if change is ChangeKind.WITHDRAWN else STANDING_RAISED
        state = {
            "revision": revision,
            "standing": standing,
            "revised_at_ms": self._now_ms,
            "content_sha256": says.content_sha256,
            "last_night": says.last_night,
            "score": says.score,
        }
        if row is None:
            identity = {"id": id_, "kind": kind.value, "subject": site, "month": month, "raised_at_ms": self._now_ms}
            self._new.append(identity | state)
        else:
            self._changed.append({"b_id": id_} | state)
        self._revisions.append(
            {
                "lead_id": id_,
                "revision": revision,
                "change": change.value,
                "event_ms": says.event_ms,
                "recorded_at_ms": self._now_ms,
                "body": says.body,
                "sha256": hashlib.sha256(says.body).hexdigest(),
            }
        )
        handling = LeadState.OPEN.value if row is None else str(row.handling)
        if handling == LeadState.STALE.value:
            handling = LeadState.OPEN.value
            self._woken.append((id_, revision, change.value))
        lead = {**lead_dict(says.body, standing=standing, handling=handling), "revision": revision}
        self._tell(change, says.event_ms, lead)
        return LeadChange(id_, kind, site, month, change, revision, lead)

    def flush(self, connection: sa.Connection) -> None:
        """Write everything gathered."""
        if self._new:
            connection.execute(sa.insert(LEADS), self._new)
        if self._changed:
            statement = sa.update(LEADS).where(LEADS.c.id == sa.bindparam("b_id"))
            names = [name for name in self._changed[0] if name != "b_id"]
            connection.execute(statement.values({name: sa.bindparam(name) for name in names}), self._changed)
        if self._revisions:
            connection.execute(sa.insert(LEAD_REVISIONS), self._revisions)
        if self._held:
            connection.execute(sa.insert(HELD_NOTICES), self._held)
        if self._notices:
            connection.execute(sa.insert(OUTBOX), self._notices)
        for id_, revision, why in self._woken:
            by_machine(connection, id_, revision, LeadState.STALE.value, LeadState.OPEN.value, why, self._now_ms)

    def tell(self, sinks: Sequence[str], change: ChangeKind, event_ms: int, lead: Mapping[str, Any]) -> None:
        """A notice of a lead as it stands for each of `sinks`, without a new revision."""
        notice = lead_notice(self._district, change, event_ms, lead, self._checkpoint)
        sha256 = hashlib.sha256(notice.body).hexdigest()
        self._notices.extend(
            {
                "sink": sink,
                "idempotency_key": notice.idempotency_key,
                "subject": notice.subject,
                "event_type": notice.event_type,
                "body": notice.body,
                "sha256": sha256,
                "created_at_ms": self._now_ms,
            }
            for sink in sinks
        )

    def _tell(self, change: ChangeKind, event_ms: int, lead: Mapping[str, Any]) -> None:
        if not self._sinks:
            return
        silence = self._hush.holds_back(lead)
        if silence is None:
            self.tell(self._sinks, change, event_ms, lead)
        else:
            held = {"lead_id": lead["id"], "revision": lead["revision"], "silence": silence}
            self._held.append(held | {"held_at_ms": self._now_ms})
