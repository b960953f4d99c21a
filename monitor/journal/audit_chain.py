"""The hash chain over the journal's records (rule L3): each digest covers the record and the digest before it."""

from __future__ import annotations

import hashlib
import struct
from typing import Final

ALGORITHM: Final = "sha256"
DIGEST_BYTES: Final = 32
GENESIS: Final = bytes(DIGEST_BYTES)
"""What stands before the very first record."""

_TAG: Final = b"gridwarden-journal-1:" + ALGORITHM.encode("ascii")
_HEADER: Final = struct.Struct(">qbqqqq")
_NO_TICK: Final = -1


def link(
    previous: bytes, *, seq: int, kind: int, committed_ms: int, tick_ms: int | None, messages: int, body: bytes
) -> bytes:
    """Digest of one record: tag, previous digest, a fixed-width big-endian header with the body's length, the body."""
    header = _HEADER.pack(seq, kind, committed_ms, _NO_TICK if tick_ms is None else tick_ms, messages, len(body))
    digest = hashlib.sha256(_TAG)
    digest.update(previous)
    digest.update(header)
    digest.update(body)
    return digest.digest()
