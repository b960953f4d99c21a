"""A register as canonical bytes: what a version is the digest of, and what the desk keeps."""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from models.domain.register import SHEETS, RegisterRows
from models.domain.sheets import packed

FORMAT: Final = 1
"""Version of the bytes; raised when a row type changes its meaning."""

_LATER: Final = frozenset({"allocations", "reporters", "declared"})
"""Sheets that came later: left out while empty, so that registers without them keep their version."""


class _Snapshot(msgspec.Struct, frozen=True):
    format: int
    rows: dict[str, msgspec.Raw]


def canonical(rows: RegisterRows) -> RegisterRows:
    """The same rows, each sheet sorted by its rows' canonical bytes and numbers in the declared type."""
    return rows_from_json(rows_to_json(rows))


def rows_to_json(rows: RegisterRows) -> bytes:
    """Canonical JSON: equal registers give equal bytes, whatever the order of their rows."""
    encode = msgspec.json.encode
    decoders = {name: msgspec.json.Decoder(row_type) for name, row_type in SHEETS.items()}
    sheets = []
    for name, decoder in decoders.items():
        bodies = sorted(encode(decoder.decode(encode(row))) for row in getattr(rows, name))
        if name in _LATER and not bodies:
            continue
        sheets.append(b'"%s":[%s]' % (name.encode(), b",".join(bodies)))
    return b'{"format":%d,"rows":{%s}}' % (FORMAT, b",".join(sheets))


def rows_from_json(body: bytes) -> RegisterRows:
    """Rows from `rows_to_json`. Raises ValueError where the bytes are of a newer format or no register."""
    snapshot = msgspec.json.decode(body, type=_Snapshot)
    if snapshot.format != FORMAT:
        raise ValueError(f"the register is stored in format {snapshot.format}, this program reads {FORMAT}: update it")
    sheets = {}
    for name, row_type in SHEETS.items():
        bodies = msgspec.json.decode(snapshot.rows.pop(name, b"[]"), type=list[msgspec.Raw])
        sheets[name] = packed(row_type, map(msgspec.json.Decoder(row_type).decode, bodies))
    return RegisterRows(**sheets)  # type: ignore[arg-type]  # each sheet is of its own kind


def version_of(body: bytes) -> str:
    """The version a register is known by: SHA-256 of its canonical bytes, in hex."""
    return hashlib.sha256(body).hexdigest()
