"""The clock is set while the daemon runs, a receiver hangs, an upgrade is interrupted: each invariant holds."""

from __future__ import annotations

import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command as alembic
from alembic.config import Config

from monitor.desk import database
from monitor.desk.outbox_rows import waiting
from monitor.fault_points import VARIABLE, FaultPoint
from tests.support.broker import Broker
from tests.support.daemon_process import DaemonProcess, command, until
from tests.support.house_checker import faults_of_house
from tests.support.office import Office, connected, publish, quarter_hours, wave
from tests.support.register_dirs import register_dir

METERS = 30

SET_CLOCK = """
import pathlib, sys
from models.domain.clock import SystemClock
true_ms = SystemClock.wall_ms
offset = pathlib.Path(sys.argv.pop(1))
SystemClock.wall_ms = lambda self: true_ms(self) + int(offset.read_text())
import monitor.timewatch
monitor.timewatch.STEADY_S = 3.0
from monitor.cli.main import main
main()
"""
"""The command with a wall clock that a file sets, and which is believed again after three seconds."""

pytestmark = [pytest.mark.mosquitto, pytest.mark.slow]


def secret(folder: Path) -> Path:
    path = folder / "webhook.secret"
    path.write_text("a secret of the test")
    path.chmod(0o600)
    return path


def set_clock(path: Path, offset_s: float) -> None:
    """Swap the file whole: it is read while it is written."""
    new = path.with_suffix(".new")
    new.write_text(str(round(offset_s * 1000)))
    new.replace(path)


def test_a_clock_that_is_set_back_and_forth_costs_no_reading_and_changes_no_lead(tmp_path: Path) -> None:
    """Readings that come while our clock is an hour slow look like the future's: they wait, and are taken in after."""
    register, offset = register_dir(tmp_path / "register", METERS), tmp_path / "offset"
    set_clock(offset, 0)
    program = (sys.executable, "-c", SET_CLOCK, str(offset))
    stamps = quarter_hours(2, 2)
    with (
        Broker(tmp_path / "broker", persistent=True) as broker,
        DaemonProcess(tmp_path, register, broker.port, program=program) as daemon,
        connected(broker.port) as client,
    ):
        daemon.ready()
        publish(client, [wave(ms, METERS) for ms in stamps[:-2]])
        until(lambda: daemon.metric('gridwarden_readings_total{outcome="stored"}') == METERS * (len(stamps) - 2))
        set_clock(offset, -3600)
        until(lambda: daemon.metric('gridwarden_security_events_total{event="clock_step"}') >= 1)
        until(lambda: daemon.metric('gridwarden_state{gridwarden_state="degraded_time"}') == 1)
        publish(client, [wave(stamps[-2], METERS)])
        until(lambda: daemon.metric('gridwarden_readings_total{outcome="quarantined"}') == METERS)
        set_clock(offset, 0)
        until(lambda: daemon.metric('gridwarden_state{gridwarden_state="degraded_time"}') == 0, 90)
        publish(client, [wave(stamps[-1], METERS)])
        until(lambda: daemon.metric('gridwarden_readings_total{outcome="stored"}') == METERS * (len(stamps) - 1))
        retry = ("quarantine", "retry", "--reason", "TIME_FUTURE", "--received-now", "--state", str(daemon.state_dir))

        ended = command(*retry)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        until(lambda: daemon.metric('gridwarden_readings_total{outcome="stored"}') == METERS * len(stamps))
        assert daemon.stop()[0] == 0
    assert faults_of_house(daemon.state_dir) == []


@contextmanager
def silent_server() -> Iterator[str]:
    """A receiver that takes connections and never answers; yields host:port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        held: list[socket.socket] = []
        ending = threading.Event()

        def take() -> None:
            server.settimeout(0.1)
            while not ending.is_set():
                try:
                    held.append(server.accept()[0])
                except TimeoutError:
                    continue

        thread = threading.Thread(target=take)
        thread.start()
        try:
            yield f"127.0.0.1:{server.getsockname()[1]}"
        finally:
            ending.set()
            thread.join()
            for connection in held:
                connection.close()


def test_a_webhook_that_hangs_delays_nobody_else_and_not_the_stop(tmp_path: Path) -> None:
    register = register_dir(tmp_path / "register", METERS)
    with silent_server() as address, Broker(tmp_path / "broker", persistent=True) as broker:
        webhook = {"url": f"http://{address}/", "secret_file": secret(tmp_path), "allow": [address]}
        settings = {"sinks.webhook": webhook, "sinks.file": tmp_path / "leads.jsonl"}
        with DaemonProcess(tmp_path, register, broker.port, settings) as daemon, connected(broker.port) as client:
            daemon.ready()
            publish(client, [wave(ms, METERS) for ms in quarter_hours(4, 4)])
            until(lambda: daemon.metric('gridwarden_outbox_pending{sink="webhook"}') >= 1, 60)
            until(lambda: daemon.metric('gridwarden_outbox_pending{sink="file"}') == 0, 30)
            assert (tmp_path / "leads.jsonl").stat().st_size > 0
            publish(client, [wave(ms, METERS) for ms in quarter_hours(0.02, 0.02)])
            assert daemon.get("/healthz")[0] == 200
            code, seconds = daemon.stop()
            assert (code, seconds < 5.0) == (0, True)
    with Office() as office, Broker(tmp_path / "broker", persistent=True) as broker:
        webhook = {"url": f"http://{office.address}/", "secret_file": secret(tmp_path), "allow": [office.address]}
        settings = {"sinks.webhook": webhook, "sinks.file": tmp_path / "leads.jsonl"}
        with DaemonProcess(tmp_path, register, broker.port, settings) as daemon:
            daemon.ready()
            until(lambda: not unsent(daemon.state_dir), 60, every_s=0.5)
            assert daemon.stop()[0] == 0
        received = {
            "webhook": [call.body for call in office.calls],
            "file": (tmp_path / "leads.jsonl").read_bytes().splitlines(),
        }
    assert faults_of_house(daemon.state_dir, received, settled=False) == []


def unsent(state_dir: Path) -> dict[str, tuple[int, int]]:
    engine = database.read_desk(state_dir)
    try:
        return waiting(engine)
    finally:
        engine.dispose()


def test_an_upgrade_of_the_desk_that_is_killed_begins_anew(tmp_path: Path) -> None:
    """Rule S5: a copy first, then one transaction."""
    register = register_dir(tmp_path / "register", METERS)
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    engine = sa.create_engine(f"sqlite:///{state / database.DESK_FILE}")
    config = Config()
    config.set_main_option("script_location", str(database._MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        alembic.upgrade(config, "0001")
    engine.dispose()
    with Broker(tmp_path / "broker") as broker, DaemonProcess(tmp_path, register, broker.port) as daemon:
        daemon.kill()
        for _ in range(2):
            daemon.start({VARIABLE: f"{FaultPoint.IN_MIGRATION}:kill:1"})
            assert daemon.wait(30) == -signal.SIGKILL, daemon.said
        daemon.start().ready()
        time.sleep(0.2)
        assert daemon.stop()[0] == 0
    assert faults_of_house(state) == []
