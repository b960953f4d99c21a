"""A case against the limit in force: one verdict a metric, or an honest reason why there is none."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, localcontext
from typing import Final

from models.law.case import Case, Measured, metrics_of
from models.law.changed import replace
from models.law.conclusion import Worked, concluded
from models.law.correction_rows import Correction
from models.law.corrections import Corrected, correct
from models.law.figures import Figure, figure_of
from models.law.library import Law
from models.law.limit_rows import LEVELS, LevelName, Limit, Standard
from models.law.lookup import Applies, find_limit
from models.law.no_limit import no_limit
from models.law.numbers import PRECISION, shown
from models.law.steps import Missing, Step, cite_limit
from models.law.verdict import LevelResult, LevelVerdict, LimitVerdict
from models.law.vocabulary import FactName

DECISIVE: Final[Mapping[str, LevelName]] = {"existing": "level3", "new": "level2"}


def judge_limits(law: Law, case: Case) -> tuple[LimitVerdict, ...]:
    """Every metric of a case, each on its own: there is no overall grade. Raises ConversionError."""
    return tuple(judge_limit(law, case, measured) for measured in case.measured)


def judge_limit(law: Law, case: Case, measured: Measured) -> LimitVerdict:
    """One metric. Raises ConversionError where its energy items cannot be meant."""
    metrics = metrics_of(law, case.industry, case.product)
    metric = measured.metric if measured.metric is not None else metrics[0] if len(metrics) == 1 else None
    blank = LimitVerdict(
        status="undetermined",
        industry=case.industry,
        product=case.product,
        metric=metric,
        unit=measured.unit,
        decisive=DECISIVE[case.plant],
        reason_zh="",
        reason_en="",
        law_version=law.version,
        law_digest=law.digest,
    )
    if metric is None:
        named = ", ".join(metrics)
        what = Missing("metric", f"指标（{named}）", f"the metric ({named})", "case")
        return replace(
            blank, status="needs_data", reason_zh="未指明指标", reason_en="the metric is not named", missing=(what,)
        )
    answer = find_limit(
        law,
        industry=case.industry,
        product=case.product,
        metric=metric,
        region=case.region,
        first=case.period_from,
        last=case.period_to,
        facts=case.given,
    )
    if not isinstance(answer, Applies):
        return no_limit(law, blank, answer, case)
    with localcontext(PRECISION):
        verdict = _judged(law, blank, answer, case, measured)
        if answer.national is not None:
            national = _judged(
                law, blank, Applies(answer.national, law.table(Standard)[answer.national.standard]), case, measured
            )
            verdict = _stricter(verdict, national)
    return verdict


def _stricter(local: LimitVerdict, national: LimitVerdict) -> LimitVerdict:
    """A local limit counts where it is stricter than the national one at the deciding level; else the national does."""
    if national.corrected_limit is None:
        return local
    if local.corrected_limit is None or national.corrected_limit < local.corrected_limit:
        chosen, other = national, local
    else:
        chosen, other = local, national
    value = "-" if other.corrected_limit is None else shown(other.corrected_limit)
    named = f"{other.limit_row.id}: {value}" if other.limit_row is not None else ""
    return replace(chosen, notes=(*chosen.notes, f"取更严的一个 / the stricter of two limits; the other is {named}"))


def _judged(law: Law, blank: LimitVerdict, answer: Applies, case: Case, measured: Measured) -> LimitVerdict:
    limit, standard = answer.limit, answer.standard
    decisive = blank.decisive
    cited = cite_limit(limit, standard, decisive)
    published: Decimal | None = getattr(limit, decisive)
    assumptions = tuple(f"{name}: no (assumed)" for name in answer.assumed_not)
    figure = figure_of(law, limit, case, measured)
    notes = (*_notes(law, limit, standard, case), *figure.notes)
    if figure.value is None:
        return replace(
            blank,
            status="needs_data",
            unit=limit.unit,
            limit_row=limit,
            standard=standard,
            limit=published,
            steps=figure.steps,
            citations=(cited,),
            assumptions=assumptions,
            notes=notes,
            missing=figure.missing,
            reason_zh="缺少实际值或其单位不符",
            reason_en="the actual figure is missing or in another unit",
        )
    rows = [law.table(Correction)[name] for name in limit.corrections]
    corrected = correct(limit, rows, figure.value, case.given)
    uncertainty = None if measured.uncertainty is None else abs(figure.value) * measured.uncertainty / 100
    levels = tuple(_level(limit, level, corrected, uncertainty) for level in LEVELS)
    excess, ratio, noted = _excess(corrected.actual, corrected.levels.get(decisive))
    verdict = replace(
        blank,
        unit=limit.unit,
        limit_row=limit,
        standard=standard,
        limit=published,
        actual=corrected.actual,
        actual_reported=figure.value,
        corrected_limit=corrected.levels.get(decisive),
        uncertainty=uncertainty,
        excess=excess,
        excess_ratio=ratio,
        levels=levels,
        level=next((int(one.level[-1]) for one in levels if one.result == "meets"), None),
        steps=(
            *figure.steps,
            *_published(limit, standard),
            *corrected.steps,
            *_uncertainty_step(measured, figure, limit),
        ),
        citations=tuple(dict.fromkeys([cited, *corrected.citations])),
        assumptions=(*assumptions, *_assumed(law, corrected)),
        notes=(*notes, *noted),
    )
    return concluded(verdict, Worked(law, rows, case.given, figure, corrected))


def _published(limit: Limit, standard: Standard) -> tuple[Step, ...]:
    return tuple(
        Step(
            "限额公布值",
            "limit as published",
            shown(value),
            value,
            limit.unit,
            cite_limit(limit, standard, level),
            level,
        )
        for level, value in limit.levels()
        if value is not None
    )


def _uncertainty_step(measured: Measured, figure: Figure, limit: Limit) -> tuple[Step, ...]:
    percent = measured.uncertainty
    if percent is None or figure.value is None:
        return ()
    value = abs(figure.value) * percent / 100
    formula = f"{shown(abs(figure.value))} × {shown(percent)}% = {shown(value)}"
    return (Step("不确定度", "uncertainty of the actual figure", formula, value, limit.unit),)


def _assumed(law: Law, corrected: Corrected) -> tuple[str, ...]:
    names = law.table(FactName)
    return tuple(
        f"{names[name].name_zh}未提供，按不修正计 / {names[name].name_en} ({name}) is not given: not corrected for"
        for name in dict.fromkeys([*corrected.claimed, *corrected.asked])
    )


def _level(limit: Limit, level: LevelName, corrected: Corrected, uncertainty: Decimal | None) -> LevelVerdict:
    published: Decimal | None = getattr(limit, level)
    if published is None:
        gone: LevelResult = "not_in_library" if limit.missing_because == "not_found" else "no_such_level"
        return LevelVerdict(level, None, None, gone)
    value = corrected.levels[level]
    result: LevelResult
    if limit.confidence_of(level) != "V":
        result = "unverified"
    elif corrected.required or corrected.undefined:
        result = "open"
    elif uncertainty is not None and uncertainty > 0 and abs(corrected.actual - value) <= uncertainty:
        result = "within_uncertainty"
    else:
        result = "meets" if corrected.actual <= value else "exceeds"
    return LevelVerdict(level, published, value, result)


def _notes(law: Law, limit: Limit, standard: Standard, case: Case) -> tuple[str, ...]:
    notes = [f"{row.id}: {row.note}" for row in (limit, standard) if row.note is not None]
    if standard.dates_confidence not in (None, "V"):
        notes.append(f"{standard.id}: 实施日期未经核实 / its dates are not verified ({standard.dates_confidence})")
    if case.decision_date is not None and not standard.in_force(case.decision_date):
        later = [
            one.id
            for one in law.table(Standard).values()
            if one.family == standard.family and one.in_force(case.decision_date)
        ]
        named = ", ".join(later) or "another version"
        notes.append(
            f"决定时有效的是 {named}，但按用能期间适用 {standard.id} / on the day of decision {named} is in force;"
            f" the period of consumption is judged by {standard.id}"
        )
    return tuple(notes)


def _excess(actual: Decimal, limit: Decimal | None) -> tuple[Decimal | None, Decimal | None, tuple[str, ...]]:
    """By how much the figure is over the corrected limit, its share of the limit, and why there is none."""
    if limit is None:
        return None, None, ()
    if limit > 0:
        return actual - limit, (actual - limit) / limit, ()
    return actual - limit, None, ("限额不大于零，不计算超出比例 / the limit is not above zero: no ratio over it",)
