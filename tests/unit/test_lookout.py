"""The look at everything once a second: sinks and clock move the state, a dead part ends the process."""

from __future__ import annotations

import dataclasses
import random
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from connectors.mqtt import MqttSource
from connectors.mqtt_settings import MqttSettings
from connectors.sink import Unavailable
from models.domain.clock import SystemClock
from monitor.desk.database import open_desk
from monitor.intake import IntakeQueue
from monitor.link import LinkWatch
from monitor.lookout import Lookout
from monitor.metrics import Metrics
from monitor.occurrences import Occurrences
from monitor.outbox import Delivered, Delivery, OutboxSender
from monitor.supervise import ExitCode, State, Supervisor, ThreadName
from monitor.systemd import ServiceManager
from monitor.timewatch import TimeWatch
from tests.support.broker import free_port
from tests.support.daemon_process import until
from tests.support.desk_parts import commit, desk_on, finding


class HurriedClock(SystemClock):
    """Monotonic time runs a thousand times faster, so that pauses pass in a test."""

    def monotonic_s(self) -> float:
        return super().monotonic_s() * 1000.0


class Receiver:
    """A sink that can be down."""

    down = False

    def send(self, body: bytes, idempotency_key: str, subject: str, event_type: str) -> Delivery:
        if self.down:
            raise Unavailable("down")
        return Delivered()


@dataclass
class Post:
    """A lookout over real parts; the sender runs, the network thread does not."""

    lookout: Lookout
    receiver: Receiver
    time_watch: TimeWatch

    @property
    def supervisor(self) -> Supervisor:
        return self.lookout.supervisor

    def value(self, name: str, **labels: str) -> float | None:
        return self.lookout.metrics.registry.get_sample_value(f"gridwarden_{name}", labels)


@pytest.fixture
def post(tmp_path: Path) -> Iterator[Post]:
    metrics, clock, receiver = Metrics(CollectorRegistry()), SystemClock(), Receiver()
    supervisor = Supervisor(clock, metrics.set_state)
    for state in (State.RECOVER, State.CATCH_UP, State.RUN):
        supervisor.advance(state)
    queue = IntakeQueue()
    mqtt = MqttSource(
        MqttSettings("127.0.0.1", free_port(), tls="off"),
        queue,
        clock,
        LinkWatch(metrics, supervisor, clock, Occurrences(clock)),
    )
    engine = open_desk(tmp_path)
    sender = OutboxSender(engine, {"file": receiver}, HurriedClock(), random.Random(1))
    watch = TimeWatch(clock)
    yield Post(
        Lookout(
            supervisor,
            metrics,
            clock,
            queue,
            mqtt,
            sender,
            engine,
            ["file"],
            watch,
            ServiceManager(None),
            Occurrences(clock),
        ),
        receiver,
        watch,
    )
    assert sender.stop(10_000.0)
    mqtt.stop(1.0)
    engine.dispose()


def test_a_sink_that_is_down_shows_until_it_takes_notices_again(post: Post) -> None:
    post.receiver.down = True
    desk = desk_on(post.lookout.engine)
    commit(desk, 0, finding(0))
    commit(desk, 1, finding(1))
    post.lookout.sender.start()
    until(lambda: post.lookout.sender.failing)
    post.lookout.look()
    assert post.supervisor.state is State.DEGRADED_SINK
    assert post.value("outbox_pending", sink="file") == 1
    assert (post.value("outbox_oldest_age_seconds", sink="file") or 0) > 0
    post.receiver.down = False
    until(lambda: not post.lookout.sender.failing)
    until(lambda: (post.lookout.look(), post.value("outbox_pending", sink="file"))[1] == 0)
    assert post.supervisor.state is State.RUN
    assert post.value("outbox_oldest_age_seconds", sink="file") == 0


def test_a_clock_that_is_not_believed_shows_until_it_is(post: Post) -> None:
    post.time_watch.heard(["a", "b"], {"a", "b"})
    post.lookout.look()
    assert post.supervisor.holds(State.DEGRADED_TIME)
    post.time_watch.heard(["a", "b"], ())
    post.lookout.look()
    assert not post.supervisor.holds(State.DEGRADED_TIME)


def test_a_network_thread_that_died_ends_the_process(post: Post) -> None:
    post.lookout.look()
    fatal = post.supervisor.fatal
    assert fatal is not None
    assert (fatal.code, fatal.reason) == (ExitCode.SOFTWARE, "the MQTT thread died")


def test_a_fault_of_the_look_itself_ends_the_process(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    """A watch that died unseen would watch nothing."""

    def fault(_look: object) -> None:
        raise ArithmeticError

    left: list[ExitCode] = []
    monkeypatch.setattr(post.supervisor, "run", fault)
    monkeypatch.setattr(post.supervisor, "leave_after", lambda _seconds, code: left.append(code))
    post.lookout.start().join(5.0)
    assert left == [ExitCode.SOFTWARE]


def test_the_watchdog_is_fed_only_while_every_thread_moves(post: Post, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.setblocking(False)
        service = ServiceManager(str(tmp_path / "notify"), watchdog_s=0.2)
        lookout = dataclasses.replace(post.lookout, service=service)
        post.supervisor.watch(ThreadName.CORE, None, max_age_s=60.0)
        lookout.look()
        assert b"WATCHDOG=1" in heard(listener)
        time.sleep(0.12)
        lookout.look()
        assert b"WATCHDOG=1" not in heard(listener)
        post.supervisor.progress(ThreadName.CORE)
        lookout.look()
        assert b"WATCHDOG=1" in heard(listener)


def heard(listener: socket.socket) -> list[bytes]:
    messages = []
    while True:
        try:
            messages.append(listener.recv(4096))
        except BlockingIOError:
            return messages
