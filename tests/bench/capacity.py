"""A whole district on one machine: a wave of every meter, the memory it takes, and a night judged while intake goes on.

`python -m tests.bench.capacity METERS FOLDER` in a process of its own, so that its memory is what it says; prints JSON.
The pipeline is the daemon's, its messages come from memory instead of a socket (receiving has rows of its own). The
register is read as it is read from the desk. A night of waves goes through it; the six nights before have the feature
rows that the same curves make. Then the night's watermark passes and the night is judged, while the next wave comes in
between the slices, a commit group at a time, as the core thread's turns do it.
"""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from prometheus_client import CollectorRegistry

from models.domain.readings import RawMessage
from models.domain.register import Register
from models.learned.features import FEATURE_VERSION
from monitor.collector import collector_paused, collector_spared
from monitor.config.sections import DaemonSettings, SubscriptionSettings
from monitor.config.settings import Settings
from monitor.heap import give_back
from monitor.metrics import Metrics
from monitor.observer import MetricsObserver
from monitor.pipeline import Pipeline
from monitor.register.snapshot import rows_from_json, rows_to_json
from monitor.windows import Outcome
from monitor.wiring import open_core
from tests.bench import district as districts
from tests.bench.district import PUBLISHER, SHANGHAI, STEP_MS, District, night
from tests.bench.status import status_mib

WAVE_BUDGET_S: Final = 30.0
JUDGE_BUDGET_S: Final = 180.0
RSS_BUDGET_MIB: Final = 12 * 1024.0
SLOT_BUDGET_BYTES: Final = 4.5
REST_BUDGET_MIB: Final = 300.0
SLICE_BUDGET_MS: Final = 50.0
LARGE: Final = 1_000_000
_GROUP: Final = 150
_FEED: Final = (PUBLISHER, STEP_MS // 1000)
_TIMEOUT_S: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Capacity:
    """`wave_s`: readings in memory to journal, rings and history, the median of a night's waves; `first_wave_s` that of
    a process that has seen no reading. `judge_s` counts the slices of judging alone, `night_s` with the intake between.
    `cache_mib` is what DuckDB holds, within `history.memory_limit`; `own_mib` what this bench makes its waves with
    (what it has before it begins, beyond the daemon's program); `rest_mib` is all that is neither, nor rings;
    `files_mib` of it are pages of program files.
    `slice_cpu_*` count the processor's time, which other processes do not lengthen.
    """

    meters: int
    start_s: float
    first_wave_s: float
    wave_s: float
    slowest_wave_s: float
    json_wave_s: float
    judge_s: float
    judge_cpu_s: float
    night_s: float
    intake_per_s: float
    slices: int
    slice_p50_ms: float
    slice_p99_ms: float
    slice_max_ms: float
    long_slices: int
    slice_cpu_p99_ms: float
    slice_cpu_max_ms: float
    long_cpu_slices: int
    peak_mib: float
    rss_mib: float
    rings_mib: float
    cache_mib: float
    own_mib: float
    files_mib: float
    bytes_per_slot: float

    @property
    def rest_mib(self) -> float:
        """Resident memory without the rings, DuckDB's cache and what is the bench's own."""
        return self.rss_mib - self.rings_mib - self.cache_mib - self.own_mib

    def share(self, budget: float) -> float:
        """A budget for `LARGE` meters as it is for these: growth is linear in readings."""
        return budget * self.meters / LARGE


def measure(meters: int, told: Callable[[str], None]) -> Capacity:
    """Run in a process of its own."""
    told(f"{meters:,} meters: a night of waves, then the night is judged")
    with tempfile.TemporaryDirectory(prefix="gridwarden-bench-") as folder:
        answer = subprocess.run(
            [sys.executable, "-m", "tests.bench.capacity", str(meters), folder],
            stdout=subprocess.PIPE,
            check=True,
            timeout=_TIMEOUT_S,
        )
    return Capacity(**json.loads(answer.stdout.splitlines()[-1]))


class CountyClock:
    """The wall clock stands where the bench puts it; the monotonic one runs."""

    def __init__(self) -> None:
        self.now_ms = night(0).start_ms

    def wall_ms(self) -> int:
        return self.now_ms

    def monotonic_s(self) -> float:
        return time.monotonic()


class Groups:
    """The pipeline's source: what was put, a commit group at a time."""

    def __init__(self) -> None:
        self.waiting: list[RawMessage] = []

    def take(self, wait_s: float) -> list[RawMessage]:  # nothing ever comes by waiting
        group, self.waiting = self.waiting[:_GROUP], self.waiting[_GROUP:]
        return group

    def acknowledge(self, messages: Sequence[RawMessage]) -> None:
        """Nobody waits for it."""


@dataclass
class Bench:
    """One district in one pipeline."""

    district: District
    pipeline: Pipeline
    groups: Groups
    clock: CountyClock

    def put(self, wave: int, adapter: str = "arrow") -> int:
        """Let a wave wait; returns its readings."""
        stamp_ms = night(0).start_ms + wave * STEP_MS
        self.clock.now_ms = stamp_ms + 60_000
        make = self.district.arrow_wave if adapter == "arrow" else self.district.json_wave
        self.groups.waiting = [
            RawMessage(districts.TOPIC, payload, self.clock.now_ms, PUBLISHER, adapter)
            for payload in make(wave, stamp_ms)
        ]
        return int((~self.district.silent).sum())

    def absorb(self, wave: int, adapter: str = "arrow") -> float:
        """Seconds to take a wave in, history included."""
        readings = self.put(wave, adapter)
        outcomes = self.pipeline.applier.outcomes
        target = outcomes[Outcome.STORED] + readings
        began_s = time.perf_counter()
        while self.pipeline.intake_once(0.0):
            pass
        self.pipeline.applier.flush()
        self.pipeline.history.tidy()
        took_s = time.perf_counter() - began_s
        if outcomes[Outcome.STORED] != target:
            raise RuntimeError(f"not every reading of wave {wave} was stored: {outcomes}")
        return took_s

    def write_past(self, nights: int) -> None:
        """Feature rows of the nights before the first, as the same curves make them."""
        meters = self.district.ids
        for back in range(1, nights + 1):
            rows = self.district.features(back)
            for start in range(0, len(meters), 8000):
                some = slice(start, start + 8000)
                values = {name: column[some] for name, column in rows.items()}
                self.pipeline.history.write_features(night(-back).date, _FEED[1], FEATURE_VERSION, meters[some], values)

    def judge(self) -> Iterator[tuple[float, float, float]]:
        """Slices of judging until nothing is due: seconds of the slice, of the intake after it, and the slice's
        processor time."""
        busy = True
        while busy:
            began_s, cpu_s = time.perf_counter(), time.thread_time()
            busy = self.pipeline.judge_once()
            judged_s, cpu_s = time.perf_counter(), time.thread_time() - cpu_s
            self.pipeline.intake_once(0.0)
            yield judged_s - began_s, time.perf_counter() - judged_s, cpu_s


def run(meters: int, folder: Path) -> Capacity:
    """Measure in this process."""
    clock, groups = CountyClock(), Groups()
    district = District(meters)
    list(district.arrow_wave(0, 0))
    give_back()
    own_mib = status_mib("VmRSS") - program_mib()
    settings = Settings(
        daemon=DaemonSettings(state_dir=folder),
        subscriptions=[SubscriptionSettings(topic="grid/v1/+/readings", adapter="arrow")],
    )
    began_s = time.perf_counter()
    with collector_paused():
        register = Register(rows_from_json(rows_to_json(district.register().rows)), SHANGHAI, "bench")
    observer = MetricsObserver(Metrics(CollectorRegistry()), clock)
    with (
        open_core(
            settings=settings, state_dir=folder, register=register, source=groups, observer=observer, clock=clock
        ) as core,
        collector_spared(),
    ):
        start_s = time.perf_counter() - began_s
        bench = Bench(district, core.pipeline, groups, clock)
        first_s = bench.absorb(0)
        core.pipeline.agenda.close(_FEED, night(-1))
        waves_s = [bench.absorb(wave) for wave in range(1, 98)]
        json_s = bench.absorb(98, "canonical")
        bench.write_past(6)
        readings = bench.put(99)
        cpu_s = time.process_time()
        turns = np.array(list(bench.judge()))
        cpu_s = time.process_time() - cpu_s
        if core.pipeline.judge.n_judged < meters:
            raise RuntimeError(f"only {core.pipeline.judge.n_judged} of {meters} meters were judged")
        slices_ms, slices_cpu_ms = 1e3 * turns[:, 0], 1e3 * turns[:, 2]
        core.pipeline.history.tidy()
        ring = core.pipeline.applier.rings[_FEED[1]]
        taken = turns[:, 1] > 1e-4
        return Capacity(
            meters=meters,
            start_s=start_s,
            first_wave_s=first_s,
            wave_s=float(np.median(waves_s)),
            slowest_wave_s=max(waves_s),
            json_wave_s=json_s,
            judge_cpu_s=cpu_s,
            judge_s=float(turns[:, 0].sum()),
            night_s=float(turns[:, :2].sum()),
            intake_per_s=readings / float(turns[taken, :2].sum()),
            slices=len(turns),
            slice_p50_ms=float(np.median(slices_ms)),
            slice_p99_ms=float(np.quantile(slices_ms, 0.99)),
            slice_max_ms=float(slices_ms.max()),
            long_slices=int((slices_ms > SLICE_BUDGET_MS).sum()),
            slice_cpu_p99_ms=float(np.quantile(slices_cpu_ms, 0.99)),
            slice_cpu_max_ms=float(slices_cpu_ms.max()),
            long_cpu_slices=int((slices_cpu_ms > SLICE_BUDGET_MS).sum()),
            peak_mib=status_mib("VmHWM"),
            rss_mib=status_mib("VmRSS"),
            rings_mib=ring.nbytes / 2**20,
            cache_mib=core.history.cache_bytes() / 2**20,
            own_mib=own_mib,
            files_mib=status_mib("RssFile"),
            bytes_per_slot=ring.nbytes / (ring.n_rows * ring.n_slots * 3),
        )


def program_mib() -> float:
    """Resident memory of a process that has loaded the daemon's program and done nothing."""
    tell = "import monitor.daemon, tests.bench.status as s; print(s.status_mib('VmRSS'))"
    return float(subprocess.run([sys.executable, "-c", tell], stdout=subprocess.PIPE, check=True).stdout)


def main() -> None:
    """Print what was measured as JSON."""
    print(json.dumps(dataclasses.asdict(run(int(sys.argv[1]), Path(sys.argv[2])))))


if __name__ == "__main__":
    main()
