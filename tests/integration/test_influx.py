"""The InfluxDB feed against a real server that speaks the v2 write API, and against servers that misbehave."""

from __future__ import annotations

import gzip
import http.server
import random
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest

from connectors.influx import InfluxWriter, WriteFailed, WriteFault
from connectors.outbound import ForbiddenAddress
from models.domain.clock import SystemClock
from models.domain.register import Meter, Publisher, Register, RegisterRows
from monitor.history.history import History, HistoryRows
from monitor.influx_feed import InfluxFeed
from monitor.influx_points import Points
from tests.support.certificates import Certificates
from tests.support.daemon_process import until
from tests.support.line_server import LineServer
from tests.support.stores import DAY_MS, MARCH_MS
from tests.unit.test_influx_points import ZONE

TOKEN = "canary-token-41c7f9"
METERS = 200
QUARTER_MS = 900_000
REGISTER = Register(
    RegisterRows(
        meters=tuple(Meter(meter=f"M{m:03d}", site=f"S{m // 10}", publisher="bureau") for m in range(METERS)),
        publishers=(Publisher(publisher="bureau"),),
    ),
    ZONE,
)

Answer = Callable[[http.server.BaseHTTPRequestHandler, bytes], None]


class Counts:
    """What the feed told."""

    def __init__(self) -> None:
        self.points = self.refused = 0
        self.faults: list[WriteFault | None] = []

    def points_written(self, points: int) -> None:
        self.points += points

    def points_refused(self, points: int) -> None:
        self.refused += points

    def feed_failed(self, fault: WriteFault | None) -> None:
        self.faults.append(fault)


class House:
    """A history with waves of readings, and feeds over it."""

    def __init__(self, folder: Path) -> None:
        self.history = History.open(folder)
        self.seq = 0
        self.counts = Counts()

    def waves(self, number: int, start_ms: int = MARCH_MS) -> None:
        """So many waves of all meters, a journal record each, with two channels."""
        for _ in range(number):
            self.seq += 1
            zeros, at = np.zeros(METERS, dtype=np.int32), np.arange(METERS, dtype=np.float64)
            self.history.append(
                HistoryRows(
                    [f"M{m:03d}" for m in range(METERS)],
                    np.full(METERS, start_ms + self.seq * QUARTER_MS, dtype=np.int64),
                    zeros + 900,
                    zeros,
                    np.full(METERS, self.seq, dtype=np.int64),
                    zeros.astype(np.uint8),
                    {"p_kw": at + self.seq, "e_imp_kwh": at + 1e6 + 0.01 * self.seq},
                ),
                cursor=self.seq,
            )

    @contextmanager
    def feed(self, url: str, *, cursor: int = 0, timeout_s: float = 3.0) -> Iterator[InfluxFeed]:
        made = InfluxFeed(
            reader=self.history.reader(),
            points=Points(REGISTER),
            writer=writer(url, timeout_s=timeout_s),
            clock=SystemClock(),
            rng=random.Random(3),
            observer=self.counts,
            batch=5000,
            cursor=cursor,
        )
        made.start()
        try:
            yield made
        finally:
            assert made.stop(5.0)
            assert made.failure is None


def writer(url: str, *, timeout_s: float = 3.0, tls: ssl.SSLContext | None = None) -> InfluxWriter:
    place = urlsplit(url).netloc
    return InfluxWriter(url, org="o", bucket="b", token=TOKEN, allow=[place], timeout_s=timeout_s, tls=tls)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path / "state")
    yield made
    made.history.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LineServer]:
    with LineServer(tmp_path / "server") as running:
        yield running


def test_every_reading_arrives_with_its_tags_and_value(house: House, server: LineServer) -> None:
    house.waves(100)
    with house.feed(server.url) as feed:
        until(lambda: feed.cursor == 100)
        house.waves(20)
        until(lambda: feed.cursor == 120)
        assert feed.lag_records == 0
        assert feed.lag_s == 0
    assert house.counts.points == 120 * METERS
    assert not house.counts.faults
    power, energy = server.points("reading_p_kw"), server.points("reading_e_imp_kwh")
    assert sum(map(len, power.values())) == sum(map(len, energy.values())) == 120 * METERS
    assert power["M007", "S0", "bureau", "900"][MARCH_MS + 5 * QUARTER_MS] == 12.0
    assert energy["M007", "S0", "bureau", "900"][MARCH_MS + 5 * QUARTER_MS] == 1000007.05


def test_a_server_killed_in_the_middle_has_everything_in_the_end(house: House, server: LineServer) -> None:
    """What it had answered for and not yet put on disk is lost with it, and is written once more."""
    house.waves(150)
    with house.feed(server.url) as feed:
        until(lambda: feed.cursor >= 64)
        server.kill()
        house.waves(300)
        until(lambda: bool(house.counts.faults))
        assert feed.lag_records > 0
        assert feed.lag_s > 0
        before = time.monotonic()
        house.waves(1)
        assert time.monotonic() - before < 1.0
        with server:
            until(lambda: feed.cursor == house.seq, 40)
            assert server.count("reading_p_kw") == house.seq * METERS == 451 * METERS
    assert house.counts.faults[0] is WriteFault.UNREACHABLE


def test_a_daemon_killed_in_the_middle_resumes_from_the_kept_cursor(house: House, server: LineServer) -> None:
    house.waves(300)
    kept = 0
    for _ in range(3):
        with house.feed(server.url, cursor=kept) as feed:
            until(lambda before=feed.cursor: feed.cursor > before, every_s=0.001)
            kept = feed.kept_cursor
            assert kept <= feed.cursor
        house.waves(50)
    with house.feed(server.url, cursor=kept) as feed:
        until(lambda: feed.cursor == house.seq)
    assert server.count("reading_p_kw") == 450 * METERS


def test_it_goes_on_by_itself_after_an_outage(house: House, server: LineServer) -> None:
    server.kill()
    house.waves(30)
    with house.feed(server.url) as feed:
        until(lambda: len(house.counts.faults) >= 3)
        assert "127.0.0.1" in feed.trouble
        assert TOKEN not in feed.trouble
        house.history.seal(MARCH_MS + 40 * DAY_MS)
        with server:
            until(lambda: feed.cursor == 30, 40)
            assert feed.trouble == ""
            assert server.count("reading_p_kw") == 30 * METERS


class Hostile(http.server.ThreadingHTTPServer):
    """Takes lines and answers as a test says; `lines` are those it answered for with 204."""

    daemon_threads = True

    def __init__(self, answer: Answer | None = None) -> None:
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.lines: list[bytes] = []
        self.answer: Answer = answer or self.take
        there = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = gzip.decompress(self.rfile.read(int(self.headers["Content-Length"])))
                there.requests.append((dict(self.headers), body))
                there.answer(self, body)

            def log_message(self, *_args: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def handle_error(self, *_args: object) -> None:
        """A client that hangs up is part of these tests."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def take(self, handler: http.server.BaseHTTPRequestHandler, body: bytes) -> None:
        """As a good server does."""
        self.lines += body.splitlines()
        say(204)(handler, body)


def say(code: int, text: bytes = b"", **headers: str) -> Answer:
    def answer(handler: http.server.BaseHTTPRequestHandler, _body: bytes) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        if code != 204:
            handler.send_header("Content-Length", str(len(text)))
        handler.end_headers()
        handler.wfile.write(text)

    return answer


def raw(text: bytes) -> Answer:
    """These bytes as they are, then the connection is closed."""

    def answer(handler: http.server.BaseHTTPRequestHandler, _body: bytes) -> None:
        handler.wfile.write(text)
        handler.close_connection = True

    return answer


def reset(handler: http.server.BaseHTTPRequestHandler, _body: bytes) -> None:
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    handler.close_connection = True


def hang(handler: http.server.BaseHTTPRequestHandler, _body: bytes) -> None:
    time.sleep(4)
    handler.close_connection = True


def drip(handler: http.server.BaseHTTPRequestHandler, _body: bytes) -> None:
    for byte in b"HTTP/1.1 204 No Content\r\n" + b"X" * 100:
        handler.wfile.write(bytes([byte]))
        time.sleep(0.1)


HOSTILE: list[tuple[str, Answer, WriteFault]] = [
    ("a page with 200", say(200, b"<html>sign in</html>"), WriteFault.ANSWER),
    ("bytes that are no text with 200", say(200, b"\xff\xfe\x00"), WriteFault.ANSWER),
    ("500", say(500, b"\xffoops"), WriteFault.SERVER),
    ("503", say(503, b"", Retry_After="1"), WriteFault.BUSY),
    ("429", say(429), WriteFault.BUSY),
    ("401", say(401, b'{"message":"unauthorized access"}'), WriteFault.LOGIN),
    ("403", say(403), WriteFault.LOGIN),
    ("404", say(404, b'{"message":"bucket not found"}'), WriteFault.MISSING),
    ("a redirect", say(307, b"", Location="http://127.0.0.1:9/"), WriteFault.REDIRECT),
    ("everything refused", say(400, b'{"message":"unable to parse"}'), WriteFault.REFUSED),
    ("no HTTP", raw(b"\x00\x01\x02 what?\r\n\r\n"), WriteFault.UNREACHABLE),
    ("half an answer", raw(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{"), WriteFault.UNREACHABLE),
    ("a reset", reset, WriteFault.UNREACHABLE),
    ("silence", hang, WriteFault.TIMEOUT),
    ("a byte at a time", drip, WriteFault.TIMEOUT),
    ("a huge page", say(500, b"x" * 50_000_000), WriteFault.SERVER),
]


@pytest.mark.parametrize(("answer", "fault"), [row[1:] for row in HOSTILE], ids=[row[0] for row in HOSTILE])
def test_an_answer_that_is_none_is_told_and_nothing_is_lost(house: House, answer: Answer, fault: WriteFault) -> None:
    server = Hostile(answer)
    house.waves(3)
    with house.feed(server.url, timeout_s=1.0) as feed:
        until(lambda: len(house.counts.faults) >= 2)
        assert set(house.counts.faults) == {fault}
        assert feed.cursor == 0
        assert (feed.trouble != "") >= fault.needs_operator
        assert house.counts.refused == house.counts.points == 0
        server.answer = server.take
        until(lambda: feed.cursor == 3, 30)
    assert len(set(server.lines)) == 3 * METERS
    server.shutdown()
    server.server_close()


def test_lines_a_server_will_never_take_are_counted_and_left_out(
    house: House, capfd: pytest.CaptureFixture[str]
) -> None:
    server: Hostile

    def picky(handler: http.server.BaseHTTPRequestHandler, body: bytes) -> None:
        if any(b"meter=M013" in line for line in body.splitlines()):
            return say(422, b'{"message":"failure writing points: partial write: field type conflict dropped=1"}')(
                handler, body
            )
        return server.take(handler, body)

    server = Hostile(picky)
    house.waves(10)
    with house.feed(server.url) as feed:
        until(lambda: feed.cursor == 10)
    assert house.counts.refused == 10
    assert len(set(server.lines)) == house.counts.points == 10 * (METERS - 1)
    assert not house.counts.faults
    server.shutdown()
    server.server_close()


def test_points_beyond_the_servers_retention_do_not_cost_a_request_each(house: House) -> None:
    server: Hostile

    def old(handler: http.server.BaseHTTPRequestHandler, body: bytes) -> None:
        lines = body.splitlines()
        if lines[0].startswith(b"gridwarden_feed"):
            return server.take(handler, body)
        return say(422, f"partial write: points beyond retention policy dropped={len(lines)}".encode())(handler, body)

    server = Hostile(old)
    house.waves(50)
    with house.feed(server.url) as feed:
        until(lambda: feed.cursor == 50)
    assert house.counts.refused == 50 * METERS
    assert len(server.requests) < 20
    server.shutdown()
    server.server_close()


def test_a_request_has_thousands_of_lines_the_token_and_the_place(house: House) -> None:
    server = Hostile()
    house.waves(200)
    with house.feed(server.url) as feed:
        until(lambda: feed.cursor == 200)
    headers, _ = server.requests[0]
    assert headers["Authorization"] == f"Token {TOKEN}"
    assert max(len(body.splitlines()) for _, body in server.requests) >= 5000
    server.shutdown()
    server.server_close()


def test_over_tls_the_server_must_prove_who_it_is(tmp_path: Path) -> None:
    made = Certificates(tmp_path / "certificates")
    server = Hostile()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.server, made.server_key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    url = server.url.replace("http:", "https:")
    with pytest.raises(WriteFailed) as refused:
        writer(url).write(b"m v=1 1\n")
    assert refused.value.fault is WriteFault.UNREACHABLE
    assert not server.requests
    writer(url, tls=ssl.create_default_context(cafile=made.ca)).write(b"m v=1 1\n")
    assert server.lines == [b"m v=1 1"]
    server.shutdown()
    server.server_close()


def test_a_private_address_must_be_listed() -> None:
    with pytest.raises(ForbiddenAddress):
        InfluxWriter("http://influx.example:8086", org="o", bucket="b", token=TOKEN)
    closed = InfluxWriter(
        "https://influx.example", org="o", bucket="b", token=TOKEN, resolver=lambda _host, _port: ["10.0.0.9"]
    )
    with pytest.raises(WriteFailed) as refused:
        closed.write(b"m v=1 1\n")
    assert refused.value.fault is WriteFault.FORBIDDEN
    assert TOKEN not in str(refused.value)
