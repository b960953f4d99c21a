"""Every edge of every rule of the packs, just below, at and just above it, against the rule read another way."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from fractions import Fraction
from math import ceil
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.law.tariff_facts import Water
from models.law.tariff_parts import Tier
from models.law.tariff_rows import TariffRule
from models.law.tariff_verdict import TariffVerdict
from tests.unit.tariff_cases import ALUMINIUM, LAW, TINY, electricity, figures, judged

RULES = LAW.table(TariffRule)


def industry_of(rule: TariffRule) -> str:
    """One that no other rule has taken over."""
    return "ceramics" if rule.industries == ("any",) else next(one for one in rule.industries if one != "cement")


def edges(tiers: tuple[Tier, ...]) -> set[Decimal]:
    return {edge for tier in tiers for edge in (tier.low, tier.high) if edge is not None}


def around(edge: Decimal) -> tuple[Decimal, Decimal, Decimal]:
    return edge - TINY, edge, edge + TINY


def wanted(tiers: tuple[Tier, ...], number: Decimal) -> tuple[Decimal | None, bool]:
    """The slow twin: every tier that may hold the number by any reading; the least surcharge of them."""
    possible = [
        tier
        for tier in tiers
        if (
            tier.low is None
            or number > tier.low
            or (number == tier.low and tier.ge_bound)
            or number in tier.ambiguous_at
        )
        and (
            tier.high is None
            or number < tier.high
            or (number == tier.high and tier.le_bound)
            or number in tier.ambiguous_at
        )
    ]
    costs = [tier.surcharge for tier in possible]
    if not possible:
        return Decimal(0), False
    least = None if None in costs else min(cost for cost in costs if cost is not None)
    return least, len(possible) > 1


def punitive_cases() -> Iterator[Any]:
    for rule in RULES.values():
        if rule.kind == "punitive":
            for edge in sorted(edges(rule.tiers)):
                for number in around(edge):
                    yield pytest.param(rule, number, id=f"{rule.id}-{number}")


@pytest.mark.parametrize(("rule", "ratio"), list(punitive_cases()))
def test_edges_of_punitive_rules(rule: TariffRule, ratio: Decimal) -> None:
    region = "CN-SC" if rule.region == "CN" else rule.region
    verdict = electricity(2012, industry_of(rule), region, excess_ratio=ratio)
    least, doubtful = wanted(rule.tiers, ratio)
    assert verdict.rule_id == rule.id
    if least is None:
        assert (verdict.status, verdict.surcharge) == ("undetermined", None)
    else:
        assert verdict.surcharge == least
        assert verdict.status == ("needs_review" if doubtful else "flag" if least else "clear")


def test_every_tier_table_has_its_edges_tested() -> None:
    """Tables of numbers are in the rules these tests go through; a new kind of table wants a test here."""
    ranged = {rule.id for rule in RULES.values() if any(tier.ranged for tier in rule.tiers)}
    punitive = {rule.id for rule in RULES.values() if rule.kind == "punitive"}
    assert ranged == punitive | {"cn-tier-aluminium-2014", "local-water-example"}


@pytest.mark.parametrize("number", [n for edge in (13700, 13800) for n in around(Decimal(edge))])
def test_edges_of_the_aluminium_tiers(number: Decimal) -> None:
    verdict = electricity(2018, ALUMINIUM, figures=figures(number))
    assert verdict.surcharge == wanted(RULES["cn-tier-aluminium-2014"].tiers, number)[0]


@pytest.mark.parametrize("year", [2022, 2023, 2024, 2025, 2031])
@pytest.mark.parametrize("step", [0, 1, 2, 3, 10, 137])
def test_edges_of_the_aluminium_steps(year: int, step: int) -> None:
    line = {2022: 13650, 2023: 13450, 2024: 13450}.get(year, 13300)
    below, at, above = (
        electricity(year, ALUMINIUM, figures=figures(number)).surcharge for number in around(Decimal(line) + 20 * step)
    )
    assert below == at == Decimal("0.01") * step
    assert above == Decimal("0.01") * (step + 1)


@given(
    st.decimals(min_value=12000, max_value=16000, places=7, allow_nan=False),
    st.sampled_from([(2022, 13650), (2023, 13450), (2025, 13300)]),
)
def test_steps_agree_with_exact_fractions(number: Decimal, year_and_line: tuple[int, int]) -> None:
    year, line = year_and_line
    verdict = electricity(year, ALUMINIUM, figures=figures(number))
    steps = max(0, ceil(Fraction(number - line) / 20))
    assert verdict.surcharge == Decimal(steps) / 100


def cement_cases() -> Iterator[Any]:
    for index, row in enumerate(RULES["cn-tier-cement-2016"].threshold_rows):
        for edge in sorted(edges(row.tiers)):
            for number in around(edge):
                yield pytest.param(
                    index, number, id=f"{row.process}-{row.built_before or row.built_from}-{index}-{number}"
                )


@pytest.mark.parametrize(("index", "number"), list(cement_cases()))
def test_edges_of_the_cement_rows_are_previews_only(index: int, number: Decimal) -> None:
    row = RULES["cn-tier-cement-2016"].threshold_rows[index]
    built = date(2013, 9, 30) if row.built_before is not None else date(2013, 10, 1)
    verdict = electricity(
        2019,
        "cement",
        equipment_class="none",
        figures=figures(number, metric=row.metric),
        process=row.process,
        production_date=built,
    )
    assert (verdict.status, verdict.surcharge, verdict.amount) == ("undetermined", None, None)
    assert verdict.preview is not None
    assert verdict.preview.surcharge == wanted(row.tiers, number)[0]


@pytest.mark.parametrize("listed", ["none", "限制类"])
@pytest.mark.parametrize("ratio", [n for edge in ("0", "0.30", "0.50") for n in around(Decimal(edge))])
def test_edges_of_the_water_steps(ratio: Decimal, listed: str) -> None:
    quota, price = Decimal(1_000_000), Decimal(4)
    used = Water(quota_m3=quota, used_m3=quota * (1 + ratio), price_cny_per_m3=price, rule="local-water-example")
    verdict = judged(2024, "paper", water=used, equipment_class=listed).water
    assert isinstance(verdict, TariffVerdict)
    markups = (
        (Decimal("0.2"), Decimal("0.5"), Decimal(1))
        if listed == "none"
        else (Decimal("0.5"), Decimal(1), Decimal("1.5"))
    )
    bounds = (Decimal(0), Decimal("0.30"), Decimal("0.50"), Decimal(100))
    step = next((number for number, top in enumerate(bounds[1:]) if ratio <= top), 0)
    parts = [
        max(Decimal(0), min(ratio, bounds[number + 1]) - bounds[number]) * quota * price * markups[number]
        for number in range(3)
    ]
    assert verdict.amount == sum(parts, Decimal(0)).quantize(Decimal("0.01"))
    assert verdict.surcharge == (price * markups[step] if ratio > 0 else 0)


@pytest.mark.parametrize(
    ("rule_id", "day", "before", "after"),
    [
        ("cn-diff-2010", date(2010, 6, 1), "0.05", "0.10"),
        ("cn-gd-diff-cement-2011", date(2011, 1, 1), "0.10", "0.20"),
        ("cn-gd-diff-cement-2011", date(2012, 1, 1), "0.20", "0.30"),
        ("cn-gd-diff-2010", date(2011, 1, 1), "0.05", "0.10"),
        ("cn-nm-diff-2021", date(2022, 1, 1), "0.10", "0.13"),
    ],
)
def test_edges_in_time(rule_id: str, day: date, before: str, after: str) -> None:
    rule = RULES[rule_id]
    industry = "cement" if rule.industries == ("cement",) else industry_of(rule)
    for on, surcharge in ((date.fromordinal(day.toordinal() - 1), before), (day, after)):
        verdict = electricity(on.year, industry, rule.region, period_from=on, period_to=on, equipment_class="限制类")
        assert verdict.surcharge == Decimal(surcharge)
