"""What the shipped packs hold: counted and hashed here, compared with the reference where that is at hand."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from models.law.correction_rows import Correction
from models.law.equipment_rows import CatalogueItem, FurnaceRule
from models.law.factor_rows import Factor
from models.law.library import shipped_law
from models.law.limit_rows import LEVELS, Limit, Standard
from models.law.rows import Cited
from models.law.tariff_rows import TariffRule

REFERENCE = Path(__file__).resolve().parents[3] / "shared" / "reference"
LAW = shipped_law()

COUNTS = {
    "industry": 31,
    "standard": 74,
    "limit": 230,
    "correction": 49,
    "factor": 35,
    "factor_policy": 5,
    "furnace_rule": 8,
    "furnace_use": 8,
    "catalogue_item": 15,
}
FACTS_DIGEST = "156f9616e85a478eb8de7ad1c05d74016d3b38cecc4548c27bdd25a6dc1074e0"
"""Of the limits', standards' and factors' values, dates and confidence: changes when a fact changes, and only then."""


def reference(name: str) -> dict[str, Any]:
    return tomllib.loads((REFERENCE / name).read_text("utf-8"), parse_float=Decimal)


def facts() -> Iterable[tuple[str, ...]]:
    for standard in LAW.table(Standard).values():
        yield standard.id, str(standard.effective_from), str(standard.effective_to), standard.confidence
    for limit in LAW.table(Limit).values():
        values = (str(getattr(limit, level)) for level in LEVELS)
        yield limit.id, limit.standard, limit.unit, *values, limit.confidence, limit.source, *limit.corrections
    for factor in LAW.table(Factor).values():
        yield factor.id, factor.unit, str(factor.kgce), str(factor.kgce_min), str(factor.kgce_max), factor.confidence


def test_no_fact_of_the_packs_has_come_or_gone_unnoticed() -> None:
    assert {section: len(LAW.rows[section]) for section in COUNTS} == COUNTS
    text = json.dumps(sorted(facts()), ensure_ascii=False)
    assert hashlib.sha256(text.encode()).hexdigest() == FACTS_DIGEST


def test_every_row_that_states_a_fact_names_its_source_and_confidence() -> None:
    cited = [row for rows in LAW.rows.values() for row in rows.values() if isinstance(row, Cited)]
    assert len(cited) > 400
    assert all(row.source.strip() and row.confidence in "VMS" for row in cited)


def test_every_industry_has_limits() -> None:
    assert {limit.industry for limit in LAW.table(Limit).values()} == set(LAW.rows["industry"])


def test_levels_that_are_missing_are_named_and_never_zero() -> None:
    for limit in LAW.table(Limit).values():
        absent = tuple(level for level, value in limit.levels() if value is None)
        assert absent == limit.missing_levels
        assert all(value != 0 for _, value in limit.levels())


def test_the_furnace_rules_are_if_1_to_if_8() -> None:
    rules = LAW.table(FurnaceRule)
    assert list(rules) == [f"IF-{number}" for number in range(1, 9)]
    assert not rules["IF-3"].enforceable
    assert {item.edition for item in LAW.table(CatalogueItem).values()} >= {"2011年本（修正）", "2019年本", "2024年本"}


@pytest.mark.real_data
def test_every_standard_of_the_reference_is_here_as_written() -> None:
    for row in reference("energy-limits.toml")["standard"]:
        ours = LAW.table(Standard)[row["number"]]
        assert ours.title_zh == row["title_zh"]
        assert str(ours.effective_from) == row.get("effective_from", "None")
        assert str(ours.effective_to) == row.get("effective_to", "None")
        assert str(ours.issued) == row.get("issued", "None")
        assert ours.effective_to_unknown == row.get("effective_to_unknown", False)
        assert sorted((*ours.supersedes, *ours.supersedes_unlisted)) == sorted(row.get("supersedes", []))
        assert (ours.values_here, ours.industry) == (row["values_here"], row.get("industry"))
        assert (ours.source, ours.confidence) == (row["source"], row["confidence"])
        assert (ours.note is not None) == ("note" in row)


@pytest.mark.real_data
def test_every_limit_of_the_reference_is_here_as_written() -> None:
    rows = reference("energy-limits.toml")["limit"]
    ours = {
        (limit.standard, limit.product, limit.metric_zh, limit.unit, limit.applies_when): limit
        for limit in LAW.table(Limit).values()
    }
    assert len(rows) == len(ours) == 230
    for row in rows:
        condition = "; ".join(row["applies_when"]) if "applies_when" in row else None
        limit = ours[row["standard"], row["product"], row["metric_zh"], row["metric"], condition]
        standard = LAW.table(Standard)[limit.standard]
        assert [getattr(limit, level) for level in LEVELS] == [row.get(level) for level in LEVELS]
        assert list(limit.missing_levels) == row.get("missing_levels", [])
        assert (limit.industry, limit.product_zh, limit.scheme) == (row["industry"], row["product_zh"], row["scheme"])
        assert (limit.source, limit.source_grade, limit.confidence) == (
            row["source"],
            row["source_grade"],
            row["confidence"],
        )
        assert (standard.title_zh, str(standard.effective_from)) == (row["title_zh"], row["effective_from"])
        assert str(standard.effective_to) == row.get("effective_to", "None")
        assert bool(limit.corrections) == bool(row.get("correction"))
        assert (limit.note is not None) == ("note" in row)
        assert bool(limit.when or limit.exempt_when) == ("applies_when" in row)


@pytest.mark.real_data
def test_the_numbers_of_every_correction_of_the_reference_are_here() -> None:
    """Limits with corrections have some here, and every number of the reference's table of them is in one."""
    for row in reference("energy-limits.toml")["limit"]:
        limits = [
            limit
            for limit in LAW.table(Limit).values()
            if (limit.standard, limit.product, limit.metric_zh) == (row["standard"], row["product"], row["metric_zh"])
        ]
        used = [LAW.table(Correction)[name] for limit in limits for name in limit.corrections]
        assert len(used) >= bool(row.get("correction"))
    for row in reference("energy-limits.toml")["correction"]:
        ours = [one for one in LAW.table(Correction).values() if one.standard == row["standard"]]
        numbers = {abs(number) for one in ours for number in numbers_of(one.model_dump())}
        wanted = {abs(number) for number in numbers_of(row)} - {0}
        assert wanted <= numbers, row["id"]


def numbers_of(value: Any) -> list[Decimal]:
    match value:
        case bool():
            return []
        case int() | Decimal():
            return [Decimal(value)]
        case dict():
            return [number for part in value.values() for number in numbers_of(part)]
        case list() | tuple():
            return [number for part in value for number in numbers_of(part)]
        case _:
            return []


@pytest.mark.real_data
def test_every_factor_of_the_reference_is_here_as_written() -> None:
    rows = reference("energy-conversion.toml")["factor"]
    ours = LAW.table(Factor)
    assert len(rows) == len(ours)
    for row in rows:
        factor = ours[row["code"].replace("_", "-")]
        assert (factor.name_zh, factor.unit, factor.source) == (row["name_zh"], row["unit"], row["source"])
        assert (factor.kgce, factor.kgce_min, factor.kgce_max, factor.kj) == tuple(
            row.get(key) for key in ("kgce", "kgce_min", "kgce_max", "kj")
        )
        assert factor.confidence == row["confidence"]
        assert (factor.note is not None, factor.formula is not None) == ("note" in row, "expression" in row)


@pytest.mark.real_data
def test_every_tariff_rule_of_the_reference_is_here() -> None:
    ours = LAW.table(TariffRule)
    for row in reference("tariff-rules.toml")["rule"]:
        rule = ours[row["id"]]
        assert (rule.source, rule.confidence, rule.doc_no) == (row["source"], row["confidence"], row["doc_no"])
        assert str(rule.effective_from) == row.get("effective_from", "None")


def test_the_factors_agree_with_29307_kj_to_the_kgce() -> None:
    for factor in LAW.table(Factor).values():
        if factor.kj is not None and factor.kgce is not None:
            assert abs(factor.kj / 29307 - factor.kgce) < Decimal("0.0001"), factor.id
