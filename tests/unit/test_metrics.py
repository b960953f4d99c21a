"""Metrics: present from the start, labels from closed sets, bounded whatever is monitored."""

from __future__ import annotations

import re

from prometheus_client import CollectorRegistry, generate_latest

from connectors.adapters.table import ADAPTERS
from models.domain.readings import RejectReason
from monitor.metrics import MessageKind, Metrics, Outcome
from monitor.supervise import State, ThreadName


def lines(metrics: Metrics) -> list[str]:
    return [line for line in generate_latest(metrics.registry).decode().splitlines() if not line.startswith("#")]


def test_every_series_exists_before_the_first_event() -> None:
    shown = lines(Metrics(CollectorRegistry()))
    for reason in RejectReason:
        assert f'gridwarden_rejected_total{{reason="{reason.value}"}} 0.0' in shown
    assert 'gridwarden_readings_total{outcome="conflict"} 0.0' in shown
    assert 'gridwarden_outbox_attempts_total{result="refused",sink="webhook"} 0.0' in shown


def test_there_are_fewer_than_a_thousand_series() -> None:
    metrics = Metrics(CollectorRegistry())
    metrics.set_state(State.RUN)
    metrics.watch_threads(lambda _name: 0.0)
    for outcome in Outcome:
        metrics.readings.labels(outcome).inc(1e9)
    assert len(lines(metrics)) < 1000


def test_names_follow_the_prometheus_rules() -> None:
    for row in Metrics(CollectorRegistry()).reference():
        assert re.fullmatch(r"gridwarden_[a-z_]+", row.name)
        assert row.name.endswith("_total") == (row.type == "counter")
        assert not re.search(r"_(ms|kw|kwh|minutes|hours|percent)(_|$)", row.name)


def test_every_documented_metric_is_exported() -> None:
    metrics = Metrics(CollectorRegistry())
    metrics.build.info({"version": "1"})
    shown = generate_latest(metrics.registry).decode()
    for row in metrics.reference():
        assert re.search(rf"^{row.name}(_bucket|_created)?[ {{]", shown, re.MULTILINE), row.name


def test_message_kinds_are_the_adapters() -> None:
    assert {kind.value for kind in MessageKind} == set(ADAPTERS)


def test_the_state_and_the_ages_of_threads_are_shown() -> None:
    metrics = Metrics(CollectorRegistry())
    metrics.set_state(State.DEGRADED_STORE)
    metrics.watch_threads(lambda name: 7.0 if name is ThreadName.CORE else 0.0)
    shown = lines(metrics)
    assert 'gridwarden_state{gridwarden_state="degraded_store"} 1.0' in shown
    assert 'gridwarden_state{gridwarden_state="run"} 0.0' in shown
    assert 'gridwarden_thread_progress_age_seconds{thread="core"} 7.0' in shown
