"""Every Prometheus metric of the daemon: base units, labels from closed sets, series present from the start (L2)."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeVar

from prometheus_client import CollectorRegistry, Counter, Enum, Gauge, Histogram, Info, ProcessCollector

from connectors.write_fault import WriteFault
from detectors.table import DETECTORS
from models.domain.leads import LeadKind
from models.domain.readings import RejectReason
from monitor.audit.scan import ScannedStore
from monitor.desk.events import ChangeKind
from monitor.desk.gaps import GapCause
from monitor.supervise import State, ThreadName

NAMESPACE: Final = "gridwarden"
HISTORY_FAULT: Final = "history"
"""Kind of a failure to feed InfluxDB that lies on our side: the history could not be read."""


class Outcome(StrEnum):
    """What became of a reading."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    QUARANTINED = "quarantined"


class MessageKind(StrEnum):
    """Payload formats, as subscriptions name them."""

    CANONICAL = "canonical"
    ARROW = "arrow"
    GENERIC = "generic"
    OUTPUT = "output"
    FURNACE = "furnace"
    KEPT = "kept"
    STATUS = "status"


class SinkName(StrEnum):
    """Where leads go."""

    WEBHOOK = "webhook"
    MQTT = "mqtt"
    FILE = "file"
    APPRISE = "apprise"
    MAIL = "mail"


class SendResult(StrEnum):
    """How an attempt to send ended; `refused` needs a person."""

    SENT = "sent"
    RETRY = "retry"
    REFUSED = "refused"


class SecurityEvent(StrEnum):
    """Events an operator should know of; `link`: on the broker connection, the log says what."""

    AUTHZ = "authz"
    CONFLICT = "conflict"
    RETAINED = "retained"
    SIGNATURE = "signature"
    LINK = "link"
    CLOCK_STEP = "clock_step"


class LinkEvent(StrEnum):
    """What happened on the connection to the broker."""

    CONNECTED = "connected"
    DISCONNECTED = "disconnected"


_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_LAG_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0)


class Metrics:
    """The daemon's metrics on one registry. Names are public: changing one is a `CHANGE` line in the changelog."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        ProcessCollector(registry=registry)
        self._kit = _Kit(registry)
        kit = self._kit
        self.readings = kit.counter("readings", "Readings, by what became of them.", outcome=Outcome)
        self.rejected = kit.counter(
            "rejected", "Refusals of messages, readings or fields, by reason.", reason=RejectReason
        )
        self.messages = kit.counter("messages", "Messages received, by payload format.", kind=MessageKind)
        self.commits = kit.counter("journal_commits", "Commit groups written to the journal.")
        self.commit_seconds = kit.histogram("journal_commit_seconds", "Time one commit group took.", _SECONDS)
        self.ack_lag_seconds = kit.histogram(
            "ack_lag_seconds",
            "Time from receipt to acknowledgement of the first message of each commit group.",
            _LAG_SECONDS,
        )
        self.queue_messages = kit.gauge("intake_queue_messages", "Messages waiting for the core thread.")
        self.queue_bytes = kit.gauge("intake_queue_bytes", "Payload bytes waiting for the core thread.")
        self.watermark_lag_seconds = kit.gauge(
            "watermark_lag_seconds",
            "How far the slowest feed's watermark is behind the wall clock; feeds that ever reported.",
        )
        self.unknown_meters = kit.gauge("unknown_meters", "Meters seen that the register does not know.")
        self.nights_judged = kit.counter("nights_judged", "Nights of meters judged, re-judged ones included.")
        self.evaluation_seconds = kit.histogram(
            "evaluation_seconds", "Time one detector took for one slice of meters.", _SECONDS, detector=DETECTORS
        )
        self.detector_failures = kit.counter(
            "detector_failures", "Slices of meters a detector raised on; they are undetermined.", detector=DETECTORS
        )
        self.damage = kit.counter(
            "stored_damage", "Stored files that the daily scan found to be not what was written.", store=ScannedStore
        )
        self.leads = kit.counter("leads", "Changes to leads.", kind=LeadKind, change=ChangeKind)
        self.outbox_pending = kit.gauge(
            "outbox_pending", "Notices neither sent nor abandoned by a person.", sink=SinkName
        )
        self.outbox_age_seconds = kit.gauge("outbox_oldest_age_seconds", "Age of the oldest of them.", sink=SinkName)
        self.outbox_attempts = kit.counter("outbox_attempts", "Attempts to send.", sink=SinkName, result=SendResult)
        self.influx_points = kit.counter("influx_points", "Points InfluxDB took; repeats count again.")
        self.influx_refused = kit.counter("influx_refused_points", "Points InfluxDB will never take, left out.")
        self.influx_failures = kit.counter(
            "influx_failures", "Attempts to feed InfluxDB that failed.", kind=[*WriteFault, HISTORY_FAULT]
        )
        self.influx_lag_records = kit.gauge("influx_lag_records", "Journal records InfluxDB does not have all of.")
        self.influx_lag_seconds = kit.gauge(
            "influx_lag_seconds", "Time since InfluxDB last had everything; 0 while it has."
        )
        self.security_events = kit.counter("security_events", "Security events.", event=SecurityEvent)
        self.gaps = kit.counter("gaps", "Times at which readings may have been missed.", cause=GapCause)
        self.mqtt_connected = kit.gauge("mqtt_connected", "1 while the broker connection is up.")
        self.mqtt_events = kit.counter("mqtt_events", "Events on the broker connection.", event=LinkEvent)
        self.thread_age_seconds = kit.gauge(
            "thread_progress_age_seconds", "Time since a thread's last progress.", thread=ThreadName
        )
        self.state = kit.states("state", "State of the daemon.", State)
        self.build = kit.info("build", "Version of the running software.")

    def watch_threads(self, age_s: Callable[[ThreadName], float]) -> None:
        """Read the threads' ages when the metrics are scraped."""
        for name in ThreadName:
            self.thread_age_seconds.labels(thread=name.value).set_function(functools.partial(age_s, name))

    def set_state(self, state: State) -> None:
        """Show the daemon's state; fits `Supervisor(on_state=…)`."""
        self.state.state(state.value)

    def reference(self) -> tuple[MetricRow, ...]:
        """Every metric as documented."""
        return tuple(self._kit.rows)


@dataclass(frozen=True, slots=True)
class MetricRow:
    """One line of the metrics reference; `labels` maps each label to its possible values."""

    name: str
    type: str
    meaning: str
    labels: tuple[tuple[str, tuple[str, ...]], ...]


M = TypeVar("M", Counter, Gauge, Histogram)


class _Kit:
    """Makes metrics whose label values all exist from the start, and remembers them for the reference."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self.rows: list[MetricRow] = []

    def counter(self, name: str, meaning: str, **labels: Iterable[str]) -> Counter:
        sets = self._note(f"{name}_total", "counter", meaning, labels)
        made = Counter(name, meaning, list(labels), namespace=NAMESPACE, registry=self._registry)
        return self._filled(made, sets)

    def gauge(self, name: str, meaning: str, **labels: Iterable[str]) -> Gauge:
        sets = self._note(name, "gauge", meaning, labels)
        return self._filled(Gauge(name, meaning, list(labels), namespace=NAMESPACE, registry=self._registry), sets)

    def histogram(self, name: str, meaning: str, buckets: Sequence[float], **labels: Iterable[str]) -> Histogram:
        sets = self._note(name, "histogram", meaning, labels)
        made = Histogram(name, meaning, list(labels), namespace=NAMESPACE, registry=self._registry, buckets=buckets)
        return self._filled(made, sets)

    def states(self, name: str, meaning: str, states: type[StrEnum]) -> Enum:
        values = [str(state) for state in states]
        self._note(name, "enum", meaning, {f"{NAMESPACE}_{name}": values})
        return Enum(name, meaning, namespace=NAMESPACE, registry=self._registry, states=values)

    def info(self, name: str, meaning: str) -> Info:
        self._note(f"{name}_info", "info", meaning, {})
        return Info(name, meaning, namespace=NAMESPACE, registry=self._registry)

    def _note(self, name: str, kind: str, meaning: str, labels: dict[str, Any]) -> dict[str, tuple[str, ...]]:
        sets = {label: tuple(str(value) for value in values) for label, values in labels.items()}
        self.rows.append(MetricRow(f"{NAMESPACE}_{name}", kind, meaning, tuple(sets.items())))
        return sets

    @staticmethod
    def _filled(metric: M, sets: dict[str, tuple[str, ...]]) -> M:
        if sets:
            for values in itertools.product(*sets.values()):
                metric.labels(*values)
        return metric
