"""Readings of a small district around now, sent by hand, and the office that receives its leads."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from paho.mqtt.client import Client, MQTTMessage, MQTTMessageInfo, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion

from models.domain.clock import SystemClock
from tests.support.register_dirs import BUREAU, meter_id

QUARTER_MS: Final = 900_000
DAY_MS: Final = 86_400_000


def quarter_hours(days_back: float, days: float) -> range:
    """Stamps of the quarter hours of `days` days that begin `days_back` days ago, Unix ms."""
    start_ms = (SystemClock().wall_ms() - int(days_back * DAY_MS)) // QUARTER_MS * QUARTER_MS
    return range(start_ms, start_ms + int(days * DAY_MS), QUARTER_MS)


def wave(ts_ms: int, meters: int, *, p_kw: float = 120.0) -> bytes:
    """One canonical message: a reading of every meter at one stamp."""
    readings = [{"meter": meter_id(number), "ts": ts_ms, "p_kw": p_kw + number} for number in range(meters)]
    return json.dumps({"v": 1, "readings": readings}).encode()


@contextmanager
def connected(port: int, client_id: str = "test-bureau") -> Iterator[Client]:
    """An MQTT 5 client with its loop running."""
    client = Client(CallbackAPIVersion.VERSION2, client_id=client_id, protocol=MQTTv5)
    client.max_inflight_messages_set(1000)
    client.connect("127.0.0.1", port)
    client.loop_start()
    try:
        yield client
    finally:
        client.disconnect()
        client.loop_stop()


def publish(client: Client, payloads: Sequence[bytes], topic: str = f"grid/v1/{BUREAU}/readings") -> None:
    """Publish at QoS 1 and wait until the broker has taken everything."""
    sent: list[MQTTMessageInfo] = [client.publish(topic, payload, qos=1) for payload in payloads]
    for info in sent:
        info.wait_for_publish(20)
        assert info.is_published(), "the broker did not take a message"


@dataclass(frozen=True)
class Call:
    """One call of the webhook: header names in lower case, the exact bytes of the body."""

    headers: dict[str, str]
    body: bytes


class Office(http.server.ThreadingHTTPServer):
    """A webhook on loopback that answers 200 and keeps every call; a context manager."""

    daemon_threads = True

    def __init__(self) -> None:
        self.calls: list[Call] = []
        calls = self.calls

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                calls.append(Call({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_args: Any) -> None:
                """Quiet."""

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        """host:port."""
        return f"127.0.0.1:{self.server_address[1]}"

    def server_close(self) -> None:
        self.shutdown()
        super().server_close()


@contextmanager
def listening(port: int, topic: str) -> Iterator[list[bytes]]:
    """Payloads that arrive on a topic while the block runs."""
    got: list[bytes] = []
    subscribed = threading.Event()

    def on_message(_client: Client, _data: object, message: MQTTMessage) -> None:
        got.append(bytes(message.payload))

    client = Client(CallbackAPIVersion.VERSION2, client_id="test-office", protocol=MQTTv5)
    client.on_message = on_message
    client.on_subscribe = lambda *_: subscribed.set()
    client.connect("127.0.0.1", port)
    client.loop_start()
    try:
        client.subscribe(topic, qos=1)
        assert subscribed.wait(10), "the broker did not grant the subscription"
        yield got
    finally:
        client.disconnect()
        client.loop_stop()
