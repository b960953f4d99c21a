"""One thread that serves several small applications, each on a socket bound beforehand."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Callable, Sequence
from typing import Final

import uvicorn
from fastapi import FastAPI

log = logging.getLogger(__name__)

_STOP_LIMIT_S: Final = 1.0
_PROGRESS_S: Final = 1.0


def bind_tcp(host: str, port: int) -> socket.socket:
    """A listening TCP socket, so that a port in use is an error at start. Raises OSError that names host and port."""
    family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    bound = socket.socket(family, kind | socket.SOCK_CLOEXEC, proto)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen(64)
    except OSError as error:
        bound.close()
        raise OSError(error.errno, f"{host} port {port}: {error.strerror}") from error
    return bound


class OpsServer:
    """Serves each (application, listening socket) from its own event loop in one thread.

    `on_progress` is called about once a second while the loop turns.
    """

    def __init__(
        self, served: Sequence[tuple[FastAPI, socket.socket]], on_progress: Callable[[], None] | None = None
    ) -> None:
        self._sockets = [bound for _, bound in served]
        self._servers = [_server(app) for app, _ in served]
        self._on_progress = on_progress
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gridwarden-ops", daemon=True)

    @property
    def thread(self) -> threading.Thread:
        return self._thread

    def start(self) -> None:
        """Serve; connections wait in the sockets' backlog until the loop turns."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the calls in flight, or abandon them: returns within about a second."""
        for server in self._servers:
            server.should_exit = True
        if not self._done.wait(_STOP_LIMIT_S / 2):
            for server in self._servers:
                server.force_exit = True
        if self._thread.ident is not None:
            self._thread.join(_STOP_LIMIT_S / 2)
        for bound in self._sockets:
            bound.close()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        finally:
            self._done.set()

    async def _serve(self) -> None:
        beat = asyncio.create_task(self._beat())
        try:
            await asyncio.gather(
                *(server.serve(sockets=[bound]) for server, bound in zip(self._servers, self._sockets, strict=True))
            )
        finally:
            beat.cancel()

    async def _beat(self) -> None:
        while True:
            if self._on_progress is not None:
                self._on_progress()
            await asyncio.sleep(_PROGRESS_S)


def _server(app: FastAPI) -> uvicorn.Server:
    return uvicorn.Server(
        uvicorn.Config(
            app,
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            lifespan="off",
            ws="none",
            http="h11",
            limit_concurrency=32,
            h11_max_incomplete_event_size=16_384,
            timeout_keep_alive=5,
            timeout_graceful_shutdown=1,
        )
    )
