"""Metrics, health and local API: real sockets, real files."""

from __future__ import annotations

import contextlib
import socket
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry

from models.domain.clock import ManualClock
from models.domain.leads import LeadKind
from models.domain.readings import RawMessage, Rejection, RejectReason
from monitor.cli.access import AccessError, SocketAccess, open_access
from monitor.commands import Commands
from monitor.journal.journal import Journal
from monitor.metrics import Metrics
from monitor.ops.http import ops_app
from monitor.ops.local_api import local_app
from monitor.ops.local_socket import SOCKET_NAME, bind_local_socket
from monitor.ops.serving import OpsServer, bind_tcp
from monitor.stored_rows import StoredRows
from monitor.supervise import State, Supervisor


@pytest.fixture(params=["", "d" * 120], ids=["short_path", "path_too_long_for_a_socket_address"])
def state_dir(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    path = tmp_path / request.param
    path.mkdir(exist_ok=True)
    return path


@contextlib.contextmanager
def serving(state_dir: Path, supervisor: Supervisor, data: Any = None) -> Iterator[str]:
    metrics = Metrics(CollectorRegistry())
    tcp = bind_tcp("127.0.0.1", 0)
    local = bind_local_socket(state_dir)
    data = data if data is not None else StoredRows(state_dir, lambda: {"state": supervisor.state.value})
    server = OpsServer(
        [
            (ops_app(metrics.registry, lambda: supervisor.state, supervisor.unready), tcp),
            (local_app(data, Commands({})), local),
        ]
    )
    server.start()
    try:
        yield f"http://127.0.0.1:{tcp.getsockname()[1]}"
    finally:
        server.stop()


def ready_supervisor() -> Supervisor:
    supervisor = Supervisor(ManualClock())
    for state in (State.RECOVER, State.CATCH_UP, State.RUN):
        supervisor.advance(state)
    return supervisor


def put_messages(state_dir: Path, count: int) -> None:
    """A journal with `count` refused messages."""
    journal = Journal.open(state_dir, ManualClock(1_772_464_500_000))
    try:
        for number in range(count):
            message = RawMessage("grid/v1/p1/readings", b"{%d" % number, 1_772_464_500_000 + number, "p1", "canonical")
            journal.commit([message], [Rejection(0, RejectReason.PARSE, "not JSON")])
    finally:
        journal.close()


def test_health_and_readiness_are_two_things(state_dir: Path) -> None:
    supervisor = Supervisor(ManualClock())
    with serving(state_dir, supervisor) as url:
        assert httpx.get(f"{url}/healthz").json() == {"status": "alive", "state": "init"}
        unready = httpx.get(f"{url}/readyz")
        assert (unready.status_code, unready.json()["reasons"]) == (503, ["state is init"])
        for state in (State.RECOVER, State.CATCH_UP, State.RUN):
            supervisor.advance(state)
        assert httpx.get(f"{url}/readyz").status_code == 200
        assert "gridwarden_readings_total" in httpx.get(f"{url}/metrics").text


def test_the_network_port_gives_no_leads_and_no_server_name(state_dir: Path) -> None:
    with serving(state_dir, ready_supervisor()) as url:
        for path in ("/v1/leads", "/v1/status", "/docs", "/openapi.json", "/healthz/"):
            assert httpx.get(url + path).status_code == 404
        assert httpx.post(f"{url}/healthz").status_code == 405
        assert "server" not in httpx.get(f"{url}/healthz").headers


def test_it_starts_and_stops_within_a_second_even_with_a_client_that_hangs_on(state_dir: Path) -> None:
    began = time.monotonic()
    with serving(state_dir, ready_supervisor()) as url:
        client = httpx.Client()
        client.get(f"{url}/healthz")
        assert time.monotonic() - began < 1.0
        hanging = socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])))
        hanging.sendall(b"GET /healthz HTTP/1.1\r\n")
        began = time.monotonic()
    assert time.monotonic() - began < 1.2
    hanging.close()
    client.close()


def test_a_port_in_use_is_an_error_at_start() -> None:
    taken = bind_tcp("127.0.0.1", 0)
    with contextlib.closing(taken), pytest.raises(OSError, match="in use"):
        bind_tcp("127.0.0.1", taken.getsockname()[1])


def test_only_the_owner_may_open_the_socket(state_dir: Path) -> None:
    with contextlib.closing(bind_local_socket(state_dir)):
        assert stat.S_IMODE((state_dir / SOCKET_NAME).stat().st_mode) == 0o600


def test_a_file_that_is_no_socket_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / SOCKET_NAME).write_text("mine")
    with pytest.raises(OSError, match="in use"):
        bind_local_socket(tmp_path)
    assert (tmp_path / SOCKET_NAME).read_text() == "mine"


def test_the_same_answers_come_through_the_socket_and_from_the_files(state_dir: Path) -> None:
    put_messages(state_dir, 5)
    direct = open_access(state_dir)
    assert direct.status()["running"] is False
    with serving(state_dir, ready_supervisor()):
        running = open_access(state_dir)
        assert isinstance(running, SocketAccess)
        assert running.status() == {"running": True, "state": "run"}
        assert running.leads(kind=LeadKind.SEALED_SITE, limit=5) == direct.leads(kind=LeadKind.SEALED_SITE, limit=5)
        assert running.lead("L0") is None
        for filters in ({}, {"publisher": "p1", "limit": 2}, {"limit": 2, "offset": 3}, {"reason": RejectReason.SIZE}):
            assert running.quarantine(**filters) == direct.quarantine(**filters)
        assert len(running.quarantine(limit=2, offset=4)) == 1
        entry = running.quarantine()[0]["id"]
        assert running.quarantined(entry) == direct.quarantined(entry)
        assert running.quarantined(10**9) is None
        with pytest.raises(AccessError, match="422"):
            running.leads(kind="no such kind")


def test_a_socket_left_by_a_crash_is_passed_over_and_replaced(state_dir: Path) -> None:
    bind_local_socket(state_dir).close()
    put_messages(state_dir, 1)
    assert open_access(state_dir).status()["running"] is False
    with serving(state_dir, ready_supervisor()):
        assert open_access(state_dir).status()["running"] is True


def test_an_empty_state_directory_has_nothing_to_open(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no journal"):
        open_access(tmp_path)


class Broken:
    """Data that cannot be read."""

    def status(self) -> dict[str, Any]:
        raise OSError("secret path")


def test_an_error_shows_a_correlation_id_and_nothing_else(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with serving(tmp_path, ready_supervisor(), Broken()), pytest.raises(AccessError) as caught:
        SocketAccess(tmp_path).status()
    assert "secret path" not in str(caught.value)
    (record,) = [r for r in caplog.records if "correlation" in r.getMessage()]
    assert record.getMessage().rpartition(" ")[2] in str(caught.value)


@pytest.mark.parametrize("lead_id", ["../status", "..%2Fstatus", "a/b", "", "x?limit=1", "L" * 5000])
def test_an_odd_id_asks_for_that_id_only(tmp_path: Path, lead_id: str) -> None:
    with serving(tmp_path, ready_supervisor()):
        assert SocketAccess(tmp_path).lead(lead_id) is None


def test_the_path_of_the_socket_stays_in_the_state_directory(state_dir: Path) -> None:
    with contextlib.closing(bind_local_socket(state_dir)):
        assert [path.name for path in state_dir.iterdir()] == [SOCKET_NAME]
