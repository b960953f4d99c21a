"""A surcharge verdict for people, line by line, and for machines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

from models.law.explain import citation_json, missing_line, step_json, step_line
from models.law.numbers import shown
from models.law.tariff_amount import BASE_WORDS
from models.law.tariff_facts import TariffFacts
from models.law.tariff_verdict import KIND_WORDS, TariffJudgement, TariffStatus, TariffVerdict
from models.law.verdict import LimitVerdict

TARIFF_STATUS_ZH: Final[Mapping[TariffStatus, str]] = {
    "flag": "应加价",
    "clear": "不加价",
    "undetermined": "无法确定",
    "needs_data": "缺少数据",
    "needs_review": "需要复核",
}


def judgement_lines(facts: TariffFacts, judgement: TariffJudgement, limit: LimitVerdict | None = None) -> Iterator[str]:
    """The one answer with each step of arithmetic and what it rests on, then the other kinds: Chinese first."""
    named = f"{facts.enterprise} · " if facts.enterprise else ""
    when = f"{facts.period_from} - {facts.period_to}"
    day = f"（按 {facts.rules_on} 的规定 / by the rules of {facts.rules_on}）" if facts.rules_on else ""
    yield f"{named}{facts.industry} · {facts.region} · {when}{day}"
    foremost = _foremost(facts, judgement, limit)
    yield from verdict_lines(foremost)
    if judgement.water is not None and foremost is not judgement.water:
        yield ""
        yield from verdict_lines(judgement.water)
    others = [one for one in judgement.verdicts if one.kind not in (foremost.kind, "water")]
    if others:
        yield ""
        yield "其他加价种类 / other kinds:"
    for one in others:
        zh, en = KIND_WORDS[one.kind]
        yield f"  - {zh} / {en}: {TARIFF_STATUS_ZH[one.status]} / {one.status} ({one.rule_id or '-'})"
        yield f"    {one.reason_zh}"
        yield f"    {one.reason_en}"
    if judgement.notes:
        yield "另见 / see also:"
        yield from (f"  - {note}" for note in judgement.notes)
    yield f"规则包 / rule packs: {judgement.law_version}"


def verdict_lines(verdict: TariffVerdict) -> Iterator[str]:
    """One kind of surcharge: status, amounts, arithmetic, what is missing, what it rests on."""
    zh, en = KIND_WORDS[verdict.kind]
    yield f"{zh} / {en}: {verdict.rule_id or '-'}" + (f" {verdict.rule.title_zh}" if verdict.rule is not None else "")
    yield f"结论 / verdict: {TARIFF_STATUS_ZH[verdict.status]} / {verdict.status}"
    yield f"  {verdict.reason_zh}"
    yield f"  {verdict.reason_en}"
    if verdict.surcharge is not None:
        yield f"加价 / surcharge: {shown(verdict.surcharge)} {verdict.unit}"
    if verdict.base is not None:
        base_zh, base_en = BASE_WORDS[verdict.base]
        yield f"计费电量 / billing base: {base_zh} / {base_en}"
    if verdict.amount is not None:
        yield f"金额 / amount: {verdict.amount:,.2f} CNY"
    if verdict.preview is not None:
        seen = verdict.preview
        cost = "-" if seen.surcharge is None else f"{shown(seen.surcharge)} {verdict.unit}"
        amount = "" if seen.amount is None else f", {seen.amount:,.2f} CNY"
        yield f"预览，不得执行 / preview, not to be billed: {seen.rule} {seen.tier or '-'}: {cost}{amount}"
    if verdict.steps:
        yield "计算 / calculation:"
        yield from (f"  {number}. {step_line(step)}" for number, step in enumerate(verdict.steps, start=1))
    for title, lines in (
        ("缺少 / missing", [missing_line(one) for one in verdict.missing]),
        ("假定 / assumed", list(verdict.assumptions)),
        ("依据 / rests on", [str(one) for one in verdict.citations]),
        ("说明 / notes", list(verdict.notes)),
    ):
        if lines:
            yield f"{title}:"
            yield from (f"  - {line}" for line in lines)
    if verdict.confidence is not None:
        yield f"可信度 / confidence: {verdict.confidence}"


def judgement_json(facts: TariffFacts, judgement: TariffJudgement, limit: LimitVerdict | None = None) -> dict[str, Any]:
    """The one answer at the top, every kind in `verdicts`. Numbers are strings, so that no digit is lost.

    The answer is that of the water where the facts ask of nothing else.
    """
    return {
        **tariff_json(_foremost(facts, judgement, limit), limit),
        "enterprise": facts.enterprise,
        "industry": facts.industry,
        "product": facts.product,
        "region": facts.region,
        "period_from": facts.period_from.isoformat(),
        "period_to": facts.period_to.isoformat(),
        "decision_date": None if facts.decision_date is None else facts.decision_date.isoformat(),
        "rules_on": None if facts.rules_on is None else facts.rules_on.isoformat(),
        "water": None if judgement.water is None else tariff_json(judgement.water),
        "verdicts": [tariff_json(one, limit) for one in judgement.verdicts],
        "still_open": [one.kind for one in judgement.still_open],
        "see_also": list(judgement.notes),
        "law_version": judgement.law_version,
        "law_digest": judgement.law_digest,
    }


def _foremost(facts: TariffFacts, judgement: TariffJudgement, limit: LimitVerdict | None) -> TariffVerdict:
    if judgement.water is None or judgement.electricity.surcharge or limit or facts.asks_of_electricity:
        return judgement.electricity
    return judgement.water


def tariff_json(verdict: TariffVerdict, limit: LimitVerdict | None = None) -> dict[str, Any]:
    """One kind of surcharge for machines. `tier`: a whole number, or the class; null where there is none."""
    by_limit = limit if verdict.kind == "punitive" else None
    electric = verdict.unit == "CNY/kWh"
    return {
        "status": verdict.status,
        "kind": verdict.kind,
        "rule": verdict.rule_id,
        "tier": _tier(verdict.tier),
        "surcharge_cny_per_kwh": _text(verdict.surcharge) if electric else None,
        "surcharge_cny_per_m3": None if electric else _text(verdict.surcharge),
        "billing_base": verdict.base,
        "kwh": _text(verdict.quantity) if electric else None,
        "m3": None if electric else _text(verdict.quantity),
        "amount_cny": _text(verdict.amount),
        "amount_cny_per_t": _text(verdict.amount_per_t),
        "limit": _text(verdict.threshold if by_limit is None else by_limit.limit),
        "corrected_limit": _text(verdict.threshold if by_limit is None else by_limit.corrected_limit),
        "actual": _text(verdict.actual),
        "unit": verdict.figure_unit,
        "level": None if by_limit is None else by_limit.level,
        "excess_ratio": _text(verdict.excess_ratio),
        "confidence": verdict.confidence,
        "displaced_by": verdict.displaced_by,
        "preview": None
        if verdict.preview is None
        else {
            "rule": verdict.preview.rule,
            "tier": _tier(verdict.preview.tier),
            "surcharge": _text(verdict.preview.surcharge),
            "amount_cny": _text(verdict.preview.amount),
        },
        "reason_zh": verdict.reason_zh,
        "reason_en": verdict.reason_en,
        "citations": [citation_json(one) for one in verdict.citations],
        "missing": [
            {"key": one.key, "zh": one.what_zh, "en": one.what_en, "where": one.where} for one in verdict.missing
        ],
        "steps": [step_json(one) for one in verdict.steps],
        "assumptions": list(verdict.assumptions),
        "notes": list(verdict.notes),
    }


def _tier(tier: str | None) -> int | str | None:
    return int(tier) if tier is not None and tier.isdigit() else tier


def _text(number: Decimal | None) -> str | None:
    return None if number is None else format(number, "f")
