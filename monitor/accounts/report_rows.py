"""Reports in the desk: every statement once, found again by subject and local days."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Collection, Sequence
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from models.domain.production import Fact, FuelUse, HeatReport, OutputReport, Report
from monitor.desk.finding_rows import CHUNK
from monitor.desk.schema import REPORTS

OUTPUT: Final = "output"
HEAT: Final = "heat"


class _Fact(msgspec.Struct, frozen=True, array_like=True):
    """A fact with its kind: JSON alone does not tell a number from a word once both are texts."""

    name: str
    kind: str
    text: str


class _Output(msgspec.Struct, frozen=True, omit_defaults=True):
    publisher: str
    first: dt.date
    last: dt.date
    uscc: str = ""
    site: str = ""
    line: str = ""
    product: str = ""
    quantity: Decimal | None = None
    unit: str = ""
    fuels: tuple[FuelUse, ...] = ()
    facts: tuple[_Fact, ...] = ()
    rev: int = 0
    void: bool = False


class _Heat(msgspec.Struct, frozen=True, omit_defaults=True):
    publisher: str
    furnace: str
    start_ms: int
    end_ms: int
    energy_kwh: Decimal
    charged_t: Decimal | None = None
    tapped_t: Decimal | None = None
    product: str = ""
    rev: int = 0
    void: bool = False


_encode: Final = msgspec.json.Encoder().encode
_outputs: Final = msgspec.json.Decoder(_Output)
_heats: Final = msgspec.json.Decoder(_Heat)


def put(connection: sa.Connection, reports: Sequence[Report], zone: ZoneInfo) -> int:
    """Keep the statements that are not known yet; returns how many those were."""
    rows = [_row(report, zone) for report in reports]
    kept = 0
    for start in range(0, len(rows), CHUNK):
        statement = insert(REPORTS).values(rows[start : start + CHUNK]).on_conflict_do_nothing()
        kept += connection.execute(statement).rowcount
    return kept


def outputs_of(
    connection: sa.Connection, subjects: Collection[str], first: dt.date, last: dt.date
) -> list[OutputReport]:
    """Output reports of enterprises, sites and lines whose days touch `first` to `last`, oldest statement first."""
    return [_output_of(row) for row in _touching(connection, OUTPUT, subjects, first, last)]


def heats_of(connection: sa.Connection, furnaces: Collection[str], first: dt.date, last: dt.date) -> list[HeatReport]:
    """Heats of furnaces that ended on a local day from `first` to `last`, oldest statement first."""
    return [_heat_of(row) for row in _touching(connection, HEAT, furnaces, first, last)]


def since(connection: sa.Connection, after: int, limit: int) -> list[tuple[int, str, str, dt.date, dt.date]]:
    """`(id, kind, subject, first day, last day)` of the next statements kept after the one numbered `after`."""
    columns = (REPORTS.c.id, REPORTS.c.kind, REPORTS.c.subject, REPORTS.c.first_day, REPORTS.c.last_day)
    query = sa.select(*columns).where(REPORTS.c.id > after).order_by(REPORTS.c.id).limit(limit)
    return [
        (int(row.id), row.kind, row.subject, dt.date.fromisoformat(row.first_day), dt.date.fromisoformat(row.last_day))
        for row in connection.execute(query)
    ]


def subjects_between(connection: sa.Connection, first: dt.date, last: dt.date) -> set[tuple[str, str]]:
    """`(kind, subject)` of every report that touches some days."""
    query = sa.select(REPORTS.c.kind, REPORTS.c.subject).distinct().where(*_within(first, last))
    return {(row.kind, row.subject) for row in connection.execute(query)}


def newest(
    connection: sa.Connection, limit: int, *, kind: str | None = None, subject: str | None = None
) -> list[Report]:
    """Statements as kept, the newest first."""
    query = sa.select(REPORTS).order_by(REPORTS.c.id.desc()).limit(limit)
    if kind is not None:
        query = query.where(REPORTS.c.kind == kind)
    if subject is not None:
        query = query.where(REPORTS.c.subject == subject)
    return [_output_of(row) if row.kind == OUTPUT else _heat_of(row) for row in connection.execute(query)]


def content_of(report: Report) -> str:
    """Digest of what a report says, without who said it and where it stood."""
    return hashlib.sha256(_encode(_plain(msgspec.structs.replace(_body(report), publisher="")))).hexdigest()


def _within(first: dt.date, last: dt.date) -> tuple[sa.ColumnElement[bool], ...]:
    return (REPORTS.c.last_day >= first.isoformat(), REPORTS.c.first_day <= last.isoformat())


def _touching(
    connection: sa.Connection, kind: str, subjects: Collection[str], first: dt.date, last: dt.date
) -> list[sa.Row[Any]]:
    names = sorted(subjects)
    found: list[sa.Row[Any]] = []
    for start in range(0, len(names), CHUNK):
        mine = REPORTS.c.subject.in_(names[start : start + CHUNK])
        found += connection.execute(sa.select(REPORTS).where(REPORTS.c.kind == kind, mine, *_within(first, last)))
    return sorted(found, key=lambda row: int(row.id))


def _row(report: Report, zone: ZoneInfo) -> dict[str, Any]:
    body = _encode(_body(report))
    if isinstance(report, OutputReport):
        kind, subject = OUTPUT, report.line or report.site or report.uscc
        first, last = report.first, report.last
        key = "\n".join([report.uscc, report.site, report.line, report.product, f"{first}", f"{last}"])
    else:
        kind, subject = HEAT, report.furnace
        first = last = local_day(report.end_ms, zone)
        key = f"{report.furnace}\n{report.start_ms}"
    return {
        "kind": kind,
        "subject": subject,
        "key": key,
        "rev": report.rev,
        "content": content_of(report),
        "first_day": first.isoformat(),
        "last_day": last.isoformat(),
        "seq": report.seq,
        "received_ms": report.received_ms,
        "body": body,
        "sha256": hashlib.sha256(body).hexdigest(),
    }


def local_day(ts_ms: int, zone: ZoneInfo) -> dt.date:
    """The local date a stamp at the end of something belongs to: midnight is the end of the day before."""
    return dt.datetime.fromtimestamp((ts_ms - 1) / 1000.0, zone).date()


def _body(report: Report) -> _Output | _Heat:
    if isinstance(report, HeatReport):
        return _Heat(
            report.publisher,
            report.furnace,
            report.start_ms,
            report.end_ms,
            report.energy_kwh,
            report.charged_t,
            report.tapped_t,
            report.product,
            report.rev,
            report.void,
        )
    return _Output(
        report.publisher,
        report.first,
        report.last,
        report.uscc,
        report.site,
        report.line,
        report.product,
        report.quantity,
        report.unit,
        report.fuels,
        tuple(_Fact(name, type(value).__name__, str(value)) for name, value in report.facts),
        report.rev,
        report.void,
    )


def _plain(body: _Output | _Heat) -> _Output | _Heat:
    """The same with numbers of one value in one form: 5, 5.0 and 5E+0 say the same."""
    if isinstance(body, _Heat):
        return msgspec.structs.replace(
            body,
            energy_kwh=_one_form(body.energy_kwh) or Decimal(0),
            charged_t=_one_form(body.charged_t),
            tapped_t=_one_form(body.tapped_t),
        )
    fuels = tuple(
        FuelUse(
            use.fuel,
            _one_form(use.quantity) or Decimal(0),
            use.unit,
            _one_form(use.kj_per_unit),
            _one_form(use.kgce_per_unit),
            use.value_source,
            use.recovered,
        )
        for use in sorted(body.fuels, key=repr)
    )
    facts = tuple(
        _Fact(one.name, one.kind, str(_one_form(Decimal(one.text)))) if one.kind == Decimal.__name__ else one
        for one in sorted(body.facts, key=lambda fact: fact.name)
    )
    return msgspec.structs.replace(body, quantity=_one_form(body.quantity), fuels=fuels, facts=facts)


def _one_form(number: Decimal | None) -> Decimal | None:
    if number is None:
        return None
    return Decimal(0) if not number else Decimal(format(number.normalize(), "f"))


def _output_of(row: sa.Row[Any]) -> OutputReport:
    body = _outputs.decode(row.body)
    return OutputReport(
        publisher=body.publisher,
        uscc=body.uscc,
        site=body.site,
        line=body.line,
        product=body.product,
        first=body.first,
        last=body.last,
        quantity=body.quantity,
        unit=body.unit,
        fuels=body.fuels,
        facts=tuple((one.name, _fact(one)) for one in body.facts),
        rev=body.rev,
        void=body.void,
        seq=row.seq,
        received_ms=row.received_ms,
    )


def _fact(one: _Fact) -> Fact:
    match one.kind:
        case "bool":
            return one.text == "True"
        case "Decimal":
            return Decimal(one.text)
        case _:
            return one.text


def _heat_of(row: sa.Row[Any]) -> HeatReport:
    body = _heats.decode(row.body)
    return HeatReport(
        publisher=body.publisher,
        furnace=body.furnace,
        start_ms=body.start_ms,
        end_ms=body.end_ms,
        energy_kwh=body.energy_kwh,
        charged_t=body.charged_t,
        tapped_t=body.tapped_t,
        product=body.product,
        rev=body.rev,
        void=body.void,
        seq=row.seq,
        received_ms=row.received_ms,
    )
