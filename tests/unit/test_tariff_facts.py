"""Facts of the house for surcharges: what the register declares, water by quota, and what is left out."""

from __future__ import annotations

from decimal import Decimal

import pytest

from models.domain.accounts import Period
from models.domain.register import Declared, Enterprise, Register, RegisterRows, Site
from models.law.library import shipped_law
from monitor.tariffs.facts import Known, facts_from, facts_text
from monitor.tariffs.flag import Flag, FlagStatus, FlagSubject
from monitor.tariffs.judging import Bench
from monitor.tariffs.uses import Uses, uses_bytes, uses_from
from tests.support.plant import USCC, ZONE

MONTH = Period.month(2026, 3)


def flags(uses: Uses, *declared: tuple[str, str], trade: str = "C3140", district: str = "450100") -> list[Flag]:
    rows = RegisterRows(
        enterprises=(Enterprise(uscc=USCC, name="某厂", trade=trade, district=district),),
        sites=(Site(site="S", uscc=USCC),),
        declared=tuple(Declared(uscc=USCC, fact=fact, value=value) for fact, value in declared),
    )
    bench = Bench.of(shipped_law(), Register(rows, ZONE, "r1"), "CN")
    return [one.flag for one in bench.judge(Known(USCC, MONTH, uses))]


def uses(kwh: str | None = "1000", coverage: str = "1", water: str | None = None) -> Uses:
    return Uses(
        "a", None if kwh is None else Decimal(kwh), Decimal(coverage), (), (), None if water is None else Decimal(water)
    )


@pytest.mark.parametrize(
    ("used", "surcharge"),
    [
        pytest.param("100", "0", id="at_the_quota"),
        pytest.param("100.01", "0.6", id="just_above"),
        pytest.param("130", "0.6", id="at_the_first_edge"),
        pytest.param("130.01", "1.5", id="above_the_first_edge"),
        pytest.param("151", "3", id="above_the_second_edge"),
    ],
)
def test_water_over_its_quota_is_a_flag_of_its_own(used: str, surcharge: str) -> None:
    quota = (
        ("water_quota_m3_per_month", "100"),
        ("water_price_cny_per_m3", "3"),
        ("water_rule", "local-water-example"),
        ("equipment_class", "none"),
    )
    power, water = flags(uses(water=used), *quota)
    assert (power.subject, water.subject) == (FlagSubject.POWER, FlagSubject.WATER)
    assert water.surcharge_cny_per_kwh == Decimal(surcharge)
    assert water.status is (FlagStatus.NEEDS_REVIEW if Decimal(surcharge) else FlagStatus.CLEAR)


def test_water_without_what_was_used_is_told_as_missing() -> None:
    (power,) = flags(uses(), ("water_quota_m3_per_month", "100"))
    assert any("water_m3" in note for note in power.notes)


def test_a_declared_word_that_does_not_fit_is_left_out_and_named() -> None:
    (flag,) = flags(uses(), ("equipment_class", "很旧"), ("billing_base", "production_electricity"))
    assert flag.status is FlagStatus.NEEDS_DATA
    assert any("很旧" in note for note in flag.notes)


def test_part_of_the_readings_is_billed_for_that_part_and_said() -> None:
    declared = (("equipment_class", "限制类"), ("billing_base", "production_electricity"))
    (flag,) = flags(uses("1000", "0.5"), *declared)
    assert flag.amount_cny == Decimal("100.00")
    assert any("50.00%" in note for note in flag.notes)


def test_no_reading_makes_no_amount() -> None:
    declared = (("equipment_class", "限制类"), ("billing_base", "production_electricity"))
    (flag,) = flags(uses(None, "0"), *declared)
    assert (flag.status, flag.amount_cny) == (FlagStatus.FLAG, None)
    assert [one.key for one in flag.missing] == ["electricity.production_kwh"]


@pytest.mark.parametrize(("district", "region"), [("450100", "CN-GX"), ("", "CN"), ("north", "CN")])
def test_the_region_follows_the_districts_code(district: str, region: str) -> None:
    (flag,) = flags(uses(), ("equipment_class", "限制类"), district=district)
    assert facts_from(flag.facts).region == region


def test_kept_facts_and_extracts_read_back_digit_by_digit() -> None:
    (flag,) = flags(uses("1234567.890"), ("equipment_class", "限制类"))
    facts = facts_from(flag.facts)
    assert facts.electricity.all_kwh == Decimal("1234567.890")
    assert facts_text(facts) == flag.facts
    kept = uses("0.10", water="7.000")
    assert uses_from(uses_bytes(kept)) == kept
