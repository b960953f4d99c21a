"""`gridwarden doctor` against real brokers: what it sees, and that each remedy, followed, makes the fault go away."""

from __future__ import annotations

import http.server
import json
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from connectors.mqtt_probe import look_at
from connectors.mqtt_settings import MqttSettings
from monitor.config.parts import mqtt_connection
from monitor.config.settings import Settings, load_settings
from monitor.doctor import host
from monitor.doctor.broker import check_broker
from monitor.doctor.findings import Level
from monitor.doctor.host import check_disk
from tests.support.broker import Broker, free_port
from tests.support.daemon_process import DaemonProcess, command, until, write_config
from tests.support.office import connected, publish, quarter_hours, wave
from tests.support.register_dirs import register_dir

SHIPPED = Path(__file__).resolve().parents[2] / "deploy" / "mosquitto"
QUEUE = ("max_queued_messages 0", "max_queued_bytes 4294967296")

pytestmark = pytest.mark.mosquitto


def settings_of(folder: Path, port: int, **more: object) -> Settings:
    wanted: dict[str, object] = {"mqtt.port": port, "daemon.state_dir": folder / "state", **more}
    return load_settings(write_config(folder / "doctor.toml", wanted))


def seen(settings: Settings, *, daemon_runs: bool = False) -> dict[str, str]:
    """Level by check."""
    found = check_broker(settings, mqtt_connection(settings), daemon_runs=daemon_runs)
    return {one.check: one.level.value for one in found}


def accounts(folder: Path) -> list[str]:
    """The shipped access list, and passwords that are the names."""
    folder.mkdir(parents=True, exist_ok=True)
    passwords = folder / "passwords"
    passwords.write_text("gridwarden:gridwarden\nbureau1:bureau1\n")
    passwords.chmod(0o600)
    subprocess.run(["mosquitto_passwd", "-U", passwords], check=True)
    acl = folder / "acl"
    acl.write_bytes((SHIPPED / "gridwarden.acl").read_bytes())
    acl.chmod(0o600)
    return [f"password_file {passwords}", f"acl_file {acl}"]


def secret(folder: Path, text: str = "gridwarden") -> Path:
    path = folder / "password"
    path.write_text(text)
    path.chmod(0o600)
    return path


def test_a_broker_with_default_settings_and_each_remedy_followed(tmp_path: Path) -> None:
    """From mosquitto's defaults to none of these faults, one remedy after the other."""
    lines: list[str] = ["allow_anonymous true"]

    def look(name: str, extra: Sequence[str], *, persistent: bool = False, **more: object) -> dict[str, str]:
        with Broker(tmp_path / name, [*lines, *extra], persistent=persistent) as broker:
            return seen(settings_of(tmp_path, broker.port, **more))

    first = look("defaults", ())
    assert first["broker.anonymous"] == "warning"
    assert first["broker.inflight"] == "warning"
    assert first["broker.retain"] == "warning"
    assert first["broker.queue"] == "fault"
    assert first["broker.persistence"] == "fault"
    assert first["broker.dropped"] == "ok"
    lines.append("max_inflight_messages 2000")
    assert "broker.inflight" in (after := look("inflight", ()))
    assert after["broker.inflight"] == "ok"
    assert "broker.outgoing" not in after
    lines.append("retain_available false")
    assert look("retain", ())["broker.retain"] == "ok"
    lines += QUEUE
    after = look("queue", (), persistent=True)
    assert after["broker.queue"] == "ok"
    assert after["broker.persistence"] == "ok"
    lines[0] = "allow_anonymous false"
    lines += accounts(tmp_path / "accounts")
    more = {"mqtt.username": "gridwarden", "mqtt.password_file": secret(tmp_path)}
    last = look("accounts", (), persistent=True, **more)
    assert last["broker.anonymous"] == "ok"
    assert last["broker.login"] == "ok"
    assert last["broker.access"] == "ok"
    assert "fault" not in last.values()
    assert last["broker.dropped"] == "unseen", "the daemon's account may not read $SYS"


def test_a_wrong_password_and_no_broker_are_faults(tmp_path: Path) -> None:
    with Broker(tmp_path / "b", ["allow_anonymous false", *accounts(tmp_path / "accounts")]) as broker:
        more = {"mqtt.username": "gridwarden", "mqtt.password_file": secret(tmp_path, "wrong")}
        assert seen(settings_of(tmp_path, broker.port, **more))["broker.login"] == "fault"
    assert seen(settings_of(tmp_path, free_port())) == {"broker.reachable": "fault"}


def test_an_account_that_may_write_readings_is_told(tmp_path: Path) -> None:
    passwords = accounts(tmp_path / "accounts")[0]
    with Broker(tmp_path / "b", ["allow_anonymous false", passwords]) as broker:
        more = {"mqtt.username": "gridwarden", "mqtt.password_file": secret(tmp_path)}
        assert seen(settings_of(tmp_path, broker.port, **more))["broker.access"] == "warning"


def test_dropped_messages_are_seen(tmp_path: Path) -> None:
    """A client that is away and mosquitto's default queue: what does not fit is counted by the broker."""
    lines = ["allow_anonymous true", "sys_interval 1", "max_queued_messages 10"]
    with Broker(tmp_path / "b", lines) as broker:
        away = subprocess.run(
            ["mosquitto_sub", "-p", str(broker.port), "-i", "away", "-c", "-q", "1", "-t", "x/#", "-E"], check=True
        )
        assert away.returncode == 0
        with connected(broker.port) as client:
            publish(client, [b"x"] * 200, topic="x/y")
        settings = settings_of(tmp_path, broker.port)
        until(lambda: seen(settings)["broker.dropped"] == "fault", 10)


@pytest.mark.parametrize("by_name", [False, True], ids=["plain", "use_username_as_clientid"])
def test_the_daemons_session_and_queue_are_left_alone(tmp_path: Path, by_name: bool) -> None:
    """Stopped: what waits for the daemon still waits after doctor. Running: it is not disconnected."""
    lines = ["allow_anonymous false", *accounts(tmp_path / "accounts"), *QUEUE, "max_inflight_messages 2000"]
    if by_name:
        lines.append("use_username_as_clientid true")
    register = register_dir(tmp_path / "register", 4)
    more = {"mqtt.username": "gridwarden", "mqtt.password_file": secret(tmp_path)}
    with Broker(tmp_path / "b", lines, persistent=True) as broker:
        daemon = DaemonProcess(tmp_path / "d", register, broker.port, more)
        with daemon:
            daemon.ready()
            found = command("doctor", "--config", daemon.config, "--json")
            checks = {one["check"]: one["level"] for one in json.loads(found.stdout)["checks"]}
            assert checks["broker.account"] == "unseen"
            assert checks["daemon.ready"] == "ok", found.stdout
            assert "took over" not in daemon.said
            assert daemon.stop()[0] == 0
            _send(broker.port)
            for _ in range(3):
                assert seen(load_settings(daemon.config))["broker.login"] == "ok"
            daemon.start().ready()
            until(lambda: daemon.metric('gridwarden_readings_total{outcome="stored"}') >= 12)
            assert daemon.stop()[0] == 0


def _send(port: int) -> None:
    for ts_ms in quarter_hours(1, 1)[:3]:
        call = ["mosquitto_pub", "-p", str(port), "-u", "bureau1", "-P", "bureau1", "-V", "mqttv5", "-q", "1"]
        subprocess.run([*call, "-t", "grid/v1/bureau1/readings", "-s"], input=wave(ts_ms, 4), check=True, timeout=20)


def told(run: subprocess.CompletedProcess[str]) -> dict[str, dict[str, Any]]:
    assert "Traceback" not in run.stderr, run.stderr
    return {one["check"]: one for one in json.loads(run.stdout)["checks"]}


def test_a_secret_open_to_others_is_a_fault_and_its_remedy_is_true(tmp_path: Path) -> None:
    path = secret(tmp_path)
    path.chmod(0o644)
    config = write_config(tmp_path / "c.toml", {"mqtt.password_file": path, "daemon.state_dir": tmp_path / "state"})
    run = command("doctor", "--config", config, "--json")
    assert run.returncode == 1
    found = told(run)["config"]
    assert found["level"] == "fault"
    assert found["remedy"] == f"Run: chmod 600 {path}"
    subprocess.run(found["remedy"].removeprefix("Run: ").split(), check=True)
    assert told(command("doctor", "--config", config, "--json"))["config"]["level"] == "ok"


def test_a_stopped_daemon_no_backup_and_an_open_directory_are_told(tmp_path: Path) -> None:
    register = register_dir(tmp_path / "register", 4)
    with Broker(tmp_path / "b") as broker:
        daemon = DaemonProcess(tmp_path / "d", register, broker.port)
        with daemon:
            daemon.ready()
            found = told(command("doctor", "--config", daemon.config, "--json"))
            assert found["daemon.ready"]["level"] == "ok"
            assert found["disk.ballast"]["level"] == "ok"
            assert found["copy.age"]["level"] == "warning"
            assert command("backup", "--out", tmp_path / "copy", "--config", daemon.config).returncode == 0
            found = told(command("doctor", "--config", daemon.config, "--json"))
            assert found["copy.age"]["level"] == "ok"
            assert daemon.stop()[0] == 0
        daemon.state_dir.chmod(0o755)
        run = command("doctor", "--config", daemon.config)
        assert run.returncode == 1
        assert "no daemon runs" in run.stdout
        assert f"chmod 700 {daemon.state_dir}" in run.stdout
        assert "remedy:" in run.stdout


def test_the_probe_leaves_no_session_behind(tmp_path: Path) -> None:
    """Its client ids are new each time: kept for ever they would fill the broker."""
    with Broker(tmp_path / "b", ["allow_anonymous true", "sys_interval 1"], persistent=True) as broker:
        settings = MqttSettings("127.0.0.1", broker.port, tls="off")
        for _ in range(5):
            assert look_at(settings).refusal == ""
        total = "$SYS/broker/clients/total"

        def clients() -> int:
            return int(look_at(settings, sys_topics=(total,)).sys.get(total, "99"))

        until(lambda: clients() <= 1, 10)
        assert look_at(replace(settings, version=4)).refusal == ""


def test_every_warning_and_fault_has_a_remedy(tmp_path: Path) -> None:
    with Broker(tmp_path / "b", ["allow_anonymous true"]) as broker:
        settings = settings_of(tmp_path, broker.port)
        for one in check_broker(settings, mqtt_connection(settings), daemon_runs=False):
            assert (one.level is Level.OK) == (not one.remedy), one


def test_a_port_of_something_else_is_said_to_speak_no_mqtt(tmp_path: Path) -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        settings = settings_of(
            tmp_path, other.server_port, **{"mqtt.username": "gridwarden", "mqtt.password_file": secret(tmp_path)}
        )
        (found,) = check_broker(settings, mqtt_connection(settings), daemon_runs=False)
        other.shutdown()
    assert (found.check, found.level) == ("broker.protocol", Level.FAULT)
    assert f"127.0.0.1:{other.server_port} does not speak MQTT" in found.seen


def test_the_command_that_asks_for_dropped_messages_names_the_broker(tmp_path: Path) -> None:
    with Broker(tmp_path / "broker", [*accounts(tmp_path / "accounts")]) as broker:
        settings = settings_of(
            tmp_path, broker.port, **{"mqtt.username": "gridwarden", "mqtt.password_file": secret(tmp_path)}
        )
        found = {one.check: one for one in check_broker(settings, mqtt_connection(settings), daemon_runs=False)}
    assert f"mosquitto_sub -h 127.0.0.1 -p {broker.port} -u" in found["broker.dropped"].remedy


def test_a_state_directory_in_memory_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(f"none / ext4 rw 0 0\ntmpfs {tmp_path.resolve()} tmpfs rw 0 0\n")
    monkeypatch.setattr(host, "MOUNTS", mounts)
    found = {one.check: one for one in check_disk(tmp_path, None)}
    assert found["disk.local"].level is Level.WARNING
    assert "lost when the machine restarts" in found["disk.local"].seen
