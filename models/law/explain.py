"""A limit verdict for people, line by line, and for machines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, Final

from models.law.numbers import shown
from models.law.steps import Citation, Missing, Step
from models.law.verdict import LEVEL_WORDS, LimitVerdict

STATUS_ZH: Final = {
    "meets": "达到限额",
    "exceeds": "超过限额",
    "undetermined": "无法确定",
    "needs_data": "缺少数据",
    "needs_review": "需要复核",
}
LEVEL_RESULT_WORDS: Final = {
    "meets": "达到 meets",
    "exceeds": "超过 exceeds",
    "no_such_level": "标准无此级 no such level",
    "not_in_library": "库中无此值 not in the library",
    "unverified": "未核实，不作结论 not verified, not judged",
    "within_uncertainty": "在不确定度之内 within the uncertainty",
    "open": "未判定 not judged",
}


def verdict_lines(verdict: LimitVerdict) -> Iterator[str]:
    """The verdict, each step of arithmetic and what it rests on: Chinese first, English beside."""
    product = verdict.limit_row.product_zh if verdict.limit_row is not None else verdict.product
    metric = verdict.limit_row.metric_zh if verdict.limit_row is not None else verdict.metric or "-"
    yield f"{product} · {metric} / {verdict.product} {verdict.metric or '-'}"
    yield f"结论 / verdict: {STATUS_ZH[verdict.status]} / {verdict.result}"
    yield f"  {verdict.reason_zh}"
    yield f"  {verdict.reason_en}"
    if verdict.preview is not None:
        yield f"  预览，不作依据 / preview, not to be acted on: {STATUS_ZH[verdict.preview]} / {verdict.preview}"
    if verdict.steps:
        yield "计算 / calculation:"
        yield from (f"  {number}. {step_line(step)}" for number, step in enumerate(verdict.steps, start=1))
    if verdict.levels:
        yield f"各级 / levels ({verdict.unit}):"
        for one in verdict.levels:
            zh, en = LEVEL_WORDS[one.level]
            value = "-" if one.corrected is None else shown(one.corrected)
            held = " ← 适用 / deciding" if one.level == verdict.decisive else ""
            yield f"  {zh} {en}: {value} {LEVEL_RESULT_WORDS[one.result]}{held}"
    if verdict.excess is not None and verdict.corrected_limit is not None:
        ratio = "" if verdict.excess_ratio is None else f" ({shown(verdict.excess_ratio * 100)}%)"
        actual, limit = shown(verdict.actual or Decimal(0)), shown(verdict.corrected_limit)
        yield f"差值 / difference: {actual} - ({limit}) = {shown(verdict.excess)} {verdict.unit}{ratio}"
    yield from _listed("缺少 / missing", [missing_line(one) for one in verdict.missing])
    yield from _listed("假定 / assumed", verdict.assumptions)
    yield from _listed("依据 / rests on", [str(one) for one in verdict.citations])
    yield from _listed("说明 / notes", verdict.notes)
    yield f"规则包 / rule packs: {verdict.law_version}"


def step_line(step: Step) -> str:
    """One line of arithmetic with its label, unit and citation."""
    level = "" if step.level is None else f" {LEVEL_WORDS[step.level][0]}"
    unit = f" {step.unit}" if step.unit else ""
    cited = "" if step.citation is None else f" [{step.citation.document} {step.citation.clause}".rstrip() + "]"
    return f"{step.label_zh}{level} / {step.label_en}: {step.formula}{unit}{cited}"


def missing_line(missing: Missing) -> str:
    """What is missing, and where it may be had."""
    return f"{missing.what_zh} / {missing.what_en} ({missing.key}; {missing.where})"


def verdict_json(verdict: LimitVerdict) -> dict[str, Any]:
    """The verdict for machines. Numbers are strings, so that no digit is lost."""
    return {
        "status": verdict.status,
        "result": verdict.result,
        "rule": None if verdict.limit_row is None else verdict.limit_row.id,
        "tier": None,
        "surcharge_cny_per_kwh": None,
        "amount_cny": None,
        "limit": _text(verdict.limit),
        "corrected_limit": _text(verdict.corrected_limit),
        "actual": _text(verdict.actual),
        "level": verdict.level,
        "citations": [citation_json(one) for one in verdict.citations],
        "missing": [
            {"key": one.key, "zh": one.what_zh, "en": one.what_en, "where": one.where} for one in verdict.missing
        ],
        "industry": verdict.industry,
        "product": verdict.product,
        "metric": verdict.metric,
        "unit": verdict.unit,
        "standard": None if verdict.standard is None else verdict.standard.id,
        "decisive_level": int(verdict.decisive[-1]),
        "levels": [
            {
                "level": int(one.level[-1]),
                "published": _text(one.published),
                "corrected": _text(one.corrected),
                "result": one.result,
            }
            for one in verdict.levels
        ],
        "actual_reported": _text(verdict.actual_reported),
        "uncertainty": _text(verdict.uncertainty),
        "excess": _text(verdict.excess),
        "excess_ratio": _text(verdict.excess_ratio),
        "preview": verdict.preview,
        "reason_zh": verdict.reason_zh,
        "reason_en": verdict.reason_en,
        "steps": [step_json(one) for one in verdict.steps],
        "assumptions": list(verdict.assumptions),
        "notes": list(verdict.notes),
        "law_version": verdict.law_version,
        "law_digest": verdict.law_digest,
    }


def step_json(step: Step) -> dict[str, Any]:
    """One line of arithmetic for machines."""
    return {
        "zh": step.label_zh,
        "en": step.label_en,
        "formula": step.formula,
        "result": _text(step.result),
        "unit": step.unit,
        "level": None if step.level is None else int(step.level[-1]),
        "citation": None if step.citation is None else citation_json(step.citation),
    }


def citation_json(citation: Citation) -> dict[str, str]:
    """A citation for machines."""
    return {
        "document": citation.document,
        "clause": citation.clause,
        "source": citation.source,
        "confidence": citation.confidence,
    }


def _text(number: Decimal | None) -> str | None:
    return None if number is None else format(number, "f")


def _listed(title: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield f"{title}:"
        yield from (f"  - {line}" for line in lines)
