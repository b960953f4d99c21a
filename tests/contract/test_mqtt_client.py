"""The quick client delivers what paho's own client delivers, and its short way is really taken."""

from __future__ import annotations

import random
import socket
import struct
from collections.abc import Iterable

import pytest
from paho.mqtt.client import Client, MQTTMessage, MQTTv5, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from connectors.mqtt_client import QuickClient

Told = tuple[bytes, bytes, int, int, bool, bool]
VERSIONS = pytest.mark.parametrize("protocol", [MQTTv5, MQTTv311], ids=["mqtt5", "mqtt311"])


def publish_packet(
    topic: bytes, payload: bytes, mid: int, *, qos: int, retain: bool, dup: bool, properties: bytes | None
) -> bytes:
    """A PUBLISH packet as a broker sends it; `properties` None for MQTT 3.1.1."""
    body = struct.pack(">H", len(topic)) + topic + (struct.pack(">H", mid) if qos else b"")
    body += (properties or b"") + payload
    length, left = b"", len(body)
    while True:
        left, digit = left >> 7, left & 127
        length += bytes([digit | (128 if left else 0)])
        if not left:
            return bytes([0x30 | dup << 3 | qos << 1 | retain]) + length + body


def packets(protocol: int, count: int = 300) -> list[bytes]:
    rng = random.Random(7)
    expiry = Properties(PacketTypes.PUBLISH)
    expiry.MessageExpiryInterval = 60
    made = []
    for number in range(count):
        properties = rng.choice((b"\0", b"\0", expiry.pack())) if protocol == MQTTv5 else None
        made.append(
            publish_packet(
                rng.choice((b"grid/v1/bureau/readings", "县/电表".encode(), b"t")),
                rng.randbytes(rng.choice((0, 1, 50, 127, 128, 5000, 100_000))),
                number + 1,
                qos=rng.choice((0, 1, 1, 1)),
                retain=rng.random() < 0.1,
                dup=rng.random() < 0.1,
                properties=properties,
            )
        )
    return made


def told_by(message: MQTTMessage) -> Told:
    return message.topic.encode(), bytes(message.payload), message.mid, message.qos, message.retain, message.dup


def feed(client: Client, stream: Iterable[bytes]) -> None:
    """Bring the client bytes as a socket would, in pieces that cut packets anywhere, until the end."""
    ours, theirs = socket.socketpair()
    with theirs:
        ours.settimeout(0)
        theirs.settimeout(0)
        client._sock = ours
        client._state = client._state.MQTT_CS_CONNECTED
        for piece in stream:
            rest = piece
            while rest:
                try:
                    rest = rest[theirs.send(rest) :]
                except BlockingIOError:
                    assert client.loop_read() == MQTTErrorCode.MQTT_ERR_SUCCESS
            while isinstance(client, QuickClient) and client.pending():
                assert client.loop_read() == MQTTErrorCode.MQTT_ERR_SUCCESS
    while client.loop_read() == MQTTErrorCode.MQTT_ERR_SUCCESS:
        pass


def options(protocol: int) -> dict[str, object]:
    clean = None if protocol == MQTTv5 else False
    return {"client_id": "x", "clean_session": clean, "protocol": protocol, "manual_ack": True}


@VERSIONS
def test_both_clients_deliver_the_same_messages_in_the_same_order(protocol: int) -> None:
    stream = b"".join(packets(protocol))
    rng = random.Random(3)
    pieces = []
    while stream:
        size = rng.choice((1, 3, 200, 70_000))
        pieces.append(stream[:size])
        stream = stream[size:]
    expected: list[Told] = []
    plain = Client(CallbackAPIVersion.VERSION2, **options(protocol))  # type: ignore[arg-type]  # one dict for both
    plain.on_message = lambda _client, _data, message: expected.append(told_by(message))
    feed(plain, pieces)
    got: list[Told] = []
    short: list[int] = []

    def deliver(topic: bytes, payload: bytes, mid: int, retain: bool, dup: bool) -> None:
        short.append(mid)
        got.append((topic, payload, mid, 1, retain, dup))

    quick = QuickClient(deliver, CallbackAPIVersion.VERSION2, **options(protocol))
    quick.on_message = lambda _client, _data, message: got.append(told_by(message))
    feed(quick, pieces)
    assert len(expected) == 300
    assert got == expected
    assert len(short) > 100


@VERSIONS
@pytest.mark.parametrize(
    "packet", [b"\x32\x00", b"\x32\x02\x00\x09", b"\x32\x04\x00\x00\x00\x01", b"\x32\x05\xff\xff\x00\x01x"]
)
def test_a_malformed_packet_ends_the_connection_and_delivers_nothing(protocol: int, packet: bytes) -> None:
    got: list[object] = []
    quick = QuickClient(lambda *told: got.append(told), CallbackAPIVersion.VERSION2, **options(protocol))
    ours, theirs = socket.socketpair()
    ours.settimeout(0)
    quick._sock = ours
    with theirs:
        theirs.send(packet)
    for _ in range(5):
        quick.loop_read()
    assert quick.socket() is None
    assert got == []
