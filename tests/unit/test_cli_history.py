"""`gridwarden history` on a stopped daemon's files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from monitor.cli.history import app
from monitor.history.history import History
from monitor.supervise import ExitCode
from tests.support.stores import MARCH_MS, history_rows

LOCAL_MS = MARCH_MS - 8 * 3_600_000
SPAN = ("--from", "2026-03-02", "--to", "2026-03-03")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "130"})


@pytest.fixture
def state(tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    folder.mkdir()
    history = History.open(folder)
    values = [("M1", LOCAL_MS + k * 900_000, {"p_kw": 0.1 * k}) for k in range(1, 193) if not 40 < k < 60]
    history.append(history_rows([*values, ("M1", LOCAL_MS + 900_000, {"p_kw": 7.0})]), cursor=1)
    history.close()
    return folder


def test_a_curve_in_letters_with_gaps_contradictions_and_numbers(state: Path) -> None:
    shown = run("curve", "--meter", "M1", *SPAN, "--state", str(state))
    assert shown.exit_code == 0
    assert "·" in shown.output
    assert "76/96" in shown.output
    assert "contradict" in shown.output
    as_json = json.loads(run("curve", "--meter", "M1", *SPAN, "--state", str(state), "--json").stdout)
    assert as_json["values"][0] == ["2026-03-02T00:15:00+08:00", None, True]
    assert as_json["values"][2] == ["2026-03-02T00:45:00+08:00", 0.3, False]


def test_a_curve_is_drawn_and_written(state: Path, tmp_path: Path) -> None:
    files = {"--svg": tmp_path / "a.svg", "--png": tmp_path / "a.png", "--csv": tmp_path / "a.csv"}
    done = run(
        "curve", "--meter", "M1", *SPAN, "--state", str(state), *(str(x) for pair in files.items() for x in pair)
    )
    assert done.exit_code == 0, done.output
    assert files["--png"].read_bytes().startswith(b"\x89PNG")
    assert "</svg>" in files["--svg"].read_text(encoding="utf-8")
    assert len(files["--csv"].read_text(encoding="utf-8-sig").splitlines()) == 1 + 192 - 19


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("curve", "--meter", "M2", *SPAN), ExitCode.NO_INPUT),
        (("curve", "--meter", "M1", "--channel", "q_kvar", *SPAN), ExitCode.NO_INPUT),
        (("curve", "--meter", "M1", "--from", "2026-03-03", "--to", "2026-03-01"), ExitCode.USAGE),
        (("curve", "--meter", "M1", "--from", "yesterday", "--to", "2026-03-01"), ExitCode.USAGE),
        (("curve", "--meter", "M1", *SPAN, "--zone", "Mars/Base"), ExitCode.USAGE),
        (("export", *SPAN, "--out", "x.csv"), ExitCode.USAGE),
        (("export", "--all", *SPAN, "--out", "x.doc"), ExitCode.USAGE),
        (("export", "--site", "S1", *SPAN, "--out", "x.csv"), ExitCode.NO_INPUT),
    ],
)
def test_what_cannot_be_is_one_line_and_an_exit_code(state: Path, arguments: tuple[str, ...], code: ExitCode) -> None:
    done = run(*arguments, "--state", str(state))
    assert done.exit_code == code
    assert done.exception is None or isinstance(done.exception, SystemExit)
    assert not Path("x.csv").exists()
