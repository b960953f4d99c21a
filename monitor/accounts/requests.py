"""Reports from files and questions about reports, as commands of the core thread."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

import msgspec

from models.domain.production import HeatReport, OutputReport, Report
from models.domain.readings import ID_PATTERN, RawMessage
from monitor.accounts import report_rows
from monitor.commands import CommandRefused
from monitor.desk.database import desk_transaction

if TYPE_CHECKING:
    from monitor.wiring import Core

IMPORT: Final = "output_import"
LIST: Final = "output_list"
MOST_LISTED: Final = 1000

_ID: Final = re.compile(ID_PATTERN.removesuffix("$"), re.ASCII)

Row = dict[str, Any]
Asked = TypeVar("Asked")


class _Import(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    publisher: str
    topic: Literal["output", "furnace"]
    payload: str


class _List(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    kind: Literal["output", "heat"] | None = None
    subject: str | None = None
    limit: int = 100


def output_import(core: Core, arguments: Mapping[str, Any]) -> Row:
    """One message of a file, taken in as if `publisher` had sent it now: journal, quarantine and all.

    Answers `taken`, and `refused`: `rows` (empty: the whole message), `reason` and `detail` of each refusal.
    """
    asked = _checked(arguments, _Import)
    message = RawMessage(
        topic=f"grid/v1/{asked.publisher}/{asked.topic}",
        payload=asked.payload.encode(),
        received_ms=core.pipeline.clock.wall_ms(),
        publisher=asked.publisher,
        adapter=asked.topic,
    )
    if _ID.fullmatch(asked.publisher) is None:
        raise CommandRefused(f"数据源编号不对。{asked.publisher!r:.80} is not an id of a publisher.")
    group = core.pipeline.take_stored([message])
    core.pipeline.reports.flush()
    refused = [{"rows": list(r.rows), "reason": r.reason.value, "detail": r.detail} for r in group.rejections]
    return {"taken": len(group.reports), "refused": refused}


def output_list(core: Core, arguments: Mapping[str, Any]) -> Row:
    """Statements as kept, the newest first: filters `kind` and `subject`, at most `limit`."""
    asked = _checked(arguments, _List)
    with desk_transaction(core.engine) as connection:
        found = report_rows.newest(
            connection, min(max(asked.limit, 1), MOST_LISTED), kind=asked.kind, subject=asked.subject
        )
    return {"items": [told(report) for report in found]}


def told(report: Report) -> Row:
    """A report as plain JSON values; numbers as texts, digit by digit."""
    row: Row = msgspec.to_builtins(report)
    match report:
        case OutputReport():
            row["facts"] = {name: msgspec.to_builtins(value) for name, value in report.facts}
            row["kind"] = report_rows.OUTPUT
        case HeatReport():
            row["kind"] = report_rows.HEAT
    return row


def _checked(arguments: Mapping[str, Any], kind: type[Asked]) -> Asked:
    try:
        return msgspec.convert(dict(arguments), kind)
    except msgspec.ValidationError as error:
        raise CommandRefused(f"命令参数不对。The arguments do not fit: {error}") from error
