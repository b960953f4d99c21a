"""A file system of a few megabytes in a mount namespace of its own, in which programs can be started."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.programs import needed_program


class SmallDisk:
    """A tmpfs at `at`, seen by programs started through `inside`; a context manager. Needs no rights of root."""

    def __init__(self, at: Path, megabytes: int) -> None:
        self._at = at
        self._unshare = needed_program("unshare", "util-linux")
        self._nsenter = needed_program("nsenter", "util-linux")
        self._spaces = ["--mount"] if os.geteuid() == 0 else ["--user", "--mount"]
        self._mount = f"mount -t tmpfs -o size={megabytes}m,mode=0700 none '{at}' && echo mounted && exec sleep 600"
        self._holder: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._at.mkdir(parents=True, exist_ok=True)
        mapping = [] if os.geteuid() == 0 else ["--map-root-user"]
        self._holder = subprocess.Popen(
            [self._unshare, *self._spaces, *mapping, "sh", "-c", self._mount], stdout=subprocess.PIPE, text=True
        )
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline().strip() == "mounted"
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        assert self._holder is not None
        self._holder.kill()
        with self._holder:
            pass

    @property
    def path(self) -> Path:
        """The directory as seen from outside."""
        assert self._holder is not None
        return Path(f"/proc/{self._holder.pid}/root") / self._at.relative_to("/")

    def inside(self, program: Sequence[str]) -> tuple[str, ...]:
        """The program, started where the small disk is mounted."""
        assert self._holder is not None
        keep = [] if os.geteuid() == 0 else ["--preserve-credentials"]
        return (self._nsenter, "--target", str(self._holder.pid), *self._spaces, *keep, "--", *program)

    def fill(self) -> Path:
        """Leave no room at all; returns the file to delete."""
        filler = self.path / "filler"
        block = b"\0" * 65536
        with filler.open("ab", buffering=0) as file:
            try:
                while file.write(block):
                    pass
            except OSError:
                return filler
        raise AssertionError("the small disk has no end")
