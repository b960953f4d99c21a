"""No statement of the packs is left untried: each section is gone through by a test, row by row."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import Final

import pytest

from models.law.equipment_rows import CatalogueItem, FurnaceRule, FurnaceUse
from models.law.library import shipped_law
from models.law.limit_rows import Limit
from models.law.sections import SECTIONS
from models.law.tariff_rows import TariffRule
from models.law.vocabulary import Industry
from tests.unit import test_law_corrections, test_law_edges, test_law_furnaces, test_tariff_rules_covered
from tests.unit.test_law_cli import EXAMPLES, EXPECTED

LAW = shipped_law()

TRIED: Final[Mapping[str, Callable[[], Collection[str]]]] = MappingProxyType(
    {
        "limit": lambda: {limit.id for limit in test_law_edges.LIMITS},
        "correction": lambda: {*test_law_corrections.CASES, *test_law_corrections.ON_THE_ACTUAL},
        "rule": lambda: {*test_tariff_rules_covered.CASES, *test_tariff_rules_covered.ELSEWHERE},
        "furnace_rule": lambda: set(test_law_furnaces.HOLDS),
        "industry": lambda: set(EXPECTED),
    }
)
"""By section the rows that have a case of their own."""

GONE_THROUGH: Final = frozenset({"factor", "standard"})
"""Sections whose every row a test takes in a loop: conversion by each factor, look-up of each standard."""

WORDS: Final = frozenset({"region", "tariff_industry", "metric", "fact"})
"""Vocabulary: rows that state nothing and are named by others."""

TEXT_ONLY: Final = frozenset(
    {"factor_policy", "edge_policy", "precedence", "furnace_use", "catalogue_item", "process_range"}
)
"""Rows that are told as they stand; that each has its source is for the schema."""


def test_every_section_is_accounted_for() -> None:
    known = {*TRIED, *GONE_THROUGH, *WORDS, *TEXT_ONLY}
    assert set(SECTIONS) - known == set(), "say here how the rows of a new section are tried"


@pytest.mark.parametrize("section", sorted(TRIED))
def test_every_row_has_a_case(section: str) -> None:
    rows = set(LAW.rows[section])
    assert rows - set(TRIED[section]()) == set(), f"rows of [[{section}]] that nobody has tried"


def test_the_counts_are_those_of_the_packs() -> None:
    """A section that vanished would be gone through in no time."""
    for model in (Limit, TariffRule, FurnaceRule, FurnaceUse, CatalogueItem, Industry):
        assert len(LAW.table(model)) > 0
    assert len(LAW.table(Limit)) == 230
    assert len(LAW.table(Industry)) == 31


def test_every_industry_has_an_example_with_facts() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.toml")} == set(LAW.table(Industry))
