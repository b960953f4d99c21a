"""The webhook against a real HTTP server."""

from __future__ import annotations

import hashlib
import hmac
import http.server
import shutil
import socket
import ssl
import subprocess
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from connectors.outbound import ForbiddenAddress
from connectors.sink import Delivered, Delivery, Refused, Unavailable
from connectors.webhook import Webhook, sign

SECRET = b"canary-secret-5f2c9d"
BODY = '{"id":"k1","data":{"zh":"疑似"}}'.encode()


class Office(http.server.ThreadingHTTPServer):
    """Answers as it is told and writes down what it got."""

    daemon_threads = True

    def __init__(self, answer: Callable[[http.server.BaseHTTPRequestHandler], None]) -> None:
        self.got: list[tuple[str, dict[str, str], bytes]] = []
        office = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                office.got.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                answer(self)

            def log_message(self, *_args: Any) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)

    def handle_error(self, *_args: Any) -> None:
        """A client that hangs up is part of these tests."""

    @property
    def port(self) -> int:
        return int(self.server_address[1])


def status(code: int, text: bytes = b"", **headers: str) -> Callable[[http.server.BaseHTTPRequestHandler], None]:
    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(text)))
        handler.end_headers()
        handler.wfile.write(text)

    return answer


@pytest.fixture
def serve() -> Iterator[Callable[[Callable[[http.server.BaseHTTPRequestHandler], None]], Office]]:
    offices: list[Office] = []

    def start(answer: Callable[[http.server.BaseHTTPRequestHandler], None]) -> Office:
        office = Office(answer)
        offices.append(office)
        threading.Thread(target=office.serve_forever, args=(0.05,), daemon=True).start()
        return office

    yield start
    for office in offices:
        office.shutdown()
        office.server_close()


def webhook(port: int, **options: Any) -> Webhook:
    allow = [f"127.0.0.1:{port}"]
    return Webhook(f"http://127.0.0.1:{port}/leads?x=1", secret=SECRET, key_id="k1", allow=allow, **options)


def send(sink: Webhook) -> Delivery:
    return sink.send(BODY, "key-1", "L1", "cn.gridwarden.lead.raised.v1")


def test_the_office_gets_the_bytes_the_key_and_a_signature_it_can_check(serve: Callable[..., Office]) -> None:
    office = serve(status(204))
    assert send(webhook(office.port)) == Delivered()
    ((path, headers, body),) = office.got
    assert (path, body) == ("/leads?x=1", BODY)
    assert headers["idempotency-key"] == "key-1"
    assert headers["gridwarden-key-id"] == "k1"
    assert headers["gridwarden-signature"] == "sha256=" + hmac.new(SECRET, BODY, hashlib.sha256).hexdigest()
    assert headers["content-type"].startswith("application/cloudevents+json")
    assert headers["host"] == f"127.0.0.1:{office.port}"
    assert sign(SECRET, BODY + b" ") != headers["gridwarden-signature"]


@pytest.mark.parametrize("code", [400, 401, 404, 409, 410, 422])
def test_a_client_error_needs_a_person_and_says_why(serve: Callable[..., Office], code: int) -> None:
    office = serve(status(code, "没有\x1b[31m这个厂区\n".encode() + b"x" * 5000))
    answer = send(webhook(office.port))
    assert isinstance(answer, Refused)
    assert answer.reason.startswith(f"HTTP {code}: 没有")
    assert answer.reason.isprintable()
    assert len(answer.reason) < 256


@pytest.mark.parametrize("code", [408, 429, 500, 502, 503])
def test_a_passing_trouble_is_tried_again(serve: Callable[..., Office], code: int) -> None:
    office = serve(status(code, Retry_After="7"))
    with pytest.raises(Unavailable) as caught:
        send(webhook(office.port))
    assert caught.value.retry_after_s == 7.0


@pytest.mark.parametrize(("given", "taken"), [("99999999", 900.0), ("-1", None), ("soon", None), ("９", None)])
def test_retry_after_is_bounded_and_never_guessed(
    serve: Callable[..., Office], given: str, taken: float | None
) -> None:
    office = serve(status(503, Retry_After=given.encode().decode("latin-1")))
    with pytest.raises(Unavailable) as caught:
        send(webhook(office.port))
    assert caught.value.retry_after_s == taken


def test_a_redirect_is_not_followed(serve: Callable[..., Office]) -> None:
    elsewhere = serve(status(200))
    office = serve(status(307, Location=f"http://127.0.0.1:{elsewhere.port}/"))
    answer = send(webhook(office.port))
    assert isinstance(answer, Refused)
    assert "redirect" in answer.reason
    assert elsewhere.got == []


def test_an_endless_reply_is_not_read_to_its_end(serve: Callable[..., Office]) -> None:
    wrote = []

    def endless(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(1 << 40))
        handler.end_headers()
        for _ in range(1000):
            handler.wfile.write(b"x" * 65536)
            wrote.append(65536)

    office = serve(endless)
    assert send(webhook(office.port)) == Delivered()
    assert sum(wrote) < 32 * 1024 * 1024


@pytest.mark.parametrize("part", ["headers", "body"])
def test_a_dripping_reply_ends_with_the_total_time(serve: Callable[..., Office], part: str) -> None:
    def drip(handler: http.server.BaseHTTPRequestHandler) -> None:
        if part == "body":
            handler.send_response(200)
            handler.send_header("Content-Length", "1000")
            handler.end_headers()
        for _ in range(100):
            handler.wfile.write(b"H")
            handler.wfile.flush()
            time.sleep(0.1)

    office = serve(drip)
    before = time.monotonic()
    with pytest.raises(Unavailable, match="no answer within"):
        send(webhook(office.port, total_timeout_s=0.8))
    assert time.monotonic() - before < 3.0


def test_a_resolver_that_hangs_ends_with_the_total_time() -> None:
    released = threading.Event()

    def hang(_host: str, _port: int) -> list[str]:
        released.wait(10.0)
        return ["127.0.0.1"]

    sink = Webhook("https://office.example/", secret=SECRET, key_id="k1", resolver=hang, total_timeout_s=0.3)
    with pytest.raises(Unavailable, match="no answer within"):
        send(sink)
    released.set()


def test_a_name_that_leads_inside_is_refused_before_anything_is_sent(serve: Callable[..., Office]) -> None:
    office = serve(status(200))
    sink = Webhook(
        f"https://office.example:{office.port}/", secret=SECRET, key_id="k1", resolver=lambda *_: ["127.0.0.1"]
    )
    assert isinstance(send(sink), Refused)
    assert office.got == []


def test_nobody_listening_and_no_such_name_are_troubles() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(Unavailable, match="ConnectError"):
        send(webhook(port))

    def unknown(_host: str, _port: int) -> list[str]:
        raise socket.gaierror(-2, "Name or service not known")

    with pytest.raises(Unavailable, match="cannot be resolved"):
        send(Webhook("https://office.example/", secret=SECRET, key_id="k1", resolver=unknown))


def test_settings_are_checked_without_the_network() -> None:
    with pytest.raises(ForbiddenAddress):
        Webhook("http://office.example/", secret=SECRET, key_id="k1")
    with pytest.raises(ValueError, match="secret is empty"):
        Webhook("https://office.example/", secret=b"", key_id="k1")


def test_the_secret_is_in_no_message_log_or_repr(serve: Callable[..., Office]) -> None:
    told: list[str] = []
    with structlog.testing.capture_logs() as logs:
        for answer in (status(200), status(404, b"no"), status(500), status(302, Location="/x")):
            sink = webhook(serve(answer).port)
            told.append(repr(sink))
            try:
                told.append(repr(send(sink)))
            except Unavailable:
                told.append(traceback.format_exc())
    with pytest.raises(Unavailable) as caught:
        send(webhook(1))
    told += ["".join(traceback.format_exception(caught.value)), repr(logs)]
    assert SECRET.decode() not in "\n".join(told)
    assert SECRET.hex() not in "\n".join(told)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    directory = tmp_path_factory.mktemp("tls")
    key, cert = directory / "key.pem", directory / "cert.pem"
    command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", str(key), "-out", str(cert), "-days", "3", "-subj", "/CN=office.example"]
    command += ["-addext", "subjectAltName=DNS:office.example"]
    subprocess.run(command, check=True, capture_output=True)
    return key, cert


@pytest.mark.parametrize("name", ["office.example", "other.example"])
def test_tls_goes_to_the_checked_address_under_the_name_of_the_url(
    serve: Callable[..., Office], certificate: tuple[Path, Path], name: str
) -> None:
    key, cert = certificate
    office = serve(status(200))
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(cert, key)
    office.socket = server_side.wrap_socket(office.socket, server_side=True)
    asked: list[tuple[str, int]] = []

    def resolver(host: str, port: int) -> list[str]:
        asked.append((host, port))
        return ["127.0.0.1"]

    sink = Webhook(
        f"https://{name}:{office.port}/leads",
        secret=SECRET,
        key_id="k1",
        allow=[f"{name}:{office.port}"],
        tls=ssl.create_default_context(cafile=str(cert)),
        resolver=resolver,
    )
    if name == "office.example":
        assert send(sink) == Delivered()
        assert office.got[0][1]["host"] == f"office.example:{office.port}"
    else:
        with pytest.raises(Unavailable, match="ConnectError"):
            send(sink)
        assert office.got == []
    assert asked == [(name, office.port)]
