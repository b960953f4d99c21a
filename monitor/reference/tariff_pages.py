"""Reference page of the surcharge rules: every rule with its tiers, its confidence, and what of it is not known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Final

from models.law.library import Law, shipped_law
from models.law.numbers import shown
from models.law.tariff_parts import Tier
from models.law.tariff_rows import ANY_INDUSTRY, EdgePolicy, Precedence, TariffIndustry, TariffRule
from models.law.tariff_verdict import KIND_WORDS
from models.law.vocabulary import Industry, Metric, RegionName

Table = tuple[Sequence[str], Sequence[Sequence[str]]]
"""Heads and rows."""

_BASES: Final = {
    "all_electricity": "全部电量 all electricity",
    "production_electricity": "生产用电 production electricity",
    "liquid_aluminium_electricity": "铝液生产用电 electricity of liquid aluminium",
    "device_electricity": "装置用电 electricity of the device",
    "excess_electricity_only": "超限额部分 only what is above the limit",
}
_YEARS: Final = {
    "calendar_year": "当年 the same calendar year",
    "previous_calendar_year": "上一年 the calendar year before",
}


def rule_lines() -> Iterator[str]:
    """The page of all rules, national before regional, electricity before water."""
    law = shipped_law()
    yield from (
        "# Surcharge rules 电价加价规则",
        "",
        "From the shipped packs; CNY/kWh on top of the catalogue or market price. How a rule is applied:",
        "[如何计算加价](../explanation/how-a-surcharge-is-computed.zh.md),",
        "[how a surcharge is computed](../explanation/how-a-surcharge-is-computed.md). Confidence **V** was read;",
        "**M** is remembered and **S** seen in a summary only: both are shown as a preview, never billed on. What is",
        "*not known* nobody found: a case that turns on it is `undetermined`. `gridwarden law show ID` tells all a",
        "rule says, with its source.",
        "",
        "| rule 规则 | region 地区 | kind 种类 | in force 有效期 | confidence | not known 未知 |",
        "|---|---|---|---|---|---|",
    )
    names = law.table(RegionName)
    for rule in law.table(TariffRule).values():
        where = names[rule.region].name_zh if rule.region in names else "?"
        unknown = "yes 有" if _unknown(rule) else ""
        cells = (f"[`{rule.id}`](#{rule.id})", where, " ".join(KIND_WORDS[rule.kind]), _force(rule), rule.confidence)
        yield f"| {' | '.join((*cells, unknown))} |"
    for region in law.table(RegionName).values():
        rules = [rule for rule in law.table(TariffRule).values() if rule.region == region.id]
        if rules:
            yield from ("", f"## {region.name_zh} {region.name_en}")
            for rule in rules:
                yield from _rule(law, rule)
    placed = law.table(RegionName)
    homeless = [rule for rule in law.table(TariffRule).values() if rule.region not in placed]
    if homeless:
        yield from ("", "## 地区未知 region not known")
        for rule in homeless:
            yield from _rule(law, rule)
    yield from _order(law)


def _rule(law: Law, rule: TariffRule) -> Iterator[str]:
    kind_zh, kind_en = KIND_WORDS[rule.kind]
    yield from ("", f"### {rule.id}", "")
    in_force = f"{kind_zh} {kind_en}, {_force(rule)}, confidence **{rule.confidence}**."
    yield f"{_cell(rule.title_zh)}（{_cell(rule.doc_no)}）: {in_force}"
    yield from _said("Industries 行业", _industries(law, rule))
    yield from _said("Billed on 计费电量", _BASES.get(rule.billing_base or "", "") or _open(rule))
    if rule.metric is not None:
        metric = law.table(Metric)[rule.metric]
        yield from _said("Metric 指标", f"{metric.name_zh} {metric.name_en}, {rule.unit}")
    yield from _said("Year that decides 依据年度", _YEARS.get(rule.basis_period or "", ""))
    yield from _said("Same tiers as 沿用", f"`{rule.follows}`" if rule.follows else "")
    for head, rows in _tables(rule):
        yield ""
        yield f"| {' | '.join(head)} |"
        yield "|" + "---|" * len(head)
        yield from (f"| {' | '.join(_cell(cell) for cell in row)} |" for row in rows)
    yield from _changes(law, rule)
    yield from _said("**Not known 未知**", "; ".join(_unknown(rule)))
    yield from _said("Note", rule.note or "")


def _unknown(rule: TariffRule) -> tuple[str, ...]:
    rows = (*rule.tiers, *(tier for row in rule.threshold_rows for tier in row.tiers))
    return tuple(dict.fromkeys((*rule.unknown, *(what for tier in rows for what in tier.unknown))))


def _changes(law: Law, rule: TariffRule) -> Iterator[str]:
    """What multiplies, lowers or ends it."""
    known = {**law.table(Industry), **law.table(TariffIndustry)}
    for one in (*rule.superseded_for, *rule.stopped_for):
        who = "，".join(
            part
            for part in (
                known[one.industry].name_zh,
                one.listed or "",
                f"{one.except_class}除外 but {one.except_class}" if one.except_class else "",
                one.region or "",
            )
            if part
        )
        yield from _said("Ends for 不再适用", f"{who}: from {one.begins} `{one.by}`")
    for name, times in rule.multipliers.items():
        listed = rule.multiplied_class.get(name)
        yield from _said("Multiplies 加倍", f"`{name}` × {shown(times)}" + (f" ({listed})" if listed else ""))
    if rule.surcharge_range is not None:
        found = rule.surcharge_range
        yield from _said("Surcharge above zero 加价幅度", f"{shown(found.min)} – {shown(found.max)} CNY/kWh")
    if rule.late_payment is not None:
        late = rule.late_payment
        after = f"more than {late.days_after_notice_gt} days after the notice: × {shown(late.multiplier)}"
        yield from _said("Late payment 逾期", after)
    if rule.renewables is not None:
        green = rule.renewables
        fall = f"share above {shown(green.share_gt)}: falls by {shown(green.falls_per_point)} of itself a point"
        yield from _said("Renewables 可再生能源", f"{fall}; {green.and_share_ge}")
    if rule.concealment is not None:
        yield from _said("Records false or missing 瞒报", f"{shown(rule.concealment.surcharge)} CNY/kWh")


def _force(rule: TariffRule) -> str:
    first = "?" if rule.effective_from is None else rule.effective_from.isoformat()
    last = "?" if rule.effective_to_unknown else "" if rule.effective_to is None else rule.effective_to.isoformat()
    return f"{first} – {last}".rstrip()


def _industries(law: Law, rule: TariffRule) -> str:
    known = {**law.table(Industry), **law.table(TariffIndustry)}
    names = ["任何 any" if one == ANY_INDUSTRY else f"{known[one].name_zh} `{one}`" for one in rule.industries]
    return "、".join(names) + (f" ({rule.industries_text})" if rule.industries_text else "")


def _open(rule: TariffRule) -> str:
    """What is billed on where the rule names no base; as `models.law.tariff_amount` takes it."""
    match rule.kind:
        case "differential" | "tiered":
            return "文件未写明，按生产用电量 not said: production electricity is taken"
        case "punitive":
            return "文件未写明，金额须有地区规定 not said: an amount wants the region's word"
        case _:
            return ""


def _tables(rule: TariffRule) -> Iterator[Table]:
    if rule.tiers:
        by = "class 类别" if rule.basis == "equipment_class" else f"{_measured(rule)}"
        price = "markup (listed trades) 加价倍数" if rule.kind == "water" else "CNY/kWh"
        yield (by, price, "edge 边界"), [(_band(tier), _price(tier), _edge(tier)) for tier in rule.tiers]
    if rule.phases:
        head: Sequence[str] = ("from 起", "限制类", "淘汰类", "confidence")
        yield (
            head,
            [
                (
                    one.begins.isoformat(),
                    _times(one.times_first) or _amount(one.restricted),
                    _times(one.times_first) or _amount(one.eliminated),
                    one.confidence or rule.confidence,
                )
                for one in rule.phases
            ],
        )
    if rule.thresholds:
        price = f"+{_amount(rule.step_surcharge)} per started {_amount(rule.step_kwh)} {rule.unit}"
        head = ("year 年", f"threshold {rule.unit}", "above it 超出部分", "excludes desulfurisation 不含脱硫电耗")
        yield (
            head,
            [
                (
                    f"{one.year_from} – {one.year_to or ''}".rstrip(),
                    shown(one.threshold),
                    price,
                    ("是 yes" if one.excludes_desulfurisation else "否 no")
                    + (f" ({one.excludes_confidence})" if one.excludes_confidence else ""),
                )
                for one in rule.thresholds
            ],
        )
    if rule.threshold_rows:
        head = ("process 工序", "line built 投产", "metric 指标", "band", "CNY/kWh", "confidence")
        yield (
            head,
            [
                (
                    row.process,
                    f"before {row.built_before}" if row.built_before else f"from {row.built_from}",
                    f"{row.metric_zh}, {row.unit}",
                    _band(tier),
                    _price(tier),
                    row.confidence + (f": {row.doubt}" if row.doubt else ""),
                )
                for row in rule.threshold_rows
                for tier in row.tiers
            ],
        )


def _measured(rule: TariffRule) -> str:
    match rule.basis:
        case "excess_ratio":
            return "excess over the limit 超限额比例"
        case "quota_excess":
            return "excess over the quota 超定额比例"
        case _:
            return f"{rule.metric or rule.basis or ''} {rule.unit or ''}".strip()


def _band(tier: Tier) -> str:
    if tier.listed is not None:
        return tier.listed
    low = "" if tier.low is None else f"{'>' if tier.gt is not None else '≥'} {shown(tier.low)}"
    high = "" if tier.high is None else f"{'<' if tier.lt is not None else '≤'} {shown(tier.high)}"
    return " and ".join(part for part in (low, high) if part) or tier.test or "?"


def _price(tier: Tier) -> str:
    if tier.markup is not None:
        return f"{shown(tier.markup)} ({_amount(tier.markup_listed)})"
    if tier.surcharge is not None:
        return shown(tier.surcharge)
    return f"set by {tier.surcharge_by}" if tier.surcharge_by else "?"


def _edge(tier: Tier) -> str:
    if not tier.ambiguous_at:
        return ""
    edges = ", ".join(shown(edge) for edge in tier.ambiguous_at)
    return f"不明 not clear at {edges}: needs_review"


def _amount(value: Decimal | None) -> str:
    return "–" if value is None else shown(value)


def _times(value: Decimal | None) -> str:
    return "" if value is None else f"× {shown(value)} of the first phase"


def _order(law: Law) -> Iterator[str]:
    yield from (
        "",
        "## 适用顺序 Order of precedence",
        "",
        "One surcharge at most on the same kWh: the first that holds.",
        "",
    )
    steps = sorted(law.table(Precedence).values(), key=lambda step: step.order)
    yield from (f"{step.order}. {_cell(step.text)} (**{step.confidence}**)" for step in steps)
    for policy in law.table(EdgePolicy).values():
        yield from ("", "Where a source is not clear, this is ours and not the law's:", "")
        yield f"- an edge that belongs to two tiers: {_cell(policy.ambiguous)}"
        yield f"- a threshold that is missing: {_cell(policy.missing_threshold)}"
        yield f"- a rule that is not verified: {_cell(policy.unverified_rule)}"


def _said(what: str, text: str) -> Iterator[str]:
    if text:
        yield from ("", f"{what}: {_cell(text)}")


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
