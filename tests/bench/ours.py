"""GridWarden's own path: the daemon's source, queue and stores, and its pipeline's turns of intake, in this process.

The clock runs from the connect until the last one is committed, acknowledged, in the rings, and flushed to
history. A wave of every meter goes through the same pipeline before, so that the rings stand and the register has been
asked, as in a daemon that has run for a while. Nights are not judged meanwhile: that has budgets of its own.
"""

from __future__ import annotations

from pathlib import Path

from models.domain.clock import SystemClock
from models.domain.readings import RawMessage
from monitor.config.sections import DaemonSettings, MqttSettings, SubscriptionSettings
from monitor.config.settings import Settings
from monitor.daemon import IDLE_WAIT_S, Daemon
from monitor.pipeline import Pipeline
from monitor.windows import Outcome
from monitor.wiring import open_core
from tests.bench import loads
from tests.bench.loads import Load
from tests.bench.stopwatch import Cost, Stopwatch


def run(load: Load, port: int, first_ms: int, folder: Path) -> Cost:
    """Drain the session."""
    settings = Settings(
        daemon=DaemonSettings(state_dir=folder),
        mqtt=MqttSettings(port=port),
        subscriptions=[SubscriptionSettings(topic="grid/v1/+/readings", adapter=load.adapter)],
    )
    daemon = Daemon(settings, loads.register(), SystemClock())
    with open_core(
        settings=settings,
        state_dir=folder,
        register=daemon.register,
        source=daemon,
        observer=daemon.observer,
        clock=daemon.clock,
    ) as core:
        _warm_up(core.pipeline, load, first_ms)
        return _drain(daemon, core.pipeline, load.readings)


def _warm_up(pipeline: Pipeline, load: Load, first_ms: int) -> None:
    now_ms = pipeline.clock.wall_ms()
    wave = loads.wave_payloads(load, -1, first_ms)
    pipeline.take_in([RawMessage(loads.TOPIC, p, now_ms, loads.PUBLISHER, load.adapter) for p in wave])
    pipeline.applier.flush()


def _drain(daemon: Daemon, pipeline: Pipeline, readings: int) -> Cost:
    outcomes = pipeline.applier.outcomes
    target = outcomes[Outcome.STORED] + readings
    stopwatch = Stopwatch()
    daemon.mqtt.start()
    while outcomes[Outcome.STORED] < target:
        pipeline.intake_once(IDLE_WAIT_S)
        if daemon.observer.n_refused or outcomes[Outcome.DUPLICATE] or outcomes[Outcome.CONFLICT]:
            raise RuntimeError(f"{daemon.observer.n_refused} readings refused, others {outcomes}")
    pipeline.applier.flush()
    cost = stopwatch.cost()
    daemon.mqtt.stop(5.0)
    return cost
