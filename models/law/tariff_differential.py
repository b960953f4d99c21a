"""Differential pricing: what class of the catalogue the plant is in, and the dearest rule that lists it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from models.law.changed import replace
from models.law.numbers import shown
from models.law.rows import Confidence
from models.law.steps import Missing, Step
from models.law.tariff_amount import adjusted, billed
from models.law.tariff_book import displaced_by, replaced_by
from models.law.tariff_case import TariffCase, cite_rule, wants, withheld
from models.law.tariff_checks import classes_of
from models.law.tariff_facts import CAPACITY_CUT, Equipment
from models.law.tariff_rows import TariffRule
from models.law.tariff_verdict import Preview, TariffVerdict

_CLASS = Missing("equipment_class", "设备类别（限制类、淘汰类或无）", "the equipment class, or none", "the register")


@dataclass(frozen=True, slots=True)
class _Offer:
    rule: TariffRule
    listed: str
    surcharge: Decimal
    confidence: Confidence
    formula: str
    stated: bool
    """False where the source speaks of years before the day only."""


def judge_differential(case: TariffCase) -> TariffVerdict | None:
    """The verdict on the equipment's class; None where no rule of the day concerns the industry."""
    rules = [rule for rule in case.shelf("differential").rules if case.live(rule) and _lists_any(case, rule)]
    if not rules:
        return None
    classes, unsure = _classes(case, rules)
    offers = [offer for rule in rules for listed in classes for offer in _offers(case, rule, listed)]
    sure = [offer for offer in offers if offer.confidence == "V"]
    other = [offer for offer in offers if offer.confidence != "V"]
    if not offers:
        return _not_listed(case, rules, classes, unsure)
    best = max(sure or other, key=lambda offer: offer.surcharge)
    verdict = _charged(case, best, offers)
    verdict = replace(verdict, missing=(*verdict.missing, *unsure))
    if not sure:
        return withheld(verdict)
    dearer = [offer for offer in other if offer.surcharge > best.surcharge]
    notes = [
        f"{offer.rule.id}（未核实，不计 / not verified, not counted）: {shown(offer.surcharge)} CNY/kWh"
        for offer in other
    ]
    if dearer:
        top = max(dearer, key=lambda offer: offer.surcharge)
        verdict = replace(verdict, preview=Preview(top.rule.id, top.listed, top.surcharge, None))
    return replace(verdict, notes=(*verdict.notes, *notes))


def _lists_any(case: TariffCase, rule: TariffRule) -> bool:
    """Whether it still lists some class for the industry: others may have taken all of them over."""
    return any(
        replaced_by(rule, industry=case.facts.industry, listed=listed, chain=case.chain, on=case.on) is None
        and displaced_by(case.shelf("differential"), listed=listed, on=case.on, decided=case.facts.decision_date)
        is None
        for listed in classes_of(rule)
    )


def _classes(case: TariffCase, rules: list[TariffRule]) -> tuple[list[str], list[Missing]]:
    """The classes the enterprise is listed for, and what of its devices is not known."""
    facts = case.facts
    found: dict[str, None] = {}
    unsure: list[Missing] = []
    if facts.equipment_class is not None and facts.equipment_class != "none":
        found[facts.equipment_class] = None
    for device in facts.equipment:
        listed, missing = _class_of(device, rules)
        if listed is not None:
            found[listed] = None
        if missing is not None:
            unsure.append(missing)
    if facts.capacity_cut_done is False:
        found[CAPACITY_CUT] = None
    return list(found), unsure


def _class_of(device: Equipment, rules: list[TariffRule]) -> tuple[str | None, Missing | None]:
    for rule in rules:
        for kind in rule.eliminated_equipment:
            if device.kind != kind.kind_zh:
                continue
            if kind.except_zh is None or device.excepted is False:
                return "淘汰类", None
            if device.excepted is None:
                what = f"{device.name}（{device.kind}）是否属于例外：{kind.except_zh}"
                return device.equipment_class, Missing(
                    "equipment.excepted", what, f"whether {device.name} falls under the exception", "the register"
                )
    by_list = device.kind is not None and all(rule.eliminated_equipment for rule in rules)
    if device.equipment_class is None and not by_list:
        return None, Missing(
            "equipment.equipment_class", f"{device.name}的类别", f"the class of {device.name}", "the register"
        )
    return device.equipment_class, None


def _offers(case: TariffCase, rule: TariffRule, listed: str) -> list[_Offer]:
    """The surcharge a rule has for a class: none where it has none, or where another rule has taken its place."""
    if replaced_by(rule, industry=case.facts.industry, listed=listed, chain=case.chain, on=case.on) is not None:
        return []
    if displaced_by(case.shelf("differential"), listed=listed, on=case.on, decided=case.facts.decision_date):
        return []
    for tier in rule.tiers:
        if tier.listed == listed and tier.surcharge is not None:
            return [_Offer(rule, listed, tier.surcharge, rule.confidence, shown(tier.surcharge), stated=True)]
    phase = max((one for one in rule.phases if one.begins <= case.on), key=lambda one: one.begins, default=None)
    if phase is None:
        return []
    first = rule.phases[0]
    basis = (first if phase.times_first is not None else phase).surcharge(listed, case.facts.industry)
    if basis is None:
        return []
    surcharge = basis if phase.times_first is None else basis * phase.times_first
    formula = (
        shown(surcharge)
        if phase.times_first is None
        else f"{shown(basis)} × {shown(phase.times_first)} = {shown(surcharge)}"
    )
    confidence = rule.least_confidence(phase.confidence)
    stated = phase.stated_to is None or case.on <= phase.stated_to
    return [_Offer(rule, listed, surcharge, confidence, formula, stated=stated)]


def _charged(case: TariffCase, best: _Offer, offers: list[_Offer]) -> TariffVerdict:
    rule = best.rule
    cited = cite_rule(rule)
    step = Step(
        f"差别电价加价（{best.listed}）",
        f"surcharge of the class {best.listed}",
        best.formula,
        best.surcharge,
        "CNY/kWh",
        cited,
    )
    lower = [one for one in offers if one is not best and one.confidence == "V"]
    notes = tuple(
        f"{one.rule.id} {one.listed} {shown(one.surcharge)}：不叠加，按较高者 / not stacked: the higher counts"
        for one in lower
    )
    verdict = TariffVerdict(
        "differential",
        "flag",
        f"列为{best.listed}，加价 {shown(best.surcharge)} 元/千瓦时",
        f"listed as {best.listed}: {shown(best.surcharge)} CNY/kWh",
        rule=rule,
        tier=best.listed,
        surcharge=best.surcharge,
        confidence=best.confidence,
        steps=(step,),
        citations=(cited, *dict.fromkeys(cite_rule(one.rule) for one in lower if one.rule is not rule)),
        notes=(*notes, *rule.also),
    )
    if not best.stated:
        last = rule.phases[-1].stated_to
        verdict = replace(
            verdict,
            status="needs_review",
            reason_zh=f"{verdict.reason_zh}；文件只写到 {last}，其后是否沿用须复核",
            reason_en=f"{verdict.reason_en}; the source goes to {last} only: what follows is to be reviewed",
        )
    return billed(case, adjusted(case, verdict, rule), rule)


def _not_listed(case: TariffCase, rules: list[TariffRule], classes: list[str], unsure: list[Missing]) -> TariffVerdict:
    rule = next((one for one in rules if one.enforceable), rules[0])
    facts = case.facts
    if unsure:
        return replace(wants("differential", rule, unsure[0], asked=True), missing=tuple(unsure))
    if facts.equipment_class is None and not facts.equipment:
        return wants("differential", rule, _CLASS, asked=facts.capacity_cut_done is not None)
    listed = "、".join(classes) or "无"
    clear = TariffVerdict(
        "differential",
        "clear",
        f"设备类别（{listed}）不在加价之列",
        f"the equipment ({', '.join(classes) or 'none listed'}) is not in a class that is charged",
        rule=rule,
        surcharge=Decimal(0),
        confidence=rule.confidence,
        citations=(cite_rule(rule),),
    )
    gone = next(
        (
            name
            for one in rules
            for cls in classes
            if cls in classes_of(one) and (name := _taken_over(case, one, cls)) is not None
        ),
        None,
    )
    if gone is not None:
        clear = replace(clear, displaced_by=gone)
    return billed(case, clear, rule) if rule.enforceable else withheld(clear)


def _taken_over(case: TariffCase, rule: TariffRule, listed: str) -> str | None:
    name = replaced_by(rule, industry=case.facts.industry, listed=listed, chain=case.chain, on=case.on)
    if name is not None:
        return name
    other = displaced_by(case.shelf("differential"), listed=listed, on=case.on, decided=case.facts.decision_date)
    return None if other is None else other.id
