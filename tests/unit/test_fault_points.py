"""Fault points: nothing without being asked, and exactly what was asked for."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time

import pytest

from monitor.fault_points import VARIABLE, Fault, FaultInjected, FaultPlan, FaultPoint, parse_faults
from monitor.storage import StoreFull

REACH_THREE_TIMES = """
from monitor.fault_points import FaultPoint, hit
for number in (1, 2, 3):
    hit(FaultPoint.BEFORE_ACK)
    print(number, flush=True)
"""


def reach(faults: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, VARIABLE: faults}
    return subprocess.run(
        [sys.executable, "-c", REACH_THREE_TIMES], env=environ, capture_output=True, text=True, timeout=30, check=False
    )


def test_without_the_variable_a_point_does_nothing() -> None:
    ended = reach("")
    assert (ended.returncode, ended.stdout.split()) == (0, ["1", "2", "3"])


def test_a_process_is_killed_the_time_it_was_asked_to_be_and_says_that_faults_are_armed() -> None:
    ended = reach("before_ack:kill:2")
    assert (ended.returncode, ended.stdout.split()) == (-signal.SIGKILL, ["1"])
    assert "armed" in ended.stderr


@pytest.mark.parametrize(
    ("mode", "error"),
    [
        pytest.param("raise=fault", FaultInjected, id="fault"),
        pytest.param("raise=store_full", StoreFull, id="store_full"),
        pytest.param("raise=disk_full", sqlite3.OperationalError, id="disk_full"),
        pytest.param("raise=fsync", sqlite3.OperationalError, id="fsync"),
    ],
)
def test_a_point_raises_what_it_was_asked_to_and_only_then(mode: str, error: type[Exception]) -> None:
    plan = FaultPlan((Fault(FaultPoint.BEFORE_COMMIT, mode, 2),))
    plan.hit(FaultPoint.BEFORE_COMMIT)
    plan.hit(FaultPoint.AFTER_COMMIT)
    with pytest.raises(error):
        plan.hit(FaultPoint.BEFORE_COMMIT)
    plan.hit(FaultPoint.BEFORE_COMMIT)


def test_a_delay_delays() -> None:
    plan = FaultPlan(parse_faults("before_send:delay=0.05:1"))
    began_s = time.monotonic()
    plan.hit(FaultPoint.BEFORE_SEND)
    assert time.monotonic() - began_s >= 0.05


@pytest.mark.parametrize(
    "text",
    ["before_tea:kill:1", "before_ack:explode:1", "before_ack:kill:0", "before_ack:kill", "before_ack:raise=x:1"],
)
def test_what_cannot_be_understood_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=text.split(":", maxsplit=1)[0]):
        parse_faults(text)
