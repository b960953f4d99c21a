"""Which limit is in force: versions by the period of consumption, conditions, regions; what is not here is said."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from models.law.library import load_law, shipped_law
from models.law.limit_rows import Standard
from models.law.lookup import span_of
from tests.support.law_cases import judged
from tests.unit.test_law_pack_faults import GOOD


@pytest.mark.parametrize(
    ("on", "standard", "limit"),
    [
        pytest.param("2026-06-30", "GB 21256-2013", 435, id="the_last_day_of_the_former"),
        pytest.param("2026-07-01", "GB 21256-2025", 415, id="the_first_day_of_the_new"),
    ],
)
def test_the_version_in_force_in_the_period_counts(on: str, standard: str, limit: int) -> None:
    verdict = judged("blast_furnace", "400", "kgce/t", on=on, feed_grade_pct=62)
    assert verdict.standard is not None
    assert verdict.standard.id == standard
    assert verdict.limit == limit


def test_a_later_day_of_decision_changes_the_note_and_not_the_version() -> None:
    verdict = judged("blast_furnace", "400", "kgce/t", on="2025-01-01", until="2025-12-31", decision="2026-08-01")
    assert verdict.standard is not None
    assert verdict.standard.id == "GB 21256-2013"
    assert any("GB 21256-2025" in note for note in verdict.notes)


def test_a_period_in_which_the_standard_changes_is_to_be_cut() -> None:
    verdict = judged("blast_furnace", "400", "kgce/t", on="2026-01-01", until="2026-12-31")
    assert (verdict.status, [one.key for one in verdict.missing]) == ("needs_data", ["period"])
    assert "2026-07-01" in verdict.reason_zh
    assert "GB 21256-2013 → GB 21256-2025" in verdict.reason_zh


@pytest.mark.parametrize(
    ("product", "unit", "on", "standard"),
    [
        ("copper_cathode", "kgce/t", "2020-06-01", "GB 21248-2014"),
        ("magnesium", "kgce/t", "2020-06-01", "GB 21347-2012"),
        ("hc_ferrochrome", "kgce/t", "2020-06-01", "GB 21341-2017"),
        ("coal_power_supply", "gce/kWh", "2025-03-31", "GB 21258-2017"),
    ],
)
def test_a_standard_in_force_without_values_here_is_named_and_no_other_taken(
    product: str, unit: str, on: str, standard: str
) -> None:
    metric = "comprehensive_energy" if product == "hc_ferrochrome" else None
    verdict = judged(product, "1", unit, on=on, metric=metric)
    assert (verdict.status, verdict.limit, verdict.corrected_limit) == ("undetermined", None, None)
    assert standard in [one.key for one in verdict.missing]


def test_a_version_whose_end_is_unknown_claims_nothing_after_its_successor_can_begin() -> None:
    standards = shipped_law().table(Standard)
    assert span_of(standards["GB 21341-2008"], standards).last == date(2016, 12, 31)
    assert span_of(standards["GB 21341-2017"], standards).sure is False
    old = judged(
        "hc_ferrochrome",
        "3600",
        "kWh/t",
        metric="smelting_electricity",
        on="2016-12-31",
        ore_grade_pct=40,
        cr_fe_ratio=3,
    )
    assert old.result == "exceeds level 3"


def test_before_any_version_there_is_no_limit() -> None:
    verdict = judged("clinker", "1", "kWh/t", metric="comparable_clinker_electricity", on="2001-01-01")
    assert verdict.status == "undetermined"
    assert "no limit in the library is in force" in verdict.reason_en


@pytest.mark.parametrize(("capacity", "limit"), [("49.999", 86), ("50", 72), ("69.9", 72), ("70", 72), ("300", 72)])
def test_the_row_for_the_capacity_is_taken(capacity: str, limit: int) -> None:
    assert judged("eaf", "80", "kgce/t", nominal_capacity_t=capacity).limit == limit


def test_without_the_capacity_it_is_asked_for() -> None:
    verdict = judged("eaf", "80", "kgce/t")
    assert (verdict.status, [one.key for one in verdict.missing]) == ("needs_data", ["nominal_capacity_t"])


def test_a_capacity_no_row_covers_is_said_to_have_no_limit() -> None:
    verdict = judged("eaf", "80", "kgce/t", on="2020-01-01", nominal_capacity_t=30)
    assert verdict.status == "undetermined"
    assert "no limit covers this case" in verdict.reason_en


@pytest.mark.parametrize(
    ("standing", "level3", "region", "limit"),
    [
        pytest.param("stricter", 260, "CN-GX", 260, id="a_stricter_local_limit_counts"),
        pytest.param("stricter", 300, "CN-GX", 270, id="a_laxer_one_does_not"),
        pytest.param("always", 300, "CN-GX", 300, id="unless_it_says_always"),
        pytest.param("stricter", 260, "CN-GD", 270, id="and_only_in_its_region"),
    ],
)
def test_local_limits_stand_before_national_ones(
    tmp_path: Path, standing: str, level3: int, region: str, limit: int
) -> None:
    text = GOOD.replace("level3 = 260", f"level3 = {level3}").replace('"stricter"', f'"{standing}"')
    (tmp_path / "local.toml").write_text(text, "utf-8")
    verdict = judged("newsprint", "1", "kgce/t", region=region, law=load_law(tmp_path))
    assert verdict.corrected_limit == limit
