"""What people decide about notices a receiver refused: send them again, or give one up (rule D8)."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from monitor.commands import CommandRefused, NotThere
from monitor.desk import audit_log
from monitor.desk.outbox_rows import NOTE_CHARACTERS, OutboxState
from monitor.desk.schema import OUTBOX


def retry_notices(
    connection: sa.Connection, *, sink: str | None, seq: int | None, by: str, reason: str, now_ms: int
) -> dict[str, Any]:
    """Make refused notices pending again, those of a sink, one, or all, with an audit entry; returns how many.

    Raises CommandRefused where none of them is refused, NotThere where there is no notice of that number or receiver.
    """
    chosen = OUTBOX.c.state == OutboxState.NEEDS_PERSON
    if sink is not None:
        chosen = sa.and_(chosen, OUTBOX.c.sink == sink)
    if seq is not None:
        chosen = sa.and_(chosen, OUTBOX.c.seq == seq)
    count = connection.execute(sa.update(OUTBOX).where(chosen).values(state=OutboxState.PENDING)).rowcount
    if count == 0:
        raise _none_waits(connection, sink, seq)
    audit_log.append(
        connection,
        at_ms=now_ms,
        actor=by,
        action="notice.retry",
        subject="outbox" if seq is None else f"notice:{seq}",
        details={"sink": sink, "count": count, "reason": reason},
    )
    return {"retried": count}


def _none_waits(connection: sa.Connection, sink: str | None, seq: int | None) -> CommandRefused:
    """What to say where nothing was to be sent again."""
    if sink is None and seq is None:
        return CommandRefused("没有待人工处理的通知。No notice waits for a person: see `gridwarden notices list`.")
    one = seq is not None
    mine = OUTBOX.c.seq == seq if one else OUTBOX.c.sink == sink
    zh, en = (f"通知 {seq}", f"notice {seq}") if one else (f"发往 {sink} 的通知", f"notice to {sink}")
    if connection.scalar(sa.select(OUTBOX.c.seq).where(mine).limit(1)) is None:
        return NotThere(f"没有{zh}。There is no {en}: see `gridwarden notices list`.")
    return CommandRefused(f"没有待人工处理的{zh}。No such {en} waits for a person: see `gridwarden notices list`.")


def abandon_notice(connection: sa.Connection, seq: int, *, by: str, reason: str, now_ms: int) -> dict[str, Any]:
    """Give up one refused notice for ever, with an audit entry; later ones of its lead go on.

    Raises NotThere without such a notice, CommandRefused where it does not wait for a person.
    """
    row = connection.execute(sa.select(OUTBOX).where(OUTBOX.c.seq == seq)).one_or_none()
    if row is None:
        raise NotThere(f"没有通知 {seq}。No notice {seq}: see `gridwarden notices list`.")
    if row.state != OutboxState.NEEDS_PERSON:
        raise CommandRefused(
            f"通知 {seq} 不在待人工处理之列（状态 state {row.state}）。"
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
