"""What lies in a state directory, and what of it a backup holds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from monitor.desk.database import DESK_FILE
from monitor.history.history import HISTORY_NAME
from monitor.history.seal import PARTS_NAME
from monitor.journal.schema import segment_paths
from monitor.ops.local_socket import SOCKET_NAME
from monitor.storage import BALLAST_NAME, LOCK_NAME, RESTORING_NAME

STAGING_NAME: Final = "backup-staging"
"""Where the daemon writes the history's tables while a backup is made."""

KEY_SUFFIXES: Final = (".key", ".pem")
"""Names that end so are secret keys: in a backup only when asked for."""

_LEFT_OUT: Final = frozenset({LOCK_NAME, BALLAST_NAME, SOCKET_NAME, STAGING_NAME, RESTORING_NAME, PARTS_NAME})
_SIDE: Final = ("-wal", "-shm", ".wal", ".tmp", ".new", ".part")


def is_key(path: Path) -> bool:
    """Whether a file of the state directory is a secret key."""
    return path.suffix in KEY_SUFFIXES and not path.name.endswith((".pub.pem", "-public.pem", ".pub.key"))


def other_files(state_dir: Path) -> Iterator[Path]:
    """Regular files that are no store: damaged segments that are kept, checkpoints, keys; symbolic links never."""
    stores = {DESK_FILE, HISTORY_NAME, *(path.name for path in segment_paths(state_dir))}
    for path in sorted(state_dir.rglob("*")):
        top = path.relative_to(state_dir).parts[0]
        if top in _LEFT_OUT or top in stores or path.name.endswith(_SIDE):
            continue
        if path.is_file() and not path.is_symlink():
            yield path


def state_bytes(state_dir: Path) -> int:
    """Bytes of what a backup would hold, about."""
    return sum(path.stat().st_size for path in state_dir.rglob("*") if path.is_file() and path.name != BALLAST_NAME)
