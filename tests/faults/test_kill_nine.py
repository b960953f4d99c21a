"""kill -9 under load, with a real broker: what the broker acknowledged is stored once or quarantined once.

The seed decides the load and the moments; `GRIDWARDEN_KILL_SEED` repeats a run as far as the machine's timing allows.
"""

from __future__ import annotations

import os
import random
import sys
import time
from pathlib import Path

import pytest

from models.domain.clock import SystemClock
from tests.support.broker import Broker
from tests.support.daemon_process import COMMAND, DaemonProcess, until
from tests.support.numbered import SUBSCRIPTIONS, Audit, NumberedPublisher, Numbering, all_in, audit
from tests.support.register_dirs import register_dir

METERS = 100
KILLS = 20
SOAK_ROUNDS = 20
SOAK_KILLS = 50
BACK_DAYS = 380
SHARE_AT_START = 0.2

ACK_BEFORE_COMMIT = """
import time
from monitor.pipeline import Pipeline
take_in = Pipeline.take_in
def early(self, messages):
    self.source.acknowledge(messages)
    time.sleep(0.02)
    take_in(self, messages)
Pipeline.take_in = early
"""
FORGETS_WHAT_IT_STORED = """
from monitor.applier import Applier
Applier.rebuild = lambda self: None
"""
ANOTHER_LEAD_EACH_TIME = """
import uuid
from monitor import leads
from models.domain import leads as domain
domain.lead_id = leads.lead_id = lambda *_: uuid.uuid4().hex[:16]
"""

pytestmark = pytest.mark.mosquitto


def changed(program: str) -> tuple[str, ...]:
    """The command with something in it broken on purpose."""
    return (sys.executable, "-c", f"{program}\nfrom monitor.cli.main import main\nmain()")


def kill_and_restart(folder: Path, seed: int, kills: int, program: tuple[str, ...] = COMMAND) -> Audit:
    """Load, kill at `kills` moments, drain, stop; returns what the stores say."""
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
            code, seconds = daemon.stop()
            assert code == 0, daemon.said
            assert seconds < 5.0, daemon.said
    return audit(daemon.state_dir, sent, numbering)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_twenty_kills_lose_nothing_and_repeat_nothing(tmp_path: Path) -> None:
    seed = int(os.environ.get("GRIDWARDEN_KILL_SEED", "20260302"))
    found = kill_and_restart(tmp_path, seed, KILLS)
    print(f"seed {seed}: {found}")
    assert not found.faults, f"seed {seed}: {found.faults}"
    assert found.stored > 10_000, f"seed {seed}: hardly any load: {found}"
    assert found.redelivered > 0, f"seed {seed}: no message came twice, so no kill fell between commit and ack: {found}"
    assert found.leads > 0, f"seed {seed}: the closed site draws power and nobody says so: {found}"


@pytest.mark.soak
@pytest.mark.parametrize("round_", range(SOAK_ROUNDS))
def test_a_thousand_kills_lose_nothing_and_repeat_nothing(tmp_path: Path, round_: int) -> None:
    seed = int(os.environ.get("GRIDWARDEN_KILL_SEED", "1")) * 1000 + round_
    found = kill_and_restart(tmp_path, seed, SOAK_KILLS)
    assert not found.faults, f"seed {seed}: {found.faults}"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("program", "fault"),
    [
        pytest.param(ACK_BEFORE_COMMIT, "lost", id="ack_before_commit"),
        pytest.param(FORGETS_WHAT_IT_STORED, "history: ", id="rings_not_rebuilt"),
        pytest.param(ANOTHER_LEAD_EACH_TIME, "leads of", id="a_lead_id_not_of_its_content"),
    ],
)
def test_a_planted_bug_is_found(tmp_path: Path, program: str, fault: str) -> None:
    """Rule Q7: a suite that stays green with these is broken."""
    found = kill_and_restart(tmp_path, 7, 4, changed(program))
    assert any(fault in said for said in found.faults), found
