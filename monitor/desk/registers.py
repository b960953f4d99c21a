"""Versions of the register in the desk: each kept as imported, the newest import in force."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import sqlalchemy as sa
import zstandard

from models.domain.register import RegisterRows
from monitor.desk.database import DeskError, open_desk, read_desk
from monitor.desk.schema import REGISTERS
from monitor.register.snapshot import rows_from_json, rows_to_json, version_of

MAX_BODY_BYTES: Final = 1 << 31
"""Bound on what a stored register unpacks to (rule P2)."""


def put_register(connection: sa.Connection, rows: RegisterRows, imported_at_ms: int) -> str:
    """Keep `rows` as the newest version, within the caller's transaction, and return its version.

    A version that is already there becomes the newest again, its body written
    anew. Its stamp is `imported_at_ms` (Unix ms, UTC), moved past every other one where the clock has been set back.
    """
    body = rows_to_json(rows)
    version = version_of(body)
    newest = connection.scalar(sa.select(sa.func.max(REGISTERS.c.imported_at_ms)).where(REGISTERS.c.version != version))
    stamp_ms = imported_at_ms if newest is None else max(imported_at_ms, newest + 1)
    packed = zstandard.ZstdCompressor(level=6).compress(body)
    known = sa.update(REGISTERS).where(REGISTERS.c.version == version)
    if connection.execute(known.values(imported_at_ms=stamp_ms, body=packed)).rowcount == 0:
        connection.execute(sa.insert(REGISTERS).values(version=version, imported_at_ms=stamp_ms, body=packed))
    return version


def newest_register(connection: sa.Connection) -> tuple[str, RegisterRows] | None:
    """Version and rows of the newest import, None where there is none.

    Raises DeskError where the stored bytes are not what the version was made of (rule S4).
    """
    row = connection.execute(
        sa.select(REGISTERS.c.version, REGISTERS.c.body)
        .order_by(REGISTERS.c.imported_at_ms.desc(), REGISTERS.c.version)
        .limit(1)
    ).first()
    return None if row is None else (row.version, _unpacked(row.version, row.body))


def store_register(state_dir: Path, rows: RegisterRows, imported_at_ms: int) -> str:
    """`put_register` in a desk that is not open: creates or upgrades it. The caller holds the directory's lock."""
    engine = open_desk(state_dir)
    try:
        with engine.begin() as connection:
            return put_register(connection, rows, imported_at_ms)
    finally:
        engine.dispose()


def latest_register(state_dir: Path) -> tuple[str, RegisterRows] | None:
    """`newest_register` of a state directory, for looking only; None where there is no desk yet."""
    try:
        engine = read_desk(state_dir)
    except FileNotFoundError:
        return None
    try:
        with engine.begin() as connection:
            return newest_register(connection)
    finally:
        engine.dispose()


def stored_register_fault(version: str, packed: bytes) -> str | None:
    """What is wrong with a stored version of the register; None where it is what its version was made of."""
    try:
        _unpacked(version, packed)
    except (DeskError, ValueError) as error:
        return str(error)
    return None


def _unpacked(version: str, packed: bytes) -> RegisterRows:
    remedy = "Keep the desk's file, and import the register again or restore a backup."
    try:
        if zstandard.frame_content_size(packed) > MAX_BODY_BYTES:
            raise DeskError(f"register {version[:12]} in the desk claims to unpack to too much. {remedy}")
        body = zstandard.ZstdDecompressor().decompress(packed, max_output_size=MAX_BODY_BYTES)
    except zstandard.ZstdError as error:
        raise DeskError(f"register {version[:12]} in the desk cannot be unpacked. {remedy}") from error
    if version_of(body) != version:
        raise DeskError(f"register {version[:12]} in the desk is not what was imported. {remedy}")
    return rows_from_json(body)
