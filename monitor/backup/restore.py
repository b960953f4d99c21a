"""Putting a backup into an empty state directory: digests first, the stores verified after, whole or not at all."""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import dataclass
from pathlib import Path

from models.domain.clock import Clock
from monitor.backup.checking import check_order, check_stores
from monitor.backup.copying import copy_file, need_room, sync_tree
from monitor.backup.manifest import BackupError, BackupMissing, Manifest, check_files, read_manifest
from monitor.backup.restored import leave_note
from monitor.desk.database import DESK_FILE, SchemaTooOld, read_desk
from monitor.history.history import HISTORY_NAME, History
from monitor.history.tables import load_tables
from monitor.storage import RESTORING_NAME, StoreError, disk_errors, sync_directory, sync_file


@dataclass(frozen=True, slots=True)
class Restored:
    """What was put where, and what its verification counted."""

    manifest: Manifest
    records: int
    sealed_parts: int


def check_backup(backup: Path) -> Manifest:
    """Verify a backup where it lies: manifest, every digest, chain, desk. Raises BackupError or a store's error."""
    if not backup.is_dir():
        raise BackupMissing(f"{backup} is not a backup: name the directory that `gridwarden backup` made")
    manifest = read_manifest(backup)
    check_files(backup, manifest)
    held = check_stores(backup)
    check_order(
        journal_head=held.journal_head, history_cursor=manifest.history_cursor, desk_cursor=manifest.desk_cursor
    )
    return manifest


def restore_backup(backup: Path, state_dir: Path, clock: Clock) -> Restored:
    """Put a verified backup into `state_dir`, which must be empty or not there, and verify the stores again there.

    Raises BackupError naming what is in the way or damaged; the backup itself is never changed.
    """
    _refuse_used(state_dir)
    manifest = check_backup(backup)
    with disk_errors(state_dir):
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    need_room(state_dir, sum(entry.bytes for entry in manifest.files))
    restoring = state_dir / RESTORING_NAME
    restoring.mkdir(mode=0o700)
    sync_directory(state_dir)
    try:
        restored = _build(backup, restoring, manifest, clock.wall_ms())
    except BaseException:
        shutil.rmtree(restoring, ignore_errors=True)
        raise
    with disk_errors(state_dir):
        for path in sorted(restoring.iterdir()):
            path.rename(state_dir / path.name)
        sync_directory(state_dir)
        restoring.rmdir()
        sync_directory(state_dir)
    return restored


def _build(backup: Path, restoring: Path, manifest: Manifest, now_ms: int) -> Restored:
    """All stores, made and verified beside their final place."""
    for entry in manifest.files:
        if not entry.path.startswith("table-"):
            copy_file(backup / entry.path, restoring / entry.path, sha256=entry.sha256)
    cursor = load_tables(restoring / HISTORY_NAME, backup)
    if cursor != manifest.history_cursor:
        raise BackupError(f"{backup}: the history is at record {cursor}, not {manifest.history_cursor}")
    sync_file(restoring / HISTORY_NAME)
    held = check_stores(restoring)
    check_order(journal_head=held.journal_head, history_cursor=cursor, desk_cursor=held.desk_cursor)
    with contextlib.closing(History.open(restoring)) as history:
        parts = history.verify_sealed()
    if (restoring / DESK_FILE).is_file():
        _see_that_it_is_not_newer(restoring)
    leave_note(restoring, manifest, now_ms)
    for leftover in (*restoring.glob("*-wal"), *restoring.glob("*-shm")):
        leftover.unlink()
    sync_tree(restoring)
    return Restored(manifest, held.records, parts)


def _see_that_it_is_not_newer(directory: Path) -> None:
    """An older desk is brought up to date by the daemon's start. Raises SchemaTooNew."""
    with contextlib.suppress(SchemaTooOld):
        read_desk(directory).dispose()


def _refuse_used(state_dir: Path) -> None:
    if state_dir.exists() and not state_dir.is_dir():
        raise BackupError(f"{state_dir} is a file; name a directory that is empty or not there with --state")
    try:
        found = sorted(path.name for path in state_dir.iterdir()) if state_dir.is_dir() else []
    except OSError as error:
        raise StoreError(f"{state_dir}: {error.strerror}; name a directory this user may read and write") from error
    if RESTORING_NAME in found:
        raise BackupError(
            f"{state_dir} holds an interrupted restore ({RESTORING_NAME}); empty the directory, then restore again"
        )
    if found:
        raise BackupError(
            f"{state_dir} is not empty (it holds {', '.join(found[:3])}); a restore never overwrites anything: "
            "name an empty directory with --state, or move this one away first"
        )
