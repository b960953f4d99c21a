"""How the parts are put together over one state directory; every command that judges readings comes through here."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from threadpoolctl import threadpool_limits

from detectors.base import Detector
from models.domain.clock import Clock
from models.domain.register import Register
from models.learned.features import FEATURE_VERSION
from monitor.admission import TimeRules
from monitor.agenda import Agenda
from monitor.applier import Applier
from monitor.config.detectors import build_detectors
from monitor.config.parts import lead_policy, subscribed_adapters
from monitor.config.settings import Settings
from monitor.desk.database import open_desk
from monitor.desk.store import Desk
from monitor.feeds import Feeds
from monitor.history.history import History
from monitor.journal.journal import Journal
from monitor.judge import Judge
from monitor.pipeline import Observer, Pipeline, Source
from monitor.roster import Roster

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
    damaged store, or one written by a newer version.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(threadpool_limits(limits=1))
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        history = History.open(state_dir, memory_limit=settings.history.memory_limit)
        stack.callback(history.close)
        engine = open_desk(state_dir)
        stack.callback(engine.dispose)
        detectors = build_detectors(settings.detectors)
        desk = Desk(
            engine,
            sinks=sinks,
            policy=lead_policy(settings.leads),
            versions=versions(settings, register, detectors),
            clock=clock,
            district=settings.daemon.district,
        )
        journal = Journal.open(state_dir, clock, applied=max(history.cursor, desk.journal_cursor()))
        stack.callback(journal.close)
        roster = Roster(register)
        agenda = Agenda(register.zone, len(roster.ids), roster.by_any_publisher(), desk.closed_nights())
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
        )
        pipeline.recover()
        yield Core(pipeline, journal, history, desk, engine)


def versions(settings: Settings, register: Register, detectors: Sequence[Detector]) -> dict[str, str]:
    """What a lead's revision was made with: software, detectors with their settings, features, lead rules, register."""
    shown = {detector.name: repr(detector) for detector in detectors}
    return {
        "software": software_version(),
        "detectors": _digest(shown),
        "features": str(FEATURE_VERSION),
        "leads": _digest(settings.leads.model_dump(mode="json")),
        "register": register.version,
    }


def software_version() -> str:
    """Version of the installed distribution."""
    return importlib.metadata.version("gridwarden")


def _digest(value: Any) -> str:
    return hashlib.sha256(msgspec.json.encode(value, order="sorted")).hexdigest()[:16]
