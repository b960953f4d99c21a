"""What the service manager is told: ready, alive, stopping (systemd's notify protocol; rule C6).

Without `NOTIFY_SOCKET` in the environment nobody listens, and nothing is sent.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping
from typing import Final

_MICROSECONDS: Final = 1_000_000


class ServiceManager:
    """Messages to the service manager. A message that cannot be delivered is not worth stopping for."""

    def __init__(self, address: str | None, watchdog_s: float | None = None) -> None:
        """`address`: path of a datagram socket, an abstract one begins with `@`. `watchdog_s`: how often it wants to
        hear that we are alive, None where it does not ask."""
        self._address = "\0" + address[1:] if address is not None and address.startswith("@") else address
        self.watchdog_s = watchdog_s
        self._status = ""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> ServiceManager:
        """As systemd passes it on; a watchdog meant for another process is not ours."""
        for_us = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        microseconds = environ.get("WATCHDOG_USEC", "")
        wanted = for_us and microseconds.isascii() and microseconds.isdigit() and int(microseconds) > 0
        return cls(environ.get("NOTIFY_SOCKET") or None, int(microseconds) / _MICROSECONDS if wanted else None)

    def ready(self) -> None:
        """Start-up is over."""
        self._send("READY=1")

    def alive(self) -> None:
        """Everything moves: to be said on real progress only."""
        if self.watchdog_s is not None:
            self._send("WATCHDOG=1")

    def stopping(self) -> None:
        """The orderly end has begun."""
        self._send("STOPPING=1")

    def status(self, text: str) -> None:
        """One line for `systemctl status`; the same line is not sent twice."""
        if text != self._status:
            self._status = text
            self._send("STATUS=" + text.replace("\n", " "))

    def _send(self, message: str) -> None:
        if self._address is None:
            return
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            out.settimeout(1.0)
            out.sendto(message.encode(), self._address)
