"""What people decide about notices a receiver refused: send them again, or give one up (rule D8)."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from monitor.commands import CommandRefused
from monitor.desk import audit_log
from monitor.desk.outbox_rows import NOTE_CHARACTERS, OutboxState
from monitor.desk.schema import OUTBOX


def retry_notices(
    connection: sa.Connection, *, sink: str | None, seq: int | None, by: str, reason: str, now_ms: int
) -> dict[str, Any]:
    """Make refused notices pending again, those of a sink, one, or all, with an audit entry; returns how many.

    Raises CommandRefused where none of them is refused.
    """
    chosen = OUTBOX.c.state == OutboxState.NEEDS_PERSON
    if sink is not None:
        chosen = sa.and_(chosen, OUTBOX.c.sink == sink)
    if seq is not None:
        chosen = sa.and_(chosen, OUTBOX.c.seq == seq)
    count = connection.execute(sa.update(OUTBOX).where(chosen).values(state=OutboxState.PENDING)).rowcount
    if count == 0:
        which = "" if sink is None and seq is None else f"（{sink or seq}）"
        raise CommandRefused(
            f"没有待人工处理的通知{which}。No such notice waits for a person{which}: see `gridwarden notices list`."
        )
    audit_log.append(
        connection,
        at_ms=now_ms,
        actor=by,
        action="notice.retry",
        subject="outbox" if seq is None else f"notice:{seq}",
        details={"sink": sink, "count": count, "reason": reason},
    )
    return {"retried": count}


def abandon_notice(connection: sa.Connection, seq: int, *, by: str, reason: str, now_ms: int) -> dict[str, Any]:
    """Give up one refused notice for ever, with an audit entry; later ones of its lead go on.

    Raises CommandRefused where it does not wait for a person.
    """
    row = connection.execute(sa.select(OUTBOX).where(OUTBOX.c.seq == seq)).one_or_none()
    if row is None or row.state != OutboxState.NEEDS_PERSON:
        state = "没有这条通知 there is none" if row is None else f"状态 state {row.state}"
        raise CommandRefused(
            f"通知 {seq} 不在待人工处理之列（{state}）。"
            f"Notice {seq} does not wait for a person: see `gridwarden notices list`."
        )
    note = f"{by}: {reason}"[:NOTE_CHARACTERS]
    connection.execute(sa.update(OUTBOX).where(OUTBOX.c.seq == seq).values(state=OutboxState.ABANDONED, note=note))
    audit_log.append(
        connection,
        at_ms=now_ms,
        actor=by,
        action="notice.abandon",
        subject=f"notice:{seq}",
        details={"sink": row.sink, "lead": row.subject, "event_type": row.event_type, "reason": reason},
    )
    return {"seq": seq, "sink": row.sink, "lead": row.subject, "state": OutboxState.ABANDONED.value}
