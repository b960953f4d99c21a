# ruff: noqa: S608 -- SQL is put together from names of channels, integers and file names we made
"""Sealing: old days move from the DuckDB file into immutable Parquet files (design §5).

The manifest row is committed before the file is begun and confirmed in the transaction that deletes the rows. Whatever
a crash leaves is therefore known by name at the next start, and no row is ever read twice: only files of confirmed
rows are read, never a directory listing.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import duckdb

from monitor.fault_points import FaultPoint, hit
from monitor.history.query import parquet
from monitor.history.schema import one, quoted
from monitor.storage import StoreDamaged, StoreFatal, disk_errors, sync_directory, sync_file

_log = logging.getLogger(__name__)

PARTS_NAME: Final = "history"
DAY_MS: Final = 86_400_000
HOUR_MS: Final = 3_600_000
SLICE_ROWS: Final = 500_000
_EPOCH: Final = dt.date(1970, 1, 1)
_ROW_GROUP_ROWS: Final = 122_880
_CHUNK_BYTES: Final = 1 << 20


def seal_next(
    connection: duckdb.DuckDBPyConnection, state_dir: Path, channels: Sequence[str], today_ms: int, after_days: int
) -> int:
    """Seal the oldest rows that are due, at most one day's or about 500,000; returns the rows moved, 0 if none is due.

    Due is every day that is `after_days` or more before the day of `today_ms`.
    """
    last_ms = (today_ms // DAY_MS - after_days + 1) * DAY_MS
    (oldest_ms,) = one(connection, "SELECT min(ts_ms) FROM reading WHERE ts_ms <= ?", (last_ms,))
    if oldest_ms is None:
        return 0
    day = (int(str(oldest_ms)) - 1) // DAY_MS
    start_ms, end_ms = day * DAY_MS, (day + 1) * DAY_MS
    hours = connection.execute(
        "SELECT (ts_ms - 1) // ? AS hour, count(*) FROM reading WHERE ts_ms > ? AND ts_ms <= ?"
        " GROUP BY hour ORDER BY hour",
        (HOUR_MS, start_ms, end_ms),
    ).fetchall()
    rows = 0
    for hour, count in hours:
        if rows and rows + count > SLICE_ROWS:
            end_ms = hour * HOUR_MS
            break
        rows += count
    return _seal_slice(connection, state_dir, channels, (start_ms, end_ms))


def check_parts(connection: duckdb.DuckDBPyConnection, state_dir: Path) -> None:
    """Undo what a crash left half done, and see that every sealed file is there. Raises `StoreDamaged`."""
    rows = connection.execute("SELECT part_id, file, sealed, bytes FROM part ORDER BY part_id").fetchall()
    for part_id, file, sealed, size in rows:
        path = state_dir / PARTS_NAME / file
        if not sealed:
            _log.warning("an interrupted sealing of %s is undone; its rows are still in the history", file)
            _unfinished(path).unlink(missing_ok=True)
            path.unlink(missing_ok=True)
            connection.execute("DELETE FROM part WHERE part_id = ?", (part_id,))
        elif not path.is_file():
            raise StoreDamaged(path, "a sealed day's file is missing")
        elif path.stat().st_size != size:
            raise StoreDamaged(path, f"a sealed day's file has {path.stat().st_size} bytes, not {size}")


def verify_parts(connection: duckdb.DuckDBPyConnection, state_dir: Path) -> int:
    """Compare every sealed file with its digest; returns how many there are. Raises `StoreDamaged`."""
    rows = connection.execute("SELECT file, sha256 FROM part WHERE sealed ORDER BY part_id").fetchall()
    for file, sha256 in rows:
        path = state_dir / PARTS_NAME / file
        if file_sha256(path) != sha256:
            raise StoreDamaged(path, "a sealed day's file does not match its digest")
    return len(rows)


def files_between(connection: duckdb.DuckDBPyConnection, state_dir: Path, start_ms: int, end_ms: int) -> list[Path]:
    """The sealed files that hold a stamp in (start, end], in the order they were made."""
    rows = connection.execute(
        "SELECT file FROM part WHERE sealed AND last_ms > ? AND first_ms <= ? ORDER BY part_id", (start_ms, end_ms)
    ).fetchall()
    return [state_dir / PARTS_NAME / file for (file,) in rows]


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _seal_slice(
    connection: duckdb.DuckDBPyConnection, state_dir: Path, channels: Sequence[str], span_ms: tuple[int, int]
) -> int:
    start_ms, end_ms = span_ms
    date = _EPOCH + dt.timedelta(days=start_ms // DAY_MS)
    (last_id,) = one(connection, "SELECT coalesce(max(part_id), 0) FROM part")
    part_id = int(str(last_id)) + 1
    file = f"day={date:%Y-%m-%d}/part-{part_id:06d}.parquet"
    path = state_dir / PARTS_NAME / file
    connection.execute("INSERT INTO part VALUES (?, ?, ?, false, 0, 0, 0, 0, '')", (part_id, file, date))
    with disk_errors(path):
        _make_directory(path.parent)
    columns = ", ".join(["ts_ms", "interval_s", "rev", "seq", "flags", *(f'"{name}"' for name in channels)])
    connection.execute(
        f"COPY (SELECT name AS meter, {columns} FROM reading JOIN meter USING (meter_id)"
        f" WHERE ts_ms > {start_ms:d} AND ts_ms <= {end_ms:d} ORDER BY meter, {columns})"
        f" TO {quoted(str(_unfinished(path)))}"
        f" (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {_ROW_GROUP_ROWS})"
    )
    with disk_errors(path):
        size = _make_durable(_unfinished(path), path)
        sha256 = file_sha256(path)
    hit(FaultPoint.IN_SEAL)
    connection.begin()
    try:
        moved = _confirm(connection, path, (part_id, start_ms, end_ms, size, sha256))
        connection.commit()
    except BaseException:
        connection.rollback()
        raise
    _log.info("sealed %d rows of %s", moved, date)
    return moved


def _confirm(connection: duckdb.DuckDBPyConnection, path: Path, part: tuple[int, int, int, int, str]) -> int:
    """Delete the rows and confirm the file, inside the caller's transaction; returns the rows."""
    part_id, start_ms, end_ms, size, sha256 = part
    source = parquet([path])
    rows, first_ms, last_ms = one(connection, f"SELECT count(*), min(ts_ms), max(ts_ms) FROM {source}")
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE newest_now AS SELECT meter, interval_s, max(ts_ms) AS ts_ms FROM"
        f" (SELECT meter, interval_s, ts_ms FROM {source} UNION ALL FROM sealed_newest) GROUP BY ALL"
    )
    connection.execute("DELETE FROM sealed_newest")
    connection.execute("INSERT INTO sealed_newest BY NAME FROM newest_now")
    connection.execute("DROP TABLE newest_now")
    (deleted,) = one(connection, "DELETE FROM reading WHERE ts_ms > ? AND ts_ms <= ?", (start_ms, end_ms))
    if deleted != rows:
        raise StoreFatal(f"{path} holds {rows} rows of {deleted}; nothing was deleted")
    connection.execute(
        "UPDATE part SET sealed = true, rows = ?, bytes = ?, first_ms = ?, last_ms = ?, sha256 = ? WHERE part_id = ?",
        (rows, size, first_ms, last_ms, sha256, part_id),
    )
    return int(str(rows))


def _unfinished(path: Path) -> Path:
    return path.with_suffix(".new")


def _make_directory(path: Path) -> None:
    """Make a day's directory durable together with the ones above it."""
    if not path.is_dir():
        path.mkdir(parents=True)
        sync_directory(path.parent)
        sync_directory(path.parent.parent)


def _make_durable(unfinished: Path, path: Path) -> int:
    """Fsync, rename, fsync the directory; returns the size in bytes."""
    sync_file(unfinished)
    unfinished.rename(path)
    sync_directory(path.parent)
    return path.stat().st_size
