"""What the broker connection reports becomes state, metrics and few log lines."""

from __future__ import annotations

import logging

import pytest
from prometheus_client import CollectorRegistry

from connectors.mqtt import MqttEvents
from models.domain.clock import ManualClock
from monitor.link import LinkWatch
from monitor.metrics import Metrics
from monitor.supervise import State, Supervisor


class Link:
    """A watch with everything it reports to."""

    def __init__(self) -> None:
        self.metrics = Metrics(CollectorRegistry())
        self.supervisor = Supervisor(ManualClock())
        for state in (State.RECOVER, State.CATCH_UP, State.RUN):
            self.supervisor.advance(state)
        self.watch: MqttEvents = LinkWatch(self.metrics, self.supervisor)

    def value(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"gridwarden_{name}", labels)


def test_a_lost_connection_degrades_until_it_is_back(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    link = Link()
    for _ in range(50):
        link.watch.disconnected("connection refused")
    assert link.supervisor.state is State.DEGRADED_BROKER
    assert link.value("mqtt_connected") == 0
    assert link.value("mqtt_events_total", event="disconnected") == 50
    link.watch.connected(session_present=True)
    assert link.supervisor.state is State.RUN
    assert link.value("mqtt_connected") == 1
    assert len(caplog.records) <= 5


def test_a_disconnect_of_our_own_while_draining_is_no_failure() -> None:
    link = Link()
    link.supervisor.request_stop()
    link.watch.disconnected("by us")
    assert link.supervisor.state is State.RUN


def test_a_lost_session_is_a_gap() -> None:
    link = Link()
    link.watch.session_lost()
    assert link.value("gaps_total", cause="session_lost") == 1


def test_security_events_are_counted_and_cannot_forge_a_line(caplog: pytest.LogCaptureFixture) -> None:
    link = Link()
    link.watch.security("topic 'x\nforged' names no publisher" + "y" * 5000)
    assert link.value("security_events_total", event="link") == 1
    (record,) = caplog.records
    assert "\n" not in record.getMessage()
    assert len(record.getMessage()) < 300
