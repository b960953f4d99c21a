"""A publisher for the daemon benchmarks: QoS 1 messages over one plain socket, acknowledged before the next call."""

from __future__ import annotations

import socket
import struct
from types import TracebackType
from typing import Final, Self

from tests.bench.loads import publish_packet

_CONNECT: Final = b"\x10\x12\x00\x04MQTT\x04\x02\x00\x00\x00\x06sender"
_CONNACK: Final = b"\x20\x02\x00\x00"
_PUBACK: Final = b"\x40\x02"
_MIDS: Final = 65_535


class Sender:
    """Sends to the readings' topic of the district's publisher; a context manager."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._sent = 0

    def __enter__(self) -> Self:
        self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=30.0)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(_CONNECT)
        if self._received(len(_CONNACK)) != _CONNACK:
            raise ConnectionError("the broker did not accept the publisher")
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def send(self, payload: bytes) -> None:
        """One message; returns when the broker has it."""
        mid = self._sent % _MIDS + 1
        self._sent += 1
        self._socket.sendall(publish_packet(payload, mid))
        if self._received(4) != _PUBACK + struct.pack(">H", mid):
            raise ConnectionError(f"message {mid} was not acknowledged")

    def _received(self, size: int) -> bytes:
        got = b""
        while len(got) < size:
            part = self._socket.recv(size - len(got))
            if not part:
                raise ConnectionError("the broker closed the publisher's connection")
            got += part
        return got
