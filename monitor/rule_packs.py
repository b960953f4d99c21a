"""The law a process judges by: read once at its start, named by version and digest, and looked after since."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from models.law.library import Law, load_law, pack_files, shipped_law
from monitor.config.faults import ConfigFault, ConfigFaults
from monitor.config.law_sections import LawSettings

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 300.0
"""Seconds between looks at the directory."""


def law_in_force(settings: LawSettings) -> Law:
    """The shipped packs and those of `law.packs_dir`.

    Raises LawFaults with file and line of all that is wrong in a pack, ConfigFaults where the directory cannot be read.
    """
    directory = settings.packs_dir
    if directory is None:
        return shipped_law()
    try:
        return load_law(directory)
    except OSError as error:
        remedy = "Name a directory of rule packs (*.toml) that can be read, or leave the key out."
        problem = f"{directory} cannot be read: {error.strerror or 'it is no directory'}"
        raise ConfigFaults([ConfigFault("settings", "law.packs_dir", problem, remedy)]) from error


class RulePacks:
    """Tells whether the directory still holds what was read; what it holds now never counts before the next start."""

    def __init__(self, settings: LawSettings, law: Law) -> None:
        self.law = law
        self.changed: tuple[str, ...] = ()
        """Files that were added, removed or written since the start, by name."""
        self._directory = settings.packs_dir
        self._read = {name: _sha256(data) for name, data in law.sources}

    def look(self) -> bool:
        """Compare the directory with what was read; logs once a change. False: nothing more to do."""
        if self._directory is None:
            return False
        now = _now_in(self._directory)
        read = {name: digest for name, digest in self._read.items() if Path(name).parent == self._directory}
        changed = tuple(sorted(name for name in {*read, *now} if read.get(name) != now.get(name)))
        if changed and changed != self.changed:
            log.warning(
                "rule packs changed on disk: %s; still judging by %s until the next start. "
                "`gridwarden law dry-run --packs %s` shows what would change",
                ", ".join(changed),
                self.law.version,
                self._directory,
            )
        elif self.changed and not changed:
            log.info("rule packs on disk are again those in force, %s", self.law.version)
        self.changed = changed
        return False

    def status(self) -> dict[str, Any]:
        """For the status: version, digest, the packs, and whether the directory has changed since."""
        return {
            "version": self.law.version,
            "digest": self.law.digest,
            "packs_dir": None if self._directory is None else str(self._directory),
            "packs": [{"id": pack.id, "version": pack.version, "digest": pack.digest} for pack in self.law.packs],
            "changed_on_disk": list(self.changed),
        }


def _now_in(directory: Path) -> Mapping[str, str]:
    """Files of the directory with their digests; a directory that is gone holds none."""
    try:
        return {name: _sha256(data) for name, data in pack_files(directory)}
    except OSError:
        return {}


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
