"""A real mosquitto for tests: on a free loopback port, with the configuration a test gives."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from tests.support.programs import needed_program

REFERENCE = (
    "allow_anonymous true",
    "max_inflight_messages 2000",
    "max_queued_messages 0",
    "max_packet_size 1048576",
)
"""What the reference broker configuration says about queues, without its access control."""


def free_port() -> int:
    """A TCP port of the loopback interface that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Broker:
    """One mosquitto process; a context manager. `lines` go into its configuration as they are.

    With `persistent` its database lies in `folder` and is saved when it ends, so that a restart keeps sessions.
    """

    def __init__(self, folder: Path, lines: Sequence[str] = REFERENCE, *, persistent: bool = False) -> None:
        self._binary = needed_program("mosquitto", "mosquitto")
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        folder.mkdir(parents=True, exist_ok=True)
        store = [f"persistence {'true' if persistent else 'false'}"]
        if persistent:
            store += [f"persistence_location {folder}/", "autosave_interval 1"]
        rank = [f"user {os.environ.get('USER', 'root')}"] if os.geteuid() == 0 else []
        listener = [f"listener {self.port} 127.0.0.1"]
        self._config = folder / "mosquitto.conf"
        self._config.write_text("\n".join(["per_listener_settings false", *rank, *store, *listener, *lines]) + "\n")

    @property
    def log(self) -> str:
        """What the broker wrote so far."""
        return (self._folder / "mosquitto.log").read_text(errors="replace")

    def start(self) -> Self:
        """Start it and wait until it accepts connections."""
        with (self._folder / "mosquitto.log").open("ab") as log:
            self._process = subprocess.Popen([self._binary, "-c", str(self._config)], stdout=log, stderr=log)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                time.sleep(0.02)
            else:
                return self
        raise RuntimeError(f"mosquitto did not start:\n{self.log}")

    def stop(self) -> None:
        """SIGTERM: it saves its database, where it has one."""
        self._end(kill=False)

    def kill(self) -> None:
        """SIGKILL: what was not saved is gone."""
        self._end(kill=True)

    def _end(self, *, kill: bool) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if kill:
            process.kill()
        else:
            process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=10)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
