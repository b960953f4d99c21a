"""The furnace rules IF-1 to IF-8 over what the register says of one furnace. An outcome is a question, never proof."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from models.law.conditions import Facts, met, unknown_facts
from models.law.equipment_rows import CatalogueItem, FurnaceRule
from models.law.library import Law
from models.law.steps import Citation, cite_row


@dataclass(frozen=True, slots=True)
class FurnaceFinding:
    """A rule that holds for a furnace. `enforceable` is False where it or its catalogue item is not verified.

    `items`: the catalogue items it rests on that can be in force on the day of inspection. The packs do not date
    the change from the edition of 2011 to that of 2019: in between both stand here and neither is enforced.
    """

    rule: FurnaceRule
    items: tuple[CatalogueItem, ...]
    enforceable: bool
    citations: tuple[Citation, ...]


@dataclass(frozen=True, slots=True)
class FurnaceVerdict:
    """All that can be said of one furnace: rules that hold, and facts whose absence leaves other rules open."""

    findings: tuple[FurnaceFinding, ...]
    open_rules: tuple[tuple[str, tuple[str, ...]], ...]


def judge_furnace(law: Law, facts: Facts, *, on: date) -> FurnaceVerdict:
    """Apply the rules to a furnace as it was on the day of inspection. Facts that are missing leave a rule open."""
    findings: list[FurnaceFinding] = []
    still_open: list[tuple[str, tuple[str, ...]]] = []
    for rule in law.table(FurnaceRule).values():
        absent = tuple(name for name in rule.unknown_when_missing if name not in facts)
        holds = bool(absent) if rule.unknown_when_missing else met(rule.when, facts)
        if holds:
            findings.append(_finding(law, rule, on))
        elif holds is None:
            still_open.append((rule.id, unknown_facts(rule.when, facts)))
    return FurnaceVerdict(tuple(findings), tuple(still_open))


def _finding(law: Law, rule: FurnaceRule, on: date) -> FurnaceFinding:
    table = law.table(CatalogueItem)
    named = [table[name] for name in rule.catalogue_items]
    items = tuple(item for item in named if _possible(item, on) and not _replaced(item, named, on))
    read = all(item.enforceable and item.wording_read for item in items)
    citations = (cite_row(rule.id, rule), *(cite_row(f"{item.catalogue_zh} {item.edition}", item) for item in items))
    return FurnaceFinding(
        rule, items, rule.enforceable and (not rule.catalogue_items or (bool(items) and read)), citations
    )


def _possible(item: CatalogueItem, on: date) -> bool:
    """Whether nothing says that it was not in force; an edition is no older than the year it is named for."""
    year = item.edition[:4]
    first = item.effective_from or (date(int(year), 1, 1) if year.isdigit() else date.min)
    return first <= on and (item.effective_to is None or on <= item.effective_to)


def _replaced(item: CatalogueItem, named: Sequence[CatalogueItem], on: date) -> bool:
    """Whether an edition whose end is unknown has surely ended: a later one of the same catalogue has begun."""
    return item.effective_to_unknown and any(
        other.catalogue_zh == item.catalogue_zh and other.effective_from is not None and other.effective_from <= on
        for other in named
    )
