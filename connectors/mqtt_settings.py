"""Settings of one broker connection, checked when they are made, and its TLS context (rule A1)."""

from __future__ import annotations

import re
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from paho.mqtt.client import topic_matches_sub

from models.domain.readings import ID_PATTERN

MIN_KEEPALIVE_S: Final = 5
_ID: Final = re.compile(ID_PATTERN.removesuffix("$"), re.ASCII)


@dataclass(frozen=True, slots=True)
class Subscription:
    """A topic filter, the payload format of what comes there, and how its publisher is known.

    The publisher is level `publisher_level` of the topic (0 is the first; `grid/v1/{publisher}/readings` has it at
    2), or `publisher` whatever the topic, for foreign topics that do not name one.
    """

    topic: str
    adapter: str
    qos: int = 1
    publisher_level: int = 2
    publisher: str = ""

    def __post_init__(self) -> None:
        """Raises ValueError: a filter MQTT does not allow, a QoS other than 0 or 1, a publisher that is no id."""
        levels = self.topic.split("/")
        if not self.topic or "#" in "/".join(levels[:-1]) or any(len(x) > 1 and set(x) & {"#", "+"} for x in levels):
            raise ValueError(f"subscription {self.topic!r} is not an MQTT topic filter")
        if self.qos not in (0, 1):
            raise ValueError(f"subscription {self.topic!r}: qos {self.qos}; it takes 0 or 1")
        if self.publisher_level < 0:
            raise ValueError(f"subscription {self.topic!r}: publisher_level {self.publisher_level} is below 0")
        if self.publisher and _ID.fullmatch(self.publisher) is None:
            raise ValueError(f"subscription {self.topic!r}: publisher {self.publisher!r} is not an id")

    def publisher_of(self, topic: str) -> str:
        """The publisher of a message on `topic`; "" when the topic does not name a proper one."""
        if self.publisher:
            return self.publisher
        levels = topic.split("/", self.publisher_level + 1)
        name = levels[self.publisher_level] if len(levels) > self.publisher_level else ""
        return name if _ID.fullmatch(name) else ""


def route_of(subscriptions: Sequence[Subscription], topic: str) -> Subscription | None:
    """The first subscription a topic belongs to; None where it belongs to none."""
    return next((s for s in subscriptions if topic_matches_sub(s.topic, topic)), None)


@dataclass(frozen=True, slots=True)
class MqttSettings:
    """One broker connection.

    `version` 5 or 4 (which is MQTT 3.1.1). `tls`: `off` is plain text, `system` trusts the machine's authorities,
    `ca_file` the ones in that file only; the broker's name is always verified. `receive_maximum` (MQTT 5) is how many
    messages may be unacknowledged, at least the commit group. A packet of more than `maximum_packet_bytes` is never
    sent to us by an MQTT 5 broker.
    """

    host: str
    port: int = 8883
    version: Literal[4, 5] = 5
    client_id: str = "gridwarden"
    username: str = ""
    password: str = field(default="", repr=False)
    tls: Literal["off", "system", "ca_file"] = "system"
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    keepalive_s: int = 60
    receive_maximum: int = 2000
    maximum_packet_bytes: int = 16 << 20
    connect_timeout_s: float = 5.0
    subscriptions: tuple[Subscription, ...] = ()

    def __post_init__(self) -> None:
        """Raises ValueError naming the setting and the remedy."""
        if not self.host or not 0 < self.port < 65536:
            raise ValueError(f"broker {self.host!r}:{self.port} is not an address")
        if self.version not in (4, 5):
            raise ValueError(f"mqtt version {self.version}; it takes 5, or 4 for MQTT 3.1.1")
        if not self.client_id:
            raise ValueError("client_id is empty; the broker keeps the session under this name, so it must be fixed")
        if not MIN_KEEPALIVE_S <= self.keepalive_s <= 65535:
            raise ValueError(f"keepalive_s {self.keepalive_s}; it takes {MIN_KEEPALIVE_S} to 65535")
        if not 1 <= self.receive_maximum <= 65535:
            raise ValueError(f"receive_maximum {self.receive_maximum}; it takes 1 to 65535")
        if (self.tls == "ca_file") != (self.ca_file is not None):
            raise ValueError('tls = "ca_file" and ca_file go together')
        if self.tls == "off" and (self.cert_file or self.key_file):
            raise ValueError('a client certificate is useless with tls = "off"')
        if self.key_file is not None and self.cert_file is None:
            raise ValueError("key_file without cert_file")


def tls_context(settings: MqttSettings) -> ssl.SSLContext | None:
    """The verifying TLS context of a connection, None for plain text. Raises OSError for an unreadable file."""
    if settings.tls == "off":
        return None
    context = ssl.create_default_context(cafile=str(settings.ca_file) if settings.ca_file else None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.cert_file is not None:
        context.load_cert_chain(settings.cert_file, settings.key_file)
    return context
