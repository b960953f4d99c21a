"""What the broker connection reports, turned into state, metrics and log lines (`MqttEvents` of connectors.mqtt)."""

from __future__ import annotations

import logging

from monitor.logs import safe_text
from monitor.metrics import GapCause, LinkEvent, Metrics, SecurityEvent
from monitor.supervise import State, Supervisor

log = logging.getLogger(__name__)


class LinkWatch:
    """Called from the network thread: counts, and moves DEGRADED_BROKER, whose changes are the log's lines."""

    def __init__(self, metrics: Metrics, supervisor: Supervisor) -> None:
        self._metrics = metrics
        self._supervisor = supervisor
        self.expects_session = True

    def connected(self, *, session_present: bool) -> None:
        """The broker accepted us."""
        self._metrics.mqtt_connected.set(1)
        self._metrics.mqtt_events.labels(event=LinkEvent.CONNECTED).inc()
        log.info("connected to the broker, %s", "session resumed" if session_present else "new session")
        self._supervisor.recover(State.DEGRADED_BROKER)

    def disconnected(self, reason: str) -> None:
        """The connection was lost, refused, or closed by us."""
        self._metrics.mqtt_connected.set(0)
        self._metrics.mqtt_events.labels(event=LinkEvent.DISCONNECTED).inc()
        if not self._supervisor.stopping.is_set():
            self._supervisor.degrade(State.DEGRADED_BROKER, safe_text(reason))

    def session_lost(self) -> None:
        """What came meanwhile is lost: a gap (rule D11). On the very first start there was no session to keep."""
        if not self.expects_session:
            self.expects_session = True
            return
        self._metrics.gaps.labels(cause=GapCause.SESSION_LOST).inc()
        log.warning("the broker kept no session of ours: messages of the time between may be lost")

    def security(self, event: str) -> None:
        """Something a security officer should see."""
        self._metrics.security_events.labels(event=SecurityEvent.LINK).inc()
        log.warning("security event: %s", safe_text(event))
