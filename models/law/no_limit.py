"""What is said where no limit could be applied, and where one could but for facts that are not given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from models.law.case import Case
from models.law.library import Law
from models.law.limit_rows import Limit, Standard
from models.law.lookup import Applies, FactsNeeded, LimitAnswer, NotCovered, PeriodIsSplit, ValuesNotHere
from models.law.steps import Citation, Missing, cite_limit
from models.law.verdict import LimitVerdict
from models.law.vocabulary import FactName


def no_limit(law: Law, blank: LimitVerdict, answer: LimitAnswer, case: Case) -> LimitVerdict:
    """The verdict for every answer of the look-up but a limit. Raises TypeError for a limit."""
    match answer:
        case ValuesNotHere(standards):
            named = ", ".join(one.id for one in standards)
            missing = tuple(
                Missing(one.id, f"{one.id} 的限额值", f"the limits of {one.id}", one.title_zh) for one in standards
            )
            return replace(
                blank,
                standard=standards[0],
                missing=missing,
                citations=tuple(Citation(one.id, "", one.source, one.confidence) for one in standards),
                reason_zh=f"当期有效的是 {named}，其限额值不在库中",
                reason_en=f"{named} is in force for the period; its values are not in the library",
            )
        case PeriodIsSplit(on, standards):
            days = ", ".join(day.isoformat() for day in on)
            named = " → ".join(one.id for one in standards)
            part = Missing("period", f"以 {days} 为界的各段数据", f"figures for each part, cut at {days}", "case")
            return replace(
                blank,
                status="needs_data",
                missing=(part,),
                reason_zh=f"标准在期间内更替（{named}），须在 {days} 分段核算",
                reason_en=f"the standard changes inside the period ({named}): judge each part, cut at {days}",
            )
        case FactsNeeded(facts, _):
            return needs_facts(
                law, blank, facts, "适用哪一档限额取决于缺失的数据", "which limit applies depends on facts not given"
            )
        case NotCovered(because, limits):
            return _not_covered(law, blank, because, limits, case)
        case Applies():
            raise TypeError("a limit that applies is judged")


def _not_covered(law: Law, blank: LimitVerdict, because: str, limits: Sequence[Limit], case: Case) -> LimitVerdict:
    standards = ", ".join(dict.fromkeys(one.standard for one in limits))
    match because:
        case "exempt":
            cited = cite_limit(limits[0], law.table(Standard)[limits[0].standard], blank.decisive)
            blank = replace(blank, limit_row=limits[0], unit=limits[0].unit, citations=(cited,))
            said = (f"{limits[0].applies_when or ''}：不予考核", f"exempt: {limits[0].applies_when or limits[0].id}")
        case "condition":
            covered = "; ".join(" and ".join(one.said() for one in limit.when) for limit in limits)
            said = (f"标准没有覆盖这种情况（仅有：{covered}）", f"no limit covers this case; there are: {covered}")
        case _:
            period = f"{case.period_from} - {case.period_to}"
            said = (
                f"库中没有 {period} 有效的限额（有：{standards or '无'}）",
                f"no limit in the library is in force in {period} (there are: {standards or 'none'})",
            )
    return replace(blank, reason_zh=said[0], reason_en=said[1])


def needs_facts(law: Law, verdict: LimitVerdict, facts: Sequence[str], zh: str, en: str) -> LimitVerdict:
    """The verdict withheld until the named facts are given."""
    names = law.table(FactName)
    missing = tuple(Missing(name, names[name].name_zh, names[name].name_en, names[name].ask) for name in facts)
    return replace(verdict, status="needs_data", reason_zh=zh, reason_en=en, missing=missing, level=None)
