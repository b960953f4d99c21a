"""How the parts are put together over one state directory; every command that judges readings comes through here."""

from __future__ import annotations

import contextlib
import datetime as dt
import importlib.metadata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from threadpoolctl import threadpool_limits

from connectors.mqtt_settings import Subscription
from detectors.base import Detector, nights_looked_back
from models.domain.clock import Clock
from models.domain.register import Register
from models.law.library import Law
from models.learned.features import FEATURE_VERSION
from monitor.accounts.ledger import Ledger
from monitor.accounts.writer import ReportWriter
from monitor.admission import TimeRules
from monitor.agenda import Agenda
from monitor.applier import Applier
from monitor.audit.keeper import Checkpoints, audit_former_keys
from monitor.audit.keys import SigningKey
from monitor.audit.tables import stop_digests
from monitor.backup.hold import BackupHold
from monitor.backup.restored import audit_restore
from monitor.collector import collector_paused
from monitor.config.detectors import build_detectors
from monitor.config.parts import lead_policy, routes, subscribed_adapters
from monitor.config.settings import Settings
from monitor.desk.database import open_desk
from monitor.desk.store import Desk
from monitor.evidence_pack.origins import detectors_version, keep_origins, short_digest
from monitor.feeds import Feeds
from monitor.heap import give_back
from monitor.history.history import History
from monitor.intensity.rounds import Rounds
from monitor.journal.journal import Journal
from monitor.judge import Judge
from monitor.pipeline import Observer, Pipeline, Source
from monitor.roster import Roster
from monitor.rule_packs import law_in_force
from monitor.scope import scoped
from monitor.storage import StoreFull
from monitor.tariffs.judging import Bench
from monitor.tariffs.keeper import FlagKeeper, Times, Told
from monitor.tariffs.places import region_of

ONE_DAY: Final = dt.timedelta(days=1)
"""A UTC day's readings belong to local days up to the next one; months are judged from there on."""

PROVISIONAL: Final = frozenset({"sealed_site"})
"""Detectors that can say something before a night is over."""


@dataclass(frozen=True)
class Core:
    """The pipeline and the stores it owns."""

    pipeline: Pipeline
    journal: Journal
    history: History
    desk: Desk
    engine: sa.Engine
    state_dir: Path
    checkpoints: Checkpoints
    law: Law
    intensity: Rounds
    flags: FlagKeeper
    backup: BackupHold = field(default_factory=BackupHold)
    routes: tuple[Subscription, ...] = ()


@contextlib.contextmanager
def open_core(
    *,
    settings: Settings,
    state_dir: Path,
    register: Register,
    source: Source,
    observer: Observer,
    clock: Clock,
    sinks: Sequence[str] = (),
    rules: TimeRules | None = None,
) -> Iterator[Core]:
    """Open the stores of `state_dir` (one process may), recover, and hand out the pipeline.

    BLAS and OpenMP run one thread meanwhile, so that sums do not depend on how many there are (design §6).

    `rules` stand in for those of the settings where readings are not live. Raises what the stores raise: a locked or
    damaged store, or one written by a newer version; LawFaults or ConfigFaults where the rule packs are at fault.
    """
    law = law_in_force(settings.law)
    with contextlib.ExitStack() as stack:
        stack.enter_context(threadpool_limits(limits=1))
        register = scoped(register, settings)
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        history = History.open(state_dir, memory_limit=settings.history.memory_limit)
        stack.callback(history.close)
        engine = open_desk(state_dir)
        stack.callback(engine.dispose)
        audit_restore(state_dir, engine, clock)
        detectors = build_detectors(settings.detectors)
        desk = Desk(
            engine,
            sinks=sinks,
            policy=lead_policy(settings.leads),
            versions=versions(settings, register, detectors, law),
            clock=clock,
            district=settings.daemon.district,
        )
        journal = Journal.open(state_dir, clock, applied=max(history.cursor, desk.journal_cursor()))
        stack.callback(journal.close)
        with collector_paused():
            roster = Roster(register, law)
        agenda = Agenda(
            register.zone,
            len(roster.ids),
            roster.rows.by_publisher(),
            desk.closed_nights(),
            registered=roster.rows.by_cadence(),
            looked_back=nights_looked_back(detectors),
        )
        applier = Applier(roster, history, register.zone, agenda.on_readings)
        judge = Judge(
            applier=applier,
            history=history,
            desk=desk,
            detectors=detectors,
            provisional=[d for d in detectors if d.name in PROVISIONAL],
            zone=register.zone,
            clock=clock,
            on_change=observer.lead_changed,
            on_evaluated=observer.evaluated,
            on_failed=observer.detector_failed,
        )
        time = settings.time
        pipeline = Pipeline(
            source=source,
            adapters=subscribed_adapters(settings.subscriptions),
            rules=rules or TimeRules(future_s=time.future_s, old_days=time.old_days),
            journal=journal,
            history=history,
            desk=desk,
            applier=applier,
            judge=judge,
            agenda=agenda,
            feeds=Feeds(lateness_s=time.lateness_s, silence_s=round(time.silence_hours * 3600)),
            clock=clock,
            zone=register.zone,
            observer=observer,
            reports=ReportWriter(engine, register.zone),
        )
        keep_origins(state_dir, settings, register, detectors, law)
        key = SigningKey.open(state_dir, settings.audit.key_file)
        audit_former_keys(state_dir, key.public, engine, clock)
        checkpoints = Checkpoints(state_dir, key, journal, engine, clock)
        desk.checkpoint = lambda: checkpoints.newest
        pipeline.recover()
        give_back()
        intensity = Rounds(
            ledger=Ledger(engine, history.registers(register.zone), register.zone),
            engine=engine,
            desk=desk,
            law=law,
            register=register,
            settings=settings.intensity,
            home=region_of(settings.daemon.district),
            clock=clock,
            reached_ms=pipeline.feeds.reached_ms,
            on_change=observer.lead_changed,
        )
        flags = FlagKeeper(
            engine,
            intensity.ledger,
            Bench.of(law, register, intensity.home),
            Told(settings.daemon.district, tuple(sinks)),
            times=Times(
                pipeline.feeds.reached_ms,
                lambda: min((day + ONE_DAY for day in history.days()), default=None),
                settings.intensity.close_after_days,
                lambda: intensity.is_running,
            ),
            clock=clock,
            zone=register.zone,
        )
        core = Core(
            pipeline,
            journal,
            history,
            desk,
            engine,
            state_dir,
            checkpoints,
            law,
            intensity,
            flags,
            routes=routes(settings.subscriptions),
        )
        stack.callback(core.backup.release)
        yield core
        with contextlib.suppress(StoreFull):
            checkpoints.stop(lambda: stop_digests(state_dir, engine, history, clock.monotonic_s))


def versions(settings: Settings, register: Register, detectors: Sequence[Detector], law: Law) -> dict[str, str]:
    """What a lead's revision was made with: software, detectors with settings, features, lead rules, register, law."""
    return {
        "software": software_version(),
        "detectors": detectors_version(detectors),
        "features": str(FEATURE_VERSION),
        "leads": short_digest(settings.leads.model_dump(mode="json")),
        "register": register.version,
        "law": law.version,
    }


def software_version() -> str:
    """Version of the installed distribution."""
    return importlib.metadata.version("gridwarden")
