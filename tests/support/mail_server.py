"""A real SMTP server (aiosmtpd) that answers as a test says."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from connectors.mail import Mail, MailRoute, MailTls
from tests.support.broker import free_port
from tests.support.certificates import Certificates

PASSWORD = "canary-word-2d8a"


class Mailbox:
    """What the server got, and what it says at each step ("" for as usual)."""

    def __init__(self) -> None:
        self.got: list[Envelope] = []
        self.at_rcpt: dict[str, str] = {}
        self.at_data = ""

    async def handle_RCPT(self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _o: Any) -> str:  # noqa: N802
        if address not in self.at_rcpt:
            envelope.rcpt_tos.append(address)
        return self.at_rcpt.get(address, "250 OK")

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.at_data:
            return self.at_data
        self.got.append(envelope)
        return "250 taken"


def server_side(made: Certificates) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.server, made.server_key)
    return context


def login(_server: SMTP, _session: Session, _envelope: Envelope, _how: str, given: Any) -> AuthResult:
    right = isinstance(given, LoginPassword) and given == LoginPassword(b"warden", PASSWORD.encode())
    return AuthResult(success=right, handled=False)


@contextmanager
def running(box: Mailbox, made: Certificates, tls: MailTls, *, auth: bool = False) -> Iterator[int]:
    """A mail server on a free loopback port."""
    context = server_side(made)
    more: dict[str, Any] = {"auth_required": True, "authenticator": login} if auth else {}
    if tls == "starttls":
        more |= {"tls_context": context, "require_starttls": True}
    controller = Controller(
        box, hostname="127.0.0.1", port=free_port(), ssl_context=context if tls == "implicit" else None, **more
    )
    controller.start()
    try:
        yield controller.port
    finally:
        controller.stop()


def mail(port: int, made: Certificates, tls: MailTls, *, timeout_s: float = 5.0, **more: str) -> Mail:
    route = MailRoute("127.0.0.1", port, tls, "warden@office.example", ("a@office.example", "b@office.example"), **more)
    return Mail(route, tls=ssl.create_default_context(cafile=made.ca), total_timeout_s=timeout_s)
