"""Disks that are full, read-only or fail: nothing is acknowledged that is not kept, nothing is lost (rules S3, D1)."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from models.domain.clock import SystemClock
from monitor.fault_points import VARIABLE, FaultPoint
from monitor.supervise import ExitCode
from tests.support.broker import Broker
from tests.support.daemon_process import COMMAND, DaemonProcess, command, until
from tests.support.numbered import SENTINEL, SUBSCRIPTIONS, NumberedPublisher, Numbering, all_in, audit
from tests.support.register_dirs import register_dir
from tests.support.small_disk import SmallDisk

METERS = 200
BACK_DAYS = 380
DISK_MB = 140
DEGRADED = 'gridwarden_state{gridwarden_state="degraded_store"}'

pytestmark = [pytest.mark.mosquitto, pytest.mark.slow]


def numbering() -> Numbering:
    return Numbering(METERS, (SystemClock().wall_ms() // 86_400_000 - BACK_DAYS) * 86_400_000)


@contextmanager
def watched(folder: Path, program: tuple[str, ...] = COMMAND) -> Iterator[tuple[DaemonProcess, Broker]]:
    """A daemon that is ready, with a broker."""
    register = register_dir(folder / "register", METERS)
    with (
        Broker(folder / "broker", persistent=True) as broker,
        DaemonProcess(folder, register, broker.port, {"subscriptions": SUBSCRIPTIONS}, program) as daemon,
    ):
        yield daemon.ready(), broker


@pytest.mark.timeout(240)
def test_a_full_disk_holds_everything_back_until_there_is_room_again(tmp_path: Path) -> None:
    numbers = numbering()
    with (
        SmallDisk(tmp_path / "state", DISK_MB) as disk,
        watched(tmp_path, disk.inside(COMMAND)) as (daemon, broker),
    ):
        publisher = NumberedPublisher(broker.port, numbers, 21, rate=300)
        publisher.start()
        until(lambda: daemon.metric("gridwarden_journal_commits_total") > 20)
        for _ in range(2):
            filler = disk.fill()
            until(lambda: daemon.metric(DEGRADED) == 1, 60)
            while (disk.path / "ballast").exists() or _room(disk):
                filler = disk.fill()
                daemon.metric(DEGRADED)
            before = daemon.metric("gridwarden_journal_commits_total")
            assert daemon.get("/readyz")[0] == 503
            assert daemon.running
            assert daemon.metric("gridwarden_journal_commits_total") == before
            filler.unlink()
            until(lambda: daemon.metric(DEGRADED) == 0, 60)
            until(lambda before=before: daemon.metric("gridwarden_journal_commits_total") > before)  # type: ignore[misc]
        sent = publisher.finish()
        asked = (*disk.inside(COMMAND), "quarantine", "list", "--publisher", SENTINEL, "--json", "--state")
        until(lambda: len(json.loads(subprocess.check_output([*asked, daemon.state_dir]))) == 1, 60, every_s=0.5)
        assert daemon.stop()[0] == 0
        kept = shutil.copytree(disk.path, tmp_path / "kept", ignore=shutil.ignore_patterns("api.sock", "ballast"))
    found = audit(kept, sent, numbers)
    assert not found.faults, found.faults
    assert found.stored > 0


def _room(disk: SmallDisk) -> bool:
    try:
        (disk.path / "probe").write_bytes(b"\0" * 65536)
    except OSError:
        return False
    finally:
        (disk.path / "probe").unlink(missing_ok=True)
    return True


@pytest.mark.parametrize("kind", ["disk_full", "read_only"])
def test_a_store_that_cannot_be_written_for_a_while_degrades_and_goes_on(tmp_path: Path, kind: str) -> None:
    numbers = numbering()
    faults = " ".join(f"{FaultPoint.BEFORE_COMMIT}:raise={kind}:{number}" for number in (3, 4, 9))
    with watched(tmp_path) as (daemon, broker):
        daemon.kill()
        daemon.start({VARIABLE: faults}).ready()
        publisher = NumberedPublisher(broker.port, numbers, 22, rate=300)
        publisher.start()
        until(lambda: daemon.metric("gridwarden_journal_commits_total") > 20)
        sent = publisher.finish()
        until(lambda: all_in(daemon.state_dir), 60)
        assert "degraded_store" in daemon.said
        assert daemon.metric(DEGRADED) == 0
        assert daemon.stop()[0] == 0
    found = audit(daemon.state_dir, sent, numbers)
    assert not found.faults, found.faults


@pytest.mark.parametrize("point", [FaultPoint.BEFORE_COMMIT, FaultPoint.IN_CHECKPOINT, FaultPoint.BEFORE_ALERT_COMMIT])
def test_a_failed_fsync_ends_the_process_and_what_follows_is_recovery(tmp_path: Path, point: FaultPoint) -> None:
    numbers = numbering()
    with watched(tmp_path) as (daemon, broker):
        daemon.kill()
        daemon.start({VARIABLE: f"{point}:raise=fsync:2"})
        publisher = NumberedPublisher(broker.port, numbers, 23, rate=400)
        publisher.start()
        assert daemon.wait(60) in (ExitCode.SOFTWARE, ExitCode.IO), daemon.said
        assert "fsync" in daemon.said
        daemon.start().ready()
        sent = publisher.finish()
        until(lambda: all_in(daemon.state_dir), 60)
        assert daemon.stop()[0] == 0
    found = audit(daemon.state_dir, sent, numbers)
    assert not found.faults, found.faults


def test_a_state_directory_on_a_disk_without_room_is_refused_with_one_line(tmp_path: Path) -> None:
    register = register_dir(tmp_path / "register", METERS)
    with SmallDisk(tmp_path / "state", 1) as disk:
        disk.fill()
        daemon = DaemonProcess(tmp_path, register, 1, program=disk.inside(COMMAND))
        with daemon:
            assert daemon.wait(30) != 0
        lines = [line for line in daemon.said.splitlines() if line]
        assert "Traceback" not in daemon.said, daemon.said
        assert "make room" in lines[-1]


def test_the_test_disk_is_its_own(tmp_path: Path) -> None:
    """What fills up is not the machine's."""
    with SmallDisk(tmp_path / "small", 1) as disk:
        disk.fill()
        assert not list((tmp_path / "small").iterdir())
        assert command("--version").returncode == 0
