"""The tariff rules of the packs, found by kind, region and industry; and what holds on a day."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from models.law.rows import RowId
from models.law.tariff_parts import RuleKind, Supersession
from models.law.tariff_rows import TariffRule
from models.law.vocabulary import region_chain


@dataclass(frozen=True, slots=True)
class Shelf:
    """The rules of one kind for one industry in one region, the innermost region's first, the country's last.

    `changes`: the days on which any of them begins, ends, moves on or is replaced, rising.
    """

    rules: tuple[TariffRule, ...]
    displacers: tuple[TariffRule, ...]
    changes: tuple[date, ...]


class TariffBook:
    """Rules by what they concern; shelves are put together once and kept."""

    def __init__(self, rules: Mapping[str, TariffRule]) -> None:
        self.rules = rules
        self._shelves: dict[tuple[RuleKind, str, str], Shelf] = {}

    def shelf(self, kind: RuleKind, region: str, industry: str) -> Shelf:
        """The rules of a kind for an industry in a region and those around it."""
        key = (kind, region, industry)
        found = self._shelves.get(key)
        if found is None:
            found = self._shelves[key] = self._collected(kind, region, industry)
        return found

    def table_of(self, rule: TariffRule) -> TariffRule:
        """The rule whose table counts: its own, or that of the rule it follows."""
        return rule if rule.follows is None else self.table_of(self.rules[rule.follows])

    def _collected(self, kind: RuleKind, region: str, industry: str) -> Shelf:
        chain = region_chain(region)
        concerned = [rule for rule in self.rules.values() if rule.region in chain and rule.concerns(industry)]
        rules = sorted((rule for rule in concerned if rule.kind == kind), key=lambda rule: chain.index(rule.region))
        displacers = [rule for rule in concerned if rule.displaces is not None and kind in rule.displaces.kinds]
        days = {day for rule in (*rules, *displacers) if rule.enforceable for day in _changes(rule, industry)}
        return Shelf(tuple(rules), tuple(displacers), tuple(sorted(days)))


def _changes(rule: TariffRule, industry: str) -> Iterator[date]:
    if rule.effective_from is not None:
        yield rule.effective_from
    if rule.effective_to is not None:
        yield rule.effective_to + timedelta(days=1)
    yield from (phase.begins for phase in rule.phases)
    yield from (date(row.year_from, 1, 1) for row in rule.thresholds)
    yield from (one.begins for one in (*rule.superseded_for, *rule.stopped_for) if one.industry == industry)


def live(rule: TariffRule, on: date, decided: date | None) -> bool:
    """Whether a rule is in force on a day, and had been issued when it was decided."""
    if not rule.in_force(on):
        return False
    return decided is None or rule.issued is None or rule.issued <= decided


def replaced_by(
    rule: TariffRule, *, industry: str, listed: str | None, chain: tuple[RowId, ...], on: date
) -> str | None:
    """The rule that stands in its place for an industry and class (None: not listed) on a day, None where none does."""
    for one in (*rule.superseded_for, *rule.stopped_for):
        if one.industry == industry and one.begins <= on and _covers(one, listed) and one.region in (None, *chain):
            return one.by
    return None


def _covers(one: Supersession, listed: str | None) -> bool:
    if one.listed is not None:
        return one.listed == listed
    return one.except_class is None or one.except_class != listed


def displaced_by(shelf: Shelf, *, listed: str | None, on: date, decided: date | None) -> TariffRule | None:
    """The rule of another kind that has stopped this kind for plant of a class on a day, None where none has."""
    for rule in shelf.displacers:
        if live(rule, on, decided) and rule.displaces is not None and rule.displaces.except_class != listed:
            return rule
    return None
