"""What every sink keeps, and the whole way from a finding to each of them."""

from __future__ import annotations

import http.server
import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from connectors.leadfile import LeadFile
from connectors.leadtopic import LeadTopic
from connectors.sink import Delivered, Sink, Unavailable
from connectors.webhook import Webhook, sign
from models.domain.clock import SystemClock
from monitor.desk.database import DESK_FILE, open_desk
from monitor.desk.outbox_rows import OutboxState
from monitor.outbox import OutboxSender
from tests.support.certificates import Certificates
from tests.support.chat_service import GOOD, Service
from tests.support.desk_parts import commit, counts, desk_on, finding
from tests.support.lead_event import LEAD_ID, lead_event
from tests.support.mail_server import Mailbox, mail, running

SECRET = b"canary-secret-77b1e0"


@dataclass
class Outside:
    """The three receivers; each can be made to fail."""

    port: int
    path: Path
    posted: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    published: list[tuple[str, bytes]] = field(default_factory=list)
    down: bool = False

    def publish(self, topic: str, payload: bytes) -> bool:
        if not self.down:
            self.published.append((topic, payload))
        return not self.down

    def sinks(self) -> dict[str, Sink]:
        url = f"http://127.0.0.1:{self.port}/leads"
        return {
            "webhook": Webhook(url, secret=SECRET, key_id="k1", allow=[f"127.0.0.1:{self.port}"]),
            "mqtt": LeadTopic(self.publish, "330100"),
            "file": LeadFile(self.path),
        }

    def received(self, name: str) -> list[bytes]:
        if name == "webhook":
            return [body for _, body in self.posted]
        if name == "mqtt":
            return [payload for _, payload in self.published]
        return self.path.read_bytes().splitlines() if self.path.exists() else []

    def break_down(self, *, down: bool) -> None:
        """Stop or restore all three; the file's directory goes away."""
        self.down = down
        away = self.path.parent.with_name("away")
        if down:
            self.path.parent.rename(away)
        else:
            away.rename(self.path.parent)


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Outside]:
    (tmp_path / "out").mkdir()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if not there.down:
                there.posted.append((dict(self.headers), body))
            self.send_response(503 if there.down else 202)
            self.end_headers()

        def log_message(self, *_args: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    there = Outside(int(server.server_address[1]), tmp_path / "out" / "leads.jsonl")
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield there
    server.shutdown()
    server.server_close()


NAMES = ("webhook", "mqtt", "file")


@pytest.mark.parametrize("name", NAMES)
def test_a_sink_delivers_exactly_the_bytes(outside: Outside, name: str) -> None:
    sink = outside.sinks()[name]
    assert sink.name == name
    assert sink.send('{"id":"k1","zh":"疑似"}'.encode(), "k1", "L1", "t") == Delivered()
    assert outside.received(name) == ['{"id":"k1","zh":"疑似"}'.encode()]


@pytest.mark.parametrize("name", NAMES)
def test_a_sink_that_cannot_says_so_and_takes_it_later(outside: Outside, name: str) -> None:
    sink = outside.sinks()[name]
    outside.break_down(down=True)
    with pytest.raises(Unavailable):
        sink.send(b'{"id":"k1"}', "k1", "L1", "t")
    outside.break_down(down=False)
    assert sink.send(b'{"id":"k1"}', "k1", "L1", "t") == Delivered()
    assert outside.received(name) == [b'{"id":"k1"}']


def test_leads_go_out_on_one_topic_only(outside: Outside) -> None:
    outside.sinks()["mqtt"].send(b"{}", "k", "s", "t")
    assert outside.published == [("grid/v1/iit/330100/leads", b"{}")]
    for district in ("", "a/b", "#", "+", "a b"):
        with pytest.raises(ValueError, match="not an id"):
            LeadTopic(outside.publish, district)


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path / "certificates")


def test_people_are_told_once_the_way_to_them_is_open(certificates: Certificates) -> None:
    """Mail and chat render the event; else they are sinks as the others are."""
    box, service = Mailbox(), Service(certificates)
    box.at_data = "451 later"
    service.says(503, b"")
    with running(box, certificates, "starttls") as port:
        sinks: dict[str, Sink] = {"mail": mail(port, certificates, "starttls"), "apprise": service.sink("wecombot")}
        for name, sink in sinks.items():
            assert sink.name == name
            with pytest.raises(Unavailable):
                sink.send(lead_event(), "k1", LEAD_ID, "t")
        box.at_data = ""
        service.says(*GOOD["wecombot"])
        assert [sink.send(lead_event(), "k1", LEAD_ID, "t") for sink in sinks.values()] == [Delivered()] * 2
    service.shutdown()
    service.server_close()


def test_a_sink_that_hangs_or_refuses_delays_no_other_and_goes_on_after_a_restart(
    tmp_path: Path, outside: Outside, certificates: Certificates
) -> None:
    box, service = Mailbox(), Service(certificates)
    box.at_rcpt = {"a@office.example": "550 no such user"}
    service.wait_s = 4.0
    service.says(*GOOD["wecombot"])
    engine = open_desk(tmp_path)
    names = ("mail", "apprise", "file")
    desk = desk_on(engine, sinks=names)
    changes = [change for offset in range(3) for change in commit(desk, offset, finding(offset))]

    def sender(port: int) -> OutboxSender:
        sinks: dict[str, Sink] = {
            "mail": mail(port, certificates, "starttls"),
            "apprise": service.sink("wecombot", total_timeout_s=3.0),
            "file": LeadFile(outside.path),
        }
        made = OutboxSender(engine, sinks, SystemClock(), random.Random(2))
        made.start()
        return made

    with running(box, certificates, "starttls") as port:
        began_s = time.monotonic()
        first = sender(port)
        until(lambda: counts(engine).get(("file", OutboxState.SENT)) == len(changes))
        assert time.monotonic() - began_s < 2.5
        until(lambda: counts(engine).get(("mail", OutboxState.NEEDS_PERSON)) == 1)
        assert first.stop(8.0)
        assert ("apprise", OutboxState.SENT) not in counts(engine)
        box.at_rcpt, service.wait_s = {}, 0.0
        with engine.begin() as connection:
            connection.execute(sa.text("UPDATE outbox SET state = 'pending' WHERE state = 'needs_person'"))
        second = sender(port)
        until(lambda: all(counts(engine).get((name, OutboxState.SENT)) == len(changes) for name in names), 40)
        assert second.stop(8.0)
    assert len(box.got) == len(changes)
    engine.dispose()
    service.shutdown()
    service.server_close()


def until(condition: Callable[[], bool], timeout_s: float = 15.0) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


def restart(engine: sa.Engine, outside: Outside) -> OutboxSender:
    sender = OutboxSender(engine, outside.sinks(), SystemClock(), random.Random(2))
    sender.start()
    return sender


def test_a_lead_reaches_every_receiver_as_a_cloudevent(tmp_path: Path, outside: Outside) -> None:
    engine = open_desk(tmp_path)
    desk = desk_on(engine, sinks=NAMES)
    changes = [change for offset in range(3) for change in commit(desk, offset, finding(offset))]
    outside.down = True
    sender = restart(engine, outside)
    until(lambda: ("file", OutboxState.SENT) in counts(engine))
    outside.down = False
    until(lambda: all(counts(engine).get((name, OutboxState.SENT)) == len(changes) for name in NAMES))
    assert sender.stop(5.0)
    bodies = {name: list(dict.fromkeys(outside.received(name))) for name in NAMES}
    assert bodies["webhook"] == bodies["mqtt"] == bodies["file"]
    for change, (headers, body) in zip(changes, outside.posted, strict=True):
        event = JSONFormat().read(CloudEvent, body)
        assert event.get_type() == f"cn.gridwarden.lead.{change.change}.v1"
        assert event.get_id() == headers["Idempotency-Key"] == json.loads(body)["id"]
        assert event.get_subject() == change.lead_id
        assert event.get_data() == change.lead
        assert headers["GridWarden-Signature"] == sign(SECRET, body)
    engine.dispose()
    stored = b"".join(file.read_bytes() for file in tmp_path.glob(f"{DESK_FILE}*"))
    assert SECRET not in stored


def test_a_repeat_after_a_crash_is_in_the_file_once(tmp_path: Path, outside: Outside) -> None:
    engine = open_desk(tmp_path)
    desk = desk_on(engine, sinks=("file",))
    for offset in range(3):
        commit(desk, offset, finding(offset))
    sender = OutboxSender(engine, {"file": LeadFile(outside.path)}, SystemClock(), random.Random(2))
    sender.start()
    until(lambda: counts(engine).get(("file", OutboxState.SENT)) == 2)
    assert sender.stop(5.0)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE outbox SET state = 'sending', sent_at_ms = NULL"))
    sender = OutboxSender(engine, {"file": LeadFile(outside.path)}, SystemClock(), random.Random(2))
    sender.start()
    until(lambda: counts(engine).get(("file", OutboxState.SENT)) == 2)
    assert sender.stop(5.0)
    assert len(outside.received("file")) == 2
    engine.dispose()
