"""The command: help, version, and exit codes instead of tracebacks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from models.law.faults import LawFault, LawFaults
from monitor.backup.manifest import BackupMissing
from monitor.cli.main import exit_code_of
from monitor.commands import CommandRefused, NotThere
from monitor.config.settings import ConfigFault, ConfigFaults
from monitor.desk.database import SchemaTooNew
from monitor.storage import StoreFatal, StoreLocked, StoreNewer
from monitor.supervise import ExitCode

ROOT = Path(__file__).resolve().parents[2]


def gridwarden(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "monitor.cli.main", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def test_help_names_every_command() -> None:
    run = gridwarden("--help")
    assert run.returncode == 0
    for command in ("check", "register", "leads", "quarantine"):
        assert command in run.stdout


def test_the_version_is_printed() -> None:
    run = gridwarden("--version")
    assert (run.returncode, run.stdout.split()[0]) == (0, "gridwarden")


def test_an_unknown_command_is_a_usage_error() -> None:
    run = gridwarden("meltdown")
    assert run.returncode == 2
    assert "Traceback" not in run.stderr


def test_a_faulty_configuration_exits_with_78(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("[mqtt]\nprot = 1\n")
    run = gridwarden("check", "--config", str(tmp_path / "c.toml"))
    assert run.returncode == ExitCode.CONFIG
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize(
    ("error", "code"),
    [
        pytest.param(ConfigFaults([ConfigFault("f", "k", "p", "r")]), 78, id="configuration"),
        pytest.param(LawFaults([LawFault("p.toml", 3, "rule[0]", "no source", "Name it.")]), 78, id="rule_packs"),
        pytest.param(StoreNewer(Path("j"), 9, 1), 78, id="newer_journal"),
        pytest.param(SchemaTooNew(Path("d"), "9"), 78, id="newer_desk"),
        pytest.param(StoreLocked(Path("l"), 1), 75, id="another_daemon_runs"),
        pytest.param(StoreFatal("fsync"), 74, id="disk"),
        pytest.param(CommandRefused("no"), 65, id="refused"),
        pytest.param(NotThere("no lead"), 66, id="what_a_command_names_is_not_there"),
        pytest.param(BackupMissing("no backup"), 66, id="no_such_backup"),
        pytest.param(ZeroDivisionError(), None, id="a_fault_of_ours_keeps_its_traceback"),
    ],
)
def test_errors_become_exit_codes(error: Exception, code: int | None) -> None:
    assert exit_code_of(error) == code
