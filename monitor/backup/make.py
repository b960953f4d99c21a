"""Making a backup beside the running daemon, or of a state directory that no one uses (rule S6).

The order is what makes it right. First what is kept beside the stores (checkpoints), then the desk, then the history,
then the journal: each store is copied at one instant, and never before one that depends on it. So no store in the
backup knows of a record its journal does not have, and what the journal has beyond the others is applied and judged
at the next start, which is the recovery after any crash. Readings that came between are in the journal, once.

While it is made, retention is held back, so that no file disappears between two steps.
"""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import duckdb
import msgspec

from models.domain.clock import Clock
from monitor.backup.checking import check_order, check_stores
from monitor.backup.copying import copy_file, copy_sqlite, need_room, sync_tree
from monitor.backup.hold import clear_staging
from monitor.backup.layout import STAGING_NAME, is_key, other_files, state_bytes
from monitor.backup.manifest import (
    FORMAT,
    MANIFEST_NAME,
    BackupError,
    FileEntry,
    Manifest,
    check_files,
    file_digest,
    write_manifest,
)
from monitor.desk.database import DESK_FILE, HEAD
from monitor.fault_points import FaultPoint, hit
from monitor.history.history import History
from monitor.history.schema import SCHEMA_VERSION as HISTORY_VERSION
from monitor.history.tables import TABLES, sealed_files, table_file
from monitor.journal.schema import USER_VERSION as JOURNAL_VERSION
from monitor.journal.schema import segment_paths
from monitor.storage import StateLock, StoreError, disk_errors, sync_directory

LAST_NAME: Final = "last-backup.json"
"""In the state directory: when the last backup was made, and where it lies."""

_POLL_S: Final = 0.1


class Owner(Protocol):
    """Who holds the stores open while the backup is made."""

    def write_history(self) -> Path:
        """Write the history's tables as of now; returns the directory they lie in."""

    def still_there(self) -> None:
        """Say that the backup goes on."""


@dataclass(frozen=True, slots=True)
class Made:
    """A finished backup."""

    path: Path
    manifest: Manifest
    records: int

    @property
    def bytes(self) -> int:
        """Of all its files."""
        return sum(entry.bytes for entry in self.manifest.files)


class RunningDaemon:
    """The daemon owns the history: it writes the tables when told over its socket."""

    def __init__(self, state_dir: Path, command: Callable[[str, dict[str, Any]], dict[str, Any]], token: str) -> None:
        self._state_dir = state_dir
        self._command = command
        self._token = token

    @classmethod
    @contextlib.contextmanager
    def held(cls, state_dir: Path, command: Callable[[str, dict[str, Any]], dict[str, Any]]) -> Iterator[RunningDaemon]:
        """The daemon with its retention held back. Raises CommandRefused while another backup is made."""
        token = str(command("backup_begin", {})["token"])
        try:
            yield cls(state_dir, command, token)
        finally:
            command("backup_end", {"token": token})

    def write_history(self) -> Path:
        self._command("backup_history", {"token": self._token})
        while not self._command("backup_poll", {"token": self._token})["done"]:
            time.sleep(_POLL_S)
        return self._state_dir / STAGING_NAME

    def still_there(self) -> None:
        self._command("backup_poll", {"token": self._token})


class StoppedState:
    """No daemon runs: the history is opened here, under the directory's lock."""

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir

    @classmethod
    @contextlib.contextmanager
    def held(cls, state_dir: Path) -> Iterator[StoppedState]:
        """The state directory, locked. Raises `StoreLocked` where a daemon uses it."""
        lock = StateLock.acquire(state_dir)
        try:
            yield cls(state_dir)
        finally:
            clear_staging(state_dir)
            lock.release()

    def write_history(self) -> Path:
        staging = clear_staging(self._state_dir)
        staging.mkdir(mode=0o700)
        with contextlib.closing(History.open(self._state_dir)) as history:
            history.export_tables(staging).run()
        return staging

    def still_there(self) -> None:
        """Nobody to tell."""


def make_backup(
    state_dir: Path, target: Path, owner: Owner, clock: Clock, *, district: str, version: str, with_keys: bool = False
) -> Made:
    """Make the directory `target`, which must not be there, verified and durable; it appears whole or not at all.

    Raises BackupError, or what the stores raise where one of them is damaged.
    """
    if target.exists() or target.is_symlink():
        raise BackupError(f"{target} is already there; a backup never overwrites anything: name another place")
    if not target.parent.is_dir():
        raise BackupError(f"{target.parent} is not a directory: make it, or name another place with --out")
    if target.resolve().is_relative_to(state_dir.resolve()):
        raise BackupError(f"{target} lies in the state directory it is to save: name another disk with --out")
    part = target.with_name(f".{target.name}.part")
    need_room(target.parent, state_bytes(state_dir))
    try:
        with disk_errors(part):
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(mode=0o700)
        keys = _copy_all(state_dir, part, owner, with_keys=with_keys)
        manifest, records = _described(part, keys, clock.wall_ms(), district=district, version=version)
        write_manifest(part, manifest)
        check_files(part, manifest)
        sync_tree(part)
        with disk_errors(target):
            part.rename(target)
            sync_directory(target.parent)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    note_last(state_dir, target, manifest.made_at_ms)
    return Made(target, manifest, records)


def _copy_all(state_dir: Path, part: Path, owner: Owner, *, with_keys: bool) -> set[str]:
    """Copy in the order that makes it right; returns the paths of secret keys."""
    keys: set[str] = set()
    for path in list(other_files(state_dir)):
        name = path.relative_to(state_dir)
        if path.name == LAST_NAME or (is_key(path) and not with_keys):
            continue
        copy_file(path, part / name)
        if is_key(path):
            keys.add(name.as_posix())
    hit(FaultPoint.IN_BACKUP)
    if (state_dir / DESK_FILE).is_file():
        copy_sqlite(state_dir / DESK_FILE, part / DESK_FILE)
    tables = owner.write_history()
    for table in TABLES:
        copy_file(tables / table_file(table), part / table_file(table))
    for name_of_part, sha256 in sealed_files(part):
        copy_file(state_dir / name_of_part, part / name_of_part, sha256=sha256)
        owner.still_there()
    for segment in segment_paths(state_dir):
        copy_sqlite(segment, part / segment.name)
        owner.still_there()
    return keys


def _described(part: Path, keys: set[str], made_at_ms: int, *, district: str, version: str) -> tuple[Manifest, int]:
    """The manifest of what was copied, after its stores were verified; and the journal's records."""
    held = check_stores(part)
    cursor = history_cursor(part)
    check_order(journal_head=held.journal_head, history_cursor=cursor, desk_cursor=held.desk_cursor)
    files = [
        FileEntry(name, path.stat().st_size, file_digest(path), key=name in keys)
        for path in sorted(part.rglob("*"))
        if path.is_file() and (name := path.relative_to(part).as_posix())
    ]
    manifest = Manifest(
        format=FORMAT,
        made_at_ms=made_at_ms,
        made_by=version,
        district=district,
        journal_head=held.journal_head,
        history_cursor=cursor,
        desk_cursor=held.desk_cursor,
        versions={
            "journal": str(JOURNAL_VERSION),
            "desk": HEAD,
            "history": str(HISTORY_VERSION),
            "sqlite": sqlite3.sqlite_version,
            "duckdb": duckdb.__version__,
        },
        keys=bool(keys),
        files=files,
    )
    return manifest, held.records


def history_cursor(directory: Path) -> int:
    """The record the exported history is applied up to. Raises BackupError where its table cannot be read."""
    path = directory / table_file("applied")
    try:
        with contextlib.closing(duckdb.connect(":memory:")) as reader:
            row = reader.execute("SELECT journal_seq FROM read_parquet(?)", [str(path)]).fetchone()
    except duckdb.Error as error:
        raise BackupError(f"{path} is damaged: {error}") from error
    if row is None:
        raise BackupError(f"{path} is empty: the history's own row is missing")
    return int(row[0])


def note_last(state_dir: Path, path: Path, made_at_ms: int) -> None:
    """Note in the state directory when the last backup was made. A full disk there does not spoil the backup."""
    note = state_dir / LAST_NAME
    unfinished = note.with_suffix(".new")
    with contextlib.suppress(OSError):
        unfinished.write_bytes(msgspec.json.encode({"made_at_ms": made_at_ms, "path": str(path.absolute())}))
        unfinished.replace(note)


def last_backup(state_dir: Path) -> tuple[int, str] | None:
    """(Unix ms, path) of the last backup; None where none is known."""
    try:
        found = msgspec.json.decode((state_dir / LAST_NAME).read_bytes())
        return int(found["made_at_ms"]), str(found["path"])
    except (OSError, msgspec.DecodeError, KeyError, TypeError, ValueError):
        return None


def dated_name(district: str, made_at_ms: int) -> str:
    """Name of a backup made into a directory of backups; names sort by time."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(made_at_ms / 1000.0))
    return f"gridwarden-{district}-{stamp}"


def drop_old(directory: Path, district: str, keep: int) -> list[Path]:
    """Remove all but the newest `keep` backups of a district; returns what was removed.

    Only directories with our names and a manifest count, so that nothing else is ever removed.
    """
    ours = sorted(path for path in directory.glob(f"gridwarden-{district}-*Z") if (path / MANIFEST_NAME).is_file())
    gone = ours[: max(0, len(ours) - max(1, keep))]
    for path in gone:
        with contextlib.suppress(StoreError), disk_errors(path):
            shutil.rmtree(path)
    return gone


def drop_unfinished(directory: Path, district: str) -> None:
    """Remove what backups that were killed left in a directory of backups; call it while no other is made."""
    for path in directory.glob(f".gridwarden-{district}-*Z.part"):
        shutil.rmtree(path, ignore_errors=True)
