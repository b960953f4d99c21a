"""Outbox rows: taken in order, settled once, freed or given up by a person only (rule D8)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import sqlalchemy as sa

from monitor.desk.database import desk_transaction
from monitor.desk.schema import OUTBOX

NOTE_CHARACTERS = 256


class OutboxState(StrEnum):
    """Life of a notice. `sending` is `pending` again after a restart."""

    PENDING = "pending"
    SENDING = "sending"
    SENT = "sent"
    NEEDS_PERSON = "needs_person"
    ABANDONED = "abandoned"


WAITING = (OutboxState.PENDING, OutboxState.SENDING, OutboxState.NEEDS_PERSON)


@dataclass(frozen=True, slots=True)
class Parcel:
    """One notice to send: bytes and key as they were committed."""

    seq: int
    idempotency_key: str
    subject: str
    event_type: str
    body: bytes
    attempts: int


def reset_sending(engine: sa.Engine) -> int:
    """Make what was being sent when the process ended pending again; returns how many (rule C2)."""
    with engine.begin() as connection:
        result = connection.execute(
            sa.update(OUTBOX).where(OUTBOX.c.state == OutboxState.SENDING).values(state=OutboxState.PENDING)
        )
    return result.rowcount


def claim(engine: sa.Engine, sink: str, limit: int, skip: frozenset[str]) -> list[Parcel]:
    """Mark the first notices of up to `limit` subjects as being sent, oldest first.

    A subject whose first unsettled notice is refused, or that is in `skip`, waits: order within a subject holds.
    """
    first = (
        sa.select(sa.func.min(OUTBOX.c.seq).label("seq"))
        .where(OUTBOX.c.sink == sink, OUTBOX.c.state.in_(_literal(WAITING)))
        .group_by(OUTBOX.c.subject)
        .subquery()
    )
    heads = (
        sa.select(OUTBOX.c.seq, OUTBOX.c.subject)
        .join(first, first.c.seq == OUTBOX.c.seq)
        .where(OUTBOX.c.state == OutboxState.PENDING)
        .order_by(OUTBOX.c.seq)
        .limit(limit + len(skip))
    )
    with engine.begin() as connection:
        chosen = [seq for seq, subject in connection.execute(heads).all() if subject not in skip][:limit]
        if not chosen:
            return []
        connection.execute(sa.update(OUTBOX).where(OUTBOX.c.seq.in_(chosen)).values(state=OutboxState.SENDING))
        rows = connection.execute(
            sa.select(
                OUTBOX.c.seq,
                OUTBOX.c.idempotency_key,
                OUTBOX.c.subject,
                OUTBOX.c.event_type,
                OUTBOX.c.body,
                OUTBOX.c.attempts,
            )
            .where(OUTBOX.c.seq.in_(chosen))
            .order_by(OUTBOX.c.seq)
        ).all()
    return [Parcel(*row) for row in rows]


def settle(
    engine: sa.Engine, parcel: Parcel, state: OutboxState, *, note: str = "", sent_at_ms: int | None = None
) -> None:
    """Record how one attempt ended."""
    with engine.begin() as connection:
        connection.execute(
            sa.update(OUTBOX)
            .where(OUTBOX.c.seq == parcel.seq)
            .values(state=state, attempts=parcel.attempts + 1, note=note[:NOTE_CHARACTERS], sent_at_ms=sent_at_ms)
        )


def release(engine: sa.Engine, parcels: list[Parcel]) -> None:
    """Give back what was claimed and not attempted."""
    with engine.begin() as connection:
        connection.execute(
            sa.update(OUTBOX)
            .where(OUTBOX.c.seq.in_([parcel.seq for parcel in parcels]), OUTBOX.c.state == OutboxState.SENDING)
            .values(state=OutboxState.PENDING)
        )


def waiting(engine: sa.Engine) -> dict[str, tuple[int, int]]:
    """Per sink that has any: how many notices are neither sent nor abandoned, and when the oldest was committed (ms).

    Raises what `desk_transaction` raises.
    """
    query = (
        sa.select(OUTBOX.c.sink, sa.func.count(), sa.func.min(OUTBOX.c.created_at_ms))
        .where(OUTBOX.c.state.in_(_literal(WAITING)))
        .group_by(OUTBOX.c.sink)
    )
    with desk_transaction(engine) as connection:
        return {sink: (int(number), int(since_ms)) for sink, number, since_ms in connection.execute(query)}


def _literal(states: tuple[OutboxState, ...]) -> list[sa.ColumnElement[str]]:
    """States written into the statement, so that SQLite can use the partial index."""
    return [sa.literal_column(f"'{state.value}'", sa.Text) for state in states]
