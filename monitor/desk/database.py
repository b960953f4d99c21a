"""Opening the desk: one file, one connection, pragmas read back, schema brought up to date (rules S1, S2, S5, S6)."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.pool import QueuePool

from monitor.fault_points import FaultPoint, hit
from monitor.storage import as_store_error

_log = logging.getLogger(__name__)

DESK_FILE: Final = "desk.sqlite"
HEAD: Final = "0006"
"""The newest schema this code knows; a test holds it equal to the newest migration."""

_MIGRATIONS: Final = Path(__file__).parent / "migrations"
_PRAGMAS: Final = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "mmap_size": 0}
_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


class DeskError(RuntimeError):
    """The desk's file cannot be used as it is."""


class SchemaTooNew(DeskError):  # noqa: N818 - reads as the condition it names; callers exit with code 78
    """The file was written by a newer version of this program."""

    def __init__(self, path: Path, found: str) -> None:
        self.path = path
        self.found = found
        super().__init__(
            f"{path} has schema {found}, newer than {HEAD} which this version knows. "
            "Run the newer version, or restore a backup made before the upgrade."
        )


class SchemaTooOld(DeskError):  # noqa: N818 - reads as the condition it names
    """The file needs a migration, which a reader must not do."""

    def __init__(self, path: Path, found: str) -> None:
        self.path = path
        self.found = found
        super().__init__(
            f"{path} has schema {found or 'none'}, older than {HEAD} of this version: nothing can be read until the "
            "daemon was started once, which saves a copy and upgrades it. Run `gridwarden run`."
        )


def open_desk(state_dir: Path) -> sa.Engine:
    """The desk of a state directory, created or upgraded as needed. The caller holds the directory's lock.

    The engine owns ONE connection which all threads take turns with, so that one connection writes and checkpoints
    (rule S2): keep transactions short and never hold one while waiting for anything else. An older file is backed up
    beside itself before it is upgraded. Raises SchemaTooNew (exit 78) or DeskError.
    """
    path = state_dir / DESK_FILE
    existing = path.exists() and path.stat().st_size > 0
    engine = _engine(path, read_only=False)
    try:
        found = _schema_version(engine, path)
        if found != HEAD:
            _refuse_newer(path, found)
            if existing:
                _backup(path, found or "empty")
            _upgrade(engine)
            _fsync_dir(state_dir)
    except BaseException:
        engine.dispose()
        raise
    _log.info("desk opened; schema %s, SQLite %s", HEAD, sqlite3.sqlite_version)
    return engine


@contextmanager
def desk_transaction(engine: sa.Engine) -> Iterator[sa.Connection]:
    """One transaction of the core thread: whole or not at all.

    Raises `StoreFull` where nothing was written and it may be tried again, `StoreFatal` or `StoreDamaged` where the
    process must end (rule S3).
    """
    try:
        with engine.begin() as connection:
            yield connection
    except (sa.exc.DBAPIError, sqlite3.Error) as error:
        cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
        if isinstance(cause, sqlite3.Error):
            raise as_store_error(Path(engine.url.database or DESK_FILE), cause) from error
        raise


def read_desk(state_dir: Path) -> sa.Engine:
    """The same desk for looking only: never creates, upgrades, writes or checkpoints.

    Raises FileNotFoundError where there is none, SchemaTooNew or SchemaTooOld where this version cannot read it.
    """
    path = state_dir / DESK_FILE
    if not path.is_file():
        raise FileNotFoundError(f"no desk at {path}")
    engine = _engine(path, read_only=True)
    try:
        found = _schema_version(engine, path)
        _refuse_other(path, found)
    except BaseException:
        engine.dispose()
        raise
    return engine


def _engine(path: Path, *, read_only: bool) -> sa.Engine:
    def connect() -> sqlite3.Connection:
        mode = "ro" if read_only else "rwc"
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode={mode}", uri=True, timeout=5.0, isolation_level=None,
            check_same_thread=False,
        )  # fmt: skip
        try:
            _set_pragmas(connection, path, read_only=read_only)
        except BaseException:
            connection.close()
            raise
        return connection

    engine = sa.create_engine(
        "sqlite://", creator=connect, poolclass=QueuePool, pool_size=1, max_overflow=0, pool_timeout=30.0
    )

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

    return engine


def _set_pragmas(connection: sqlite3.Connection, path: Path, *, read_only: bool) -> None:
    if read_only:
        connection.execute("PRAGMA query_only = ON")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        return
    for name, wanted in _PRAGMAS.items():
        connection.execute(f"PRAGMA {name} = {wanted}")
        row: tuple[Any, ...] | None = connection.execute(f"PRAGMA {name}").fetchone()
        if row is None or row[0] != wanted:
            got = None if row is None else row[0]
            raise DeskError(f"{path}: SQLite kept {name} = {got}, not {wanted}. Put the state on a local disk.")


def _schema_version(engine: sa.Engine, path: Path) -> str:
    """The Alembic revision in the file, empty where there is none. Raises DeskError where it is no database."""
    try:
        with engine.begin() as connection:
            if not sa.inspect(connection).has_table("alembic_version"):
                return ""
            return str(connection.scalar(sa.text("SELECT version_num FROM alembic_version")) or "")
    except sa.exc.DatabaseError as error:
        if getattr(error.orig, "sqlite_errorcode", 0) not in _DAMAGED:
            raise
        raise DeskError(
            f"{path} is damaged ({error.orig}). Keep the file as it is, and restore a backup into its place."
        ) from error


def _refuse_newer(path: Path, found: str) -> None:
    if found and found not in _known_versions():
        raise SchemaTooNew(path, found)


def _refuse_other(path: Path, found: str) -> None:
    if found != HEAD:
        _refuse_newer(path, found)
        raise SchemaTooOld(path, found)


def _known_versions() -> frozenset[str]:
    from alembic.script import ScriptDirectory

    return frozenset(script.revision for script in ScriptDirectory(str(_MIGRATIONS)).walk_revisions())


def _upgrade(engine: sa.Engine) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, HEAD)
        hit(FaultPoint.IN_MIGRATION)


def _backup(path: Path, version: str) -> None:
    """Copy through SQLite's online backup, verify the copy, then let it appear under its name (rule S6)."""
    target = path.with_name(f"{path.stem}.before-{HEAD}.from-{version}.sqlite")
    part = target.with_suffix(".part")
    part.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(part)) as copy:
        source.backup(copy)
        verdict = copy.execute("PRAGMA integrity_check").fetchone()
        if verdict is None or verdict[0] != "ok":
            raise DeskError(f"the backup of {path} does not verify. Nothing was changed; check the disk.")
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(target)
    _fsync_dir(path.parent)
    _log.info("desk backed up as %s", target.name)


def _fsync_dir(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
