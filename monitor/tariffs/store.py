"""Flags in the desk: what stands, the trail of what stood, and the notices of what changed, in one transaction."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert as upsert

from monitor.desk.finding_rows import chunked
from monitor.desk.lead_rows import utc_text
from monitor.desk.schema import CURSORS, FLAG_REVISIONS, FLAGS, OUTBOX
from monitor.tariffs.events import flag_notice, told_change
from monitor.tariffs.flag import Flag, FlagChange, FlagStatus, Judged, end_ms, flag_bytes, flag_of, flag_row

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Head:
    """What a flag was last judged with: digests of inputs and packs, the register, the extract of the account."""

    id: str
    inputs: str
    law: str
    register: str
    uses: bytes


@dataclass(frozen=True, slots=True)
class FlagRevised:
    """A revision that was committed. `before` is None for the first; `told` what receivers hear of, None: nothing."""

    flag: Flag
    before: Flag | None
    revision: int
    cause: str
    told: FlagChange | None


def heads_of(connection: sa.Connection, period: str, usccs: Sequence[str] | None = None) -> dict[str, tuple[Head, ...]]:
    """By enterprise its flags of a period, of all or of some enterprises."""
    made = (FLAGS.c.id, FLAGS.c.inputs_sha256, FLAGS.c.law_digest, FLAGS.c.register, FLAGS.c.uses)
    query = sa.select(FLAGS.c.uscc, *made).where(FLAGS.c.period == period)
    queries = [query] if usccs is None else [query.where(FLAGS.c.uscc.in_(some)) for some in chunked(usccs)]
    found: dict[str, tuple[Head, ...]] = {}
    for one in queries:
        for uscc, *head in connection.execute(one).all():
            found[uscc] = (*found.get(uscc, ()), Head(*head))
    return found


def note_register(connection: sa.Connection, ids: Sequence[str], register: str) -> None:
    """Note that flags were looked at under a register and found to have the same inputs as before."""
    for some in chunked(ids):
        connection.execute(sa.update(FLAGS).where(FLAGS.c.id.in_(some)).values(register=register))


def get_cursor(connection: sa.Connection, name: str) -> int:
    """A cursor's value, 0 at first."""
    return int(connection.scalar(sa.select(CURSORS.c.value).where(CURSORS.c.name == name)) or 0)


def set_cursor(connection: sa.Connection, name: str, value: int) -> None:
    """Move a cursor."""
    statement = upsert(CURSORS).values(name=name, value=value)
    connection.execute(
        statement.on_conflict_do_update(index_elements=[CURSORS.c.name], set_={"value": statement.excluded.value})
    )


def commit_flags(
    connection: sa.Connection,
    judged: Sequence[Judged],
    *,
    district: str,
    sinks: Sequence[str],
    zone: ZoneInfo,
    now_ms: int,
) -> list[FlagRevised]:
    """Store what flags come to. One that says what it said keeps its revision; what it was judged with is noted.

    A new revision holds the whole flag and why it came (other data, other packs, both); a notice a sink goes with it
    where receivers are to hear of it (`told_change`).
    """
    heads = _heads(connection, [one.flag.id for one in judged])
    fresh: list[Row] = []
    revised: list[Row] = []
    same: list[Row] = []
    trail: list[Row] = []
    notices: list[Row] = []
    changes: list[FlagRevised] = []
    bodies = [flag_bytes(one.flag) for one in judged]
    digests = [hashlib.sha256(body).hexdigest() for body in bodies]
    changed_ids = [
        one.flag.id
        for one, sha256 in zip(judged, digests, strict=True)
        if one.flag.id in heads and heads[one.flag.id].content_sha256 != sha256
    ]
    before_of = _current(connection, changed_ids)
    for one, body, sha256 in zip(judged, bodies, digests, strict=True):
        flag, made = one.flag, one.made_with
        head = heads.get(flag.id)
        provenance = {
            "inputs_sha256": made.inputs,
            "law_digest": made.law,
            "law_version": made.law_version,
            "register": made.register,
        }
        if head is not None and head.content_sha256 == sha256:
            if (head.inputs_sha256, head.law_digest, head.register) != (made.inputs, made.law, made.register):
                same.append({"b_id": flag.id, "uses": one.uses, **provenance})
            continue
        before = before_of.get(flag.id)
        revision = 1 if head is None else int(head.revision) + 1
        cause = _cause(head, made.inputs, made.law)
        state = {
            "revision": revision,
            "status": flag.status.value,
            "content_sha256": sha256,
            "revised_at_ms": now_ms,
            "uses": one.uses,
            **provenance,
        }
        if head is None:
            identity = {"id": flag.id, "uscc": flag.uscc, "period": flag.period, "subject": flag.subject.value}
            fresh.append(identity | state)
        else:
            revised.append({"b_id": flag.id, **state})
        trail.append(
            {
                "flag_id": flag.id,
                "revision": revision,
                "cause": cause,
                "recorded_at_ms": now_ms,
                "body": body,
                "sha256": sha256,
                **provenance,
            }
        )
        told = told_change(before, flag)
        if told is not None:
            notices += _notices(told, one, before, revision, district, sinks, zone, now_ms)
        changes.append(FlagRevised(flag, before, revision, cause, told))
    _write(connection, fresh, revised, same, trail, notices)
    return changes


def standing(
    connection: sa.Connection,
    *,
    uscc: str | None = None,
    periods: Collection[str] | None = None,
    statuses: Collection[FlagStatus] | None = None,
    limit: int | None = None,
    offset: int = 0,
) -> Iterator[Row]:
    """Flags as they stand, by period, enterprise, subject: `flag_dict`, `revision`, `law_version`, `revised_at`."""
    query = (
        sa.select(FLAGS.c.id, FLAG_REVISIONS.c.body, FLAGS.c.revision, FLAGS.c.law_version, FLAGS.c.revised_at_ms)
        .join_from(
            FLAGS,
            FLAG_REVISIONS,
            sa.and_(FLAG_REVISIONS.c.flag_id == FLAGS.c.id, FLAG_REVISIONS.c.revision == FLAGS.c.revision),
        )
        .order_by(FLAGS.c.period, FLAGS.c.uscc, FLAGS.c.subject)
    )
    if uscc is not None:
        query = query.where(FLAGS.c.uscc == uscc)
    if periods is not None:
        query = query.where(FLAGS.c.period.in_(sorted(periods)))
    if statuses is not None:
        query = query.where(FLAGS.c.status.in_(sorted(status.value for status in statuses)))
    if limit is not None:
        query = query.limit(limit).offset(offset)
    for id_, body, revision, law_version, revised_at_ms in connection.execute(query):
        yield {
            **flag_row(id_, body),
            "revision": revision,
            "law_version": law_version,
            "revised_at": utc_text(revised_at_ms),
        }


def trail_of(connection: sa.Connection, flag_id: str) -> list[Row]:
    """Every revision of a flag, the first one first: the whole flag, its cause and what it was judged with."""
    query = sa.select(FLAG_REVISIONS).where(FLAG_REVISIONS.c.flag_id == flag_id).order_by(FLAG_REVISIONS.c.revision)
    return [
        {
            **flag_row(row.flag_id, row.body),
            "revision": row.revision,
            "cause": row.cause,
            "recorded_at": utc_text(row.recorded_at_ms),
            "law_version": row.law_version,
            "law_digest": row.law_digest,
            "register": row.register,
            "inputs_sha256": row.inputs_sha256,
        }
        for row in connection.execute(query)
    ]


def _heads(connection: sa.Connection, ids: Sequence[str]) -> Mapping[str, sa.Row[Any]]:
    names = ("id", "revision", "content_sha256", "inputs_sha256", "law_digest", "register")
    query = sa.select(*(FLAGS.c[name] for name in names))
    found: dict[str, sa.Row[Any]] = {}
    for some in chunked(sorted(ids)):
        found.update((row.id, row) for row in connection.execute(query.where(FLAGS.c.id.in_(some))).all())
    return found


def _current(connection: sa.Connection, ids: Sequence[str]) -> Mapping[str, Flag]:
    found: dict[str, Flag] = {}
    joined = sa.and_(FLAG_REVISIONS.c.flag_id == FLAGS.c.id, FLAG_REVISIONS.c.revision == FLAGS.c.revision)
    query = sa.select(FLAGS.c.id, FLAG_REVISIONS.c.body).join_from(FLAGS, FLAG_REVISIONS, joined)
    for some in chunked(sorted(ids)):
        found.update((id_, flag_of(body)) for id_, body in connection.execute(query.where(FLAGS.c.id.in_(some))))
    return found


def _cause(head: sa.Row[Any] | None, inputs: str, law: str) -> str:
    if head is None:
        return "first"
    if head.law_digest == law:
        return "data"
    return "law" if head.inputs_sha256 == inputs else "data_and_law"


def _notices(
    told: FlagChange,
    one: Judged,
    before: Flag | None,
    revision: int,
    district: str,
    sinks: Sequence[str],
    zone: ZoneInfo,
    now_ms: int,
) -> list[Row]:
    if not sinks:
        return []
    notice = flag_notice(district, told, end_ms(one.flag.period, zone), one.flag, before, revision)
    sha256 = hashlib.sha256(notice.body).hexdigest()
    return [
        {
            "sink": sink,
            "idempotency_key": notice.idempotency_key,
            "subject": notice.subject,
            "event_type": notice.event_type,
            "body": notice.body,
            "sha256": sha256,
            "created_at_ms": now_ms,
        }
        for sink in sinks
    ]


def _write(
    connection: sa.Connection,
    fresh: list[Row],
    revised: list[Row],
    same: list[Row],
    trail: list[Row],
    notices: list[Row],
) -> None:
    if fresh:
        connection.execute(sa.insert(FLAGS), fresh)
    for changed in (revised, same):
        if changed:
            names = [name for name in changed[0] if name != "b_id"]
            statement = sa.update(FLAGS).where(FLAGS.c.id == sa.bindparam("b_id"))
            connection.execute(statement.values({name: sa.bindparam(name) for name in names}), changed)
    if trail:
        connection.execute(sa.insert(FLAG_REVISIONS), trail)
    if notices:
        connection.execute(sa.insert(OUTBOX), notices)
