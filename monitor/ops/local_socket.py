"""The Unix socket of the local API: where it lies and how it is bound."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

SOCKET_NAME: Final = "api.sock"
_ADDRESS_BYTES: Final = 107


@contextlib.contextmanager
def socket_address(state_dir: Path) -> Iterator[str]:
    """The socket's address, valid inside the block: a path too long for the kernel goes through the directory's fd."""
    path = state_dir / SOCKET_NAME
    if len(os.fsencode(path)) <= _ADDRESS_BYTES:
        yield str(path)
        return
    descriptor = os.open(state_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{SOCKET_NAME}"
    finally:
        os.close(descriptor)


def bind_local_socket(state_dir: Path) -> socket.socket:
    """Bind the socket with mode 0600 before anybody can connect; a socket left by a crash is replaced.

    The caller holds the lock of the state directory, so no other daemon can own the socket. Raises OSError.
    """
    path = state_dir / SOCKET_NAME
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISSOCK(path.lstat().st_mode):
            path.unlink()
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        with socket_address(state_dir) as address:
            bound.bind(address)
        path.chmod(0o600)
        bound.listen(16)
    except OSError:
        bound.close()
        raise
    return bound
