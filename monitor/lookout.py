"""The thread that looks at everything else once a second: threads, clock, sinks, queue (rules C5, T4)."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from connectors.mqtt import MqttSource
from models.domain.clock import Clock
from monitor.desk.outbox_rows import waiting
from monitor.intake import IntakeQueue
from monitor.metrics import Metrics, SecurityEvent
from monitor.occurrences import Occurrences
from monitor.outbox import OutboxSender
from monitor.storage import StoreError, StoreFull
from monitor.supervise import DRAIN_LIMIT_S, ExitCode, State, Supervisor, ThreadName
from monitor.systemd import ServiceManager
from monitor.timewatch import TimeWatch

if TYPE_CHECKING:
    from monitor.influx_feed import InfluxFeed

log = logging.getLogger(__name__)

MAX_THREAD_AGE_S: Final = 120.0
MAX_READY_ACK_LAG_S: Final = 60.0


@dataclass(frozen=True)
class Lookout:
    """Ends the process when a part is stuck or dead, and moves DEGRADED_TIME and DEGRADED_SINK.

    `time_watch` is None where the wall clock is a simulated county's.
    """

    supervisor: Supervisor
    metrics: Metrics
    clock: Clock
    queue: IntakeQueue
    mqtt: MqttSource
    sender: OutboxSender
    engine: sa.Engine
    sinks: Sequence[str]
    time_watch: TimeWatch | None
    service: ServiceManager
    occurrences: Occurrences
    feed: InfluxFeed | None = None

    def start(self) -> threading.Thread:
        """Watch the calling thread as the core's, and the others; the thread ends when the daemon is to stop."""
        supervisor = self.supervisor
        supervisor.watch(ThreadName.CORE, threading.current_thread(), max_age_s=MAX_THREAD_AGE_S)
        supervisor.watch(ThreadName.MQTT, None, max_age_s=MAX_THREAD_AGE_S)
        supervisor.watch(ThreadName.OUTBOX, None, max_age_s=MAX_THREAD_AGE_S)
        if self.feed is not None:
            supervisor.watch(ThreadName.INFLUX, None, max_age_s=MAX_THREAD_AGE_S)
        supervisor.limit_lag("ack lag in seconds", self._oldest_waiting_s, MAX_READY_ACK_LAG_S)
        thread = threading.Thread(target=self._run, name="gridwarden-watch", daemon=True)
        thread.start()
        return thread

    def look(self) -> None:
        """One look at everything."""
        self._look_at_threads()
        if self.time_watch is not None:
            self._look_at_time(self.time_watch)
        self._look_at_sinks()
        self.metrics.queue_messages.set(len(self.queue))
        self.metrics.queue_bytes.set(self.queue.bytes_held)
        self._tell_service_manager()

    def _run(self) -> None:
        try:
            fatal = self.supervisor.run(self.look)
        except Exception as error:
            log.exception("the watch over the threads failed")
            self.supervisor.fail(ExitCode.SOFTWARE, f"the watch over the threads failed: {type(error).__name__}")
            fatal = self.supervisor.fatal
        if fatal is not None:
            self.supervisor.leave_after(DRAIN_LIMIT_S, fatal.code)

    def _look_at_threads(self) -> None:
        supervisor, now_s = self.supervisor, self.clock.monotonic_s()
        if self.mqtt.alive and now_s - self.mqtt.last_progress_s < MAX_THREAD_AGE_S:
            supervisor.progress(ThreadName.MQTT)
        elif not supervisor.stopping.is_set() and not self.mqtt.alive:
            supervisor.fail(ExitCode.SOFTWARE, "the MQTT thread died")
        if self.sender.failure is not None:
            supervisor.fail(ExitCode.SOFTWARE, f"the outbox failed: {self.sender.failure}")
        elif now_s - self.sender.last_progress < MAX_THREAD_AGE_S:
            supervisor.progress(ThreadName.OUTBOX)
        feed = self.feed
        if feed is not None and feed.failure is not None:
            supervisor.fail(ExitCode.SOFTWARE, f"the InfluxDB feed failed: {feed.failure}")
        elif feed is not None and now_s - feed.last_progress_s < MAX_THREAD_AGE_S:
            supervisor.progress(ThreadName.INFLUX)

    def _look_at_time(self, watch: TimeWatch) -> None:
        step_s = watch.step_s()
        if step_s is not None:
            log.warning("the wall clock was stepped by %.1f s", step_s)
            self.metrics.security_events.labels(event=SecurityEvent.CLOCK_STEP).inc()
            self.occurrences.clock_stepped(step_s)
        doubt = watch.doubt()
        if doubt is None:
            self.supervisor.recover(State.DEGRADED_TIME)
        else:
            self.supervisor.degrade(State.DEGRADED_TIME, doubt)

    def _look_at_sinks(self) -> None:
        """Where the desk is full or busy, what waits to be sent is asked again at the next look."""
        failing = self.sender.failing
        trouble = [f"{', '.join(failing)} takes no notices; they wait"] if failing else []
        if self.feed is not None and self.feed.trouble:
            trouble.append(f"InfluxDB takes no readings, which are in the history: {self.feed.trouble}")
        if trouble:
            self.supervisor.degrade(State.DEGRADED_SINK, "; ".join(trouble))
        else:
            self.supervisor.recover(State.DEGRADED_SINK)
        try:
            unsent = waiting(self.engine)
        except (StoreFull, sa.exc.TimeoutError):
            return
        except StoreError as error:
            self.supervisor.fail(ExitCode.IO, str(error))
            return
        now_ms = self.clock.wall_ms()
        for name in self.sinks:
            number, since_ms = unsent.get(name, (0, now_ms))
            self.metrics.outbox_pending.labels(sink=name).set(number)
            self.metrics.outbox_age_seconds.labels(sink=name).set(max(0.0, (now_ms - since_ms) / 1000.0))

    def _tell_service_manager(self) -> None:
        """Feed the watchdog only while every thread has moved within half of its patience (rule C6)."""
        supervisor, patience_s = self.supervisor, self.service.watchdog_s
        self.service.status("; ".join((supervisor.state.value, *supervisor.unready())))
        if patience_s is not None and max(supervisor.ages_s().values(), default=0.0) <= patience_s / 2:
            self.service.alive()

    def _oldest_waiting_s(self) -> float:
        """How long the core thread has left messages waiting, in seconds."""
        return self.supervisor.age_s(ThreadName.CORE) if len(self.queue) else 0.0
