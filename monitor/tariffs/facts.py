"""What the house knows of an enterprise in a period, as the facts a surcharge is judged by. Nothing is guessed.

From the register: where it is, its trade, what is declared (sheet `declared`). From the account: electricity and
output. From intensity: the figures of the year and the limits they are held against.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal, InvalidOperation
from types import MappingProxyType
from typing import Any, Final

import msgspec
from pydantic import ValidationError

from models.domain.accounts import Period
from models.domain.register import Declared, Enterprise, Register
from models.law.tariff_facts import TariffFacts
from monitor.tariffs.places import NATION, industry_of_trade, region_of
from monitor.tariffs.uses import WATER_FACT, Uses

_ENCODER: Final = msgspec.json.Encoder(decimal_format="number", order="sorted")

IndustryOf = Callable[[str], str | None]

INDUSTRY: Final = "industry"
REGION: Final = "region"
_WORDS: Final = frozenset({"equipment_class", "process", "billing_base", "product"})
_YES_NO: Final = frozenset({"capacity_cut_done", "concealed"})
_NUMBERS: Final = frozenset({"renewables_share", "renewables_incentive_share"})
_DATES: Final = frozenset({"production_date"})
_BASES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "production_electricity": "production_kwh",
        "liquid_aluminium_electricity": "liquid_aluminium_kwh",
    }
)
_QUOTA: Final = MappingProxyType({True: "water_quota_m3_per_month", False: "water_quota_m3_per_year"})
_DIGITS: Final = Context(prec=20)
_TRUE: Final = frozenset({"是", "yes", "true"})
_FALSE: Final = frozenset({"否", "no", "false"})
DECLARABLE: Final = tuple(
    sorted(
        {INDUSTRY, REGION, "equipment_kind", "equipment_excepted", "water_price_cny_per_m3", "water_rule"}
        | _WORDS
        | _YES_NO
        | _NUMBERS
        | _DATES
        | set(_QUOTA.values())
    )
)
"""Facts of the register's sheet `declared` that surcharges ask for."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure of intensity: what was used per unit of product in `period`, and the limit it is held against.

    `status` is that of the limit verdict; `actual` is as corrected by the standard, `reported` as measured; `limit` the
    corrected limit. None where there is none.
    """

    industry: str
    product: str
    metric: str
    unit: str
    period: str
    status: str
    actual: Decimal | None
    reported: Decimal | None
    limit: Decimal | None


@dataclass(frozen=True, slots=True)
class Known:
    """Everything the house knows that bears on one enterprise and period. `metrics`: of the period itself, of its
    calendar year and of the year before. Water of a year is the sum over its months."""

    uscc: str
    period: Period
    uses: Uses
    metrics: tuple[Metric, ...] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """`cases`: one for each industry of the enterprise; `notes`: what was left out and why."""

    cases: tuple[TariffFacts, ...]
    coverage: Decimal | None
    notes: tuple[str, ...] = ()


def facts_of(
    known: Known, enterprise: Enterprise, register: Register, industry_of: IndustryOf, *, region: str
) -> Facts:
    """The facts of an enterprise in a period; no case where its industry is not known.

    `industry_of`: the packs' industry of a product, by id or Chinese name; `region`: that of enterprises whose
    district tells none.
    """
    period, uscc = known.period, known.uscc
    notes: list[str] = []
    declared = register.declared_on(uscc, period.last)
    own = _declared(declared, notes)
    uses = known.uses
    industries = _industries(known, enterprise, declared, register, industry_of)
    here = str(declared[REGION].value).strip() if REGION in declared else region_of(enterprise.district)
    common: dict[str, Any] = {
        **own,
        "enterprise": enterprise.name or uscc,
        "region": here if here != NATION else region,
        "period_from": period.first,
        "period_to": period.last,
        "electricity": _electricity(uses, register, uscc, period, notes),
        "equipment": _equipment(uses, register, uscc, period, notes),
    }
    water = _water(known, declared, notes)
    if water is not None:
        common["water"] = water
    common = {name: value for name, value in common.items() if value not in (None, (), {})}
    cases = []
    for industry in industries:
        facts = {**common, INDUSTRY: industry, **_measured(known, industry, notes)}
        case = _valid(facts, notes)
        if case is not None:
            cases.append(case)
    return Facts(tuple(cases), uses.coverage, tuple(dict.fromkeys(notes)))


def _industries(
    known: Known,
    enterprise: Enterprise,
    declared: Mapping[str, Declared],
    register: Register,
    industry_of: IndustryOf,
) -> list[str]:
    """As declared, else of what is made, else of the trade."""
    if INDUSTRY in declared:
        return [declared[INDUSTRY].value.strip()]
    made = {one.product for one in known.uses.made}
    made |= {metric.product for metric in known.metrics}
    for site in register.sites_of(known.uscc):
        if site.valid_on(known.period.last):
            made |= {line.product for line in register.lines_of(site.site) if line.valid_on(known.period.last)}
    found = {industry for product in made if (industry := industry_of(product)) is not None}
    by_trade = industry_of_trade(enterprise.trade)
    return sorted(found) if found else [by_trade] if by_trade is not None else []


def _declared(declared: Mapping[str, Declared], notes: list[str]) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    for name, row in declared.items():
        if name in _WORDS:
            facts[name] = row.value.strip()
        elif name in _YES_NO | _NUMBERS | _DATES:
            value = _value(name, row.value)
            if value is None:
                notes.append(f"{name} = {row.value}: 未采用 / not used")
            else:
                facts[name] = value
    return facts


def _value(name: str, text: str) -> bool | Decimal | dt.date | None:
    if name in _YES_NO:
        return _yes_no(text)
    return _date(text) if name in _DATES else _number(text)


def _yes_no(text: str) -> bool | None:
    word = text.strip().lower()
    return True if word in _TRUE else False if word in _FALSE else None


def _date(text: str) -> dt.date | None:
    try:
        return dt.date.fromisoformat(text.strip())
    except ValueError:
        return None


def _number(text: str) -> Decimal | None:
    try:
        number = Decimal(text.strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _electricity(uses: Uses, register: Register, uscc: str, period: Period, notes: list[str]) -> dict[str, Decimal]:
    if uses.kwh is None:
        return {}
    found = {"all_kwh": uses.kwh}
    metered = [kwh for _, kwh in uses.lines if kwh is not None]
    if uses.lines and len(metered) == len(uses.lines):
        found["production_kwh"] = sum(metered, Decimal(0))
    elif (only := register.declared_on(uscc, period.last).get("billing_base")) is not None:
        base = _BASES.get(only.value.strip())
        if base is not None:
            found[base] = uses.kwh
    for base, name in _BASES.items():
        marked = [kwh for line, kwh in uses.lines if _says(register, uscc, line, "billing_base", period) == base]
        known = [kwh for kwh in marked if kwh is not None]
        if marked and len(known) == len(marked):
            found[name] = sum(known, Decimal(0))
    if uses.coverage < 1:
        share = uses.coverage * 100
        notes.append(
            f"电量覆盖率 {share:.2f}%，未按比例放大 / electricity covers {share:.2f}% of the time, not scaled up"
        )
    return found


def _equipment(
    uses: Uses, register: Register, uscc: str, period: Period, notes: list[str]
) -> tuple[dict[str, Any], ...]:
    """Lines with a declared class or kind of equipment, each with its electricity."""
    lines = sorted({row.line for row in register.declared_of(uscc) if row.line and row.valid_on(period.last)})
    found = []
    for line in lines:
        rows = [row for row in register.declared_of(uscc) if row.line == line and row.valid_on(period.last)]
        of_line = {row.fact: row.value.strip() for row in rows}
        device: dict[str, Any] = {"name": line}
        if "equipment_class" in of_line:
            device["equipment_class"] = of_line["equipment_class"]
        if "equipment_kind" in of_line:
            device["kind"] = of_line["equipment_kind"]
        if len(device) == 1:
            continue
        excepted = _yes_no(of_line["equipment_excepted"]) if "equipment_excepted" in of_line else None
        if excepted is not None:
            device["excepted"] = excepted
        is_metered, kwh = uses.of_line(line)
        if kwh is not None:
            device["kwh"] = kwh
        elif not is_metered:
            notes.append(f"生产线 {line} 无单独计量 / line {line} has no electricity of its own")
        found.append(device)
    return tuple(found)


def _says(register: Register, uscc: str, line: str, fact: str, period: Period) -> str | None:
    rows = (row for row in register.declared_of(uscc) if row.line == line and row.fact == fact)
    return next((row.value.strip() for row in rows if row.valid_on(period.last)), None)


def _measured(known: Known, industry: str, notes: list[str]) -> dict[str, Any]:
    """Figures of the years, and the worst excess over a limit in the period itself, else in the year before."""
    mine = [metric for metric in known.metrics if metric.industry == industry]
    figures = [
        {"metric": one.metric, "value": _writable(one.reported), "unit": one.unit, "year": int(one.period)}
        for one in mine
        if one.reported is not None and len(one.period) == 4
    ]
    facts: dict[str, Any] = {"figures": tuple(figures)} if figures else {}
    output = _output(known, mine)
    if output is not None:
        facts["output_t"] = output
    held = _held(known, mine)
    if held is not None and held.actual is not None and held.limit is not None:
        facts.update(limit=_writable(held.limit), actual=_writable(held.actual), limit_unit=held.unit)
    elif doubtful := [one for one in mine if one.status in ("needs_review", "undetermined") and one.actual is not None]:
        named = ", ".join(sorted({f"{one.product} {one.metric} {one.period}" for one in doubtful}))
        notes.append(f"限额判定尚无结论，未采用：{named} / limit verdicts without a conclusion are not used: {named}")
    return facts


def _writable(value: Decimal) -> Decimal:
    """A quotient with no more digits than facts may have."""
    return _DIGITS.plus(value)


def _held(known: Known, metrics: Sequence[Metric]) -> Metric | None:
    """The figure that is furthest over its limit, of the period itself where it has any."""
    decided = [one for one in metrics if one.status in ("meets", "exceeds") and one.actual is not None and one.limit]
    for wanted in (known.period.name, str(known.period.first.year - 1)):
        of_period = [one for one in decided if one.period == wanted]
        if of_period:
            return max(of_period, key=_excess)
    return None


def _excess(metric: Metric) -> Decimal:
    if metric.actual is None or not metric.limit:
        return Decimal(-1)
    return (metric.actual - metric.limit) / abs(metric.limit)


def _output(known: Known, metrics: Sequence[Metric]) -> Decimal | None:
    """Tonnes of the one product there is; None where there are several, or another unit."""
    made = [one for one in known.uses.made if one.quantity is not None]
    products = {metric.product for metric in metrics}
    mine = [one for one in made if one.product in products] if len(made) > 1 else made
    return mine[0].quantity if len(mine) == 1 and mine[0].unit == "t" else None


def asks_water_of_year(register: Register, uscc: str, period: Period) -> bool:
    """Whether a quota of water for a year is declared: what was used is then summed over the months."""
    return _QUOTA[False] in register.declared_on(uscc, period.last)


def _water(known: Known, declared: Mapping[str, Declared], notes: list[str]) -> dict[str, Any] | None:
    """Water used against the quota of a month or of a year; None where no quota of the period's kind is declared."""
    quota_row = declared.get(_QUOTA[len(known.period.name) == 7])
    if quota_row is None:
        return None
    quota = _number(quota_row.value)
    used = known.uses.water_m3
    if quota is None or used is None:
        notes.append(f"用水：定额或用水量缺失 / water: the quota or what was used ({WATER_FACT}) is missing")
        return None
    facts: dict[str, Any] = {"quota_m3": quota, "used_m3": used}
    if "water_price_cny_per_m3" in declared:
        price = _number(declared["water_price_cny_per_m3"].value)
        if price is not None:
            facts["price_cny_per_m3"] = price
    if "water_rule" in declared:
        facts["rule"] = declared["water_rule"].value.strip()
    return facts


def _valid(facts: dict[str, Any], notes: list[str]) -> TariffFacts | None:
    """The facts checked; declared ones that do not fit are left out, named, one after the other."""
    left = dict(facts)
    for _ in range(len(facts)):
        try:
            return TariffFacts.model_validate(left)
        except ValidationError as error:
            key = next((str(one["loc"][0]) for one in error.errors() if one["loc"] and one["loc"][0] in left), None)
            if key is None or key in (INDUSTRY, "period_from", "period_to"):
                notes.append(f"事实不合规则 / the facts do not fit: {error.errors()[0]['msg']}")
                return None
            notes.append(f"{key} = {left[key]}: 未采用 / not used ({error.errors()[0]['msg']})")
            del left[key]
    return None


def facts_text(case: TariffFacts) -> str:
    """The facts as JSON whose numbers keep every digit; `facts_from` reads it back."""
    return _ENCODER.encode(case.model_dump(exclude_defaults=True)).decode()


def facts_from(text: str) -> TariffFacts:
    """The facts of `facts_text`. Raises ValueError where the text is of another version of this program."""
    return TariffFacts.model_validate(json.loads(text, parse_float=Decimal))
