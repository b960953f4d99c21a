"""Which surcharge follows for an enterprise and period: each kind judged, then one answer for its electricity."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal, localcontext
from itertools import pairwise
from typing import Final

from models.law.changed import replace
from models.law.library import Law
from models.law.numbers import PRECISION, shown
from models.law.rows import RowId
from models.law.steps import Missing
from models.law.tariff_case import TariffCase, cite_rule
from models.law.tariff_differential import judge_differential
from models.law.tariff_facts import Figure, TariffFacts
from models.law.tariff_parts import RuleKind
from models.law.tariff_punitive import judge_punitive
from models.law.tariff_tiered import judge_tiered
from models.law.tariff_verdict import KIND_WORDS, TariffJudgement, TariffVerdict
from models.law.tariff_water import judge_water
from models.law.verdict import LimitVerdict
from models.law.vocabulary import region_chain

_ORDER: Final[tuple[RuleKind, ...]] = ("tiered", "punitive", "differential")
"""Which kind speaks first among answers of one status: the most particular."""


def judge_tariff(law: Law, facts: TariffFacts, limit: LimitVerdict | None = None) -> TariffJudgement:
    """Every kind of surcharge for one enterprise and period. `limit`: the verdict punitive pricing follows, if any.

    Pure: the same law, facts and limit give the same judgement. Facts are taken as checked against the packs'
    vocabulary (see models.law.tariff_file); an unknown industry is one that no rule names.
    """
    chain = region_chain(facts.region)
    with localcontext(PRECISION):
        cases = [TariffCase(law.tariffs, facts, chain, on, limit) for on in _days(law, facts)]
        listed = [judge_differential(case) for case in cases]
        differential = _over(cases, "differential", listed)
        tiered = _over(cases, "tiered", [judge_tiered(case, one) for case, one in zip(cases, listed, strict=True)])
        punitive = _over(
            cases, "punitive", [judge_punitive(case, one) for case, one in zip(cases, listed, strict=True)]
        )
        water = judge_water(cases[0])
        verdicts = tuple(one for one in (differential, tiered, punitive) if one is not None)
        electricity = _one_answer(verdicts)
    return TariffJudgement(
        electricity,
        water,
        (*verdicts, *((water,) if water is not None else ())),
        _frameworks(cases[0]),
        law.version,
        law.digest,
    )


def what_if(
    facts: TariffFacts,
    *,
    intensity: Decimal | None = None,
    metric: RowId | None = None,
    as_of: date | int | None = None,
) -> TariffFacts:
    """The same case with another consumption, or as though its period lay in another year.

    `intensity` takes the place of the figure on `metric` (None: of the only figure). `as_of` moves the period and the
    years of the figures to that year; a date also asks the rules of that very day. Raises ValueError where there are
    several figures and no metric is named.
    """
    if intensity is not None:
        facts = facts.model_copy(update={"figures": _with_intensity(facts.figures, intensity, metric)})
    if as_of is None:
        return facts
    year = as_of if isinstance(as_of, int) else as_of.year
    years = year - facts.period_from.year
    return facts.model_copy(
        update={
            "period_from": moved_to(facts.period_from, years),
            "period_to": moved_to(facts.period_to, years),
            "decision_date": None,
            "rules_on": None if isinstance(as_of, int) else as_of,
            "figures": tuple(
                one if one.year is None else one.model_copy(update={"year": one.year + years}) for one in facts.figures
            ),
        }
    )


def _with_intensity(figures: Sequence[Figure], value: Decimal, metric: RowId | None) -> tuple[Figure, ...]:
    if not figures:
        return (Figure(metric=metric, value=value),)
    named = [index for index, one in enumerate(figures) if metric in (None, one.metric)]
    if len(named) != 1:
        known = ", ".join(str(one.metric) for one in figures)
        raise ValueError(f"several figures ({known}): name the one that is meant")
    return tuple(
        one.model_copy(update={"value": value}) if index == named[0] else one for index, one in enumerate(figures)
    )


def moved_to(day: date, years: int) -> date:
    """The same day some years later; 29 February becomes 28 where there is none."""
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        return day.replace(year=day.year + years, day=28)


def _days(law: Law, facts: TariffFacts) -> list[date]:
    """The first days of the parts of the period between which a rule may change."""
    if facts.rules_on is not None:
        return [facts.rules_on]
    first, last = facts.period_from, facts.period_to
    changes = {
        day
        for kind in _ORDER
        for day in law.tariffs.shelf(kind, facts.region, facts.industry).changes
        if first < day <= last
    }
    changes.update(date(year, 1, 1) for year in range(first.year + 1, last.year + 1))
    return [first, *sorted(changes)]


def _over(cases: Sequence[TariffCase], kind: RuleKind, found: Sequence[TariffVerdict | None]) -> TariffVerdict | None:
    """One verdict for the whole period, or that it must be cut: its parts are under different rules."""
    cuts = [
        case.on for case, (before, after) in zip(cases[1:], pairwise(found), strict=True) if not _alike(before, after)
    ]
    if not cuts:
        return found[-1]
    days = ", ".join(day.isoformat() for day in cuts)
    known = next(one for one in reversed(found) if one is not None)
    missing = Missing(
        "period", f"以 {days} 为界的各段数据", f"figures for each part of the period, cut at {days}", "case"
    )
    zh, en = KIND_WORDS[kind]
    return TariffVerdict(
        kind,
        "needs_data",
        f"{zh}的规定在期间内变化，须在 {days} 分段核算",
        f"the rules of {en} change inside the period: judge each part, cut at {days}",
        rule=known.rule,
        confidence=known.confidence,
        asked=any(one is not None and one.asked for one in found),
        missing=(missing,),
        citations=tuple(dict.fromkeys(cited for one in found if one is not None for cited in one.citations)),
    )


def _alike(one: TariffVerdict | None, other: TariffVerdict | None) -> bool:
    if one is None or other is None:
        return one is other
    return (one.status, one.surcharge, one.tier) == (other.status, other.surcharge, other.tier)


def _one_answer(verdicts: Sequence[TariffVerdict]) -> TariffVerdict:
    """One surcharge for one kWh: what stands where kinds meet."""
    held = sorted((one for one in verdicts if one.displaced_by is None), key=lambda one: _ORDER.index(one.kind))
    return _chosen(held)


def _chosen(held: Sequence[TariffVerdict]) -> TariffVerdict:
    charged = [one for one in held if one.status in ("flag", "needs_review") and one.surcharge]
    if charged:
        return _not_stacked(charged)
    asked = [one for one in held if one.asked or one.kind == "tiered"]  # tiers are for every plant of the industry
    for status in ("needs_review", "needs_data", "undetermined", "clear"):
        found = [one for one in asked if one.status == status]
        if found:
            return found[0]
    if held:
        missing = tuple(dict.fromkeys(part for one in held for part in one.missing))
        return replace(held[0], missing=missing)
    return TariffVerdict(
        "framework",
        "undetermined",
        "库中没有适用于该行业、地区和期间的加价规则",
        "the packs have no surcharge rule for this industry, region and period",
        asked=False,
    )


def _not_stacked(charged: Sequence[TariffVerdict]) -> TariffVerdict:
    """The dearer of several kinds, each of which is due by itself; that they meet is for a person to settle."""
    dearest = max(charged, key=lambda one: one.surcharge or Decimal(0))
    if len(charged) == 1:
        return dearest
    named = ", ".join(f"{one.rule_id} {shown(one.surcharge or Decimal(0))}" for one in charged)
    return replace(
        dearest,
        status="needs_review",
        reason_zh=f"{dearest.reason_zh}；多项加价并存（{named}），不叠加，按较高者，须复核",
        reason_en=f"{dearest.reason_en}; several surcharges meet ({named}): not stacked, the higher, to be reviewed",
        citations=tuple(dict.fromkeys(cited for one in charged for cited in one.citations)),
    )


def _frameworks(case: TariffCase) -> tuple[str, ...]:
    return tuple(_said(case))


def _said(case: TariffCase) -> Iterator[str]:
    for rule in case.frameworks():
        if rule.content is not None:
            yield f"{cite_rule(rule).document} {rule.title_zh} [{rule.confidence}]: {rule.content}"
