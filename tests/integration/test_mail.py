"""Notices by e-mail against a real SMTP server (aiosmtpd) and one that misbehaves."""

from __future__ import annotations

import email
import email.policy
import socket
import threading
import time
from collections.abc import Callable

import pytest

from connectors.mail import Mail, MailRoute, MailTls
from connectors.sink import Delivered, Delivery, Refused, Unavailable
from tests.support.broker import free_port
from tests.support.certificates import Certificates
from tests.support.lead_event import LEAD_ID, lead_event
from tests.support.mail_server import PASSWORD, Mailbox, mail, running

KEY = "4f" * 32


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("mail") / "certificates")


def sent(sink: Mail) -> Delivery | str:
    """What became of the notice; the reason where it is to be tried again."""
    try:
        return sink.send(lead_event(), KEY, LEAD_ID, "t")
    except Unavailable as error:
        return str(error).replace(PASSWORD, "LEAKED")


@pytest.mark.parametrize("tls", ["starttls", "implicit", "off"])
def test_a_notice_arrives_readable_and_recognisable(made: Certificates, tls: MailTls) -> None:
    box = Mailbox()
    with running(box, made, tls) as port:
        sink = mail(port, made, tls)
        assert sink.name == "mail"
        assert sent(sink) == sent(sink) == Delivered()
    first, again = box.got
    assert first.rcpt_tos == ["a@office.example", "b@office.example"]
    assert first.content == again.content
    assert isinstance(first.content, bytes)
    assert first.content.isascii()
    message = email.message_from_bytes(first.content, policy=email.policy.default)
    assert message["Message-ID"] == f"<{KEY}@office.example>"
    assert message["Subject"].startswith("[GridWarden] 新线索：疑似感应炉熔炼｜某某金属制品有限公司")
    text = message.get_content()
    assert f"gridwarden leads show {LEAD_ID}" in text
    assert "possible induction-furnace melting" in text.lower() or "Possible induction-furnace melting" in text


def test_a_login_is_used_and_a_wrong_one_waits_for_its_cure(made: Certificates) -> None:
    box = Mailbox()
    with running(box, made, "starttls", auth=True) as port:
        wrong = sent(mail(port, made, "starttls", username="warden", password="nonsense"))
        assert wrong == f"127.0.0.1:{port}: the login was refused (SMTP 535)"
        assert sent(mail(port, made, "starttls", username="warden", password=PASSWORD)) == Delivered()
    assert len(box.got) == 1


@pytest.mark.parametrize(
    ("at_rcpt", "at_data", "again"),
    [
        ({"b@office.example": "451 4.7.1 greylisted, come back"}, "", True),
        ({"b@office.example": "550 5.1.1 no such user"}, "", False),
        ({"a@office.example": "550 5.1.1 no such user", "b@office.example": "550 5.1.1 no such user"}, "", False),
        ({}, "452 4.3.1 out of room", True),
        ({}, "554 5.7.1 looks like spam", False),
    ],
)
def test_the_servers_code_decides_and_it_is_all_or_none(
    made: Certificates, at_rcpt: dict[str, str], at_data: str, *, again: bool
) -> None:
    box = Mailbox()
    box.at_rcpt, box.at_data = at_rcpt, at_data
    with running(box, made, "starttls") as port:
        said = sent(mail(port, made, "starttls"))
        assert isinstance(said, str if again else Refused)
        assert not box.got
        box.at_rcpt, box.at_data = {}, ""
        assert sent(mail(port, made, "starttls")) == Delivered()
    assert box.got[0].rcpt_tos == ["a@office.example", "b@office.example"]


def test_nothing_goes_out_in_plaintext_or_to_a_stranger(made: Certificates) -> None:
    box = Mailbox()
    with running(box, made, "off") as port:
        said = sent(mail(port, made, "starttls", username="warden", password=PASSWORD))
        assert "no encryption" in str(said)
    with running(box, made, "starttls") as port:
        route = MailRoute("127.0.0.1", port, "starttls", "w@office.example", ("a@office.example",))
        assert "SSLCertVerificationError" in str(sent(Mail(route)))
    off = MailRoute("mail.example", 25, "off", "w@office.example", ("a@office.example",))
    assert isinstance(sent(Mail(off, resolver=lambda _h, _p: ["192.0.2.1"])), Refused)
    assert not box.got


Talk = Callable[[socket.socket], None]


def read_until(connection: socket.socket, mark: bytes) -> None:
    held = b""
    while mark not in held:
        more = connection.recv(65_536)
        if not more:
            return
        held += more


def drop_in_data(connection: socket.socket) -> None:
    connection.sendall(b"220 hi\r\n")
    for _ in range(4):  # EHLO, MAIL, RCPT, RCPT
        read_until(connection, b"\r\n")
        connection.sendall(b"250 ok\r\n")
    read_until(connection, b"data\r\n")
    connection.sendall(b"354 go on\r\n")
    connection.recv(20)


def swallow(connection: socket.socket) -> None:
    """Takes the whole message and leaves without a word: nobody knows."""
    connection.sendall(b"220 hi\r\n")
    for _ in range(4):
        read_until(connection, b"\r\n")
        connection.sendall(b"250 ok\r\n")
    read_until(connection, b"data\r\n")
    connection.sendall(b"354 go on\r\n")
    read_until(connection, b"\r\n.\r\n")


def hang(connection: socket.socket) -> None:
    connection.recv(1)


def drip(connection: socket.socket) -> None:
    for _ in range(100):
        connection.sendall(b"220-")
        time.sleep(0.05)


def nonsense(connection: socket.socket) -> None:
    connection.sendall(b"\xff\xfe\x00 what\r\n" * 10)
    hang(connection)


def endless(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"220-" + b"x" * 65_536)


@pytest.mark.parametrize("talk", [drop_in_data, swallow, hang, drip, nonsense, endless])
def test_a_server_that_breaks_off_or_hangs_is_tried_again_in_time(made: Certificates, talk: Talk) -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        try:
            with connection:
                talk(connection)
        except OSError:
            return

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    began_s = time.monotonic()
    assert isinstance(sent(mail(listener.getsockname()[1], made, "off", timeout_s=1.0)), str)
    assert time.monotonic() - began_s < 3.0
    thread.join(5)
    listener.close()


def test_a_server_that_is_not_there_is_tried_again(made: Certificates) -> None:
    assert "ConnectionRefusedError" in str(sent(mail(free_port(), made, "starttls")))


def test_what_is_not_a_lead_is_refused(made: Certificates) -> None:
    assert isinstance(mail(1, made, "off").send(b'{"type":"x"}', KEY, "s", "t"), Refused)


def test_an_enterprise_cannot_write_headers(made: Certificates) -> None:
    event = lead_event().replace("某某金属制品有限公司".encode(), rb"a\r\nBcc: x@evil.example\u2028b")
    box = Mailbox()
    with running(box, made, "off") as port:
        assert mail(port, made, "off").send(event, KEY, LEAD_ID, "t") == Delivered()
    content = box.got[0].content
    assert isinstance(content, bytes)
    message = email.message_from_bytes(content, policy=email.policy.default)
    assert message["Bcc"] is None
