"""Punitive pricing: by how much of the limit the enterprise is above it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from models.law.changed import replace
from models.law.numbers import PRECISION, shown
from models.law.steps import Missing, Step
from models.law.tariff_amount import adjusted, billed
from models.law.tariff_book import displaced_by, replaced_by
from models.law.tariff_case import NOTICE, TariffCase, cite_rule, wants, withheld
from models.law.tariff_rows import TariffRule
from models.law.tariff_tiered import on_an_edge
from models.law.tariff_tiers import tier_formula, tier_label, tier_of
from models.law.tariff_verdict import Preview, TariffStatus, TariffVerdict

_RATIO = Missing(
    "excess_ratio",
    "超限额比例（或限额与实际值，或限额判定）",
    "the ratio over the limit (or limit and actual, or a limit verdict)",
    "energy inspection",
)
_LIMIT_STATUS_ZH = {"needs_data": "限额判定缺少数据", "undetermined": "限额无法判定", "needs_review": "限额判定须复核"}


def judge_punitive(case: TariffCase, differential: TariffVerdict | None) -> TariffVerdict | None:
    """The verdict on the ratio over the limit; None where no punitive rule of the day concerns the industry."""
    rules = [rule for rule in case.shelf("punitive").rules if case.live(rule)]
    if not rules:
        return None
    rule = next((one for one in rules if one.enforceable), rules[0])
    listed = None if differential is None or differential.status != "flag" else differential.tier
    stopped = _stopped_by(case, rules, listed)
    if stopped is not None:
        return TariffVerdict(
            "punitive",
            "clear",
            f"已由 {stopped} 取代，不执行惩罚性电价",
            f"{stopped} has taken its place: no punitive pricing",
            rule=rule,
            confidence=rule.confidence,
            asked=_ratio_given(case),
            displaced_by=stopped,
            citations=(cite_rule(rule), cite_rule(case.book.rules[stopped])),
        )
    found = _ratio(case, rule)
    if isinstance(found, TariffVerdict):
        return found
    verdict = _by_ratio(case, rule, found)
    return verdict if rule.enforceable else withheld(verdict)


def _stopped_by(case: TariffCase, rules: list[TariffRule], listed: str | None) -> str | None:
    """The rule that has stopped punitive pricing for the case; what stops the national rule stops the local too."""
    for rule in rules:
        name = replaced_by(rule, industry=case.facts.industry, listed=listed, chain=case.chain, on=case.on)
        if name is not None:
            return name
    other = displaced_by(case.shelf("punitive"), listed=listed, on=case.on, decided=case.facts.decision_date)
    return None if other is None else other.id


def _ratio_given(case: TariffCase) -> bool:
    return case.facts.excess_ratio is not None or case.facts.actual is not None or case.limit is not None


@dataclass(frozen=True, slots=True)
class _Ratio:
    value: Decimal
    steps: tuple[Step, ...] = ()
    actual: Decimal | None = None
    limit: Decimal | None = None
    unit: str | None = None


def _ratio(case: TariffCase, rule: TariffRule) -> _Ratio | TariffVerdict:
    facts, limit = case.facts, case.limit
    if facts.excess_ratio is not None:
        return _Ratio(facts.excess_ratio)
    if facts.limit is not None and facts.actual is not None:
        return _worked(rule, facts.actual, facts.limit, facts.limit_unit)
    if limit is None:
        return wants("punitive", rule, _RATIO)
    if limit.status in ("meets", "exceeds") and limit.actual is not None and limit.corrected_limit is not None:
        return _worked(rule, limit.actual, limit.corrected_limit, limit.unit or "")
    return _of_limit(case, rule)


def _worked(rule: TariffRule, actual: Decimal, limit: Decimal, unit: str) -> _Ratio | TariffVerdict:
    cited = cite_rule(rule)
    if limit <= 0:
        return TariffVerdict(
            "punitive",
            "undetermined",
            f"限额 {shown(limit)} {unit} 不大于零，不能计算超限额比例",
            f"the limit {shown(limit)} {unit} is not above zero: there is no ratio over it",
            rule=rule,
            confidence=rule.confidence,
            actual=actual,
            threshold=limit,
            figure_unit=unit,
            citations=(cited,),
        )
    ratio = PRECISION.divide(actual - limit, limit)
    formula = f"({shown(actual)} - {shown(limit)}) ÷ {shown(limit)} = {shown(ratio)}"
    return _Ratio(ratio, (Step("超限额比例", "ratio over the limit", formula, ratio, "", cited),), actual, limit, unit)


def _of_limit(case: TariffCase, rule: TariffRule) -> TariffVerdict:
    """The limit has no verdict to go by: nor has this; what it would be is shown where it is known."""
    limit = case.limit
    if limit is None:
        return wants("punitive", rule, _RATIO)
    status: TariffStatus = "undetermined"
    if limit.status == "needs_data":
        status = "needs_data"
    elif limit.status == "needs_review":
        status = "needs_review"
    told = _LIMIT_STATUS_ZH.get(limit.status, "限额无法判定")
    verdict = TariffVerdict(
        "punitive",
        status,
        f"{told}：{limit.reason_zh}",
        f"the limit is not judged ({limit.status}): {limit.reason_en}",
        rule=rule,
        confidence=rule.confidence,
        actual=limit.actual,
        threshold=limit.corrected_limit,
        figure_unit=limit.unit,
        excess_ratio=limit.excess_ratio,
        missing=limit.missing,
        citations=(cite_rule(rule), *limit.citations),
    )
    if limit.excess_ratio is None:
        return verdict
    if_so = _by_ratio(case, rule, _Ratio(limit.excess_ratio))
    return replace(verdict, preview=Preview(rule.id, if_so.tier, if_so.surcharge, if_so.amount))


def _by_ratio(case: TariffCase, rule: TariffRule, ratio: _Ratio) -> TariffVerdict:
    cited = cite_rule(rule)
    limited = () if case.limit is None else case.limit.citations
    blank = TariffVerdict(
        "punitive",
        "clear",
        "",
        "",
        rule=rule,
        confidence=rule.confidence,
        excess_ratio=ratio.value,
        actual=ratio.actual,
        threshold=ratio.limit,
        figure_unit=ratio.unit,
        steps=ratio.steps,
        citations=(cited, *limited),
        notes=rule.also,
    )
    if ratio.value <= 0:
        verdict = replace(
            blank, surcharge=Decimal(0), reason_zh="未超过限额，不加价", reason_en="not above the limit: no surcharge"
        )
        return billed(case, verdict, rule)
    found = tier_of(rule.tiers, ratio.value)
    if found is None or found.tier.surcharge is None:
        return _by_province(blank, None if found is None else found.tier.surcharge_by)
    surcharge = found.tier.surcharge
    step = Step("所在档", "tier", tier_formula(shown(ratio.value), found), surcharge, "CNY/kWh", cited)
    percent = shown(ratio.value * 100)
    verdict = replace(
        blank,
        status="flag",
        tier=tier_label(rule.tiers, found),
        surcharge=surcharge,
        steps=(*blank.steps, step),
        reason_zh=f"超过限额 {percent}%，加价 {shown(surcharge)} 元/千瓦时",
        reason_en=f"above the limit by {percent} %: {shown(surcharge)} CNY/kWh",
    )
    verdict = on_an_edge(verdict, rule, found.edge)
    return billed(case, adjusted(case, verdict, rule), rule)


def _by_province(blank: TariffVerdict, who: str | None) -> TariffVerdict:
    missing = Missing(
        "province_surcharge",
        "省级规定的加价标准",
        f"the surcharge set by: {who or 'the province'}",
        NOTICE,
    )
    return replace(
        blank,
        status="undetermined",
        reason_zh="超过限额，加价标准由省级规定，库中没有",
        reason_en="above the limit; the surcharge is set by the province and is not in the packs",
        missing=(missing,),
    )
