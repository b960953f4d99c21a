"""`gridwarden law` and `gridwarden intensity explain`, and every example of a facts file."""

from __future__ import annotations

import importlib.resources
import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from models.law.case import read_case
from models.law.library import shipped_law
from monitor.cli.main import app
from monitor.supervise import ExitCode
from tests.unit.test_law_pack_faults import GOOD, HEADER, line_with

HOW_TO = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "judge-a-limit-by-hand.md"
EXAMPLES = Path(str(importlib.resources.files("models.law").joinpath("examples")))

# what each example is told: the results of its metrics, in its order
EXPECTED: dict[str, list[str]] = {
    "alumina": ["meets level 3", "meets level 3"],
    "antimony_smelting": ["exceeds level 3"],
    "calcium_carbide": ["meets level 3", "exceeds level 3"],
    "caustic_soda": ["exceeds level 3"],
    "cement": ["meets level 3"],
    "ceramics": ["meets level 3"],
    "coal_mining": ["meets level 3"],
    "coal_power": ["meets level 1"],
    "coal_washing": ["meets level 3"],
    "coke": ["meets level 3"],
    "copper_smelting": ["meets level 2"],
    "electrolytic_aluminium": ["meets level 3", "exceeds level 3"],
    "ferroalloy": ["exceeds level 3"],
    "fertilizer": ["exceeds level 3"],
    "fired_brick": ["meets level 2"],
    "flat_glass": ["meets level 3"],
    "gas_power": ["meets level 3"],
    "industrial_silicon": ["exceeds level 3"],
    "iron_and_steel": ["meets level 3"],
    "lead_smelting": ["meets level 2"],
    "magnesium_smelting": ["meets level 3"],
    "methanol": ["meets level 3"],
    "nickel_smelting": ["needs_review"],
    "paper": ["meets level 3"],
    "polysilicon": ["meets level 3"],
    "pvc": ["meets level 3"],
    "soda_ash": ["meets level 3"],
    "synthetic_ammonia": ["meets level 3"],
    "tin_smelting": ["meets level 2"],
    "yellow_phosphorus": ["exceeds level 3"],
    "zinc_smelting": ["exceeds level 3"],
}
REPLACING_ROW = """
[[factor]]
id = "raw-coal"
replaces = "raw-coal"
standard = "GB/T 2589-2020"
name_zh = "原煤"
name_en = "raw coal"
kind = "fuel"
unit = "kg"
kgce = 0.7
kj = 20934
source = "notice"
confidence = "V"
"""

MACHINE_KEYS = {
    "status",
    "rule",
    "tier",
    "surcharge_cny_per_kwh",
    "amount_cny",
    "limit",
    "corrected_limit",
    "actual",
    "level",
    "citations",
    "missing",
}


def run(*args: str, code: int = ExitCode.OK) -> str:
    result = CliRunner().invoke(app, list(args), catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.output


def answer(*args: str) -> Any:
    return json.loads(run(*args, "--json"))


def test_there_is_an_example_for_each_industry() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.toml")} == set(EXPECTED) == set(shipped_law().rows["industry"])


@pytest.mark.parametrize("industry", sorted(EXPECTED))
def test_an_example_is_judged_as_its_figures_say(industry: str) -> None:
    path = EXAMPLES / f"{industry}.toml"
    assert read_case(path, shipped_law()).industry == industry
    found = answer("intensity", "explain", "--facts", str(path))
    assert [one["result"] for one in found["verdicts"]] == EXPECTED[industry]
    assert all(set(one) >= MACHINE_KEYS and one["citations"] for one in found["verdicts"])


def page_block(language: str) -> str:
    (text,) = re.findall(rf"^```{language}\n(.*?)^```", HOW_TO.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return str(text)


def test_the_facts_of_the_how_to_are_judged(tmp_path: Path) -> None:
    facts = page_block("facts")
    (tmp_path / "facts.toml").write_text(facts, "utf-8")
    assert answer("intensity", "explain", "--facts", str(tmp_path / "facts.toml"))["result"] == "meets level 3"
    bricks = (EXAMPLES / "fired_brick.toml").read_text("utf-8")
    (tmp_path / "energy.toml").write_text(bricks[: bricks.index("[[measured]]")] + page_block("measured"), "utf-8")
    assert answer("intensity", "explain", "--facts", str(tmp_path / "energy.toml"))["result"] == "meets level 1"


def test_the_pack_of_the_how_to_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "local.toml").write_text(page_block("pack"), "utf-8")
    run("law", "check", str(tmp_path))
    assert len(answer("law", "diff", str(tmp_path))["differences"]) == 2


def test_one_metric_has_its_keys_at_the_top() -> None:
    found = answer("intensity", "explain", "--facts", str(EXAMPLES / "cement.toml"))
    assert (found["status"], found["level"], found["limit"], found["corrected_limit"]) == ("meets", 3, "94", "100.00")
    assert (found["actual"], found["missing"], found["rule"]) == (
        "96.0",
        [],
        "gb16780-2021.cement.comprehensive-energy",
    )
    assert (found["tier"], found["surcharge_cny_per_kwh"], found["amount_cny"]) == (None, None, None)


def test_people_read_chinese_first_with_every_step_and_the_citation() -> None:
    text = run("intensity", "explain", "--facts", str(EXAMPLES / "cement.toml"))
    lines = text.split("\n")
    assert lines[1] == "结论 / verdict: 达到限额 / meets level 3"
    assert "87 + 1.15 × (80 - 75) = 92.75 kgce/t [GB 16780-2021 5.4]" in text
    assert "GB 16780-2021 表1; 4.1, 5.3, 5.4 [V]" in text
    assert shipped_law().version in text


def test_fuels_and_output_are_worked_out_line_by_line() -> None:
    found = answer("intensity", "explain", "--facts", str(EXAMPLES / "fired_brick.toml"))
    formulas = [step["formula"] for step in found["steps"]]
    assert formulas[0] == "20934000 / 29307 = 714.300338"
    assert formulas[2] == "3120000 kWh × 0.1229 = 383448.00"
    total = sum(Decimal(step["result"]) for step in found["steps"][1:4])
    assert round(Decimal(found["actual"]), 12) == round(total / 86000, 12)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ('product = "cement"', 'product = "cemnt"', "unknown product 'cemnt' of cement. Meant cement?"),
        ('industry = "cement"', 'industry = "cemnt"', "unknown industry 'cemnt'. Meant cement?"),
        ("clinker_ratio_pct = 80", "clinker_ratio = 80", "unknown fact. Meant clinker_ratio_pct?"),
        ("clinker_ratio_pct = 80", "clinker_ratio_pct = 0.8", "0.8 is outside 5 to 100 %"),
        ("clinker_ratio_pct = 80", 'clinker_ratio_pct = "80"', "a number in % is wanted, without quotes"),
        ("actual = 96.0\n", "", "give actual with its unit, or energy with output. One of the two."),
        ("actual = 96.0", "actual = 1e99999999", "no figure of this kind is so large, so small or so long"),
        ('unit = "kgce/t"\n', "", "actual has no unit. Name it, such as kgce/t."),
        ("coverage = 0.999", "coverage = 99.9", "coverage is a share from 0 to 1. Write 0.98 for 98 %."),
        ('metric = "comprehensive_energy"', 'metric = "energy"', "no limit of cement is on 'energy'"),
        ('metric = "comprehensive_energy"\n', "", "several metrics are limited and none is named"),
        ("period_to = 2024-12-31", "period_to = 2023-12-31", "the period begins after it ends"),
    ],
)
def test_a_fault_of_the_facts_is_told_with_file_and_line(tmp_path: Path, before: str, after: str, told: str) -> None:
    text = (EXAMPLES / "cement.toml").read_text("utf-8")
    assert before in text
    path = tmp_path / "facts.toml"
    path.write_text(text.replace(before, after), "utf-8")
    output = run("intensity", "explain", "--facts", str(path), code=ExitCode.DATA)
    assert told in output
    assert output.startswith(f"{path}:")


def test_a_fault_of_a_measured_figure_is_told_once(tmp_path: Path) -> None:
    path = tmp_path / "facts.toml"
    path.write_text((EXAMPLES / "cement.toml").read_text("utf-8").replace("kgce/t", "kg/q"), "utf-8")
    output = run("intensity", "explain", "--facts", str(path), code=ExitCode.DATA)
    assert len(output.strip().splitlines()) == 1
    assert "unknown unit 'kg/q'" in output


def test_a_facts_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    assert "facts" in run("intensity", "explain", "--facts", str(tmp_path / "none.toml"), code=ExitCode.NO_INPUT)


def test_the_packs_are_checked(tmp_path: Path) -> None:
    assert "没有错误 / no faults" in run("law", "check")
    text = GOOD.replace("kgce/t", "kgce/ton")
    (tmp_path / "local.toml").write_text(text, "utf-8")
    output = run("law", "check", str(tmp_path), code=ExitCode.DATA)
    assert f"{tmp_path / 'local.toml'}:{line_with(text, 'kgce/ton')}: limit[0].unit: unknown unit" in output
    run("law", "check", str(tmp_path / "none"), code=ExitCode.NO_INPUT)


def test_machines_are_told_the_same(tmp_path: Path) -> None:
    text = GOOD.replace("level3 = 260", "level3 = 260\nlevel4 = 1")
    (tmp_path / "local.toml").write_text(text, "utf-8")
    found = json.loads(run("law", "check", str(tmp_path), "--json", code=ExitCode.DATA))
    (fault,) = found["faults"]
    assert (found["ok"], fault["line"], fault["key"]) == (False, line_with(text, "level4"), "limit[0].level4")
    assert answer("law", "check")["digest"] == shipped_law().digest


def test_rows_are_listed_by_words_and_section() -> None:
    found = answer("law", "list", "转炉", "GB 21256-2025", "--section", "limit")
    assert [row["id"] for row in found["rows"]] == ["gb21256-2025.converter.process-energy"]
    assert "GB 21256-2025" in run("law", "list", "粗钢", "--section", "standard")
    assert "Meant limit?" in run("law", "list", "--section", "limits", code=ExitCode.USAGE)


def test_a_row_is_shown_with_its_line_and_source() -> None:
    output = run("law", "show", "gb16780-2021-clinker-ratio")
    assert "models/law/packs/corrections.toml:" in output
    assert 'source = "GitHub adgo07/ECQuota-Insight' in output
    assert "Meant IF-1?" in run("law", "show", "IF1", code=ExitCode.NO_INPUT)


def test_a_difference_of_packs_is_told_row_by_row(tmp_path: Path) -> None:
    (tmp_path / "local.toml").write_text(HEADER + REPLACING_ROW, "utf-8")
    found = answer("law", "diff", str(tmp_path))
    (one,) = found["differences"]
    assert (one["what"], one["section"], one["id"]) == ("changed", "factor", "raw-coal")
    assert ["kgce", "0.7143", "0.7"] in one["keys"]
    assert found["from"] != found["to"]
