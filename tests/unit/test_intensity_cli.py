"""`gridwarden intensity` beside a stopped daemon: what is stored, for people and for machines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from models.domain.accounts import Period
from monitor.cli.main import app, exit_code_of
from monitor.commands import CommandRefused
from monitor.supervise import ExitCode
from tests.support.intensity import daily_registers as registers
from tests.support.intensity import judged, opened, told
from tests.support.plant import USCC

MARCH = Period.month(2026, 3)
COAL = [{"fuel": "raw-coal", "quantity": 100, "unit": "t"}]


def report(tonnes: float, rev: int = 0) -> Any:
    made: dict[str, Any] = {"product": "caustic_liquid_30", "quantity": tonnes, "unit": "t", "fuels": COAL}
    return told(MARCH, after_days=2 + rev, rev=rev, **made)


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A desk in which March met the limit first and exceeded it by a correction."""
    path = tmp_path_factory.mktemp("state")
    declared = {"plant": "existing", "region": "CN-SD"}
    with opened(path, "caustic_liquid_30", [registers(MARCH), report(400)], declared=declared) as plant:
        judged(plant, MARCH)
        plant.feed(report(100, 1))
        judged(plant, MARCH)
    return path


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(app, ["intensity", *map(str, words)])


def test_a_verdict_is_printed_with_its_calculation_and_its_revisions(state: Path) -> None:
    done = run("--enterprise", USCC, "--period", "2026-03", "--state", state)
    assert done.exit_code == 0, done.output
    assert "超过限额 / exceeds level 3" in done.output
    assert "80573.76 kgce / 100 t = 805.7376 kgce/t" in done.output
    assert "GB 21257-2024" in done.output
    assert "第 1 版: meets level 1" in done.output
    assert "第 2 版: exceeds level 3" in done.output
    assert "kWh kWh" not in done.output


def test_the_same_for_machines(state: Path) -> None:
    done = run(
        "--enterprise", USCC, "--period", "2026-03", "--product", "caustic_liquid_30", "--state", state, "--json"
    )
    (found,) = json.loads(done.output)["items"]
    wanted = {
        "status",
        "rule",
        "limit",
        "corrected_limit",
        "actual",
        "level",
        "citations",
        "missing",
        "steps",
        "revision",
    }
    assert wanted <= found.keys()
    assert (found["status"], found["corrected_limit"], found["law_version"][:4]) == ("exceeds", "350", "2026")


def test_a_list_of_a_month_may_be_limited_to_a_status(state: Path) -> None:
    assert "exceeds level 3" in run("list", "--period", "2026-03", "--state", state).output
    none = run("list", "--period", "2026-03", "--status", "meets", "--state", state)
    assert (none.exit_code, "还没有判定" in none.output) == (0, True)


def test_what_cannot_be_answered_says_why(state: Path) -> None:
    assert run("--enterprise", USCC, "--state", state).exit_code == ExitCode.USAGE
    unknown = run("--enterprise", USCC, "--period", "2026-05", "--state", state)
    assert unknown.exit_code == ExitCode.NO_INPUT
    wrong = run("--enterprise", USCC, "--period", "March", "--state", state)
    assert isinstance(wrong.exception, CommandRefused)
    assert exit_code_of(wrong.exception) is ExitCode.DATA
    assert "2026-Q1" in str(wrong.exception)
