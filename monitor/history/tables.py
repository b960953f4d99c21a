# ruff: noqa: S608 -- SQL is put together from table names listed here and file names we made
"""The history's tables as Parquet files and back: what a backup holds of the DuckDB file, which no one else may read.

Every table comes from one snapshot, so that rows, manifest, features and cursor belong together, while the daemon
goes on writing.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import duckdb

from monitor.history.query import parquet
from monitor.history.schema import (
    add_channels,
    add_features,
    channel_columns,
    columns_of,
    connect,
    duckdb_errors,
    feature_columns,
    one,
    quoted,
)
from monitor.history.seal import PARTS_NAME
from monitor.storage import StoreDamaged, StoreNewer

TABLES: Final = ("applied", "meter", "reading", "part", "sealed_newest", "feature", "score")
_KEYS: Final = frozenset({"meter_id", "ts_ms", "interval_s", "rev", "seq", "flags", "night", "version"})


def table_file(table: str) -> str:
    """Name of a table's file in a backup."""
    return f"table-{table}.parquet"


class TablesExport:
    """Writes all tables of one instant to Parquet files in a thread of its own.

    Made on the thread that owns `connection`, outside of a transaction: the snapshot is taken at once, and what is
    written afterwards is not in it. DuckDB postpones its checkpoints until the snapshot is given back.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, directory: Path) -> None:
        self._directory = directory
        self._cursor = connection.cursor()
        self._cursor.begin()
        (cursor,) = one(self._cursor, "SELECT journal_seq FROM applied")
        self.journal_seq = int(str(cursor))
        """The journal record up to which the snapshot is applied."""
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="gridwarden-export", daemon=True)

    def start(self) -> None:
        """Begin writing; returns at once."""
        self._thread.start()

    def run(self) -> None:
        """Write in the calling thread. Raises what DuckDB and the disk raise."""
        self._run()
        if self.error is not None:
            raise self.error

    @property
    def done(self) -> bool:
        """Whether writing has ended, well or with `error`."""
        return not self._thread.is_alive()

    def stop(self) -> None:
        """Give up: for a daemon that stops."""
        with contextlib.suppress(duckdb.Error):
            self._cursor.interrupt()
        if self._thread.is_alive():
            self._thread.join(1.0)

    def _run(self) -> None:
        try:
            for table in TABLES:
                chosen = " WHERE sealed" if table == "part" else ""
                file = quoted(str(self._directory / table_file(table)))
                self._cursor.execute(
                    f"COPY (FROM {table}{chosen}) TO {file} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 122880)"
                )
            self._cursor.rollback()
        except Exception as error:  # noqa: BLE001 -- handed to whoever asks how it went
            self.error = error
        finally:
            self._cursor.close()


def sealed_files(directory: Path) -> list[tuple[str, str]]:
    """(path below the state directory, SHA-256) of every sealed file that the exported manifest names."""
    with contextlib.closing(duckdb.connect(":memory:")) as reader:
        rows = reader.execute(
            f"SELECT file, sha256 FROM {parquet([directory / table_file('part')])} ORDER BY part_id"
        ).fetchall()
    return [(f"{PARTS_NAME}/{file}", sha256) for file, sha256 in rows]


def load_tables(history: Path, directory: Path) -> int:
    """Make the history file `history` from exported tables; returns the journal record it is applied up to.

    Raises `StoreNewer` for tables of a newer version, `StoreDamaged` where one is missing or does not fit.
    """
    for table in TABLES:
        if not (directory / table_file(table)).is_file():
            raise StoreDamaged(directory / table_file(table), "a table of the history is missing")
    connection = connect(history, memory_limit="1GB")
    try:
        with duckdb_errors(history), _not_ours(directory):
            version, seq = one(connection, f"SELECT version, journal_seq FROM {_source(directory, 'applied')}")
            (known,) = one(connection, "SELECT version FROM applied")
            if int(str(version)) > int(str(known)):
                raise StoreNewer(directory / table_file("applied"), int(str(version)), int(str(known)))
            connection.begin()
            for table in TABLES:
                _load(connection, directory, table)
            connection.commit()
            connection.execute("CHECKPOINT")
            return int(str(seq))
    finally:
        connection.close()


def _load(connection: duckdb.DuckDBPyConnection, directory: Path, table: str) -> None:
    source = _source(directory, table)
    described = connection.execute(f"DESCRIBE FROM {source}").fetchall()
    names = [name for name, *_ in described if name not in _KEYS]
    if table == "reading":
        add_channels(connection, [name for name in names if name not in channel_columns(connection)])
    elif table == "feature":
        add_features(connection, [name for name in names if name not in feature_columns(connection)])
    connection.execute(f"DELETE FROM {table}")
    connection.execute(f"INSERT INTO {table} BY NAME SELECT * FROM {source}")
    (found,) = one(connection, f"SELECT count(*) FROM {table}")
    (wanted,) = one(connection, f"SELECT count(*) FROM {source}")
    missing = set(columns_of(connection, table)) - {name for name, *_ in described}
    if found != wanted or missing:
        raise StoreDamaged(directory / table_file(table), f"{found} of {wanted} rows fit, columns missing: {missing}")


def _source(directory: Path, table: str) -> str:
    return parquet([directory / table_file(table)])


@contextlib.contextmanager
def _not_ours(directory: Path) -> Iterator[None]:
    try:
        yield
    except (duckdb.CatalogException, duckdb.InvalidInputException, duckdb.BinderException, ValueError) as error:
        raise StoreDamaged(directory, f"not tables of the history: {error}") from error
