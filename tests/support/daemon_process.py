"""The daemon as a process: started with a configuration of its own, killed, stopped, asked."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

COMMAND = (sys.executable, "-m", "monitor.cli.main")
START_S = 30.0


def command(*arguments: str | Path, timeout_s: float = 60.0) -> subprocess.CompletedProcess[str]:
    """Run `gridwarden` with arguments to its end, as an operator would."""
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
        env=os.environ | {"COLUMNS": "200"},
    )


def write_config(path: Path, settings: Mapping[str, object]) -> Path:
    """A configuration file from dotted keys: `{"mqtt.port": 1883}`."""
    path.write_text("".join(f"{key} = {_toml(value)}\n" for key, value in settings.items()), encoding="utf-8")
    return path


def _toml(value: object) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(str(value) if isinstance(value, Path) else value)


class DaemonProcess:
    """`gridwarden run` over a folder; a context manager that leaves no process behind.

    `settings` are dotted keys over those of a small test daemon; `program` stands in for the command where a test
    changes the program.
    """

    def __init__(
        self,
        folder: Path,
        register: Path,
        broker_port: int,
        settings: Mapping[str, object] | None = None,
        program: Sequence[str] = COMMAND,
    ) -> None:
        self.state_dir = folder / "state"
        self.log_path = folder / "daemon.log"
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None
        self._log_from = 0
        folder.mkdir(parents=True, exist_ok=True)
        self.config = write_config(
            folder / "gridwarden.toml",
            {
                "daemon.state_dir": self.state_dir,
                "daemon.register": register,
                "mqtt.port": broker_port,
                "ops.port": 0,
                "sinks.mqtt_leads": False,
                **(settings or {}),
            },
        )

    @property
    def pid(self) -> int:
        """Process id of the running daemon."""
        assert self._process is not None, "the daemon does not run"
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> list[dict[str, Any]]:
        """What the process that runs, or ran last, logged."""
        lines = self.log_path.read_bytes()[self._log_from :].decode(errors="replace").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]

    @property
    def said(self) -> str:
        """All of it as text, for messages of failed tests."""
        return self.log_path.read_bytes()[self._log_from :].decode(errors="replace")

    def start(self, environ: Mapping[str, str] | None = None) -> Self:
        """Start the process and return at once; `environ` over that of the test."""
        assert not self.running, "the daemon runs already"
        with self.log_path.open("ab") as log:
            self._log_from = log.tell()
            self._process = subprocess.Popen(
                [*self._program, "run", "--config", str(self.config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, **(environ or {})},
            )
        return self

    def wait_for(self, event: str, timeout_s: float = START_S) -> dict[str, Any]:
        """The first log line that contains `event`; fails when the process ends before, or in time."""
        deadline_s = time.monotonic() + timeout_s
        while True:
            ended = not self.running
            for line in self.log:
                if event in str(line.get("event", "")):
                    return line
            if ended or time.monotonic() > deadline_s:
                raise AssertionError(f"the daemon {'ended' if ended else 'did not say'} {event!r}:\n{self.said}")
            time.sleep(0.01)

    def ready(self) -> Self:
        """Wait until the daemon runs, is connected to the broker and gets what is published from now on."""
        self.wait_for("running; state in")
        self.wait_for("connected to the broker")
        self.wait_for("subscribed to")
        return self

    @property
    def ops_url(self) -> str:
        """Where metrics and health are served."""
        return f"http://127.0.0.1:{self.wait_for('running; state in')['event'].rsplit(' ', 1)[1]}"

    def get(self, path: str) -> tuple[int, str]:
        """Status and body of a call to the ops server."""
        try:
            with urllib.request.urlopen(self.ops_url + path, timeout=5) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def metric(self, sample: str) -> float:
        """The value of one sample as `/metrics` writes it."""
        for line in self.get("/metrics")[1].splitlines():
            if line.rsplit(" ", 1)[0] == sample:
                return float(line.rsplit(" ", 1)[1])
        raise AssertionError(f"no sample {sample}")

    def kill(self) -> None:
        """SIGKILL."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(timeout=10)

    def stop(self, timeout_s: float = 10.0) -> tuple[int, float]:
        """SIGTERM; returns exit code and the seconds it took."""
        assert self._process is not None
        began_s = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        return self.wait(timeout_s), time.monotonic() - began_s

    def wait(self, timeout_s: float = START_S) -> int:
        """Wait for the process to end by itself; returns its exit code."""
        assert self._process is not None
        return self._process.wait(timeout=timeout_s)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self.running:
            self.kill()


def until(wanted: Any, timeout_s: float = 20.0, *, every_s: float = 0.05) -> Any:
    """Call `wanted` until it returns something true, and return that; fails when it does not in time."""
    deadline_s = time.monotonic() + timeout_s
    while not (found := wanted()):
        if time.monotonic() > deadline_s:
            raise AssertionError(f"{wanted} was not true within {timeout_s:.0f} s, but {found!r}")
        time.sleep(every_s)
    return found
