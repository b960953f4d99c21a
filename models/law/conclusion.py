"""From levels and corrections to a status: what may be said, and what must be withheld."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from models.law.changed import replace
from models.law.conditions import Facts
from models.law.correction_rows import Correction
from models.law.corrections import Corrected, correct, possible_cases
from models.law.figures import Figure
from models.law.library import Law
from models.law.limit_rows import LevelName
from models.law.no_limit import needs_facts
from models.law.numbers import shown
from models.law.steps import Missing
from models.law.verdict import LEVEL_WORDS, LevelVerdict, LimitVerdict, Status
from models.law.vocabulary import FactName


@dataclass(frozen=True, slots=True)
class Worked:
    """What a verdict was worked out from."""

    law: Law
    rows: Sequence[Correction]
    facts: Facts
    figure: Figure
    corrected: Corrected


def concluded(verdict: LimitVerdict, worked: Worked) -> LimitVerdict:
    """The status, by the first that holds: no such level, not verified, data missing, not defined, too close."""
    own = next(one for one in verdict.levels if one.level == verdict.decisive)
    if own.result in ("no_such_level", "not_in_library"):
        return _without_level(verdict, own)
    corrected = worked.corrected
    whole = not corrected.required and not corrected.undefined
    plain = _plain_status(verdict, corrected) if whole else None
    if unverified := _unverified(verdict, own, worked):
        return replace(
            verdict,
            status="undetermined",
            preview=plain,
            level=None,
            missing=unverified,
            reason_zh="依据未经核实，只作预览，不得执行",
            reason_en="what it rests on is not verified: shown as a preview, not to be enforced",
        )
    if corrected.required:
        words = ("限额修正所需的数据缺失", "inputs of the correction are missing")
        return needs_facts(worked.law, verdict, corrected.required, *words)
    if plain is None:
        what = "; ".join(corrected.undefined)
        return replace(
            verdict,
            status="undetermined",
            reason_zh=f"标准没有给出这种情况的修正：{what}",
            reason_en=f"the standard gives no correction for this case: {what}",
        )
    turning = _levels_that_could_turn(verdict, worked)
    if turning:
        levels = tuple(replace(one, result="open") if one.level in turning else one for one in verdict.levels)
        verdict = replace(verdict, levels=levels)
    return _weighed(verdict, own, worked, plain, could_turn=verdict.decisive in turning)


def _weighed(
    verdict: LimitVerdict, own: LevelVerdict, worked: Worked, plain: Status, *, could_turn: bool
) -> LimitVerdict:
    zh, en = LEVEL_WORDS[verdict.decisive]
    if own.result == "within_uncertainty":
        return replace(
            verdict,
            status="needs_review",
            preview=plain,
            reason_zh=f"实际值与{zh}限额之差在不确定度之内",
            reason_en=f"the figure is within its uncertainty of {en}",
        )
    if could_turn:
        words = ("缺少的修正数据可能改变结论", "an input that is not given could turn the verdict")
        return needs_facts(worked.law, verdict, worked.corrected.asked, *words)
    if _hangs_on_a_doubt(verdict, worked):
        named = ", ".join(worked.corrected.doubtful)
        return replace(
            verdict,
            status="needs_review",
            preview=plain,
            reason_zh=f"结论取决于存疑的修正：{named}",
            reason_en=f"it hangs on a correction to be checked: {named}",
        )
    return _said(verdict, plain)


def _without_level(verdict: LimitVerdict, own: LevelVerdict) -> LimitVerdict:
    zh, en = LEVEL_WORDS[own.level]
    if own.result == "no_such_level":
        said = (f"该标准没有{zh}", f"no such level: the standard has no {en}")
    else:
        said = (f"{zh}的值不在库中", f"the value of {en} is not in the library")
    where = verdict.standard.id if verdict.standard is not None else ""
    missing = Missing(own.level, f"{zh}限额", f"the value of {en}", where)
    return replace(verdict, status="undetermined", reason_zh=said[0], reason_en=said[1], missing=(missing,))


def _unverified(verdict: LimitVerdict, own: LevelVerdict, worked: Worked) -> tuple[Missing, ...]:
    named = [*worked.corrected.unverified, *worked.figure.unverified]
    if own.result == "unverified" and verdict.limit_row is not None:
        named.insert(0, f"{own.level} of {verdict.limit_row.id}")
    where = "the text of the standard or notice"
    return tuple(Missing(name, f"{name} 的核实值", f"a verified value of {name}", where) for name in named)


def _plain_status(verdict: LimitVerdict, corrected: Corrected) -> Status:
    return "meets" if corrected.actual <= corrected.levels[verdict.decisive] else "exceeds"


def _said(verdict: LimitVerdict, status: Status) -> LimitVerdict:
    zh, en = LEVEL_WORDS[verdict.decisive]
    actual, limit = shown(verdict.actual or Decimal(0)), shown(verdict.corrected_limit or Decimal(0))
    sign = "≤" if status == "meets" else ">"
    words = {"meets": ("达到", "meets"), "exceeds": ("超过", "exceeds")}[status]
    best = verdict.level if verdict.level is not None and verdict.level != int(verdict.decisive[-1]) else None
    return replace(
        verdict,
        status=status,
        reason_zh=f"{words[0]}{zh}限额：{actual} {sign} {limit} {verdict.unit}" + (f"；达到{best}级" if best else ""),
        reason_en=f"{words[1]} {en}: {actual} {sign} {limit} {verdict.unit}"
        + (f"; it meets level {best}" if best else ""),
    )


def _levels_that_could_turn(verdict: LimitVerdict, worked: Worked) -> frozenset[LevelName]:
    """The levels not met that some value of an input that is not given would let the figure meet."""
    exceeded = {one.level for one in verdict.levels if one.result == "exceeds"}
    if not worked.corrected.asked or not exceeded:
        return frozenset()
    tries = _tries(verdict, worked)
    if tries is None:
        return frozenset(exceeded)
    return frozenset(level for tried in tries for level in exceeded if tried.actual <= tried.levels[level])


def _tries(verdict: LimitVerdict, worked: Worked) -> Iterator[Corrected] | None:
    """The corrections with the inputs that are not given at their extremes; None where that cannot be tried."""
    cases = possible_cases(worked.rows, worked.law.table(FactName), worked.facts)
    limit, actual = verdict.limit_row, worked.figure.value
    if cases is None or limit is None or actual is None:
        return None
    found = (correct(limit, worked.rows, actual, case) for case in cases)
    return (one for one in found if not one.required and not one.undefined)


def _hangs_on_a_doubt(verdict: LimitVerdict, worked: Worked) -> bool:
    limit, actual, doubtful = verdict.limit_row, worked.figure.value, worked.corrected.doubtful
    if not doubtful or limit is None or actual is None:
        return False
    without = correct(limit, [row for row in worked.rows if row.id not in doubtful], actual, worked.facts)
    return _plain_status(verdict, without) != _plain_status(verdict, worked.corrected)
