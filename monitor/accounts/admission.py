"""The register's, the clock's and the rule packs' say on reports: who may report what, of when, in which words."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType
from typing import Final

from models.domain.production import FuelUse, HeatReport, OutputReport, PlacedReport, Report
from models.domain.readings import RawMessage, Rejection, RejectReason
from models.domain.register import Register
from models.law.factor_rows import Factor
from models.law.library import Law
from models.law.units import UNITS, UnitMismatchError, factor_between

OLD_DAYS: Final = 1100
"""How long after its end a period may still be reported or corrected, where stamps may not be of any age."""

OUTPUT_KINDS: Final = frozenset(
    {"mass", "air-dry mass", "area", "volume", "weight case", "heat", "electricity", "standard coal"}
)
"""Kinds of unit an output may have."""

_Refusal = tuple[RejectReason, str]


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Words of the rule packs: factors by id (unit and kind), and products."""

    fuels: Mapping[str, tuple[str, str]]
    products: frozenset[str]

    @classmethod
    def of(cls, law: Law) -> Vocabulary:
        """The words of these packs."""
        fuels = {row.id: (row.unit, row.kind) for row in law.table(Factor).values()}
        return cls(MappingProxyType(fuels), frozenset(product for _, product in law.limits_by_product))


def admit_reports(
    reports: Sequence[PlacedReport],
    messages: Sequence[RawMessage],
    register: Register,
    words: Vocabulary,
    *,
    future_s: int,
    old_days: int | None,
) -> tuple[tuple[PlacedReport, ...], tuple[Rejection, ...]]:
    """The reports that go on, and a refusal for each of the others."""
    admitted: list[PlacedReport] = []
    refused: list[Rejection] = []
    for placed in reports:
        received_ms = messages[placed.message].received_ms
        wrong = _wrong(placed.report, register, words, received_ms, future_s, old_days)
        if wrong is None:
            admitted.append(placed)
        else:
            refused.append(Rejection(placed.message, *wrong, rows=(placed.row,)))
    return tuple(admitted), tuple(refused)


def still_admitted(reports: Iterable[PlacedReport], rejections: Sequence[Rejection]) -> tuple[PlacedReport, ...]:
    """The reports of a committed group: what was refused then stays refused."""
    rows = {(r.message, row) for r in rejections if not r.field for row in r.rows}
    whole = {r.message for r in rejections if not r.field and not r.rows}
    return tuple(p for p in reports if p.message not in whole and (p.message, p.row) not in rows)


def _wrong(
    report: Report, register: Register, words: Vocabulary, received_ms: int, future_s: int, old_days: int | None
) -> _Refusal | None:
    """The first reason to refuse a report, None where there is none."""
    checks: Iterator[_Refusal | None]
    if isinstance(report, HeatReport):
        checks = iter(
            (
                _heat_time(report, received_ms, future_s, old_days),
                _heat_owner(report, register),
                _revision(report, register, _day(report.end_ms - 1, register)),
            )
        )
    else:
        checks = iter(
            (
                _output_time(report, register, received_ms, future_s, old_days),
                _output_owner(report, register),
                _revision(report, register, report.last),
                _product(report, register, words.products),
                *(_fuel(use, words) for use in report.fuels),
            )
        )
    return next((wrong for wrong in checks if wrong is not None), None)


def _heat_time(report: HeatReport, received_ms: int, future_s: int, old_days: int | None) -> _Refusal | None:
    if report.end_ms > received_ms + future_s * 1000:
        return RejectReason.TIME_FUTURE, "the heat ends after its report was received: set the sender's clock"
    if old_days is not None and report.end_ms < received_ms - OLD_DAYS * 86_400_000:
        return (
            RejectReason.TIME_OLD,
            f"the heat ended more than {OLD_DAYS} days before its report: import it from a file",
        )
    return None


def _output_time(
    report: OutputReport, register: Register, received_ms: int, future_s: int, old_days: int | None
) -> _Refusal | None:
    today = _day(received_ms + future_s * 1000, register)
    if report.last > today:
        return (
            RejectReason.TIME_FUTURE,
            f"the period ends on {report.last}, which has not come: report what was made, when it was made",
        )
    if old_days is not None and (today - report.last).days > OLD_DAYS:
        return (
            RejectReason.TIME_OLD,
            f"the period ended more than {OLD_DAYS} days before its report: import it from a file",
        )
    return None


def _heat_owner(report: HeatReport, register: Register) -> _Refusal | None:
    on = _day(report.end_ms - 1, register)
    furnace = register.furnace(report.furnace, on)
    if furnace is None:
        return (
            RejectReason.UNKNOWN_METER,
            f"furnace {report.furnace} is not in the register on {on}: add it, then have the heat sent again",
        )
    return _reporter(report.publisher, [furnace.site], on, register, f"furnace {report.furnace}")


def _output_owner(report: OutputReport, register: Register) -> _Refusal | None:
    on = report.last
    if report.line:
        line = register.line(report.line, on)
        named, sites = f"line {report.line}", [] if line is None else [line.site]
    elif report.site:
        site = register.site(report.site, on)
        named, sites = f"site {report.site}", [] if site is None else [site.site]
    else:
        named = f"enterprise {report.uscc}"
        sites = [row.site for row in register.sites_of(report.uscc) if row.valid_on(on)]
    if not sites:
        return (
            RejectReason.UNKNOWN_METER,
            f"{named} is not in the register on {on}: add it, then have the report sent again",
        )
    return _reporter(report.publisher, sites, on, register, named)


def _reporter(publisher: str, sites: Sequence[str], on: dt.date, register: Register, named: str) -> _Refusal | None:
    if all(register.may_report(publisher, site, on) for site in sites):
        return None
    return (
        RejectReason.AUTHZ,
        f"publisher {publisher!r} may not report {named} on {on}: name it on the register's sheet reporters (报送方)",
    )


def _revision(report: Report, register: Register, on: dt.date) -> _Refusal | None:
    sender = register.publisher(report.publisher, on)
    if report.rev == 0 or (sender is not None and sender.may_revise):
        return None
    return (
        RejectReason.AUTHZ,
        f"publisher {report.publisher!r} may not revise: set may_revise (可修订) in its row of the register",
    )


def _product(report: OutputReport, register: Register, words: Collection[str]) -> _Refusal | None:
    if report.void or not report.product:
        return None
    known = _products_of(report, register)
    if report.product not in words and report.product not in known:
        near = get_close_matches(report.product, [*known, *words], n=1)
        hint = f"Meant {near[0]}? " if near else ""
        return (
            RejectReason.SCHEMA,
            f"unknown product {ascii(report.product)[:60]}. {hint}Take one of `gridwarden law list` or a line's",
        )
    unit = UNITS.get(report.unit)
    if unit is None or unit.kind not in OUTPUT_KINDS:
        return (
            RejectReason.SCHEMA,
            f"unit {ascii(report.unit)[:40]} is no unit of output; known: {', '.join(_outputs())}",
        )
    return None


def _products_of(report: OutputReport, register: Register) -> list[str]:
    """Products the register names for lines where the report is from."""
    on = report.last
    if report.line:
        line = register.line(report.line, on)
        return [line.product] if line is not None and line.product else []
    sites = [report.site] if report.site else [row.site for row in register.sites_of(report.uscc) if row.valid_on(on)]
    return [line.product for site in sites for line in register.lines_of(site) if line.valid_on(on) and line.product]


def _outputs() -> list[str]:
    return [name for name, unit in UNITS.items() if unit.kind in OUTPUT_KINDS]


def _fuel(use: FuelUse, words: Vocabulary) -> _Refusal | None:
    known = words.fuels.get(use.fuel)
    if known is None:
        near = get_close_matches(use.fuel, words.fuels, n=1)
        hint = f"Meant {near[0]}? " if near else ""
        return RejectReason.SCHEMA, f"unknown fuel {use.fuel}. {hint}Known: {', '.join(words.fuels)}"
    wanted, kind = known
    if kind == "electricity" and not use.recovered:
        return (
            RejectReason.SCHEMA,
            f"{use.fuel} is taken from the meters, not from reports; only power given back (recovered) is reported",
        )
    if use.kj_per_unit is not None or use.kgce_per_unit is not None:
        return (
            None if use.unit in UNITS else (RejectReason.SCHEMA, f"unknown unit {ascii(use.unit)[:40]} of {use.fuel}")
        )
    try:
        factor_between(use.unit, wanted)
    except UnitMismatchError as error:
        return RejectReason.SCHEMA, f"{use.fuel}: {error}"[:300]
    return None


def _day(ts_ms: int, register: Register) -> dt.date:
    return dt.datetime.fromtimestamp(ts_ms / 1000.0, register.zone).date()
