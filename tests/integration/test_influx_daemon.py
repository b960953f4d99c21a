"""`gridwarden run` feeding a real line-protocol server: outages, kills of either side, figures, secrets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.broker import Broker
from tests.support.daemon_process import DaemonProcess, until
from tests.support.line_server import LineServer
from tests.support.office import connected, publish, quarter_hours, wave
from tests.support.register_dirs import register_dir

METERS = 12
TOKEN = "canary-token-9e0b13"

pytestmark = pytest.mark.mosquitto


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LineServer]:
    with LineServer(tmp_path / "server") as running:
        yield running


def settings(folder: Path, server: LineServer) -> dict[str, object]:
    token = folder / "token"
    token.write_text(TOKEN + "\n")
    token.chmod(0o600)
    return {
        "sinks.influx.url": server.url,
        "sinks.influx.token_file": token,
        "sinks.influx.allow": [server.url.removeprefix("http://")],
    }


def test_points_on_both_sides_are_equal_after_outage_and_kill(tmp_path: Path, server: LineServer) -> None:
    register = register_dir(tmp_path / "register", METERS)
    stamps = quarter_hours(3, 2)
    with (
        Broker(tmp_path / "broker", persistent=True) as broker,
        DaemonProcess(tmp_path / "daemon", register, broker.port, settings(tmp_path, server)) as daemon,
    ):
        daemon.ready()
        with connected(broker.port) as client:
            publish(client, [wave(at_ms, METERS) for at_ms in stamps[:50]])
            until(lambda: server.count("reading_p_kw") == 50 * METERS)
            until(lambda: daemon.metric("gridwarden_influx_lag_records") == 0)
            assert daemon.metric("gridwarden_influx_points_total") == 50 * METERS
            server.kill()
            publish(client, [wave(at_ms, METERS) for at_ms in stamps[50:100]])
            until(lambda: daemon.metric('gridwarden_influx_failures_total{kind="unreachable"}') >= 3)
            until(lambda: daemon.get("/readyz")[0] == 503)
            assert "InfluxDB takes no readings" in daemon.get("/readyz")[1]
            until(lambda: daemon.metric('gridwarden_readings_total{outcome="stored"}') == 100 * METERS)
            assert daemon.metric("gridwarden_influx_lag_records") > 0
            daemon.kill()
            publish(client, [wave(at_ms, METERS) for at_ms in stamps[100:150]])
            with server:
                daemon.start().ready()
                until(lambda: server.count("reading_p_kw") == 150 * METERS, 40)
                until(lambda: daemon.get("/readyz")[0] == 200)
                code, seconds = daemon.stop()
                assert code == 0
                assert seconds < 5.0
    said = daemon.log_path.read_text()
    assert "InfluxDB is not fed" in said
    assert TOKEN not in said
    for file in daemon.state_dir.rglob("*"):
        assert not file.is_file() or TOKEN.encode() not in file.read_bytes()
