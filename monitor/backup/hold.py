"""What the core thread does for a backup: hold back what deletes, and write the history's tables."""

from __future__ import annotations

import contextlib
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from monitor.backup.layout import STAGING_NAME
from monitor.commands import CommandRefused, Row
from monitor.history.tables import TablesExport

if TYPE_CHECKING:
    from monitor.wiring import Core

FORGOTTEN_S: Final = 600.0
"""A backup that was not heard of for so long is given up: its maker is gone."""


@dataclass
class BackupHold:
    """The backup that goes on, if any. While it is held, retention removes nothing."""

    token: str = ""
    heard_s: float = 0.0
    export: TablesExport | None = None

    def held(self, now_s: float) -> bool:
        """Whether a backup goes on and its maker was heard of lately."""
        return bool(self.token) and now_s - self.heard_s < FORGOTTEN_S

    def take(self, now_s: float) -> str:
        """Begin one. Raises CommandRefused while another goes on."""
        if self.held(now_s):
            raise CommandRefused("另一个备份正在进行。Another backup is being made; wait until it has ended")
        self.release()
        self.token, self.heard_s = secrets.token_hex(8), now_s
        return self.token

    def hear(self, token: str, now_s: float) -> None:
        """The maker is still there. Raises CommandRefused for one that was given up."""
        if not token or token != self.token:
            raise CommandRefused("this backup was given up: it was not heard of for too long. Begin again")
        self.heard_s = now_s

    def release(self) -> None:
        """End it, whatever it was doing."""
        if self.export is not None:
            self.export.stop()
        self.token, self.export = "", None


def backup_begin(core: Core, _arguments: Mapping[str, Any]) -> Row:
    """Command: nothing is deleted until `backup_end`; answers with the token of this backup."""
    token = core.backup.take(core.pipeline.clock.monotonic_s())
    clear_staging(core.state_dir)
    return {"token": token}


def backup_history(core: Core, arguments: Mapping[str, Any]) -> Row:
    """Command: begin to write the history's tables as of now into the staging directory."""
    _hear(core, arguments)
    staging = clear_staging(core.state_dir)
    staging.mkdir(mode=0o700)
    core.backup.export = core.history.export_tables(staging)
    core.backup.export.start()
    return {"history_cursor": core.backup.export.journal_seq}


def backup_poll(core: Core, arguments: Mapping[str, Any]) -> Row:
    """Command: whether the tables are written; keeps the hold."""
    _hear(core, arguments)
    export = core.backup.export
    if export is None:
        raise CommandRefused("this backup has not begun with the history")
    if export.error is not None:
        raise CommandRefused(f"the history could not be written: {export.error}")
    return {"done": export.done}


def backup_end(core: Core, arguments: Mapping[str, Any]) -> Row:
    """Command: the backup has ended, well or not."""
    _hear(core, arguments)
    core.backup.release()
    clear_staging(core.state_dir)
    return {}


def clear_staging(state_dir: Path) -> Path:
    """Remove what a backup left behind; returns the staging directory's path."""
    staging = state_dir / STAGING_NAME
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(staging)
    return staging


def _hear(core: Core, arguments: Mapping[str, Any]) -> None:
    core.backup.hear(str(arguments.get("token", "")), core.pipeline.clock.monotonic_s())
