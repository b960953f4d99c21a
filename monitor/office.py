"""What people do at the desk, one row each: with leads, silences and refused notices (design §8).

The running daemon carries these out on its core thread; with a stopped one the command line does, under the state
directory's lock. Arguments are plain JSON values and are checked here, once, for both.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeVar
from zoneinfo import ZoneInfo

import msgspec
import sqlalchemy as sa

from models.domain.clock import Clock
from models.domain.leads import LeadKind
from models.domain.register import RegisterRows
from monitor.commands import CommandRefused, Handler
from monitor.desk import silences
from monitor.desk.database import desk_transaction
from monitor.desk.handling import Move, move
from monitor.desk.people import person, reason
from monitor.desk.refused_notices import abandon_notice, retry_notices
from monitor.desk.registers import newest_register
from monitor.desk.silences import Scope, Wanted

if TYPE_CHECKING:
    from monitor.wiring import Core

Row = dict[str, Any]
ID_CHARACTERS: Final = 64


@dataclass(frozen=True, slots=True)
class Office:
    """The desk people work at, and what they need of the rest: a clock for stamps, the zone of their dates.

    `register` is the one in force; None takes the newest that was imported into the desk, if any.
    """

    engine: sa.Engine
    clock: Clock
    zone: ZoneInfo
    register: RegisterRows | None = None


Act = Callable[[Office, Mapping[str, Any]], Row]


class MoveArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One lead, who, and why."""

    lead: str
    by: str
    reason: str | None = None


class SilenceArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is silenced, until which local day, and the two people who want it."""

    scope: Scope
    target: str
    until: dt.date
    reason: str
    by: str
    approved_by: str
    kind: LeadKind | None = None


class NumberArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One numbered thing (a silence, a notice), who, and why."""

    number: int
    by: str
    reason: str


class RetryArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which refused notices to send again: those of a sink, or all."""

    by: str
    reason: str
    sink: str | None = None
    number: int | None = None


Arguments = TypeVar("Arguments", MoveArguments, SilenceArguments, NumberArguments, RetryArguments)


def _moving(what: Move) -> Act:
    def act(office: Office, arguments: Mapping[str, Any]) -> Row:
        asked = _checked(arguments, MoveArguments)
        by, why = person(asked.by), None if asked.reason is None else reason(asked.reason)
        with desk_transaction(office.engine) as connection:
            return move(connection, asked.lead, what, by=by, reason=why, now_ms=office.clock.wall_ms())

    return act


def _silence(office: Office, arguments: Mapping[str, Any]) -> Row:
    asked = _checked(arguments, SilenceArguments)
    if not 1 <= len(asked.target) <= ID_CHARACTERS:
        raise CommandRefused(f"编号须为 1 至 {ID_CHARACTERS} 个字符。An id has 1 to {ID_CHARACTERS} characters.")
    wanted = Wanted(
        scope=asked.scope,
        target=asked.target,
        kind=asked.kind,
        until=asked.until,
        reason=reason(asked.reason),
        requested_by=person(asked.by),
        approved_by=person(asked.approved_by),
    )
    with desk_transaction(office.engine) as connection:
        register = office.register or _imported(connection)
        return silences.make(connection, wanted, office.zone, office.clock.wall_ms(), register)


def _imported(connection: sa.Connection) -> RegisterRows | None:
    newest = newest_register(connection)
    return None if newest is None else newest[1]


def _unsilence(office: Office, arguments: Mapping[str, Any]) -> Row:
    asked = _checked(arguments, NumberArguments)
    by, why, now_ms = person(asked.by), reason(asked.reason), office.clock.wall_ms()
    with desk_transaction(office.engine) as connection:
        return silences.end(connection, asked.number, by=by, reason=why, now_ms=now_ms)


def _retry_notices(office: Office, arguments: Mapping[str, Any]) -> Row:
    asked = _checked(arguments, RetryArguments)
    by, why, now_ms = person(asked.by), reason(asked.reason), office.clock.wall_ms()
    with desk_transaction(office.engine) as connection:
        return retry_notices(connection, sink=asked.sink, seq=asked.number, by=by, reason=why, now_ms=now_ms)


def _abandon_notice(office: Office, arguments: Mapping[str, Any]) -> Row:
    asked = _checked(arguments, NumberArguments)
    by, why, now_ms = person(asked.by), reason(asked.reason), office.clock.wall_ms()
    with desk_transaction(office.engine) as connection:
        return abandon_notice(connection, asked.number, by=by, reason=why, now_ms=now_ms)


ACTS: Final[Mapping[str, Act]] = MappingProxyType(
    {
        "leads_claim": _moving(Move.CLAIM),
        "leads_release": _moving(Move.RELEASE),
        "leads_dismiss": _moving(Move.DISMISS),
        "leads_reopen": _moving(Move.REOPEN),
        "leads_silence": _silence,
        "leads_unsilence": _unsilence,
        "notices_retry": _retry_notices,
        "notices_abandon": _abandon_notice,
    }
)
"""Every act by the name its command has in `POST /v1/commands/{name}`."""


def on_core(act: Act) -> Handler:
    """The act as a command of the running daemon."""

    def handler(core: Core, arguments: Mapping[str, Any]) -> Row:
        pipeline = core.pipeline
        return act(Office(core.engine, pipeline.clock, pipeline.zone, pipeline.roster.register.rows), arguments)

    return handler


def _checked(arguments: Mapping[str, Any], kind: type[Arguments]) -> Arguments:
    try:
        return msgspec.convert(dict(arguments), kind)
    except msgspec.ValidationError as error:
        raise CommandRefused(f"命令参数不对。The arguments do not fit: {error}") from error
