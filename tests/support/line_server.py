"""A real server that speaks InfluxDB's v2 write API: VictoriaMetrics on loopback, with its data in a folder."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support.broker import free_port
from tests.support.programs import needed_program


class LineServer:
    """Started and killed as a test wants; the port and the folder stay. Skips, or fails by GRIDWARDEN_NO_SKIP."""

    def __init__(self, folder: Path) -> None:
        self._binary = needed_program("victoria-metrics", "victoria-metrics")
        self._folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Self:
        self._folder.mkdir(exist_ok=True)
        self._process = subprocess.Popen(
            [
                self._binary,
                f"-httpListenAddr=127.0.0.1:{self.port}",
                f"-storageDataPath={self._folder / 'data'}",
                "-retentionPeriod=100y",
                "-search.latencyOffset=0s",
                "-memory.allowedBytes=128MB",
                "-loggerLevel=ERROR",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        end_s = time.monotonic() + 20
        while True:
            try:
                self._get("/health")
            except OSError:
                assert self._process.poll() is None, "victoria-metrics ended"
                assert time.monotonic() < end_s, "victoria-metrics does not answer"
                time.sleep(0.05)
            else:
                return self

    def kill(self) -> None:
        """End it as a crash would; what it had not flushed is lost."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(10)
        self._process = None

    def flush(self) -> None:
        """Make what was written visible to queries and durable."""
        self._get("/internal/force_flush")

    def points(self, name: str) -> dict[tuple[str, ...], dict[int, float]]:
        """The points of a metric such as `reading_p_kw`: stamp to value, by (meter, site, publisher, cadence)."""
        self.flush()
        query = urllib.parse.urlencode({"match[]": name, "start": "0", "end": "4102444800"})
        found: dict[tuple[str, ...], dict[int, float]] = {}
        for line in self._get(f"/api/v1/export?{query}").splitlines():
            row: dict[str, Any] = json.loads(line)
            tags = tuple(row["metric"].get(tag, "") for tag in ("meter", "site", "publisher", "cadence_s"))
            points = found.setdefault(tags, {})
            for stamp, value in zip(row["timestamps"], row["values"], strict=True):
                points[stamp] = value
        return found

    def count(self, name: str) -> int:
        """Distinct points of a metric."""
        return sum(len(points) for points in self.points(name).values())

    def _get(self, path: str) -> str:
        try:
            with urllib.request.urlopen(self.url + path, timeout=10) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            with error:
                raise AssertionError(f"{path}: {error.code}") from error

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self.kill()
