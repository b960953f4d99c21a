"""A pack edited to be wrong, limits and surcharges, as a person meets it: `gridwarden law check` with file and line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from monitor.supervise import ExitCode
from tests.unit.test_law_pack_faults import GOOD, HEADER, WRONG, line_with

ROOT = Path(__file__).resolve().parents[2]
RULE = """
[[rule]]
id = "cn-hn-punitive-2026"
doc_no = "notice 1 of 2026"
title_zh = "惩罚性电价"
region = "CN-HN"
kind = "punitive"
effective_from = 2026-07-01
industries = ["any"]
basis = "excess_ratio"
tiers = [
  { gt = 0.0, le = 0.2, surcharge = 0.10 },
  { gt = 0.2, surcharge = 0.30 },
]
billing_base = "all_electricity"
source = "notice, article 3"
confidence = "V"
"""
TARIFF = HEADER + RULE
AGAIN = RULE.replace("cn-hn-punitive-2026", "cn-hn-punitive-2027").replace("2026-07-01", "2027-01-01")
STEPS = """
[[rule]]
id = "cn-hn-steps"
doc_no = "notice 2 of 2026"
title_zh = "阶梯电价"
region = "CN-HN"
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
  { year_from = 2026, year_to = 2026, threshold = 13300, excludes_desulfurisation = true },
  { year_from = 2027, threshold = 13200, excludes_desulfurisation = true },
]
source = "notice 2, table"
confidence = "V"
"""

# each: the pack, the text on the line that is told (empty: any line), the problem in words
WRONG_TARIFFS = {
    "no_source": (TARIFF.replace('source = "notice, article 3"\n', ""), "[[rule]]", "a value without a source"),
    "empty_source": (TARIFF.replace('"notice, article 3"', '""'), 'source = ""', "empty"),
    "no_confidence": (TARIFF.replace('confidence = "V"\n', ""), "[[rule]]", "missing"),
    "unknown_kind": (TARIFF.replace('"punitive"', '"punitiv"'), "kind =", "unknown value 'punitiv'"),
    "unknown_region": (TARIFF.replace("CN-HN", "CN-ZZ"), "CN-ZZ", "there is no region 'CN-ZZ'"),
    "unknown_industry": (TARIFF.replace('["any"]', '["cemnet"]'), "cemnet", "there is no industry 'cemnet'"),
    "unknown_key": (TARIFF.replace("billing_base", "billing_bse"), "billing_bse", "unknown key"),
    "unknown_billing_base": (TARIFF.replace("all_electricity", "some"), "billing_base", "unknown value 'some'"),
    "basis_of_another_kind": (TARIFF.replace("excess_ratio", "equipment_class"), "basis =", "has basis excess_ratio"),
    "no_first_day": (TARIFF.replace("effective_from = 2026-07-01\n", ""), "[[rule]]", "missing"),
    "negative_surcharge": (TARIFF.replace("surcharge = 0.10", "surcharge = -0.10"), "surcharge = -0.10", "negative"),
    "surcharge_as_text": (TARIFF.replace("surcharge = 0.10", 'surcharge = "10 fen"'), "10 fen", "not a number"),
    "tiers_with_a_hole": (TARIFF.replace("gt = 0.2,", "gt = 0.3,"), "gt = 0.3", "leaves a hole"),
    "tiers_without_their_edge": (TARIFF.replace("le = 0.2", "lt = 0.2"), "gt = 0.2", "leaves a hole at exactly 0.2"),
    "tiers_that_overlap": (TARIFF.replace("gt = 0.2,", "ge = 0.2,"), "ge = 0.2", "overlaps"),
    "tiers_that_end": (TARIFF.replace("gt = 0.2,", "gt = 0.2, le = 9,"), "le = 9", "leaves a hole above 9"),
    "tiers_that_fall": (TARIFF.replace("surcharge = 0.30", "surcharge = 0.05"), "0.05", "costs less than"),
    "overlapping_dates": (TARIFF + AGAIN, "2027-01-01", "overlaps 'cn-hn-punitive-2026'"),
    "the_same_id_twice": (TARIFF + RULE, "", "is taken"),
    "thresholds_with_a_hole": (
        HEADER + STEPS.replace("year_from = 2027", "year_from = 2028"),
        "year_from = 2028",
        "leaves a hole: no threshold for 2027",
    ),
    "thresholds_that_overlap": (
        HEADER + STEPS.replace("year_from = 2027", "year_from = 2026"),
        "threshold = 13200",
        "overlaps the threshold before it",
    ),
    "unknown_unit": (HEADER + STEPS.replace("kWh/t", "kWh/ton"), "kWh/ton", "unknown unit 'kWh/ton'"),
    "unknown_metric": (
        HEADER + STEPS.replace("liquid_comprehensive_ac_electricity", "liquid_ac"),
        "metric =",
        "there is no metric",
    ),
}
LIMITS = (
    "no_source",
    "unknown_unit",
    "unknown_standard",
    "two_versions_at_once",
    "two_limits_for_one_case",
    "ends_before_it_begins",
    "bands_with_a_hole",
    "bands_that_overlap",
    "quoted_number",
    "broken_toml",
    "unknown_key",
    "replaces_nothing",
)
CASES = {f"limit_{name}": WRONG[name] for name in LIMITS} | {
    f"tariff_{name}": case for name, case in WRONG_TARIFFS.items()
}


def checked(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """`gridwarden law check` as a process."""
    command = [sys.executable, "-m", "monitor.cli.main", "law", "check", str(folder), *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("text", [GOOD, TARIFF, HEADER + STEPS], ids=["limit", "punitive", "steps"])
def test_the_pack_that_is_then_broken_is_whole(tmp_path: Path, text: str) -> None:
    (tmp_path / "local.toml").write_text(text, "utf-8")
    ran = checked(tmp_path)
    assert (ran.returncode, ran.stderr) == (ExitCode.OK, "")


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_pack_that_is_wrong_is_refused_with_file_and_line(tmp_path: Path, name: str) -> None:
    text, mark, problem = CASES[name]
    file = tmp_path / "local.toml"
    file.write_text(text, "utf-8")
    ran = checked(tmp_path)
    assert ran.returncode == ExitCode.DATA, ran.stderr
    fault, summary = ran.stderr.splitlines()
    place, _, said = fault.removeprefix(f"{file}:").partition(": ")
    assert place.isdigit(), fault
    assert problem in said
    if mark:
        assert int(place) == line_with(text, mark), fault
    assert summary == "规则包有 1 处错误 / 1 faults in the rule packs"


def test_machines_are_told_file_line_key_problem_and_remedy(tmp_path: Path) -> None:
    text, mark, _ = WRONG_TARIFFS["tiers_with_a_hole"]
    (tmp_path / "local.toml").write_text(text, "utf-8")
    ran = checked(tmp_path, "--json")
    (fault,) = json.loads(ran.stdout)["faults"]
    assert ran.returncode == ExitCode.DATA
    assert fault == {
        "file": str(tmp_path / "local.toml"),
        "line": line_with(text, mark),
        "key": "rule[0].tiers[1]",
        "problem": "leaves a hole between 0.2 and 0.3",
        "remedy": "Correct the bounds: each number belongs to one tier.",
    }
