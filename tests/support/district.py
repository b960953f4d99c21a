"""A hand-made district of a few meters, the messages its publishers send, and a core over a state directory.

Two publishers, a closed enterprise, a meter that never speaks and one that changed hands; and loads that raise one
lead of each kind.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import json
import random
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Self
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from models.domain.clock import ManualClock
from models.domain.nights import night_of_date
from models.domain.readings import RawMessage
from models.domain.register import (
    Enterprise,
    EnterpriseStatus,
    Meter,
    Publisher,
    Register,
    RegisterRows,
    Site,
)
from monitor.config.settings import Settings
from monitor.journal.quarantine import list_quarantine
from monitor.pipeline import Pipeline
from monitor.replay import Tally
from monitor.windows import Outcome
from monitor.wiring import Core, open_core
from tests.support.plain_loads import crucible_kw, quarter_hours

ZONE = ZoneInfo("Asia/Shanghai")
FIRST = dt.date(2026, 3, 2)
START_MS = night_of_date(FIRST, ZONE).start_ms
DAY_MS = 86_400_000
HOUR_MS = 3_600_000
QUARTER_MS = 900_000
MOVED_ON = FIRST + dt.timedelta(days=2)
"""The date from which the meter `moved` belongs to the plant."""

OPEN, CLOSED = "91330100MA0000001X", "91330100MA0000002X"


def register(*more: Meter, moved_cadence_s: int = 900) -> Register:
    """Meters of the bureau: `melt`, `calm`, `dead`, `shut` (of the closed enterprise); `plant1` and `plant2` of the
    plant, which may not revise; `moved`, the bureau's until `MOVED_ON`. A site each, named as the meter."""
    meters = (
        Meter(meter="melt", site="melt", publisher="bureau"),
        Meter(meter="calm", site="calm", publisher="bureau"),
        Meter(meter="dead", site="dead", publisher="bureau"),
        Meter(meter="shut", site="shut", publisher="bureau"),
        Meter(meter="plant1", site="plant1", publisher="plant"),
        Meter(meter="plant2", site="plant2", publisher="plant", ratio=80.0, ratio_applied=False),
        Meter(meter="moved", site="moved", publisher="bureau", valid_to=MOVED_ON),
        Meter(meter="moved", site="moved2", publisher="plant", valid_from=MOVED_ON, cadence_s=moved_cadence_s),
        *more,
    )
    rows = RegisterRows(
        enterprises=(
            Enterprise(uscc=OPEN, name="某某金属制品有限公司", trade="3391"),
            Enterprise(uscc=CLOSED, name="停产公司", status=EnterpriseStatus.CLOSED, since=dt.date(2025, 6, 1)),
        ),
        sites=tuple(
            Site(site=site, uscc=CLOSED if site == "shut" else OPEN, name=site)
            for site in {m.site: None for m in meters}
        ),
        meters=meters,
        publishers=(Publisher(publisher="bureau", may_revise=True), Publisher(publisher="plant")),
    )
    return Register(rows, ZONE, version="r1")


@dataclass(frozen=True)
class Reading:
    """One reading as a publisher would send it; `interval_s` and `rev` are left out of the message where they are 0."""

    meter: str
    ts_ms: int
    channels: Mapping[str, float]
    interval_s: int = 0
    rev: int = 0
    publisher: str = "bureau"

    def as_json(self) -> dict[str, Any]:
        more = {name: value for name, value in (("interval_s", self.interval_s), ("rev", self.rev)) if value}
        stamp = dt.datetime.fromtimestamp(self.ts_ms / 1000.0, dt.UTC).isoformat(timespec="milliseconds")
        return {"meter": self.meter, "ts": stamp, **self.channels, **more}


def slot_ms(night: int, slot: int, step_ms: int = QUARTER_MS) -> int:
    """Stamp of a slot (1 to the last) of the night so many nights after `FIRST`."""
    return START_MS + night * DAY_MS + slot * step_ms


def message(*readings: Reading, received_ms: int | None = None, publisher: str = "") -> RawMessage:
    """Readings as one message of their publisher, received a minute after the newest of them."""
    publisher = publisher or readings[0].publisher
    received_ms = received_ms if received_ms is not None else max(r.ts_ms for r in readings) + 60_000
    payload = json.dumps({"v": 1, "readings": [r.as_json() for r in readings]}).encode()
    return RawMessage(f"grid/v1/{publisher}/readings", payload, received_ms, publisher, "canonical")


def steady(
    meter: str,
    nights: Iterable[int],
    kw: float = 40.0,
    *,
    channel: str = "p_kw",
    step_ms: int = QUARTER_MS,
    interval_s: int = 0,
    publisher: str = "bureau",
) -> list[Reading]:
    """A load that stays within a tenth of a kW of `kw`, every slot."""
    return [
        Reading(meter, slot_ms(night, slot, step_ms), {channel: kw + 0.01 * (slot % 7)}, interval_s, 0, publisher)
        for night in nights
        for slot in range(1, DAY_MS // step_ms + 1)
    ]


@cache
def melting(nights: int = 3) -> tuple[Reading, ...]:
    """The meter `melt`: a crucible, as registers and instants at the quarter hour."""
    minutes = crucible_kw(np.random.default_rng(3), nights=nights)
    _, instant, kwh = quarter_hours(minutes)
    values = enumerate(zip(instant.tolist(), kwh[1:].tolist(), strict=True), start=1)
    return tuple(
        Reading("melt", slot_ms(0, k), {"p_kw": round(p_kw, 1), "e_imp_kwh": round(energy, 2)})
        for k, (p_kw, energy) in values
    )


def bureau(nights: int = 3) -> list[Reading]:
    """All readings of the district, in event-time order."""
    before = range(min(2, nights))
    rows = [
        *melting(nights),
        *steady("calm", range(nights)),
        *steady("shut", range(nights), 210.0, channel="p_mean_kw"),
        *steady("plant1", range(nights), publisher="plant"),
        *steady("plant2", range(nights), 1.5, publisher="plant"),
        *(r for r in steady("moved", before) if r.ts_ms <= midnight_ms(MOVED_ON)),
        *steady("moved", range(2, nights), publisher="plant"),
    ]
    return sorted(rows, key=lambda r: (r.ts_ms, r.meter))


def midnight_ms(date: dt.date) -> int:
    """Local midnight at which a date begins."""
    return int(dt.datetime(date.year, date.month, date.day, tzinfo=ZONE).timestamp()) * 1000


def arranged(
    readings: Sequence[Reading], rng: random.Random, *, messages: int = 8, groups: int = 4, shuffled: bool = True
) -> list[list[RawMessage]]:
    """The readings cut into about so many messages a publisher and commit groups, in any order if `shuffled`."""
    rows = list(readings)
    if shuffled:
        rng.shuffle(rows)
    late_ms = max(r.ts_ms for r in rows) + 60_000
    parcels: list[RawMessage] = []
    for publisher in sorted({r.publisher for r in rows}):
        mine = [r for r in rows if r.publisher == publisher]
        edges = [0, *sorted(rng.randrange(len(mine) + 1) for _ in range(messages - 1)), len(mine)]
        parts = [mine[a:b] for a, b in itertools.pairwise(edges) if a < b]
        parcels += [message(*part, received_ms=late_ms) for part in parts]
    if shuffled:
        rng.shuffle(parcels)
    edges = [0, *sorted(rng.randrange(len(parcels) + 1) for _ in range(groups - 1)), len(parcels)]
    return [parcels[a:b] for a, b in itertools.pairwise(edges) if a < b]


def by_hour(readings: Sequence[Reading], hours: int = 3) -> list[list[RawMessage]]:
    """The readings as they would come: a commit group of one message a publisher for each stretch of so many hours."""
    groups: dict[int, dict[str, list[Reading]]] = {}
    for reading in sorted(readings, key=lambda r: (r.ts_ms, r.meter)):
        at = (reading.ts_ms - 1) // (hours * HOUR_MS)
        groups.setdefault(at, {}).setdefault(reading.publisher, []).append(reading)
    return [[message(*rows) for rows in groups[at].values()] for at in sorted(groups)]


class Crash(Exception):  # noqa: N818  # not an error of the program
    """Raised where the process is to end."""


@dataclass
class Watcher(Tally):
    """A source and observer that remembers what was acknowledged, and ends the process where a test says so.

    `crash_after_commit` counts down commits, `crash_after_verdict` evaluations of a detector.
    """

    waiting: list[RawMessage] = field(default_factory=list)
    acknowledged: list[RawMessage] = field(default_factory=list)
    crash_after_commit: int = 0
    crash_after_verdict: int = 0

    def take(self, wait_s: float) -> list[RawMessage]:
        group, self.waiting = self.waiting, []
        return group

    def acknowledge(self, messages: Sequence[RawMessage]) -> None:
        self.acknowledged += messages

    def committed(self, messages: Sequence[RawMessage], group: Any, seconds: float) -> None:
        super().committed(messages, group, seconds)
        self.crash_after_commit -= 1
        if self.crash_after_commit == 0:
            raise Crash

    def evaluated(self, detector: str, seconds: float) -> None:
        self.crash_after_verdict -= 1
        if self.crash_after_verdict == 0:
            raise Crash


class District:
    """A core over one state directory that can be ended at any moment and opened again. A context manager."""

    def __init__(self, state_dir: Path, known: Register | None = None) -> None:
        self.state_dir = state_dir
        self.known = known or register()
        self.clock = ManualClock(START_MS)
        self.watcher = Watcher()
        self.outcomes: Counter[Outcome] = Counter()
        self._stack = contextlib.ExitStack()
        self._core: Core | None = None

    @property
    def core(self) -> Core:
        if self._core is None:
            raise RuntimeError("the district is not open")
        return self._core

    @property
    def pipeline(self) -> Pipeline:
        return self.core.pipeline

    def open(self) -> Self:
        """Open the stores and recover."""
        self._core = self._stack.enter_context(
            open_core(
                settings=Settings(),
                state_dir=self.state_dir,
                register=self.known,
                source=self.watcher,
                observer=self.watcher,
                clock=self.clock,
                sinks=("file",),
            )
        )
        self._core.pipeline.late_every_s = 0.0
        return self

    def crash(self) -> Self:
        """End without any of what an orderly end does, and open again."""
        self.end()
        return self.open()

    def end(self) -> None:
        """Let go of the files as they are: nothing is flushed, no cursor moves."""
        if self._core is not None:
            self.outcomes += self._core.pipeline.applier.outcomes
        self._core = None
        self._stack.close()

    def feed(self, groups: Iterable[Sequence[RawMessage]], *, live: bool = False) -> Self:
        """Take groups in; `live` moves the clock to their receipt and judges what is due after each."""
        for group in groups:
            if live:
                self.clock.set_wall_ms(max(m.received_ms for m in group))
            self.pipeline.take_in(group)
            if live:
                self.judge()
        return self

    def judge(self, steps: int = 1_000_000) -> Self:
        """Judge what is due, at most so many slices; a second passes."""
        self.clock.set_wall_ms(self.clock.wall_ms() + 1000)
        while steps and self.pipeline.judge_once():
            steps -= 1
        return self

    def finish(self) -> Self:
        """Judge every night that has readings, and all that is late."""
        self.pipeline.finish()
        return self

    def leads(self) -> list[dict[str, Any]]:
        """The final leads without receipt stamps."""
        return [
            {k: v for k, v in lead.items() if k not in {"raised_at", "revised_at"}}
            for lead in self.core.desk.final_leads()
        ]

    def kinds(self) -> set[tuple[str, str]]:
        """(kind, site) of every standing lead."""
        return {(lead["kind"], lead["site"]["id"]) for lead in self.leads()}

    def scores(self) -> pa.Table:
        """All scores as exported."""
        path = self.state_dir / "scores.parquet"
        self.core.history.export_scores(path)
        return pq.read_table(path)

    def stored(self) -> list[tuple[Any, ...]]:
        """Every row of history: meter, stamp, interval, revision, and its channels by name."""
        self.pipeline.applier.flush()
        table = self.core.history.read(0, 1 << 45)
        names = [name for name in table.schema.names if name not in {"seq", "flags"}]
        keys, channels = names[:4], names[4:]
        return sorted(
            (*(row[k] for k in keys), tuple((c, row[c]) for c in sorted(channels) if row[c] is not None))
            for row in table.to_pylist()
        )

    def totals(self) -> dict[str, int]:
        """Readings settled since the directory was first opened, by outcome, and those refused."""
        self.pipeline.applier.flush()
        settled = self.outcomes + self.core.pipeline.applier.outcomes
        return {outcome.name: n for outcome, n in sorted(settled.items())} | {"REFUSED": self.watcher.n_refused}

    def quarantined(self) -> Counter[str]:
        """Refused readings by reason, as the quarantine shows them."""
        entries = list_quarantine(self.state_dir, limit=1000)
        return Counter({reason: n for reason, n in _by_reason(entries).items() if n})

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(self, *_: object) -> None:
        self.end()


def _by_reason(entries: Sequence[Mapping[str, Any]]) -> Counter[str]:
    counted: Counter[str] = Counter()
    for entry in entries:
        counted[entry["reason"]] += max(1, entry["readings"])
    return counted


def fresh_state(template: Path, target: Path) -> Path:
    """A copy of an empty, initialised state directory: opening it costs no migrations."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(template, target)
    return target
