"""What must hold within and between tariff rules: tables without holes, names that exist, one rule for one case."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from itertools import combinations, pairwise
from typing import Final, cast

from models.law.conditions import holes_and_overlaps
from models.law.crosscheck import RowProblem, Rows
from models.law.faults import nearest
from models.law.rows import overlap
from models.law.tariff_book import replaced_by
from models.law.tariff_parts import Supersession, Tier
from models.law.tariff_rows import ANY_INDUSTRY, UNKNOWN_REGION, TariffRule
from models.law.vocabulary import region_chain

Path = tuple[str | int, ...]


def _rules(rows: Rows) -> Mapping[str, TariffRule]:
    return cast("Mapping[str, TariffRule]", rows.get("rule", {}))


def _problem(rule: TariffRule, path: Path, problem: str, remedy: str) -> RowProblem:
    return RowProblem("rule", rule.id, path, problem, remedy)


def rule_names_exist(rows: Rows) -> Iterator[RowProblem]:
    """Every region, industry, metric and rule that a rule names is a row."""
    regions, metrics, rules = rows.get("region", {}), rows.get("metric", {}), _rules(rows)
    industries = {**rows.get("industry", {}), **rows.get("tariff_industry", {})}
    for rule in rules.values():
        named: list[tuple[Path, str, str, Iterable[str]]] = []
        if rule.region != UNKNOWN_REGION:
            named.append((("region",), "region", rule.region, regions))
        named += [
            (("industries", index), "industry", name, industries)
            for index, name in enumerate(rule.industries)
            if name != ANY_INDUSTRY
        ]
        if rule.metric is not None:
            named.append((("metric",), "metric", rule.metric, metrics))
        named += [
            (("threshold_rows", index, "metric"), "metric", row.metric, metrics)
            for index, row in enumerate(rule.threshold_rows)
        ]
        for key in ("follows", "supersedes", "gap_of"):
            if (name := getattr(rule, key)) is not None:
                named.append(((key,), "rule", name, rules))
        named += [(("multipliers", name), "rule", name, rules) for name in rule.multipliers]
        named += [
            (("phases", index, "eliminated_for", name), "industry", name, industries)
            for index, phase in enumerate(rule.phases)
            for name in phase.eliminated_for
        ]
        for key, index, one in _replacements(rule):
            named.append(((key, index, "industry"), "industry", one.industry, industries))
            named.append(((key, index, "by"), "rule", one.by, rules))
            if one.region is not None:
                named.append(((key, index, "region"), "region", one.region, regions))
        for path, what, name, known in named:
            if name not in known:
                told = f"there is no {what} {name!r}"
                yield RowProblem("rule", rule.id, path, told, nearest(name, known), about=name)


def _replacements(rule: TariffRule) -> Iterator[tuple[str, int, Supersession]]:
    for key, found in (("superseded_for", rule.superseded_for), ("stopped_for", rule.stopped_for)):
        for index, one in enumerate(found):
            yield key, index, one


def tier_tables_are_whole(rows: Rows) -> Iterator[RowProblem]:
    """No tier table leaves a number out, takes one twice, or charges less for more; classes stand in it once."""
    for rule in _rules(rows).values():
        yield from _table(rule, ("tiers",), rule.tiers)
        for index, row in enumerate(rule.threshold_rows):
            yield from _table(rule, ("threshold_rows", index, "tiers"), row.tiers)
        yield from _threshold_rows_pair(rule)


def _table(rule: TariffRule, path: Path, tiers: Sequence[Tier]) -> Iterator[RowProblem]:
    if rule.basis == "equipment_class":
        yield from _classes(rule, path, tiers)
        return
    for index, tier in enumerate(tiers):
        for key, problem, remedy in _misfits(rule, tier):
            yield _problem(rule, (*path, index, *key), problem, remedy)
    for before, after in pairwise(range(len(tiers))):
        if any(_falls(one, other) for one, other in _amounts(tiers[before], tiers[after])):
            remedy = "Put the tiers in rising order, or correct the amounts."
            yield _problem(rule, (*path, after), "costs less than the tier before it", remedy)
    if not all(tier.ranged for tier in tiers) or not tiers:
        return
    for index, what in holes_and_overlaps(tiers):
        yield _problem(rule, (*path, index), what, "Correct the bounds: each number belongs to one tier.")
    yield from _ends(rule, path, tiers)


def _misfits(rule: TariffRule, tier: Tier) -> Iterator[tuple[Path, str, str]]:
    if tier.listed is not None:
        yield ("class",), "a class in a table of numbers", "Give bounds instead."
    if not tier.ranged and not tier.unknown:
        yield (), "a tier without bounds", "Give gt, ge, le or lt, or say in unknown what was not found."
    if rule.kind == "water" and tier.markup is None:
        yield (), "a step of water without a markup", "Give markup and markup_listed."
    if rule.kind != "water" and tier.markup is not None:
        yield ("markup",), "a markup on electricity", "Give surcharge in CNY/kWh."


def _falls(one: Decimal | None, other: Decimal | None) -> bool:
    return one is not None and other is not None and other < one


def _amounts(one: Tier, other: Tier) -> tuple[tuple[Decimal | None, Decimal | None], ...]:
    return (
        (one.surcharge, other.surcharge),
        (one.markup, other.markup),
        (one.markup_listed, other.markup_listed),
    )


def _ends(rule: TariffRule, path: Path, tiers: Sequence[Tier]) -> Iterator[RowProblem]:
    first, last = tiers[0], tiers[-1]
    if rule.basis == "metric":
        if first.low is not None:
            problem = f"leaves a hole below {first.low}"
            yield _problem(rule, (*path, 0), problem, "The first tier is open below: leave its lower bound out.")
    elif first.gt != 0:
        problem = "leaves a hole above zero" if first.low else "does not begin above zero"
        yield _problem(rule, (*path, 0), problem, "The first tier of an excess begins with gt = 0.")
    if last.high is not None:
        problem = f"leaves a hole above {last.high}"
        yield _problem(rule, (*path, len(tiers) - 1), problem, "The last tier is open: leave its upper bound out.")


def _classes(rule: TariffRule, path: Path, tiers: Sequence[Tier]) -> Iterator[RowProblem]:
    seen: set[str] = set()
    for index, tier in enumerate(tiers):
        if tier.listed is None or tier.ranged:
            remedy = "Write class = and surcharge =, and no bounds."
            yield _problem(rule, (*path, index), "a row of equipment without its class alone", remedy)
        elif tier.listed in seen:
            problem = f"class {tier.listed} stands in the table twice"
            yield _problem(rule, (*path, index, "class"), problem, "Keep one.")
        elif tier.surcharge is None:
            yield _problem(rule, (*path, index), "a class without its surcharge", "Give surcharge in CNY/kWh.")
        seen.add(tier.listed or "")


def _threshold_rows_pair(rule: TariffRule) -> Iterator[RowProblem]:
    seen: dict[tuple[str, bool], date] = {}
    for index, row in enumerate(rule.threshold_rows):
        side = row.built_before is not None
        cut = row.built_before or row.built_from or date.min
        if (row.process, side) in seen:
            problem = f"overlaps an earlier row of {row.process} for lines of the same age"
            yield _problem(rule, ("threshold_rows", index), problem, "Keep one of the two.")
        if (other := seen.get((row.process, not side))) is not None and other != cut:
            problem = f"the rows of {row.process} part at {other} and at {cut}"
            yield _problem(rule, ("threshold_rows", index), problem, "Both rows part at the same day.")
        seen[row.process, side] = cut
    for index, row in enumerate(rule.threshold_rows):
        if (row.process, row.built_before is None) not in seen:
            problem = f"leaves a hole: {row.process} has a row for lines on one side of its day only"
            yield _problem(rule, ("threshold_rows", index), problem, "Give the row for the other side too.")


def phases_and_years_follow_on(rows: Rows) -> Iterator[RowProblem]:
    """Phases rise from the rule's first day; threshold years leave none out and take none twice."""
    for rule in _rules(rows).values():
        if rule.phases:
            first = rule.phases[0]
            if first.times_first is not None:
                yield _problem(
                    rule, ("phases", 0), "a multiple of itself", "The first phase has surcharges of its own."
                )
            if first.begins != rule.effective_from:
                problem = f"the first phase begins on {first.begins}, the rule on {rule.effective_from}"
                yield _problem(rule, ("phases", 0, "from"), problem, "Both begin on the same day.")
        for index, (before, after) in enumerate(pairwise(rule.phases), start=1):
            if after.begins <= before.begins:
                problem = f"begins on {after.begins}, not after the phase before it"
                yield _problem(rule, ("phases", index, "from"), problem, "Put the phases in the order of their days.")
        yield from _years(rule)


def _years(rule: TariffRule) -> Iterator[RowProblem]:
    if not rule.thresholds:
        return
    path: Path = ("thresholds", 0, "year_from")
    begun = rule.effective_from
    if begun is not None and rule.thresholds[0].year_from != begun.year:
        problem = f"the first threshold is of {rule.thresholds[0].year_from}, the rule begins in {begun.year}"
        yield _problem(rule, path, problem, "Both begin in the same year.")
    for index, (before, after) in enumerate(pairwise(rule.thresholds), start=1):
        if before.year_to is None or after.year_from <= before.year_to:
            problem = f"overlaps the threshold before it in {after.year_from}"
            yield _problem(rule, ("thresholds", index, "year_from"), problem, "Correct year_to or year_from.")
        elif after.year_from != before.year_to + 1:
            problem = f"leaves a hole: no threshold for {before.year_to + 1}"
            yield _problem(rule, ("thresholds", index, "year_from"), problem, "Correct year_to or year_from.")
    for index, row in enumerate(rule.thresholds):
        if row.year_to is not None and row.year_to < row.year_from:
            yield _problem(rule, ("thresholds", index, "year_to"), "ends before it begins", "Correct one of the years.")
    last = rule.thresholds[-1]
    open_end = rule.effective_to is None or (last.year_to or rule.effective_to.year) >= rule.effective_to.year
    if last.year_to is not None and not (open_end and rule.effective_to is not None):
        problem = f"leaves a hole: no threshold after {last.year_to}"
        yield _problem(
            rule, ("thresholds", len(rule.thresholds) - 1, "year_to"), problem, "Leave year_to of the last row out."
        )


def replacements_meet(rows: Rows) -> Iterator[RowProblem]:
    """Where one rule stands in another's place there is no day between; a rule follows one of its own kind."""
    rules = _rules(rows)
    for rule in rules.values():
        for key, index, one in _replacements(rule):
            other = rules.get(one.by)
            if other is not None and other.effective_from is not None and other.effective_from > one.begins:
                problem = f"leaves a hole: {other.id} is in force only from {other.effective_from}"
                yield _problem(rule, (key, index, "from"), problem, "Correct one of the days.")
        earlier = rules.get(rule.supersedes or "")
        begun = rule.effective_from
        if earlier is not None and begun is not None and earlier.effective_to != begun - timedelta(days=1):
            problem = f"{earlier.id} is superseded from {begun} by {rule.id} and ends on {earlier.effective_to}"
            remedy = f"End it on {begun - timedelta(days=1)}."
            yield _problem(earlier, ("effective_to",), problem, remedy)
        followed = rules.get(rule.follows or "")
        if followed is not None and (followed.kind != rule.kind or followed.follows is not None):
            problem = f"follows {followed.id}, which has no table of the kind {rule.kind} itself"
            yield _problem(rule, ("follows",), problem, "Name the rule that has the table.")


def one_rule_for_one_case(rows: Rows) -> Iterator[RowProblem]:
    """No two rules of one kind and region hold for the same industry and class on the same day."""
    alike: dict[tuple[str, str], list[TariffRule]] = {}
    for rule in _rules(rows).values():
        if rule.kind != "framework" and rule.region != UNKNOWN_REGION:
            alike.setdefault((rule.kind, rule.region), []).append(rule)
    for rules in alike.values():
        for one, other in combinations(rules, 2):
            if overlap(one, other) and (shared := _shared(one, other)) is not None:
                first, later = sorted((one, other), key=lambda rule: rule.effective_from or date.min)
                problem = f"overlaps {first.id!r}: both are in force for {shared} on {later.effective_from}"
                remedy = f"End {first.id} the day before, or say in its superseded_for whom {later.id} takes over."
                yield _problem(later, ("effective_from",), problem, remedy)


def _shared(one: TariffRule, other: TariffRule) -> str | None:
    """A case both are for on the first day they share, None where there is none."""
    day = max(one.effective_from or date.min, other.effective_from or date.min)
    if ANY_INDUSTRY in one.industries:
        industries = set(other.industries)
    elif ANY_INDUSTRY in other.industries:
        industries = set(one.industries)
    else:
        industries = set(one.industries) & set(other.industries)
    classes = classes_of(one) & classes_of(other) if one.kind == "differential" else {None}
    chain = region_chain(one.region)
    for industry in sorted(industries):
        for listed in sorted(classes, key=str):
            if not any(
                replaced_by(rule, industry=industry, listed=listed, chain=chain, on=day) for rule in (one, other)
            ):
                return industry if listed is None else f"{industry} {listed}"
    return "water" if one.kind == "water" else None


def classes_of(rule: TariffRule) -> set[str | None]:
    """The classes a differential rule has surcharges for."""
    found: set[str | None] = {tier.listed for tier in rule.tiers}
    if any(phase.restricted is not None for phase in rule.phases):
        found.add("限制类")
    if any(phase.eliminated is not None for phase in rule.phases):
        found.add("淘汰类")
    return found


TARIFF_CHECKS: Final[tuple[Callable[[Rows], Iterable[RowProblem]], ...]] = (
    rule_names_exist,
    tier_tables_are_whole,
    phases_and_years_follow_on,
    replacements_meet,
    one_rule_for_one_case,
)
