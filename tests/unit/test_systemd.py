"""What the service manager hears, over a real datagram socket."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.systemd import ServiceManager


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(2.0)
        yield listener


def heard(listener: socket.socket) -> list[str]:
    messages = []
    listener.setblocking(False)
    while True:
        try:
            messages.append(listener.recv(4096).decode())
        except BlockingIOError:
            return messages


def test_it_hears_ready_alive_status_and_stopping(manager: socket.socket) -> None:
    environ = {"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(os.getpid())}
    service = ServiceManager.from_environment(environ)
    assert service.watchdog_s == 60.0
    service.ready()
    service.alive()
    service.status("run")
    service.status("run")
    service.status("run; two\nlines")
    service.stopping()
    assert heard(manager) == ["READY=1", "WATCHDOG=1", "STATUS=run", "STATUS=run; two lines", "STOPPING=1"]


@pytest.mark.parametrize(
    "environ",
    [
        pytest.param({}, id="no_watchdog_asked_for"),
        pytest.param({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"}, id="meant_for_another_process"),
        pytest.param({"WATCHDOG_USEC": "soon"}, id="not_a_number"),
        pytest.param({"WATCHDOG_USEC": "0"}, id="zero"),
    ],
)
def test_nothing_feeds_a_watchdog_that_did_not_ask(manager: socket.socket, environ: dict[str, str]) -> None:
    service = ServiceManager.from_environment({"NOTIFY_SOCKET": manager.getsockname(), **environ})
    service.alive()
    assert service.watchdog_s is None
    assert heard(manager) == []


def test_without_a_service_manager_nothing_is_sent_and_nothing_fails(tmp_path: Path) -> None:
    ServiceManager.from_environment({}).ready()
    ServiceManager(str(tmp_path / "gone")).ready()


def test_an_abstract_address_is_understood() -> None:
    name = f"gridwarden-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(f"\0{name}")
        listener.settimeout(2.0)
        ServiceManager(f"@{name}").ready()
        assert listener.recv(64) == b"READY=1"
