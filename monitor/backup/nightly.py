"""The backup of every day, in a process of its own: verifying it must not slow the intake."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from monitor.backup.make import last_backup
from monitor.config.keeping_sections import BackupSettings

if TYPE_CHECKING:
    from monitor.wiring import Core

log = logging.getLogger(__name__)

RESTED_MS: Final = 20 * 3_600_000
"""A backup younger than this is not made again after a restart."""

_STOP_S: Final = 1.0


class NightlyBackup:
    """A chore: starts `gridwarden backup` once a day and looks whether it has ended."""

    def __init__(self, settings: BackupSettings, directory: Path, state_dir: Path, district: str) -> None:
        self._command = [
            *(sys.executable, "-m", "monitor.cli.main", "backup"),
            *("--out", str(directory.absolute()), "--keep", str(settings.keep), "--state", str(state_dir.absolute())),
        ]
        self._environment = {**os.environ, "GRIDWARDEN__DAEMON__DISTRICT": district}
        self._directory = directory
        self._state_dir = state_dir
        self._process: subprocess.Popen[str] | None = None

    def run(self, core: Core) -> bool:
        """Start it where it is due; True while it goes on."""
        if self._process is None:
            last = last_backup(self._state_dir)
            if last is not None and 0 <= core.pipeline.clock.wall_ms() - last[0] < RESTED_MS:
                return False
            try:
                self._process = subprocess.Popen(  # noqa: S603 -- our own program, arguments from the settings
                    self._command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    text=True,
                    env=self._environment,
                )
            except OSError as error:
                log.error("the backup into %s could not be started: %s", self._directory, error)  # noqa: TRY400
                return False
            return True
        code = self._process.poll()
        if code is None:
            return True
        _, said = self._process.communicate()
        self._process = None
        if code == 0:
            log.info("backed up into %s", self._directory)
        else:
            lines = said.strip().splitlines() or [f"it ended with {code}"]
            log.error("no backup was made into %s: %s", self._directory, lines[-1][:500])
        return False

    def stop(self) -> None:
        """End a backup that goes on: for a daemon that stops."""
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            process.terminate()
            try:
                process.communicate(timeout=_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
