"""What the broker connection reports, turned into state, metrics and log lines (`MqttEvents` of connectors.mqtt)."""

from __future__ import annotations

import logging

from models.domain.clock import Clock
from monitor.desk.gaps import GapCause
from monitor.logs import safe_text
from monitor.metrics import LinkEvent, Metrics, SecurityEvent
from monitor.occurrences import Occurrences
from monitor.supervise import State, Supervisor

log = logging.getLogger(__name__)


class LinkWatch:
    """Called from the network thread: counts, and moves DEGRADED_BROKER, whose changes are the log's lines."""

    def __init__(self, metrics: Metrics, supervisor: Supervisor, clock: Clock, occurrences: Occurrences) -> None:
        self._metrics = metrics
        self._supervisor = supervisor
        self._clock = clock
        self._occurrences = occurrences
        self._apart_since_ms: int | None = None
        self.expects_session = True

    def connected(self, *, session_present: bool) -> None:
        """The broker accepted us; a session that was lost is told next."""
        if session_present:
            self._apart_since_ms = None
        self._metrics.mqtt_connected.set(1)
        self._metrics.mqtt_events.labels(event=LinkEvent.CONNECTED).inc()
        log.info("connected to the broker, %s", "session resumed" if session_present else "new session")
        self._supervisor.recover(State.DEGRADED_BROKER)

    def disconnected(self, reason: str) -> None:
        """The connection was lost, refused, or closed by us."""
        if self._apart_since_ms is None:
            self._apart_since_ms = self._clock.wall_ms()
        self._metrics.mqtt_connected.set(0)
        self._metrics.mqtt_events.labels(event=LinkEvent.DISCONNECTED).inc()
        if not self._supervisor.stopping.is_set():
            self._supervisor.degrade(State.DEGRADED_BROKER, safe_text(reason))

    def session_lost(self) -> None:
        """What came meanwhile is lost: a gap (rule D11). On the very first start there was no session to keep."""
        now_ms = self._clock.wall_ms()
        since_ms = now_ms if self._apart_since_ms is None else self._apart_since_ms
        self._apart_since_ms = None
        if not self.expects_session:
            self.expects_session = True
            return
        self._metrics.gaps.labels(cause=GapCause.SESSION_LOST).inc()
        self._occurrences.gap(GapCause.SESSION_LOST, since_ms, now_ms)
        log.warning("the broker kept no session of ours: messages of the time between may be lost")

    def was_down(self, since_ms: int) -> None:
        """Nothing was taken in since (wall clock): a gap, though what the broker kept still comes (rule D11)."""
        self._apart_since_ms = since_ms
        self._metrics.gaps.labels(cause=GapCause.DOWNTIME).inc()
        self._occurrences.gap(GapCause.DOWNTIME, since_ms, self._clock.wall_ms())

    def security(self, event: str) -> None:
        """Something a security officer should see."""
        self._metrics.security_events.labels(event=SecurityEvent.LINK).inc()
        log.warning("security event: %s", safe_text(event))
