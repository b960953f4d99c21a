"""deploy/ in real programs: promtool, systemd's own analysis, mosquitto with the certificates the script makes."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.support.broker import REFERENCE, Broker
from tests.support.daemon_process import COMMAND, DaemonProcess, until
from tests.support.programs import needed_program
from tests.support.register_dirs import register_dir
from tests.unit.test_deploy import DEPLOY, expressions

NO_WRITABLE_CODE = (
    "import ctypes, os, sys; ctypes.CDLL(None).prctl(65, 1, 0, 0, 0); os.execv(sys.argv[1], sys.argv[1:])"
)
"""Runs a program as MemoryDenyWriteExecute= does, where the kernel knows how (6.3 and newer)."""
MOST_EXPOSED = 1.5


def run(*arguments: str | Path) -> str:
    ended = subprocess.run([*map(str, arguments)], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


def test_prometheus_accepts_configuration_and_rules_and_their_tests_pass() -> None:
    promtool = needed_program("promtool", "prometheus")
    run(promtool, "check", "config", DEPLOY / "prometheus" / "prometheus.yml")
    run(promtool, "test", "rules", DEPLOY / "prometheus" / "gridwarden.test.yml")


def test_every_expression_of_the_board_is_valid(tmp_path: Path) -> None:
    promtool = needed_program("promtool", "prometheus")
    rules = [
        {"record": f"board:panel:{number}", "expr": expression.replace("$instance", "x")}
        for number, (_, expression) in enumerate(expressions())
        if not expression.startswith("label_values")
    ]
    file = tmp_path / "board.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "board", "rules": rules}]}), encoding="utf-8")
    run(promtool, "check", "rules", file)


def test_systemd_knows_every_line_of_the_unit_and_finds_it_little_exposed(tmp_path: Path) -> None:
    analyze = needed_program("systemd-analyze", "systemd")
    service = tmp_path / "gridwarden.service"
    text = (DEPLOY / "systemd" / "gridwarden.service").read_text(encoding="utf-8")
    service.write_text(text.replace("/opt/gridwarden/bin/gridwarden", shutil.which("true") or "/bin/true"))
    assert run(analyze, "verify", "--man=no", service).strip() == ""
    exposure = re.search(r"exposure level for \S+: ([\d.]+)", run(analyze, "security", "--offline=yes", service))
    assert exposure is not None
    assert float(exposure.group(1)) <= MOST_EXPOSED


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(20.0)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "60000000")
        yield listener


@pytest.mark.mosquitto
def test_the_daemon_tells_the_service_manager_and_needs_no_writable_code(
    tmp_path: Path, manager: socket.socket
) -> None:
    program = (sys.executable, "-c", NO_WRITABLE_CODE, *COMMAND)
    with (
        Broker(tmp_path / "broker", REFERENCE) as broker,
        DaemonProcess(
            tmp_path / "daemon", register_dir(tmp_path / "register", 20), broker.port, program=program
        ) as daemon,
    ):
        heard: list[str] = []
        while heard.count("WATCHDOG=1") < 2:
            heard.append(manager.recv(4096).decode())
        assert "READY=1" in heard[: heard.index("WATCHDOG=1")]
        assert any(line.startswith("STATUS=") for line in heard)
        assert daemon.stop()[0] == 0
        manager.setblocking(False)
        last = heard[-1:]
        while True:
            try:
                last.append(manager.recv(4096).decode())
            except BlockingIOError:
                break
        assert "STOPPING=1" in last


@pytest.mark.mosquitto
def test_the_compose_project_s_certificates_open_the_reference_broker_for_the_daemon(tmp_path: Path) -> None:
    needed_program("openssl", "openssl")
    place = tmp_path / "deploy"
    shutil.copytree(DEPLOY, place, ignore=shutil.ignore_patterns("secrets", "register"))
    subprocess.run(
        ["sh", place / "compose" / "prepare.sh", "bureau1"], check=True, capture_output=True, timeout=60, env=_plain()
    )
    secrets = place / "compose" / "secrets"
    for path in secrets.rglob("*"):
        os.chown(path, os.getuid(), os.getgid())
    lines = _shipped_lines(place, secrets)
    config = (place / "compose" / "gridwarden.toml").read_text(encoding="utf-8")
    assert 'host = "mosquitto"' in config
    with Broker(tmp_path / "broker", lines, persistent=True) as broker:
        settings = {
            "mqtt.host": "localhost",
            "mqtt.tls": "on",
            "mqtt.ca_file": secrets / "gridwarden" / "ca.crt",
            "mqtt.cert_file": secrets / "gridwarden" / "gridwarden.crt",
            "mqtt.key_file": secrets / "gridwarden" / "gridwarden.key",
        }
        with DaemonProcess(
            tmp_path / "daemon", register_dir(tmp_path / "register", 20), broker.port, settings
        ) as daemon:
            daemon.ready()
            until(lambda: daemon.metric("gridwarden_mqtt_connected") == 1.0)
            assert daemon.stop()[0] == 0


def _plain() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}


def _shipped_lines(place: Path, secrets: Path) -> list[str]:
    """The reference configuration with its paths moved, without what the test's broker sets itself."""
    own = ("listener", "persistence", "autosave_interval", "log_dest", "per_listener")
    text = (place / "mosquitto" / "mosquitto.conf").read_text(encoding="utf-8")
    moved = text.replace("/etc/mosquitto/certs", str(secrets / "broker")).replace(
        "/etc/mosquitto", str(place / "mosquitto")
    )
    return [line for line in moved.splitlines() if not line.startswith(own)]
