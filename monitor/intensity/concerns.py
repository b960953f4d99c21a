"""What of a period is worth a person's look, and the findings that make leads of it.

A period's finding is dated by the night of its last day and stands on the meters its electricity was counted from, so
that it becomes a lead by the path all findings take: raised once a site, kind and month, amended or withdrawn by late
data, told and handled like the others.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from models.domain.accounts import Period
from models.domain.findings import Finding, Reason, Status
from models.domain.leads import LeadKind
from models.domain.nights import night_of_date
from models.domain.register import Register
from models.law.explain import LEVEL_RESULT_WORDS
from models.law.numbers import shown
from models.law.steps import Step
from models.law.verdict import LEVEL_WORDS
from monitor.intensity.judging import Judged
from monitor.leads import NightFinding

MOST_METERS: Final = 20
"""Meters of a site a period's finding stands on; of more, the first by id."""


@dataclass(frozen=True, slots=True)
class Concern:
    """Something about one enterprise and period. `strength` in [0, 1]: how far beyond the line it is.

    `sites`: where, the first is the lead's subject; empty: the enterprise's first site. `probability` is a forecast's.
    """

    kind: LeadKind
    strength: float
    reasons: tuple[Reason, ...]
    sites: tuple[str, ...] = ()
    measures: Mapping[str, float] = field(default_factory=dict)
    probability: float | None = None


def intensity_concern(judged: Judged) -> Concern | None:
    """A limit that is surely exceeded, with the whole calculation; None for every other status."""
    if judged.status != "exceeds":
        return None
    verdict = judged.verdict
    limit, actual = verdict.corrected_limit, verdict.actual
    if limit is None or actual is None or verdict.excess is None:
        return None
    product, metric = titles(judged)
    ratio = verdict.excess_ratio
    share = "" if ratio is None else f" ({shown((ratio * 100).quantize(Decimal('0.1')))}%)"
    figures = f"{shown(actual)} > {shown(limit)} {verdict.unit}"
    standard = verdict.standard.id if verdict.standard is not None else ""
    zh_level, en_level = LEVEL_WORDS[verdict.decisive]
    reasons = [
        Reason(
            "over_limit",
            float(verdict.excess),
            verdict.unit or "",
            f"{judged.period.name} {product}{metric}超过 {standard} {zh_level}：{figures}，"
            f"超出 {shown(verdict.excess)}{share}",
            f"{judged.period.name} {judged.product} {judged.metric} above {standard} {en_level}: {figures}, "
            f"by {shown(verdict.excess)}{share}",
        )
    ]
    reasons += step_reasons(verdict.steps)
    for one in verdict.levels:
        if one.corrected is not None:
            zh, en = LEVEL_WORDS[one.level]
            words = LEVEL_RESULT_WORDS[one.result]
            text = f"{shown(one.corrected)} {verdict.unit} {words}"
            reasons.append(Reason("level", float(one.corrected), verdict.unit or "", f"{zh}：{text}", f"{en}: {text}"))
    reasons += [Reason("citation", 0.0, "1", f"依据：{one}", f"rests on: {one}") for one in verdict.citations]
    strength = 0.5 if ratio is None else min(1.0, 0.5 + float(ratio))
    measures = {f"{judged.product}.{judged.metric}": float(actual), f"{judged.product}.limit": float(limit)}
    return Concern(LeadKind.INTENSITY, round(strength, 4), tuple(reasons), judged.sites, measures)


def step_reasons(steps: Sequence[Step]) -> list[Reason]:
    """Each line of arithmetic as a reason, in their order: a person can redo them one by one."""
    return [
        Reason("step", float(step.result), step.unit, _line(step, zh=True), _line(step, zh=False)) for step in steps
    ]


def _line(step: Step, *, zh: bool) -> str:
    words = LEVEL_WORDS[step.level][0 if zh else 1] if step.level is not None else ""
    cited = f" [{step.citation.document} {step.citation.clause}".rstrip() + "]" if step.citation is not None else ""
    if zh:
        return f"{step.label_zh}{words}：{step.formula} {step.unit}{cited}"
    return f"{step.label_en} {words}".rstrip() + f": {step.formula} {step.unit}{cited}"


def titles(judged: Judged) -> tuple[str, str]:
    """Product and metric in the standard's own Chinese words, or by id where no limit was found."""
    row = judged.verdict.limit_row
    return (row.product_zh, row.metric_zh) if row is not None else (judged.product, judged.metric)


def findings_of(
    uscc: str, period: Period, digest: str, concerns: Iterable[Concern], register: Register
) -> list[NightFinding]:
    """Findings of an enterprise's concerns in a period: one a kind and meter of the sites concerned.

    An enterprise without a site or meter on the last day has none: there is nothing a lead could point at.
    """
    groups: dict[tuple[LeadKind, str], list[Concern]] = {}
    for concern in concerns:
        site = _subject(uscc, concern.sites, period.last, register)
        if site is not None:
            groups.setdefault((concern.kind, site), []).append(concern)
    found: list[NightFinding] = []
    end_ms = night_of_date(period.last, register.zone).end_ms
    for (kind, site), some in sorted(groups.items()):
        some.sort(key=lambda concern: (-concern.strength, [reason.zh for reason in concern.reasons]))
        probabilities = [concern.probability for concern in some if concern.probability is not None]
        meters = sorted(meter.meter for meter in register.meters_at(site, period.last))[:MOST_METERS]
        for meter in meters:
            said = Finding(
                detector=kind.value,
                meter=meter,
                night=period.last,
                status=Status.SUSPECT,
                score=some[0].strength,
                probability=max(probabilities, default=None),
                mismatch=some[0].strength,
                reasons=tuple(reason for concern in some for reason in concern.reasons),
                measures={name: value for concern in some for name, value in concern.measures.items()},
            )
            found.append(NightFinding(said, site, digest, end_ms))
    return found


def meters_of(uscc: str, register: Register) -> list[str]:
    """Every meter that was ever at a site of an enterprise: whose earlier findings are replaced."""
    return sorted({row.meter for site in register.sites_of(uscc) for row in register.meter_rows_of(site.site)})


def _subject(uscc: str, sites: Sequence[str], on: dt.date, register: Register) -> str | None:
    mine = sorted(row.site for row in register.sites_of(uscc) if row.valid_on(on) and register.meters_at(row.site, on))
    return next((site for site in sites if site in mine), mine[0] if mine else None)
