"""The demo: a broker, a simulated county and the daemon, and at the end what was found against what is true."""

from __future__ import annotations

import contextlib
import datetime as dt
import multiprocessing
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from models.domain.clock import SystemClock
from models.domain.leads import LeadKind
from models.domain.register import Register
from models.simulated.county import County, CountySpec, SiteTruth, build
from monitor.config.settings import Settings
from monitor.daemon import Daemon
from monitor.demo.broker import HOST, leave_with_parent, serve
from monitor.demo.publisher import Progress, connect, publish_county
from monitor.desk.store import LeadChange
from monitor.observer import MetricsObserver
from monitor.pipeline import Pipeline
from monitor.register.snapshot import rows_to_json, version_of
from monitor.supervise import ExitCode
from monitor.windows import Outcome

START: Final = dt.date(2025, 3, 3)
"""A Monday in the heating season: the same days and seed give the same county whenever the demo runs."""
SHARE_OF_FURNACE: Final = 0.6
STALLED_S: Final = 30.0
_POLL_S: Final = 0.2


@dataclass(frozen=True, slots=True)
class Score:
    """What the demo found, against the simulator's truth; readings are counted, not messages."""

    published: int
    stored: int
    duplicate: int
    conflict: int
    quarantined: int
    leads: Mapping[str, int]
    furnaces: int
    found: int
    false_leads: int
    site_weeks: float
    seconds: float

    @property
    def lost(self) -> int:
        return self.published - self.stored - self.duplicate - self.conflict - self.quarantined

    def as_dict(self) -> dict[str, Any]:
        """The demo's last line."""
        return {
            "published": self.published,
            "stored": self.stored,
            "duplicate": self.duplicate,
            "conflict": self.conflict,
            "quarantined": self.quarantined,
            "lost": self.lost,
            "leads": dict(self.leads),
            "furnaces": self.furnaces,
            "found": self.found,
            "false_leads": self.false_leads,
            "site_weeks": round(self.site_weeks, 1),
            "seconds": round(self.seconds, 1),
        }


@dataclass(frozen=True, slots=True)
class Watcher:
    """Who shows the demo: a lead changed, readings came in, everything was judged."""

    on_ready: Callable[[int, int], None]
    on_lead: Callable[[LeadChange], None]
    on_progress: Callable[[Progress, int], None]
    on_done: Callable[[Score], None]


class CountyClock(SystemClock):
    """The wall clock of the simulated county: where its publisher has come to."""

    def __init__(self, now_ms: Synchronized[int]) -> None:
        self._now_ms = now_ms

    def wall_ms(self) -> int:
        return self._now_ms.value


class Demo:
    """One run. `stay` keeps the daemon up after the last day, until it is asked to stop."""

    def __init__(self, spec: CountySpec, state_dir: Path, watcher: Watcher, *, day_s: float, stay: bool) -> None:
        self._county: County = build(spec)
        self._watcher = watcher
        self._day_s = day_s
        self._stay = stay
        self._began_s = time.monotonic()
        self._moved_s = self._began_s
        self._progress = Progress(0, 0)
        self._settled = 0
        self._score: Score | None = None
        self._port = free_port()
        self._settings = demo_settings(state_dir, self._port)
        self._inbox: Connection | None = None
        start = dt.datetime.combine(spec.start, dt.time(), ZoneInfo(spec.zone))
        self._now_ms: Synchronized[int] = multiprocessing.get_context("spawn").Value("q", int(start.timestamp()) * 1000)
        self._daemon = Daemon(
            self._settings,
            county_register(self._county),
            CountyClock(self._now_ms),
            simulated=True,
            on_lead=watcher.on_lead,
            each_turn=self._turn,
        )

    def run(self) -> tuple[ExitCode, Score | None]:
        """Play the county; the score is None where the demo was stopped before its end."""
        self._daemon.supervisor.catch_signals()
        context = multiprocessing.get_context("spawn")
        self._inbox, outbox = context.Pipe(duplex=False)
        broker = context.Process(target=serve, args=(self._port,), daemon=True)
        publisher = context.Process(
            target=_publish, args=(self._county.spec, self._port, self._day_s, outbox, self._now_ms), daemon=True
        )
        with _running(broker):
            wait_for_port(self._port)
            with _running(publisher):
                code = self._daemon.run()
        return code, self._score

    def _turn(self, pipeline: Pipeline, observer: MetricsObserver) -> None:
        self._hear()
        settled = sum(pipeline.applier.outcomes.values()) + observer.n_refused
        if settled != self._settled:
            self._settled, self._moved_s = settled, time.monotonic()
            self._watcher.on_progress(self._progress, settled)
        all_in = self._progress.done and settled >= self._progress.published and not pipeline.applier.n_old
        stalled = self._progress.done and time.monotonic() - self._moved_s > STALLED_S
        if self._score is None and (all_in or stalled):
            pipeline.finish()
            self._score = self._judge(pipeline, observer)
            self._watcher.on_done(self._score)
            if not self._stay:
                self._daemon.supervisor.request_stop()

    def _hear(self) -> None:
        while self._inbox is not None and self._inbox.poll():
            try:
                self._progress = self._inbox.recv()
            except EOFError:
                self._inbox = None
        if self._progress.published == 0 and self._daemon.ops_port:
            self._watcher.on_ready(self._port, self._daemon.ops_port)

    def _judge(self, pipeline: Pipeline, observer: MetricsObserver) -> Score:
        leads = list(pipeline.desk.final_leads())
        truth = self._county.truth
        melting = {lead["site"]["id"] for lead in leads if lead["kind"] == LeadKind.FURNACE_MELT.value}
        outcomes = pipeline.applier.outcomes
        furnaces, found, false_leads = furnace_counts(truth, melting)
        return Score(
            published=self._progress.published,
            stored=outcomes[Outcome.STORED],
            duplicate=outcomes[Outcome.DUPLICATE],
            conflict=outcomes[Outcome.CONFLICT],
            quarantined=observer.n_refused,
            leads={kind.value: sum(lead["kind"] == kind.value for lead in leads) for kind in LeadKind},
            furnaces=furnaces,
            found=found,
            false_leads=false_leads,
            site_weeks=sum(not site.has_furnace for site in truth) * self._county.spec.days / 7.0,
            seconds=time.monotonic() - self._began_s,
        )


def furnace_counts(truth: Sequence[SiteTruth], leads_at: set[str]) -> tuple[int, int, int]:
    """(undeclared furnaces of at least 60 % of their site's peak, those with a lead, leads at sites without any)."""
    hidden = [s.site for s in truth if s.has_furnace and not s.declared and s.furnace_share >= SHARE_OF_FURNACE]
    without = {s.site for s in truth if not s.has_furnace}
    return len(hidden), sum(site in leads_at for site in hidden), len(leads_at & without)


def county_register(county: County) -> Register:
    """The county's register, ready for look-ups."""
    version = version_of(rows_to_json(county.register))
    return Register(county.register, ZoneInfo(county.spec.zone), version)


def demo_settings(state_dir: Path, port: int) -> Settings:
    """Settings on embedded defaults: the demo's broker, any free port for metrics, leads into a file as well."""
    return Settings.model_validate(
        {
            "daemon": {"state_dir": state_dir, "district": "demo"},
            "scope": {"districts": ["*"]},
            "mqtt": {"host": HOST, "port": port, "version": "3.1.1"},
            "sinks": {"mqtt_leads": True, "file": state_dir / "leads.jsonl"},
            "ops": {"port": 0},
            "log": {"format": "console", "level": "info"},
        }
    )


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for_port(port: int, timeout_s: float = 20.0) -> None:
    """Wait until something listens. Raises TimeoutError."""
    until_s = time.monotonic() + timeout_s
    while time.monotonic() < until_s:
        with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=1.0):
            return
        time.sleep(_POLL_S)
    raise TimeoutError(f"the demo's broker did not start within {timeout_s:.0f} s")


def _publish(spec: CountySpec, port: int, day_s: float, outbox: Connection, now_ms: Synchronized[int]) -> None:
    """The publisher process; it sets the county's clock before each message goes out."""
    leave_with_parent()

    def on_time(arrival_ms: int) -> None:
        now_ms.value = max(now_ms.value, arrival_ms)

    client = connect(HOST, port, f"simulated-county-{spec.seed}")
    try:
        publish_county(build(spec), client, outbox.send, day_s=day_s, on_time=on_time)
    finally:
        client.disconnect()
        client.loop_stop()


@contextlib.contextmanager
def _running(process: BaseProcess) -> Iterator[None]:
    """Run a process that a Ctrl-C at the terminal does not reach, even while it starts: the parent ends it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    try:
        yield
    finally:
        process.terminate()
        process.join(2.0)
        if process.is_alive():
            process.kill()
