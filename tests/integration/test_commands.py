"""`simulate`, `replay` and `demo` as an operator runs them."""

from __future__ import annotations

import contextlib
import csv
import datetime as dt
import json
import logging
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from detectors.quality import Quality
from detectors.table import DETECTORS
from models.domain.findings import Judgement
from monitor.cli.main import COMMANDS, GROUPS, app
from tests.support.broker import Broker
from tests.support.daemon_process import DaemonProcess, command, until

DAYS = 4
SITES = 50
SEED = 5
SCORE_COLUMNS = ["meter", "site", "night", "detector", "score", "probability", "status", "reasons"]
DEMO_KEYS = [
    "published",
    "stored",
    "duplicate",
    "conflict",
    "quarantined",
    "lost",
    "leads",
    "furnaces",
    "found",
    "false_leads",
    "site_weeks",
    "seconds",
]
GOOD = "2025-03-04T22:00:00+08:00"


@pytest.fixture(scope="module")
def county(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small county as files."""
    folder = tmp_path_factory.mktemp("county")
    size = ("--days", str(DAYS), "--sites", str(SITES), "--minute-meters", "2", "--seed", str(SEED))
    done = command("simulate", "--out", folder, *size)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def by_event(county: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Leads of the county's readings in the order of their stamps."""
    return leads_of(county / "readings.parquet", county, tmp_path_factory.mktemp("by_event"), "--by-event")


def replayed(readings: Path, county: Path, *options: str | Path) -> dict[str, Any]:
    """The summary `replay --json` prints."""
    done = command("replay", "--readings", readings, "--register", county / "register", "--json", *options)
    assert done.returncode == 0, done.stderr
    summary: dict[str, Any] = json.loads(done.stdout)
    return summary


def leads_of(readings: Path, county: Path, folder: Path, *options: str) -> list[dict[str, Any]]:
    """Leads of a replay without their receipt stamps."""
    replayed(readings, county, "--out", folder / "leads.jsonl", *options)
    lines = (folder / "leads.jsonl").read_text(encoding="utf-8").splitlines()
    leads: list[dict[str, Any]] = [json.loads(line) for line in lines]
    for lead in leads:
        assert lead.pop("raised_at")
        assert lead.pop("revised_at")
    return leads


def shuffled(county: Path) -> pa.Table:
    """The county's readings in random order, without their arrival."""
    table = pq.read_table(county / "readings.parquet").drop_columns(["arrival_ts"])
    return table.take(pa.array(np.random.default_rng(2).permutation(table.num_rows)))


def plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as JSON or CSV carries it."""
    return {name: value.isoformat() if name == "ts" else value for name, value in row.items() if value is not None}


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        lines = csv.DictWriter(file, names)
        lines.writeheader()
        lines.writerows(plain(row) for row in rows)


def refusals(state: Path) -> dict[str, str]:
    """Details of the quarantine by reason."""
    done = command("quarantine", "list", "--state", state, "--json")
    return {entry["reason"]: entry["detail"] for entry in json.loads(done.stdout)}


@pytest.mark.parametrize("name", [*COMMANDS, *GROUPS])
def test_every_command_explains_itself(name: str) -> None:
    done = command(name, "--help")
    assert done.returncode == 0
    assert f"gridwarden {name}" in done.stdout


def test_a_county_as_files_is_readings_register_and_truth(county: Path) -> None:
    assert command("check", "--register", county / "register").returncode == 0
    readings = pq.read_table(county / "readings.parquet")
    assert {"meter", "ts", "p_kw", "arrival_ts"} <= set(readings.column_names)
    assert pq.read_table(county / "truth.parquet").num_rows == SITES


def test_shuffled_rows_give_the_same_leads(county: Path, by_event: list[dict[str, Any]], tmp_path: Path) -> None:
    pq.write_table(shuffled(county), tmp_path / "shuffled.parquet")
    assert by_event, "this county has no leads to compare"
    assert leads_of(tmp_path / "shuffled.parquet", county, tmp_path) == by_event


def test_arrival_order_ends_with_the_leads_of_event_order(
    county: Path, by_event: list[dict[str, Any]], tmp_path: Path
) -> None:
    assert leads_of(county / "readings.parquet", county, tmp_path) == by_event


def test_a_directory_of_parquet_csv_and_jsonl_is_one_set_of_readings(
    county: Path, by_event: list[dict[str, Any]], tmp_path: Path
) -> None:
    table, many = shuffled(county), tmp_path / "many"
    third = table.num_rows // 3
    many.mkdir()
    pq.write_table(table.slice(0, third), many / "a.parquet")
    write_csv(many / "b.csv", table.slice(third, third).to_pylist(), table.column_names)
    with (many / "c.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(plain(row)) + "\n" for row in table.slice(2 * third).to_pylist())
    assert leads_of(many, county, tmp_path) == by_event


def test_scores_are_a_row_a_meter_night_and_detector(county: Path, tmp_path: Path) -> None:
    replayed(county / "readings.parquet", county, "--by-event", "--scores", tmp_path / "scores.parquet")
    scores = pq.read_table(tmp_path / "scores.parquet")
    assert scores.column_names == SCORE_COLUMNS
    rows = scores.select(["meter", "night", "detector"]).to_pylist()
    assert len({tuple(row.values()) for row in rows}) == len(rows) > 0
    assert {row["detector"] for row in rows} == set(DETECTORS)
    assert all(isinstance(json.loads(text), list) for text in scores.column("reasons").to_pylist()[:200])


def test_bad_rows_wait_in_the_quarantine_with_their_numbers(county: Path, tmp_path: Path) -> None:
    meter = pq.read_table(county / "readings.parquet").column("meter")[0].as_py()
    lines = [
        "meter,ts,p_kw",
        f"{meter},{GOOD},5",
        f"{meter},2025-03-04T22:15:00+08:00,abc",
        f"STRANGER,{GOOD},5",
        f"{meter},2025-03-04T22:30:00+08:00,1e9",
        f"{meter},yesterday,5",
    ]
    (tmp_path / "bad.csv").write_text("\n".join(lines) + "\n")
    summary = replayed(tmp_path / "bad.csv", county, "--state", tmp_path / "state")
    assert summary["stored"] + summary["quarantined"] == 5
    told = refusals(tmp_path / "state")
    assert told["SCHEMA"].startswith("bad.csv row 2: ")
    assert told["UNKNOWN_METER"].startswith("bad.csv row 3: ")
    assert told["RANGE"].startswith("bad.csv row 4: ")
    assert told["PARSE"].startswith("bad.csv row 5: ")
    shown = command("replay", "--readings", tmp_path / "bad.csv", "--register", county / "register")
    assert "gridwarden quarantine list" in shown.stdout


def test_stamps_without_a_zone_are_refused_until_somebody_says_which(county: Path, tmp_path: Path) -> None:
    meter = pq.read_table(county / "readings.parquet").column("meter")[0].as_py()
    naive = tmp_path / "naive.csv"
    naive.write_text(f"meter,ts,p_kw\n{meter},2025-03-04 22:00:00,5\n{meter},2025-03-04T22:15,5\n")
    summary = replayed(naive, county, "--state", tmp_path / "refused")
    assert (summary["stored"], summary["quarantined"]) == (0, 2)
    assert "--zone" in refusals(tmp_path / "refused")["PARSE"]
    summary = replayed(naive, county, "--zone", "Asia/Shanghai")
    assert (summary["stored"], summary["quarantined"]) == (2, 0)
    stamps = pa.array([dt.datetime.fromisoformat("2025-03-04T22:00:00")], pa.timestamp("ms"))
    pq.write_table(pa.table({"meter": [meter], "ts": stamps, "p_kw": [5.0]}), tmp_path / "naive.parquet")
    done = command("replay", "--readings", tmp_path / "naive.parquet", "--register", county / "register")
    assert done.returncode == 66
    assert "--zone" in done.stderr
    assert replayed(tmp_path / "naive.parquet", county, "--zone", "Asia/Shanghai")["stored"] == 1


@pytest.mark.parametrize(
    ("options", "code", "told"),
    [
        pytest.param(["--readings", "absent.csv", "--register", "R"], 66, "absent.csv", id="no_readings"),
        pytest.param(["--readings", "F", "--register", "absent"], 66, "absent", id="no_register"),
        pytest.param(["--readings", "F", "--register", "R", "--out", "no/dir"], 73, "no/dir", id="out"),
        pytest.param(["--readings", "F", "--register", "R", "--scores", "no/dir"], 73, "no/dir", id="scores"),
        pytest.param(["--readings", "F", "--register", "R", "--zone", "Mars"], 64, "Mars", id="zone"),
        pytest.param(["--readings", "F", "--register", "R", "--config", "no.toml"], 78, "no.toml", id="config"),
    ],
)
def test_a_replay_that_cannot_be_done_says_so_in_one_line(
    county: Path, options: list[str], code: int, told: str
) -> None:
    named = {"F": county / "readings.parquet", "R": county / "register"}
    done = command("replay", *(named.get(option, option) for option in options))
    assert done.returncode == code, done.stderr
    (line,) = done.stderr.splitlines()
    assert told in line


def test_a_detector_that_fails_is_told_and_the_exit_code_says_so(county: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> Judgement:
        raise ZeroDivisionError("planted")

    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    monkeypatch.setattr(logging.getLogger(), "level", logging.WARNING)
    monkeypatch.setattr(Quality, "evaluate", fails)
    inputs = ["--readings", str(county / "readings.parquet"), "--register", str(county / "register")]
    done = CliRunner().invoke(app, ["replay", *inputs, "--by-event", "--json"])
    assert done.exit_code == 70, done.output
    assert json.loads(done.stdout)["failed"].keys() == {"quality"}
    assert "quality" in done.stderr


@pytest.mark.mosquitto
def test_a_published_county_arrives_whole_and_not_too_old(county: Path, tmp_path: Path) -> None:
    with (
        Broker(tmp_path / "broker") as broker,
        DaemonProcess(tmp_path, county / "register", broker.port) as daemon,
    ):
        daemon.ready()
        size = ("--days", "2", "--sites", str(SITES), "--minute-meters", "0", "--seed", str(SEED))
        done = command("simulate", "--publish", f"127.0.0.1:{broker.port}", *size)
        assert done.returncode == 0, done.stderr
        published = int(done.stdout.split()[1])
        assert published > 5000

        def settled() -> dict[str, float]:
            outcomes = ("stored", "duplicate", "conflict", "quarantined")
            return {name: daemon.metric(f'gridwarden_readings_total{{outcome="{name}"}}') for name in outcomes}

        until(lambda: sum(settled().values()) >= published)
        assert sum(settled().values()) == published
        assert settled()["stored"] > 0.95 * published
        assert daemon.stop()[0] == 0


@pytest.mark.parametrize(("address", "code"), [("127.0.0.1", 64), ("here:1e3", 64)])
def test_an_address_that_is_none_is_refused_before_anything_is_made(address: str, code: int) -> None:
    done = command("simulate", "--publish", address)
    assert done.returncode == code
    assert "HOST:PORT" in done.stderr


@pytest.mark.slow
def test_the_demo_ends_with_one_line_of_json_and_loses_nothing() -> None:
    done = command("demo", "--days", "4", "--seed", "3", "--exit", timeout_s=150)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert list(result) == DEMO_KEYS
    assert result["lost"] == 0
    assert result["published"] > 50_000
    assert result["furnaces"] >= 10
    assert result["published"] == sum(result[name] for name in ("stored", "duplicate", "conflict", "quarantined"))


@pytest.mark.slow
@pytest.mark.parametrize("after", ["", "MQTT 127.0.0.1", "新线索"], ids=["at_once", "when_it_runs", "at_a_lead"])
def test_ctrl_c_ends_the_demo_within_five_seconds_and_nothing_stays(tmp_path: Path, after: str) -> None:
    with Terminal("demo", "--days", "30", "--sites", "60", "--state", str(tmp_path / "state")) as demo:
        until(lambda: demo.saw(after or "演示"), 60)
        demo.press_ctrl_c()
        began_s = time.monotonic()
        until(lambda: demo.saw("已结束") and not members(demo.pid), 10, every_s=0.02)
        assert time.monotonic() - began_s < 5.0
        assert demo.exit_code() == 0, demo.text
        assert "Traceback" not in demo.text
        assert "Aborted" not in demo.text


@pytest.mark.slow
def test_a_demo_that_is_killed_leaves_no_process_behind(tmp_path: Path) -> None:
    with Terminal("demo", "--sites", "60", "--state", str(tmp_path / "state")) as demo:
        until(lambda: demo.saw("MQTT 127.0.0.1"), 60)
        assert len(members(demo.pid)) >= 3
        os.kill(demo.pid, signal.SIGKILL)
        until(lambda: demo.exit_code() and not members(demo.pid), 5)


class Terminal:
    """A command on a pseudo-terminal of its own session; a context manager that leaves no process behind."""

    def __init__(self, *arguments: str) -> None:
        self._outer, inner = pty.openpty()
        self._inner_name = os.ttyname(inner)
        code = (
            "import os, sys; os.close(os.open(sys.argv.pop(1), os.O_RDWR)); from monitor.cli.main import main; main()"
        )
        self._process = subprocess.Popen(
            [sys.executable, "-c", code, self._inner_name, *arguments],
            stdin=inner,
            stdout=inner,
            stderr=inner,
            start_new_session=True,
            env=os.environ | {"TERM": "xterm", "COLUMNS": "100"},
        )
        os.close(inner)
        os.set_blocking(self._outer, False)
        self._seen = bytearray()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def text(self) -> str:
        """Everything shown so far."""
        with contextlib.suppress(OSError):
            while chunk := os.read(self._outer, 65_536):
                self._seen += chunk
        return self._seen.decode(errors="replace")

    def saw(self, wanted: str) -> bool:
        return wanted in self.text

    def press_ctrl_c(self) -> None:
        """The terminal sends SIGINT to every process in its foreground."""
        os.write(self._outer, b"\x03")

    def exit_code(self) -> int:
        return self._process.wait(10)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for pid in members(self.pid):
            os.kill(pid, signal.SIGKILL)
        self._process.wait(10)
        os.close(self._outer)


def members(session: int) -> list[int]:
    """Processes of a session."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(int(path.parent.name))
    return found
