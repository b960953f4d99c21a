"""Questions people ask the desk: read only, for the command line and the local API."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from models.domain.leads import LeadKind, LeadState
from monitor.desk.audit_log import entries_of
from monitor.desk.gaps import gaps_touching
from monitor.desk.held import held_revisions
from monitor.desk.lead_rows import STANDING_WITHDRAWN, lead_dict, utc_text
from monitor.desk.outbox_rows import OutboxState
from monitor.desk.schema import LEAD_REVISIONS, LEADS, OUTBOX, SILENCES
from monitor.desk.silences import Hush, list_silences, show

MAX_ROWS: Final = 1000

_URGENCY: Final = {
    OutboxState.NEEDS_PERSON.value: 4,
    OutboxState.PENDING.value: 3,
    OutboxState.SENDING.value: 2,
    OutboxState.ABANDONED.value: 1,
    OutboxState.SENT.value: 0,
}
_PEOPLE: Final = (LeadState.CLAIMED.value, LeadState.DISMISSED.value, LeadState.ESCALATED.value)


def list_leads(
    engine: sa.Engine,
    *,
    state: str | None = None,
    kind: str | None = None,
    site: str | None = None,
    month: str | None = None,
    since: str | None = None,
    limit: int = 200,
    offset: int = 0,
    now_ms: int,
) -> list[dict[str, Any]]:
    """Leads as they stand, the latest night first, then the highest score; at most MAX_ROWS.

    Each is the lead's canonical dict with `revision`, the receipt stamps `raised_at` and `revised_at`, who handled it
    last (`handled_by`, `handled_reason`, `handled_at`), the number of the silence that is over it at `now_ms` (wall
    clock, Unix ms) as `silenced`, None without one, and `delivery`: for each sink the state of the notice that most
    wants attention. `since` is the earliest last night, `YYYY-MM-DD`. Raises ValueError for an unknown state or kind.
    """
    shown = sa.case(
        (LEADS.c.handling.in_(_PEOPLE), LEADS.c.handling),
        (LEADS.c.standing == STANDING_WITHDRAWN, LeadState.WITHDRAWN.value),
        else_=LEADS.c.handling,
    )
    query = _leads().order_by(LEADS.c.last_night.desc(), LEADS.c.score.desc(), LEADS.c.id)
    if state is not None:
        query = query.where(shown == LeadState(state).value)
    if kind is not None:
        query = query.where(LEADS.c.kind == LeadKind(kind).value)
    if site is not None:
        query = query.where(LEADS.c.subject == site)
    if month is not None:
        query = query.where(LEADS.c.month == month)
    if since is not None:
        query = query.where(LEADS.c.last_night >= since)
    with engine.begin() as connection:
        rows = connection.execute(query.limit(max(0, min(limit, MAX_ROWS))).offset(max(0, offset))).all()
        delivery = _delivery(connection, [row.id for row in rows])
        hush = Hush.load(connection, now_ms)
    return [{**_lead(row, hush), "delivery": delivery.get(row.id, {})} for row in rows]


def show_lead(engine: sa.Engine, lead_id: str, *, now_ms: int) -> dict[str, Any] | None:
    """One lead with its trail, None where there is none.

    As in `list_leads`, and `revisions`, oldest first, each with its `content`, whether it is `intact` (its digest
    fits), and the number of the silence that `held` its notice back; `notices`, each with the revision it tells, its
    state, attempts and note; `history`, what people and the program did with it, from the audit log; `silences`
    that are over it or held something of it back; `gaps` in the taking in of readings that touch its nights.
    """
    with engine.begin() as connection:
        row = connection.execute(_leads().where(LEADS.c.id == lead_id)).one_or_none()
        if row is None:
            return None
        revisions = connection.execute(
            sa.select(LEAD_REVISIONS).where(LEAD_REVISIONS.c.lead_id == lead_id).order_by(LEAD_REVISIONS.c.revision)
        ).all()
        notices = connection.execute(
            sa.select(OUTBOX).where(OUTBOX.c.subject == lead_id).order_by(OUTBOX.c.seq).limit(MAX_ROWS)
        ).all()
        delivery = _delivery(connection, [lead_id])
        lead = _lead(row, Hush.load(connection, now_ms))
        held = held_revisions(connection, lead_id)
        acts = entries_of(connection, f"lead:{lead_id}")
        numbers = {silence["silence"] for silence in held.values()} | ({lead["silenced"]} - {None})
        silences = connection.execute(sa.select(SILENCES).where(SILENCES.c.id.in_(sorted(numbers)))).all()
        gaps = gaps_touching(connection, lead)
    return {
        **lead,
        "delivery": delivery.get(lead_id, {}),
        "revisions": [_revision(revision, held.get(revision.revision)) for revision in revisions],
        "notices": [_notice(notice) for notice in notices],
        "history": [_act(act) for act in acts],
        "silences": [show(silence, now_ms) for silence in silences],
        "gaps": gaps,
    }


def silences_of(engine: sa.Engine, *, now_ms: int, ended: bool = False) -> list[dict[str, Any]]:
    """Silences, the newest first; those that are over only if asked for."""
    with engine.begin() as connection:
        return list_silences(connection, now_ms=now_ms, ended=ended)


def refused_notices(engine: sa.Engine, limit: int = 100) -> list[dict[str, Any]]:
    """Notices that wait for a person, oldest first: seq, sink, lead, event type, attempts, note, when committed."""
    query = sa.select(OUTBOX).where(OUTBOX.c.state == OutboxState.NEEDS_PERSON).order_by(OUTBOX.c.seq)
    with engine.begin() as connection:
        rows = connection.execute(query.limit(max(0, min(limit, MAX_ROWS)))).all()
    return [{**_notice(row), "lead": row.subject, "created_at": utc_text(row.created_at_ms)} for row in rows]


def _leads() -> sa.Select[Any]:
    latest = sa.and_(LEAD_REVISIONS.c.lead_id == LEADS.c.id, LEAD_REVISIONS.c.revision == LEADS.c.revision)
    return sa.select(LEADS, LEAD_REVISIONS.c.body).join_from(LEADS, LEAD_REVISIONS, latest)


def _lead(row: sa.Row[Any], hush: Hush) -> dict[str, Any]:
    lead = lead_dict(row.body, standing=row.standing, handling=row.handling)
    return {
        **lead,
        "revision": row.revision,
        "raised_at": utc_text(row.raised_at_ms),
        "revised_at": utc_text(row.revised_at_ms),
        "handled_by": row.handled_by,
        "handled_reason": row.handled_reason,
        "handled_at": utc_text(row.handled_at_ms),
        "silenced": hush.over(lead),
    }


def _act(act: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "at": utc_text(act["at_ms"]),
        "by": act["actor"],
        "action": act["action"],
        "reason": act["details"].get("reason"),
        "revision": act["details"].get("revision"),
    }


def _revision(row: sa.Row[Any], held: Mapping[str, Any] | None) -> dict[str, Any]:
    return {
        "held": None if held is None else held["silence"],
        "told_after_silence_at": None if held is None else utc_text(held["settled_at_ms"]),
        "revision": row.revision,
        "change": row.change,
        "event_at": utc_text(row.event_ms),
        "recorded_at": utc_text(row.recorded_at_ms),
        "intact": hashlib.sha256(row.body).hexdigest() == row.sha256,
        "content": msgspec.json.decode(row.body),
    }


def _notice(row: sa.Row[Any]) -> dict[str, Any]:
    return {
        "seq": row.seq,
        "sink": row.sink,
        "event_type": row.event_type,
        "revision": msgspec.json.decode(row.body)["data"]["revision"],
        "idempotency_key": row.idempotency_key,
        "state": row.state,
        "attempts": row.attempts,
        "note": row.note,
        "sent_at": utc_text(row.sent_at_ms),
    }


def _delivery(connection: sa.Connection, ids: Sequence[str]) -> Mapping[str, dict[str, str]]:
    query = (
        sa.select(OUTBOX.c.subject, OUTBOX.c.sink, OUTBOX.c.state)
        .where(OUTBOX.c.subject.in_(ids))
        .distinct()
        .order_by(OUTBOX.c.sink)
    )
    found: dict[str, dict[str, str]] = {}
    for subject, sink, state in connection.execute(query):
        by_sink = found.setdefault(subject, {})
        if sink not in by_sink or _URGENCY[state] > _URGENCY[by_sink[sink]]:
            by_sink[sink] = state
    return found
