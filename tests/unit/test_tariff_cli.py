"""`gridwarden tariff explain`: every example, what-ifs, files that are wrong, punitive pricing from a limit verdict."""

from __future__ import annotations

import importlib.resources
import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from models.law.library import shipped_law
from models.law.tariff_file import judge_file, read_tariff
from monitor.cli.main import app
from monitor.supervise import ExitCode

HOW_TO = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "judge-a-surcharge-by-hand.md"
EXAMPLES = Path(str(importlib.resources.files("models.law").joinpath("examples", "tariff")))

# what each example is told: status, rule, tier, surcharge, amount
EXPECTED: dict[str, tuple[str, str, int | str | None, str | None, str | None]] = {
    "calcium_carbide": ("flag", "cn-diff-2010", "限制类", "0.10", "100000.00"),
    "caustic_soda": ("flag", "cn-diff-2010", "淘汰类", "0.30", "300000.00"),
    "cement": ("undetermined", "cn-tier-cement-2016", None, None, None),
    "cement_concealed": ("flag", "cn-xj-cement-2017", "concealment", "0.25", "5000000.00"),
    "cement_eliminated": ("flag", "cn-diff-cement-2014", "淘汰类", "0.40", "2000000.00"),
    "cement_metric_gap": ("needs_data", "cn-tier-cement-metric-gap", None, None, None),
    "ceramics": ("flag", "cn-gd-punitive-2010", 2, "0.10", None),
    "coal_power": ("needs_review", "cn-gz-punitive-2010", 1, "0.05", None),
    "coke": ("undetermined", "cn-sd-coke-refining-2019", None, None, None),
    "electrolytic_aluminium": ("flag", "cn-yn-aluminium-2022", 4, "0.04", "54044000.00"),
    "electrolytic_aluminium_late_payment": ("flag", "cn-tier-aluminium-2022", 4, "0.057", "5700000.00"),
    "electrolytic_aluminium_year_before": ("flag", "cn-tier-aluminium-2014", 2, "0.02", "27400000.00"),
    "ferroalloy": ("flag", "cn-nm-diff-2021", "限制类", "0.10", None),
    "ferroalloy_punitive": ("flag", "cn-gx-punitive-2010", 1, "0.05", "150000.00"),
    "iron_and_steel": ("flag", "cn-diff-steel-2017", "限制类", "0.10", "4000000.00"),
    "iron_and_steel_capacity_cut": ("flag", "cn-he-steel-2017", "未按期完成化解过剩产能任务", "0.60", "24000000.00"),
    "iron_and_steel_tiered": ("undetermined", "cn-tier-steel-2017", None, None, None),
    "paper": ("flag", "cn-gd-diff-2010", "淘汰类", "0.30", "600000.00"),
    "yellow_phosphorus": ("flag", "cn-diff-2010", "限制类", "0.10", "100000.00"),
    "zinc_smelting": ("flag", "cn-diff-2010", "淘汰类", "0.30", "300000.00"),
}
PROMISED = {
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


def explained(path: Path, *more: str) -> dict[str, Any]:
    result = CliRunner().invoke(app, ["tariff", "explain", "--facts", str(path), "--json", *more])
    assert result.exit_code == ExitCode.OK, result.output
    answer: dict[str, Any] = json.loads(result.stdout)
    return answer


def refused(path: Path, *more: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["tariff", "explain", "--facts", str(path), *more])
    return result.exit_code, result.stderr


def test_the_case_of_the_how_to_is_judged_as_it_stands(tmp_path: Path) -> None:
    text = HOW_TO.read_text("utf-8")
    (facts,) = re.findall(r"^```facts\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    path = tmp_path / "facts.toml"
    path.write_text(facts, "utf-8")
    assert explained(path)["amount_cny"] == "54044000.00"
    assert all(f"`{name}`" in text for name in (*EXPECTED, "water"))


def test_every_example_has_its_answer_here() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.toml")} == {*EXPECTED, "water"}


@pytest.mark.parametrize("name", list(EXPECTED))
def test_example(name: str) -> None:
    answer = explained(EXAMPLES / f"{name}.toml")
    assert answer.keys() >= PROMISED
    keys = ("status", "rule", "tier", "surcharge_cny_per_kwh", "amount_cny")
    assert tuple(answer[key] for key in keys) == EXPECTED[name]
    assert answer["citations"]


def test_the_water_example_is_told_beside_the_electricity() -> None:
    water = explained(EXAMPLES / "water.toml")["water"]
    assert (water["status"], water["surcharge_cny_per_kwh"], water["amount_cny"]) == ("needs_review", None, "96000.00")
    assert Decimal(water["surcharge_cny_per_m3"]) == Decimal("3.2")


def test_facts_on_water_alone_are_answered_with_the_water(tmp_path: Path) -> None:
    answer = explained(EXAMPLES / "water.toml")
    assert (answer["kind"], answer["rule"], answer["amount_cny"]) == ("water", "local-water-example", "96000.00")
    both = tmp_path / "both.toml"
    text = (EXAMPLES / "water.toml").read_text(encoding="utf-8")
    both.write_text(text.replace("[water]", "excess_ratio = 0.4\n\n[water]"), encoding="utf-8")
    assert explained(both)["kind"] == "punitive"


def test_the_text_has_chinese_first_and_every_line_of_the_arithmetic() -> None:
    path = EXAMPLES / "electrolytic_aluminium.toml"
    result = CliRunner().invoke(app, ["tariff", "explain", "--facts", str(path)])
    lines = result.stdout.splitlines()
    assert result.exit_code == ExitCode.OK
    assert "结论 / verdict: 应加价 / flag" in lines
    for part in ("13511 - 13450 = 61", "61 ÷ 20 = 3.05 → 4", "4 × 0.01 = 0.04", "1351100000 × 0.04 = 54044000.00"):
        assert any(part in line for line in lines), part


@pytest.mark.parametrize(
    ("options", "surcharge"),
    [
        (("--intensity", "13450.01"), "0.01"),
        (("--as-of", "2022"), "0"),
        (("--as-of", "2025-06-01"), "0.11"),
        (("--as-of", "2022", "--intensity", "liquid_comprehensive_ac_electricity=13651"), "0.01"),
    ],
)
def test_what_if(options: tuple[str, ...], surcharge: str) -> None:
    answer = explained(EXAMPLES / "electrolytic_aluminium.toml", *options)
    assert Decimal(answer["surcharge_cny_per_kwh"]) == Decimal(surcharge)


def test_punitive_pricing_follows_from_the_limit_verdict() -> None:
    answer = explained(EXAMPLES / "ceramics.toml")
    ratio = (Decimal(answer["actual"]) - Decimal(answer["corrected_limit"])) / Decimal(answer["corrected_limit"])
    assert Decimal(answer["excess_ratio"]) == ratio
    assert any(cited["document"].startswith("GB ") for cited in answer["citations"])
    met = explained(EXAMPLES / "ceramics.toml", "--intensity", "6")
    assert (met["status"], Decimal(met["surcharge_cny_per_kwh"])) == ("clear", Decimal(0))
    assert met["level"] in (1, 2, 3)


def test_a_limit_that_cannot_be_judged_leaves_the_surcharge_open(tmp_path: Path) -> None:
    path = tmp_path / "facts.toml"
    text = (EXAMPLES / "ceramics.toml").read_text("utf-8").replace("actual = 9.1", "actual = 6.5\nuncertainty_pct = 5")
    path.write_text(text, "utf-8")
    answer = explained(path)
    assert (answer["status"], answer["surcharge_cny_per_kwh"]) == ("needs_review", None)
    assert judge_file(shipped_law(), read_tariff(path, shipped_law())).limit is not None


WRONG = {
    "unknown_key": ("outptu_t = 5", "output_t = 100_000", "unknown key. Meant output_t?"),
    "unknown_industry": ('industry = "aluminium"', 'industry = "electrolytic_aluminium"', "unknown industry"),
    "unknown_region": ('region = "CN-YY"', 'region = "CN-YN"', "unknown region"),
    "unknown_metric": ('metric = "liquid"', 'metric = "liquid_comprehensive_ac_electricity"', "unknown metric"),
    "unknown_unit": ('unit = "kWh/ton"', 'unit = "kWh/t"', "unknown unit"),
    "turned_period": ("period_to = 2022-12-31", "period_to = 2023-12-31", "begins after it ends"),
    "share_in_percent": ("renewables_share = 18", "output_t = 100_000", "from 0 to 1"),
    "quoted": ('value = "13511"', "value = 13511", "not a number"),
}


@pytest.mark.parametrize("case", list(WRONG))
def test_a_wrong_facts_file_is_refused_with_its_line(tmp_path: Path, case: str) -> None:
    after, before, problem = WRONG[case]
    text = (EXAMPLES / "electrolytic_aluminium.toml").read_text("utf-8")
    assert before in text
    path = tmp_path / "facts.toml"
    path.write_text(text.replace(before, after), "utf-8")
    code, told = refused(path)
    assert code == ExitCode.DATA
    assert problem in told
    assert told.startswith(f"{path}:")


def test_a_class_of_equipment_that_is_none_is_told_once_with_all_classes(tmp_path: Path) -> None:
    path = tmp_path / "facts.toml"
    text = (EXAMPLES / "cement.toml").read_text("utf-8")
    path.write_text(text.replace("允许类", "eliminated"), "utf-8")
    _, told = refused(path)
    assert len(told.strip().splitlines()) == 1
    assert ": equipment_class: unknown value 'eliminated'" in told
    assert "'限制类'" in told
    assert "'none'" in told


def test_a_fault_in_the_intensity_table_is_told_at_its_line(tmp_path: Path) -> None:
    text = (EXAMPLES / "ceramics.toml").read_text("utf-8").replace('"comprehensive_energy"', '"heat"')
    path = tmp_path / "facts.toml"
    path.write_text(text, "utf-8")
    line = next(number for number, one in enumerate(text.split("\n"), 1) if '"heat"' in one)
    code, told = refused(path)
    assert (code, told.startswith(f"{path}:{line}: intensity.measured[0].metric")) == (ExitCode.DATA, True), told


@pytest.mark.parametrize("options", [("--intensity", "many"), ("--as-of", "23"), ("--as-of", "2023-13-01")])
def test_an_option_that_cannot_be_read_is_a_usage_error(options: tuple[str, str]) -> None:
    code, told = refused(EXAMPLES / "electrolytic_aluminium.toml", *options)
    assert (code, options[0] in told) == (ExitCode.USAGE, True)


def test_an_intensity_that_could_mean_two_figures_is_asked_back() -> None:
    code, told = refused(EXAMPLES / "cement_metric_gap.toml", "--intensity", "50")
    assert (code, "METRIC=" in told) == (ExitCode.USAGE, True)


def test_no_such_file() -> None:
    code, told = refused(EXAMPLES / "none.toml")
    assert (code, "none.toml" in told) == (ExitCode.NO_INPUT, True)
