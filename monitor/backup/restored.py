"""The note a restore leaves, and the audit entry the next start makes of it.

The stores are left as they were backed up, so that what was verified is what is there; that the log goes on from an
earlier point is then said by its next entry.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec
import sqlalchemy as sa

from models.domain.clock import Clock
from monitor.backup.manifest import Manifest
from monitor.desk.audit_log import SYSTEM, append
from monitor.desk.database import desk_transaction
from monitor.storage import disk_errors, sync_directory

NOTE_NAME: Final = "restored.json"


def leave_note(directory: Path, manifest: Manifest, now_ms: int) -> None:
    """Say from what and when the directory was restored."""
    note = {
        "restored_at_ms": now_ms,
        "made_at_ms": manifest.made_at_ms,
        "made_by": manifest.made_by,
        "journal_head": manifest.journal_head,
    }
    (directory / NOTE_NAME).write_bytes(msgspec.json.encode(note))


def audit_restore(state_dir: Path, engine: sa.Engine, clock: Clock) -> bool:
    """Turn the note of a restore, if there is one, into an entry of the audit log; True where it did.

    A crash in between makes the entry twice, never not at all.
    """
    note = state_dir / NOTE_NAME
    if not note.is_file():
        return False
    try:
        details = dict(msgspec.json.decode(note.read_bytes()))
    except (msgspec.DecodeError, TypeError, ValueError):
        details = {"note": "unreadable"}
    with desk_transaction(engine) as connection:
        append(
            connection,
            at_ms=clock.wall_ms(),
            actor=SYSTEM,
            action="state.restored",
            subject="state",
            details=details,
        )
    with disk_errors(note):
        note.unlink()
        sync_directory(state_dir)
    return True
