"""`gridwarden quarantine list|show` on a stopped daemon's files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from models.domain.clock import ManualClock
from models.domain.readings import Rejection, RejectReason
from monitor.cli.quarantine import app, printable
from monitor.journal.journal import Journal
from monitor.supervise import ExitCode
from tests.support.stores import MARCH_MS, message


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    journal = Journal.open(tmp_path, ManualClock(MARCH_MS))
    hostile = b"\x1b[31m[bold]owned[/bold]\xe2\x80\xae"
    journal.commit(
        [message(hostile, publisher="east"), message(b"\xff", publisher="west")],
        [Rejection(0, RejectReason.PARSE, "no JSON: \x1b[2J"), Rejection(1, RejectReason.ENCODING, "not UTF-8")],
    )
    journal.close()
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "140"})


def test_entries_are_listed_and_filtered(state_dir: Path) -> None:
    result = run("list", "--state", str(state_dir))
    assert result.exit_code == 0
    assert "PARSE" in result.stdout
    assert "ENCODING" in result.stdout
    only = run("list", "--state", str(state_dir), "--reason", "PARSE", "--json")
    assert [(e["id"], e["publisher"]) for e in json.loads(only.stdout)] == [(1, "east")]
    assert json.loads(run("list", "--state", str(state_dir), "--publisher", "nobody", "--json").stdout) == []


def test_an_entry_is_shown_with_its_bytes_and_the_remedy_and_cannot_write_to_the_terminal(state_dir: Path) -> None:
    shown = run("show", "1", "--state", str(state_dir))
    assert shown.exit_code == 0
    assert "[bold]owned[/bold]" in shown.stdout
    assert "adapter" in shown.stdout
    assert "\x1b[31m" not in shown.stdout
    assert "\x1b[2J" not in shown.stdout
    assert "\u202e" not in shown.stdout
    as_json = run("show", "2", "--state", str(state_dir), "--json")
    assert json.loads(as_json.stdout)["payload_base64"] == "/w=="
    assert "\\u" in as_json.stdout


def test_what_is_not_there_is_said_with_an_exit_code(state_dir: Path, tmp_path: Path) -> None:
    assert run("show", "99", "--state", str(state_dir)).exit_code == ExitCode.NO_INPUT
    assert run("list", "--state", str(tmp_path / "nowhere")).exit_code == ExitCode.NO_INPUT
    empty = tmp_path / "empty"
    empty.mkdir()
    assert run("list", "--state", str(empty)).exit_code == ExitCode.NO_INPUT


def test_printable_keeps_words_and_escapes_the_rest() -> None:
    assert printable("电表 7\n\x9b\u2066") == "电表 7\\n\\x9b\\u2066"
