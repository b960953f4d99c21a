"""A publisher that is never the bottleneck: sends packets from a file as they are and counts the acknowledgements.

`python -m tests.bench.publisher PORT FILE MESSAGES`. A process of its own, without an MQTT library.
"""

from __future__ import annotations

import select
import socket
import sys
from pathlib import Path
from typing import Final

_CONNECT: Final = b"\x10\x15\x00\x04MQTT\x04\x02\x00\x00\x00\x09publisher"
_CONNACK: Final = b"\x20\x02\x00\x00"
_PUBACK_BYTES: Final = 4
_PIECE: Final = 1 << 16


def publish(port: int, packets: bytes, messages: int) -> None:
    """Returns when the broker has acknowledged every message."""
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.sendall(_CONNECT)
        if sock.recv(len(_CONNACK)) != _CONNACK:
            raise ConnectionError("the broker did not accept the publisher")
        sock.setblocking(False)
        left = memoryview(packets)
        awaited = messages * _PUBACK_BYTES
        while awaited > 0:
            readable, writable, _ = select.select([sock], [sock] if left else [], [], 60.0)
            if not readable and not writable:
                raise TimeoutError(f"{awaited // _PUBACK_BYTES} messages were not acknowledged")
            if readable:
                got = len(sock.recv(_PIECE))
                if got == 0:
                    raise ConnectionError("the broker closed the publisher's connection")
                awaited -= got
            if writable:
                left = left[sock.send(left[:_PIECE]) :]


if __name__ == "__main__":
    publish(int(sys.argv[1]), Path(sys.argv[2]).read_bytes(), int(sys.argv[3]))
