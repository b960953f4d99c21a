"""Leads on the commission's MQTT topic."""

from __future__ import annotations

import re
from collections.abc import Callable

from connectors.sink import Delivered, Delivery, Unavailable
from models.domain.readings import ID_PATTERN


class LeadTopic:
    """Sink that publishes on `grid/v1/iit/{district}/leads` and on nothing else (rule A6).

    `publish(topic, payload)` sends at QoS 1 and returns True once the broker has acknowledged it, False when it did
    not within the publisher's own time limit.
    """

    def __init__(self, publish: Callable[[str, bytes], bool], district: str, name: str = "mqtt") -> None:
        if re.fullmatch(ID_PATTERN, district) is None:
            raise ValueError(f"district {district!r} is not an id. Use letters, digits, '.', '_' and '-'.")
        self._publish = publish
        self._topic = f"grid/v1/iit/{district}/leads"
        self._name = name

    @property
    def name(self) -> str:
        return self._name

    def send(self, body: bytes, idempotency_key: str, subject: str, event_type: str) -> Delivery:  # noqa: ARG002 - the protocol's arguments; the body says all three
        """Publish the event. Raises Unavailable while the broker does not acknowledge."""
        if not self._publish(self._topic, body):
            raise Unavailable("the broker did not acknowledge")
        return Delivered()
