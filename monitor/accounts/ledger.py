"""The ledger: reports go in, accounts of enterprises and periods come out, and what has new data is known."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

import msgspec
import sqlalchemy as sa

from models.domain.accounts import (
    Account,
    Electricity,
    FuelTotal,
    Gap,
    Heats,
    MeterEnergy,
    Period,
    SiteAccount,
)
from models.domain.production import HeatReport, OutputReport, Report
from models.domain.register import Register
from monitor.accounts import report_rows
from monitor.accounts.allocation import Division, Part, Place, divided
from monitor.accounts.heats import heats_of
from monitor.accounts.output import Production, days_without_output, production_of
from monitor.accounts.plan import Plans, Scope
from monitor.accounts.registers import MeterDays, day_index, energy_of
from monitor.desk.database import desk_transaction
from monitor.history.register_days import RegisterDays, RegisterReader

SETTLE_ALL: Final = 64
"""Up to so many enterprises at once every stamp is settled; beyond, the days that matter."""

CHUNK: Final = 5000
"""Enterprises whose readings are read in one pass."""

_ONE_DAY: Final = dt.timedelta(days=1)
_MOST_CHANGES: Final = 100_000
_SHARE: Final = Decimal("0.000001")
_encode: Final = msgspec.json.Encoder(order="sorted").encode


@dataclass(frozen=True, slots=True, order=True)
class Cursor:
    """How far somebody has heard of changes: the last report's number and the last journal record in the history."""

    report: int = 0
    record: int = 0


class Ledger:
    """Accounts over the desk's reports and the history's registers. For one thread: `registers` is a cursor of its
    own, made by `History.registers`; the engine may be one that only reads, as long as `record` is not called."""

    def __init__(self, engine: sa.Engine, registers: RegisterReader, zone: ZoneInfo) -> None:
        self._engine = engine
        self._registers = registers
        self._zone = zone
        self._plans: Plans | None = None

    def record(self, reports: Sequence[Report]) -> int:
        """Keep statements; those known already change nothing. Returns how many were new. Raises StoreFull."""
        with desk_transaction(self._engine) as connection:
            return report_rows.put(connection, reports, self._zone)

    def account(self, uscc: str, period: Period, register: Register) -> Account:
        """The account of one enterprise, whether or not anything is known of it."""
        return next(self.accounts([uscc], period, register))

    def accounts(self, usccs: Iterable[str], period: Period, register: Register) -> Iterator[Account]:
        """Accounts of many enterprises, in their order, at a fraction of the cost each."""
        plans = self._plans_of(register)
        names = list(usccs)
        for start in range(0, len(names), CHUNK):
            chunk = names[start : start + CHUNK]
            scopes = [plans.scope(uscc, period) for uscc in chunk]
            days = self._days(scopes, len(names))
            index = day_index(days)
            reports = self._reports(scopes, period)
            for scope in scopes:
                yield self._account(scope, period, register, _Inputs(days, index, *reports))

    def enterprises(self, period: Period, register: Register) -> list[str]:
        """Enterprises with a meter, or with a report, in the period; by code."""
        with self._engine.connect() as connection:
            told = report_rows.subjects_between(connection, period.first, period.last)
        owners = {owner for kind, subject in told for owner in self._owners(kind, subject, period, register)}
        for row in register.rows.sites:
            meters = register.meter_rows_of(row.site)
            if _touches(row.valid_from, row.valid_to, period) and any(
                _touches(meter.valid_from, meter.valid_to, period) for meter in meters
            ):
                owners.add(row.uscc)
        return sorted(owners)

    def changed_since(self, cursor: Cursor, register: Register) -> tuple[Cursor, frozenset[tuple[str, Period]]]:
        """Enterprises and calendar months with reports or register readings that came after `cursor`, and the cursor
        to ask with next time. A quarter or year is changed when one of its months is; a changed register is for the
        caller to notice by its version. A reading at a month's edge changes the months on both sides."""
        changed: set[tuple[str, Period]] = set()
        with self._engine.connect() as connection:
            rows = report_rows.since(connection, cursor.report, _MOST_CHANGES)
        for _, kind, subject, first, last in rows:
            span = Period(first, last)
            for owner in self._owners(kind, subject, span, register):
                changed |= {(owner, month) for month in span.months()}
        record, touched = self._registers.changed(cursor.record)
        plans = self._plans_of(register)
        for meter, day in touched:
            for date in {day - _ONE_DAY, day, day + _ONE_DAY}:
                month = Period.month(date.year, date.month)
                changed |= {(owner, month) for owner in plans.owners_of_meter(meter, date)}
        return Cursor(rows[-1][0] if rows else cursor.report, record), frozenset(changed)

    def _owners(self, kind: str, subject: str, span: Period, register: Register) -> set[str]:
        """Enterprises a report's subject belonged to at some time of a span."""
        if kind == report_rows.HEAT:
            sites = {row.site for row in register.furnace_rows(subject)}
        else:
            sites = {subject, *(row.site for row in register.line_rows(subject))}
        owners = {
            row.uscc
            for site in sites
            for row in register.site_rows(site)
            if _touches(row.valid_from, row.valid_to, span)
        }
        return owners | ({subject} if register.sites_of(subject) else set())

    def _plans_of(self, register: Register) -> Plans:
        if self._plans is None or self._plans.register is not register:
            self._plans = Plans(register)
        return self._plans

    def _days(self, scopes: Sequence[Scope], asked: int) -> RegisterDays:
        stretches = [planned.stretch for scope in scopes for planned in scope.planned]
        if not stretches:
            return self._registers.days([], dt.date(2000, 1, 1), dt.date(2000, 1, 1))
        first = min(stretch.first for stretch in stretches) - _ONE_DAY
        end = max(stretch.end for stretch in stretches) + _ONE_DAY
        cuts = {date for stretch in stretches for date in (stretch.first, stretch.end)}
        settle = None if asked <= SETTLE_ALL else {day for cut in cuts for day in (cut - _ONE_DAY, cut)}
        return self._registers.days({stretch.meter for stretch in stretches}, first, end, settle=settle)

    def _reports(
        self, scopes: Sequence[Scope], period: Period
    ) -> tuple[Mapping[str, list[OutputReport]], Mapping[str, list[HeatReport]]]:
        """Output reports by subject and heats by furnace."""
        outputs: dict[str, list[OutputReport]] = defaultdict(list)
        heats: dict[str, list[HeatReport]] = defaultdict(list)
        subjects = {subject for scope in scopes for subject in scope.subjects}
        furnaces = {furnace for scope in scopes for furnace in scope.furnaces}
        with self._engine.connect() as connection:
            for output in report_rows.outputs_of(connection, subjects, period.first, period.last):
                outputs[output.line or output.site or output.uscc].append(output)
            for heat in report_rows.heats_of(connection, furnaces, period.first, period.last):
                heats[heat.furnace].append(heat)
        return outputs, heats

    def _account(self, scope: Scope, period: Period, register: Register, inputs: _Inputs) -> Account:
        gaps: list[Gap] = list(scope.gaps)
        parts: list[Part] = []
        for planned in scope.planned:
            days = MeterDays(
                planned.stretch.meter,
                inputs.days,
                inputs.index.get(planned.stretch.meter, slice(0, 0)),
                self._registers.readings,
            )
            energy, found = energy_of(planned.stretch, days)
            parts.append(Part(planned.stretch, energy, planned.rows))
            gaps += found
        mine = [r for subject in sorted(scope.subjects) for r in inputs.outputs.get(subject, ())]
        production = production_of([r for r in mine if _is_of(r, scope)], period, scope.lines)
        division = divided(parts, scope.lines, production.outputs)
        heat_reports = [r for furnace in sorted(scope.furnaces) for r in inputs.heats.get(furnace, ())]
        heats, heat_gaps = heats_of(heat_reports, scope.furnaces, period) if heat_reports else (Heats(), ())
        gaps += [*division.gaps, *production.gaps, *heat_gaps]
        gaps += [gap for total in production.total if (gap := days_without_output(total, period)) is not None]
        sites = _site_accounts(scope, division, production)
        account = Account(
            uscc=scope.uscc,
            period=period,
            electricity=_whole(scope, division),
            sites=sites,
            meters=tuple(part.energy for part in parts),
            allocation=tuple(step for step in division.steps if step.site in scope.sites),
            output=production.total,
            fuels=_all_fuels(production),
            facts=production.facts,
            heats=heats,
            gaps=tuple(sorted(set(gaps), key=lambda gap: (gap.first, gap.kind, gap.subject, gap.en))),
            register=register.version,
        )
        account = dataclasses.replace(account, notes=_notes(account, parts))
        return dataclasses.replace(account, digest=digest_of(account))


@dataclass(frozen=True, slots=True)
class _Inputs:
    days: RegisterDays
    index: Mapping[str, slice]
    outputs: Mapping[str, Sequence[OutputReport]]
    heats: Mapping[str, Sequence[HeatReport]]


def digest_of(account: Account) -> str:
    """SHA-256 over everything an account says, the register's version and the digest itself left out."""
    plain = dataclasses.replace(account, digest="", register="")
    return hashlib.sha256(_encode(plain)).hexdigest()


def _touches(valid_from: dt.date, valid_to: dt.date | None, period: Period) -> bool:
    return valid_from <= period.last and (valid_to is None or valid_to > period.first)


def _is_of(report: OutputReport, scope: Scope) -> bool:
    """Whether the report is about this enterprise: ids of lines, sites and enterprises may be equal by chance."""
    if report.line:
        return report.line in scope.lines
    return report.site in scope.sites if report.site else report.uscc == scope.uscc


def _site_accounts(scope: Scope, division: Division, production: Production) -> tuple[SiteAccount, ...]:
    places: set[Place] = {(site, "") for site in scope.sites} | {(site, line) for line, site in scope.lines.items()}
    places |= {place for place in (*production.outputs, *production.fuels) if place[0]}
    return tuple(
        SiteAccount(
            site,
            line,
            _electricity(division, [(site, line)]) if line else _site_electricity(scope, division, site),
            production.outputs.get((site, line), ()),
            production.fuels.get((site, line), ()),
        )
        for site, line in sorted(places)
    )


def _site_electricity(scope: Scope, division: Division, site: str) -> Electricity:
    """A site with all its lines."""
    measured = [place for place in division.measured if place[0] == site]
    kwh = sum((division.kwh[place] for place in measured), Decimal(0)) if measured else None
    known, expected = division.known_ms.get((site, ""), Decimal(0)), division.expected_ms.get((site, ""), Decimal(0))
    return Electricity(kwh, _share(known, expected + scope.unmetered_ms.get(site, 0)))


def _electricity(division: Division, places: Sequence[Place]) -> Electricity:
    measured = [place for place in places if place in division.measured]
    kwh = sum((division.kwh[place] for place in measured), Decimal(0)) if measured else None
    known = sum((division.known_ms.get(place, Decimal(0)) for place in places), Decimal(0))
    return Electricity(kwh, _share(known, sum((division.expected_ms.get(p, Decimal(0)) for p in places), Decimal(0))))


def _whole(scope: Scope, division: Division) -> Electricity:
    measured = [place for place in division.measured if place[0] in scope.sites]
    kwh = sum((division.kwh[place] for place in measured), Decimal(0)) if measured else None
    known = sum((division.known_ms.get((site, ""), Decimal(0)) for site in scope.sites), Decimal(0))
    expected = sum((division.expected_ms.get((site, ""), Decimal(0)) for site in scope.sites), Decimal(0))
    return Electricity(kwh, _share(known, expected + sum(scope.unmetered_ms.values())))


def _share(known: Decimal, expected: Decimal) -> Decimal:
    return min(Decimal(1), known / expected).quantize(_SHARE) if expected else Decimal(0)


def _all_fuels(production: Production) -> tuple[FuelTotal, ...]:
    return tuple(total for place in sorted(production.fuels) for total in production.fuels[place])


def _notes(account: Account, parts: Sequence[Part]) -> tuple[tuple[str, str], ...]:
    """Sentences on what the numbers rest on."""
    notes: list[tuple[str, str]] = []
    energy: Sequence[MeterEnergy] = [part.energy for part in parts]
    if energy:
        known = sum(one.kwh is not None for one in energy)
        percent = (account.electricity.coverage * 100).quantize(Decimal("0.01"))
        english = (
            f"electricity is the difference of registers: {percent} % of the time is covered, {known} of"
            f" {len(energy)} stretches have readings; nothing is estimated"
        )
        notes.append(
            (
                f"电量按电能示数之差计算：{known}/{len(energy)} 段有示数，时间覆盖率 {percent}%；缺口未作估算",
                english,
            )
        )
    if any(gap.lowers for gap in account.gaps):
        lowering = sum(gap.lowers for gap in account.gaps)
        notes.append((f"{lowering} 处缺口影响完整性，见 gaps", f"{lowering} gaps leave something out: see gaps"))
    return tuple(notes)
