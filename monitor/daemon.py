"""The daemon: one core thread that does the work, a few that serve it, and an orderly end within five seconds."""

from __future__ import annotations

import contextlib
import logging
import random
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from prometheus_client import CollectorRegistry

from connectors.mqtt import MqttSource
from models.domain.clock import Clock
from models.domain.readings import RawMessage
from models.domain.register import Register
from monitor.accounts.kept_topics import TOPICS, KeptTopic
from monitor.admission import Admitted
from monitor.audit.scan import Scan
from monitor.backup.nightly import NightlyBackup
from monitor.chores import Chore, Chores
from monitor.collector import collector_spared
from monitor.command_table import COMMANDS
from monitor.commands import Commands
from monitor.config.parts import mqtt_connection
from monitor.config.settings import Settings, exposures
from monitor.desk.store import LeadChange
from monitor.dry_run.service import DryRuns
from monitor.fault_points import FaultPoint, hit
from monitor.intake import IntakeQueue
from monitor.intensity.rounds import EVERY_S
from monitor.link import LinkWatch
from monitor.lookout import MAX_THREAD_AGE_S, Lookout
from monitor.metrics import Metrics, SendResult
from monitor.observer import MetricsObserver, publishers_ahead
from monitor.occurrences import Occurrences
from monitor.ops.http import ops_app
from monitor.ops.local_api import local_app
from monitor.ops.local_socket import bind_local_socket
from monitor.ops.serving import OpsServer, bind_tcp
from monitor.outbox import OutboxSender
from monitor.outlets import PUBLISH_TIMEOUT_S, build_sinks, sink_names
from monitor.pipeline import Pipeline
from monitor.retention.chore import Retention
from monitor.roster import Roster
from monitor.rule_packs import LOOK_EVERY_S, RulePacks
from monitor.scope import scoped
from monitor.storage import StoreError, StoreFull, drop_ballast, keep_ballast
from monitor.stored_rows import StoredRows
from monitor.supervise import DRAIN_LIMIT_S, ExitCode, State, Supervisor, ThreadName
from monitor.systemd import ServiceManager
from monitor.timewatch import TimeWatch
from monitor.wiring import Core, open_core, software_version

if TYPE_CHECKING:
    from monitor.influx_wiring import KeptFeed

log = logging.getLogger(__name__)

IDLE_WAIT_S: Final = 0.1
STORE_PROBE_S: Final = 1.0
START_ALLOWANCE_S: Final = 60
SILENCES_EVERY_S: Final = 5.0
TIDY_EVERY_S: Final = 1.0
KEEP_EVERY_S: Final = 1.0


class DaemonObserver(MetricsObserver):
    """Metrics, what publishers' stamps say of our clock, a nudge for the outbox, and whoever else wants to hear of
    leads (the demo's terminal)."""

    def __init__(self, metrics: Metrics, clock: Clock, on_lead: Callable[[LeadChange], None] | None) -> None:
        super().__init__(metrics, clock)
        self._on_lead = on_lead
        self.time_watch = TimeWatch(clock)
        self.roster: Roster | None = None
        self.outbox: OutboxSender | None = None

    def committed(self, messages: Sequence[RawMessage], group: Admitted, seconds: float) -> None:
        super().committed(messages, group, seconds)
        if self.roster is not None:
            senders = {message.publisher for message in messages}.intersection(self.roster.publishers)
            self.time_watch.heard(senders, publishers_ahead(messages, group, self.roster))

    def lead_changed(self, change: LeadChange) -> None:
        super().lead_changed(change)
        if self.outbox is not None:
            self.outbox.wake()
        if self._on_lead is not None:
            self._on_lead(change)


class Daemon:
    """Everything `gridwarden run` starts. `simulated`: the wall clock is a county's and runs faster than time."""

    def __init__(
        self,
        settings: Settings,
        register: Register,
        clock: Clock,
        *,
        simulated: bool = False,
        on_lead: Callable[[LeadChange], None] | None = None,
        each_turn: Callable[[Pipeline, MetricsObserver], None] | None = None,
        service: ServiceManager | None = None,
    ) -> None:
        self.settings = settings
        self.register = register
        self.clock = clock
        self.metrics = Metrics(CollectorRegistry())
        self.supervisor = Supervisor(clock, self.metrics.set_state)
        self.queue = IntakeQueue(
            settings.intake.queue_messages, settings.intake.queue_bytes, put_wait_s=settings.mqtt.keepalive_s / 3
        )
        self.observer = DaemonObserver(self.metrics, clock, on_lead)
        self.occurrences = Occurrences(clock)
        self.link = LinkWatch(self.metrics, self.supervisor, clock, self.occurrences)
        self.mqtt = MqttSource(mqtt_connection(settings), self.queue, clock, self.link)
        self.service = service or ServiceManager(None)
        self.ops_port = 0
        self._fed: KeptFeed | None = None
        self._packs: RulePacks | None = None
        self._simulated = simulated
        self._each_turn = each_turn
        self._told_s = clock.monotonic_s()
        self.commands = Commands(COMMANDS)
        daemon, backup = settings.daemon, settings.backup
        self._nightly = (
            NightlyBackup(backup, backup.directory, daemon.state_dir, daemon.district) if backup.directory else None
        )
        self._scan = Scan(lambda store: self.metrics.damage.labels(store=store).inc())
        self._chores = Chores(self._wanted_chores(), clock)

    def take(self, wait_s: float) -> list[RawMessage]:
        """The next commit group from the queue (the pipeline's source)."""
        intake = self.settings.intake
        return self.queue.take(intake.group_messages, wait_s, intake.group_ms / 1000.0)

    def acknowledge(self, messages: Sequence[RawMessage]) -> None:
        self.mqtt.acknowledge(messages)

    def run(self) -> ExitCode:
        """Start, work until asked to stop, drain; returns the exit code. Raises what the stores and sockets raise."""
        supervisor, settings = self.supervisor, self.settings
        self.metrics.build.info({"version": software_version()})
        self.metrics.watch_threads(supervisor.age_s)
        threading.Thread(target=self._leave_in_time, name="gridwarden-leave", daemon=True).start()
        supervisor.advance(State.RECOVER)
        opening = open_core(
            settings=settings,
            state_dir=settings.daemon.state_dir,
            register=self.register,
            source=self,
            observer=self.observer,
            clock=self.clock,
            sinks=sink_names(settings),
        )
        with opening as core, collector_spared():
            supervisor.advance(State.CATCH_UP)
            keep_ballast(settings.daemon.state_dir)
            core.checkpoints.due()
            self._packs = RulePacks(settings.law, core.law)
            for exposure in exposures(settings):
                log.warning("%s", exposure)
            ops = self._ops_server(core)
            sinks = build_sinks(settings, self._publish)
            sender = OutboxSender(core.engine, sinks, self.clock, random.Random(), self._count_attempt)  # noqa: S311  # jitter
            self.observer.outbox = sender
            self._fed = self._influx_feed(core)
            self.observer.roster = core.pipeline.roster
            ops.start()
            sender.start()
            if self._fed is not None:
                self._fed.feed.start()
            self.link.expects_session = core.journal.head > 0
            self._note_downtime(core)
            self.mqtt.start()
            watch = Lookout(
                supervisor=supervisor,
                metrics=self.metrics,
                clock=self.clock,
                queue=self.queue,
                mqtt=self.mqtt,
                sender=sender,
                engine=core.engine,
                sinks=sink_names(settings),
                feed=self._fed.feed if self._fed is not None else None,
                time_watch=None if self._simulated else self.observer.time_watch,
                service=self.service,
                occurrences=self.occurrences,
            ).start()
            supervisor.advance(State.RUN)
            self.service.ready()
            log.info("running; state in %s, metrics on port %d", settings.daemon.state_dir, self.ops_port)
            log.info("rule packs in force: %s", core.law.version)
            try:
                while not supervisor.stopping.is_set():
                    self._turn(core)
            finally:
                leave = supervisor.leave_after(DRAIN_LIMIT_S, self._exit_code())
                self._drain(core, ops, sender)
                watch.join(1.0)
                leave.cancel()
        supervisor.advance(State.STOPPED)
        log.info("stopped; journal at %d", core.journal.head)
        return self._exit_code()

    def _leave_in_time(self) -> None:
        """Where the stop is asked for during a long recovery, leave at the limit: a recovery may end anywhere."""
        self.supervisor.stopping.wait()
        if self.supervisor.state in (State.RECOVER, State.CATCH_UP):
            self.supervisor.leave_after(DRAIN_LIMIT_S, self._exit_code())

    def _turn(self, core: Core) -> None:
        """One turn of the core thread: a commit group, a slice of judging, what is due by the clock.

        While our clock is not believed nothing is judged and no time is said to pass; intake goes on (rule T4).
        """
        pipeline = core.pipeline
        timely = not self.supervisor.holds(State.DEGRADED_TIME)
        try:
            busy = timely and pipeline.judge_once()
            pipeline.intake_once(0.0 if busy else IDLE_WAIT_S)
            if timely:
                self._chores.turn(core)
            self.commands.serve(core)
            self.supervisor.recover(State.DEGRADED_STORE)
        except StoreFull as error:
            drop_ballast(self.settings.daemon.state_dir)
            self.supervisor.degrade(State.DEGRADED_STORE, str(error))
            self.supervisor.stopping.wait(STORE_PROBE_S)
        self.supervisor.progress(ThreadName.CORE)
        if self.clock.monotonic_s() - self._told_s >= 1.0:
            self._told_s = self.clock.monotonic_s()
            self.observer.totals(pipeline.applier.outcomes, pipeline.judge.n_judged)
            self.metrics.watermark_lag_seconds.set(pipeline.lag_s(self.clock.wall_ms()))
        if self._each_turn is not None:
            self._each_turn(pipeline, self.observer)

    def _wanted_chores(self) -> list[Chore]:
        seal = Chore("seal", None, self._seal_next)
        tick = Chore("tick", self.settings.time.tick_s, _tick)
        silences = Chore("silences", SILENCES_EVERY_S, self._end_silences)
        stale = Chore("stale", None, self._mark_stale)
        fed = [Chore("influx", KEEP_EVERY_S, self._keep_feed)] if self.settings.sinks.influx is not None else []
        checkpoint = Chore("checkpoint", self.settings.audit.checkpoint_s, _checkpoint)
        kept = [Chore("retention", None, Retention(self.settings.retention).run)]
        if self._nightly is not None:
            kept.append(Chore("backup", None, self._nightly.run))
        by_the_clock = [] if self._simulated else [tick, *kept]
        scan = Chore("scan", None, self._scan.run)
        noted = Chore("occurrences", 1.0, self.occurrences.write)
        packs = Chore("packs", LOOK_EVERY_S, self._look_at_packs)
        tidy = Chore("tidy", TIDY_EVERY_S, self._tidy)
        formats = {subscription.adapter for subscription in self.settings.subscriptions}
        unread = [Chore(f"kept_{name}", None, KeptTopic(name, self.clock).run) for name in TOPICS if name in formats]
        intensity = Chore("intensity", EVERY_S, _intensity)
        flags = Chore("flags", EVERY_S, _flags)
        often = [silences, checkpoint, packs, tidy, noted]
        return [*by_the_clock, intensity, flags, seal, stale, scan, *often, *unread, *fed]

    def _note_downtime(self, core: Core) -> None:
        """Nothing was committed for longer than two ticks and a start take: a gap, told as such (rule D11)."""
        last_ms = core.journal.last_committed_ms()
        allowed_ms = 1000 * (2 * self.settings.time.tick_s + START_ALLOWANCE_S)
        if not self._simulated and last_ms is not None and self.clock.wall_ms() - last_ms > allowed_ms:
            self.link.was_down(last_ms)

    def _tidy(self, core: Core) -> bool:
        """The history's log is folded into its file while nothing waits."""
        if core.pipeline.is_quiet and not len(self.queue):
            core.history.tidy()
        return False

    def _look_at_packs(self, _: Core) -> bool:
        """Packs that changed on disk are told of; they count from the next start."""
        return self._packs is not None and self._packs.look()

    def _influx_feed(self, core: Core) -> KeptFeed | None:
        """The feed where one is set up; its client is read in only then, for it takes 15 MiB."""
        if self.settings.sinks.influx is None:
            return None
        from monitor.influx_wiring import build_feed

        return build_feed(self.settings, core, self.register, self.clock, self.metrics)

    def _keep_feed(self, core: Core) -> bool:
        return self._fed is not None and self._fed.keep(core)

    def _end_silences(self, core: Core) -> bool:
        """What a silence held back is told when it is over."""
        told = core.desk.end_silences()
        if told and self.observer.outbox is not None:
            self.observer.outbox.wake()
        return told > 0

    def _mark_stale(self, core: Core) -> bool:
        """Open leads that nobody touched for long are marked, a slice a turn."""
        return core.desk.mark_stale(self.settings.handling.stale_after_days) > 0

    def _seal_next(self, core: Core) -> bool:
        """Days that are old enough become Parquet, a slice a turn."""
        if core.pipeline.applier.n_waiting:
            return True
        return core.history.seal_next(self.clock.wall_ms(), self.settings.history.seal_after_days) > 0

    def _drain(self, core: Core, ops: OpsServer, sender: OutboxSender) -> None:
        """Commit what was taken, acknowledge, DISCONNECT; the broker keeps the rest of the session (rule C4)."""
        self.supervisor.advance(State.DRAIN)
        self.service.stopping()
        hit(FaultPoint.IN_DRAIN)
        log.info("stopping: what is not committed yet stays with the broker")
        for name in ThreadName:
            self.supervisor.forget(name)
        self.mqtt.pause()
        if self._fed is not None:
            self._fed.feed.stop(0.5)
            with contextlib.suppress(StoreError):
                self._fed.keep(core)
        self.mqtt.stop(1.5)
        with contextlib.suppress(StoreFull):
            core.pipeline.close()
        self.observer.totals(core.pipeline.applier.outcomes, core.pipeline.judge.n_judged)
        sender.stop(1.0)
        if self._nightly is not None:
            self._nightly.stop()
        ops.stop()

    def _exit_code(self) -> ExitCode:
        return self.supervisor.fatal.code if self.supervisor.fatal is not None else ExitCode.OK

    def _count_attempt(self, sink: str, result: SendResult) -> None:
        self.metrics.outbox_attempts.labels(sink=sink, result=result).inc()

    def _ops_server(self, core: Core) -> OpsServer:
        ops, supervisor = self.settings.ops, self.supervisor
        bound = bind_tcp(ops.host, ops.port)
        self.ops_port = bound.getsockname()[1]
        supervisor.watch(ThreadName.OPS, None, max_age_s=MAX_THREAD_AGE_S)
        rows = StoredRows(self.settings.daemon.state_dir, self.status, self.clock)
        history = (core.history.spans(), self.register)
        served = scoped(self.register, self.settings)
        registers = core.history.registers(served.zone)
        dry_runs = DryRuns(self.settings.daemon.state_dir, registers, served, core.law, core.intensity.home)
        return OpsServer(
            [
                (ops_app(self.metrics.registry, lambda: supervisor.state, self.unready), bound),
                (local_app(rows, self.commands, history, dry_runs), bind_local_socket(self.settings.daemon.state_dir)),
            ],
            on_progress=lambda: supervisor.progress(ThreadName.OPS),
        )

    def unready(self) -> tuple[str, ...]:
        """Why the daemon is not ready; empty when it is."""
        damaged = tuple(f"{file} is damaged: {what}" for file, what in dict(self._scan.found).items())
        reasons = (*self.supervisor.unready(), *damaged)
        return reasons if reasons or self.mqtt.connected else ("not connected to the broker yet",)

    def status(self) -> dict[str, Any]:
        """What the local API says of the daemon."""
        return {
            "state": self.supervisor.state.value,
            "unready": list(self.unready()),
            "version": software_version(),
            "register": self.register.version,
            "law": None if self._packs is None else self._packs.status(),
            "connected": self.mqtt.connected,
            "received": self.mqtt.received,
            "queued": len(self.queue),
            "threads": self.supervisor.ages_s(),
        }

    def _publish(self, topic: str, body: bytes) -> bool:
        return self.mqtt.publish(topic, body, timeout_s=PUBLISH_TIMEOUT_S)


def _tick(core: Core) -> bool:
    core.pipeline.tick()
    return False


def _intensity(core: Core) -> bool:
    return core.intensity.run()


def _flags(core: Core) -> bool:
    return core.flags.run()


def _checkpoint(core: Core) -> bool:
    return core.checkpoints.due()
