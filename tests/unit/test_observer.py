"""What the operator reads of refusals: a few lines, however many there are."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from models.domain.clock import ManualClock
from models.domain.readings import Rejection, RejectReason
from monitor.admission import Admitted
from monitor.metrics import Metrics
from monitor.observer import MAX_NAMED_METERS, MetricsObserver
from tests.support.stores import MARCH_MS, message


def refused(*rejections: Rejection, unknown: frozenset[str] = frozenset()) -> Admitted:
    """A group in which nothing was admitted."""
    none = np.zeros(0, dtype=np.int32)
    count = sum(max(1, len(r.rows)) for r in rejections)
    return Admitted(none, np.zeros(0, dtype=np.int64), none, none, {}, rejections, count, unknown)


@pytest.fixture
def observer() -> MetricsObserver:
    return MetricsObserver(Metrics(CollectorRegistry()), ManualClock(MARCH_MS))


def test_each_reason_is_told_at_its_first_refusal_and_at_each_tenfold(
    observer: MetricsObserver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    for _ in range(1000):
        observer.committed([message()], refused(Rejection(0, RejectReason.TIME_OLD, "too old")), 0.0)
    told = [record.getMessage() for record in caplog.records]
    assert [line.split()[1] for line in told] == ["1", "10", "100", "1000"]
    assert all("too old" in line and "--reason TIME_OLD" in line for line in told)
    observer.committed([message()], refused(Rejection(0, RejectReason.PARSE, "no JSON", (0, 1, 2))), 0.0)
    assert "refused 3 for PARSE" in caplog.records[-1].getMessage()


def test_a_flood_of_unknown_meters_is_named_only_so_far(
    observer: MetricsObserver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    for start in range(0, 3000, 30):
        observer.committed([message()], refused(unknown=frozenset(f"X{n}" for n in range(start, start + 30))), 0.0)
    lines = [record.getMessage() for record in caplog.records]
    assert sum("wait in quarantine" in line for line in lines) == MAX_NAMED_METERS
    assert len(lines) == MAX_NAMED_METERS + 1
    assert "gridwarden quarantine list" in lines[-1]
