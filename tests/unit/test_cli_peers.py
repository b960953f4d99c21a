"""`gridwarden peers` on a stopped daemon's files."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import numpy as np
import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from models.learned.features import FEATURE_VERSION
from monitor.cli.peers import NIGHTS, peers
from monitor.history.history import History
from monitor.supervise import ExitCode
from tests.support.register_dirs import meter_id, register_dir

LAST = dt.date(2026, 6, 30)
METERS = 12


def run(*arguments: str) -> Result:
    app = typer.Typer()
    app.command()(peers)
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "130"})


@pytest.fixture
def asked(tmp_path: Path) -> tuple[str, ...]:
    """The command's options for a district whose meter 5 is unlike the others of its trade."""
    state = tmp_path / "state"
    state.mkdir()
    rng = np.random.default_rng(2)
    meters = [meter_id(number) for number in range(METERS)]
    history = History.open(state)
    for back in range(NIGHTS):
        noise = rng.lognormal(0.0, 0.1, METERS)
        valley = np.where(np.arange(METERS) == 5, 0.8, 0.12) * rng.lognormal(0.0, 0.05, METERS)
        history.write_features(
            LAST - dt.timedelta(days=back),
            900,
            FEATURE_VERSION,
            meters,
            {
                "energy_kwh": (4000.0 * noise).astype(np.float32),
                "valley_share": valley.astype(np.float32),
                "load_factor": (0.4 * noise).astype(np.float32),
                "coverage": np.ones(METERS, dtype=np.float32),
            },
        )
    history.close()
    return "--register", str(register_dir(tmp_path / "register", METERS)), "--state", str(state)


def test_the_odd_one_of_its_trade_comes_first(asked: tuple[str, ...]) -> None:
    done = run(*asked, "--night", str(LAST), "--json")
    assert done.exit_code == 0, done.output
    listed = json.loads(done.stdout)
    assert listed[0] == {"meter": meter_id(5), "trade": "3484", "rank": 1.0}
    assert len(listed) == METERS - 1
    shown = run(*asked, "--night", str(LAST), "--limit", "3")
    assert shown.stdout.splitlines()[0].split() == ["1.00", "3484", meter_id(5)]
    assert len(shown.stdout.splitlines()) == 3


def test_a_trade_of_too_few_meters_or_weeks_without_rows_are_said_so(asked: tuple[str, ...]) -> None:
    for arguments in (("--night", str(LAST), "--trade", "33"), ("--night", "2020-01-01")):
        done = run(*asked, *arguments)
        assert done.exit_code == 0, done.output
        assert "No trade has enough meters" in done.stdout


def test_what_is_no_date_and_what_is_no_history_is_said_in_one_line(asked: tuple[str, ...], tmp_path: Path) -> None:
    assert run(*asked, "--night", "yesterday").exit_code == ExitCode.USAGE
    nowhere = run(*asked[:2], "--state", str(tmp_path / "nothing"), "--night", str(LAST))
    assert nowhere.exit_code == ExitCode.NO_INPUT
    assert "No history" in nowhere.stderr
