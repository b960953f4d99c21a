"""The connection to the broker: receives, acknowledges after the commit, publishes; one thread, never the core's.

The thread drives paho's loop itself, by paho's interface for external loops: so an acknowledgement, its connection's
generation and a reconnect are handled by one thread (rule D2), acknowledgements of a commit group go out in one write,
and reading simply stops while the intake queue is full (rule D9).
"""

from __future__ import annotations

import logging
import select
import socket
import ssl
import struct
import threading
from collections import deque
from collections.abc import Sequence
from typing import Any, Final, Protocol

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage, MQTTv5, topic_matches_sub
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from connectors.mqtt_backoff import Backoff
from connectors.mqtt_client import QuickClient, build_client
from connectors.mqtt_settings import MqttSettings
from models.domain.clock import Clock
from models.domain.readings import RawMessage

WRITABLE_TOPICS: Final = ("grid/v1/+/feedback", "grid/v1/iit/+/leads")
"""All that the daemon may ever publish to (rule A6)."""

UNREADABLE: Final = ""
"""Adapter of a message that could not even be wrapped; decoding refuses it as INTERNAL."""

NO_PUBLISHER: Final = "?"
"""Publisher of a message whose topic names no proper one: no id, so the register refuses all its readings (A2)."""

_SESSION_TAKEN_OVER: Final = 142
_PACKETS_A_TURN: Final = 64
_MAX_ROUTES: Final = 10_000
_IDLE_S: Final = 1.0
_FULL_POLL_S: Final = 0.01
_PUBACK: Final = struct.Struct(">HH")
_PUBACK_HEAD: Final = 0x4002
_GOODBYE_S: Final = 1.0
_PAUSE_S: Final = 0.5
_NO_TOPIC: Final = b"\xff"
"""Stands for a topic that is not UTF-8: it cannot be routed."""


log = logging.getLogger(__name__)


class Inbox(Protocol):
    """Where messages go: the intake queue."""

    def put(self, message: RawMessage) -> bool: ...
    def has_room(self) -> bool: ...
    def below_low_water(self) -> bool: ...


class MqttEvents(Protocol):
    """What the connection tells the daemon, from the network thread: must be quick and must not raise."""

    def connected(self, *, session_present: bool) -> None:
        """The broker accepted us; the subscriptions are on their way."""

    def disconnected(self, reason: str) -> None:
        """The connection was lost, refused, or closed by us."""

    def session_lost(self) -> None:
        """The broker had no session of ours: what came meanwhile is lost (a gap), unless this is the first start."""

    def security(self, event: str) -> None:
        """Something a security officer should see: taken over, refused, a topic without a proper publisher."""


class MqttSource:
    """Owns the paho client and its thread. Construction touches no network."""

    def __init__(self, settings: MqttSettings, queue: Inbox, clock: Clock, events: MqttEvents) -> None:
        """Raises OSError or ssl.SSLError when a certificate file cannot be used."""
        self._settings = settings
        self._queue = queue
        self._clock = clock
        self._events = events
        self._routes: dict[bytes, tuple[str, str, str]] = {}
        self._acks: deque[tuple[int, bytes]] = deque()
        self._unsent = b""
        self._refused_mids: set[int] = set()
        self._refusal = ""
        self._wake_r, self._wake_w = socket.socketpair()
        self._wake_r.settimeout(0)
        self._wake_w.settimeout(0)
        self._stopping = threading.Event()
        self._paused = False
        self._pause_seen = threading.Event()
        self._overloaded = False
        self._backoff = Backoff()
        self._thread: threading.Thread | None = None
        self.generation = 0
        self.connected = False
        self.received = 0
        self.received_bytes = 0
        self.last_progress_s = clock.monotonic_s()
        self._client = self._build_client()

    def start(self) -> None:
        """Start the network thread; it connects, and reconnects for as long as it is not stopped."""
        if self._thread is not None:
            raise RuntimeError("the MQTT source was started before")
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)
        self._thread.start()

    def pause(self) -> None:
        """Take no more messages but stay connected, so that what was taken can still be acknowledged (rule C4).

        Returns once the network thread has seen it, or after half a second.
        """
        self._paused = True
        self._wake()
        if self.alive:
            self._pause_seen.wait(_PAUSE_S)

    def stop(self, timeout_s: float) -> None:
        """Send the last acknowledgements and DISCONNECT; the session, its subscriptions and its queue stay."""
        self._stopping.set()
        self._wake()
        if self._thread is not None:
            self._thread.join(timeout_s)
            if self._thread.is_alive():
                log.warning("the MQTT thread did not end within %.1f s; leaving it behind is safe", timeout_s)
                return
        self._wake_r.close()
        self._wake_w.close()

    @property
    def alive(self) -> bool:
        """Whether the network thread runs; a supervisor ends the process when it should and does not (rule C5)."""
        return self._thread is not None and self._thread.is_alive()

    def acknowledge(self, messages: Sequence[RawMessage]) -> None:
        """Acknowledge committed messages, in this order; those of an earlier connection are passed over (rule D2)."""
        generation = self.generation
        pack = _PUBACK.pack
        acks = b"".join([pack(_PUBACK_HEAD, m.mid) for m in messages if m.generation == generation and m.qos])
        if acks:
            self._acks.append((generation, acks))
            self._wake()

    def publish(self, topic: str, payload: bytes, *, timeout_s: float) -> bool:
        """Publish with QoS 1; True when the broker took it. False: not connected, refused, or no answer in time.

        After False the broker may still have it: the receiver tells repetitions apart. Raises ValueError for a topic
        that is neither feedback nor leads (rule A6).
        """
        if not any(topic_matches_sub(allowed, topic) for allowed in WRITABLE_TOPICS):
            raise ValueError(f"topic {topic!r} is not ours to write; ours are {', '.join(WRITABLE_TOPICS)}")
        if not self.connected:
            return False
        info = self._client.publish(topic, payload, qos=1)
        try:
            info.wait_for_publish(timeout_s)
            taken = info.is_published()
        except (ValueError, RuntimeError):
            return False
        refused = info.mid in self._refused_mids
        self._refused_mids.discard(info.mid)
        return taken and not refused

    def _build_client(self) -> QuickClient:
        client = build_client(self._settings, self._receive)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        client.on_socket_open = lambda *_: client.forget_buffer()
        client.on_socket_register_write = lambda *_: self._wake()
        return client

    # ---- the network thread -------------------------------------------------------------------------------------

    def _run(self) -> None:
        while self._wait_until_allowed():
            self._client.drop_out_messages()
            try:
                self._client.reconnect()
            except (OSError, ValueError) as error:
                self._events.disconnected(f"cannot connect to {self._settings.host}:{self._settings.port}: {error}")
            else:
                self._serve_safely()
            self.connected = False
            on_purpose = self._overloaded or self._stopping.is_set()
            if self._backoff.ended(self._clock.monotonic_s(), on_purpose=on_purpose):
                name = self._settings.client_id
                self._events.security(f"connections of {name!r} are closed at once: a second client may use that name")

    def _serve_safely(self) -> None:
        """Serve the connection; what paho may raise on a broker's nonsense ends the connection, not the thread."""
        try:
            self._serve()
        except Exception as error:
            log.exception("the connection is given up")
            sock = self._client.socket()
            if sock is not None:
                sock.close()
            self._events.disconnected(f"connection given up: {type(error).__name__}")

    def _wait_until_allowed(self) -> bool:
        """Wait for the back-off to pass, and for the queue to drain where it was full; False when stopping."""
        while not self._stopping.is_set():
            self.last_progress_s = self._clock.monotonic_s()
            self._note_pause()
            self._overloaded = self._overloaded and not self._queue.below_low_water()
            left_s = self._backoff.hold_until_s - self.last_progress_s
            if left_s <= 0 and not self._overloaded and not self._paused:
                return True
            self._stopping.wait(min(left_s, _IDLE_S) if left_s > 0 else _FULL_POLL_S)
        return False

    def _serve(self) -> None:
        """Drive one connection until it ends."""
        client, queue = self._client, self._queue
        full_since_s = 0.0
        next_misc_s = 0.0
        while (sock := client.socket()) is not None:
            now_s = self.last_progress_s = self._clock.monotonic_s()
            self._note_pause()
            if self._stopping.is_set():
                self._hang_up()
                return
            has_room = queue.has_room()
            full_since_s = 0.0 if has_room else full_since_s or now_s
            if self._overloaded or (not has_room and now_s - full_since_s > self._settings.keepalive_s / 3):
                self._overloaded = True
                self._hang_up()
                self._events.disconnected("intake queue full: disconnected on purpose, the broker keeps the messages")
                return
            if now_s >= next_misc_s:
                next_misc_s = now_s + _IDLE_S
                client.loop_misc()
                continue
            self._turn(sock, reading=has_room and not self._paused)

    def _note_pause(self) -> None:
        if self._paused:
            self._pause_seen.set()

    def _turn(self, sock: Any, *, reading: bool) -> None:
        """Wait for something to do on the socket, and do it."""
        client = self._client
        pending = reading and (client.pending() > 0 or getattr(sock, "pending", int)() > 0)
        writing = client.want_write() or bool(self._acks or self._unsent)
        poller = select.poll()
        poller.register(self._wake_r.fileno(), select.POLLIN)
        poller.register(sock.fileno(), (select.POLLIN if reading else 0) | (select.POLLOUT if writing else 0))
        timeout_s = 0.0 if pending else _IDLE_S if reading else _FULL_POLL_S
        ready = dict(poller.poll(timeout_s * 1000.0))
        if ready.pop(self._wake_r.fileno(), 0):
            self._drain_wake()
        events = next(iter(ready.values()), 0)
        if events & select.POLLOUT:
            self._write(sock)
        trouble = events & ~(select.POLLOUT | select.POLLIN)
        if trouble or (not self._paused and (pending or events & select.POLLIN)):
            self._read()

    def _read(self) -> None:
        """Read some packets; paho reads one at a call and does not say whether there was a whole one."""
        client = self._client
        for _ in range(_PACKETS_A_TURN):
            before = self.received
            code = client.loop_read()
            if code != MQTTErrorCode.MQTT_ERR_SUCCESS or self.received == before or not self._queue.has_room():
                return

    def _write(self, sock: Any) -> None:
        """Send acknowledgements and paho's own packets, never one inside the other."""
        if self._unsent or not self._client.want_write():
            while self._acks and not self._unsent:
                generation, acks = self._acks.popleft()
                if generation == self.generation and self.connected:
                    self._unsent = acks
            if self._unsent:
                try:
                    sent = sock.send(self._unsent)
                except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                    return
                except OSError:
                    self._unsent = b""
                    self._read()
                    return
                self._unsent = self._unsent[sent:]
        if not self._unsent and self._client.want_write():
            self._client.loop_write()

    def _hang_up(self) -> None:
        """Send what is acknowledged, then DISCONNECT, within a second; the session expiry stays as it is."""
        deadline_s = self._clock.monotonic_s() + _GOODBYE_S
        asked = False
        while (sock := self._client.socket()) is not None:
            left_s = deadline_s - self._clock.monotonic_s()
            if left_s <= 0:
                sock.close()
                return
            if not asked and not self._acks and not self._unsent:
                self._client.disconnect()
                asked = True
            poller = select.poll()
            poller.register(sock.fileno(), select.POLLOUT)
            if poller.poll(left_s * 1000.0):
                self._write(sock)

    def _wake(self) -> None:
        try:
            self._wake_w.send(b"\0")
        except OSError:
            return

    def _drain_wake(self) -> None:
        try:
            self._wake_r.recv(4096)
        except BlockingIOError:
            return

    # ---- paho's callbacks, on the network thread ----------------------------------------------------------------

    def _on_connect(
        self, client: Client, _data: Any, flags: ConnectFlags, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        if reason.is_failure:
            self._refusal = f"the broker refused the connection: {reason}"
            self._events.security(self._refusal)
            return
        self._refusal = ""
        self.generation += 1
        self._acks.clear()
        self._unsent = b""
        self._refused_mids.clear()
        subscriptions = self._settings.subscriptions
        if subscriptions and self._settings.version == MQTTv5:
            client.subscribe([(s.topic, SubscribeOptions(qos=s.qos)) for s in subscriptions])
        elif subscriptions:
            client.subscribe([(s.topic, s.qos) for s in subscriptions])
        self._backoff.connected(self._clock.monotonic_s())
        self.connected = True
        self._events.connected(session_present=flags.session_present)
        if not flags.session_present:
            self._events.session_lost()

    def _on_disconnect(
        self, _client: Client, _data: Any, flags: DisconnectFlags, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        self.connected = False
        if reason.value == _SESSION_TAKEN_OVER and flags.is_disconnect_packet_from_server:
            self._backoff.give_way(self._clock.monotonic_s())
            self._events.security(f"another client took over our session {self._settings.client_id!r}")
        if not self._overloaded and not self._stopping.is_set():
            self._events.disconnected(self._refusal or f"connection lost: {reason}")

    def _on_subscribe(
        self, _client: Client, _data: Any, _mid: int, codes: Sequence[ReasonCode], _properties: Properties | None
    ) -> None:
        log.info("subscribed to %d topics", len(codes))
        for subscription, code in zip(self._settings.subscriptions, codes, strict=False):
            if code.is_failure or code.value < subscription.qos:
                told = f"subscription {subscription.topic!r} was not granted as asked: {code}"
                log.error("%s; check the broker's access list", told)
                self._events.security(told)

    def _on_publish(
        self, _client: Client, _data: Any, mid: int, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        if reason.is_failure:
            self._refused_mids.add(mid)

    def _on_message(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        """A message that is not plain: QoS 0, or with properties."""
        try:
            topic = message.topic.encode()
        except UnicodeDecodeError:
            topic = _NO_TOPIC
        self._receive(
            topic,
            bytes(message.payload),
            message.mid,
            message.retain,
            message.dup,
            message.qos,
            expiry=hasattr(message.properties, "MessageExpiryInterval"),
        )

    def _receive(
        self,
        topic: bytes,
        payload: bytes,
        mid: int,
        retain: bool,  # noqa: FBT001  # paho's thread calls this for each message: by position, for speed
        dup: bool,  # noqa: FBT001  # the same
        qos: int = 1,
        *,
        expiry: bool = False,
    ) -> None:
        """Wrap and enqueue, nothing else; whatever goes wrong must not end the thread (rule C5)."""
        self.received += 1
        self.received_bytes += len(payload)
        try:
            name, adapter, publisher = self._routes.get(topic) or self._route(topic)
            wall_ms = self._clock.wall_ms()
            raw = RawMessage(name, payload, wall_ms, publisher, adapter, qos, retain, dup, expiry, self.generation, mid)
        except BaseException:
            log.exception("a message could not be wrapped; it goes to quarantine")
            now_ms, generation = self._clock.wall_ms(), self.generation
            raw = RawMessage("", payload, now_ms, NO_PUBLISHER, UNREADABLE, qos=qos, generation=generation, mid=mid)
        try:
            taken = self._queue.put(raw)
        except BaseException:
            log.exception("a message could not be enqueued; the broker keeps it")
            taken = False
        if not taken:
            self._overloaded = True

    def _route(self, topic: bytes) -> tuple[str, str, str]:
        """Topic as text, adapter and publisher, kept for the next message on it. Raises UnicodeDecodeError."""
        name = topic.decode("utf-8")
        for subscription in self._settings.subscriptions:
            if topic_matches_sub(subscription.topic, name):
                route = (name, subscription.adapter, subscription.publisher_of(name) or NO_PUBLISHER)
                break
        else:
            route = (name, UNREADABLE, NO_PUBLISHER)
        if route[2] == NO_PUBLISHER:
            self._events.security(f"topic {name[:80]!a} names no publisher")
        if len(self._routes) >= _MAX_ROUTES:
            self._routes.clear()
        self._routes[topic] = route
        return route
