"""The corrections of a limit carried out: every step kept, and what was not given said, never filled in silently."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, localcontext
from itertools import product
from typing import Final

from models.law.conditions import Condition, Facts, FactValue, met, unknown_facts
from models.law.correction_rows import Correction
from models.law.formulas import FORMULAS, Worked
from models.law.limit_rows import LevelName, Limit
from models.law.numbers import PRECISION, shown, signed
from models.law.steps import Citation, Step, cite_row
from models.law.vocabulary import FactName

MOST_CASES: Final = 4096
"""Combinations of unknown inputs that are tried; with more, an unknown input is taken to turn the verdict."""


@dataclass(frozen=True, slots=True)
class Corrected:
    """A limit's levels and the actual figure after the corrections.

    `required`: facts without which nothing can be said. `asked`: facts taken as neutral that could turn a verdict.
    `claimed`: facts taken as neutral because nobody claimed them. `undefined`: corrections the standard does not define
    for these inputs. `unverified`: corrections of confidence M or S that were applied. `doubtful`: those to be checked.
    """

    levels: Mapping[LevelName, Decimal]
    actual: Decimal
    steps: tuple[Step, ...]
    required: tuple[str, ...]
    asked: tuple[str, ...]
    claimed: tuple[str, ...]
    undefined: tuple[str, ...]
    unverified: tuple[str, ...]
    doubtful: tuple[str, ...]
    citations: tuple[Citation, ...]


@dataclass
class _Work:
    levels: dict[LevelName, Decimal]
    actual: Decimal
    unit: str
    steps: list[Step] = field(default_factory=list)
    required: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    claimed: list[str] = field(default_factory=list)
    undefined: list[str] = field(default_factory=list)
    unverified: list[str] = field(default_factory=list)
    doubtful: list[str] = field(default_factory=list)
    citations: list[Citation] = field(default_factory=list)


def correct(limit: Limit, corrections: Sequence[Correction], actual: Decimal, facts: Facts) -> Corrected:
    """Apply a limit's corrections in their order. `actual` is in the limit's unit."""
    work = _Work({level: value for level, value in limit.levels() if value is not None}, actual, limit.unit)
    with localcontext(PRECISION):
        for correction in corrections:
            _apply(correction, facts, work)
    return Corrected(
        levels=work.levels,
        actual=work.actual,
        steps=tuple(work.steps),
        required=tuple(dict.fromkeys(work.required)),
        asked=tuple(dict.fromkeys(work.asked)),
        claimed=tuple(dict.fromkeys(work.claimed)),
        undefined=tuple(work.undefined),
        unverified=tuple(work.unverified),
        doubtful=tuple(work.doubtful),
        citations=tuple(work.citations),
    )


def possible_cases(
    corrections: Sequence[Correction], names: Mapping[str, FactName], facts: Facts
) -> Iterator[Facts] | None:
    """The case with every asked input that is not given set to its extremes, each with each; None: too many or open."""
    values: dict[str, list[FactValue]] = {}
    for correction in corrections:
        if correction.if_missing != "ask":
            continue
        for name in correction.asks:
            if name in facts or name in values:
                continue
            found = _extremes(names[name], correction)
            if found is None:
                return None
            values[name] = found
    count = 1
    for one in values.values():
        count *= len(one)
    if count > MOST_CASES:
        return None
    return ({**facts, **dict(zip(values, chosen, strict=True))} for chosen in product(*values.values()))


def _extremes(name: FactName, correction: Correction) -> list[FactValue] | None:
    match name.kind:
        case "yes_no":
            return [False, True]
        case "choice":
            return list(name.choices)
        case "number":
            if name.min is None or name.max is None:
                return None
            bounds = [bound for band in correction.bands for bound in (band.low, band.high) if bound is not None]
            return list(dict.fromkeys([name.min, *bounds, name.max]))


def _apply(correction: Correction, facts: Facts, work: _Work) -> None:
    applies = met(correction.when, facts)
    if applies is False:
        return
    lacking = [*unknown_facts(correction.when, facts), *_lacking_inputs(correction, facts)]
    if applies and not lacking:
        lacking = list(unknown_facts(correction.valid_when, facts))
    if lacking:
        kept = {"required": work.required, "ask": work.asked, "claimed": work.claimed}[correction.if_missing]
        kept.extend(lacking)
        return
    if correction.valid_when and not met(correction.valid_when, facts):
        work.undefined.append(_not_defined(correction, correction.valid_when))
        return
    before = len(work.steps)
    _carry_out(correction, facts, work)
    if len(work.steps) == before:
        return
    work.citations.append(_cite(correction))
    if not correction.enforceable:
        work.unverified.append(correction.id)
    if correction.doubt is not None:
        work.doubtful.append(correction.id)


def _lacking_inputs(correction: Correction, facts: Facts) -> list[str]:
    asked = [*([correction.input] if correction.input else []), *correction.inputs]
    return [name for name in asked if name not in facts]


def _not_defined(correction: Correction, conditions: Sequence[Condition]) -> str:
    return f"{correction.id}: " + ", ".join(one.said() for one in conditions)


def _cite(correction: Correction) -> Citation:
    return cite_row(correction.standard, correction, correction.clause)


def _number(facts: Facts, name: str | None) -> Decimal:
    value = facts[name] if name is not None else None
    if not isinstance(value, Decimal):
        raise TypeError(f"{name}: {value!r} is not a number")
    return value


def _carry_out(correction: Correction, facts: Facts, work: _Work) -> None:
    match correction.op:
        case "constant":
            _add(correction, correction.value or Decimal(0), work)
        case "multiply":
            _multiply(correction, Decimal(1) if correction.value is None else correction.value, work)
        case "formula":
            _formula(correction, facts, work)
        case "choices" | "declared":
            _by_word(correction, facts, work)
        case "per_unit" | "factor" | "bands" | "table":
            _by_number(correction, _number(facts, correction.input), work)


def _by_word(correction: Correction, facts: Facts, work: _Work) -> None:
    word = facts[str(correction.input)]
    if correction.op == "declared":
        if word is not True:
            work.undefined.append(f"{correction.id}: {correction.input} = yes")
        return
    added = {one.choice: one.add for one in correction.choices}.get(str(word))
    if added is None:
        work.undefined.append(f"{correction.id}: {correction.input} = {word}")
    else:
        _add(correction, added, work)


def _by_number(correction: Correction, number: Decimal, work: _Work) -> None:
    match correction.op:
        case "per_unit":
            _per_unit(correction, number, work)
        case "factor":
            _multiply(correction, number, work)
        case "table":
            _table(correction, number, work)
        case _:
            band = next((one for one in correction.bands if one.holds(number)), None)
            if band is None:
                work.undefined.append(f"{correction.id}: {correction.input} = {shown(number)}")
            else:
                _add(correction, band.add, work)


def _note(correction: Correction, level: LevelName | None, formula: str, result: Decimal, work: _Work) -> None:
    step = Step(correction.title_zh, correction.title_en, formula, result, work.unit, _cite(correction), level)
    work.steps.append(step)


def _per_unit(correction: Correction, number: Decimal, work: _Work) -> None:
    base = correction.base or Decimal(0)
    delta = number - base
    difference = f"({shown(number)} - {shown(base)})" if base else shown(number)
    for bound, out in ((correction.min_delta, Decimal.__lt__), (correction.max_delta, Decimal.__gt__)):
        if bound is not None and out(delta, bound):
            delta = bound
            difference = f"({shown(bound)})"
    for level in correction.levels:
        step = correction.coefficient.of(level) if correction.coefficient is not None else None
        if step is None or level not in work.levels or not delta:
            continue
        before = work.levels[level]
        work.levels[level] = before + step * delta
        formula = f"{shown(before)} {signed(step)} × {difference} = {shown(work.levels[level])}"
        _note(correction, level, formula, work.levels[level], work)


def _add(correction: Correction, value: Decimal, work: _Work) -> None:
    for level in correction.levels:
        if level in work.levels and value:
            before = work.levels[level]
            work.levels[level] = before + value
            formula = f"{shown(before)} {signed(value)} = {shown(work.levels[level])}"
            _note(correction, level, formula, work.levels[level], work)


def _multiply(correction: Correction, value: Decimal, work: _Work) -> None:
    for level in correction.levels:
        if level in work.levels and value != 1:
            before = work.levels[level]
            work.levels[level] = before * value
            formula = f"{shown(before)} × {shown(value)} = {shown(work.levels[level])}"
            _note(correction, level, formula, work.levels[level], work)


def _table(correction: Correction, number: Decimal, work: _Work) -> None:
    points = correction.points
    if not points[0][0] <= number <= points[-1][0]:
        work.undefined.append(
            f"{correction.id}: {shown(points[0][0])} ≤ {correction.input} ≤ {shown(points[-1][0])}, not {shown(number)}"
        )
        return
    after = next(index for index, (x, _) in enumerate(points) if number <= x)
    (x1, y1), (x0, y0) = points[after], points[max(after - 1, 0)]
    if number == x1:
        _add(correction, y1, work)
        return
    value = y0 + (y1 - y0) * (number - x0) / (x1 - x0)
    formula = (
        f"{shown(y0)} + ({shown(y1)} - {shown(y0)}) × ({shown(number)} - {shown(x0)})"
        f" / ({shown(x1)} - {shown(x0)}) = {shown(value)}"
    ).replace("- -", "+ ")
    _note(correction, None, formula, value, work)
    _add(correction, value, work)


def _formula(correction: Correction, facts: Facts, work: _Work) -> None:
    formula = FORMULAS[str(correction.formula)]
    numbers = {name: _number(facts, name) for name in correction.inputs}
    if formula.target == "actual":
        try:
            worked = formula.work(work.actual, numbers)
        except ArithmeticError:
            work.undefined.append(f"{correction.id}: " + ", ".join(f"{k} = {shown(v)}" for k, v in numbers.items()))
            return
        work.actual = worked.value
        _note_lines(correction, None, worked, work)
        return
    for level in correction.levels:
        if level in work.levels:
            worked = formula.work(work.levels[level], numbers)
            work.levels[level] = worked.value
            _note_lines(correction, level, worked, work)


def _note_lines(correction: Correction, level: LevelName | None, worked: Worked, work: _Work) -> None:
    """The lines of a formula; only the last is in the unit of the limit."""
    for index, (line, result) in enumerate(worked.lines, start=1):
        unit = work.unit if index == len(worked.lines) else ""
        cite = _cite(correction)
        work.steps.append(Step(correction.title_zh, correction.title_en, line, result, unit, cite, level))
