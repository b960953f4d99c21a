"""The facts file of a surcharge: tariff facts and, in `[intensity]`, the case whose limit verdict punitive pricing
follows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from models.law.case import Case, unknown_names
from models.law.faults import LawFaults, nearest
from models.law.judge import judge_limits
from models.law.library import Law
from models.law.reading import Found, parsed, placed, validated
from models.law.rows import RowId
from models.law.tariff_facts import TariffFacts
from models.law.tariff_judge import judge_tariff, moved_to, what_if
from models.law.tariff_rows import TariffIndustry, TariffRule
from models.law.tariff_verdict import TariffJudgement
from models.law.verdict import LimitVerdict
from models.law.vocabulary import Industry, Metric, RegionName, region_chain

_SHARED = ("enterprise", "industry", "product", "period_from", "period_to", "decision_date")


@dataclass(frozen=True, slots=True)
class TariffFile:
    """What a facts file says: the facts, and the case of its `[intensity]` table, if any."""

    facts: TariffFacts
    case: Case | None = None


@dataclass(frozen=True, slots=True)
class FileJudgement:
    """The judgement of a facts file, and the limit verdict it rests on, if any."""

    tariff: TariffJudgement
    limit: LimitVerdict | None = None


def read_tariff(path: Path, law: Law) -> TariffFile:
    """A facts file read and checked. Raises LawFaults with file and line, OSError."""
    return tariff_of(str(path), path.read_bytes(), law)


def tariff_of(name: str, data: bytes, law: Law) -> TariffFile:
    """The same from the contents of a file; every name checked against the packs. Raises LawFaults."""
    document, text, broken = parsed(name, data)
    if broken is not None:
        raise LawFaults([broken])
    found: list[Found] = []
    intensity = document.pop("intensity", None)
    facts = validated(TariffFacts, document, (), found)
    case = None
    if facts is not None:
        found += _unknown(facts, law)
        if intensity is not None and not found:
            case = _case(facts, document, intensity, law, found)
    faults = placed(name, text, found)
    if faults or facts is None:
        raise LawFaults(faults)
    return TariffFile(facts, case)


def judge_file(law: Law, file: TariffFile) -> FileJudgement:
    """The limit of the file's case, where it has one, and the surcharges that follow. Raises ConversionError.

    Of several metrics the one furthest above its limit counts: each is a limit of its own.
    """
    limit: LimitVerdict | None = None
    if file.case is not None:
        verdicts = judge_limits(law, file.case)
        limit = max(verdicts, key=lambda one: (one.status == "exceeds", one.excess_ratio or Decimal(-1)))
    return FileJudgement(judge_tariff(law, file.facts, limit), limit)


def file_what_if(
    file: TariffFile,
    *,
    intensity: Decimal | None = None,
    metric: RowId | None = None,
    as_of: date | int | None = None,
) -> TariffFile:
    """The same file with another consumption or another year: see `what_if`; the case of `[intensity]` goes along.

    A consumption is of the figures, unless `metric` names (or the file has only) one measured in `[intensity]`.
    Raises ValueError where it is not clear which figure is meant.
    """
    facts, case = file.facts, file.case
    if intensity is not None and case is not None and _means_case(file, metric):
        case = _with_actual(case, intensity, metric)
        intensity = None
    facts = what_if(facts, intensity=intensity, metric=metric, as_of=as_of)
    if case is not None and as_of is not None:
        years = facts.period_from.year - file.facts.period_from.year
        case = case.model_copy(
            update={
                "period_from": moved_to(case.period_from, years),
                "period_to": moved_to(case.period_to, years),
                "decision_date": None,
            }
        )
    return TariffFile(facts, case)


def _means_case(file: TariffFile, metric: RowId | None) -> bool:
    figures = [one.metric for one in file.facts.figures]
    if metric is None:
        return not figures
    measured = [one.metric for one in file.case.measured] if file.case is not None else []
    return metric not in figures and metric in measured


def _with_actual(case: Case, value: Decimal, metric: RowId | None) -> Case:
    named = [index for index, one in enumerate(case.measured) if metric in (None, one.metric)]
    if len(named) != 1 or case.measured[named[0]].actual is None:
        known = ", ".join(str(one.metric) for one in case.measured)
        raise ValueError(f"[intensity] 中的数值不明确 / which figure of [intensity] is meant: {known}")
    measured = tuple(
        one.model_copy(update={"actual": value}) if index == named[0] else one
        for index, one in enumerate(case.measured)
    )
    return case.model_copy(update={"measured": measured})


def _case(facts: TariffFacts, document: Mapping[str, Any], intensity: Any, law: Law, found: list[Found]) -> Case | None:
    """The case of `[intensity]`: what it shares with the facts is not written twice."""
    if not isinstance(intensity, Mapping):
        found.append((("intensity",), "not a table", "Write it as [intensity]."))
        return None
    shared = {key: document[key] for key in _SHARED if key in document}
    region = next(code for code in region_chain(facts.region) if code in law.table(RegionName))
    case = validated(Case, {**shared, "region": region, **intensity}, ("intensity",), found)
    if case is not None:
        found += [(("intensity", *path), problem, remedy) for path, problem, remedy in unknown_names(case, law)]
    return case


def _unknown(facts: TariffFacts, law: Law) -> list[Found]:
    found: list[Found] = []
    regions, metrics, rules = law.table(RegionName), law.table(Metric), law.table(TariffRule)
    industries = {**law.table(Industry), **law.table(TariffIndustry)}
    if "-".join(facts.region.split("-")[:2]) not in regions:
        found.append((("region",), f"unknown region {facts.region!r}", nearest(facts.region, regions)))
    if facts.industry not in industries:
        found.append((("industry",), f"unknown industry {facts.industry!r}", nearest(facts.industry, industries)))
    for index, figure in enumerate(facts.figures):
        if figure.metric is not None and figure.metric not in metrics:
            path = ("figures", index, "metric")
            found.append((path, f"unknown metric {figure.metric!r}", nearest(figure.metric, metrics)))
    water = facts.water
    if water is not None and water.rule is not None and water.rule not in rules:
        names = [rule.id for rule in rules.values() if rule.kind == "water"]
        found.append((("water", "rule"), f"there is no rule {water.rule!r}", nearest(water.rule, names)))
    return found
