"""From what is known of an enterprise and period to its flags: the facts judged by the packs, one flag a subject."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from models.domain.register import Enterprise, Register
from models.law.library import Law
from models.law.numbers import shown
from models.law.steps import Missing, Step
from models.law.tariff import judge_tariff
from models.law.tariff_facts import TariffFacts
from models.law.tariff_verdict import TariffJudgement, TariffVerdict
from monitor.tariffs.facts import Facts, Known, facts_of
from monitor.tariffs.flag import (
    Flag,
    FlagPart,
    FlagStatus,
    FlagStep,
    FlagSubject,
    Judged,
    Provenance,
    digest_of,
)

_WORST: Final = (
    FlagStatus.NEEDS_REVIEW,
    FlagStatus.FLAG,
    FlagStatus.NEEDS_DATA,
    FlagStatus.UNDETERMINED,
    FlagStatus.CLEAR,
)
_YEAR: Final = 4
"""Characters of a year's name."""


@dataclass(frozen=True)
class Bench:
    """What flags are judged with, once for many enterprises. `region`: where a district's code does not tell it."""

    law: Law
    register: Register
    industry_of_product: Mapping[str, str]
    region: str

    @classmethod
    def of(cls, law: Law, register: Register, region: str) -> Bench:
        """A bench for these packs and this register."""
        industries = {product: industry for industry, product in law.limits_by_product}
        return cls(law, register, industries, region)

    def inputs_of(self, known: Known) -> str:
        """Digest of everything a flag of this enterprise and period follows from, but for the packs."""
        period = known.period
        enterprise = self.register.enterprise(known.uscc, period.last)
        declared = [row for row in self.register.declared_of(known.uscc) if row.valid_on(period.last)]
        lines = [
            line
            for site in self.register.sites_of(known.uscc)
            if site.valid_on(period.last)
            for line in self.register.lines_of(site.site)
            if line.valid_on(period.last)
        ]
        accounts = [account.digest for account in (known.account, *known.parts) if account is not None]
        return digest_of([period.name, enterprise, declared, lines, accounts, known.metrics, self.region])

    def judge(self, known: Known) -> tuple[Judged, ...]:
        """The flags of one enterprise and period: power (of a year only by a yearly rule), water where it has a quota."""
        enterprise = self.register.enterprise(known.uscc, known.period.last)
        if enterprise is None:
            return ()
        facts = facts_of(known, enterprise, self.register, self.industry_of_product, region=self.region)
        judged = [(case, judge_tariff(self.law, case)) for case in facts.cases]
        made = Provenance(self.inputs_of(known), self.law.digest, self.law.version, self.register.version)
        return tuple(Judged(flag, made) for flag in self._flags(known, enterprise, facts, judged))

    def _flags(
        self,
        known: Known,
        enterprise: Enterprise,
        facts: Facts,
        judged: Sequence[tuple[TariffFacts, TariffJudgement]],
    ) -> Iterator[Flag]:
        power = _power_flag(known, enterprise, facts, judged)
        if len(known.period.name) != _YEAR or power.kind == "tiered":
            yield power
        water = next(((case, found.water) for case, found in judged if found.water is not None), None)
        if water is not None and water[0].water is not None and water[1] is not None:
            yield _flag(known, enterprise, water[0].industry, water[1], facts, FlagSubject.WATER, ())


def _power_flag(
    known: Known, enterprise: Enterprise, facts: Facts, judged: Sequence[tuple[TariffFacts, TariffJudgement]]
) -> Flag:
    if not judged:
        return _without_industry(known, enterprise, facts)
    ranked = sorted(judged, key=lambda pair: _WORST.index(FlagStatus(pair[1].electricity.status)))
    case, found = ranked[0]
    parts = tuple(_part(one, found.electricity) for _, other in judged for one in other.verdicts)
    flag = _flag(known, enterprise, case.industry, found.electricity, facts, FlagSubject.POWER, parts, found.notes)
    if len(judged) == 1 or flag.status is not FlagStatus.FLAG:
        return flag
    industries = ", ".join(sorted(one.industry for one, _ in judged))
    return _changed(
        flag,
        status=FlagStatus.NEEDS_REVIEW,
        reason_zh=f"企业涉及多个行业（{industries}），请在登记簿“申报事项”中明确 industry；{flag.reason_zh}",
        reason_en=f"several industries ({industries}): declare which one (industry); {flag.reason_en}",
    )


def _without_industry(known: Known, enterprise: Enterprise, facts: Facts) -> Flag:
    what = Missing(
        "industry",
        "所属行业",
        "the industry",
        "登记簿：行业代码、生产线产品或申报事项 / register: trade, product, declared",
    )
    unsorted = not enterprise.trade
    return Flag(
        uscc=known.uscc,
        name=enterprise.name,
        district=enterprise.district,
        industry="",
        period=known.period.name,
        subject=FlagSubject.POWER,
        status=FlagStatus.NEEDS_DATA if unsorted or facts.notes else FlagStatus.CLEAR,
        reason_zh="行业不明" if unsorted else "所属行业不在加价规则之列",
        reason_en="the industry is not known" if unsorted else "no surcharge rule names its trade",
        kwh=None,
        coverage=facts.coverage,
        missing=(what,) if unsorted else (),
        notes=facts.notes,
    )


def _flag(
    known: Known,
    enterprise: Enterprise,
    industry: str,
    verdict: TariffVerdict,
    facts: Facts,
    subject: FlagSubject,
    parts: tuple[FlagPart, ...],
    more: Sequence[str] = (),
) -> Flag:
    rule = verdict.rule
    ratio = verdict.excess_ratio
    return Flag(
        uscc=known.uscc,
        name=enterprise.name,
        district=enterprise.district,
        industry=industry,
        period=known.period.name,
        subject=subject,
        status=FlagStatus(verdict.status),
        reason_zh=verdict.reason_zh,
        reason_en=verdict.reason_en,
        rule=verdict.rule_id,
        rule_title="" if rule is None else f"{rule.doc_no} {rule.title_zh}",
        kind=verdict.kind,
        tier=verdict.tier,
        surcharge_cny_per_kwh=verdict.surcharge,
        billing_base=verdict.base,
        kwh=verdict.quantity,
        coverage=facts.coverage,
        amount_cny=verdict.amount,
        basis=rule.basis or "" if rule is not None else "",
        base_period="" if verdict.figure_year is None else str(verdict.figure_year),
        actual=verdict.actual if verdict.actual is not None else ratio,
        limit=verdict.threshold,
        unit=verdict.figure_unit or ("" if verdict.actual is not None or ratio is None else "1"),
        confidence=verdict.confidence or "",
        preview=None if verdict.preview is None else FlagStatus.FLAG if verdict.preview.surcharge else FlagStatus.CLEAR,
        steps=tuple(_step(step) for step in verdict.steps),
        citations=verdict.citations,
        missing=verdict.missing,
        notes=tuple(dict.fromkeys((*facts.notes, *verdict.assumptions, *verdict.notes, *_previewed(verdict), *more))),
        parts=parts if len(parts) > 1 else (),
    )


def _previewed(verdict: TariffVerdict) -> tuple[str, ...]:
    one = verdict.preview
    if one is None or one.surcharge is None:
        return ()
    tier = "" if one.tier is None else f" {one.tier}"
    amount = "" if one.amount is None else f"，{shown(one.amount)} 元 CNY"
    return (f"预览，不得执行 / preview, not to be billed: {one.rule}{tier} {shown(one.surcharge)} 元/千瓦时{amount}",)


def _part(verdict: TariffVerdict, chosen: TariffVerdict) -> FlagPart:
    return FlagPart(
        rule=verdict.rule_id,
        status=FlagStatus(verdict.status),
        tier=verdict.tier,
        surcharge_cny_per_kwh=verdict.surcharge,
        amount_cny=verdict.amount,
        applies=verdict == chosen and verdict.displaced_by is None,
        reason_zh=verdict.reason_zh,
        reason_en=verdict.reason_en,
    )


def _step(step: Step) -> FlagStep:
    document = "" if step.citation is None else f"{step.citation.document} {step.citation.clause}".strip()
    result = format(step.result, "f") if isinstance(step.result, Decimal) else str(step.result)
    return FlagStep(step.label_zh, step.label_en, step.formula, result, step.unit, document)


def _changed(flag: Flag, **changes: object) -> Flag:
    import msgspec

    return msgspec.structs.replace(flag, **changes)
