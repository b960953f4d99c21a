"""What people do with a lead: claim, release, dismiss, reopen. The machine's say (`standing`) is never touched here.

A lead that is amended, withdrawn or raised again later keeps what people decided: a dismissed one stays dismissed, a
claimed one stays claimed, and its trail shows what changed. Only `stale`, which is the machine's word, gives way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

import sqlalchemy as sa

from models.domain.leads import LeadState
from monitor.commands import CommandRefused, NotThere
from monitor.desk import audit_log
from monitor.desk.lead_rows import STANDING_RAISED, STANDING_WITHDRAWN, shown_state, utc_text
from monitor.desk.people import same_person
from monitor.desk.schema import HELD_NOTICES, LEADS

OPEN: Final = LeadState.OPEN.value
CLAIMED: Final = LeadState.CLAIMED.value
DISMISSED: Final = LeadState.DISMISSED.value
STALE: Final = LeadState.STALE.value


class Move(StrEnum):
    """What a person may do with a lead; the audit log calls it `lead.` and this word."""

    CLAIM = "claim"
    RELEASE = "release"
    DISMISS = "dismiss"
    REOPEN = "reopen"


@dataclass(frozen=True, slots=True)
class _Rule:
    """From which states a move leads where, and what it is called."""

    start: frozenset[str]
    end: str
    zh: str


_RULES: Final[Mapping[Move, _Rule]] = MappingProxyType(
    {
        Move.CLAIM: _Rule(frozenset({OPEN, STALE}), CLAIMED, "认领"),
        Move.RELEASE: _Rule(frozenset({CLAIMED}), OPEN, "退回"),
        Move.DISMISS: _Rule(frozenset({OPEN, STALE, CLAIMED}), DISMISSED, "排除"),
        Move.REOPEN: _Rule(frozenset({DISMISSED, STALE}), OPEN, "重新打开"),
    }
)
_STATES_ZH: Final = MappingProxyType(
    {
        OPEN: "待核查",
        CLAIMED: "已认领",
        DISMISSED: "已排除",
        STALE: "已陈旧",
        LeadState.ESCALATED.value: "已立案",
        LeadState.WITHDRAWN.value: "已撤回",
    }
)


def move(
    connection: sa.Connection, lead_id: str, what: Move, *, by: str, reason: str | None, now_ms: int
) -> dict[str, Any]:
    """Carry out what a person asks, with its audit entry, in the caller's transaction; returns the lead's new handling.

    Claiming what one has claimed already changes nothing. Raises NotThere without such a lead, CommandRefused where the
    move does not follow from its state, or where it needs a reason.
    """
    row = connection.execute(sa.select(LEADS).where(LEADS.c.id == lead_id)).one_or_none()
    if row is None:
        raise NotThere(f"没有线索 {lead_id[:64]}。No lead {lead_id[:64]}: see `gridwarden leads list`.")
    if what is Move.CLAIM and row.handling == CLAIMED and same_person(row.handled_by, by):
        return _answer(row, row.handling, row.handled_by, row.handled_reason, row.handled_at_ms)
    rule = _RULES[what]
    _refuse_wrong_state(row, what, rule)
    _refuse_others(row, what, by, reason)
    connection.execute(
        sa.update(LEADS)
        .where(LEADS.c.id == lead_id)
        .values(handling=rule.end, handled_by=by, handled_reason=reason, handled_at_ms=now_ms)
    )
    audit_log.append(
        connection,
        at_ms=now_ms,
        actor=by,
        action=f"lead.{what.value}",
        subject=f"lead:{lead_id}",
        details={"from": row.handling, "to": rule.end, "reason": reason, "revision": row.revision},
    )
    return _answer(row, rule.end, by, reason, now_ms)


def mark_stale(connection: sa.Connection, *, now_ms: int, after_ms: int, limit: int) -> list[str]:
    """Mark open leads that neither a person nor the machine touched for so long; returns their ids, at most `limit`.

    Leads whose notices a silence holds back are left: somebody asked to wait.
    """
    waiting = sa.select(HELD_NOTICES.c.lead_id).where(HELD_NOTICES.c.settled_at_ms.is_(None))
    query = (
        sa.select(LEADS.c.id, LEADS.c.revision)
        .where(
            LEADS.c.handling == OPEN,
            LEADS.c.standing == STANDING_RAISED,
            LEADS.c.revised_at_ms <= now_ms - after_ms,
            sa.func.coalesce(LEADS.c.handled_at_ms, 0) <= now_ms - after_ms,
            LEADS.c.id.not_in(waiting),
        )
        .order_by(LEADS.c.id)
        .limit(limit)
    )
    rows = connection.execute(query).all()
    for id_, revision in rows:
        by_machine(connection, id_, revision, OPEN, STALE, "untouched for too long", now_ms)
    return [id_ for id_, _ in rows]


def by_machine(
    connection: sa.Connection, lead_id: str, revision: int, start: str, end: str, why: str, now_ms: int
) -> None:
    """What the program itself does to a lead's handling: to and from `stale`, with its audit entry."""
    connection.execute(
        sa.update(LEADS)
        .where(LEADS.c.id == lead_id)
        .values(handling=end, handled_by=audit_log.SYSTEM, handled_reason=why, handled_at_ms=now_ms)
    )
    audit_log.append(
        connection,
        at_ms=now_ms,
        actor=audit_log.SYSTEM,
        action="lead.stale" if end == STALE else "lead.wake",
        subject=f"lead:{lead_id}",
        details={"from": start, "to": end, "reason": why, "revision": revision},
    )


def _refuse_wrong_state(row: sa.Row[Any], what: Move, rule: _Rule) -> None:
    if row.handling not in rule.start:
        since = f"（{row.handled_by}，{_day(row.handled_at_ms)}）" if row.handled_by else ""
        by = f" by {row.handled_by} on {_day(row.handled_at_ms)}" if row.handled_by else ""
        raise CommandRefused(
            f"线索 {row.id} 现为{_STATES_ZH[row.handling]}{since}，不能{rule.zh}；{_remedy(row.handling)[0]}。"
            f"Lead {row.id} is {row.handling}{by}: it cannot be {_done(what)}; {_remedy(row.handling)[1]}."
        )
    if row.standing == STANDING_WITHDRAWN and row.handling in (OPEN, STALE):
        raise CommandRefused(
            f"线索 {row.id} 已由系统撤回，量测不再支持它，无需{rule.zh}。"
            f"Lead {row.id} was withdrawn: the readings no longer support it; there is nothing to {what.value}."
        )


def _refuse_others(row: sa.Row[Any], what: Move, by: str, reason: str | None) -> None:
    own = row.handling != CLAIMED or same_person(row.handled_by, by)
    if what is Move.DISMISS and not own:
        raise CommandRefused(
            f"线索 {row.id} 由 {row.handled_by} 认领，请由其本人排除，或先退回（leads release）。"
            f"Lead {row.id} is claimed by {row.handled_by}, who may dismiss it; or release it first."
        )
    needs = what in (Move.DISMISS, Move.REOPEN) or (what is Move.RELEASE and not own)
    if needs and reason is None:
        whose = f"（由 {row.handled_by} 认领）" if not own else ""
        raise CommandRefused(
            f"{_RULES[what].zh}线索 {row.id}{whose}须写明理由（--reason）。"
            f"To {what.value} lead {row.id} takes a --reason."
        )


def _remedy(handling: str) -> tuple[str, str]:
    match handling:
        case LeadState.CLAIMED.value:
            return "可先退回：leads release", "`leads release` gives it back"
        case LeadState.DISMISSED.value:
            return "可先重新打开：leads reopen", "`leads reopen` undoes that"
        case LeadState.ESCALATED.value:
            return "请在案件中处理", "go on in its case"
        case _:
            return "请先认领：leads claim", "`leads claim` takes it up"


def _done(what: Move) -> str:
    return {Move.CLAIM: "claimed", Move.RELEASE: "released", Move.DISMISS: "dismissed", Move.REOPEN: "reopened"}[what]


def _day(at_ms: int | None) -> str:
    return (utc_text(at_ms) or "")[:10]


def _answer(row: sa.Row[Any], handling: str, by: str, reason: str | None, at_ms: int) -> dict[str, Any]:
    return {
        "id": row.id,
        "state": shown_state(row.standing, handling),
        "standing": row.standing,
        "handled_by": by,
        "handled_reason": reason,
        "handled_at": utc_text(at_ms),
    }
