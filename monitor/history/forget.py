# ruff: noqa: S608 -- the only text put into SQL is a table's name from the list here
"""Taking old days out of the history: the manifest first, then the file, so that a crash leaves no dangling name."""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb

from monitor.history.schema import one
from monitor.history.seal import PARTS_NAME
from monitor.storage import disk_errors, sync_directory

_log = logging.getLogger(__name__)

NIGHTLY_TABLES: Final = ("feature", "score")


@dataclass(frozen=True, slots=True)
class SealedPart:
    """One immutable file of a day; `file` is relative to the directory of sealed days."""

    part_id: int
    file: str
    day: dt.date
    rows: int
    bytes: int
    sha256: str


def parts_before(connection: duckdb.DuckDBPyConnection, day: dt.date) -> list[SealedPart]:
    """Sealed files of days before `day`, the oldest first."""
    rows = connection.execute(
        "SELECT part_id, file, day, rows, bytes, sha256 FROM part WHERE sealed AND day < ? ORDER BY day, part_id",
        (day,),
    ).fetchall()
    return [SealedPart(*row) for row in rows]


def forget_part(connection: duckdb.DuckDBPyConnection, state_dir: Path, part: SealedPart) -> None:
    """Take a file out of the manifest, then from the disk."""
    connection.execute("DELETE FROM part WHERE part_id = ? AND file = ?", (part.part_id, part.file))
    path = state_dir / PARTS_NAME / part.file
    with disk_errors(path):
        path.unlink(missing_ok=True)
        _drop_if_empty(path.parent)


def unlisted_before(connection: duckdb.DuckDBPyConnection, state_dir: Path, day: dt.date) -> list[Path]:
    """Files of days before `day` that no manifest row names: what a crash left between the two steps."""
    named = {file for (file,) in connection.execute("SELECT file FROM part").fetchall()}
    root = state_dir / PARTS_NAME
    return [
        path
        for folder in sorted(root.glob("day=????-??-??"))
        if folder.name < f"day={day:%Y-%m-%d}"
        for path in sorted(folder.glob("part-*.parquet"))
        if path.relative_to(root).as_posix() not in named
    ]


def drop_unlisted(path: Path) -> None:
    """Remove such a file."""
    _log.warning("%s was taken out of the history before a crash; the file is removed now", path)
    with disk_errors(path):
        path.unlink(missing_ok=True)
        _drop_if_empty(path.parent)


def forget_night(
    connection: duckdb.DuckDBPyConnection, table: str, before: dt.date, held: Collection[dt.date]
) -> tuple[dt.date, int] | None:
    """Delete the oldest night before `before` that is not held from one of `NIGHTLY_TABLES`; (night, rows) or None."""
    if table not in NIGHTLY_TABLES:
        raise ValueError(f"{table} is not kept by night")
    (night,) = one(
        connection,
        f"SELECT min(night) FROM {table} WHERE night < ? AND NOT list_contains(?::DATE[], night)",
        (before, list(held)),
    )
    if not isinstance(night, dt.date):
        return None
    (rows,) = one(connection, f"DELETE FROM {table} WHERE night = ?", (night,))
    return night, int(str(rows))


def _drop_if_empty(folder: Path) -> None:
    sync_directory(folder)
    with contextlib.suppress(OSError):
        folder.rmdir()
        sync_directory(folder.parent)
