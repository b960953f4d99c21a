"""The live benchmarks: the same messages through a real mosquitto to each contender in turn.

The messages wait at the broker in the contender's persistent session, where a publisher of its own process has put
them, and the contender drains them: on two cores a publisher at full speed would be measured as well.
"""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Final

from tests.bench import loads
from tests.bench.ceiling import session_client, session_properties
from tests.bench.loads import Load
from tests.bench.stopwatch import Cost
from tests.support.broker import Broker

TITLES: Final = {"ours": "GridWarden", "ceiling": "bare ceiling", "plain": "plain alternative"}
CONTENDERS: Final = ("ceiling", "ours", "plain")
"""In the order they run; every second repeat runs backwards."""
PLAIN_REPEATS: Final = 1
_MIDS: Final = 65_535
_TIMEOUT_S: Final = 600.0


@dataclass
class Measured:
    """Every run of one load, by contender."""

    load: Load
    payload_bytes: int
    costs: dict[str, list[Cost]] = field(default_factory=dict)

    def rate(self, name: str) -> float:
        """Median readings a second."""
        return median(self.load.readings / cost.wall_s for cost in self.costs[name])

    def cpu_us(self, name: str) -> float:
        """Median processor time a reading, all threads, in us."""
        return median(1e6 * cost.cpu_s / self.load.readings for cost in self.costs[name])

    def ratio(self, name: str) -> float:
        """A contender's rate to that of the ceiling that ran beside it, the median over the repeats."""
        pairs = zip(self.costs[name], self.costs["ceiling"], strict=False)
        return median(bare.wall_s / cost.wall_s for cost, bare in pairs)

    @property
    def ratio_met(self) -> bool:
        """The budget that means the same on any machine."""
        return self.ratio("ours") >= self.load.ratio

    @property
    def rate_met(self) -> bool:
        """The budget for two cores that have nothing else to do."""
        return self.rate("ours") >= self.load.rate


def measure(
    load: Load, repeats: int, told: Callable[[str], None], contenders: tuple[str, ...] = CONTENDERS
) -> Measured:
    """Every contender `repeats` times, alternating; the slow plain alternative only `PLAIN_REPEATS` times."""
    first_ms = time.time_ns() // 1_000_000 // loads.STEP_MS * loads.STEP_MS - load.waves() * loads.STEP_MS
    with tempfile.TemporaryDirectory(prefix="gridwarden-bench-") as name:
        folder = Path(name)
        packets = folder / "packets"
        measured = Measured(load, _write_packets(load, first_ms, packets))
        for repeat in range(repeats):
            for contender in contenders[:: 1 if repeat % 2 == 0 else -1]:
                if contender == "plain" and repeat >= PLAIN_REPEATS:
                    continue
                told(f"{load.title}: {contender}, {repeat + 1} of {repeats}")
                with tempfile.TemporaryDirectory(dir=folder) as state, Broker(Path(state) / "broker") as broker:
                    _queue_up(broker.port, packets, load.messages)
                    cost = _contend(contender, load, broker.port, first_ms, Path(state) / "state")
                    measured.costs.setdefault(contender, []).append(cost)
    return measured


def _write_packets(load: Load, first_ms: int, path: Path) -> int:
    """Write the packets to a file; returns the bytes of their payloads."""
    total = 0
    with path.open("wb") as file:
        for number, payload in enumerate(loads.payloads(load, first_ms)):
            total += len(payload)
            file.write(loads.publish_packet(payload, number % _MIDS + 1))
    return total


def _queue_up(port: int, packets: Path, messages: int) -> None:
    """Make the session, leave it, and let the publisher fill it."""
    client = session_client()
    done: list[object] = []
    client.on_subscribe = lambda *_: done.append(None)
    client.connect("127.0.0.1", port, clean_start=False, properties=session_properties())
    while not client.is_connected():
        client.loop(1.0)
    client.subscribe(loads.TOPIC, qos=1)
    while not done:
        client.loop(1.0)
    client.disconnect()
    command = [sys.executable, "-m", "tests.bench.publisher", str(port), str(packets), str(messages)]
    subprocess.run(command, check=True, timeout=_TIMEOUT_S)


def _contend(name: str, load: Load, port: int, first_ms: int, folder: Path) -> Cost:
    folder.mkdir()
    asked = {
        "name": name,
        "load": dataclasses.asdict(load),
        "port": port,
        "first_ms": first_ms,
        "folder": str(folder),
    }
    answer = subprocess.run(
        [sys.executable, "-m", "tests.bench.contender"],
        input=json.dumps(asked).encode(),
        stdout=subprocess.PIPE,
        check=True,
        timeout=_TIMEOUT_S,
    )
    return Cost(**json.loads(answer.stdout.splitlines()[-1]))
