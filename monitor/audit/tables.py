"""Digests of whole tables, taken at an orderly stop: nothing changes them until the next start."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from monitor.audit.checkpoint import TableDigest
from monitor.audit.keys import PUBLIC_NAME
from monitor.desk.database import desk_transaction
from monitor.evidence_pack.origins import ORIGINS_NAME
from monitor.history.history import History

LIMIT_S: Final = 1.0
"""How long the desk's tables may take at a stop; those not reached stay without a digest."""
MOST_HISTORY_ROWS: Final = 3_000_000
"""A table of the history with more rows stays without a digest at a stop, which is to be quick."""
_PAGE: Final = 1000
_ENCODER: Final = msgspec.json.Encoder()


def stop_digests(
    state_dir: Path, engine: sa.Engine, history: History, monotonic_s: Callable[[], float]
) -> dict[str, TableDigest]:
    """Digests of the tables of desk and history, by `desk.NAME` and `history.NAME`, and of small files, by `file.NAME`.

    Of a file, `rows` are its bytes.
    """
    until_s = monotonic_s() + LIMIT_S
    digests: dict[str, TableDigest] = {}
    with desk_transaction(engine) as connection:
        for name in desk_tables(connection):
            digest = table_digest(connection, name, lambda: monotonic_s() < until_s)
            if digest is not None:
                digests[f"desk.{name}"] = digest
    for name, (rows, fingerprint, kind) in history.fingerprints(MOST_HISTORY_ROWS).items():
        digests[f"history.{name}"] = TableDigest(rows, fingerprint, kind)
    for file in small_files(state_dir):
        content = (state_dir / file).read_bytes()
        digests[f"file.{file}"] = TableDigest(len(content), hashlib.sha256(content).hexdigest())
    return digests


def small_files(state_dir: Path) -> list[str]:
    """Files beside the stores that are written once: the public key, and what judged."""
    found = [state_dir / PUBLIC_NAME, *sorted((state_dir / ORIGINS_NAME).glob("*"))]
    return [path.relative_to(state_dir).as_posix() for path in found if path.is_file()]


def desk_tables(connection: sa.Connection) -> list[str]:
    """Names of the desk's tables."""
    return sorted(name for name in sa.inspect(connection).get_table_names() if not name.startswith("sqlite_"))


def table_digest(connection: sa.Connection, name: str, go_on: Callable[[], bool]) -> TableDigest | None:
    """Rows and SHA-256 of one table of the desk in the order they were written; None where `go_on` says no."""
    digest, rows = hashlib.sha256(), 0
    quoted = connection.dialect.identifier_preparer.quote(name)
    found = connection.execution_options(yield_per=_PAGE).exec_driver_sql(f"SELECT * FROM {quoted} ORDER BY rowid")  # noqa: S608 -- quoted above
    for page in found.partitions():
        if not go_on():
            found.close()
            return None
        rows += len(page)
        for row in page:
            digest.update(_ENCODER.encode([_plain(value) for value in row]) + b"\n")
    return TableDigest(rows, digest.hexdigest())


def _plain(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else value
