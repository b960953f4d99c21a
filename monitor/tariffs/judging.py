"""From what is known of an enterprise and period to its flags: the facts judged by the packs, one flag a subject."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import msgspec

from models.domain.register import Enterprise, Register
from models.law.library import Law
from models.law.numbers import shown
from models.law.steps import Missing, Step
from models.law.tariff_facts import TariffFacts
from models.law.tariff_judge import judge_tariff
from models.law.tariff_verdict import TariffJudgement, TariffVerdict
from monitor.intensity.scopes import Catalogue
from monitor.tariffs.facts import Facts, Known, facts_of, facts_text
from monitor.tariffs.flag import (
    Flag,
    FlagPart,
    FlagStatus,
    FlagStep,
    FlagSubject,
    Judged,
    Provenance,
    digest_of,
    flag_id,
)
from monitor.tariffs.uses import uses_bytes

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
    catalogue: Catalogue
    region: str

    @classmethod
    def of(cls, law: Law, register: Register, region: str) -> Bench:
        """A bench for these packs and this register."""
        return cls(law, register, Catalogue(law), region)

    def industry_of(self, product: str) -> str | None:
        """The industry of a product, by its id or Chinese name; None where no limit is for it."""
        return self.catalogue.industry(self.catalogue.product(product))

    def inputs_of(self, known: Known) -> str:
        """Digest of everything a flag of this enterprise and period follows from, but for the packs."""
        period = known.period
        enterprise = self._enterprise(known)
        declared = [row for row in self.register.declared_of(known.uscc) if row.valid_on(period.last)]
        lines = [
            line
            for site in self.register.sites_of(known.uscc)
            if site.valid_on(period.last)
            for line in self.register.lines_of(site.site)
            if line.valid_on(period.last)
        ]
        return digest_of([period.name, enterprise, declared, lines, known.uses, known.metrics, self.region])

    def judge(self, known: Known, inputs: str | None = None, stood: Collection[str] = ()) -> tuple[Judged, ...]:
        """The flags of an enterprise and period: power (of a year only by a yearly rule), water where it has a quota.

        `inputs`: what `inputs_of` gave, where that was asked already. `stood`: ids of flags that are kept already: they
        are answered for, whatever has gone.
        """
        enterprise = self._enterprise(known)
        facts = facts_of(known, enterprise, self.register, self.industry_of, region=self.region)
        judged = [(case, judge_tariff(self.law, case)) for case in facts.cases]
        made = Provenance(inputs or self.inputs_of(known), self.law.digest, self.law.version, self.register.version)
        uses = uses_bytes(known.uses)
        return tuple(Judged(flag, made, uses) for flag in self._flags(known, enterprise, facts, judged, stood))

    def _enterprise(self, known: Known) -> Enterprise:
        """The register's row at the end of the period, else the last one that began before."""
        row = self.register.enterprise(known.uscc, known.period.last)
        if row is not None:
            return row
        earlier = [one for one in self.register.enterprise_rows(known.uscc) if one.valid_from <= known.period.last]
        return max(earlier, key=lambda one: one.valid_from, default=Enterprise(uscc=known.uscc, name=""))

    def _flags(
        self,
        known: Known,
        enterprise: Enterprise,
        facts: Facts,
        judged: Sequence[tuple[TariffFacts, TariffJudgement]],
        stood: Collection[str],
    ) -> Iterator[Flag]:
        power = _power_flag(known, enterprise, facts, judged)
        if len(known.period.name) != _YEAR or power.kind == "tiered" or power.id in stood:
            yield power
        water = next(((case, found.water) for case, found in judged if found.water is not None), None)
        if water is not None and water[0].water is not None and water[1] is not None:
            yield _flag(known, enterprise, water[0], water[1], facts, FlagSubject.WATER, ())
        elif flag_id(known.uscc, known.period.name, FlagSubject.WATER) in stood:
            yield _without(
                known,
                enterprise,
                facts,
                FlagSubject.WATER,
                "没有申报用水定额或用水量",
                "no quota or use of water is told",
            )


def _power_flag(
    known: Known, enterprise: Enterprise, facts: Facts, judged: Sequence[tuple[TariffFacts, TariffJudgement]]
) -> Flag:
    if not judged:
        return _without_industry(known, enterprise, facts)
    ranked = sorted(judged, key=lambda pair: _WORST.index(FlagStatus(pair[1].electricity.status)))
    case, found = ranked[0]
    parts = tuple(_part(one, found.electricity) for _, other in judged for one in other.verdicts)
    flag = _flag(known, enterprise, case, found.electricity, facts, FlagSubject.POWER, parts)
    if len(judged) == 1 or flag.status is not FlagStatus.FLAG:
        return flag
    industries = ", ".join(sorted(one.industry for one, _ in judged))
    return msgspec.structs.replace(
        flag,
        status=FlagStatus.NEEDS_REVIEW,
        reason_zh=f"企业涉及多个行业（{industries}），请在登记簿“申报事项”中明确 industry；{flag.reason_zh}",
        reason_en=f"several industries ({industries}): declare which one (industry); {flag.reason_en}",
    )


def _without_industry(known: Known, enterprise: Enterprise, facts: Facts) -> Flag:
    if enterprise.trade and not facts.notes:
        flag = _without(
            known, enterprise, facts, FlagSubject.POWER, "所属行业不在加价规则之列", "no rule names its trade"
        )
        return msgspec.structs.replace(flag, status=FlagStatus.CLEAR)
    what = Missing(
        "industry",
        "所属行业",
        "the industry",
        "登记簿：行业代码、生产线产品或申报事项 / register: trade, product, declared",
    )
    flag = _without(known, enterprise, facts, FlagSubject.POWER, "行业不明", "the industry is not known")
    return msgspec.structs.replace(flag, missing=(what,))


def _without(
    known: Known, enterprise: Enterprise, facts: Facts, subject: FlagSubject, reason_zh: str, reason_en: str
) -> Flag:
    return Flag(
        uscc=known.uscc,
        name=enterprise.name,
        district=enterprise.district,
        industry="",
        period=known.period.name,
        subject=subject,
        status=FlagStatus.NEEDS_DATA,
        reason_zh=reason_zh,
        reason_en=reason_en,
        coverage=facts.coverage,
        notes=facts.notes,
    )


def _flag(
    known: Known,
    enterprise: Enterprise,
    case: TariffFacts,
    verdict: TariffVerdict,
    facts: Facts,
    subject: FlagSubject,
    parts: tuple[FlagPart, ...],
) -> Flag:
    rule = verdict.rule
    ratio = verdict.excess_ratio
    return Flag(
        uscc=known.uscc,
        name=enterprise.name,
        district=enterprise.district,
        industry=case.industry,
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
        notes=tuple(dict.fromkeys((*facts.notes, *verdict.assumptions, *verdict.notes, *_previewed(verdict)))),
        parts=parts if len(parts) > 1 else (),
        facts=facts_text(case),
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
        applies=(verdict.kind, verdict.rule_id) == (chosen.kind, chosen.rule_id),
        reason_zh=verdict.reason_zh,
        reason_en=verdict.reason_en,
    )


def _step(step: Step) -> FlagStep:
    document = "" if step.citation is None else f"{step.citation.document} {step.citation.clause}".strip()
    result = format(step.result, "f") if isinstance(step.result, Decimal) else str(step.result)
    return FlagStep(step.label_zh, step.label_en, step.formula, result, step.unit, document)
