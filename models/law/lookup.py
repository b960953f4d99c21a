"""Which version of which limit is in force: by the period of consumption, the region, the case's own conditions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TypeVar

from models.law.conditions import Facts, met, unknown_facts
from models.law.library import Law
from models.law.limit_rows import Limit, Standard
from models.law.rows import Dated
from models.law.vocabulary import region_chain

D = TypeVar("D", bound=Dated)


@dataclass(frozen=True, slots=True)
class Applies:
    """One limit applies. `national`: the national limit beside it where `limit` is a local one."""

    limit: Limit
    standard: Standard
    national: Limit | None = None
    assumed_not: tuple[str, ...] = ()
    """Facts of the exemptions that the case does not give: it is taken not to be exempt."""


@dataclass(frozen=True, slots=True)
class ValuesNotHere:
    """Standards in force, or perhaps in force, whose values the packs do not have."""

    standards: tuple[Standard, ...]


@dataclass(frozen=True, slots=True)
class PeriodIsSplit:
    """The standard changes inside the period: each part is judged by its own. `on`: first days of the new versions."""

    on: tuple[date, ...]
    standards: tuple[Standard, ...]


@dataclass(frozen=True, slots=True)
class FactsNeeded:
    """Which limit applies depends on facts that are not given."""

    facts: tuple[str, ...]
    limits: tuple[Limit, ...]


@dataclass(frozen=True, slots=True)
class NotCovered:
    """No limit is for this case. `because`: `date`, `condition` (no row's condition holds) or `exempt`."""

    because: str
    limits: tuple[Limit, ...]


LimitAnswer = Applies | ValuesNotHere | PeriodIsSplit | FactsNeeded | NotCovered


def in_force(rows: Iterable[D], on: date) -> Iterator[D]:
    """The rows known to be in force on a day."""
    return (row for row in rows if row.in_force(on))


@dataclass(frozen=True, slots=True)
class Span:
    """The days a version of a standard holds for, as far as known. `sure`: the beginning is known, not inferred."""

    first: date
    last: date
    sure: bool


def span_of(standard: Standard, standards: Mapping[str, Standard]) -> Span:
    """When a version holds. An unknown beginning is no earlier than the year in its number; an unknown end is the day
    before the next version of the same standard can begin: outside that nothing is claimed of it."""
    first = standard.effective_from or _earliest(standard)
    last = standard.effective_to or date.max
    if standard.effective_to_unknown:
        later = [
            other.effective_from or _earliest(other)
            for other in standards.values()
            if other.family == standard.family and (other.effective_from or _earliest(other)) > first
        ]
        last = min(later) - timedelta(days=1) if later else first
    return Span(first, last, standard.effective_from is not None)


def _earliest(standard: Standard) -> date:
    return date(int(standard.id.rsplit("-", 1)[1][:4]), 1, 1)


def candidates(law: Law, *, industry: str, product: str, metric: str, region: str) -> tuple[Limit, ...]:
    """Every limit of the product and metric, of all versions, in the region or around it."""
    chain = region_chain(region)
    known = law.limits_by_product.get((industry, product), ())
    return tuple(limit for limit in known if limit.metric == metric and limit.region in chain)


def find_limit(
    law: Law, *, industry: str, product: str, metric: str, region: str, first: date, last: date, facts: Facts
) -> LimitAnswer:
    """The limit for a case over a period, both days included."""
    standards = law.table(Standard)
    rows = candidates(law, industry=industry, product=product, metric=metric, region=region)
    spans = {limit.id: span_of(standards[limit.standard], standards) for limit in rows}
    whole = [limit for limit in rows if spans[limit.id].first <= first and last <= spans[limit.id].last]
    if whole:
        return _chosen(law, whole, region, facts)
    partly = [limit for limit in rows if spans[limit.id].first <= last and first <= spans[limit.id].last]
    if partly:
        changes = sorted({spans[limit.id].first for limit in partly if spans[limit.id].first > first})
        ends = sorted({spans[limit.id].last + timedelta(days=1) for limit in partly if spans[limit.id].last < last})
        partly.sort(key=lambda limit: spans[limit.id].first)
        named = {limit.standard: standards[limit.standard] for limit in partly}
        return PeriodIsSplit(tuple(changes or ends), tuple(named.values()))
    absent = tuple(
        standard
        for standard in standards.values()
        if standard.industry == industry
        and not standard.values_here
        and (span := span_of(standard, standards)).first <= last
        and first <= span.last
    )
    return ValuesNotHere(absent) if absent else NotCovered("date", rows)


def _chosen(law: Law, limits: list[Limit], region: str, facts: Facts) -> LimitAnswer:
    standards = law.table(Standard)
    answers: list[LimitAnswer] = []
    for code in region_chain(region):
        here = [limit for limit in limits if limit.region == code]
        if here:
            answers.append(_one_of(here, standards, facts))
    applying = [answer for answer in answers if isinstance(answer, Applies)]
    if not applying or not isinstance(answers[0], Applies):
        return answers[0]
    local, *wider = applying
    if local.limit.over_national == "always" or not wider:
        return local
    return Applies(local.limit, local.standard, wider[-1].limit, local.assumed_not)


def _one_of(limits: list[Limit], standards: Mapping[str, Standard], facts: Facts) -> LimitAnswer:
    holding = [limit for limit in limits if met(limit.when, facts)]
    if not holding:
        open_ones = [limit for limit in limits if met(limit.when, facts) is None]
        if not open_ones:
            return NotCovered("condition", tuple(limits))
        asked = [name for limit in open_ones for name in unknown_facts(limit.when, facts)]
        return FactsNeeded(tuple(dict.fromkeys(asked)), tuple(open_ones))
    limit = holding[0]
    exempt = met(limit.exempt_when, facts) if limit.exempt_when else False
    if exempt:
        return NotCovered("exempt", (limit,))
    assumed = unknown_facts(limit.exempt_when, facts) if exempt is None else ()
    return Applies(limit, standards[limit.standard], None, assumed)
