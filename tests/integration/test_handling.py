"""What people do on the command line, beside a running daemon and with a stopped one."""

from __future__ import annotations

import csv
import datetime as dt
import json
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import openpyxl
import pyarrow.parquet as pq
import pytest

from monitor.desk.audit_log import verify
from monitor.desk.database import open_desk
from monitor.supervise import ExitCode
from tests.support.broker import Broker
from tests.support.daemon_process import DaemonProcess, command, until, write_config
from tests.support.office import connected, publish, quarter_hours, wave
from tests.support.register_dirs import CLOSED_METER, CLOSED_SITE, register_dir

KNOWN, SENT = 12, 15
NEW_METER = "M00014"

pytestmark = pytest.mark.mosquitto


def asked(*arguments: str | Path) -> Any:
    """What a command prints with --json; it must succeed."""
    done = command(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def refused(*arguments: str | Path) -> str:
    """What a command says that is refused."""
    done = command(*arguments)
    assert done.returncode == ExitCode.DATA, (done.returncode, done.stderr)
    return done.stderr


@pytest.mark.timeout(240)
def test_a_day_at_the_office(tmp_path: Path) -> None:
    """One daemon, one state directory, every command in turn: beside it, then with it stopped."""
    stamps = quarter_hours(2.2, 2)
    lead_file = tmp_path / "leads.jsonl"
    with Broker(tmp_path / "broker", persistent=True) as broker:
        register = register_dir(tmp_path / "register", KNOWN)
        settings = {"sinks.file": lead_file}
        with DaemonProcess(tmp_path, register, broker.port, settings) as daemon:
            daemon.ready()
            state = ("--state", daemon.state_dir)
            with connected(broker.port) as client:
                publish(client, [wave(ts_ms, SENT) for ts_ms in stamps])
            until(lambda: lead_file.exists() and "sealed_site" in lead_file.read_text(), 60)

            (lead,) = asked("leads", "list", "--kind", "sealed_site", *state)
            _handle(lead["id"], state)
            _silence(lead["id"], state)
            _export_leads(tmp_path, lead["id"], state)
            _look_at_history(tmp_path, state, "running", str(stamps[0]))

            assert "UNKNOWN_METER" in command("quarantine", "retry", "--all", *state).stdout
            before = asked("quarantine", "list", "--open", "--limit", "1000", *state)
            assert before[0]["retry"]["outcome"] == "refused"
            assert daemon.stop()[0] == 0

            register_dir(tmp_path / "register", SENT)
            stopped = command("quarantine", "retry", str(before[-1]["id"]), *state)
            assert stopped.returncode == ExitCode.USAGE
            assert "--config" in stopped.stderr
            first = asked("quarantine", "retry", str(before[-1]["id"]), "--config", daemon.config, "--by", "王芳")
            assert [row["outcome"] for row in first] == ["accepted"]
            _look_at_history(tmp_path, state, "stopped", str(stamps[0]))

            daemon.start().ready()
            done = asked("quarantine", "retry", "--reason", "UNKNOWN_METER", "--by", "王芳", *state)
            assert {row["outcome"] for row in done} == {"accepted"}
            assert asked("quarantine", "list", "--open", *state) == []
            assert len(asked("quarantine", "list", "--resolved", "--limit", "1000", *state)) == len(before)
            assert asked("quarantine", "retry", "--all", *state) == []
            span = ("--from", _day(stamps[0]), "--to", _day(stamps[-1]))
            until(lambda: len(_values(NEW_METER, span, state)) == len(stamps), 20)
            assert daemon.stop()[0] == 0
    _reopen_while_stopped(lead["id"], state)
    engine = open_desk(daemon.state_dir)
    assert verify(engine).whole
    engine.dispose()


def _handle(lead: str, state: tuple[str, Path]) -> None:
    assert asked("leads", "claim", lead, "--by", "王芳", *state)["state"] == "claimed"
    told = refused("leads", "dismiss", lead, "--by", "李强", "--reason", "已核实", *state)
    assert "由 王芳 认领" in told
    assert "claimed by 王芳" in told
    assert asked("leads", "dismiss", lead, "--by", "王芳", "--reason", "检修用电", *state)["state"] == "dismissed"
    shown = asked("leads", "show", lead, *state)
    assert [(act["by"], act["action"]) for act in shown["history"]] == [
        ("王芳", "lead.claim"),
        ("王芳", "lead.dismiss"),
    ]
    page = command("leads", "show", lead, *state).stdout
    assert "检修用电" in page
    assert "已排除 王芳" in command("leads", "list", *state).stdout


def _silence(lead: str, state: tuple[str, Path]) -> None:
    day = _day(quarter_hours(-20, 1)[0])
    asking = ("leads", "silence", "--site", CLOSED_SITE, "--kind", "sealed_site", "--until", day, "--reason", "试运行")
    assert "may not approve" in refused(*asking, "--by", "王芳", "--approved-by", "王芳", *state)
    made = asked(*asking, "--by", "王芳", "--approved-by", "李强", *state)
    assert [row["id"] for row in asked("leads", "silences", *state)] == [made["id"]]
    assert asked("leads", "show", lead, *state)["silenced"] == made["id"]
    assert "试运行" in command("leads", "silences", *state).stdout
    asked("leads", "unsilence", str(made["id"]), "--by", "李强", "--reason", "结束", *state)
    assert asked("leads", "silences", *state) == []


def _export_leads(folder: Path, lead: str, state: tuple[str, Path]) -> None:
    for ending in ("csv", "xlsx", "json"):
        done = command("leads", "export", "--out", folder / f"leads.{ending}", *state)
        assert done.returncode == 0, done.stderr
    with (folder / "leads.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert lead in {row["线索编号"] for row in rows}
    sheet = openpyxl.load_workbook(folder / "leads.xlsx").active
    assert sheet is not None
    assert sheet.max_row == len(rows) + 1
    assert len(json.loads((folder / "leads.json").read_text(encoding="utf-8"))) == len(rows)
    again = command("leads", "export", "--out", folder / "leads.csv", *state)
    assert again.returncode == ExitCode.CANNOT_CREATE
    none = command("leads", "export", "--out", folder / "none.csv", "--month", "2001-01", *state)
    assert none.stdout.startswith("0 ")


def _look_at_history(folder: Path, state: tuple[str, Path], when: str, start_ms: str) -> None:
    span = ("--from", _day(int(start_ms)), "--to", _day(int(start_ms) + 3 * 86_400_000))
    values = _values(CLOSED_METER, span, state)
    assert {value for _, value, _ in values} == {120.0}
    shown = command("history", "curve", "--meter", CLOSED_METER, *span, *state)
    assert shown.returncode == 0, shown.stderr
    assert "120.00" in shown.stdout
    out = folder / f"{when}.parquet"
    done = command("history", "export", "--site", CLOSED_SITE, *span, "--out", out, *state)
    if when == "running":
        assert done.returncode == 0, done.stderr
        assert pq.read_table(out).num_rows == len(values)
    everything = command("history", "export", "--all", *span, "--out", folder / f"{when}.csv", *state)
    assert everything.returncode == 0, everything.stderr
    nobody = command("history", "curve", "--meter", "nobody", *span, *state)
    assert nobody.returncode == ExitCode.NO_INPUT
    ranked = command("peers", "--register", folder / "register", "--night", _day(int(start_ms)), *state)
    assert ranked.returncode == 0, ranked.stderr


def _reopen_while_stopped(lead: str, state: tuple[str, Path]) -> None:
    assert asked("leads", "reopen", lead, "--by", "李强", "--reason", "又见用电", *state)["state"] == "open"
    assert "nothing" not in command("notices", "list", *state).stdout
    assert "No notice waits" in refused("notices", "retry", "--all", "--reason", "r", "--by", "李强", *state)


def _values(meter: str, span: tuple[str, ...], state: tuple[str, Path]) -> list[Any]:
    done = command("history", "curve", "--meter", meter, *span, "--json", *state)
    return json.loads(done.stdout)["values"] if done.returncode == 0 else []


def _day(ms: int) -> str:
    return dt.datetime.fromtimestamp(ms / 1000, ZoneInfo("Asia/Shanghai")).date().isoformat()


def test_a_configuration_is_read_for_the_state_directory(tmp_path: Path) -> None:
    config = write_config(tmp_path / "gridwarden.toml", {"daemon.state_dir": tmp_path / "nowhere"})
    done = command("quarantine", "retry", "--all", "--config", config)
    assert done.returncode == ExitCode.NO_INPUT
