"""Which statements of output count, and what they add up to; a function of the set of statements."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, localcontext
from typing import Final, TypeVar

from models.domain.accounts import FuelTotal, Gap, GapKind, OutputTotal, Period
from models.domain.production import Fact, FuelUse, HeatReport, OutputReport
from models.law.numbers import PRECISION
from models.law.units import UNITS, UnitMismatchError, factor_between
from monitor.accounts.report_rows import content_of

R = TypeVar("R", OutputReport, HeatReport)
Place = tuple[str, str]
"""Site and line; both "" for the enterprise as a whole."""

_SHARE: Final = Decimal("0.000001")


@dataclass(frozen=True, slots=True)
class Production:
    """What counts of output, fuels and facts, by place; `total` is the enterprise's, by product."""

    outputs: Mapping[Place, tuple[OutputTotal, ...]]
    fuels: Mapping[Place, tuple[FuelTotal, ...]]
    total: tuple[OutputTotal, ...]
    facts: tuple[tuple[str, Fact], ...]
    gaps: tuple[Gap, ...]


@dataclass(slots=True)
class _Found:
    gaps: list[Gap] = field(default_factory=list)

    def note(self, kind: GapKind, report: OutputReport, zh: str, en: str, *, lowers: bool = True) -> None:
        subject = " ".join(filter(None, (report.line or report.site or report.uscc, report.product)))
        self.gaps.append(Gap(kind, subject, report.first, report.last, zh, en, lowers))


def settled(reports: Iterable[R]) -> tuple[list[R], list[list[R]]]:
    """Of each key the statement of the highest revision, and the keys whose highest revision contradicts itself.

    Void statements take the key away. Order of arrival and repetitions change nothing.
    """
    keys: dict[object, list[R]] = defaultdict(list)
    for report in reports:
        keys[report.key].append(report)
    standing: list[R] = []
    contradictions: list[list[R]] = []
    for same in keys.values():
        highest = max(report.rev for report in same)
        contents = {content_of(report): report for report in same if report.rev == highest}
        ordered = [contents[digest] for digest in sorted(contents)]
        if len(ordered) > 1:
            contradictions.append(ordered)
        elif not ordered[0].void:
            standing.append(ordered[0])
    return standing, contradictions


def production_of(reports: Sequence[OutputReport], period: Period, site_of: Mapping[str, str]) -> Production:
    """What reports of one enterprise say of a period. `site_of`: the site of each line.

    Periods inside the account's count; one that reaches beyond it is left out, not apportioned. Where a longer
    report covers shorter ones of the same subject and product (a month's closing over its days), the longer counts.
    """
    found = _Found()
    standing, contradictions = settled(reports)
    places: dict[tuple[Place, str], list[OutputReport]] = defaultdict(list)
    contested: dict[tuple[Place, str], list[OutputReport]] = defaultdict(list)
    for same in contradictions:
        if _within(same[0], period, found):
            contested[_place(same[0], site_of), same[0].product] += same
            told = " / ".join(f"{one.quantity} {one.unit}" for one in same)
            found.note(
                GapKind.OUTPUT_CONFLICT,
                same[0],
                f"同一版本（rev {same[0].rev}）有不同数值：{told}，未采用，待修订",
                f"revision {same[0].rev} is stated differently: {told}; none counts until a revision settles it",
            )
    for report in sorted(standing, key=_in_order):
        if _within(report, period, found):
            places[_place(report, site_of), report.product].append(report)
    outputs: dict[Place, list[OutputTotal]] = defaultdict(list)
    uses: dict[Place, list[FuelUse]] = defaultdict(list)
    facts: dict[str, Fact] = {}
    counted: list[OutputReport] = []
    with localcontext(PRECISION):
        for place, product in sorted(places.keys() | contested.keys()):
            used = _disjoint(places.get((place, product), []), found)
            counted += used
            if product:
                against = contested.get((place, product), [])
                outputs[place].append(_total(place, product, used, against, period, found))
            for report in used:
                uses[place] += report.fuels
        for report in sorted(counted, key=lambda one: (one.last, one.first, _in_order(one))):
            facts.update(report.facts)
        total = _enterprise_total(outputs, found, period)
        fuels = {place: _fuel_totals(place, used) for place, used in sorted(uses.items())}
    return Production(
        {place: tuple(totals) for place, totals in outputs.items()},
        fuels,
        total,
        tuple(sorted(facts.items())),
        tuple(found.gaps),
    )


def _in_order(report: OutputReport) -> tuple[object, ...]:
    return (report.key, report.rev, content_of(report))


def _place(report: OutputReport, site_of: Mapping[str, str]) -> Place:
    return (site_of.get(report.line, ""), report.line) if report.line else (report.site, "")


def _within(report: OutputReport, period: Period, found: _Found) -> bool:
    """Whether a report lies within the period; one that reaches beyond is told of and left out."""
    if report.first in period and report.last in period:
        return True
    if report.first <= period.last and report.last >= period.first:
        found.note(
            GapKind.STRADDLES,
            report,
            f"报送期间 {report.first} 至 {report.last} 超出核算期间，未分摊、未计入",
            f"its period {report.first} to {report.last} reaches beyond the account's: neither divided nor counted",
        )
    return False


def _disjoint(reports: Sequence[OutputReport], found: _Found) -> list[OutputReport]:
    """Reports of one place and product whose days do not overlap: the longer before the shorter."""
    used: list[OutputReport] = []
    for report in sorted(reports, key=lambda one: (-one.days, one.first)):
        over = [one for one in used if one.first <= report.last and report.first <= one.last]
        if not over:
            used.append(report)
            continue
        inside = any(one.first <= report.first and report.last <= one.last for one in over)
        if not inside:
            found.note(
                GapKind.OUTPUT_OVERLAP,
                report,
                f"与 {over[0].first} 至 {over[0].last} 的报送部分重叠，未计入",
                f"overlaps the report of {over[0].first} to {over[0].last} in part: not counted",
            )
        elif report.product:
            found.note(
                GapKind.OUTPUT_OVERLAP,
                report,
                f"已包含在 {over[0].first} 至 {over[0].last} 的报送中，不重复计",
                f"part of the report of {over[0].first} to {over[0].last}: not counted twice",
                lowers=False,
            )
    return sorted(used, key=lambda one: one.first)


def _total(
    place: Place,
    product: str,
    used: Sequence[OutputReport],
    contested: Sequence[OutputReport],
    period: Period,
    found: _Found,
) -> OutputTotal:
    unit = (used or contested)[0].unit
    quantity: Decimal | None = Decimal(0) if not contested else None
    for report in used:
        scaled = _in_unit(report, unit, found)
        quantity = None if quantity is None or scaled is None else quantity + scaled
    days = sum(report.days for report in used)
    return OutputTotal(
        product=product,
        quantity=quantity,
        unit=unit,
        coverage=(Decimal(days) / period.days).quantize(_SHARE),
        site=place[0],
        line=place[1],
        revision=max((report.rev for report in [*used, *contested]), default=0),
        reports=len(used),
    )


def _in_unit(report: OutputReport, unit: str, found: _Found) -> Decimal | None:
    try:
        return (report.quantity or Decimal(0)) * factor_between(report.unit, unit)
    except (UnitMismatchError, KeyError):
        found.note(
            GapKind.OUTPUT_UNIT,
            report,
            f"单位 {report.unit} 不能换算为 {unit}，该产品产量未知",
            f"its unit {report.unit} does not convert to {unit}: the output of the product is not known",
        )
        return None


def _enterprise_total(
    outputs: Mapping[Place, Sequence[OutputTotal]], found: _Found, period: Period
) -> tuple[OutputTotal, ...]:
    """By product: the enterprise's own statement, else its sites' (each its own, else the sum of its lines)."""
    by_product: dict[str, list[OutputTotal]] = defaultdict(list)
    for totals in outputs.values():
        for total in totals:
            by_product[total.product].append(total)
    return tuple(_product_total(product, totals, found, period) for product, totals in sorted(by_product.items()))


def _product_total(product: str, totals: Sequence[OutputTotal], found: _Found, period: Period) -> OutputTotal:
    whole = [one for one in totals if not one.site and not one.line]
    sites = {one.site for one in totals if one.site and not one.line}
    used = whole or [one for one in totals if not one.line or one.site not in sites]
    finer = [one for one in totals if one not in used]
    unit = used[0].unit
    quantity = _sum(used, unit)
    if any(UNITS[one.unit].kind != UNITS[unit].kind for one in used):
        zh, en = "各处单位不一致，合计未知", "its places report units of different kinds: the sum is not known"
        found.gaps.append(Gap(GapKind.OUTPUT_UNIT, product, period.first, period.last, zh, en))
    compared = _sum([one for one in finer if one.line or whole], unit) if finer else None
    covered = {one.site for one in used if not one.line}
    beneath = [one for one in finer if whole or one.site in covered]
    if (
        quantity is not None
        and beneath
        and compared is not None
        and all(one.coverage == 1 for one in [*used, *beneath])
    ):
        reference = _sum([one for one in used if whole or one.site in {b.site for b in beneath}], unit)
        if reference != compared and not (whole and sites):
            zh = f"汇总报送 {reference} {unit} 与分项合计 {compared} {unit} 不符，以汇总为准"
            en = f"the whole is stated as {reference} {unit}, its parts as {compared} {unit}: the whole counts"
            found.gaps.append(Gap(GapKind.OUTPUT_OVERLAP, product, period.first, period.last, zh, en, lowers=False))
    return OutputTotal(
        product=product,
        quantity=quantity,
        unit=unit,
        coverage=min(one.coverage for one in used),
        revision=max(one.revision for one in used),
        reports=sum(one.reports for one in used),
    )


def _sum(totals: Sequence[OutputTotal], unit: str) -> Decimal | None:
    whole = Decimal(0)
    for total in totals:
        if total.quantity is None or UNITS[total.unit].kind != UNITS[unit].kind:
            return None
        whole += total.quantity * factor_between(total.unit, unit)
    return whole


def _fuel_totals(place: Place, uses: Sequence[FuelUse]) -> tuple[FuelTotal, ...]:
    """Uses of one fuel with one measured value added up, in the unit that was reported."""
    sums: dict[tuple[object, ...], FuelUse] = {}
    for use in uses:
        key = (use.fuel, use.unit, use.kj_per_unit, use.kgce_per_unit, use.value_source, use.recovered)
        known = sums.get(key)
        quantity = use.quantity + (known.quantity if known is not None else Decimal(0))
        sums[key] = FuelUse(
            use.fuel, quantity, use.unit, use.kj_per_unit, use.kgce_per_unit, use.value_source, use.recovered
        )
    return tuple(FuelTotal(sums[key], *place) for key in sorted(sums, key=str))


def days_without_output(total: OutputTotal, period: Period) -> Gap | None:
    """What to say of an output that reports do not cover in full; None where they do."""
    if total.coverage >= 1:
        return None
    percent = (total.coverage * 100).quantize(Decimal("0.1"))
    return Gap(
        GapKind.OUTPUT_MISSING,
        " ".join(filter(None, (total.line or total.site, total.product))),
        period.first,
        period.last,
        f"产量报送只覆盖 {percent}% 的天数",
        f"reports of output cover {percent} % of the days",
    )
