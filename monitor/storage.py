"""The state directory: its lock, how its SQLite files are opened, and what a failure of the disk is called."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

LOCK_NAME: Final = "lock"
BALLAST_NAME: Final = "ballast"
BALLAST_BYTES: Final = 64 * 1024 * 1024
RESTORING_NAME: Final = "restoring"
"""Stands in a state directory while a restore into it is not whole; no one takes the lock there."""

_BUSY_TIMEOUT_MS: Final = 5000
_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})

WRITER_PRAGMAS: Final[Mapping[str, int | str]] = MappingProxyType(
    {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "mmap_size": 0,
        "wal_autocheckpoint": 0,
        "trusted_schema": 0,
        "cell_size_check": 1,
        "busy_timeout": _BUSY_TIMEOUT_MS,
    }
)
"""What the one writing connection runs with (rules S1, S2). It checkpoints by itself, so that a failed fsync shows."""

READER_PRAGMAS: Final[Mapping[str, int | str]] = MappingProxyType(
    {"query_only": 1, "mmap_size": 0, "wal_autocheckpoint": 0, "trusted_schema": 0, "busy_timeout": _BUSY_TIMEOUT_MS}
)
"""What a read-only connection runs with."""


class StoreError(OSError):
    """Something is wrong with a store; the subclasses say what the caller must do."""


class StoreLocked(StoreError):  # noqa: N818 — named for the state, as the rules are
    """Another process owns the state directory. `pid` is its process id, None where it cannot be read."""

    def __init__(self, path: Path, pid: int | None) -> None:
        self.path = path
        self.pid = pid
        owner = f"process {pid}" if pid is not None else "another process"
        super().__init__(
            f"{path} is held by {owner}; stop that daemon, or talk to it through its local API instead of the files"
        )


class StoreFatal(StoreError):  # noqa: N818
    """An I/O error or a failed fsync: nothing may be acknowledged any more, leave with a non-zero code (rule S3)."""


class StoreFull(StoreError):  # noqa: N818
    """Disk full or read-only: nothing was written. Hold the acknowledgements, probe each second, resume (rule S3)."""


class StoreDamaged(StoreError):  # noqa: N818
    """What is stored is not what was written. `path` is the file; it is left as it is (rule S4)."""

    def __init__(self, path: Path, what: str) -> None:
        self.path = path
        super().__init__(f"{path}: {what}. Keep the file, restore a verified backup or set it aside, then start again")


class StoreNewer(StoreError):  # noqa: N818
    """The store was written by a newer version of this program: refuse, exit 78 (rule S5)."""

    def __init__(self, path: Path, found: int, known: int) -> None:
        self.path, self.found, self.known = path, found, known
        super().__init__(f"{path} has schema {found}, this program knows up to {known}; install the newer version")


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn an `OSError` of making, syncing or renaming files into `StoreFull` or `StoreFatal` (rule S3)."""
    try:
        yield
    except StoreError:
        raise
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise StoreFull(f"{path}: {error}; make room on the disk or make it writable") from error
        raise StoreFatal(f"{path}: {error}; look at the disk, then start again") from error


class StateLock:
    """The exclusive lock of one state directory (rule S2), held until `release` or the end of the process."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    @classmethod
    def acquire(cls, state_dir: Path) -> StateLock:
        """Take the lock and write our process id into it.

        Raises `StoreLocked` if another holder, in this process or another, has it; `StoreDamaged` where a restore did
        not end; `StoreFull` or `StoreFatal` if the directory cannot be written.
        """
        path = state_dir / LOCK_NAME
        if (state_dir / RESTORING_NAME).exists():
            raise StoreDamaged(state_dir / RESTORING_NAME, "a restore into this directory was interrupted")
        with disk_errors(path):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise StoreLocked(path, holder_pid(state_dir)) from None
        with disk_errors(path):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        return cls(descriptor)

    def release(self) -> None:
        """Give the directory up; doing so twice is harmless."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def holder_pid(state_dir: Path) -> int | None:
    """The process id the lock file names, None where it names none. It may be a process that is gone."""
    try:
        text = (state_dir / LOCK_NAME).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return int(text) if text.isascii() and text.isdigit() else None


def keep_ballast(state_dir: Path) -> bool:
    """Reserve 64 MiB that `drop_ballast` can give back on a full disk; False if there is no room for it now."""
    path = state_dir / BALLAST_NAME
    if path.exists() and path.stat().st_size == BALLAST_BYTES:
        return True
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, BALLAST_BYTES)
    except OSError as error:
        path.unlink()
        if error.errno in _NO_ROOM:
            return False
        raise
    finally:
        os.close(descriptor)
    return True


def drop_ballast(state_dir: Path) -> None:
    """Give the reserved 64 MiB back, so that the explanation of a full disk can be written."""
    (state_dir / BALLAST_NAME).unlink(missing_ok=True)


def sync_directory(path: Path) -> None:
    """Make renames and new names in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    """Make the contents of a file that another part of the program wrote durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def connect_writer(path: Path) -> sqlite3.Connection:
    """The one writing connection of a SQLite store, in autocommit: transactions are begun explicitly.

    It may be used from one thread at a time. Raises `StoreFatal` where a pragma does not read back (rule S1).
    """
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        _apply(connection, path, WRITER_PRAGMAS)
    except BaseException:
        connection.close()
        raise
    return connection


def connect_reader(path: Path) -> sqlite3.Connection:
    """A read-only connection that never checkpoints."""
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
    try:
        _apply(connection, path, READER_PRAGMAS)
    except BaseException:
        connection.close()
        raise
    return connection


def _apply(connection: sqlite3.Connection, path: Path, pragmas: Mapping[str, int | str]) -> None:
    for name, wanted in pragmas.items():
        connection.execute(f"PRAGMA {name}={wanted}")
        row = connection.execute(f"PRAGMA {name}").fetchone()
        if row is not None and row[0] != wanted:
            raise StoreFatal(f"{path}: PRAGMA {name} reads back {row[0]!r}, not {wanted!r}; is this a local disk?")


@contextlib.contextmanager
def sqlite_errors(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into `StoreFull`, `StoreDamaged` or `StoreFatal`, by their code."""
    try:
        yield
    except sqlite3.IntegrityError:
        raise
    except sqlite3.DatabaseError as error:
        raise as_store_error(path, error) from error


def as_store_error(path: Path, error: sqlite3.Error) -> StoreError:
    """What an error of SQLite means for the caller. Whatever is not known to be harmless is fatal.

    Our statements are fixed, so an SQL error means that the tables are not those we made.
    """
    extended = getattr(error, "sqlite_errorcode", 0) or 0
    primary = extended & 0xFF
    if primary in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY) or extended == sqlite3.SQLITE_IOERR_SHMSIZE:
        return StoreFull(f"{path}: {error}; make room on the disk or make it writable, writing resumes by itself")
    if primary in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR):
        return StoreDamaged(path, str(error))
    return StoreFatal(f"{path}: {error}; look at the disk, then start again: recovery reads the file")
