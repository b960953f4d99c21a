"""The daemon is killed at every named moment of its work, again and again: nothing is lost, invented or repeated.

Rules Q1, Q4, Q5. One run arms one point after the other under a load that goes on; the checker looks at all of it.
"""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from models.domain.clock import SystemClock
from monitor.fault_points import VARIABLE, FaultPoint
from tests.support.broker import Broker
from tests.support.daemon_process import DaemonProcess, until
from tests.support.house_checker import faults_of_house
from tests.support.numbered import SUBSCRIPTIONS, NumberedPublisher, Numbering, all_in, audit
from tests.support.office import Office
from tests.support.register_dirs import register_dir

METERS = 200
BACK_DAYS = 380
DIES_S = 40.0

UNDER_LOAD = (
    *((point, number) for number in (1, 4) for point in (
        FaultPoint.BEFORE_COMMIT, FaultPoint.AFTER_COMMIT, FaultPoint.BEFORE_ACK, FaultPoint.AFTER_ACK,
        FaultPoint.BEFORE_APPLY, FaultPoint.AFTER_APPLY, FaultPoint.BEFORE_ALERT_COMMIT, FaultPoint.AFTER_ALERT_COMMIT,
    )),
    (FaultPoint.IN_CHECKPOINT, 1),
    (FaultPoint.IN_SEAL, 1),
    (FaultPoint.IN_SEAL, 3),
    (FaultPoint.BEFORE_SEND, 1),
    (FaultPoint.AFTER_SEND, 1),
    (FaultPoint.AFTER_SEND, 2),
    (FaultPoint.BEFORE_COMMIT, 40),
    (FaultPoint.AFTER_COMMIT, 80),
)  # fmt: skip

pytestmark = [pytest.mark.mosquitto, pytest.mark.slow]


@pytest.mark.timeout(600)
def test_a_kill_at_any_point_loses_nothing_and_repeats_nothing(tmp_path: Path) -> None:
    start_ms = (SystemClock().wall_ms() // 86_400_000 - BACK_DAYS) * 86_400_000
    numbering = Numbering(METERS, start_ms)
    register = register_dir(tmp_path / "register", METERS)
    with Office() as office, Broker(tmp_path / "broker", persistent=True) as broker:
        webhook = {"url": f"http://{office.address}/", "secret_file": _secret(tmp_path), "allow": [office.address]}
        settings = {"subscriptions": SUBSCRIPTIONS, "sinks.webhook": webhook, "sinks.file": tmp_path / "leads.jsonl"}
        with DaemonProcess(tmp_path, register, broker.port, settings) as daemon:
            daemon.ready()
            publisher = NumberedPublisher(broker.port, numbering, 5, rate=600)
            publisher.start()
            daemon.kill()
            for point, number in UNDER_LOAD:
                daemon.start({VARIABLE: f"{point}:kill:{number}"})
                assert daemon.wait(DIES_S) == -signal.SIGKILL, f"{point} {number}: {daemon.said}"
            daemon.start()
            sent = publisher.finish()
            until(lambda: all_in(daemon.state_dir), 60)
            until(lambda: daemon.metric('gridwarden_outbox_pending{sink="webhook"}') == 0, 60)
            assert daemon.stop()[0] == 0
            daemon.start({VARIABLE: f"{FaultPoint.IN_DRAIN}:kill:1"}).ready()
            assert daemon.stop()[0] == -signal.SIGKILL
            daemon.start().ready()
            assert daemon.stop()[0] == 0
        received = {
            "webhook": [call.body for call in office.calls],
            "file": (tmp_path / "leads.jsonl").read_bytes().splitlines(),
        }
    found = audit(daemon.state_dir, sent, numbering)
    assert not found.faults, found.faults
    assert found.leads > 0
    assert found.redelivered > 0
    assert faults_of_house(daemon.state_dir, received) == []


def _secret(folder: Path) -> Path:
    path = folder / "webhook.secret"
    path.write_text("a secret of the test")
    path.chmod(0o600)
    return path
