"""Copying stores: SQLite through its online backup from one snapshot, files with their digest; each one verified."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import sqlite3
from pathlib import Path
from typing import Final

from monitor.backup.manifest import BackupError
from monitor.storage import connect_reader, disk_errors, sqlite_errors, sync_directory, sync_file

_PAGES: Final = 1024
_CHUNK_BYTES: Final = 1 << 20


def copy_sqlite(source: Path, target: Path) -> None:
    """A copy of a SQLite store as of one instant, in slices, while its writer goes on (rule S6).

    The reader holds one snapshot, so that commits of the writer never make the copy begin anew. The copy is one file
    without a write-ahead log, and passes SQLite's own check. Raises BackupError where it does not.
    """
    with disk_errors(target):
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    with (
        sqlite_errors(source),
        contextlib.closing(connect_reader(source)) as reader,
        contextlib.closing(sqlite3.connect(target, isolation_level=None)) as copy,
    ):
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        reader.backup(copy, pages=_PAGES)
        reader.execute("ROLLBACK")
        copy.execute("PRAGMA journal_mode=DELETE")
        check_sqlite(copy, source)


def check_sqlite(connection: sqlite3.Connection, named: Path) -> None:
    """SQLite's integrity and foreign key checks. Raises BackupError."""
    try:
        verdict = connection.execute("PRAGMA integrity_check(1)").fetchone()
        orphan = connection.execute("PRAGMA foreign_key_check").fetchone()
    except sqlite3.DatabaseError as error:
        raise BackupError(f"{named} is damaged: {error}") from error
    if verdict != ("ok",) or orphan is not None:
        raise BackupError(f"{named} is damaged: {verdict[0] if verdict != ('ok',) else f'row without parent {orphan}'}")


def copy_file(source: Path, target: Path, *, sha256: str | None = None) -> str:
    """Copy a file and return its SHA-256 (hex); raises BackupError where that is not `sha256`."""
    digest = hashlib.sha256()
    with disk_errors(target):
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with source.open("rb") as reader, os.fdopen(descriptor, "wb") as writer:
            while chunk := reader.read(_CHUNK_BYTES):
                digest.update(chunk)
                writer.write(chunk)
    if sha256 is not None and digest.hexdigest() != sha256:
        raise BackupError(f"{source} does not match its digest: it is damaged. Run `gridwarden verify` on the state")
    return digest.hexdigest()


def sync_tree(directory: Path) -> None:
    """Make every file and directory below durable."""
    with disk_errors(directory):
        for path in sorted(directory.rglob("*")):
            if path.is_dir():
                sync_directory(path)
            elif path.is_file():
                sync_file(path)
        sync_directory(directory)


def need_room(directory: Path, wanted_bytes: int) -> None:
    """Refuse where the disk has less than `wanted_bytes` and a tenth free. Raises BackupError."""
    free = shutil.disk_usage(directory).free
    if free < wanted_bytes * 1.1:
        raise BackupError(
            f"{directory} has {free / 1e6:,.0f} MB free, about {wanted_bytes * 1.1 / 1e6:,.0f} MB are needed; "
            "name a place on another disk with --out"
        )
