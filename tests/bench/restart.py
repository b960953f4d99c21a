"""How long a start takes after kill -9: the real daemon over two weeks of readings, killed while it takes a wave in.

The two weeks are written by the history's own code, wave by wave as the daemon would have, sealed as it would have;
the wave at which it is killed comes through mosquitto. Ready is when `/readyz` answers 200.
"""

from __future__ import annotations

import os
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from models.domain.clock import SystemClock
from monitor.desk.registers import store_register
from monitor.history.history import History, HistoryRows
from tests.bench.district import STEP_MS, District
from tests.bench.sending import Sender
from tests.support.broker import Broker, free_port
from tests.support.daemon_process import DaemonProcess

METERS: Final = 50_000
DAYS: Final = 14
BUDGET_S: Final = 20.0
_WAVES_AT_ONCE: Final = 8
_LONGEST_S: Final = 300.0


@dataclass(frozen=True, slots=True)
class Restart:
    """Seconds from the start of the process to ready: after the kill, and of the first start over the same history.
    `rss_mib` is what the process holds then, `cpu_s` the processor time it took, all threads."""

    meters: int
    rows: int
    ready_s: float
    cpu_s: float
    first_ready_s: float
    rss_mib: float


def measure(meters: int, days: int, told: Callable[[str], None]) -> Restart:
    """Build, start, kill in the middle of a wave, start again."""
    district, now_ms = District(meters), SystemClock().wall_ms()
    last_ms = now_ms // STEP_MS * STEP_MS - STEP_MS
    with tempfile.TemporaryDirectory(prefix="gridwarden-bench-") as name, Broker(Path(name) / "broker") as broker:
        folder, port = Path(name), free_port()
        told(f"start after kill -9: {days} days of {meters:,} meters into the history")
        rows = fill_history(folder / "state", district, last_ms, days, now_ms)
        settings = {
            "ops.port": port,
            "subscriptions": [{"topic": "grid/v1/+/readings", "adapter": "arrow"}],
        }
        daemon = from_desk(DaemonProcess(folder, folder, broker.port, settings))
        store_register(folder / "state", district.register().rows, now_ms)
        told("start after kill -9: the first start")
        with daemon:
            first_ready_s = wait_ready(daemon, port)
            told("start after kill -9: a wave, and the kill")
            with Sender(broker.port) as sender:
                for payload in district.arrow_wave(0, last_ms + STEP_MS):
                    sender.send(payload)
                time.sleep(0.05)
                daemon.kill()
            daemon.start()
            told("start after kill -9: the second start")
            ready_s = wait_ready(daemon, port)
            return Restart(meters, rows, ready_s, cpu_s(daemon.pid), first_ready_s, rss_mib(daemon.pid))


def fill_history(state_dir: Path, district: District, last_ms: int, days: int, now_ms: int) -> int:
    """Write the readings of so many days up to `last_ms` as the daemon would have; returns the rows."""
    history = History.open(state_dir)
    names = pa.array(district.ids, pa.string())
    history.enrol(names)
    heard = np.flatnonzero(~district.silent).astype(np.int32)
    slots = range(-days * 96, 0)
    total = 0
    for first in range(0, len(slots), _WAVES_AT_ONCE):
        some = slots[first : first + _WAVES_AT_ONCE]
        waves = [district.values(slot + days * 96) for slot in some]
        stamps = np.array([last_ms + (slot + 1) * STEP_MS for slot in some], dtype=np.int64)
        n = len(heard) * len(some)
        rows = HistoryRows(
            meter=pa.DictionaryArray.from_arrays(pa.array(np.tile(heard, len(some))), names),
            ts_ms=np.repeat(stamps, len(heard)),
            interval_s=np.full(n, STEP_MS // 1000, dtype=np.int32),
            rev=np.zeros(n, dtype=np.int32),
            seq=np.zeros(n, dtype=np.int64),
            flags=np.zeros(n, dtype=np.uint8),
            channels={name: np.concatenate([wave[name][heard] for wave in waves]) for name in waves[0]},
        )
        history.append(rows, cursor=0)
        total += n
    history.seal(now_ms)
    history.close()
    return total


def from_desk(daemon: DaemonProcess) -> DaemonProcess:
    """The same daemon with the register that was imported into its desk."""
    lines = daemon.config.read_text().splitlines(keepends=True)
    daemon.config.write_text("".join(line for line in lines if not line.startswith("daemon.register")))
    return daemon


def cpu_s(pid: int) -> float:
    """Processor time of a process so far, seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_mib(pid: int) -> float:
    """Resident memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024.0
    raise RuntimeError(f"process {pid} has no resident memory")


def wait_ready(daemon: DaemonProcess, port: int) -> float:
    """Seconds until the daemon says that it is ready; raises `RuntimeError` where it ends before."""
    began_s = time.perf_counter()
    while time.perf_counter() - began_s < _LONGEST_S:
        if not daemon.running:
            raise RuntimeError(f"the daemon ended: {daemon.said}")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1.0):
                return time.perf_counter() - began_s
        except (urllib.error.URLError, OSError):
            time.sleep(0.02)
    raise TimeoutError(f"not ready after {_LONGEST_S:.0f} s")
