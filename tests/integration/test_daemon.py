"""`gridwarden run` as a process beside a real mosquitto: health, ends, brokers, leads out, questions of the shell."""

from __future__ import annotations

import hmac
import json
import sys
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from models.domain.clock import SystemClock
from monitor.cli.access import open_access
from monitor.history.history import History
from tests.support.broker import REFERENCE, Broker, free_port
from tests.support.certificates import Certificates
from tests.support.daemon_process import DaemonProcess, command, until, write_config
from tests.support.numbered import SUBSCRIPTIONS, NumberedPublisher, Numbering, all_in, audit
from tests.support.office import Office, connected, listening, publish, quarter_hours, wave
from tests.support.register_dirs import CLOSED_METER, CLOSED_SITE, register_dir

METERS = 12
MAX_SERIES = 1000
DRAIN_S = 5.0

pytestmark = pytest.mark.mosquitto


@pytest.fixture(scope="module")
def register(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return register_dir(tmp_path_factory.mktemp("register"), METERS)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path / "broker", persistent=True) as running:
        yield running


def stored(daemon: DaemonProcess) -> float:
    """Readings in the stores, by the daemon's own count."""
    return daemon.metric('gridwarden_readings_total{outcome="stored"}')


def rows_in_history(state_dir: Path) -> int:
    """Readings in a stopped daemon's history."""
    history = History.open(state_dir)
    try:
        return int(history.read(0, 1 << 45).num_rows)
    finally:
        history.close()


def test_it_is_ready_only_while_it_runs_with_a_broker(tmp_path: Path, register: Path) -> None:
    broker = Broker(tmp_path / "broker")
    with DaemonProcess(tmp_path, register, broker.port) as daemon:
        daemon.wait_for("running; state in")
        status, body = daemon.get("/readyz")
        assert status == 503
        assert "broker" in body
        assert daemon.get("/healthz")[0] == 200
        with broker:
            until(lambda: daemon.get("/readyz")[0] == 200)
            assert daemon.metric("gridwarden_mqtt_connected") == 1
        until(lambda: daemon.get("/readyz")[0] == 503)
        assert daemon.metric("gridwarden_mqtt_connected") == 0
        assert daemon.get("/healthz")[0] == 200
        with broker:
            until(lambda: daemon.get("/readyz")[0] == 200)
        assert daemon.stop()[0] == 0


def test_strangers_do_not_make_series(tmp_path: Path, register: Path, broker: Broker) -> None:
    """Rule L2: labels come from closed sets, whatever meters and topics somebody invents."""
    with DaemonProcess(tmp_path, register, broker.port) as daemon:
        daemon.ready()
        at_ms = quarter_hours(1, 1)[0]
        with connected(broker.port) as client:
            for number in range(1500):
                row = {"meter": f"fake{number}", "ts": at_ms, "p_kw": 1.0}
                body = json.dumps({"v": 1, "readings": [row]}).encode()
                client.publish(f"grid/v1/who{number}/readings", body, qos=1)
            rows = [{"meter": f"{number:x}", "ts": at_ms, "p_kw": 1.0} for number in range(5000)]
            publish(client, [json.dumps({"v": 1, "readings": rows}).encode()])
        until(lambda: daemon.metric('gridwarden_readings_total{outcome="quarantined"}') >= 6500)
        series = [line for line in daemon.get("/metrics")[1].splitlines() if not line.startswith("#")]
        assert len(series) < MAX_SERIES
        assert {line.split("_")[0] for line in series} == {"gridwarden", "process"}
        assert not [line for line in series if "fake" in line or "who1" in line]
        until(lambda: daemon.metric("gridwarden_unknown_meters") == 6500)
        assert daemon.said.count("is not in the register") < 100


def test_a_term_signal_under_load_drains_in_time_and_loses_nothing(
    tmp_path: Path, register: Path, broker: Broker
) -> None:
    start_ms = (SystemClock().wall_ms() // 86_400_000 - 300) * 86_400_000
    numbering = Numbering(METERS, start_ms)
    with DaemonProcess(tmp_path, register, broker.port, {"subscriptions": SUBSCRIPTIONS}) as daemon:
        daemon.ready()
        publisher = NumberedPublisher(broker.port, numbering, 3, rate=800)
        publisher.start()
        for _ in range(2):
            time.sleep(1.5)
            code, seconds = daemon.stop()
            assert code == 0, daemon.said
            assert seconds < DRAIN_S
            daemon.start().ready()
        sent = publisher.finish()
        until(lambda: all_in(daemon.state_dir), 30)
        assert daemon.stop()[0] == 0
    found = audit(daemon.state_dir, sent, numbering)
    assert not found.faults
    assert found.stored > 1000


def test_a_second_instance_leaves_with_one_clear_line(tmp_path: Path, register: Path, broker: Broker) -> None:
    with DaemonProcess(tmp_path, register, broker.port) as daemon:
        daemon.ready()
        second = command("run", "--config", daemon.config)
        assert second.returncode == 75
        (line,) = second.stderr.splitlines()
        assert f"process {daemon.pid}" in line
        assert daemon.get("/readyz")[0] == 200


def test_a_broker_that_forgot_the_session_is_a_gap_and_readings_come_again(tmp_path: Path, register: Path) -> None:
    broker = Broker(tmp_path / "broker", persistent=False).start()
    stamps = quarter_hours(1, 1)
    with DaemonProcess(tmp_path, register, broker.port) as daemon:
        daemon.ready()
        with connected(broker.port) as client:
            publish(client, [wave(stamps[0], METERS)])
        until(lambda: stored(daemon) == METERS)
        assert daemon.metric('gridwarden_gaps_total{cause="session_lost"}') == 0
        broker.kill()
        until(lambda: daemon.get("/readyz")[0] == 503)
        with broker:
            until(lambda: daemon.get("/readyz")[0] == 200)
            assert daemon.metric('gridwarden_gaps_total{cause="session_lost"}') == 1
            with connected(broker.port) as client:
                publish(client, [wave(stamps[1], METERS)])
            until(lambda: stored(daemon) == 2 * METERS)
            assert daemon.stop()[0] == 0


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_the_session_keeps_what_comes_while_the_daemon_is_dead(
    tmp_path: Path, register: Path, broker: Broker, version: str
) -> None:
    stamps = quarter_hours(3, 2)
    with DaemonProcess(tmp_path, register, broker.port, {"mqtt.version": version}) as daemon:
        daemon.ready()
        with connected(broker.port) as client:
            publish(client, [wave(at_ms, METERS) for at_ms in stamps[:50]])
            daemon.kill()
            publish(client, [wave(at_ms, METERS) for at_ms in stamps[50:150]])
        broker.stop()
        with broker:
            daemon.start().ready()
            assert daemon.wait_for("connected to the broker")["event"].endswith("session resumed")
            until(lambda: stored(daemon) >= 100 * METERS)
            until(lambda: daemon.metric("gridwarden_intake_queue_messages") == 0)
            assert daemon.stop()[0] == 0
    assert rows_in_history(daemon.state_dir) == 150 * METERS


def test_tls_with_a_client_certificate(tmp_path: Path, register: Path) -> None:
    made = Certificates(tmp_path / "certificates")
    made.client_key.chmod(0o600)
    lines = [
        "allow_anonymous false",
        *REFERENCE[1:],
        f"cafile {made.ca}",
        f"certfile {made.server}",
        f"keyfile {made.server_key}",
        "require_certificate true",
        "use_identity_as_username true",
    ]
    made.server_key.chmod(0o644)
    with Broker(tmp_path / "broker", lines) as broker:
        without = {"mqtt.tls": "on", "mqtt.ca_file": made.ca}
        certificate = {"mqtt.cert_file": made.client, "mqtt.key_file": made.client_key}
        with DaemonProcess(tmp_path / "without", register, broker.port, without) as refused:
            refused.wait_for("running; state in")
            refused.wait_for("degraded")
            assert refused.get("/readyz")[0] == 503
        with DaemonProcess(tmp_path / "with", register, broker.port, without | certificate) as daemon:
            daemon.ready()
            assert daemon.get("/readyz")[0] == 200
            assert daemon.stop()[0] == 0


def test_every_fault_of_the_configuration_is_told_at_once(tmp_path: Path, register: Path) -> None:
    config = write_config(
        tmp_path / "wrong.toml",
        {
            "daemon.state_dir": tmp_path / "state",
            "daemon.zone": "Mars/Olympus",
            "mqtt.prot": 1883,
            "ops.port": 99_999,
            "sinks.webhook.url": "https://office.example/leads",
            "sinks.webhook.secret_file": tmp_path / "absent",
        },
    )
    done = command("run", "--config", config)
    assert done.returncode == 78
    for told in ("daemon.zone", "mqtt.prot", "port", "ops.port", "sinks.webhook.secret_file"):
        assert told in done.stderr
    assert not (tmp_path / "state").exists()


def test_it_does_not_start_without_a_register(tmp_path: Path) -> None:
    config = write_config(tmp_path / "none.toml", {"daemon.state_dir": tmp_path / "state"})
    done = command("run", "--config", config)
    assert done.returncode == 78
    assert "gridwarden register import" in done.stderr
    config = write_config(tmp_path / "absent.toml", {"daemon.register": tmp_path / "absent"})
    done = command("run", "--config", config)
    assert done.returncode == 78
    assert "daemon.register" in done.stderr


def test_it_does_not_start_with_a_register_at_fault(tmp_path: Path) -> None:
    folder = register_dir(tmp_path / "register", 3)
    meters = (folder / "meters.csv").read_text(encoding="utf-8")
    (folder / "meters.csv").write_text(meters.replace("900", "901").replace("S0000", "S9"), encoding="utf-8")
    config = write_config(
        tmp_path / "c.toml", {"daemon.state_dir": tmp_path / "state", "daemon.register": folder, "ops.port": 0}
    )
    done = command("run", "--config", config)
    assert done.returncode == 65
    assert "cadence_s" in done.stderr
    assert "S9" in done.stderr


def test_a_port_in_use_is_one_line(tmp_path: Path, register: Path, broker: Broker) -> None:
    with DaemonProcess(tmp_path, register, broker.port, {"ops.port": broker.port}) as daemon:
        assert daemon.wait() == 69
        assert str(broker.port) in daemon.said.splitlines()[-1]


@pytest.mark.slow
def test_a_closed_site_that_draws_power_reaches_the_office_and_the_shell(
    tmp_path: Path, register: Path, broker: Broker
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("a secret of the office\n")
    secret.chmod(0o600)
    lead_file = tmp_path / "leads.jsonl"
    with Office() as office, listening(broker.port, "grid/v1/iit/d1/leads") as on_topic:
        settings = {
            "daemon.district": "d1",
            "sinks.mqtt_leads": True,
            "sinks.file": lead_file,
            "sinks.webhook": {
                "url": f"http://{office.address}/leads",
                "secret_file": secret,
                "allow": [office.address],
            },
        }
        with DaemonProcess(tmp_path, register, broker.port, settings) as daemon:
            daemon.ready()
            with connected(broker.port) as client:
                publish(client, [wave(at_ms, METERS) for at_ms in quarter_hours(4, 3.9)])
                publish(client, [b"not a reading"])
            until(lambda: office.calls and on_topic and lead_file.exists(), 40)
            state = ("--state", daemon.state_dir)
            status = open_access(daemon.state_dir).status()
            assert (status["running"], status["state"], status["unready"]) == (True, "run", [])
            listed = json.loads(command("leads", "list", "--json", *state).stdout)
            (lead,) = [lead for lead in listed if lead["kind"] == "sealed_site"]
            assert lead["site"]["id"] == CLOSED_SITE
            assert lead["meters"] == [CLOSED_METER]
            shown = command("leads", "show", lead["id"], *state)
            assert "关停" in shown.stdout
            assert json.loads(command("leads", "show", lead["id"], "--json", *state).stdout)["revisions"]
            (entry,) = json.loads(command("quarantine", "list", "--json", *state).stdout)
            assert "not a reading" in command("quarantine", "show", str(entry["id"]), *state).stdout
            until(lambda: daemon.metric('gridwarden_outbox_pending{sink="webhook"}') == 0)
            assert daemon.metric('gridwarden_outbox_attempts_total{result="sent",sink="webhook"}') >= len(office.calls)
            until(
                lambda: (
                    {json.loads(body)["id"] for body in on_topic}
                    >= {c.headers["idempotency-key"] for c in office.calls}
                )
            )
            assert daemon.stop()[0] == 0
        for call in office.calls:
            event = json.loads(call.body)
            digest = hmac.new(secret.read_bytes().strip(), call.body, sha256).hexdigest()
            assert call.headers["gridwarden-signature"] == f"sha256={digest}"
            assert call.headers["idempotency-key"] == event["id"]
            assert event["specversion"] == "1.0"
            assert event["type"].startswith("cn.gridwarden.lead.")
        in_calls = [json.loads(call.body) for call in office.calls]
        in_file = [json.loads(line) for line in lead_file.read_text(encoding="utf-8").splitlines()]
        raised = next(event for event in in_file if event["type"] == "cn.gridwarden.lead.raised.v1")
        assert raised["data"]["site"]["id"] == CLOSED_SITE
        assert len({event["id"] for event in in_file}) == len(in_file)
        assert {event["id"] for event in in_calls} == {event["id"] for event in in_file}
    assert open_access(daemon.state_dir).status()["running"] is False
    after = json.loads(command("leads", "list", "--json", *state).stdout)
    assert [lead["id"] for lead in after] == [lead["id"] for lead in listed]
    assert json.loads(command("leads", "show", lead["id"], "--json", *state).stdout)["id"] == lead["id"]
    assert len(json.loads(command("quarantine", "list", "--json", *state).stdout)) == 1
    assert "not a reading" in command("quarantine", "show", str(entry["id"]), *state).stdout


def test_a_term_signal_during_a_long_recovery_ends_it_in_time(tmp_path: Path, register: Path) -> None:
    """Rule C4: start-up is crash recovery, so it may be left anywhere."""
    slow = (
        "import time; from monitor.pipeline import Pipeline; from monitor.cli.main import main\n"
        "Pipeline.recover = lambda self: [time.sleep(0.1) for _ in range(600)]\n"
        "main()"
    )
    with DaemonProcess(tmp_path, register, free_port(), program=(sys.executable, "-c", slow)) as daemon:
        daemon.wait_for("journal open")
        code, seconds = daemon.stop()
        assert (code, seconds < DRAIN_S) == (0, True)


def test_the_daemon_waits_for_a_broker_that_is_not_there_and_stops_in_time(tmp_path: Path, register: Path) -> None:
    with DaemonProcess(tmp_path, register, free_port()) as daemon:
        daemon.wait_for("degraded")
        code, seconds = daemon.stop()
        assert (code, seconds < DRAIN_S) == (0, True)


def test_where_most_publishers_are_ahead_of_our_clock_judging_waits_and_intake_goes_on(
    tmp_path: Path, broker: Broker
) -> None:
    """Rule T4: the fault is ours then, and what is judged by a wrong clock is judged wrongly."""
    register = register_dir(tmp_path / "register", METERS)
    others = ("bureau2", "bureau3")
    with (register / "publishers.csv").open("a", encoding="utf-8") as sheet:
        sheet.writelines(f"{name},否\n" for name in others)
    with (register / "meters.csv").open("a", encoding="utf-8") as sheet:
        sheet.writelines(f"X-{name},S0000,{name},900,1000,2020-01-01\n" for name in others)

    def reading(name: str, ts_ms: int) -> bytes:
        return json.dumps({"v": 1, "readings": [{"meter": f"X-{name}", "ts": ts_ms, "p_kw": 1.0}]}).encode()

    now_ms = SystemClock().wall_ms()
    with DaemonProcess(tmp_path, register, broker.port) as daemon, connected(broker.port) as client:
        daemon.ready()
        for name in others:
            publish(client, [reading(name, now_ms + 3_600_000)], f"grid/v1/{name}/readings")
        until(lambda: "degraded_time" in daemon.get("/readyz")[1])
        waves = [wave(ts_ms, METERS) for ts_ms in quarter_hours(4, 3)]
        publish(client, waves)
        until(lambda: stored(daemon) == len(waves) * METERS)
        time.sleep(1.5)
        assert daemon.metric("gridwarden_nights_judged_total") == 0
        for name in others:
            publish(client, [reading(name, now_ms)], f"grid/v1/{name}/readings")
        until(lambda: daemon.get("/readyz")[0] == 200)
        until(lambda: daemon.metric("gridwarden_nights_judged_total") > 0)
        assert daemon.stop()[0] == 0
