"""The history: decoded readings in columns, nightly features and scores. Derived: applied from the journal.

Recent days live in one DuckDB file, sealed days in immutable Parquet files named by a manifest table. Rows carry the
journal's sequence number and the cursor moves in the same transaction, so that a crash never applies a record twice.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from models.domain.channels import REGISTERS
from monitor.heap import give_back
from monitor.history.fingerprint import fingerprints
from monitor.history.forget import SealedPart, forget_night, forget_part, parts_before, unlisted_before
from monitor.history.known import KnownKind, Stored, classify
from monitor.history.meters import MeterCodes, Meters, distinct, insert
from monitor.history.nights import (
    delete_features,
    export_scores,
    read_features,
    read_heard,
    write_features,
    write_scores,
)
from monitor.history.query import both_stores, in_order, named, reported, stored_values
from monitor.history.register_days import RegisterReader
from monitor.history.schema import (
    KEY_COLUMNS,
    add_channels,
    add_features,
    channel_columns,
    connect,
    duckdb_errors,
    feature_columns,
    lent,
    one,
)
from monitor.history.seal import check_parts, files_between, seal_next, verify_parts
from monitor.history.since import SinceReader
from monitor.history.span import SpanReader
from monitor.history.tables import TablesExport

__all__ = ["History", "HistoryRows", "KnownKind"]

HISTORY_NAME: Final = "history.duckdb"
TIDY_BYTES: Final = 16 << 20
"""Size of DuckDB's log from which on a quiet moment is used to fold it into the file."""
_SCAN_ROWS: Final = 122_880
_DAY_MS: Final = 86_400_000
_EPOCH: Final = dt.date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class HistoryRows:
    """Readings as columns of equal length n.

    `ts_ms` (n,) int64 UTC, end of the interval; `interval_s`, `rev` (n,) int32; `seq` (n,) int64, the journal record a
    row came from; `flags` (n,) uint8 (`SlotFlag`); `channels` name to (n,) float64, NaN where the row does not carry
    it. Registers are kept as float64, the rest as float32.
    """

    meter: Meters
    ts_ms: NDArray[np.int64]
    interval_s: NDArray[np.int32]
    rev: NDArray[np.int32]
    seq: NDArray[np.int64]
    flags: NDArray[np.uint8]
    channels: Mapping[str, NDArray[np.float64]]

    def __len__(self) -> int:
        return len(self.ts_ms)


class History:
    """The one connection to a state directory's history. Used from one thread at a time, like the journal."""

    cursor: int
    """Sequence number of the last journal record that was applied."""

    def __init__(self, state_dir: Path, connection: duckdb.DuckDBPyConnection) -> None:
        self._state_dir = state_dir
        self._path = state_dir / HISTORY_NAME
        self._connection = connection
        self._codes = MeterCodes(connection)
        self._channels: list[str] = []
        self._features: list[str] = []
        self._open = False
        self._reload()

    @classmethod
    def open(cls, state_dir: Path, *, memory_limit: str = "1GB") -> History:
        """Open or make the history; what a crash left half sealed is undone.

        Raises `StoreLocked`, `StoreNewer`, `StoreFull`, or `StoreDamaged` where a sealed file is missing or has
        another size.
        """
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = state_dir / HISTORY_NAME
        connection = connect(path, memory_limit=memory_limit)
        try:
            with duckdb_errors(path):
                check_parts(connection, state_dir)
                return cls(state_dir, connection)
        except BaseException:
            connection.close()
            raise

    def close(self) -> None:
        """Close the file; an open transaction is rolled back."""
        self._connection.close()

    def reader(self) -> SinceReader:
        """A reader for another thread, with a cursor of its own on this database; close it there."""
        with duckdb_errors(self._path):
            return SinceReader(self._state_dir, self._connection.cursor())

    def spans(self) -> SpanReader:
        """Answers for other threads about spans of time."""
        with duckdb_errors(self._path):
            return SpanReader(self._state_dir, self._connection.cursor())

    def registers(self, zone: ZoneInfo) -> RegisterReader:
        """What energy registers showed day by day, for accounts; with a cursor of its own."""
        with duckdb_errors(self._path):
            return RegisterReader(self._state_dir, self._connection.cursor(), zone)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Several writes as one; inside another one this adds nothing. An exception rolls everything back."""
        if self._open:
            yield
            return
        with duckdb_errors(self._path):
            self._connection.begin()
            self._open = True
            try:
                yield
                self._connection.commit()
            except BaseException:
                self._open = False
                with contextlib.suppress(duckdb.Error):
                    self._connection.rollback()
                    self._reload()
                raise
            self._open = False

    def enrol(self, meters: Sequence[str]) -> NDArray[np.int32]:
        """Make meters known in this order, before anything of them is stored; returns the code of each, (n,).

        Rows of nights lie in the order of codes: blocks of meters that are neighbours there are read without the rest.
        """
        with self.transaction():
            codes = self._codes.assign(meters)
        self._codes.share(meters)
        return codes

    def append(self, rows: HistoryRows, cursor: int) -> None:
        """Add rows and move the cursor, in one transaction. Channels without any value are left out.

        Raises `ValueError` if the cursor would go back or a channel is unknown.
        """
        if cursor < self.cursor:
            raise ValueError(f"the cursor is {self.cursor} and cannot go back to {cursor}")
        with self.transaction():
            if len(rows):
                values = _stored_channels(rows.channels)
                self._ensure(values)
                insert(self._connection, "reading", self._as_table(rows, values))
            self._connection.execute("UPDATE applied SET journal_seq = ?", (cursor,))
            self.cursor = cursor

    def classify_old(self, rows: HistoryRows) -> dict[str, NDArray[np.uint8]]:
        """What each value of the rows is to what is stored and to the rows before it: `KnownKind`, (n,) a channel.

        Meant for batches of stamps that are older than the windows: it reads the history once, however many rows.
        """
        names, index = distinct(rows.meter)
        keys = np.stack([self._codes.known(names)[index], rows.ts_ms, rows.interval_s], axis=1)
        unique, key = np.unique(keys, axis=0, return_inverse=True)
        channels = [name for name in rows.channels if name in self._channels]
        stored: dict[str, Stored] = {}
        if len(unique) and channels:
            with duckdb_errors(self._path):
                files = self._files(int(unique[:, 1].min()) - 1, int(unique[:, 1].max()))
                stored = stored_values(self._connection, files, unique, channels)
        return {
            name: classify(key.reshape(-1), rows.rev, _precise(name, values), stored.get(name))
            for name, values in rows.channels.items()
        }

    def read(
        self, start_ms: int, end_ms: int, *, interval_s: int | None = None, meters: Sequence[str] | None = None
    ) -> pa.Table:
        """Rows with `ts_ms` in (start, end], sorted by (interval_s, meter, ts_ms, rev, seq) and then by value.

        Columns: `meter` (dictionary of strings), `ts_ms, interval_s, rev, seq, flags`, then every channel ever stored,
        null where a row does not carry it.
        """
        with duckdb_errors(self._path):
            query = both_stores(self._files(start_ms, end_ms), self._channels, start_ms, end_ms, interval_s)
            ranked, names = self._codes.ranked(meters)
            with lent(self._connection, ranked=ranked):
                return named(in_order(self._connection, query), pa.array(names, pa.string()))

    def scan(self, start_ms: int, end_ms: int, *, interval_s: int | None = None) -> Iterator[pa.Table]:
        """The rows of `read` in pieces and in no particular order: for rebuilding windows in bounded memory."""
        with duckdb_errors(self._path), contextlib.closing(self._connection.cursor()) as cursor:
            ranked, names = self._codes.ranked(None)
            cursor.register("ranked", ranked)
            dictionary = pa.array(names, pa.string())
            query = both_stores(self._files(start_ms, end_ms), self._channels, start_ms, end_ms, interval_s)
            for batch in cursor.sql(query).to_arrow_reader(_SCAN_ROWS):
                yield named(pa.Table.from_batches([batch]), dictionary)

    def reported(self, start_ms: int, end_ms: int, interval_s: int, meters: Sequence[str]) -> NDArray[np.bool_]:
        """(n,) True for the meters that have a row with `ts_ms` in (start, end] at a cadence."""
        with duckdb_errors(self._path):
            codes = self._codes.known(meters)
            found = reported(self._connection, self._files(start_ms, end_ms), start_ms, end_ms, interval_s, codes)
            return np.isin(codes, found)

    def newest(self) -> pa.Table:
        """The latest stamp of every meter and interval: columns `meter, interval_s, ts_ms`, sorted."""
        with duckdb_errors(self._path):
            table: pa.Table = self._connection.sql(
                "SELECT meter, interval_s, max(ts_ms) AS ts_ms FROM ("
                " SELECT name AS meter, interval_s, ts_ms FROM"
                "  (SELECT meter_id, interval_s, max(ts_ms) AS ts_ms FROM reading GROUP BY ALL)"
                "  JOIN meter USING (meter_id)"
                " UNION ALL SELECT meter, interval_s, ts_ms FROM sealed_newest"
                ") GROUP BY ALL ORDER BY ALL"
            ).to_arrow_table()
            return table

    def span(self) -> tuple[int, int] | None:
        """First and last stamp stored, Unix ms; None while there are no rows."""
        with duckdb_errors(self._path):
            first, last = one(
                self._connection,
                "SELECT min(first_ms), max(last_ms) FROM (SELECT min(ts_ms) AS first_ms, max(ts_ms) AS last_ms"
                " FROM reading UNION ALL SELECT first_ms, last_ms FROM part WHERE sealed)",
            )
        return (int(str(first)), int(str(last))) if first is not None else None

    def days(self) -> list[dt.date]:
        """UTC days that have rows, in order; a stamp of midnight belongs to the day before."""
        with duckdb_errors(self._path):
            rows = self._connection.execute(
                "SELECT DISTINCT (ts_ms - 1) // $day_ms FROM reading"
                " UNION SELECT epoch_ms(day) // $day_ms FROM part WHERE sealed",
                {"day_ms": _DAY_MS},
            ).fetchall()
        return sorted(_EPOCH + dt.timedelta(days=int(day)) for (day,) in rows)

    def seal(self, today_ms: int, after_days: int = 8) -> int:
        """Move every UTC day that is `after_days` old into Parquet; returns the rows moved.

        A day is that of the interval, so a stamp of midnight belongs to the day before. Rows that come later make
        another part when this is called again; call it once a day.
        """
        moved = 0
        while slice_rows := self.seal_next(today_ms, after_days):
            moved += slice_rows
        return moved

    def seal_next(self, today_ms: int, after_days: int = 8) -> int:
        """One step of `seal`, about 500,000 rows, for a caller with other work to do; 0 when nothing is due."""
        if self._open:
            raise RuntimeError("sealing makes transactions of its own; call it outside of transaction()")
        with duckdb_errors(self._path):
            return seal_next(self._connection, self._state_dir, self._channels, today_ms, after_days)

    def parts_before(self, day: dt.date) -> list[SealedPart]:
        """Sealed files of UTC days before `day`, the oldest first."""
        with duckdb_errors(self._path):
            return parts_before(self._connection, day)

    def manifest(self) -> list[SealedPart]:
        """Every sealed file, the oldest first."""
        return self.parts_before(dt.date.max)

    def forget_part(self, part: SealedPart) -> None:
        """Take a sealed file out of the history, for good."""
        with duckdb_errors(self._path):
            forget_part(self._connection, self._state_dir, part)

    def unlisted_before(self, day: dt.date) -> list[Path]:
        """Files of days before `day` that a crash left behind when they were taken out."""
        with duckdb_errors(self._path):
            return unlisted_before(self._connection, self._state_dir, day)

    def forget_night(self, table: str, before: dt.date, held: Collection[dt.date]) -> tuple[dt.date, int] | None:
        """Delete the oldest night of features or scores before `before` that is not held: (night, rows), or None."""
        with duckdb_errors(self._path):
            return forget_night(self._connection, table, before, held)

    def export_tables(self, directory: Path) -> TablesExport:
        """An export of all tables as of now into a directory; sealed days are named in it, not copied."""
        if self._open:
            raise RuntimeError("an export is of what is committed; begin it outside of transaction()")
        with duckdb_errors(self._path):
            return TablesExport(self._connection, directory)

    def tidy(self, most_bytes: int = TIDY_BYTES) -> bool:
        """Fold DuckDB's log into its file where it has grown beyond `most_bytes`; whether it did.

        That takes up to a second at a hundred thousand meters: for a moment in which nothing waits. Left alone while
        another thread's question is being answered.
        """
        log = self._path.with_name(f"{self._path.name}.wal")
        if self._open or not log.exists() or log.stat().st_size <= most_bytes:
            return False
        with duckdb_errors(self._path):
            try:
                self._connection.execute("CHECKPOINT")
            except duckdb.TransactionException:
                return False
        give_back()
        return True

    def cache_bytes(self) -> int:
        """What DuckDB holds in memory now; `memory_limit` bounds it."""
        with duckdb_errors(self._path):
            (held,) = one(self._connection, "SELECT coalesce(sum(memory_usage_bytes), 0) FROM duckdb_memory()")
        return int(str(held))

    def verify_sealed(self) -> int:
        """Compare every sealed file with its digest (rule S4); returns how many. Raises `StoreDamaged`."""
        return verify_parts(self._connection, self._state_dir)

    def fingerprints(self, most_rows: int) -> dict[str, tuple[int, str, str]]:
        """(rows, fingerprint, kind) of each table of the DuckDB file that has at most so many rows."""
        with duckdb_errors(self._path):
            return fingerprints(self._connection, most_rows)

    def write_features(
        self,
        night: dt.date,
        interval_s: int,
        version: int,
        meters: Sequence[str],
        values: Mapping[str, NDArray[np.float32]],
    ) -> None:
        """Store one feature row a meter, in place of what that night, interval and meter had; values (n,)."""
        with self.transaction():
            missing = [name for name in values if name not in self._features]
            if missing:
                add_features(self._connection, missing)
                self._features = feature_columns(self._connection)
            codes = self._codes.assign(meters)
            write_features(self._connection, night, interval_s, version, codes, values)

    def read_features(
        self,
        nights: Sequence[dt.date],
        interval_s: int,
        version: int,
        meters: Sequence[str],
        *,
        features: Sequence[str] | None = None,
    ) -> dict[str, NDArray[np.float32]]:
        """Every feature stored, (n_meters, n_nights) in the order asked; NaN where there is no row of that version.

        Of `features`, where they are named, those that were ever stored.
        """
        names = self._features if features is None else [name for name in features if name in self._features]
        with duckdb_errors(self._path):
            codes = self._codes.known(meters)
            return read_features(self._connection, names, nights, interval_s, version, codes)

    def read_heard(
        self, nights: Sequence[dt.date], interval_s: int, version: int, meters: Sequence[str]
    ) -> NDArray[np.float32]:
        """Largest coverage at any cadence but `interval_s`, (n_meters, n_nights); NaN where nothing was covered."""
        none = np.full((len(meters), len(nights)), np.nan, dtype=np.float32)
        if "coverage" not in self._features:
            return none
        with duckdb_errors(self._path):
            return read_heard(self._connection, nights, interval_s, version, self._codes.known(meters))

    def delete_features(self, night: dt.date, interval_s: int, meters: Sequence[str]) -> None:
        """Take back the rows of meters that turn out to be judged at another cadence that night."""
        with self.transaction():
            delete_features(self._connection, night, interval_s, self._codes.known(meters))

    def write_scores(self, night: dt.date, rows: pa.Table) -> None:
        """Store a night's scores, in place of what that night, meter and detector had.

        Columns: `meter, site, detector, score, probability, status, reasons`; NaN scores are stored as null.
        """
        with self.transaction():
            codes = self._codes.assign(rows.column("meter"))
            write_scores(self._connection, night, codes, rows)

    def export_scores(self, path: Path) -> int:
        """Write all scores as Parquet sorted by (night, meter, detector), whole or not at all; returns the rows."""
        with duckdb_errors(self._path):
            return export_scores(self._connection, path)

    def _reload(self) -> None:
        (cursor,) = one(self._connection, "SELECT journal_seq FROM applied")
        self.cursor = int(str(cursor))
        self._channels = channel_columns(self._connection)
        self._features = feature_columns(self._connection)
        self._codes.reload()

    def _ensure(self, names: Mapping[str, pa.Array[Any]]) -> None:
        missing = [name for name in names if name not in self._channels]
        if missing:
            add_channels(self._connection, missing)
            self._channels = channel_columns(self._connection)

    def _as_table(self, rows: HistoryRows, values: Mapping[str, pa.Array[Any]]) -> pa.Table:
        keys: tuple[Any, ...] = (
            self._codes.assign(rows.meter),
            np.asarray(rows.ts_ms, dtype=np.int64),
            np.asarray(rows.interval_s, dtype=np.int32),
            np.asarray(rows.rev, dtype=np.int32),
            np.asarray(rows.seq, dtype=np.int64),
            np.asarray(rows.flags, dtype=np.uint8),
        )
        return pa.table(dict(zip(KEY_COLUMNS, keys, strict=True)) | dict(values))

    def _files(self, start_ms: int, end_ms: int) -> list[Path]:
        return files_between(self._connection, self._state_dir, start_ms, end_ms)


def _precise(name: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values as they read back from the store."""
    values = np.asarray(values, dtype=np.float64)
    return values if name in REGISTERS else values.astype(np.float32).astype(np.float64)


def _stored_channels(channels: Mapping[str, NDArray[np.float64]]) -> dict[str, pa.Array[Any]]:
    stored = {}
    for name, values in channels.items():
        kept = np.asarray(values, dtype=np.float64 if name in REGISTERS else np.float32)
        missing = np.isnan(kept)
        if not missing.all():
            stored[name] = pa.array(kept, mask=missing if missing.any() else None)
    return stored
