"""Backups of a district's core, taken while it goes on, and what is compared after a restore."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from monitor.backup.hold import backup_begin, backup_end, backup_history, backup_poll
from monitor.backup.make import Made, RunningDaemon, make_backup
from monitor.commands import Handler
from tests.support.district import District

HANDLERS: Mapping[str, Handler] = {
    "backup_begin": backup_begin,
    "backup_history": backup_history,
    "backup_poll": backup_poll,
    "backup_end": backup_end,
}


def ask_core(district: District) -> Callable[[str, dict[str, Any]], dict[str, Any]]:
    """The commands of a backup, carried out by the district's core."""
    return lambda name, arguments: HANDLERS[name](district.core, arguments)


class Interrupted(RunningDaemon):
    """Lets the daemon work between any two steps of a backup: `meanwhile` is called before each of them."""

    meanwhile: Callable[[], object] = staticmethod(lambda: None)

    def write_history(self) -> Path:
        self.meanwhile()
        found = super().write_history()
        self.meanwhile()
        return found

    def still_there(self) -> None:
        self.meanwhile()
        super().still_there()


def back_up(district: District, target: Path, meanwhile: Callable[[], object] | None = None, **more: Any) -> Made:
    """Back the district up beside its open core."""
    with Interrupted.held(district.state_dir, ask_core(district)) as owner:
        if meanwhile is not None and isinstance(owner, Interrupted):
            owner.meanwhile = meanwhile  # type: ignore[method-assign]
        return make_backup(district.state_dir, target, owner, district.clock, district="test", version="1", **more)
