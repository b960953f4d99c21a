"""kill -9 under load, with a real broker: what the broker acknowledged is stored once or quarantined once.

The seed decides the load and the moments; `GRIDWARDEN_KILL_SEED` repeats a run as far as the machine's timing allows.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from models.domain.clock import SystemClock
from monitor.fault_points import VARIABLE, FaultPoint
from tests.support.broker import Broker
from tests.support.daemon_process import COMMAND, DaemonProcess, until
from tests.support.numbered import SUBSCRIPTIONS, Audit, NumberedPublisher, Numbering, all_in, audit, closed_site_months
from tests.support.register_dirs import register_dir

METERS = 200
KILLS = 20
SOAK_ROUNDS = 20
SOAK_KILLS = 50
BACK_DAYS = 380
SHARE_AT_START = 0.2

LATE_ACK = """
import time
from connectors.mqtt import MqttSource
acknowledge = MqttSource.acknowledge
def late(self, messages):
    time.sleep(0.1)
    acknowledge(self, messages)
MqttSource.acknowledge = late
"""
"""Not a bug: it makes the moment between commit and acknowledgement long enough for most kills to fall into it."""

ACK_BEFORE_COMMIT = """
import time
from monitor.pipeline import Pipeline
take_in = Pipeline.take_in
def early(self, messages):
    self.source.acknowledge(messages)
    time.sleep(0.1)
    take_in(self, messages)
Pipeline.take_in = early
"""
RECOVERY_WITHOUT_THE_JOURNAL = """
from monitor.pipeline import Pipeline
Pipeline._reapply = lambda self, entry: None
"""
KNOWS_NOTHING_AGAIN = (
    LATE_ACK
    + """
import numpy as np
from monitor.journal.redelivered import RefusedBefore
from monitor.windows import Outcome, Ring
apply = Ring.apply
def blind(self, keys, ts_ms, rev, channels):
    outcome, _ = apply(self, keys, ts_ms, rev, channels)
    fresh = {name: ~np.isnan(values) for name, values in channels.items()}
    return np.where(outcome == Outcome.DUPLICATE, np.uint8(Outcome.STORED), outcome), fresh
Ring.apply = blind
RefusedBefore.new = lambda self, messages: messages
"""
)

pytestmark = pytest.mark.mosquitto


def changed(program: str) -> tuple[str, ...]:
    """The command with something in it broken on purpose."""
    return (sys.executable, "-c", f"{program}\nfrom monitor.cli.main import main\nmain()")


def kill_and_restart(
    folder: Path, seed: int, kills: int, program: tuple[str, ...] = COMMAND, *, judged: bool = False
) -> Audit:
    """Load, kill at `kills` moments, drain, stop; returns what the stores say.

    `judged` waits until every month has the lead of the closed site that draws power.
    """
    rng = random.Random(seed)
    start_ms = (SystemClock().wall_ms() // 86_400_000 - BACK_DAYS) * 86_400_000
    numbering = Numbering(METERS, start_ms)
    register = register_dir(folder / "register", METERS)
    with Broker(folder / "broker", persistent=True) as broker:
        daemon = DaemonProcess(folder, register, broker.port, {"subscriptions": SUBSCRIPTIONS}, program)
        with daemon:
            daemon.ready()
            publisher = NumberedPublisher(broker.port, numbering, seed)
            publisher.start()
            for _ in range(kills):
                if rng.random() < SHARE_AT_START:
                    time.sleep(rng.uniform(0.0, 2.5))
                else:
                    daemon.ready()
                    time.sleep(rng.choice([0.05, 0.3, 1.5]) * rng.random())
                assert daemon.running, daemon.said
                daemon.kill()
                daemon.start()
            sent = publisher.finish()
            daemon.ready()
            until(lambda: all_in(daemon.state_dir), 60)
            if judged:
                wanted = numbering.months(publisher.sent.tried)
                until(lambda: closed_site_months(daemon.state_dir) >= wanted, 60)
            code, seconds = daemon.stop()
            assert code == 0, daemon.said
            assert seconds < 5.0, daemon.said
    return audit(daemon.state_dir, sent, numbering)


def kill_at(folder: Path, seed: int, faults: Sequence[str], program: tuple[str, ...]) -> Audit:
    """Load, let the daemon be killed at one named point after the other, drain, stop; what the stores say."""
    start_ms = (SystemClock().wall_ms() // 86_400_000 - BACK_DAYS) * 86_400_000
    numbering = Numbering(METERS, start_ms)
    register = register_dir(folder / "register", METERS)
    with (
        Broker(folder / "broker", persistent=True) as broker,
        DaemonProcess(folder, register, broker.port, {"subscriptions": SUBSCRIPTIONS}, program) as daemon,
    ):
        daemon.ready()
        publisher = NumberedPublisher(broker.port, numbering, seed)
        publisher.start()
        daemon.kill()
        for fault in faults:
            daemon.start({VARIABLE: fault})
            assert daemon.wait() == -signal.SIGKILL, daemon.said
        daemon.start()
        sent = publisher.finish()
        until(lambda: all_in(daemon.state_dir), 60)
        assert daemon.stop()[0] == 0, daemon.said
    return audit(daemon.state_dir, sent, numbering)


@pytest.mark.slow
def test_twenty_kills_lose_nothing_and_repeat_nothing(tmp_path: Path) -> None:
    seed = int(os.environ.get("GRIDWARDEN_KILL_SEED", "20260302"))
    found = kill_and_restart(tmp_path, seed, KILLS, judged=True)
    assert not found.faults, f"seed {seed}: {found.faults}"
    assert found.stored > 10_000, f"seed {seed}: hardly any load: {found}"
    assert found.redelivered > 0, f"seed {seed}: the broker never delivered twice: {found}"


@pytest.mark.slow
def test_kills_between_commit_and_acknowledgement_lose_nothing_and_repeat_nothing(tmp_path: Path) -> None:
    found = kill_and_restart(tmp_path, 11, 4, changed(LATE_ACK))
    assert not found.faults, found.faults
    assert found.redelivered > 0, found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("program", "point", "faults"),
    [
        pytest.param(ACK_BEFORE_COMMIT, FaultPoint.BEFORE_COMMIT, ["history: lost"], id="ack_before_commit"),
        pytest.param(
            RECOVERY_WITHOUT_THE_JOURNAL, FaultPoint.AFTER_ACK, ["history: lost"], id="recovery_without_the_journal"
        ),
        pytest.param(
            KNOWS_NOTHING_AGAIN,
            FaultPoint.BEFORE_ACK,
            ["history: repeated", "quarantined readings: repeated"],
            id="what_came_before_is_not_known_again",
        ),
    ],
)
def test_a_planted_bug_is_found(tmp_path: Path, program: str, point: FaultPoint, faults: list[str]) -> None:
    """Rule Q7: a suite that stays green with these is broken. Killed where each of them shows."""
    found = kill_at(tmp_path, 7, [f"{point}:kill:{number}" for number in (3, 20, 11)], changed(program))
    for fault in faults:
        assert any(said.startswith(fault) for said in found.faults), found


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("round_", range(SOAK_ROUNDS))
def test_a_thousand_kills_lose_nothing_and_repeat_nothing(tmp_path: Path, round_: int) -> None:
    seed = int(os.environ.get("GRIDWARDEN_KILL_SEED", "1")) * 1000 + round_
    found = kill_and_restart(tmp_path, seed, SOAK_KILLS, changed(LATE_ACK) if round_ % 2 else COMMAND)
    assert not found.faults, f"seed {seed}: {found.faults}"
