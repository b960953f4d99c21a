"""An energy account against the limits in force: one statement a product and metric, or why there is none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from typing import Final

from models.domain.accounts import Account, OutputTotal, Period
from models.domain.production import FuelUse
from models.domain.register import Register
from models.law.case import METER_CLASSES, Case, EnergyInput, Measured
from models.law.changed import replace
from models.law.conversion import ConversionError, EnergyItem, to_standard_coal
from models.law.judge import judge_limit
from models.law.library import Law
from models.law.limit_rows import Limit, Standard
from models.law.lookup import span_of
from models.law.numbers import PRECISION, shown
from models.law.steps import Missing, Step
from models.law.units import UNITS, UnitMismatchError, factor_between
from models.law.verdict import LimitVerdict, Status
from monitor.intensity.boundary import Boundary, boundary_of
from monitor.intensity.declared import Known, Plant, known_of
from monitor.intensity.scopes import Catalogue, Counts, counts_of, is_process
from monitor.lead_texts import Bilingual

ELECTRICITY: Final = "electricity-equivalent"
"""The factor of electricity in limits of comprehensive energy: the equivalent value (当量值)."""

_COKE: Final = "coke"
_WHOLE: Final = Decimal(1)


@dataclass(frozen=True, slots=True)
class Judged:
    """What an account says of one metric of one product in one period.

    `status` is that of `verdict`, or less where the energy at hand only bounds the figure: `at_least` and `at_most` say
    why. `kwh` and `output` are what the calculation begins with. `account` is the digest of the account.
    """

    uscc: str
    period: Period
    industry: str
    product: str
    metric: str
    status: Status
    reason: Bilingual
    verdict: LimitVerdict
    plant: Plant | None
    region: str
    sites: tuple[str, ...] = ()
    meters: tuple[str, ...] = ()
    kwh: Decimal | None = None
    coverage: Decimal | None = None
    output: Decimal | None = None
    output_unit: str = ""
    at_least: tuple[Bilingual, ...] = ()
    at_most: tuple[Bilingual, ...] = ()
    account: str = ""

    @property
    def result(self) -> str:
        """`meets level n`, `exceeds level n`, or the status."""
        return self.verdict.result if self.status == self.verdict.status else self.status


def judge_account(account: Account, register: Register, catalogue: Catalogue, region: str) -> tuple[Judged, ...]:
    """Every limited metric of every product that was told of or that a registered line makes, by product.

    Nothing where neither output nor electricity of the period is known: it is not yet, or no longer, watched.
    """
    found: list[Judged] = []
    if not account.output and account.electricity.kwh is None:
        return ()
    with localcontext(PRECISION):
        for product in sorted(_products(account, register, catalogue)):
            industry = catalogue.industry(product)
            if industry is not None:
                found += _of_product(account, register, catalogue, region, industry, product)
    return tuple(found)


def _products(account: Account, register: Register, catalogue: Catalogue) -> set[str]:
    """What was told, and what the enterprise's registered lines make."""
    last = account.period.last
    rows = [row for entry in account.sites if entry.line and (row := register.line(entry.line, last)) is not None]
    return {catalogue.product(name) for name in (*(t.product for t in account.output), *(r.product for r in rows))}


def limits_in_force(catalogue: Catalogue, product: str, period: Period) -> tuple[Limit, ...]:
    """The limits of a product whose standard holds, as far as known, on any day of a period."""
    standards = catalogue.law.table(Standard)
    limits = catalogue.limits(product)
    spans = {limit.standard: span_of(standards[limit.standard], standards) for limit in limits}
    return tuple(
        limit
        for limit in limits
        if spans[limit.standard].first <= period.last and period.first <= spans[limit.standard].last
    )


def _of_product(
    account: Account, register: Register, catalogue: Catalogue, region: str, industry: str, product: str
) -> list[Judged]:
    boundary = boundary_of(account, product, register, catalogue.product)
    known = known_of(account, register, catalogue.law, boundary.lines if boundary is not None else ())
    totals = [one for one in account.output if catalogue.product(one.product) == product]
    limits = limits_in_force(catalogue, product, account.period) or catalogue.limits(product)
    units = {limit.metric: limit.unit for limit in limits}
    plain = _Product(account, catalogue.law, region, industry, product, known, _total(totals), bool(totals))
    found: list[Judged] = []
    for metric, unit in units.items():
        own = (
            boundary_of(account, product, register, catalogue.product, process=True) if is_process(metric) else boundary
        )
        found.append(_of_metric(plain, own, metric, unit))
    return found


@dataclass(frozen=True, slots=True)
class _Product:
    account: Account
    law: Law
    region: str
    industry: str
    product: str
    known: Known
    total: OutputTotal | None
    told: bool


def _total(totals: Sequence[OutputTotal]) -> OutputTotal | None:
    """The output under one name; None where none is told, or in units that do not add up."""
    if len({total.unit for total in totals}) != 1:
        return None
    first = totals[0]
    known = [total.quantity for total in totals if total.quantity is not None]
    quantity = sum(known, Decimal(0)) if len(known) == len(totals) else None
    return replace(first, quantity=quantity, coverage=min(total.coverage for total in totals))


def _of_metric(one: _Product, boundary: Boundary | None, metric: str, unit: str) -> Judged:
    counts = counts_of(metric, unit)
    lacking = _lacking(one, boundary, counts, unit)
    if lacking or boundary is None or one.total is None or one.total.quantity is None:
        return _without_figure(one, boundary, metric, unit, lacking)
    try:
        verdict, plant_open = _verdict(one, boundary, counts, metric, unit, one.total, one.total.quantity)
    except ConversionError as error:
        zh, _, en = str(error).partition(" / ")
        what = Missing("energy", zh, en or zh, "output reports")
        return _without_figure(one, boundary, metric, unit, (what,))
    steps = (*_shown_steps(counts, boundary), _output_step(one.total), *verdict.steps)
    verdict = replace(verdict, steps=steps, notes=(*verdict.notes, *one.known.notes))
    at_least = _short(boundary, counts)
    at_most: tuple[Bilingual, ...] = ()
    if is_process(metric) and not boundary.own and counts is not Counts.FUELS:
        at_most = (
            Bilingual(
                "电量为全厂计量，含该工序以外的用电",
                "the electricity is that of the whole plant, not the process alone",
            ),
        )
    status, reason = _concluded(verdict, at_least, at_most, plant_open=plant_open)
    return Judged(
        uscc=one.account.uscc,
        period=one.account.period,
        industry=one.industry,
        product=one.product,
        metric=metric,
        status=status,
        reason=reason,
        verdict=verdict,
        plant=one.known.plant,
        region=one.region,
        sites=boundary.sites,
        meters=boundary.meters,
        kwh=boundary.kwh,
        coverage=boundary.coverage,
        output=one.total.quantity,
        output_unit=one.total.unit,
        at_least=at_least,
        at_most=at_most,
        account=one.account.digest,
    )


def _lacking(one: _Product, boundary: Boundary | None, counts: Counts, unit: str) -> tuple[Missing, ...]:
    """What is missing before any figure can be worked out."""
    total, found = one.total, []
    if not one.told:
        found.append(_missing("output", "没有产量报送", "no output is reported"))
    elif total is None or total.quantity is None:
        found.append(_missing("output", "产量自相矛盾或单位不一", "the output is contradictory or in several units"))
    elif not total.quantity:
        found.append(_missing("output", "产量为零", "the output is zero"))
    elif total.coverage < _WHOLE:
        share = shown((total.coverage * 100).quantize(Decimal("0.1")))
        found.append(
            _missing("output", f"产量只覆盖期间的 {share}%", f"the output covers {share}% of the period's days only")
        )
    elif not _same_kind(total.unit, unit.split("/")[1]):
        found.append(
            _missing(
                "output", f"产量单位 {total.unit} 不适用于 {unit}", f"the output's unit {total.unit} is none for {unit}"
            )
        )
    if boundary is None:
        found.append(
            Missing(
                "allocation",
                "多种产品共用能源，未分摊到生产线",
                "several products share the energy and nothing divides it among lines",
                "register: lines and allocations",
            )
        )
    elif boundary.kwh is None and counts in (Counts.ELECTRICITY, Counts.ALL):
        found.append(Missing("electricity", "电量", "electricity: no register readings", "readings"))
    elif counts in (Counts.FUELS, Counts.COKE) and not boundary.fuels_told:
        found.append(_missing("fuels", "燃料消耗量", "fuels used"))
    return tuple(found)


def _missing(key: str, zh: str, en: str) -> Missing:
    return Missing(key, zh, en, "output reports")


def _same_kind(unit: str, wanted: str) -> bool:
    try:
        factor_between(unit, wanted)
    except UnitMismatchError:
        return False
    return True


def _without_figure(
    one: _Product, boundary: Boundary | None, metric: str, unit: str, missing: tuple[Missing, ...]
) -> Judged:
    reason = Bilingual("；".join(what.what_zh for what in missing), "; ".join(what.what_en for what in missing))
    verdict = LimitVerdict(
        status="needs_data",
        industry=one.industry,
        product=one.product,
        metric=metric,
        unit=unit,
        decisive="level2" if one.known.plant == "new" else "level3",
        reason_zh=reason.zh,
        reason_en=reason.en,
        missing=missing,
        notes=one.known.notes,
        law_version=one.law.version,
        law_digest=one.law.digest,
    )
    return Judged(
        uscc=one.account.uscc,
        period=one.account.period,
        industry=one.industry,
        product=one.product,
        metric=metric,
        status="needs_data",
        reason=reason,
        verdict=verdict,
        plant=one.known.plant,
        region=one.region,
        sites=boundary.sites if boundary is not None else (),
        meters=boundary.meters if boundary is not None else (),
        kwh=boundary.kwh if boundary is not None else None,
        coverage=boundary.coverage if boundary is not None else None,
        output=one.total.quantity if one.total is not None else None,
        output_unit=one.total.unit if one.total is not None else "",
        account=one.account.digest,
    )


def _verdict(
    one: _Product, boundary: Boundary, counts: Counts, metric: str, unit: str, total: OutputTotal, quantity: Decimal
) -> tuple[LimitVerdict, bool]:
    """The verdict on the figure, and whether it hangs on the plant being existing or new, which nobody said."""
    measured, steps = _measured(one, boundary, counts, metric, unit, quantity, total.unit)
    plants: tuple[Plant, ...] = ("existing", "new") if one.known.plant is None else (one.known.plant,)
    verdicts = []
    for plant in plants:
        case = Case(
            enterprise=one.account.uscc or None,
            industry=one.industry,
            product=one.product,
            region=one.region,
            plant=plant,
            period_from=one.account.period.first,
            period_to=one.account.period.last,
            measured=(measured,),
            facts=dict(one.known.facts),
        )
        verdicts.append(judge_limit(one.law, case, measured))
    first = replace(verdicts[0], steps=(*steps, *verdicts[0].steps))
    if len(verdicts) == 1 or first.status not in ("meets", "exceeds"):
        return first, False
    other = verdicts[1]
    if other.status not in ("meets", "exceeds"):
        assumed = "未申报新建或现有，按现有装置 / neither declared existing nor new: taken as existing"
        return replace(first, assumptions=(*first.assumptions, assumed)), False
    return first, other.status != first.status


def _measured(
    one: _Product, boundary: Boundary, counts: Counts, metric: str, unit: str, quantity: Decimal, output_unit: str
) -> tuple[Measured, tuple[Step, ...]]:
    if counts is Counts.COKE:
        return _coke(boundary, quantity, output_unit, metric, unit)
    items: list[EnergyInput] = []
    if counts in (Counts.ELECTRICITY, Counts.ALL) and boundary.kwh is not None:
        items.append(EnergyInput(factor=ELECTRICITY, quantity=max(boundary.kwh, Decimal(0)), unit="kWh"))
    power_only = counts is Counts.ELECTRICITY
    items += [_input(use) for use in boundary.fuels if not power_only or use.fuel.startswith("electricity")]
    return Measured(
        metric=metric,
        energy=tuple(items),
        output=quantity,
        output_unit=output_unit,
        uncertainty_pct=_uncertainty_pct(one, boundary, counts, items),
    ), ()


def _input(use: FuelUse) -> EnergyInput:
    return EnergyInput(
        factor=use.fuel,
        quantity=use.quantity,
        unit=_unit(use.unit, use.fuel),
        kgce_per_unit=use.kgce_per_unit,
        kj_per_unit=use.kj_per_unit,
        value_source=use.value_source,
        recovered=use.recovered,
    )


def _unit(unit: str, fuel: str) -> str:
    if unit not in UNITS:
        raise ConversionError(f"{fuel}: 没有单位 {unit} / {fuel}: no such unit {unit}")
    return unit


def _coke(
    boundary: Boundary, output: Decimal, output_unit: str, metric: str, unit: str
) -> tuple[Measured, tuple[Step, ...]]:
    numerator, denominator = unit.split("/")
    used = Decimal(0)
    for use in boundary.fuels:
        if use.fuel == _COKE:
            try:
                quantity = use.quantity * factor_between(use.unit, numerator)
            except UnitMismatchError as error:
                raise ConversionError(str(error)) from error
            used += -quantity if use.recovered else quantity
    tonnes = output * factor_between(output_unit, denominator)
    value = used / tonnes
    formula = f"{shown(used)} {numerator} / {shown(tonnes)} {denominator} = {shown(value)}"
    return Measured(metric=metric, actual=_rounded(value), unit=unit), (
        Step("焦炭消耗", "coke per output", formula, value, unit),
    )


def _rounded(value: Decimal) -> Decimal:
    """A quotient with no more digits than a case takes."""
    return value.quantize(Decimal("0.000001"))


def _uncertainty_pct(one: _Product, boundary: Boundary, counts: Counts, items: Iterable[EnergyInput]) -> Decimal | None:
    """Relative uncertainty of the figure, percent: of the electricity in it, by meter class and coverage."""
    meter_class = one.known.meter_class
    if counts is Counts.FUELS or (meter_class is None and boundary.coverage >= _WHOLE):
        return None
    meter = METER_CLASSES[meter_class] if meter_class is not None else Decimal(0)
    percent = meter + (_WHOLE - boundary.coverage) * 100
    if counts is Counts.ALL:
        listed = [EnergyItem(**item.model_dump()) for item in items]
        whole = to_standard_coal(one.law, listed, one.known.facts, on=one.account.period.last).total_kgce
        power = to_standard_coal(one.law, listed[:1], one.known.facts, on=one.account.period.last).total_kgce
        if whole and power is not None:
            percent = percent * power / abs(whole)
    return percent.quantize(Decimal("0.0001"))


def _shown_steps(counts: Counts, boundary: Boundary) -> tuple[Step, ...]:
    return boundary.steps if counts in (Counts.ELECTRICITY, Counts.ALL) else ()


def _output_step(total: OutputTotal) -> Step:
    quantity = total.quantity or Decimal(0)
    return Step("产量", "output", shown(quantity), quantity, total.unit)


def _short(boundary: Boundary, counts: Counts) -> tuple[Bilingual, ...]:
    found: list[Bilingual] = []
    if counts in (Counts.ELECTRICITY, Counts.ALL):
        found += boundary.short_kwh
    if counts is not Counts.ELECTRICITY:
        found += boundary.short_fuels
        if not boundary.fuels_told:
            found.append(
                Bilingual("未报燃料（不用燃料请报 0）", "no fuels are reported (report 0 where none are burnt)")
            )
    return tuple(found)


def _concluded(
    verdict: LimitVerdict, at_least: tuple[Bilingual, ...], at_most: tuple[Bilingual, ...], *, plant_open: bool
) -> tuple[Status, Bilingual]:
    """The status that the figure bears out, given what it leaves out or counts too much."""
    plain = Bilingual(verdict.reason_zh, verdict.reason_en)
    if verdict.status == "meets" and at_least:
        return "needs_data", _because("能耗不全，不能断定达标", "energy is missing, so it may not be met", at_least)
    if verdict.status == "exceeds" and at_most:
        return "needs_data", _because("能耗偏大，不能断定超标", "the energy counts too much, so it may be met", at_most)
    if plant_open:
        return "needs_data", Bilingual(
            "现有与新建装置结论不同，须申报（登记 declared：plant）",
            "existing and new plant come out differently: declare which it is (register, declared: plant)",
        )
    return verdict.status, plain


def _because(zh: str, en: str, why: tuple[Bilingual, ...]) -> Bilingual:
    return Bilingual(f"{zh}：{'；'.join(one.zh for one in why)}", f"{en}: {'; '.join(one.en for one in why)}")
