"""A stored verdict and a forecast for people, line by line: Chinese first, English beside."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from models.law.explain import LEVEL_RESULT_WORDS
from models.law.numbers import shown

Body = Mapping[str, Any]

_LEVEL: Final = {1: "1级 level 1", 2: "2级 level 2", 3: "3级 level 3"}
_CAUSES: Final = {
    "first": "首次判定 first",
    "data": "数据更新 data",
    "law": "规则更新 rules",
    "register": "登记更新 register",
    "several": "多项更新 several",
}


def verdict_body_lines(body: Body) -> Iterator[str]:
    """The verdict, the whole calculation, what is missing and what it rests on."""
    yield f"{body['product_zh']} · {body['metric_zh']} / {body['product']} {body['metric']}"
    yield f"结论 / verdict: {body['status_zh']} / {body['result']}"
    yield f"  {body['reason_zh']}"
    yield f"  {body['reason_en']}"
    if body.get("coverage") is not None:
        percent = shown((Decimal(body["coverage"]) * 100).quantize(Decimal("0.01")))
        yield f"  电量覆盖率 / coverage of electricity: {percent}%"
    if body.get("uncertainty") is not None:
        yield f"  不确定度 / uncertainty: ± {_number(body['uncertainty'])} {body['unit']}"
    steps = body.get("steps") or []
    if steps:
        yield "计算（可用计算器逐步复核）/ calculation, to be redone by hand:"
        yield from (f"  {number}. {_step(step)}" for number, step in enumerate(steps, start=1))
    levels = body.get("levels") or []
    if levels:
        yield f"各级 / levels ({body['unit']}):"
        for one in levels:
            value = "-" if one["corrected"] is None else _number(one["corrected"])
            held = " ← 适用 / deciding" if one["level"] == body["decisive_level"] else ""
            yield f"  {_LEVEL[one['level']]}: {value} {LEVEL_RESULT_WORDS[one['result']]}{held}"
    if body.get("excess") is not None:
        share = body["excess_ratio"]
        ratio = "" if share is None else f" ({shown((Decimal(share) * 100).quantize(Decimal('0.1')))}%)"
        yield f"差值 / difference: {_number(body['excess'])} {body['unit']}{ratio}"
    missing = [f"{one['zh']} / {one['en']} ({one['key']}; {one['where']})" for one in body.get("missing") or []]
    yield from _listed("缺少 / missing", missing)
    yield from _listed("假定 / assumed", body.get("assumptions") or [])
    cited = [_citation(one) for one in body.get("citations") or []]
    yield from _listed("依据 / rests on", cited)
    yield from _listed("说明 / notes", body.get("notes") or [])
    if "revision" in body:
        cause = _CAUSES[body["cause"]]
        yield f"第 {body['revision']} 版 / revision {body['revision']} ({cause}); 规则包 / packs: {body['law_version']}"


def trail_lines(trail: Sequence[Body]) -> Iterator[str]:
    """Every revision, where there was more than one: both values stay in sight."""
    if any(one["revision"] > 1 for one in trail):
        yield "历次判定 / revisions:"
        for one in trail:
            actual = "-" if one["actual"] is None else _number(one["actual"])
            yield (
                f"  {one['product']} {one['metric']} 第 {one['revision']} 版: {one['result']} {actual} "
                f"({_CAUSES[one['cause']]}; {one['law_version']})"
            )


def forecast_lines(body: Body) -> Iterator[str]:
    """A forecast, plainly marked as one."""
    unit, limit = body["unit"] or "", body["limit"]
    yield f"【预测 forecast】{body['product']} {body['metric']} {body['period']}，截至 as of {body['as_of']}"
    yield (
        f"  期末预计 / expected at the end: {body['expected']:g} {unit} "
        f"({body['confidence']:.0%}: {body['low']:g} – {body['high']:g}); {body['blocks']} 周 / weeks"
    )
    if body["probability"] is not None and limit is not None:
        yield f"  限额 / limit {limit:g} {unit}; 超限概率 / probability to exceed: {body['probability']:.0%}"
    yield "  预测不是结论 / a forecast is no verdict"


def _step(step: Body) -> str:
    level = "" if step["level"] is None else f" {step['level']}级"
    citation = step["citation"]
    cited = "" if citation is None else f" [{citation['document']} {citation['clause']}".rstrip() + "]"
    return f"{step['zh']}{level} / {step['en']}: {step['formula']} {step['unit']}{cited}"


def _citation(one: Body) -> str:
    place = f"{one['document']} {one['clause']}".strip()
    return f"{place} [{one['confidence']}] {one['source']}"


def _number(text: str) -> str:
    return shown(Decimal(text))


def _listed(title: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield f"{title}:"
        yield from (f"  - {line}" for line in lines)
