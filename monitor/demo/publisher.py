"""A simulated bureau: publishes a county's readings to a broker in order of arrival, QoS 1, and says how far it is."""

from __future__ import annotations

import datetime as dt
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from paho.mqtt.client import Client, MQTTMessageInfo, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from models.simulated.county import County
from models.simulated.publish import messages

INFLIGHT: Final = 100
ACK_TIMEOUT_S: Final = 30.0
CONNECT_TIMEOUT_S: Final = 10.0
REPORT_EVERY: Final = 50


@dataclass(frozen=True, slots=True)
class Progress:
    """Readings published so far, and the arrival time they have reached (Unix ms)."""

    published: int
    arrival_ms: int
    done: bool = False


class PublishError(RuntimeError):
    """The broker could not be reached, or stopped taking messages."""


def connect(host: str, port: int, client_id: str) -> Client:
    """A connected MQTT 3.1.1 client whose network loop runs. Raises PublishError."""
    client = Client(CallbackAPIVersion.VERSION2, client_id=client_id, protocol=MQTTv311)
    client.max_inflight_messages_set(INFLIGHT)
    until_s = time.monotonic() + CONNECT_TIMEOUT_S
    while True:
        try:
            client.connect(host, port, keepalive=60)
            break
        except OSError as error:
            if time.monotonic() > until_s:
                raise PublishError(f"no broker answers at {host}:{port}: {error}") from error
            time.sleep(0.05)
    client.loop_start()
    return client


def publish_county(
    county: County,
    client: Client,
    on_progress: Callable[[Progress], None],
    *,
    day_s: float = 0.0,
    on_time: Callable[[int], None] | None = None,
) -> int:
    """Publish everything; returns the readings published.

    `day_s` is how many real seconds a simulated day takes, 0 for full speed; `on_time` hears of each message's arrival
    time (Unix ms) before it goes out. Raises PublishError when the broker does not acknowledge for half a minute.
    """
    published = 0
    waiting: deque[MQTTMessageInfo] = deque()
    pace = _Pace(day_s)
    days = (county.spec.start + dt.timedelta(days=k) for k in range(county.spec.days))
    count = 0
    arrival_ms = 0
    for day in days:
        for message in messages(county.day(day), county.spec.seed):
            arrival_ms = message.arrival_ms
            pace.wait(arrival_ms)
            if on_time is not None:
                on_time(arrival_ms)
            if len(waiting) >= INFLIGHT:
                _await_ack(waiting.popleft())
            info = client.publish(f"grid/v1/{message.publisher}/readings", message.payload, qos=1)
            if info.rc not in (MQTTErrorCode.MQTT_ERR_SUCCESS, MQTTErrorCode.MQTT_ERR_NO_CONN):
                raise PublishError(f"publishing failed: {info.rc}")
            waiting.append(info)
            published += message.n_readings
            count += 1
            if count % REPORT_EVERY == 0:
                on_progress(Progress(published, arrival_ms))
    while waiting:
        _await_ack(waiting.popleft())
    on_progress(Progress(published, arrival_ms, done=True))
    return published


def _await_ack(info: MQTTMessageInfo) -> None:
    info.wait_for_publish(ACK_TIMEOUT_S)
    if not info.is_published():
        raise PublishError(f"the broker acknowledged nothing for {ACK_TIMEOUT_S:.0f} s")


class _Pace:
    """Holds back until the real time that corresponds to a simulated one."""

    def __init__(self, day_s: float) -> None:
        self._real_s_per_ms = day_s / 86_400_000.0
        self._began: tuple[int, float] | None = None

    def wait(self, arrival_ms: int) -> None:
        if self._real_s_per_ms == 0.0:
            return
        if self._began is None:
            self._began = (arrival_ms, time.monotonic())
        first_ms, began_s = self._began
        ahead_s = began_s + (arrival_ms - first_ms) * self._real_s_per_ms - time.monotonic()
        if ahead_s > 0:
            time.sleep(ahead_s)
