"""The MQTT source against a real mosquitto: sessions, acknowledgements, back-pressure, TLS."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from paho.mqtt.client import Client, MQTTv5, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from connectors.mqtt import NO_PUBLISHER, UNREADABLE, MqttSource
from connectors.mqtt_settings import MqttSettings, Subscription
from models.domain.clock import SystemClock
from models.domain.readings import RawMessage
from monitor.intake import IntakeQueue
from tests.support.broker import REFERENCE, Broker
from tests.support.certificates import Certificates

pytestmark = pytest.mark.mosquitto

READINGS = Subscription("grid/v1/+/readings", "canonical")
VERSIONS = pytest.mark.parametrize("version", [5, 4], ids=["mqtt5", "mqtt311"])
Version = Literal[4, 5]


@dataclass
class Events:
    """What the source told."""

    log: list[tuple[str, object]] = field(default_factory=list)

    def connected(self, *, session_present: bool) -> None:
        self.log.append(("connected", session_present))

    def disconnected(self, reason: str) -> None:
        self.log.append(("disconnected", reason))

    def session_lost(self) -> None:
        self.log.append(("session_lost", ""))

    def security(self, event: str) -> None:
        self.log.append(("security", event))

    def named(self, name: str) -> list[object]:
        return [value for kind, value in self.log if kind == name]


@dataclass
class Rig:
    source: MqttSource
    queue: IntakeQueue
    events: Events

    def take(self, count: int, timeout_s: float = 10.0) -> list[RawMessage]:
        """Exactly `count` messages, without acknowledging them."""
        got: list[RawMessage] = []
        deadline = time.monotonic() + timeout_s
        while len(got) < count and time.monotonic() < deadline:
            got += self.queue.take(count - len(got), 0.1)
        assert len(got) == count, f"{len(got)} of {count} messages came; {self.events.log}"
        return got


def until(condition: Callable[[], object], what: str, timeout_s: float = 10.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen"
        time.sleep(0.01)


def settings(port: int, version: Version, **changes: Any) -> MqttSettings:
    given: dict[str, Any] = {"tls": "off", "client_id": "gw", "subscriptions": (READINGS,), **changes}
    return MqttSettings("127.0.0.1", port, version, **given)


@contextmanager
def running(chosen: MqttSettings, queue: IntakeQueue | None = None, *, wait: bool = True) -> Iterator[Rig]:
    queue, events = queue if queue is not None else IntakeQueue(put_wait_s=0.1), Events()
    source = MqttSource(chosen, queue, SystemClock(), events)
    source.start()
    try:
        if wait:
            until(lambda: source.connected, f"connection ({events.log})")
        yield Rig(source, queue, events)
    finally:
        source.stop(5.0)
        assert not source.alive


@contextmanager
def publisher(port: int, version: Version = 4) -> Iterator[Callable[..., None]]:
    client = Client(CallbackAPIVersion.VERSION2, "pub", protocol=MQTTv5 if version == 5 else MQTTv311)
    client.connect("127.0.0.1", port)
    client.loop_start()

    def publish(payload: bytes, topic: str = "grid/v1/bureau/readings", **options: Any) -> None:
        client.publish(topic, payload, **{"qos": 1, **options}).wait_for_publish(10)

    yield publish
    client.disconnect()
    client.loop_stop()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path) as running_broker:
        yield running_broker


@VERSIONS
def test_a_message_comes_with_what_is_known_of_it(broker: Broker, version: Version) -> None:
    with running(settings(broker.port, version)) as rig, publisher(broker.port) as publish:
        before_ms = time.time_ns() // 1_000_000
        publish(b"one")
        (got,) = rig.take(1)
        assert (got.topic, got.payload) == ("grid/v1/bureau/readings", b"one")
        assert (got.publisher, got.adapter, got.qos) == ("bureau", "canonical", 1)
        assert (got.retain, got.dup, got.expiry) == (False, False, False)
        assert got.generation == 1
        assert before_ms <= got.received_ms <= time.time_ns() // 1_000_000
        assert (rig.source.received, rig.source.received_bytes) == (1, 3)


@VERSIONS
def test_what_is_not_acknowledged_comes_again_and_what_is_does_not(broker: Broker, version: Version) -> None:
    chosen = settings(broker.port, version)
    with running(chosen) as rig, publisher(broker.port) as publish:
        for number in range(10):
            publish(b"%d" % number)
        got = rig.take(10)
        rig.source.acknowledge(got[:6])
    with running(chosen) as rig:
        again = rig.take(4)
        assert [m.payload for m in again] == [b"6", b"7", b"8", b"9"]
        assert all(m.dup for m in again)
        assert rig.events.log[0] == ("connected", True)
        rig.source.acknowledge(again)
    with running(chosen) as rig:
        assert rig.queue.take(10, 0.3) == []


@VERSIONS
def test_the_session_keeps_what_comes_while_we_are_away(broker: Broker, version: Version) -> None:
    chosen = settings(broker.port, version)
    with running(chosen) as rig:
        assert rig.events.log == [("connected", False), ("session_lost", "")]
    with publisher(broker.port) as publish:
        for number in range(300):
            publish(b"%d" % number)
    with running(chosen) as rig:
        seen: list[bytes] = []
        while len(seen) < 300:
            part = rig.take(1) + rig.queue.take(500, 0)
            seen += [m.payload for m in part]
            rig.source.acknowledge(part)
        assert seen == [b"%d" % number for number in range(300)]
        assert rig.events.named("session_lost") == []


def test_an_acknowledgement_of_an_earlier_connection_is_dropped(tmp_path: Path) -> None:
    broker = Broker(tmp_path, persistent=True).start()
    try:
        with running(settings(broker.port, 5)) as rig:
            with publisher(broker.port) as publish:
                publish(b"first")
            old = rig.take(1)
            broker.stop()
            broker.start()
            until(lambda: rig.source.generation == 2, "second connection")
            (again,) = rig.take(1)
            assert again.payload == b"first"
            assert again.generation == 2
            rig.source.acknowledge(old)
        with running(settings(broker.port, 5)) as rig:
            (third,) = rig.take(1)
            assert third.payload == b"first"
    finally:
        broker.stop()


@VERSIONS
def test_after_a_restart_of_the_broker_messages_flow_again(tmp_path: Path, version: Version) -> None:
    broker = Broker(tmp_path).start()
    try:
        with running(settings(broker.port, version)) as rig:
            broker.kill()
            until(lambda: not rig.source.connected, "disconnection")
            broker.start()
            until(lambda: rig.source.connected, "reconnection")
            with publisher(broker.port) as publish:
                publish(b"after")
            assert [m.payload for m in rig.take(1)] == [b"after"]
            assert rig.events.named("session_lost") == ["", ""]
            assert rig.events.named("disconnected")
    finally:
        broker.stop()


def test_a_full_queue_disconnects_on_purpose_and_comes_back_below_the_low_water_mark(broker: Broker) -> None:
    queue = IntakeQueue(20, put_wait_s=0.05)
    with running(settings(broker.port, 5, keepalive_s=5), queue) as rig, publisher(broker.port) as publish:
        for number in range(100):
            publish(b"%d" % number)
        until(lambda: rig.events.named("disconnected"), "disconnection on purpose")
        assert "queue full" in str(rig.events.named("disconnected")[0])
        assert len(queue) == 20
        time.sleep(0.7)
        assert not rig.source.connected
        seen: list[bytes] = []
        deadline = time.monotonic() + 20
        while len(set(seen)) < 100 and time.monotonic() < deadline:
            part = queue.take(500, 0.1)
            seen += [m.payload for m in part]
            rig.source.acknowledge(part)
        assert sorted(set(seen), key=int) == [b"%d" % number for number in range(100)]
        assert len(seen) == 120


def test_a_short_stall_is_waited_out_without_a_disconnection(broker: Broker) -> None:
    queue = IntakeQueue(20)
    with running(settings(broker.port, 5), queue) as rig, publisher(broker.port) as publish:
        for number in range(50):
            publish(b"%d" % number)
        until(lambda: len(queue) == 20, "full queue")
        time.sleep(0.2)
        got = rig.take(50)
        assert [m.payload for m in got] == [b"%d" % number for number in range(50)]
        assert rig.events.named("disconnected") == []


def test_acknowledgements_go_out_while_the_queue_is_full(broker: Broker) -> None:
    queue = IntakeQueue(20, put_wait_s=20.0)
    with running(settings(broker.port, 5), queue) as rig, publisher(broker.port) as publish:
        for number in range(60):
            publish(b"%d" % number)
        until(lambda: len(queue) == 20, "full queue")
        got = rig.take(20)
        until(lambda: len(queue) == 20, "full queue again")
        time.sleep(0.1)
        rig.source.acknowledge(got)
        until(lambda: not rig.source._acks and not rig.source._unsent, "sending of the acknowledgements", 1.0)
        assert len(queue) == 20


def test_pausing_takes_no_more_but_still_acknowledges(broker: Broker) -> None:
    chosen = settings(broker.port, 5)
    with running(chosen) as rig, publisher(broker.port) as publish:
        publish(b"before")
        got = rig.take(1)
        rig.source.pause()
        publish(b"after")
        assert rig.queue.take(1, 0.3) == []
        rig.source.acknowledge(got)
    with running(chosen) as rig:
        assert [m.payload for m in rig.take(1)] == [b"after"]


def test_flags_of_a_message_are_recorded(broker: Broker) -> None:
    expiry = Properties(PacketTypes.PUBLISH)
    expiry.MessageExpiryInterval = 60
    with publisher(broker.port) as publish:
        publish(b"kept", retain=True)
    with running(settings(broker.port, 5)) as rig, publisher(broker.port, 5) as publish:
        (kept,) = rig.take(1)
        assert kept.retain
        publish(b"short", properties=expiry)
        publish(b"loose", qos=0)
        short, loose = rig.take(2)
        assert (short.expiry, loose.expiry) == (True, False)
        assert (short.qos, loose.qos) == (1, 0)
        rig.source.acknowledge([kept, short, loose])


def test_a_topic_that_names_no_publisher_is_a_security_event(broker: Broker) -> None:
    with running(settings(broker.port, 5)) as rig, publisher(broker.port) as publish:
        publish(b"x", "grid/v1/a b/readings")
        assert rig.take(1)[0].publisher == NO_PUBLISHER
        assert "names no publisher" in str(rig.events.named("security")[0])


def test_a_message_that_cannot_be_wrapped_goes_to_quarantine_and_the_thread_lives(broker: Broker) -> None:
    class Stuck(SystemClock):
        broken = True

        def wall_ms(self) -> int:
            if self.broken:
                Stuck.broken = False
                raise ArithmeticError
            return super().wall_ms()

    queue, events = IntakeQueue(), Events()
    source = MqttSource(settings(broker.port, 5), queue, Stuck(), events)
    source.start()
    try:
        until(lambda: source.connected, "connection")
        with publisher(broker.port) as publish:
            publish(b"poison")
            publish(b"good")
        got = Rig(source, queue, events).take(2)
        assert [(m.payload, m.adapter) for m in got] == [(b"poison", UNREADABLE), (b"good", "canonical")]
        source.acknowledge(got)
        assert source.alive
    finally:
        source.stop(5)


@VERSIONS
def test_a_client_of_our_name_is_a_security_event_and_not_fought_over(broker: Broker, version: Version) -> None:
    with running(settings(broker.port, version)) as rig:
        thief = Client(CallbackAPIVersion.VERSION2, "gw")
        thief.reconnect_delay_set(1, 1)
        thief.connect("127.0.0.1", broker.port)
        thief.loop_start()
        until(lambda: rig.events.named("security"), "security event", 20)
        time.sleep(2.0)
        assert not rig.source.connected
        assert len(rig.events.named("security")) == 1
        thief.disconnect()
        thief.loop_stop()


def test_a_broker_that_says_taken_over_is_believed_at_once() -> None:
    server = socket.create_server(("127.0.0.1", 0))
    with server, running(settings(server.getsockname()[1], 5), wait=False) as rig:
        connection, _ = server.accept()
        with connection:
            connection.recv(1000)
            connection.sendall(b"\x20\x03\x01\x00\x00" + b"\xe0\x02\x8e\x00")
            until(lambda: rig.events.named("security"), "security event")
        assert "took over" in str(rig.events.named("security")[0])
        assert rig.source.generation == 1
        server.settimeout(1.5)
        with pytest.raises(TimeoutError):
            server.accept()


@VERSIONS
def test_publishing_returns_when_the_broker_has_it(broker: Broker, version: Version) -> None:
    got: list[bytes] = []
    arrived = threading.Event()
    commission = Client(CallbackAPIVersion.VERSION2, "iit")
    commission.on_message = lambda _c, _d, m: (got.append(m.payload), arrived.set())  # type: ignore[assignment,misc]
    commission.connect("127.0.0.1", broker.port)
    commission.subscribe("grid/v1/iit/+/leads", 1)
    commission.loop_start()
    with running(settings(broker.port, version)) as rig:
        assert rig.source.publish("grid/v1/iit/district-3/leads", b"lead", timeout_s=5)
        assert arrived.wait(5)
        assert got == [b"lead"]
        with pytest.raises(ValueError, match="not ours to write"):
            rig.source.publish("grid/v1/bureau/readings", b"x", timeout_s=1)
    commission.disconnect()
    commission.loop_stop()


def test_publishing_without_a_broker_says_no_at_once(tmp_path: Path) -> None:
    broker = Broker(tmp_path).start()
    with running(settings(broker.port, 5)) as rig:
        broker.stop()
        until(lambda: not rig.source.connected, "disconnection")
        started = time.monotonic()
        assert not rig.source.publish("grid/v1/bureau/feedback", b"x", timeout_s=5)
        assert time.monotonic() - started < 1


def test_what_the_broker_forbids_to_write_is_not_taken_for_sent(tmp_path: Path) -> None:
    acl = tmp_path / "acl"
    acl.write_text("topic read grid/v1/#\n")
    acl.chmod(0o600)
    with Broker(tmp_path, (*REFERENCE, f"acl_file {acl}")) as broker, running(settings(broker.port, 5)) as rig:
        assert not rig.source.publish("grid/v1/bureau/feedback", b"x", timeout_s=5)


def test_a_refused_login_is_told_and_retried(tmp_path: Path) -> None:
    lines = [line for line in REFERENCE if "anonymous" not in line]
    broker = Broker(tmp_path, (*lines, "allow_anonymous false"))
    with broker, running(settings(broker.port, 5), wait=False) as rig:
        until(lambda: rig.events.named("disconnected"), "refusal")
        assert "refused" in str(rig.events.named("disconnected")[0])
        assert rig.events.named("security")
        assert rig.source.alive


def test_an_address_nobody_listens_on_is_told_and_retried(tmp_path: Path) -> None:
    broker = Broker(tmp_path)
    with running(settings(broker.port, 5), wait=False) as rig:
        until(lambda: rig.events.named("disconnected"), "refusal")
        broker.start()
        until(lambda: rig.source.connected, "connection")
    broker.stop()


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"  # paho leaves a socket of a failed handshake to the collector
)
def test_tls_with_client_certificates_names_us_by_certificate(tmp_path: Path) -> None:
    certs = Certificates(tmp_path / "certs")
    lines = (
        *REFERENCE, f"cafile {certs.ca}", f"certfile {certs.server}", f"keyfile {certs.server_key}",
        "require_certificate true", "use_identity_as_username true",
    )  # fmt: skip
    with Broker(tmp_path, lines) as broker:
        secure: dict[str, Any] = {
            "tls": "ca_file", "ca_file": certs.ca, "cert_file": certs.client, "key_file": certs.client_key,
        }  # fmt: skip
        with running(settings(broker.port, 5, **secure)) as rig:
            for number in range(200):
                assert rig.source.publish("grid/v1/bureau/feedback", b"%d" % number, timeout_s=5)
        with running(settings(broker.port, 5, **{**secure, "cert_file": None, "key_file": None}), wait=False) as rig:
            until(lambda: rig.events.named("disconnected"), "refusal without a certificate")
            assert not rig.source.connected
        stranger = Certificates(tmp_path / "stranger")
        with running(settings(broker.port, 5, **{**secure, "ca_file": stranger.ca}), wait=False) as rig:
            until(lambda: rig.events.named("disconnected"), "refusal of a broker we cannot verify")
            assert "certificate" in str(rig.events.named("disconnected")[0]).lower()


def test_tls_carries_a_fast_stream(tmp_path: Path) -> None:
    certs = Certificates(tmp_path / "certs")
    lines = (*REFERENCE, f"cafile {certs.ca}", f"certfile {certs.server}", f"keyfile {certs.server_key}")
    chosen: dict[str, Any] = {"tls": "ca_file", "ca_file": certs.ca}
    with Broker(tmp_path, lines) as broker, running(settings(broker.port, 5, **chosen)) as rig:
        client = Client(CallbackAPIVersion.VERSION2, "pub")
        client.tls_set(str(certs.ca))
        client.connect("127.0.0.1", broker.port)
        client.loop_start()
        for number in range(3000):
            client.publish("grid/v1/bureau/readings", b"%d" % number + b" " * (number % 700), qos=1)
        seen = 0
        while seen < 3000:
            part = rig.take(1) + rig.queue.take(499, 0)
            rig.source.acknowledge(part)
            assert [int(m.payload) for m in part] == list(range(seen, seen + len(part)))
            seen += len(part)
        client.disconnect()
        client.loop_stop()
