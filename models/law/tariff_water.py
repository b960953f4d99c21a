"""Water over its quota: each part of the excess pays a markup on the basic price."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from models.law.numbers import PRECISION, shown
from models.law.steps import Missing, Step
from models.law.tariff_amount import fen
from models.law.tariff_case import NOTICE, TariffCase, cite_rule
from models.law.tariff_facts import Water
from models.law.tariff_parts import Tier
from models.law.tariff_rows import TariffRule
from models.law.tariff_verdict import TariffVerdict

_LISTED = ("限制类", "淘汰类")


def judge_water(case: TariffCase) -> TariffVerdict | None:
    """The verdict on the water of the period; None where the facts speak of none."""
    water = case.facts.water
    if water is None:
        return None
    rule = _rule_of(case, water)
    if rule is None or not rule.tiers or not rule.enforceable:
        return _no_notice(rule)
    ratio = PRECISION.divide(water.used_m3 - water.quota_m3, water.quota_m3)
    cited = cite_rule(rule)
    formula = f"({shown(water.used_m3)} - {shown(water.quota_m3)}) ÷ {shown(water.quota_m3)} = {shown(ratio)}"
    blank = TariffVerdict(
        "water",
        "clear",
        "未超过用水定额，不加价",
        "not above the water quota: no markup",
        rule=rule,
        unit="CNY/m3",
        confidence=rule.confidence,
        actual=water.used_m3,
        threshold=water.quota_m3,
        figure_unit="m3",
        excess_ratio=ratio,
        steps=(Step("超定额比例", "ratio over the quota", formula, ratio, "", cited),),
        citations=(cited,),
    )
    if ratio <= 0:
        return replace(blank, surcharge=Decimal(0), amount=fen(Decimal(0)))
    return _dated(case, _charged(case, blank, rule, water, ratio), rule)


def _rule_of(case: TariffCase, water: Water) -> TariffRule | None:
    if water.rule is not None:
        return case.book.rules.get(water.rule)
    rules = [rule for rule in case.shelf("water").rules if case.live(rule) and rule.tiers]
    return rules[0] if rules else next(iter(case.shelf("water").rules), None)


def _no_notice(rule: TariffRule | None) -> TariffVerdict:
    told = () if rule is None else rule.unknown
    missing = (
        Missing("water.rule", "所在城市的超定额加价文件", "the city's notice on water over quota", NOTICE),
        *(Missing(f"{rule.id if rule else 'water'}.{what}", f"文件：{what}", what, NOTICE) for what in told),
    )
    return TariffVerdict(
        "water",
        "undetermined",
        "库中没有所在地的用水加价文件，无法确定",
        "the packs have no notice on water for the place: cannot be determined",
        rule=rule,
        unit="CNY/m3",
        confidence=None if rule is None else rule.confidence,
        missing=missing,
        citations=() if rule is None else (cite_rule(rule),),
    )


def _charged(case: TariffCase, blank: TariffVerdict, rule: TariffRule, water: Water, ratio: Decimal) -> TariffVerdict:
    facts = case.facts
    listed = facts.equipment_class in _LISTED or any(one.equipment_class in _LISTED for one in facts.equipment)
    number = next(index for index, tier in enumerate(rule.tiers, start=1) if tier.holds(ratio))
    markup = _markup(rule.tiers[number - 1], listed=listed)
    zh = "（限制类、淘汰类）" if listed else ""
    verdict = replace(
        blank,
        status="flag",
        tier=str(number),
        quantity=water.used_m3 - water.quota_m3,
        reason_zh=f"超定额 {shown(ratio * 100)}%，第 {number} 档{zh}，加价 {shown(markup)} 倍",
        reason_en=f"over the quota by {shown(ratio * 100)} %, step {number}: markup of {shown(markup)} times the price",
    )
    if not listed and facts.equipment_class is None and not facts.equipment:
        assumed = "未提供设备类别，按非限制类、淘汰类计 / no equipment class given: the markup of those not listed"
        verdict = replace(verdict, assumptions=(assumed,))
    price = water.price_cny_per_m3
    if price is None:
        missing = Missing("water.price_cny_per_m3", "基本水价", "the basic price of water in CNY/m3", "the water bill")
        return replace(verdict, missing=(missing,))
    return _by_parts(verdict, rule, water, price, listed=listed)


def _by_parts(verdict: TariffVerdict, rule: TariffRule, water: Water, price: Decimal, *, listed: bool) -> TariffVerdict:
    """Each part of the excess at its own step: 累进. Where the whole excess at the last step would cost more, it is
    said."""
    cited = cite_rule(rule)
    excess = water.used_m3 - water.quota_m3
    total, steps, last = Decimal(0), list(verdict.steps), Decimal(0)
    for number, tier in enumerate(rule.tiers, start=1):
        low = (tier.low or Decimal(0)) * water.quota_m3
        if excess <= low:
            break
        high = excess if tier.high is None else min(excess, tier.high * water.quota_m3)
        last = _markup(tier, listed=listed)
        part = (high - low) * price * last
        formula = f"({shown(high)} - {shown(low)}) × {shown(price)} × {shown(last)} = {shown(part)}"
        steps.append(Step(f"第 {number} 档部分", f"part in step {number}", formula, part, "CNY", cited))
        total += part
    whole = fen(excess * price * last)
    amount = fen(total)
    steps.append(
        Step(
            "加价金额（四舍五入到分）",
            "amount (to 0.01, half up)",
            f"{shown(total)} → {shown(amount)}",
            amount,
            "CNY",
            cited,
        )
    )
    verdict = replace(verdict, surcharge=price * last, amount=amount, steps=tuple(steps))
    if whole == amount:
        return verdict
    note = f"若超出部分全部按第 {verdict.tier} 档 / if the whole excess paid step {verdict.tier}: {shown(whole)} CNY"
    return replace(
        verdict,
        status="needs_review",
        notes=(*verdict.notes, note),
        reason_zh=f"{verdict.reason_zh}；分段计与全部按末档计不同，取较低者，须复核",
        reason_en=f"{verdict.reason_en}; by parts or as a whole differ: the lower is taken, to be reviewed",
    )


def _markup(tier: Tier, *, listed: bool) -> Decimal:
    return (tier.markup_listed if listed else tier.markup) or Decimal(0)


def _dated(case: TariffCase, verdict: TariffVerdict, rule: TariffRule) -> TariffVerdict:
    """A notice without a known day or city is the caller's word: to be reviewed."""
    if case.live(rule) and rule.region in case.chain:
        return verdict
    return replace(
        verdict,
        status="needs_review",
        reason_zh=f"{verdict.reason_zh}；该文件的城市或施行日期未知，须复核",
        reason_en=f"{verdict.reason_en}; the city or the dates of the notice are not known: to be reviewed",
    )
