"""Silences: whose notices are held back, why, by whom, until when. Findings and leads are made as ever.

A silence takes two people, a reason and a last day. While it is in force, what a lead comes to say is recorded in its
trail and told to nobody; when it ends while there is something receivers do not know, they are told once
(`monitor.desk.held`). Its clock is the wall clock, like that of any timer.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from models.domain.leads import LeadKind
from models.domain.register import RegisterRows
from monitor.commands import CommandRefused, NotThere
from monitor.desk import audit_log
from monitor.desk.lead_rows import utc_text
from monitor.desk.people import same_person
from monitor.desk.schema import HELD_NOTICES, LEADS, SILENCES

LONGEST_DAYS: Final = 366


class Scope(StrEnum):
    """What a silence is over; `lead` is one lead, the others are all of a kind at one place."""

    LEAD = "lead"
    SITE = "site"
    METER = "meter"
    ENTERPRISE = "enterprise"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A silence as two people ask for it: names and reason are checked, `until` is the last local day of it."""

    scope: Scope
    target: str
    kind: LeadKind | None
    until: dt.date
    reason: str
    requested_by: str
    approved_by: str


@dataclass(frozen=True, slots=True)
class Hush:
    """The silences in force at one instant, and the leads whose receivers wait to be told something."""

    in_force: tuple[sa.Row[Any], ...]
    held: Mapping[str, int]

    @classmethod
    def load(cls, connection: sa.Connection, now_ms: int) -> Hush:
        """As of now (wall clock, Unix ms)."""
        not_ended = sa.select(SILENCES).where(SILENCES.c.ended_at_ms.is_(None), SILENCES.c.until_ms > now_ms)
        in_force = connection.execute(not_ended.order_by(SILENCES.c.id)).all()
        query = (
            sa.select(HELD_NOTICES.c.lead_id, sa.func.max(HELD_NOTICES.c.silence))
            .where(HELD_NOTICES.c.settled_at_ms.is_(None))
            .group_by(HELD_NOTICES.c.lead_id)
        )
        return cls(tuple(in_force), {id_: int(silence) for id_, silence in connection.execute(query)})

    def over(self, lead: Mapping[str, Any]) -> int | None:
        """The first silence over a lead (its canonical dict), or None.

        Of a lead that rests on several meters, all must be silenced: one that is not is reason enough to tell.
        """
        mine = [row for row in self.in_force if row.kind == lead["kind"]]
        enterprise = (lead["enterprise"] or {}).get("uscc")
        place = {Scope.LEAD.value: lead["id"], Scope.SITE.value: lead["site"]["id"], Scope.ENTERPRISE.value: enterprise}
        for row in mine:
            if row.scope in place and place[row.scope] == row.target:
                return int(row.id)
        by_meter = {row.target: int(row.id) for row in mine if row.scope == Scope.METER.value}
        meters = lead["meters"]
        if meters and all(meter in by_meter for meter in meters):
            return by_meter[meters[0]]
        return None

    def holds_back(self, lead: Mapping[str, Any]) -> int | None:
        """The silence because of which a change of this lead is not told now: in force, or just ended with earlier
        changes still to be told, so that receivers hear of all of them in one."""
        silence = self.over(lead)
        return silence if silence is not None else self.held.get(lead["id"])


def make(
    connection: sa.Connection, wanted: Wanted, zone: ZoneInfo, now_ms: int, register: RegisterRows | None
) -> dict[str, Any]:
    """Begin a silence, with its audit entry; returns it.

    Raises CommandRefused where it may not be, NotThere where neither the leads nor `register` know its target; without
    a register (None) a place is taken as named.
    """
    if same_person(wanted.requested_by, wanted.approved_by):
        raise CommandRefused(
            f"申请人与批准人不能是同一人（{wanted.requested_by}）。"
            f"{wanted.requested_by} may not approve a silence of their own: name another with --approved-by."
        )
    today = dt.datetime.fromtimestamp(now_ms / 1000.0, zone).date()
    if not today <= wanted.until <= today + dt.timedelta(days=LONGEST_DAYS):
        last = today + dt.timedelta(days=LONGEST_DAYS)
        raise CommandRefused(
            f"截止日期 {wanted.until} 须在 {today} 至 {last} 之间。"
            f"--until {wanted.until} must lie between {today} and {last}: no silence is longer than a year."
        )
    kind = _kind(connection, wanted)
    _refuse_unknown(connection, wanted, register)
    row: dict[str, Any] = {
        "scope": wanted.scope.value,
        "target": wanted.target,
        "kind": kind,
        "until": wanted.until.isoformat(),
        "until_ms": _end_ms(wanted.until, zone),
        "reason": wanted.reason,
        "requested_by": wanted.requested_by,
        "approved_by": wanted.approved_by,
        "made_at_ms": now_ms,
    }
    (number,) = connection.execute(sa.insert(SILENCES).returning(SILENCES.c.id), row).one()
    audit_log.append(
        connection,
        at_ms=now_ms,
        actor=wanted.requested_by,
        action="silence.make",
        subject=f"silence:{number}",
        details={name: value for name, value in row.items() if name not in ("made_at_ms", "requested_by")},
    )
    return show(connection.execute(sa.select(SILENCES).where(SILENCES.c.id == number)).one(), now_ms)


def end(connection: sa.Connection, number: int, *, by: str, reason: str, now_ms: int) -> dict[str, Any]:
    """End a silence before its day, with its audit entry. Raises NotThere, or CommandRefused where it is over."""
    row = connection.execute(sa.select(SILENCES).where(SILENCES.c.id == number)).one_or_none()
    if row is None:
        raise NotThere(f"没有静默 {number}。No silence {number}: see `gridwarden leads silences`.")
    if row.ended_at_ms is not None or row.until_ms <= now_ms:
        raise CommandRefused(f"静默 {number} 已结束。Silence {number} is over already.")
    _end(connection, number, by, reason, now_ms)
    return show(connection.execute(sa.select(SILENCES).where(SILENCES.c.id == number)).one(), now_ms)


def expire(connection: sa.Connection, now_ms: int) -> list[int]:
    """Record which silences ran out; returns their numbers."""
    query = sa.select(SILENCES.c.id).where(SILENCES.c.ended_at_ms.is_(None), SILENCES.c.until_ms <= now_ms)
    numbers = [int(number) for (number,) in connection.execute(query.order_by(SILENCES.c.id)).all()]
    for number in numbers:
        _end(connection, number, audit_log.SYSTEM, "its last day is over", now_ms)
    return numbers


def list_silences(connection: sa.Connection, *, now_ms: int, ended: bool, limit: int = 1000) -> list[dict[str, Any]]:
    """Silences, the newest first; those that are over only if asked for."""
    query = sa.select(SILENCES).order_by(SILENCES.c.id.desc()).limit(limit)
    if not ended:
        query = query.where(SILENCES.c.ended_at_ms.is_(None), SILENCES.c.until_ms > now_ms)
    return [show(row, now_ms) for row in connection.execute(query)]


def show(row: sa.Row[Any], now_ms: int) -> dict[str, Any]:
    """A silence as plain values: `in_force` as of now."""
    return {
        "id": int(row.id),
        "scope": row.scope,
        "target": row.target,
        "kind": row.kind,
        "until": row.until,
        "reason": row.reason,
        "requested_by": row.requested_by,
        "approved_by": row.approved_by,
        "made_at": utc_text(row.made_at_ms),
        "in_force": row.ended_at_ms is None and row.until_ms > now_ms,
        "ended_at": utc_text(row.ended_at_ms),
        "ended_by": row.ended_by,
        "ended_reason": row.ended_reason,
    }


def _kind(connection: sa.Connection, wanted: Wanted) -> str:
    """The kind of lead that is silenced; that of the lead where one is named."""
    if wanted.scope is not Scope.LEAD:
        if wanted.kind is None:
            raise CommandRefused("须指明线索类型（--kind）。Name the kind of lead with --kind.")
        return wanted.kind.value
    kind = connection.scalar(sa.select(LEADS.c.kind).where(LEADS.c.id == wanted.target))
    if kind is None:
        raise NotThere(f"没有线索 {wanted.target}。No lead {wanted.target}: see `gridwarden leads list`.")
    if wanted.kind is not None and wanted.kind.value != kind:
        raise CommandRefused(f"线索 {wanted.target} 的类型是 {kind}。Lead {wanted.target} is of kind {kind}.")
    return str(kind)


def _refuse_unknown(connection: sa.Connection, wanted: Wanted, register: RegisterRows | None) -> None:
    """A mistyped place would silence nothing and nobody would know."""
    if register is None or wanted.scope is Scope.LEAD:
        return
    match wanted.scope:
        case Scope.SITE:
            known = any(row.site == wanted.target for row in register.sites)
            known = known or bool(connection.scalar(sa.select(LEADS.c.id).where(LEADS.c.subject == wanted.target)))
            zh, en = "厂区", "site"
        case Scope.METER:
            known, zh, en = any(row.meter == wanted.target for row in register.meters), "电表", "meter"
        case _:
            known, zh, en = any(row.uscc == wanted.target for row in register.enterprises), "企业", "enterprise"
    if not known:
        raise NotThere(
            f"档案中没有{zh} {wanted.target}，静默未建立。"
            f"The register has no {en} {wanted.target}; nothing was silenced. See `gridwarden register show`."
        )


def _end(connection: sa.Connection, number: int, by: str, reason: str, now_ms: int) -> None:
    connection.execute(
        sa.update(SILENCES).where(SILENCES.c.id == number).values(ended_at_ms=now_ms, ended_by=by, ended_reason=reason)
    )
    audit_log.append(
        connection,
        at_ms=now_ms,
        actor=by,
        action="silence.end",
        subject=f"silence:{number}",
        details={"reason": reason},
    )


def _end_ms(day: dt.date, zone: ZoneInfo) -> int:
    """The end of a local day, exclusive, Unix milliseconds."""
    return round(dt.datetime.combine(day + dt.timedelta(days=1), dt.time(), zone).timestamp() * 1000)
