"""Tables of the history, how it is opened, and what DuckDB's errors are called here."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa

from models.domain.channels import CHANNELS, REGISTERS
from monitor.storage import StoreDamaged, StoreError, StoreFatal, StoreFull, StoreLocked, StoreNewer

SCHEMA_VERSION: Final = 1
KEY_COLUMNS: Final = ("meter_id", "ts_ms", "interval_s", "rev", "seq", "flags")
"""Columns of `reading` before its channels."""

_FEATURE_NAME: Final = re.compile(r"^[a-z][a-z0-9_]{0,62}$")
_FEATURE_KEYS: Final = frozenset({"night", "interval_s", "version", "meter_id"})
_HOLDER: Final = re.compile(r"PID (\d+)")

SCHEMA: Final = """
CREATE TABLE applied (version INTEGER NOT NULL, journal_seq BIGINT NOT NULL CHECK (journal_seq >= 0));
CREATE TABLE meter (meter_id INTEGER NOT NULL, name VARCHAR NOT NULL);
CREATE TABLE reading (
    meter_id INTEGER NOT NULL, ts_ms BIGINT NOT NULL, interval_s INTEGER NOT NULL, rev INTEGER NOT NULL,
    seq BIGINT NOT NULL, flags UTINYINT NOT NULL
);
CREATE TABLE part (
    part_id INTEGER NOT NULL, file VARCHAR NOT NULL, day DATE NOT NULL, sealed BOOLEAN NOT NULL,
    rows BIGINT NOT NULL, bytes BIGINT NOT NULL, first_ms BIGINT NOT NULL, last_ms BIGINT NOT NULL,
    sha256 VARCHAR NOT NULL
);
CREATE TABLE sealed_newest (meter VARCHAR NOT NULL, interval_s INTEGER NOT NULL, ts_ms BIGINT NOT NULL);
CREATE TABLE feature (
    night DATE NOT NULL, interval_s INTEGER NOT NULL, version INTEGER NOT NULL, meter_id INTEGER NOT NULL
);
CREATE TABLE score (
    night DATE NOT NULL, meter_id INTEGER NOT NULL, site VARCHAR NOT NULL, detector VARCHAR NOT NULL,
    score DOUBLE, probability DOUBLE, status VARCHAR NOT NULL, reasons VARCHAR NOT NULL
);
"""


CHECKPOINT_AT: Final = "64MB"
"""Size of DuckDB's log at which a commit folds it into the file, whoever waits; `History.tidy` comes before."""


def connect(path: Path, *, memory_limit: str) -> duckdb.DuckDBPyConnection:
    """Open or make the history file: one thread, bounded memory, nothing fetched from outside.

    Raises `StoreLocked`, `StoreNewer`, `StoreFull` or `StoreDamaged`.
    """
    settings: dict[str, str | bool | int | float | list[str]] = {
        "threads": 1,
        "memory_limit": memory_limit,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "preserve_insertion_order": True,
        "checkpoint_threshold": CHECKPOINT_AT,
    }
    try:
        connection = duckdb.connect(str(path), config=settings)
    except duckdb.Error as error:
        failure = as_store_error(path, error)
        raise (failure if isinstance(failure, (StoreLocked, StoreFull)) else StoreDamaged(path, str(error))) from error
    try:
        with duckdb_errors(path):
            _prepare(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    tables = {name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
    if "applied" not in tables:
        connection.begin()
        connection.execute(SCHEMA)
        connection.execute("INSERT INTO applied VALUES (?, 0)", (SCHEMA_VERSION,))
        connection.commit()
        return
    rows = connection.execute("SELECT version FROM applied").fetchall()
    if len(rows) != 1:
        raise StoreDamaged(path, "the history's own row is missing")
    if rows[0][0] > SCHEMA_VERSION:
        raise StoreNewer(path, rows[0][0], SCHEMA_VERSION)


def columns_of(connection: duckdb.DuckDBPyConnection, table: str) -> list[str]:
    """Names of a table's columns, in the order they were made."""
    rows = connection.execute(
        "SELECT column_name FROM duckdb_columns() WHERE table_name = ? ORDER BY column_index", (table,)
    ).fetchall()
    return [name for (name,) in rows]


def channel_columns(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """The channels `reading` has a column for, in the order of `CHANNELS`."""
    present = set(columns_of(connection, "reading"))
    return [name for name in CHANNELS if name in present]


def feature_columns(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """The features `feature` has a column for, in the order they were first written."""
    return [name for name in columns_of(connection, "feature") if name not in _FEATURE_KEYS]


def add_channels(connection: duckdb.DuckDBPyConnection, names: Iterable[str]) -> None:
    """Add channel columns: DOUBLE for registers, FLOAT for the rest. Raises `ValueError` on an unknown name."""
    for name in names:
        if name not in CHANNELS:
            raise ValueError(f"{name!r} is not a channel; they are listed in models.domain.channels")
        kind = "DOUBLE" if name in REGISTERS else "FLOAT"
        connection.execute(f'ALTER TABLE reading ADD COLUMN "{name}" {kind}')


def add_features(connection: duckdb.DuckDBPyConnection, names: Iterable[str]) -> None:
    """Add feature columns (FLOAT). Raises `ValueError` on a name that is not a plain lower-case identifier."""
    for name in names:
        if not _FEATURE_NAME.match(name) or name in _FEATURE_KEYS:
            raise ValueError(f"{name!r} cannot be a feature's name; take lower-case letters, digits and underscores")
        connection.execute(f'ALTER TABLE feature ADD COLUMN "{name}" FLOAT')


@contextlib.contextmanager
def duckdb_errors(path: Path) -> Iterator[None]:
    """Turn DuckDB's errors of disk and memory into those of `monitor.storage`; mistakes of ours stay as they are."""
    try:
        yield
    except (duckdb.OperationalError, duckdb.InternalError, duckdb.FatalException) as error:
        raise as_store_error(path, error) from error


def as_store_error(path: Path, error: duckdb.Error) -> StoreError:
    """What an error of DuckDB means for the caller. Whatever is not known to be harmless is fatal."""
    text = str(error)
    if "Could not set lock" in text:
        holder = _HOLDER.search(text)
        return StoreLocked(path, int(holder.group(1)) if holder else None)
    if "No space left" in text or "Read-only file system" in text:
        return StoreFull(f"{path}: {text}; make room on the disk or make it writable")
    return StoreFatal(f"{path}: {text}; start again: the history is applied from the journal where it stopped")


@contextlib.contextmanager
def lent(connection: duckdb.DuckDBPyConnection, **tables: pa.Table) -> Iterator[None]:
    """Let queries read Arrow tables under the names given. In a failed transaction the names go with its rollback."""
    for name, table in tables.items():
        connection.register(name, table)
    try:
        yield
    except BaseException:
        with contextlib.suppress(duckdb.Error):
            for name in tables:
                connection.unregister(name)
        raise
    for name in tables:
        connection.unregister(name)


def quoted(text: str) -> str:
    """A string literal of SQL, for the places that take no parameter (file names we made)."""
    return "'" + text.replace("'", "''") + "'"


def one(connection: duckdb.DuckDBPyConnection, query: str, parameters: Iterable[object] = ()) -> tuple[object, ...]:
    """The only row of a query that always has one.

    Everything is fetched: DuckDB refuses further work on a connection while a result is not read to its end.
    """
    (row,) = connection.execute(query, list(parameters)).fetchall()
    return tuple(row)
