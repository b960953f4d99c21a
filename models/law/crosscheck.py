"""What must hold between rows: names that exist, one limit for one case, one version of a standard at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Final, TypeVar, cast

from models.law.conditions import Condition, exclude
from models.law.correction_rows import Correction
from models.law.equipment_rows import FurnaceRule
from models.law.factor_rows import Factor
from models.law.faults import nearest
from models.law.limit_rows import Limit, Standard
from models.law.rows import Identified, overlap
from models.law.vocabulary import FactName

R = TypeVar("R", bound=Identified)
Rows = Mapping[str, Mapping[str, Identified]]


@dataclass(frozen=True, slots=True)
class RowProblem:
    """A fault between rows, told at the row it is best put right in; `path` leads to the key inside the row."""

    section: str
    row_id: str
    path: tuple[str | int, ...]
    problem: str
    remedy: str
    about: str | None = None
    """The id that is missing: no fault of this row where a row of that id was refused for faults of its own."""
    absence: bool = False
    """The fault is that something is nowhere: not told while rows are refused, one of which it may be."""


def _of(rows: Rows, section: str, _model: type[R]) -> Mapping[str, R]:
    return cast("Mapping[str, R]", rows.get(section, {}))


def _unknown(section: str, row: Identified, path: tuple[str | int, ...], name: str, known: Iterable[str]) -> RowProblem:
    what = "standard" if path[0] in ("standard", "supersedes") else str(path[0])
    return RowProblem(section, row.id, path, f"there is no {what} {name!r}", nearest(name, known), about=name)


def names_exist(rows: Rows) -> Iterator[RowProblem]:
    """Every name a limit, a correction, a factor, a standard or an equipment rule refers to is a row."""
    for section, key, target in _SINGLE_NAMES:
        for row in rows.get(section, {}).values():
            name = getattr(row, key)
            if name is not None and name not in rows.get(target, {}):
                yield _unknown(section, row, (key,), name, rows.get(target, {}))
    for section, key, target in _LISTED_NAMES:
        for row in rows.get(section, {}).values():
            for index, name in enumerate(getattr(row, key)):
                if name not in rows.get(target, {}):
                    yield _unknown(section, row, (key, index), name, rows.get(target, {}))


_SINGLE_NAMES: Final = (
    ("region", "parent", "region"),
    ("limit", "standard", "standard"),
    ("limit", "industry", "industry"),
    ("limit", "metric", "metric"),
    ("limit", "region", "region"),
    ("standard", "industry", "industry"),
    ("correction", "standard", "standard"),
    ("correction", "input", "fact"),
    ("factor", "standard", "standard"),
    ("factor_policy", "standard", "standard"),
)
_LISTED_NAMES: Final = (
    ("limit", "corrections", "correction"),
    ("standard", "supersedes", "standard"),
    ("correction", "inputs", "fact"),
    ("catalogue_item", "conflicts_with", "catalogue_item"),
    ("furnace_rule", "catalogue_items", "catalogue_item"),
    ("furnace_rule", "unknown_when_missing", "fact"),
)


def conditions_ask_known_facts(rows: Rows) -> Iterator[RowProblem]:
    """Every condition asks a fact of the vocabulary, for a value it can have."""
    facts = _of(rows, "fact", FactName)
    for section, row, key, conditions in _conditions(rows):
        for index, condition in enumerate(conditions):
            fact = facts.get(condition.fact)
            if fact is None:
                yield _unknown(section, row, (key, index, "fact"), condition.fact, facts)
            elif not _may_have(fact, condition):
                wanted = " / ".join(fact.choices) or {"number": "a number", "yes_no": "true / false"}[fact.kind]
                problem = f"{condition.said()} can never hold"
                yield RowProblem(section, row.id, (key, index), problem, f"{fact.id} takes: {wanted}.")
    for row in _of(rows, "correction", Correction).values():
        fact = facts.get(row.input) if row.input else None
        for index, choice in enumerate(row.choices):
            if fact is not None and choice.choice not in fact.choices:
                yield _unknown("correction", row, ("choices", index, "choice"), choice.choice, fact.choices)


def _conditions(rows: Rows) -> Iterator[tuple[str, Identified, str, tuple[Condition, ...]]]:
    for limit in _of(rows, "limit", Limit).values():
        yield "limit", limit, "when", limit.when
        yield "limit", limit, "exempt_when", limit.exempt_when
    for correction in _of(rows, "correction", Correction).values():
        yield "correction", correction, "when", correction.when
        yield "correction", correction, "valid_when", correction.valid_when
    for rule in _of(rows, "furnace_rule", FurnaceRule).values():
        yield "furnace_rule", rule, "when", rule.when


def _may_have(fact: FactName, condition: Condition) -> bool:
    allowed = condition.values
    if allowed is None:
        return fact.kind == "number"
    match fact.kind:
        case "yes_no":
            return all(isinstance(value, bool) for value in allowed)
        case "choice":
            return all(value in fact.choices for value in allowed)
        case "number":
            return not any(isinstance(value, (bool, str)) for value in allowed)


def limits_fit_their_standard(rows: Rows) -> Iterator[RowProblem]:
    """Corrections belong to the limit's own standard; a standard with values has limits, one without has none."""
    standards, corrections = _of(rows, "standard", Standard), _of(rows, "correction", Correction)
    used: set[str] = set()
    for limit in _of(rows, "limit", Limit).values():
        used.add(limit.standard)
        for index, name in enumerate(limit.corrections):
            if name in corrections and corrections[name].standard != limit.standard:
                problem = f"correction {name!r} is of {corrections[name].standard}, the limit of {limit.standard}"
                remedy = "A limit takes the corrections of its own standard: name that one, or correct the standard."
                yield RowProblem("limit", limit.id, ("corrections", index), problem, remedy)
        standard = standards.get(limit.standard)
        if standard is not None and not standard.values_here:
            problem = f"{standard.id} is said to have no values here"
            yield RowProblem("limit", limit.id, ("standard",), problem, "Set values_here = true in the standard.")
    if used - set(standards):
        return  # told already; which standard then lacks its limits would be a guess
    for standard in standards.values():
        if standard.values_here and standard.id not in used and not _has_factors(rows, standard.id):
            problem = "no limit of it is in the packs"
            yield RowProblem(
                "standard", standard.id, ("values_here",), problem, "Say values_here = false.", absence=True
            )


def _has_factors(rows: Rows, standard: str) -> bool:
    return any(row.standard == standard for row in _of(rows, "factor", Factor).values())


def one_version_at_a_time(rows: Rows) -> Iterator[RowProblem]:
    """No two versions of one standard are in force on the same day."""
    families: dict[str, list[Standard]] = {}
    for standard in _of(rows, "standard", Standard).values():
        families.setdefault(standard.family, []).append(standard)
    for versions in families.values():
        for one, other in combinations(versions, 2):
            if overlap(one, other):
                first, later = sorted((one, other), key=lambda row: str(row.effective_from))
                problem = f"{first.id} and {later.id} are both in force on {later.effective_from}"
                remedy = f"End {first.id} the day before {later.id} takes effect."
                yield RowProblem("standard", first.id, ("effective_to",), problem, remedy)


def one_limit_for_one_case(rows: Rows) -> Iterator[RowProblem]:
    """No two limits of one metric, product and region can apply to the same case on the same day."""
    standards = _of(rows, "standard", Standard)
    alike: dict[tuple[str, str, str, str, str], list[Limit]] = {}
    for limit in _of(rows, "limit", Limit).values():
        alike.setdefault((limit.region, limit.industry, limit.product, limit.metric, limit.unit), []).append(limit)
    for (_, _, product, metric, _), limits in alike.items():
        for one, other in combinations(limits, 2):
            if exclude(one.when, other.when):
                continue
            first, second = standards.get(one.standard), standards.get(other.standard)
            if one.standard == other.standard or (first and second and overlap(first, second)):
                problem = f"overlaps {one.id!r}: both are the limit of {product} {metric} for the same case and days"
                remedy = "Give them conditions (when) that exclude each other, or standards with other dates."
                yield RowProblem("limit", other.id, ("when",) if other.when else ("id",), problem, remedy)


def formulas_exist(rows: Rows) -> Iterator[RowProblem]:
    """Every named function is one the program has."""
    from models.law.formulas import FACTOR_FORMULAS, FORMULAS

    for correction in _of(rows, "correction", Correction).values():
        if correction.formula is not None and correction.formula not in FORMULAS:
            yield _unknown("correction", correction, ("formula",), correction.formula, FORMULAS)
    for factor in _of(rows, "factor", Factor).values():
        if factor.formula is not None and factor.formula not in FACTOR_FORMULAS:
            yield _unknown("factor", factor, ("formula",), factor.formula, FACTOR_FORMULAS)


def asked_numbers_are_bounded(rows: Rows) -> Iterator[RowProblem]:
    """An input that is asked for has a least and a greatest value: what it could change is worked out from them."""
    facts = _of(rows, "fact", FactName)
    for correction in _of(rows, "correction", Correction).values():
        if correction.if_missing != "ask":
            continue
        for name in correction.asks:
            fact = facts.get(name)
            if fact is not None and fact.kind == "number" and (fact.min is None or fact.max is None):
                problem = f"{name} is asked for and has no least or no greatest value"
                remedy = f'Give the fact {name} min and max, or say if_missing = "required".'
                yield RowProblem("correction", correction.id, ("if_missing",), problem, remedy)


def corrections_are_used(rows: Rows) -> Iterator[RowProblem]:
    """A correction no limit names would silently do nothing."""
    used = {name for limit in _of(rows, "limit", Limit).values() for name in limit.corrections}
    for correction in _of(rows, "correction", Correction).values():
        if correction.id not in used:
            remedy = "Add it to a limit's corrections."
            yield RowProblem("correction", correction.id, ("id",), "no limit names it", remedy, absence=True)


Check = Callable[[Rows], Iterable[RowProblem]]

CHECKS: Final[tuple[Check, ...]] = (
    names_exist,
    conditions_ask_known_facts,
    limits_fit_their_standard,
    one_version_at_a_time,
    one_limit_for_one_case,
    formulas_exist,
    asked_numbers_are_bounded,
    corrections_are_used,
)
