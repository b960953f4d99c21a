"""The state machine and the watch over threads (rules C1-C7, T4)."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from models.domain.clock import ManualClock
from monitor.supervise import (
    ExitCode,
    InvariantBrokenError,
    State,
    Supervisor,
    ThreadName,
    require,
)

ROOT = Path(__file__).resolve().parents[2]


def running(clock: ManualClock, shown: list[State] | None = None) -> Supervisor:
    supervisor = Supervisor(clock, shown.append if shown is not None else None)
    for state in (State.RECOVER, State.CATCH_UP, State.RUN):
        supervisor.advance(state)
    return supervisor


def test_the_states_follow_each_other() -> None:
    shown: list[State] = []
    supervisor = running(ManualClock(), shown)
    supervisor.advance(State.DRAIN)
    supervisor.advance(State.STOPPED)
    assert shown == [State.RECOVER, State.CATCH_UP, State.RUN, State.DRAIN, State.STOPPED]


@pytest.mark.parametrize("to", [State.RUN, State.CATCH_UP, State.STOPPED, State.INIT])
def test_no_state_is_skipped(to: State) -> None:
    with pytest.raises(InvariantBrokenError):
        Supervisor(ManualClock()).advance(to)


def test_the_gravest_degradation_shows_and_each_recovers_alone() -> None:
    supervisor = running(ManualClock())
    supervisor.degrade(State.DEGRADED_SINK, "webhook is down")
    supervisor.degrade(State.DEGRADED_STORE, "disk full")
    assert supervisor.state is State.DEGRADED_STORE
    assert len(supervisor.unready()) == 2
    supervisor.recover(State.DEGRADED_STORE)
    assert supervisor.state is State.DEGRADED_SINK
    supervisor.recover(State.DEGRADED_SINK)
    assert supervisor.state is State.RUN
    assert supervisor.unready() == ()


def test_a_drain_is_a_drain_even_when_degraded() -> None:
    supervisor = running(ManualClock())
    supervisor.degrade(State.DEGRADED_BROKER, "down")
    supervisor.advance(State.DRAIN)
    assert supervisor.state is State.DRAIN


def test_not_ready_before_run_nor_with_a_lag_over_its_limit() -> None:
    supervisor = Supervisor(ManualClock())
    assert supervisor.unready() == ("state is init",)
    supervisor = running(ManualClock())
    lag = [5.0]
    supervisor.limit_lag("apply lag", lambda: lag[0], 10.0)
    assert supervisor.unready() == ()
    lag[0] = 11.0
    assert supervisor.unready() == ("apply lag is 11, limit 10",)


def test_a_thread_that_merely_ends_is_noticed() -> None:
    supervisor = running(ManualClock())
    thread = threading.Thread(target=lambda: None)
    supervisor.watch(ThreadName.OUTBOX, thread, max_age_s=10)
    thread.start()
    thread.join()
    fatal = supervisor.check()
    assert fatal is not None
    assert fatal.reason == "thread outbox died"


def test_a_stuck_thread_is_noticed_and_one_that_moves_is_not() -> None:
    clock = ManualClock()
    supervisor = running(clock)
    supervisor.watch(ThreadName.CORE, threading.current_thread(), max_age_s=10.0)
    clock.set_wall_ms(9_000)
    supervisor.progress(ThreadName.CORE)
    clock.set_wall_ms(18_000)
    assert supervisor.check() is None
    assert supervisor.age_s(ThreadName.CORE) == 9.0
    clock.set_wall_ms(20_000)
    fatal = supervisor.check()
    assert fatal is not None
    assert fatal.reason == "thread core made no progress for 11.0 s"


def test_a_thread_that_ends_on_purpose_is_forgotten_first() -> None:
    supervisor = running(ManualClock())
    supervisor.watch(ThreadName.MQTT, None, max_age_s=1.0)
    supervisor.forget(ThreadName.MQTT)
    assert supervisor.check() is None
    assert supervisor.ages_s() == {}


def test_the_first_fatal_reason_stays() -> None:
    supervisor = running(ManualClock())
    supervisor.fail(ExitCode.IO, "fsync failed")
    supervisor.fail(ExitCode.SOFTWARE, "later")
    fatal = supervisor.run()
    assert fatal is not None
    assert (fatal.code, fatal.reason) == (ExitCode.IO, "fsync failed")


def test_require_survives_optimisation() -> None:
    code = "from monitor.supervise import require\nrequire(False, 'kept')"
    run = subprocess.run([sys.executable, "-O", "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "InvariantBrokenError: kept" in run.stderr
    require(True, "holds")


@pytest.mark.parametrize("signal", ["SIGTERM", "SIGINT"])
def test_a_signal_ends_the_watch_in_order(signal: str) -> None:
    code = (
        "import os, signal\n"
        "from models.domain.clock import SystemClock\n"
        "from monitor.supervise import Supervisor\n"
        "s = Supervisor(SystemClock()); s.catch_signals()\n"
        f"os.kill(os.getpid(), signal.{signal})\n"
        "print(s.run(), s.stopping.is_set())"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=20, check=True)
    assert run.stdout == "None True\n"


def test_a_drain_that_hangs_is_left_anyway() -> None:
    code = (
        "import time\n"
        "from models.domain.clock import SystemClock\n"
        "from monitor.supervise import Supervisor\n"
        "Supervisor(SystemClock()).leave_after(0.2)\n"
        "time.sleep(30)"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=20, check=False)
    assert run.returncode == 0
