"""Tiered pricing: consumption per unit of product decides the tier, or the steps above a line."""

from __future__ import annotations

from datetime import date
from decimal import ROUND_CEILING, Decimal

from models.law.changed import replace
from models.law.numbers import PRECISION, shown
from models.law.steps import Missing, Step
from models.law.tariff_amount import adjusted, billed
from models.law.tariff_case import NOTICE, UNVERIFIED, TariffCase, cite_rule, wants, withheld
from models.law.tariff_figures import TierTable, base_year, deciding_figure
from models.law.tariff_parts import Threshold, ThresholdRow
from models.law.tariff_rows import TariffRule
from models.law.tariff_tiers import tier_formula, tier_label, tier_of
from models.law.tariff_verdict import TariffVerdict

_ELIMINATED = "淘汰类"


def judge_tiered(case: TariffCase, differential: TariffVerdict | None) -> TariffVerdict | None:
    """The verdict on consumption per unit; None where no tiered rule of the day concerns the industry."""
    rules = [rule for rule in case.shelf("tiered").rules if case.live(rule)]
    if not rules:
        return None
    rule = next((one for one in rules if one.enforceable), rules[0])
    table = case.book.table_of(rule)
    assumed: tuple[str, ...] = ()
    if differential is not None and differential.status in ("flag", "needs_review"):
        outside = table.displaces is not None and table.displaces.except_class == differential.tier
        if outside or "differential" in table.yields_to:
            return _displaced(rule, differential)
    elif differential is not None and not differential.asked and (table.displaces or table.yields_to):
        assumed = ("未提供设备类别，按不属淘汰类、不执行差别电价计 / no equipment class given: taken not to be listed",)
    verdict = _concealed(case, rule) or _measured(case, rule, table)
    verdict = replace(verdict, assumptions=(*assumed, *verdict.assumptions), notes=(*verdict.notes, *rule.also))
    if verdict.status in ("flag", "clear", "needs_review"):
        verdict = billed(case, adjusted(case, verdict, table), table)
    least = rule.least_confidence(table.confidence, verdict.confidence)
    verdict = replace(verdict, confidence=least)
    return verdict if least == "V" else withheld(verdict)


def _displaced(rule: TariffRule, by: TariffVerdict) -> TariffVerdict:
    return TariffVerdict(
        "tiered",
        "clear",
        f"已执行差别电价（{by.tier}），不再执行阶梯电价",
        f"differential pricing applies ({by.tier}): not tiered beside it",
        rule=rule,
        confidence=rule.confidence,
        displaced_by=by.rule_id,
        citations=(cite_rule(rule),),
    )


def _concealed(case: TariffCase, rule: TariffRule) -> TariffVerdict | None:
    found = rule.concealment
    if found is None or not case.facts.concealed:
        return None
    cited = cite_rule(rule)
    step = Step("瞒报加价", "surcharge for concealment", shown(found.surcharge), found.surcharge, "CNY/kWh", cited)
    return TariffVerdict(
        "tiered",
        "flag",
        "记录不实、缺失或拒不报送，直接执行最高加价",
        found.text,
        rule=rule,
        tier="concealment",
        surcharge=found.surcharge,
        confidence=rule.confidence,
        steps=(step,),
        citations=(cited,),
    )


def _measured(case: TariffCase, rule: TariffRule, table: TariffRule) -> TariffVerdict:
    if (gap := _metric_gap(case, table)) is not None:
        return gap
    if table.unknown or any(tier.unknown for tier in table.tiers):
        return _unknown_bounds(case, rule, table)
    line: Threshold | None = None
    year = base_year(case, table)
    if table.thresholds:
        line = next(row for row in table.thresholds if row.year_to is None or year <= row.year_to)
    if table.threshold_rows:
        found = _row_of(case, rule, table)
        if isinstance(found, TariffVerdict):
            return found
        against = TierTable(found.metric, found.unit, found.tiers, row=found)
    else:
        against = TierTable(table.metric or "", table.unit or "", table.tiers, line)
    used = deciding_figure(case, rule, table, against)
    if isinstance(used, TariffVerdict):
        return used
    verdict = TariffVerdict(
        "tiered",
        "clear",
        "",
        "",
        rule=rule,
        actual=used.value,
        figure_unit=against.unit,
        figure_year=used.year,
        confidence=rule.confidence if against.row is None else against.row.confidence,
        citations=tuple(dict.fromkeys((cite_rule(rule), cite_rule(table)))),
        assumptions=used.assumptions,
        notes=used.notes,
    )
    return _by_steps(verdict, table, against, line) if line is not None else _by_tiers(verdict, table, against)


def _metric_gap(case: TariffCase, table: TariffRule) -> TariffVerdict | None:
    """Figures are given, and none on a metric the rule prices."""
    asked = {row.metric for row in table.threshold_rows} or ({table.metric} if table.metric else set())
    given = [figure.metric for figure in case.facts.figures]
    if not asked or not given or None in given or asked & set(given):
        return None
    told = next((rule for rule in case.frameworks() if rule.gap_of == table.id), None)
    names = "、".join(str(name) for name in given)
    wanted = " / ".join(sorted(name for name in asked if name))
    missing = Missing(
        "metric", f"规则所用指标（{table.basis_text or wanted}）", f"a figure on {wanted}", "energy inspection"
    )
    verdict = wants("tiered", told or table, missing, asked=True)
    cited = tuple(dict.fromkeys((*verdict.citations, cite_rule(table))))
    text = (told.gap_text,) if told is not None and told.gap_text is not None else ()
    return replace(
        verdict,
        reason_zh=f"所报指标（{names}）不是规则所用指标，暂无法确定加价",
        reason_en=f"the figures given ({names}) are not on the metric the rule prices: no surcharge can be determined",
        citations=cited,
        notes=text,
    )


def _unknown_bounds(case: TariffCase, rule: TariffRule, table: TariffRule) -> TariffVerdict:
    missing = [
        Missing(f"{table.id}.{what}", f"规则文件：{what}", f"of the rule: {what}", NOTICE) for what in table.unknown
    ]
    missing += [
        Missing(f"{table.id}.tier{tier.tier}", f"第{tier.tier}档的界限", f"tier {tier.tier}: {what}", NOTICE)
        for tier in table.tiers
        for what in tier.unknown
    ]
    local = next(
        (one for one in case.shelf("differential").rules if one.tiered_part is not None and case.live(one)), None
    )
    notes: tuple[str, ...] = ()
    cited = [cite_rule(rule), cite_rule(table)]
    if local is not None and local.tiered_part is not None:
        part = local.tiered_part
        amounts = " / ".join(shown(one) for one in (part.tier1, part.tier2, part.tier3))
        notes = (f"{local.id}：各档界限见 {part.standard}，加价 {amounts} / the bounds stand in {part.standard}",)
        cited.append(cite_rule(local))
    return TariffVerdict(
        "tiered",
        "undetermined",
        "阶梯各档的界限未查到，无法确定",
        "the bounds of the tiers were not found: cannot be determined",
        rule=rule,
        confidence=rule.confidence,
        missing=tuple(missing),
        citations=tuple(dict.fromkeys(cited)),
        notes=notes,
    )


def _row_of(case: TariffCase, rule: TariffRule, table: TariffRule) -> ThresholdRow | TariffVerdict:
    facts = case.facts
    asked = bool(facts.figures)
    if facts.process is None:
        what = Missing(
            "process",
            "工序（clinker 熟料、cement_with_kiln 带窑水泥、grinding_station 粉磨站）",
            "the process: clinker, cement_with_kiln or grinding_station",
            "the register",
        )
        return wants("tiered", rule, what, asked=asked)
    if facts.production_date is None:
        what = Missing("production_date", "投产时间", "when the line went into production", "the register")
        return wants("tiered", rule, what, asked=asked)
    for row in table.threshold_rows:
        if row.process == facts.process and _fits_age(row, facts.production_date):
            return row
    what = Missing(f"{table.id}.{facts.process}", "该工序的各档界限", f"the tiers of {facts.process}", NOTICE)
    return replace(wants("tiered", rule, what, asked=asked), status="undetermined")


def _fits_age(row: ThresholdRow, built: date) -> bool:
    return built < row.built_before if row.built_before is not None else built >= (row.built_from or date.min)


def _by_steps(verdict: TariffVerdict, table: TariffRule, against: TierTable, line: Threshold) -> TariffVerdict:
    value, unit = verdict.actual or Decimal(0), against.unit
    cited = cite_rule(table)
    verdict = replace(verdict, threshold=line.threshold)
    if value <= line.threshold:
        step = Step(
            "与标准比较",
            "against the line",
            f"{shown(value)} ≤ {shown(line.threshold)} → 0",
            Decimal(0),
            "CNY/kWh",
            cited,
        )
        return replace(
            verdict,
            tier="0",
            surcharge=Decimal(0),
            steps=(step,),
            reason_zh=f"{shown(value)} ≤ {shown(line.threshold)} {unit}，不加价",
            reason_en=f"{shown(value)} ≤ {shown(line.threshold)} {unit}: no surcharge",
        )
    size, each = table.step_kwh or Decimal(1), table.step_surcharge or Decimal(0)
    over = value - line.threshold
    exact = PRECISION.divide(over, size)
    whole = exact.to_integral_value(rounding=ROUND_CEILING)
    surcharge = whole * each
    steps = (
        Step(
            "超出标准", "over the line", f"{shown(value)} - {shown(line.threshold)} = {shown(over)}", over, unit, cited
        ),
        Step(
            "级数（不足一级按一级计）",
            "steps (a started step counts whole)",
            f"{shown(over)} ÷ {shown(size)} = {shown(exact)} → {whole}",
            whole,
            "",
            cited,
        ),
        Step("加价", "surcharge", f"{whole} × {shown(each)} = {shown(surcharge)}", surcharge, "CNY/kWh", cited),
    )
    return replace(
        verdict,
        status="flag",
        tier=str(whole),
        surcharge=surcharge,
        steps=steps,
        reason_zh=f"超出 {shown(line.threshold)} {unit}，{whole} 级，加价 {shown(surcharge)} 元/千瓦时",
        reason_en=f"above {shown(line.threshold)} {unit} by {whole} steps: {shown(surcharge)} CNY/kWh",
    )


def _by_tiers(verdict: TariffVerdict, table: TariffRule, against: TierTable) -> TariffVerdict:
    value = verdict.actual or Decimal(0)
    found = tier_of(against.tiers, value)
    if found is None or found.tier.surcharge is None:
        return replace(verdict, status="undetermined", reason_zh=UNVERIFIED[0], reason_en=UNVERIFIED[1])
    surcharge = found.tier.surcharge
    label = tier_label(against.tiers, found)
    formula = tier_formula(shown(value), found)
    step = Step("所在档", "tier", formula, surcharge, "CNY/kWh", cite_rule(table))
    status = "flag" if surcharge else "clear"
    verdict = replace(
        verdict,
        status="flag" if status == "flag" else "clear",
        tier=label,
        surcharge=surcharge,
        threshold=found.tier.low if found.tier.low is not None else found.tier.high,
        steps=(step,),
        reason_zh=f"第 {label} 档，加价 {shown(surcharge)} 元/千瓦时",
        reason_en=f"tier {label}: {shown(surcharge)} CNY/kWh",
    )
    return on_an_edge(verdict, table, found.edge)


def on_an_edge(verdict: TariffVerdict, rule: TariffRule, edge: Decimal | None) -> TariffVerdict:
    """Where the number lies on an edge the source leaves open: needs_review, with rule and edge named."""
    if edge is None:
        return verdict
    return replace(
        verdict,
        status="needs_review",
        reason_zh=f"{verdict.reason_zh}；恰在 {rule.id} 未写明归属的界限 {shown(edge)} 上，取较低加价，须复核",
        reason_en=f"{verdict.reason_en}; exactly on the edge {shown(edge)} that {rule.id} leaves open:"
        " the lower surcharge, to be reviewed",
    )
