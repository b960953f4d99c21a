"""Reference pages of the rule packs: every limit with its confidence, every named fact a case may give."""

from __future__ import annotations

from collections.abc import Iterator

from models.law.library import Law, shipped_law
from models.law.limit_rows import LEVELS, Limit, Standard
from models.law.numbers import shown
from models.law.vocabulary import FactName, Industry, Metric


def limit_lines() -> Iterator[str]:
    """The page of all limits, by industry and standard."""
    law = shipped_law()
    yield from (
        "# Energy limits 能耗限额",
        "",
        "From the shipped packs. 1级 先进值 advanced, 2级 准入值 entry (new plant is held to it), 3级 限定值 limit",
        "(existing plant is held to it). Lower is better. A dash is a level the standard or the library does not",
        "have; it is no zero. Confidence **V** was read; **M** is remembered: shown as a preview, never enforced.",
        "`gridwarden law show ID` tells the source of a row.",
    )
    for industry in law.table(Industry).values():
        yield from ("", f"## {industry.name_zh} {industry.name_en}", "")
        yield "| standard 标准 | product 产品 | metric 指标 | unit | 1 | 2 | 3 | confidence | condition, corrections |"
        yield "|---|---|---|---|---|---|---|---|---|"
        for limit in law.table(Limit).values():
            if limit.industry == industry.id:
                yield _limit_row(law, limit)


def _limit_row(law: Law, limit: Limit) -> str:
    standard = law.table(Standard)[limit.standard]
    force = f"{limit.standard} ({standard.effective_from} – {standard.effective_to or ''})".replace("None", "?")
    levels = [_level(limit, level) for level in LEVELS]
    more = "; ".join([*([limit.applies_when] if limit.applies_when else []), *limit.corrections])
    cells = [
        force,
        f"{limit.product_zh} `{limit.product}`",
        f"{limit.metric_zh} `{limit.metric}`",
        limit.unit,
        *levels,
        limit.confidence,
        more,
    ]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _level(limit: Limit, level: str) -> str:
    value = getattr(limit, level)
    if value is None:
        return "–"
    own = getattr(limit.level_confidence, level)
    return shown(value) + (f" ({own})" if own not in (None, limit.confidence) else "")


def fact_lines() -> Iterator[str]:
    """The page of what a facts file may hold."""
    law = shipped_law()
    yield from (
        "# Facts of a case 事实文件",
        "",
        "What `[facts]` of a facts file may hold, see [judge a limit by hand](../how-to/judge-a-limit-by-hand.md).",
        "Numbers are in the unit named, without quotes. What is not listed here is refused.",
        "",
        "| key | 名称 name | values | where to ask |",
        "|---|---|---|---|",
    )
    for name in law.table(FactName).values():
        yield f"| `{name.id}` | {name.name_zh} {name.name_en} | {_values(name)} | {name.ask} |"
    yield from ("", "## Metrics 指标", "", "| key | 名称 name |", "|---|---|")
    for metric in law.table(Metric).values():
        yield f"| `{metric.id}` | {metric.name_zh} {metric.name_en} |"


def _values(name: FactName) -> str:
    match name.kind:
        case "yes_no":
            return "true, false"
        case "choice":
            return ", ".join(f"`{choice}`" for choice in name.choices)
        case "number":
            low = "" if name.min is None else f" from {shown(name.min)}"
            high = "" if name.max is None else f" to {shown(name.max)}"
            return f"{name.unit}{low}{high}"
