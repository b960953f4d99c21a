"""Each furnace rule holds where it should, stays open where a fact is missing, and never says more than suspected."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from models.law.conditions import Facts
from models.law.equipment_rows import FurnaceRule
from models.law.furnaces import FurnaceVerdict, judge_furnace
from models.law.library import shipped_law
from models.law.vocabulary import FactName
from tests.support.law_cases import fact_value

PLATE = {"rated_capacity_t": "1", "shell": "steel"}
HOLDS: dict[str, dict[str, Any]] = {
    "IF-1": {"furnace_kind": "medium_frequency", "furnace_product": "billet", "refining_on_site": False},
    "IF-2": {"furnace_kind": "line_frequency", "furnace_material": "stainless", "melts_ferroalloy_only": False},
    "IF-3": {"shell": "aluminium", "magnetic_yoke": False, "rated_capacity_t": "0.25"},
    "IF-4": {"declared_foundry": True, "furnace_product": "casting"},
    "IF-5": {
        "declared_foundry": True,
        "night_batch_load": True,
        "energy_per_casting_high": True,
        "scrap_bought_without_castings_sold": True,
    },
    "IF-6": {"furnace_material": "special_alloy"},
    "IF-7": {"shell": None},
    "IF-8": {"site_sealed": True, "power_above_standby": True},
}


def judged(on: date = date(2020, 6, 1), **facts: Any) -> FurnaceVerdict:
    names = shipped_law().table(FactName)
    given: Facts = {
        name: fact_value(names[name], value) for name, value in {**PLATE, **facts}.items() if value is not None
    }
    return judge_furnace(shipped_law(), given, on=on)


def test_every_rule_has_a_case() -> None:
    assert set(HOLDS) == set(shipped_law().table(FurnaceRule))


@pytest.mark.parametrize("rule", sorted(HOLDS))
def test_a_rule_holds_for_its_case_and_for_no_other(rule: str) -> None:
    assert [finding.rule.id for finding in judged(**HOLDS[rule]).findings] == [rule]


def test_just_below_a_quarter_tonne_the_rule_does_not_hold() -> None:
    assert judged(**{**HOLDS["IF-3"], "rated_capacity_t": "0.2499"}).findings == ()


def test_furnaces_that_only_melt_ferroalloys_are_not_of_the_eliminated_class() -> None:
    assert judged(**{**HOLDS["IF-2"], "melts_ferroalloy_only": True}).findings == ()


def test_a_missing_fact_leaves_the_rule_open_and_is_named() -> None:
    verdict = judged(furnace_kind="medium_frequency", furnace_product="ingot")
    assert verdict.findings == ()
    assert ("IF-1", ("refining_on_site",)) in verdict.open_rules


@pytest.mark.parametrize(
    ("on", "editions", "enforceable"),
    [
        pytest.param(date(2018, 12, 31), ["2011年本（修正）"], True, id="the_edition_that_was_read"),
        pytest.param(date(2020, 6, 1), ["2011年本（修正）", "2019年本"], False, id="two_that_cannot_be_told_apart"),
        pytest.param(date(2024, 1, 31), ["2011年本（修正）", "2019年本"], False, id="the_last_day_of_both"),
        pytest.param(date(2024, 2, 1), ["2024年本"], False, id="one_whose_wording_was_not_read"),
    ],
)
def test_the_editions_that_can_be_in_force_on_the_day_are_named(
    on: date, editions: list[str], enforceable: bool
) -> None:
    (finding,) = judged(on, **HOLDS["IF-2"]).findings
    assert [item.edition for item in finding.items] == editions
    assert finding.enforceable is enforceable


def test_the_aluminium_shell_rule_is_shown_and_not_enforced() -> None:
    (finding,) = judged(**HOLDS["IF-3"]).findings
    assert not finding.enforceable
    assert {item.threshold_t for item in finding.items} == {1, Decimal("0.25")}


def test_every_adverse_outcome_says_suspected() -> None:
    for rule in shipped_law().table(FurnaceRule).values():
        if rule.outcome in ("suspected", "eliminated_class", "revived"):
            assert "疑似" in rule.outcome_zh
            assert "suspected" in rule.outcome_en
