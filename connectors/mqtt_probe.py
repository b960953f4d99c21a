"""A short, harmless look at a broker: what it says of itself, and what an account may do.

It never cleans a session, takes nothing off a queue and never acknowledges. A broker that names clients by their user
(`use_username_as_clientid`) puts us onto the session of the account: that shows as a session we cannot have, which is
then left as it was found. Do not probe with the account of a daemon that runs: its connection would be taken over.
"""

from __future__ import annotations

import contextlib
import secrets
import socket
import ssl
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from paho.mqtt.client import Client, ConnectFlags, MQTTMessage, MQTTv5, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from connectors.mqtt_client import SESSION_NEVER_EXPIRES
from connectors.mqtt_settings import MqttSettings, tls_context

WAIT_S: Final = 5.0
DROPPED_TOPIC: Final = "$SYS/broker/publish/messages/dropped"
VERSION_TOPIC: Final = "$SYS/broker/version"
NO_SESSION: Final = 0


@dataclass(frozen=True, slots=True)
class BrokerFacts:
    """What a broker told. `refusal` is empty where it let us in; None stands for what it did not say.

    `session_present` with a client id nobody had: the broker names clients by their account. `may_write` tells per
    topic whether a publication was accepted, `sys` what it says under `$SYS`. `mute`: a connection was made, and no
    answer of MQTT came.
    """

    refusal: str = ""
    mute: bool = False
    session_present: bool = False
    receive_maximum: int | None = None
    maximum_packet_size: int | None = None
    retain_available: bool | None = None
    session_expiry_s: int | None = None
    may_write: dict[str, bool] = field(default_factory=dict)
    sys: dict[str, str] = field(default_factory=dict)


class _Looking:
    """Collects what comes back while the client's own thread runs."""

    def __init__(self) -> None:
        self.answered = threading.Event()
        self.facts = BrokerFacts(refusal="it did not answer", mute=True)
        self.published: dict[int, bool] = {}
        self.granted = threading.Event()
        self.sys: dict[str, str] = {}

    def on_connect(
        self, _client: Client, _data: Any, flags: ConnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        said = properties.json() if properties is not None else {}  # type: ignore[no-untyped-call]  # paho's own
        self.facts = BrokerFacts(
            refusal=str(reason) if reason.is_failure else "",
            session_present=flags.session_present,
            receive_maximum=said.get("ReceiveMaximum"),
            maximum_packet_size=said.get("MaximumPacketSize"),
            retain_available=bool(said["RetainAvailable"]) if "RetainAvailable" in said else None,
            session_expiry_s=said.get("SessionExpiryInterval"),
        )
        self.answered.set()

    def on_publish(
        self, _client: Client, _data: Any, mid: int, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        self.published[mid] = not reason.is_failure

    def on_subscribe(self, *_args: Any) -> None:
        self.granted.set()

    def on_message(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        if message.topic.startswith("$SYS/"):
            self.sys[message.topic] = message.payload[:200].decode("utf-8", "replace")


def look_at(
    settings: MqttSettings, *, write_to: Sequence[str] = (), sys_topics: Sequence[str] = (DROPPED_TOPIC, VERSION_TOPIC)
) -> BrokerFacts:
    """Connect under a client id of our own, look, and leave. Never raises: what failed is the `refusal`.

    An empty message is published on each topic of `write_to`, which must be topics nobody subscribes to.
    """
    v5 = settings.version == MQTTv5
    looking = _Looking()
    client_id = f"gridwarden-doctor-{secrets.token_hex(4)}"
    client = Client(
        CallbackAPIVersion.VERSION2,
        client_id=client_id,
        clean_session=None if v5 else False,
        protocol=MQTTv5 if v5 else MQTTv311,
        reconnect_on_failure=False,
        manual_ack=True,
    )
    client.on_connect = looking.on_connect
    client.on_publish = looking.on_publish
    client.on_subscribe = looking.on_subscribe
    client.on_message = looking.on_message
    client.connect_timeout = WAIT_S
    if settings.username:
        client.username_pw_set(settings.username, settings.password or None)
    try:
        context = tls_context(settings)
        if context is not None:
            client.tls_set_context(context)
        connect = Properties(PacketTypes.CONNECT) if v5 else None  # type: ignore[no-untyped-call]  # paho's own
        if connect is not None:
            connect.SessionExpiryInterval = SESSION_NEVER_EXPIRES
            connect.ReceiveMaximum = 1
        if connect is not None:
            client.connect(settings.host, settings.port, 60, clean_start=False, properties=connect)
        else:
            client.connect(settings.host, settings.port, 60)
    except (OSError, ssl.SSLError, ValueError) as error:
        return BrokerFacts(refusal=str(error) or type(error).__name__)
    client.loop_start()
    try:
        if not looking.answered.wait(WAIT_S) or looking.facts.refusal:
            return looking.facts
        may_write = _try_writing(client, looking, write_to) if v5 else {}
        _read_sys(client, looking, sys_topics, v5=v5)
        return replace(looking.facts, may_write=may_write, sys=dict(looking.sys))
    finally:
        _leave(client, looking.facts, v5=v5)
        if not v5 and not looking.facts.refusal and not looking.facts.session_present:
            _forget(client_id, settings)


def _try_writing(client: Client, looking: _Looking, topics: Sequence[str]) -> dict[str, bool]:
    sent = {topic: client.publish(topic, b"", qos=1) for topic in topics}
    answered = {}
    for topic, info in sent.items():
        try:
            info.wait_for_publish(WAIT_S)
        except (RuntimeError, ValueError):
            continue
        if info.mid in looking.published:
            answered[topic] = looking.published[info.mid]
    return answered


def _read_sys(client: Client, looking: _Looking, topics: Sequence[str], *, v5: bool) -> None:
    if not topics:
        return
    if v5:
        client.subscribe([(topic, SubscribeOptions(qos=0)) for topic in topics])
    else:
        client.subscribe([(topic, 0) for topic in topics])
    looking.granted.wait(WAIT_S)
    done = threading.Event()
    for _ in range(10):
        if len(looking.sys) == len(topics):
            break
        done.wait(0.1)
    client.unsubscribe(list(topics))


def _leave(client: Client, facts: BrokerFacts, *, v5: bool) -> None:
    """Disconnect; a session that we made goes with us, one that was there stays as it is."""
    if v5 and not facts.session_present and not facts.refusal:
        goodbye = Properties(PacketTypes.DISCONNECT)  # type: ignore[no-untyped-call]  # paho's own
        goodbye.SessionExpiryInterval = NO_SESSION
        client.disconnect(properties=goodbye)
    else:
        client.disconnect()
    client.loop_stop()


def _forget(client_id: str, settings: MqttSettings) -> None:
    """MQTT 3.1.1 ends the session we made only by a clean connection under the same id."""
    again = Client(CallbackAPIVersion.VERSION2, client_id=client_id, protocol=MQTTv311)
    answered = threading.Event()
    again.on_connect = lambda *_: answered.set()
    if settings.username:
        again.username_pw_set(settings.username, settings.password or None)
    with contextlib.suppress(OSError, ValueError):
        context = tls_context(settings)
        if context is not None:
            again.tls_set_context(context)
        again.connect(settings.host, settings.port, 60)
        again.loop_start()
        answered.wait(WAIT_S)
        again.disconnect()
        again.loop_stop()


def port_open(host: str, port: int, *, timeout_s: float = 1.0) -> bool:
    """Whether something listens on a TCP port."""
    try:
        socket.create_connection((host, port), timeout=timeout_s).close()
    except OSError:
        return False
    return True
