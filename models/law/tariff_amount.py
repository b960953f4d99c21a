"""From a surcharge to money: what changes the surcharge, the electricity it is reckoned on, the amount."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from models.law.changed import replace
from models.law.numbers import PRECISION, shown
from models.law.steps import Missing, Step
from models.law.tariff_case import TariffCase, cite_rule
from models.law.tariff_facts import BillingBase, TariffFacts
from models.law.tariff_rows import TariffRule
from models.law.tariff_verdict import Preview, TariffVerdict

FEN: Final = Decimal("0.01")

BASE_WORDS: Final[Mapping[BillingBase, tuple[str, str]]] = {
    "all_electricity": ("全部用电量", "all electricity"),
    "production_electricity": ("生产用电量", "production electricity"),
    "liquid_aluminium_electricity": ("铝液生产用电量", "electricity of liquid aluminium"),
    "device_electricity": ("列入装置用电量", "electricity of the listed devices"),
    "excess_electricity_only": ("超额部分电量", "electricity over the limit"),
}
_FACT_OF: Final[Mapping[BillingBase, str]] = {
    "all_electricity": "electricity.all_kwh",
    "production_electricity": "electricity.production_kwh",
    "liquid_aluminium_electricity": "electricity.liquid_aluminium_kwh",
    "device_electricity": "equipment.kwh",
    "excess_electricity_only": "electricity.excess_kwh",
}


def fen(amount: Decimal) -> Decimal:
    """To 0.01 CNY, half up."""
    return amount.quantize(FEN, rounding=ROUND_HALF_UP, context=PRECISION)


def adjusted(case: TariffCase, verdict: TariffVerdict, table: TariffRule) -> TariffVerdict:
    """The verdict with what raises or lowers its surcharge: a region's multiple, renewables, late payment."""
    before = verdict.surcharge
    if not before:
        return verdict
    verdict = _late(case.facts, _renewables(case.facts, _multiplied(case, verdict, table), table), table)
    after = verdict.surcharge
    if after is None or after == before:
        return verdict
    return replace(
        verdict,
        surcharge=after.normalize(PRECISION),
        reason_zh=f"{verdict.reason_zh}；调整后 {shown(after)} 元/千瓦时",
        reason_en=f"{verdict.reason_en}; after adjustment {shown(after)} CNY/kWh",
    )


def _late(facts: TariffFacts, verdict: TariffVerdict, table: TariffRule) -> TariffVerdict:
    late, days = table.late_payment, facts.days_since_notice
    if late is None or days is None or days <= late.days_after_notice_gt or verdict.surcharge is None:
        return verdict
    raised = verdict.surcharge * late.multiplier
    formula = f"{shown(verdict.surcharge)} × {shown(late.multiplier)} = {shown(raised)}"
    label = f"通知后 {days} 天 > {late.days_after_notice_gt} 天未缴", f"unpaid {days} days after the notice"
    step = Step(*label, formula, raised, "CNY/kWh", cite_rule(table))
    return replace(verdict, surcharge=raised, steps=(*verdict.steps, step))


def _multiplied(case: TariffCase, verdict: TariffVerdict, table: TariffRule) -> TariffVerdict:
    for rule in case.frameworks():
        times = rule.multipliers.get(table.id)
        wanted = rule.multiplied_class.get(table.id)
        if times is None or verdict.surcharge is None or (wanted is not None and verdict.tier != wanted):
            continue
        raised = verdict.surcharge * times
        formula = f"{shown(verdict.surcharge)} × {shown(times)} = {shown(raised)}"
        if rule.enforceable:
            step = Step("地方提高标准", "raised by the region", formula, raised, "CNY/kWh", cite_rule(rule))
            verdict = replace(
                verdict,
                rule=rule,
                surcharge=raised,
                steps=(*verdict.steps, step),
                citations=(cite_rule(rule), *verdict.citations),
            )
        else:
            note = f"{rule.id}（未核实，不计 / not verified, not counted）: {formula} CNY/kWh"
            verdict = replace(verdict, notes=(*verdict.notes, note))
    return verdict


def _renewables(facts: TariffFacts, verdict: TariffVerdict, table: TariffRule) -> TariffVerdict:
    row, share = table.renewables, facts.renewables_share
    if row is None or verdict.surcharge is None:
        return verdict
    if share is None:
        assumed = "未提供非水可再生能源占比，按不减计 / no share of renewables is given: not lowered"
        return replace(verdict, assumptions=(*verdict.assumptions, assumed))
    if share <= row.share_gt:
        return verdict
    incentive = facts.renewables_incentive_share
    if incentive is None:
        missing = Missing(
            "renewables_incentive_share",
            "上年度非水电消纳责任权重激励值",
            "the province's incentive value of the year before",
            "the province's notice",
        )
        return replace(
            verdict,
            status="needs_data",
            preview=Preview(verdict.rule_id or table.id, verdict.tier, verdict.surcharge, None),
            surcharge=None,
            reason_zh="加价标准可否因可再生能源降低，取决于缺少的激励值",
            reason_en="whether renewables lower the surcharge depends on the incentive value, which is missing",
            missing=(*verdict.missing, missing),
        )
    if share < incentive:
        return verdict
    readings = {
        points * row.falls_per_point
        for start in (row.share_gt, max(row.share_gt, incentive))
        for points in ((share - start) * 100, ((share - start) * 100).to_integral_value(rounding="ROUND_FLOOR"))
    }
    most = min(max(readings), Decimal(1))
    lowered = verdict.surcharge * (1 - most)
    formula = f"{shown(verdict.surcharge)} × (1 - {shown(most)}) = {shown(lowered)}"
    step = Step("可再生能源降低", "lowered for renewables", formula, lowered, "CNY/kWh", cite_rule(table))
    verdict = replace(verdict, surcharge=lowered, steps=(*verdict.steps, step))
    if len(readings) == 1:
        return verdict
    others = ", ".join(shown(verdict_part) for verdict_part in sorted(readings))
    return replace(
        verdict,
        status="needs_review",
        reason_zh=f"{verdict.reason_zh}；降低幅度的读法不一（{others}），取较低加价，须复核",
        reason_en=f"{verdict.reason_en}; the text has several readings ({others}): the lower surcharge, to be reviewed",
        notes=(*verdict.notes, *((table.renewables_ambiguity,) if table.renewables_ambiguity else ())),
    )


@dataclass(frozen=True, slots=True)
class _Kwh:
    value: Decimal | None
    step: Step | None = None


def billed(case: TariffCase, verdict: TariffVerdict, table: TariffRule) -> TariffVerdict:
    """The verdict with the electricity it is reckoned on and the amount; or with what these want."""
    surcharge, facts = verdict.surcharge, case.facts
    if surcharge is None:
        return verdict
    base, assumed = _base(facts, verdict, table)
    verdict = _per_tonne(facts, verdict)
    if not surcharge:
        return replace(verdict, base=base, amount=fen(Decimal(0)))
    if base is None:
        return _without_base(case, verdict)
    verdict = replace(verdict, base=base, assumptions=(*verdict.assumptions, *assumed))
    found = _kwh(facts, base, verdict)
    if found.value is None:
        zh, en = BASE_WORDS[base]
        missing = Missing(_FACT_OF[base], f"{zh}（kWh）", f"{en} in kWh", "registers")
        notes = (*verdict.notes, *(_in_proportion(facts, verdict) if base == "excess_electricity_only" else ()))
        return replace(verdict, missing=(*verdict.missing, missing), notes=notes)
    amount = fen(found.value * surcharge)
    step = Step(
        f"加价金额（{BASE_WORDS[base][0]}，四舍五入到分）",
        f"amount ({BASE_WORDS[base][1]}; to 0.01, half up)",
        f"{shown(found.value)} × {shown(surcharge)} = {shown(amount)}",
        amount,
        "CNY",
        cite_rule(table),
    )
    steps = (*verdict.steps, *((found.step,) if found.step is not None else ()), step)
    per_t = verdict.amount_per_t
    if per_t is None and facts.output_t:
        per_t = fen(amount / facts.output_t)
    return replace(verdict, quantity=found.value, amount=amount, amount_per_t=per_t, steps=steps)


def _per_tonne(facts: TariffFacts, verdict: TariffVerdict) -> TariffVerdict:
    """With the surcharge per tonne of product, where consumption in kWh/t is known."""
    kwh_per_t = _kwh_per_t(facts, verdict)
    if verdict.surcharge is None or kwh_per_t is None:
        return verdict
    amount = fen(kwh_per_t * verdict.surcharge)
    formula = f"{shown(kwh_per_t)} × {shown(verdict.surcharge)} = {shown(amount)}"
    step = Step("每吨产品加价", "surcharge per tonne of product", formula, amount, "CNY/t")
    return replace(verdict, amount_per_t=amount, steps=(*verdict.steps, *((step,) if amount else ())))


def _kwh_per_t(facts: TariffFacts, verdict: TariffVerdict) -> Decimal | None:
    if verdict.actual is not None:
        return verdict.actual if verdict.figure_unit == "kWh/t" else None
    if len(facts.figures) == 1 and facts.figures[0].unit == "kWh/t":
        return facts.figures[0].value
    return None


def _base(facts: TariffFacts, verdict: TariffVerdict, table: TariffRule) -> tuple[BillingBase | None, tuple[str, ...]]:
    rule = verdict.rule
    stated = rule.billing_base if rule is not None and rule.billing_base is not None else table.billing_base
    if stated is not None:
        return stated, ()
    if facts.billing_base is not None:
        zh, en = BASE_WORDS[facts.billing_base]
        return facts.billing_base, (f"计费电量按所给事实：{zh} / the billing base is the one the facts give: {en}",)
    if verdict.kind in ("differential", "tiered"):
        assumed = (
            "文件未写明计费电量，按生产用电量计 / the source names no billing base: production electricity is taken"
        )
        return "production_electricity", (assumed,)
    return None, ()


def _without_base(case: TariffCase, verdict: TariffVerdict) -> TariffVerdict:
    """Punitive pricing where nothing says whether all electricity is billed or the part over the limit."""
    missing = Missing(
        "billing_base",
        "计费电量的口径（全部用电量或超额部分）",
        "the billing base: all_electricity or excess_electricity_only",
        "the region's notice",
    )
    cited = tuple(cite_rule(rule) for rule in case.frameworks() if rule.billing_base_options)
    return replace(
        verdict,
        missing=(*verdict.missing, missing),
        citations=(*verdict.citations, *cited),
        notes=(*verdict.notes, *_if_all(case.facts, verdict)),
    )


def _if_all(facts: TariffFacts, verdict: TariffVerdict) -> tuple[str, ...]:
    kwh = facts.electricity.all_kwh
    if kwh is None or verdict.surcharge is None:
        return ()
    text = f"{shown(kwh)} × {shown(verdict.surcharge)} = {shown(fen(kwh * verdict.surcharge))} CNY"
    return (f"若按全部用电量 / if all electricity is billed: {text}",)


def _in_proportion(facts: TariffFacts, verdict: TariffVerdict) -> tuple[str, ...]:
    """What the part over the limit would be, were all electricity used in proportion: for orientation only."""
    kwh, ratio = facts.electricity.all_kwh, verdict.excess_ratio
    if kwh is None or ratio is None or verdict.surcharge is None:
        return ()
    part = kwh * ratio / (1 + ratio)
    text = f"{shown(kwh)} × {shown(ratio)} ÷ (1 + {shown(ratio)}) × {shown(verdict.surcharge)}"
    return (f"若按比例折算超额电量 / if in proportion: {text} = {shown(fen(part * verdict.surcharge))} CNY",)


def _kwh(facts: TariffFacts, base: BillingBase, verdict: TariffVerdict) -> _Kwh:
    known = facts.electricity
    match base:
        case "all_electricity":
            return _Kwh(known.all_kwh)
        case "production_electricity":
            return _Kwh(known.production_kwh)
        case "excess_electricity_only":
            return _Kwh(known.excess_kwh)
        case "device_electricity":
            own = [one.kwh for one in facts.equipment if one.equipment_class == verdict.tier]
            total = Decimal(0)
            for kwh in own:
                if kwh is None:
                    return _Kwh(None)
                total += kwh
            return _Kwh(total if own else None)
        case "liquid_aluminium_electricity":
            if known.liquid_aluminium_kwh is not None:
                return _Kwh(known.liquid_aluminium_kwh)
            if facts.output_t is None or verdict.actual is None or not _same_year(facts, verdict):
                return _Kwh(None)
            kwh = facts.output_t * verdict.actual
            formula = f"{shown(facts.output_t)} × {shown(verdict.actual)} = {shown(kwh)}"
            return _Kwh(kwh, Step("铝液生产用电量", "electricity of liquid aluminium", formula, kwh, "kWh"))


def _same_year(facts: TariffFacts, verdict: TariffVerdict) -> bool:
    """Whether the consumption is that of the very period charged: else it says nothing of its electricity."""
    return verdict.figure_year == facts.period_from.year
