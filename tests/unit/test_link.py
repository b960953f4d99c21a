"""What the broker connection reports becomes state, metrics and few log lines."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry

from connectors.mqtt import MqttEvents
from models.domain.clock import ManualClock
from monitor.desk.audit_log import entries_of
from monitor.desk.database import open_desk
from monitor.desk.gaps import SUBJECT, GapCause, gaps_touching, note_gap
from monitor.link import LinkWatch
from monitor.metrics import Metrics
from monitor.occurrences import Occurrences
from monitor.supervise import State, Supervisor
from monitor.wiring import Core

NOW_MS = 1_772_000_000_000


class Link:
    """A watch with everything it reports to."""

    def __init__(self) -> None:
        self.metrics = Metrics(CollectorRegistry())
        self.supervisor = Supervisor(ManualClock())
        for state in (State.RECOVER, State.CATCH_UP, State.RUN):
            self.supervisor.advance(state)
        self.clock = ManualClock(wall_ms=NOW_MS)
        self.occurrences = Occurrences(self.clock)
        self.watch: MqttEvents = LinkWatch(self.metrics, self.supervisor, self.clock, self.occurrences)

    def written(self, state_dir: Path) -> list[dict[str, Any]]:
        """The gaps that the core thread wrote into the audit log."""
        engine = open_desk(state_dir)
        try:
            self.occurrences.write(cast("Core", SimpleNamespace(engine=engine)))
            with engine.begin() as connection:
                return [entry["details"] for entry in entries_of(connection, SUBJECT)]
        finally:
            engine.dispose()

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


def test_a_lost_session_is_a_gap_from_the_disconnect_to_the_new_session(tmp_path: Path) -> None:
    link = Link()
    link.watch.disconnected("broker gone")
    link.clock.set_wall_ms(NOW_MS + 5_000)
    link.watch.disconnected("still gone")
    link.clock.set_wall_ms(NOW_MS + 9_000)
    link.watch.connected(session_present=False)
    link.watch.session_lost()
    assert link.value("gaps_total", cause="session_lost") == 1
    assert link.written(tmp_path) == [{"cause": "session_lost", "start_ms": NOW_MS, "end_ms": NOW_MS + 9_000}]


def test_a_session_that_was_kept_leaves_no_gap(tmp_path: Path) -> None:
    link = Link()
    link.watch.disconnected("broker gone")
    link.watch.connected(session_present=True)
    link.clock.set_wall_ms(NOW_MS + 60_000)
    link.watch.connected(session_present=False)
    link.watch.session_lost()
    (gap,) = link.written(tmp_path)
    assert gap["start_ms"] == gap["end_ms"] == NOW_MS + 60_000


def test_a_downtime_reaches_until_the_session_that_was_lost_with_it(tmp_path: Path) -> None:
    link = Link()
    link.watch.was_down(NOW_MS - 3_600_000)
    link.clock.set_wall_ms(NOW_MS + 1_000)
    link.watch.connected(session_present=False)
    link.watch.session_lost()
    assert [(gap["cause"], gap["start_ms"]) for gap in link.written(tmp_path)] == [
        ("downtime", NOW_MS - 3_600_000),
        ("session_lost", NOW_MS - 3_600_000),
    ]


def test_gaps_are_shown_with_the_leads_whose_nights_they_touch(tmp_path: Path) -> None:
    engine = open_desk(tmp_path)
    with engine.begin() as connection:
        for start_h, end_h in ((-200, -190), (-20, -19), (-1, 30), (40, 50)):
            start_ms, end_ms = (NOW_MS + hours * 3_600_000 for hours in (start_h, end_h))
            note_gap(connection, at_ms=NOW_MS, cause=GapCause.DOWNTIME, start_ms=start_ms, end_ms=end_ms)
        lead = {"first_night": "2026-02-20", "last_night": "2026-02-21", "end_ms": NOW_MS}
        assert len(gaps_touching(connection, lead)) == 2
        assert len(gaps_touching(connection, {**lead, "first_night": "2026-02-13"})) == 3
    engine.dispose()


def test_security_events_are_counted_and_cannot_forge_a_line(caplog: pytest.LogCaptureFixture) -> None:
    link = Link()
    link.watch.security("topic 'x\nforged' names no publisher" + "y" * 5000)
    assert link.value("security_events_total", event="link") == 1
    (record,) = caplog.records
    assert "\n" not in record.getMessage()
    assert len(record.getMessage()) < 300
