"""Leads by e-mail: one message a notice to all recipients or to none, over TLS, within ten seconds."""

from __future__ import annotations

import smtplib
import socket
import ssl
import threading
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP
from typing import Final, Literal, Self

from connectors.notice_text import NotALead, render
from connectors.outbound import ForbiddenAddress, Resolver, Target, choose_address, system_resolver
from connectors.outbound_post import TOTAL_TIMEOUT_S
from connectors.sink import Delivered, Delivery, Refused, Unavailable

MailTls = Literal["starttls", "implicit", "off"]

_NOTE_CHARACTERS: Final = 200


@dataclass(frozen=True, slots=True)
class MailRoute:
    """Which server takes our mail, and how. `tls` "off" is for a loopback address only."""

    host: str
    port: int
    tls: MailTls
    sender: str
    to: tuple[str, ...]
    username: str = ""
    password: str = field(default="", repr=False)


class Mail:
    """Sink that writes e-mails. `Message-ID` comes from the idempotency key, so that a repeat is recognisable.

    A 5xx answer to the message or one of its addresses is refused; 4xx, silence, and trouble with the login or with
    TLS, which are not the message's fault, are to be tried again.
    """

    def __init__(
        self,
        route: MailRoute,
        *,
        name: str = "mail",
        tls: ssl.SSLContext | None = None,
        resolver: Resolver = system_resolver,
        total_timeout_s: float = TOTAL_TIMEOUT_S,
    ) -> None:
        """Touches no network; `tls` replaces the system's trust."""
        self._route = route
        self._name = name
        self._tls = tls if tls is not None else ssl.create_default_context()
        self._resolver = resolver
        self._total_timeout_s = total_timeout_s
        scheme = "http" if route.tls == "off" else "https"
        self._target = Target(scheme, route.host, route.port, "", listed=True)

    @property
    def name(self) -> str:
        return self._name

    def send(self, body: bytes, idempotency_key: str, subject: str, event_type: str) -> Delivery:  # noqa: ARG002 - the protocol's arguments; the body says all
        """Hand the notice to the mail server. Raises Unavailable where nothing says that it took it."""
        try:
            message = compose(body, idempotency_key, self._route)
        except NotALead as error:
            return Refused(str(error))
        place = f"{self._route.host}:{self._route.port}"
        with _Deadline(self._total_timeout_s) as deadline:
            try:
                address = choose_address(self._target, self._addresses(deadline))
                return self._deliver(message, address, deadline)
            except ForbiddenAddress as error:
                return Refused(str(error))
            except (smtplib.SMTPException, OSError, ValueError) as error:
                if deadline.over:
                    raise Unavailable(f"{place}: not taken within {self._total_timeout_s:g} s") from None
                raise Unavailable(f"{place}: {_told(error)}") from error

    def _addresses(self, deadline: _Deadline) -> list[str]:
        """Resolve in a thread that may be left behind when the time is up."""
        found: list[str] = []
        failed: list[OSError] = []

        def ask() -> None:
            try:
                found.extend(self._resolver(self._route.host, self._route.port))
            except OSError as error:
                failed.append(error)

        thread = threading.Thread(target=ask, name="resolve", daemon=True)
        thread.start()
        thread.join(deadline.seconds)
        if failed:
            raise failed[0]
        return list(found)

    def _deliver(self, message: bytes, address: str, deadline: _Deadline) -> Delivery:
        route = self._route
        with _Client(route, address, self._tls, deadline) as client:
            client.ehlo()
            if route.tls == "starttls":
                client.starttls(context=self._tls)
                deadline.watch(client.connection)
                client.ehlo()
            if route.username:
                client.login(route.username, route.password)
            for code, reply in (client.mail(route.sender), *(client.rcpt(to) for to in route.to)):
                if code >= 300:
                    return _answer(code, reply)
            return _answer(*client.data(message))


def compose(event: bytes, idempotency_key: str, route: MailRoute) -> bytes:
    """The message: plain text in UTF-8, everything on the wire in ASCII. Raises NotALead."""
    text = render(event)
    message = EmailMessage(policy=SMTP)
    message["From"] = route.sender
    message["To"] = ", ".join(route.to)
    message["Subject"] = f"[GridWarden] {text.title}"
    message["Message-ID"] = f"<{idempotency_key}@{route.sender.partition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(f"{text.body}\n", cte="base64")
    return message.as_bytes()


def _answer(code: int, reply: bytes) -> Delivery:
    if 200 <= code < 300:
        return Delivered()
    shown = f"SMTP {code}: {_printable(reply)}".rstrip(": ")
    if 500 <= code < 600:
        return Refused(shown)
    raise Unavailable(shown)


def _told(error: Exception) -> str:
    """What happened, without what we sent: a server may echo a login."""
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return f"the login was refused (SMTP {error.smtp_code})"
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return "the server offers no encryption or no login we can use"
    if isinstance(error, smtplib.SMTPResponseException):
        return f"SMTP {error.smtp_code}"
    return type(error).__name__


def _printable(reply: bytes) -> str:
    text = reply[: 4 * _NOTE_CHARACTERS].decode("utf-8", "replace")
    return "".join(c if c.isprintable() else " " for c in text)[:_NOTE_CHARACTERS].strip()


class _Deadline:
    """Cuts the connection when the whole time is up, however slowly the other side talks."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.over = False
        self._socket: socket.socket | None = None
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True

    def watch(self, connection: socket.socket) -> None:
        """Cut this one; where the time is up already, at once."""
        self._socket = connection
        if self.over:
            self._cut()

    def _cut(self) -> None:
        self.over = True
        if self._socket is not None:
            try:
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
            except OSError:
                return

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()


class _Client(smtplib.SMTP):
    """smtplib's client on a connection to the address that was checked; certificates are those of the host."""

    def __init__(self, route: MailRoute, address: str, tls: ssl.SSLContext, deadline: _Deadline) -> None:
        self._address = address
        self._context = tls if route.tls == "implicit" else None
        self._deadline = deadline
        super().__init__(route.host, route.port, local_hostname="gridwarden", timeout=deadline.seconds)

    @property
    def connection(self) -> socket.socket:
        """The connection as it is now: STARTTLS replaces it."""
        if self.sock is None:
            raise smtplib.SMTPServerDisconnected("the connection is gone")
        return self.sock

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        connection = socket.create_connection((self._address, port), timeout)
        self._deadline.watch(connection)
        if self._context is not None:
            connection = self._context.wrap_socket(connection, server_hostname=host)
            self._deadline.watch(connection)
        return connection
