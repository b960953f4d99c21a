"""The slow look at what is stored: every day a seventh of the sealed files and of the journal (rule S4).

Months of the journal that are over are listed in a checkpoint with their digest first, so that later looks, and
`verify`, compare them byte for byte.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import zlib
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final

from monitor.audit.checkpoint import Occasion, SealedFile
from monitor.history.seal import PARTS_NAME
from monitor.journal.check import check_range
from monitor.journal.schema import last_seq, open_reader, read_segment, segment_paths
from monitor.storage import StoreDamaged, StoreFull, sqlite_errors

if TYPE_CHECKING:
    from monitor.wiring import Core

log = logging.getLogger(__name__)

ROUND_DAYS: Final = 7
SLICE_BYTES: Final = 4 << 20
SLICE_RECORDS: Final = 16
_DAY_MS: Final = 86_400_000


class ScannedStore(StrEnum):
    """Where damage may be found."""

    JOURNAL = "journal"
    HISTORY = "history"


class Scan:
    """A chore: `run` does one slice and says whether more is to be looked at today.

    `found` are the files that are not what was written; `on_damage` hears of each once.
    """

    def __init__(self, on_damage: Callable[[ScannedStore], None]) -> None:
        self._on_damage = on_damage
        self._round: Iterator[None] | None = None
        self.found: dict[str, str] = {}

    def run(self, core: Core) -> bool:
        """One slice. Raises `StoreFull` where a checkpoint cannot be written."""
        if self._round is None:
            self._round = self._slices(core)
        try:
            next(self._round)
        except StopIteration:
            self._round = None
            return False
        except StoreFull:
            self._round = None
            raise
        return True

    def _slices(self, core: Core) -> Iterator[None]:
        yield from self._seal_months(core)
        today = core.pipeline.clock.wall_ms() // _DAY_MS
        listed = dict(core.checkpoints.sealed)
        for path in segment_paths(core.state_dir):
            if not _due(path.name, today):
                continue
            file = listed.get(path.name)
            if file is not None:
                yield from self._compare(ScannedStore.JOURNAL, path, path.name, file.bytes, file.sha256)
            else:
                yield from self._walk(path)
        for part in core.history.manifest():
            if _due(part.file, today):
                path, name = core.state_dir / PARTS_NAME / part.file, f"{PARTS_NAME}/{part.file}"
                yield from self._compare(ScannedStore.HISTORY, path, name, part.bytes, part.sha256)

    def _seal_months(self, core: Core) -> Iterator[None]:
        """List the months that are over, each in a checkpoint of its own."""
        for path in segment_paths(core.state_dir)[:-1]:
            wal = path.with_name(path.name + "-wal")
            if path.name in core.checkpoints.sealed or (wal.exists() and wal.stat().st_size):
                continue
            digest, size = hashlib.sha256(), 0
            with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
                while chunk := file.read(SLICE_BYTES):
                    digest.update(chunk)
                    size += len(chunk)
                    yield
                core.checkpoints.write(Occasion.SEALED, sealed=SealedFile(path.name, size, digest.hexdigest()))
                log.info("%s is over: sealed in a checkpoint", path.name)

    def _compare(self, store: ScannedStore, path: Path, name: str, size: int, sha256: str) -> Iterator[None]:
        digest = hashlib.sha256()
        try:
            if path.stat().st_size != size:
                self._damaged(store, name, f"has {path.stat().st_size} bytes, not {size}")
                return
            with path.open("rb") as file:
                while chunk := file.read(SLICE_BYTES):
                    digest.update(chunk)
                    yield
        except FileNotFoundError:
            self._damaged(store, name, "is missing")
            return
        except OSError as error:
            self._damaged(store, name, f"cannot be read: {error.strerror or error}")
            return
        if digest.hexdigest() != sha256:
            self._damaged(store, name, "does not fit its digest")

    def _walk(self, path: Path) -> Iterator[None]:
        try:
            with sqlite_errors(path), contextlib.closing(open_reader(path)) as connection:
                segment = read_segment(connection, path)
                first, last = segment.first_seq, last_seq(connection, segment)
            while first <= last:
                with sqlite_errors(path), contextlib.closing(open_reader(path)) as connection:
                    check_range(connection, segment, first, min(first + SLICE_RECORDS - 1, last))
                first += SLICE_RECORDS
                yield
        except StoreDamaged as error:
            self._damaged(ScannedStore.JOURNAL, path.name, str(error))

    def _damaged(self, store: ScannedStore, name: str, what: str) -> None:
        if name not in self.found:
            self.found[name] = what
            log.error(
                "%s %s: keep the file, run `gridwarden verify --state`, restore from a verified backup", name, what
            )
            self._on_damage(store)


def _due(name: str, day: int) -> bool:
    """Whether a file is looked at on this day: each one once in `ROUND_DAYS`."""
    return zlib.crc32(name.encode()) % ROUND_DAYS == day % ROUND_DAYS
