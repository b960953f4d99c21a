"""Tariff packs that are wrong are refused, with file and line; so is a shipped pack with one thing in it altered."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.law.faults import LawFaults
from models.law.library import SHIPPED, assemble, load_law
from models.law.tariff_rows import TariffRule
from tests.unit.test_law_pack_faults import HEADER, faults_of, line_with

PACKS = Path(__file__).resolve().parents[2] / SHIPPED
PUNITIVE = """
[[rule]]
id = "cn-sn-punitive-2020"
doc_no = "notice 1"
title_zh = "陕西惩罚性电价"
region = "CN-SN"
kind = "punitive"
effective_from = 2020-01-01
industries = ["ferroalloy"]
basis = "excess_ratio"
billing_base = "all_electricity"
tiers = [
  { gt = 0, le = 0.5, surcharge = 0.05 },
  { gt = 0.5, le = 1.0, surcharge = 0.10 },
  { gt = 1.0, surcharge = 0.30 },
]
source = "notice of the bureau, 2020-01-01"
confidence = "V"
"""
STEPS = """
[[rule]]
id = "cn-sn-aluminium-2026"
doc_no = "notice 2"
title_zh = "陕西电解铝"
region = "CN-SN"
kind = "tiered"
effective_from = 2026-01-01
industries = ["electrolytic_aluminium"]
basis = "metric"
basis_period = "calendar_year"
metric = "liquid_comprehensive_ac_electricity"
unit = "kWh/t"
step_kwh = 20
step_surcharge = 0.01
thresholds = [
  { year_from = 2026, year_to = 2027, threshold = 13200, excludes_desulfurisation = true },
  { year_from = 2028, threshold = 13100, excludes_desulfurisation = true },
]
source = "notice of the bureau, 2026-01-01"
confidence = "V"
"""
CLASSES = """
[[rule]]
id = "cn-sn-diff-2020"
doc_no = "notice 3"
title_zh = "陕西差别电价"
region = "CN-SN"
kind = "differential"
effective_from = 2020-01-01
industries = ["ferroalloy"]
basis = "equipment_class"
phases = [
  { from = 2020-01-01, restricted = 0.10, eliminated = 0.30 },
  { from = 2021-01-01, times_first = 1.5 },
]
source = "notice of the bureau, 2020-01-01"
confidence = "V"
"""
GOOD = HEADER + PUNITIVE + STEPS + CLASSES
SECOND = PUNITIVE.replace('"cn-sn-punitive-2020"', '"cn-sn-punitive-2022"').replace(
    "2020-01-01\nind", "2022-01-01\nind"
)

WRONG = {
    "no_source": (GOOD.replace('source = "notice of the bureau, 2020-01-01"\n', "", 1), "[[rule]]", "without a source"),
    "hole": (GOOD.replace("gt = 0.5,", "gt = 0.6,"), "gt = 0.6", "leaves a hole between 0.5 and 0.6"),
    "hole_at_the_edge": (GOOD.replace("le = 0.5", "lt = 0.5"), "gt = 0.5", "leaves a hole at exactly 0.5"),
    "overlap": (GOOD.replace("gt = 0.5,", "gt = 0.4,"), "gt = 0.4", "overlaps the row before it"),
    "overlap_at_the_edge": (GOOD.replace("gt = 0.5,", "ge = 0.5,"), "ge = 0.5", "overlaps the row before it at 0.5"),
    "hole_at_the_top": (
        GOOD.replace("{ gt = 1.0, s", "{ gt = 1.0, le = 2.0, s"),
        "le = 2.0",
        "leaves a hole above 2.0",
    ),
    "hole_at_the_bottom": (GOOD.replace("{ gt = 0, ", "{ gt = 0.1, "), "gt = 0.1", "leaves a hole above zero"),
    "negative": (GOOD.replace("surcharge = 0.05", "surcharge = -0.05"), "-0.05", "is negative"),
    "falls": (GOOD.replace("surcharge = 0.10 }", "surcharge = 0.01 }"), "= 0.01 }", "costs less than the tier before"),
    "quoted": (GOOD.replace("surcharge = 0.05", 'surcharge = "0.05"'), '"0.05"', "not a number"),
    "unknown_industry": (GOOD.replace('["ferroalloy"]', '["feroalloy"]', 1), "feroalloy", "there is no industry"),
    "unknown_region": (GOOD.replace('"CN-SN"', '"CN-QQ"', 1), "CN-QQ", "there is no region"),
    "no_region_code": (GOOD.replace('"CN-SN"', '"Shaanxi"', 1), "Shaanxi", "not a region code"),
    "unknown_unit": (GOOD.replace('"kWh/t"', '"kWh/ton"'), "kWh/ton", "unknown unit"),
    "unknown_metric": (GOOD.replace('metric = "liquid', 'metric = "solid'), 'metric = "solid', "there is no metric"),
    "unknown_kind": (GOOD.replace('"punitive"', '"punishing"'), "punishing", "unknown value 'punishing'"),
    "unknown_base": (GOOD.replace('"all_electricity"', '"all"'), 'billing_base = "all"', "unknown value 'all'"),
    "unknown_key": (GOOD.replace("billing_base", "biling_base"), "biling_base", "unknown key"),
    "unknown_tier_key": (GOOD.replace("le = 0.5", "lte = 0.5"), "lte = 0.5", "unknown key"),
    "no_date": (GOOD.replace("effective_from = 2020-01-01\n", "", 1), "[[rule]]", "missing"),
    "ends_before_it_begins": (
        GOOD.replace("effective_from = 2020-01-01", "effective_from = 2020-01-01\neffective_to = 2019-12-31", 1),
        "effective_from = 2020-01-01",
        "is after effective_to",
    ),
    "two_rules_at_once": (GOOD + SECOND, "effective_from = 2022-01-01", "overlaps 'cn-sn-punitive-2020'"),
    "edge_that_is_none": (
        GOOD.replace("le = 0.5, s", 'le = 0.5, boundary = "ambiguous", ambiguous_at = [0.6], s'),
        "ambiguous_at",
        "no edge of this tier",
    ),
    "edge_without_its_number": (
        GOOD.replace("le = 0.5, s", 'le = 0.5, boundary = "ambiguous", s'),
        "boundary",
        "go together",
    ),
    "no_tiers": (
        HEADER + PUNITIVE[: PUNITIVE.index("tiers")] + PUNITIVE[PUNITIVE.index("source") :],
        'kind = "punitive"',
        "no table of surcharges",
    ),
    "year_left_out": (GOOD.replace("year_from = 2028", "year_from = 2029"), "2029", "no threshold for 2028"),
    "year_twice": (GOOD.replace("year_from = 2028", "year_from = 2027"), "year_from = 2027", "overlaps the threshold"),
    "year_ends": (
        GOOD.replace("year_from = 2028,", "year_from = 2028, year_to = 2029,"),
        "year_to = 2029",
        "no threshold after 2029",
    ),
    "steps_without_their_size": (GOOD.replace("step_kwh = 20\n", ""), "thresholds", "go together"),
    "step_of_zero": (GOOD.replace("step_kwh = 20", "step_kwh = 0"), "step_kwh", "a step of zero"),
    "phases_out_of_order": (
        GOOD.replace("from = 2021-01-01", "from = 2019-01-01"),
        "2019-01-01",
        "not after the phase",
    ),
    "phase_begins_late": (
        GOOD.replace("{ from = 2020-01-01", "{ from = 2020-02-01"),
        "{ from = 2020-02",
        "the rule on",
    ),
    "wrong_basis": (GOOD.replace('"excess_ratio"', '"metric"'), 'basis = "metric"', "has basis excess_ratio"),
    "unknown_successor": (
        GOOD.replace(
            'basis = "equipment_class"',
            'basis = "equipment_class"\n'
            'superseded_for = [{ industry = "ferroalloy", from = 2022-01-01, by = "cn-sn-diff-2022" }]',
        ),
        "superseded_for",
        "there is no rule 'cn-sn-diff-2022'",
    ),
}


def test_a_pack_with_rules_of_ones_own_is_added(tmp_path: Path) -> None:
    (tmp_path / "local.toml").write_text(GOOD, "utf-8")
    assert "cn-sn-punitive-2020" in load_law(tmp_path).table(TariffRule)


@pytest.mark.parametrize("case", list(WRONG))
def test_a_wrong_pack_is_refused_with_file_and_line(tmp_path: Path, case: str) -> None:
    text, where, problem = WRONG[case]
    assert text != GOOD
    faults = faults_of(tmp_path, text)
    told = [str(fault) for fault in faults]
    assert any(problem in fault.problem for fault in faults), told
    fault = next(fault for fault in faults if problem in fault.problem)
    assert fault.file == str(tmp_path / "local.toml")
    assert fault.line == line_with(text, where), told
    assert fault.remedy.endswith((".", "?"))
    assert len(faults) == 1, told


ALTERED = {
    "rule_that_ends_too_late": (
        "tariffs-cn.toml",
        'effective_to = "2021-12-31"',
        'effective_to = "2022-12-31"',
        "effective_to",
    ),
    "hole_in_the_threshold_rows": ("tariffs-cn.toml", "gt = 64, le = 67", "gt = 65, le = 67", "leaves a hole"),
    "row_of_one_age_only": ("tariffs-cn.toml", "built_from = 2013-10-01", "built_from = 2014-10-01", "part at"),
    "successor_begins_later": (
        "tariffs-cn.toml",
        'from = "2017-01-01", by = "cn-diff-steel-2017"',
        'from = "2016-01-01", by = "cn-diff-steel-2017"',
        "leaves a hole",
    ),
    "nobody_takes_over": (
        "tariffs-cn.toml",
        '  { industry = "iron_and_steel", from = "2017-01-01", by = "cn-diff-steel-2017" },\n',
        "",
        "overlaps 'cn-diff-2010'",
    ),
    "class_nobody_knows": ("tariffs-cn.toml", '{ class = "限制类"', '{ class = "限止类"', "unknown value '限止类'"),
    "class_twice": (
        "tariffs-provinces.toml",
        '{ class = "淘汰类", surcharge = 0.20 }',
        '{ class = "限制类", surcharge = 0.20 }',
        "twice",
    ),
    "source_emptied": (
        "tariffs-provinces.toml",
        'source = "dcement.com/article/201108/100280.html (重庆商报)"',
        'source = ""',
        "empty",
    ),
    "follows_nothing": (
        "tariffs-provinces.toml",
        'follows = "cn-tier-aluminium-2022"',
        'follows = "cn-tier-aluminum-2022"',
        "there is no rule",
    ),
    "share_of_revenue": ("tariffs-provinces.toml", "grid = 0.10, fund = 0.90", "grid = 0.10, fund = 0.80", "not 1"),
    "water_without_markup": (
        "tariffs-cities.toml",
        ", markup = 0.20, markup_listed = 0.50",
        ", surcharge = 0.20",
        "without a markup",
    ),
}


@pytest.mark.parametrize("case", list(ALTERED))
def test_a_shipped_pack_with_one_thing_altered_is_refused_at_its_line(case: str) -> None:
    name, before, after, problem = ALTERED[case]
    sources = [(path.name, path.read_text("utf-8")) for path in sorted(PACKS.glob("*.toml"))]
    assert any(before in text for file, text in sources if file == name)
    altered = [(file, text.replace(before, after, 1) if file == name else text) for file, text in sources]
    with pytest.raises(LawFaults) as raised:
        assemble([(file, text.encode()) for file, text in altered])
    told = [str(fault) for fault in raised.value.faults]
    fault = next((one for one in raised.value.faults if problem in f"{one.key} {one.problem}"), None)
    assert fault is not None, told
    assert fault.file == name
    assert fault.line > 5
