"""The shipped broker configuration, in a real mosquitto: who may write what, and that nothing is retained."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.broker import Broker

REFERENCE = Path(__file__).resolve().parents[2] / "deploy" / "mosquitto"
ELSEWHERE = (
    "listener",
    "cafile",
    "certfile",
    "keyfile",
    "require_certificate",
    "use_identity",
    "tls_version",
    "acl_file",
    "persistence",
    "autosave_interval",
    "log_dest",
    "per_listener",
)
"""Lines that the test broker sets itself or that need certificates; all others are taken as shipped."""
WANTED = (
    "allow_anonymous false",
    "require_certificate true",
    "use_identity_as_username true",
    "use_username_as_clientid true",
    "retain_available false",
    "max_packet_size 1048576",
    "max_inflight_messages 2000",
    "max_queued_messages 0",
    "autosave_interval 1",
    "autosave_on_changes false",
)

pytestmark = pytest.mark.mosquitto


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder = tmp_path_factory.mktemp("broker")
    passwords = folder / "passwords"
    passwords.write_text("".join(f"{name}:{name}\n" for name in ("b1", "b2", "gridwarden", "operator")))
    passwords.chmod(0o600)
    subprocess.run(["mosquitto_passwd", "-U", passwords], check=True)
    (folder / "acl").write_bytes((REFERENCE / "gridwarden.acl").read_bytes())
    (folder / "acl").chmod(0o600)
    shipped = (REFERENCE / "mosquitto.conf").read_text().splitlines()
    lines = [line for line in shipped if not line.startswith(ELSEWHERE)]
    with Broker(folder, [*lines, f"acl_file {folder}/acl", f"password_file {passwords}"], persistent=True) as broker:
        yield broker.port


def publish(port: int, who: str, topic: str, *options: str) -> str:
    """What mosquitto_pub says of it; empty when the broker took it."""
    command = ["mosquitto_pub", "-h", "127.0.0.1", "-p", str(port), "-V", "mqttv5", "-q", "1"]
    command += ["-u", who, "-P", who, "-t", topic, "-m", "x", *options]
    run = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    return run.stderr + run.stdout


@pytest.mark.parametrize(
    ("who", "topic"),
    [
        ("b1", "grid/v1/b1/readings"),
        ("b1", "grid/v1/b1/status"),
        ("gridwarden", "grid/v1/b1/feedback"),
        ("gridwarden", "grid/v1/iit/district/leads"),
    ],
)
def test_each_may_write_what_is_its_own(port: int, who: str, topic: str) -> None:
    assert publish(port, who, topic) == ""


@pytest.mark.parametrize(
    ("who", "topic"),
    [
        pytest.param("b1", "grid/v1/b2/readings", id="another_publishers_root"),
        pytest.param("b1", "grid/v1/iit/district/leads", id="leads"),
        pytest.param("b1", "elsewhere", id="outside_of_the_root"),
        pytest.param("gridwarden", "grid/v1/b1/readings", id="A6_the_daemon_writes_no_readings"),
        pytest.param("gridwarden", "grid/v1/gridwarden/readings", id="A6_not_even_under_its_own_name"),
        pytest.param("gridwarden", "grid/v1/b1/command", id="A6_nor_commands_anything"),
        pytest.param("operator", "grid/v1/operator/readings", id="the_operator_only_looks"),
    ],
)
def test_nobody_may_write_elsewhere(port: int, who: str, topic: str) -> None:
    assert "Not authorized" in publish(port, who, topic)


def test_nobody_comes_in_without_a_name(port: int) -> None:
    command = [
        "mosquitto_pub",
        "-h",
        "127.0.0.1",
        "-p",
        str(port),
        "-V",
        "mqttv5",
        "-t",
        "grid/v1/b1/readings",
        "-m",
        "x",
    ]
    assert subprocess.run(command, capture_output=True, timeout=20, check=False).returncode != 0


@pytest.mark.parametrize(
    "options",
    [pytest.param(["-m", "x", "-r"], id="retained"), pytest.param(["-f", "big"], id="larger_than_a_batch")],
)
def test_the_broker_hangs_up_on(port: int, tmp_path: Path, options: list[str]) -> None:
    (tmp_path / "big").write_bytes(b"x" * 1_100_000)
    command = ["mosquitto_pub", "-h", "127.0.0.1", "-p", str(port), "-V", "mqttv311", "-q", "1", "-u", "b1", "-P", "b1"]
    command += ["-t", "grid/v1/b1/readings", *options]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=20, check=False)
    assert "connection was lost" in run.stderr


def test_the_settings_the_design_asks_for_are_there() -> None:
    lines = (REFERENCE / "mosquitto.conf").read_text().splitlines()
    assert set(WANTED) <= set(lines)
    assert not [line for line in lines if line.startswith("persistent_client_expiration")]
