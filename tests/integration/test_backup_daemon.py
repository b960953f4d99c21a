"""A backup beside a daemon that ingests, restored elsewhere: the broker sends again, nothing is lost or repeated."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from models.domain.clock import SystemClock
from monitor.desk.database import read_desk
from tests.support.broker import Broker
from tests.support.daemon_process import DaemonProcess, command, until
from tests.support.numbered import (
    SUBSCRIPTIONS,
    NumberedPublisher,
    Numbering,
    all_in,
    audit,
    closed_site_months,
)
from tests.support.register_dirs import register_dir

METERS = 200
BACK_DAYS = 380
SEED = 5

pytestmark = pytest.mark.mosquitto


def leads_of(state_dir: Path) -> set[tuple[str, str, str]]:
    """Kind, site and month of every standing lead."""
    engine = read_desk(state_dir)
    try:
        with engine.begin() as connection:
            rows = connection.exec_driver_sql("SELECT kind, subject, month FROM leads WHERE standing = 'raised'").all()
    finally:
        engine.dispose()
    return {(str(kind), str(site), str(month)) for kind, site, month in rows}


def publish_all(port: int, numbering: Numbering, at_least: int) -> NumberedPublisher:
    """The seeded readings from the first on, until so many were sent."""
    publisher = NumberedPublisher(port, numbering, SEED, rate=200)
    publisher.start()
    until(lambda: publisher.sent.tried >= at_least, 60)
    return publisher


@pytest.mark.slow
def test_restored_elsewhere_it_has_the_same_leads_and_every_reading_once(tmp_path: Path) -> None:
    start_ms = (SystemClock().wall_ms() // 86_400_000 - BACK_DAYS) * 86_400_000
    numbering = Numbering(METERS, start_ms)
    register = register_dir(tmp_path / "register", METERS)
    settings = {"subscriptions": SUBSCRIPTIONS}
    backups = tmp_path / "backups"
    backups.mkdir()
    with Broker(tmp_path / "broker", persistent=True) as broker:
        with DaemonProcess(tmp_path / "one", register, broker.port, settings) as original:
            original.ready()
            publisher = publish_all(broker.port, numbering, 10_000)
            taken = []
            for _ in range(2):
                done = command("backup", "--out", backups, "--config", original.config, "--json")
                assert done.returncode == 0, done.stderr
                taken.append(json.loads(done.stdout))
                time.sleep(1.1)
            assert taken[0]["journal_head"] < taken[1]["journal_head"], "nothing came in between: no test of anything"
            until(lambda: publisher.sent.tried >= 30_000, 60)
            tried = publisher.sent.tried
            publisher.finish()
            until(lambda: all_in(original.state_dir), 60)
            until(lambda: closed_site_months(original.state_dir) >= numbering.months(tried // 2), 90)
            assert original.stop()[0] == 0, original.said
        with Broker(tmp_path / "other", persistent=True) as elsewhere:
            again = DaemonProcess(tmp_path / "two", register, elsewhere.port, settings)
            done = command("restore", taken[0]["backup"], "--state", again.state_dir)
            assert done.returncode == 0, done.stderr
            with again:
                again.ready()
                second = publish_all(elsewhere.port, numbering, publisher.sent.tried)
                sent = second.finish()
                until(lambda: all_in(again.state_dir), 60)
                until(lambda: closed_site_months(again.state_dir) >= numbering.months(tried // 2), 90)
                assert again.stop()[0] == 0, again.said
    found = audit(again.state_dir, sent, numbering)
    assert not [fault for fault in found.faults if fault.startswith("history")], found
    assert not [fault for fault in found.faults if "leads of" in fault], found
    assert leads_of(original.state_dir)
    assert leads_of(original.state_dir) <= leads_of(again.state_dir)


def test_the_command_line_says_what_it_did_and_what_it_refuses(tmp_path: Path) -> None:
    register = register_dir(tmp_path / "register", METERS)
    with (
        Broker(tmp_path / "broker") as broker,
        DaemonProcess(tmp_path, register, broker.port) as daemon,
    ):
        daemon.ready()
        done = command("backup", "--out", tmp_path / "b", "--state", daemon.state_dir)
        assert done.returncode == 0, done.stderr
        assert "without secret keys" in done.stdout
        again = command("backup", "--out", tmp_path / "b", "--state", daemon.state_dir)
        assert again.returncode == 65
        assert "already there" in again.stderr
        assert "Traceback" not in again.stderr
        into = command("restore", tmp_path / "b", "--state", daemon.state_dir)
        assert into.returncode == 65
        assert "not empty" in into.stderr
        assert daemon.running
