"""What a silence held back is told once, when it ends: the lead as it stands then, under the word receivers need.

Whoever was never told of a lead hears that it was raised, or nothing where it was withdrawn meanwhile; whoever knows an
older revision hears that it was amended, withdrawn or raised again. A lead that was dismissed before anybody was told
of it waits until the dismissal is undone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import sqlalchemy as sa

from models.domain.leads import LeadState
from monitor.desk.events import ChangeKind
from monitor.desk.lead_rows import STANDING_RAISED, lead_dict
from monitor.desk.outbox_rows import OutboxState
from monitor.desk.schema import HELD_NOTICES, LEAD_REVISIONS, LEADS, OUTBOX, SILENCES
from monitor.desk.silences import Hush

_CHANGES: Final[Mapping[str, ChangeKind]] = MappingProxyType({kind.event_type: kind for kind in ChangeKind})


@dataclass(frozen=True, slots=True)
class News:
    """What one sink is to be told: the change, its event time (Unix ms) and the lead as it stands."""

    sink: str
    change: ChangeKind
    event_ms: int
    lead: Mapping[str, Any]


def due(connection: sa.Connection, sinks: Sequence[str], now_ms: int, limit: int) -> list[News]:
    """Settle up to `limit` leads whose silence ended; returns what to tell. In the caller's transaction.

    Where another silence covers the lead by now, that one takes over.
    """
    hush = Hush.load(connection, now_ms)
    found: list[News] = []
    for row in _waiting(connection, limit):
        lead = {**lead_dict(row.body, standing=row.standing, handling=row.handling), "revision": row.revision}
        mine = sa.and_(HELD_NOTICES.c.lead_id == row.id, HELD_NOTICES.c.settled_at_ms.is_(None))
        other = hush.over(lead)
        if other is not None:
            connection.execute(sa.update(HELD_NOTICES).where(mine).values(silence=other))
            continue
        for sink in sinks:
            change = _news(_last_told(connection, sink, row.id), row.standing == STANDING_RAISED)
            if change is not None:
                found.append(News(sink, change, int(row.event_ms), lead))
        connection.execute(sa.update(HELD_NOTICES).where(mine).values(settled_at_ms=now_ms))
    return found


def held_revisions(connection: sa.Connection, lead_id: str) -> dict[int, dict[str, Any]]:
    """By revision, the silence that held its notice back, and when receivers were brought up to date (Unix ms)."""
    query = sa.select(HELD_NOTICES).where(HELD_NOTICES.c.lead_id == lead_id)
    return {
        int(row.revision): {"silence": int(row.silence), "settled_at_ms": row.settled_at_ms}
        for row in connection.execute(query)
    }


def _waiting(connection: sa.Connection, limit: int) -> Sequence[sa.Row[Any]]:
    """Leads with something held back by a silence that is over, but for those dismissed before anybody was told."""
    ended = (
        sa.select(HELD_NOTICES.c.lead_id)
        .join(SILENCES, SILENCES.c.id == HELD_NOTICES.c.silence)
        .where(HELD_NOTICES.c.settled_at_ms.is_(None), SILENCES.c.ended_at_ms.is_not(None))
    )
    told = sa.exists().where(OUTBOX.c.subject == LEADS.c.id, OUTBOX.c.state != OutboxState.ABANDONED)
    query = (
        sa.select(LEADS, LEAD_REVISIONS.c.body, LEAD_REVISIONS.c.event_ms)
        .join_from(
            LEADS,
            LEAD_REVISIONS,
            sa.and_(LEAD_REVISIONS.c.lead_id == LEADS.c.id, LEAD_REVISIONS.c.revision == LEADS.c.revision),
        )
        .where(LEADS.c.id.in_(ended), sa.or_(LEADS.c.handling != LeadState.DISMISSED.value, told))
        .order_by(LEADS.c.id)
        .limit(limit)
    )
    return connection.execute(query).all()


def _last_told(connection: sa.Connection, sink: str, lead_id: str) -> ChangeKind | None:
    """The last change a receiver was told of, or is about to be; None where it knows nothing of the lead."""
    query = (
        sa.select(OUTBOX.c.event_type)
        .where(OUTBOX.c.subject == lead_id, OUTBOX.c.sink == sink, OUTBOX.c.state != OutboxState.ABANDONED)
        .order_by(OUTBOX.c.seq.desc())
        .limit(1)
    )
    event_type = connection.scalar(query)
    return None if event_type is None else _CHANGES[event_type]


def _news(last: ChangeKind | None, stands: bool) -> ChangeKind | None:  # noqa: FBT001 - the other half of the case
    """The word for a lead that stands or does not, to someone who last heard `last`; None: nothing to tell."""
    match last, stands:
        case None, True:
            return ChangeKind.RAISED
        case None | ChangeKind.WITHDRAWN, False:
            return None
        case _, False:
            return ChangeKind.WITHDRAWN
        case ChangeKind.WITHDRAWN, True:
            return ChangeKind.REOPENED
        case _:
            return ChangeKind.AMENDED
