"""Secrets come from files that only their owner can read (rule L4)."""

from __future__ import annotations

import stat
from pathlib import Path

MAX_SECRET_BYTES = 65_536


class SecretFileError(ValueError):
    """A secret file that cannot be used; never carries the secret itself."""

    def __init__(self, problem: str, remedy: str) -> None:
        self.problem = problem
        self.remedy = remedy
        super().__init__(f"{problem}. {remedy}")


def read_secret(path: Path) -> bytes:
    """The content of a secret file without its last line end.

    Raises SecretFileError where the file is missing, open to others, empty or too large.
    """
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(path.stat().st_mode)
            if mode & 0o077:
                raise SecretFileError(f"{path} has mode {mode:04o}, open to others", f"Run: chmod 600 {path}")
            content = file.read(MAX_SECRET_BYTES + 1)
    except OSError as error:
        raise SecretFileError(f"{path} cannot be read: {error.strerror}", "Create it, owned by the service.") from error
    if len(content) > MAX_SECRET_BYTES:
        raise SecretFileError(f"{path} is larger than {MAX_SECRET_BYTES} bytes", "Put only the secret in it.")
    content = content.rstrip(b"\r\n")
    if not content:
        raise SecretFileError(f"{path} is empty", "Write the secret into it.")
    return content
