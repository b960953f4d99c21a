"""Applying the journal: duplicates and conflicts are decided here, windows filled, rows handed to history.

Recent readings are settled by the rings. Those that lie before what a ring holds, and cadences no ring is kept for,
are settled against history, in batches, at the next flush.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from models.domain.channels import CHANNELS
from models.domain.nights import DAY_S, night_ordinals
from monitor.admission import Admitted
from monitor.fault_points import FaultPoint, hit
from monitor.history.history import History
from monitor.history.known import KnownKind
from monitor.roster import Roster
from monitor.rows import Rows, history_rows, taken
from monitor.slots import slots_of
from monitor.windows import Outcome, Ring

RING_HOURS: Final[Mapping[int, int]] = {
    60: 48,
    120: 72,
    180: 72,
    300: 96,
    600: 192,
    900: 172,
    1200: 192,
    1800: 192,
    3600: 192,
    DAY_S: 1488,
}
"""How much a ring of each cadence holds: a week of quarter-hours and four hours of slack, two days of minutes, two
months of days, which come in batches."""

OnReadings = Callable[[int, NDArray[np.int32], NDArray[np.int64]], None]
"""Told of readings that changed a night: cadence, meter keys, `toordinal()` of the nights."""


@dataclass(frozen=True, slots=True)
class _Settled:
    """What became of readings older than the rings, and which of them changed what is known."""

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    changed: list[tuple[int, NDArray[np.int32], NDArray[np.int64]]] = field(default_factory=list)


@dataclass
class Applier:
    """Rings, and the rows on their way to history. `on_readings` hears of every reading that was new or a conflict."""

    roster: Roster
    history: History
    zone: ZoneInfo
    on_readings: OnReadings
    rings: dict[int, Ring] = field(default_factory=dict)
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    applied_seq: int = 0
    _fresh: list[Rows] = field(default_factory=list)
    _old: list[Rows] = field(default_factory=list)
    n_waiting: int = 0

    def apply(self, group: Admitted, seq: int) -> None:
        """Apply one committed group. Groups come in sequence order."""
        if len(group):
            cadences = [int(group.interval_s[0])]
            if (group.interval_s != cadences[0]).any():
                cadences = np.unique(group.interval_s).tolist()
            for interval_s in cadences:
                rows = Rows(seq, interval_s, group.keys, group.ts_ms, group.rev, dict(group.channels))
                self._apply_cadence(rows if len(cadences) == 1 else rows.take(group.interval_s == interval_s))
        self.applied_seq = seq

    def touch(self, group: Admitted) -> None:
        """Tell of readings that were applied before a restart, without applying them again."""
        for interval_s in np.unique(group.interval_s).tolist():
            mine = group.interval_s == interval_s
            self._tell(interval_s, group.keys[mine], group.ts_ms[mine])

    def flush(self) -> None:
        """Write what is waiting to history, and settle the readings that lay before the rings.

        Where history cannot take it (`StoreFull`) everything goes on waiting.
        """
        settled = _Settled()
        with self.history.transaction():
            if self._fresh or self.applied_seq > self.history.cursor:
                self.history.append(history_rows(self._fresh, self.roster), cursor=self.applied_seq)
            if self._old:
                settled = self._settle_old()
            hit(FaultPoint.BEFORE_APPLY)
        hit(FaultPoint.AFTER_APPLY)
        self._fresh, self._old, self.n_waiting = [], [], 0
        self.outcomes.update(settled.outcomes)
        for interval_s, keys, ts_ms in settled.changed:
            self._tell(interval_s, keys, ts_ms)

    def rebuild(self) -> None:
        """Fill the rings from history: start-up is crash recovery. What lies further back is asked of history."""
        span = self.history.span()
        if span is None:
            return
        newest = self.history.newest()
        known = np.array([self.roster.index.get(meter, -1) for meter in newest.column("meter").to_pylist()])
        for interval_s, hours in RING_HOURS.items():
            mine = (newest.column("interval_s").to_numpy() == interval_s) & (known >= 0)
            ring = self.ring(interval_s) if mine.any() else None
            if ring is None:
                continue
            since_ms = span[1] - hours * 3_600_000
            for stored in self.history.scan(since_ms, span[1], interval_s=interval_s):
                fill_ring(ring, stored, self.roster)
            ring.rebuilt(known[mine].astype(np.int32), newest.column("ts_ms").to_numpy()[mine], since_ms)

    def ring(self, interval_s: int) -> Ring | None:
        """The ring of a cadence, None where none is kept."""
        ring = self.rings.get(interval_s)
        if ring is None and interval_s in RING_HOURS:
            n_slots = RING_HOURS[interval_s] * 3600 // interval_s
            ring = self.rings[interval_s] = Ring(
                interval_s, n_slots, zone=self.zone, expected_rows=self.roster.rows.at_cadence(interval_s)
            )
        return ring

    @property
    def n_old(self) -> int:
        """Readings older than the rings whose outcome the next flush will tell."""
        return sum(len(rows) for rows in self._old)

    def _apply_cadence(self, rows: Rows) -> None:
        ring = self.ring(rows.interval_s)
        if ring is None:
            self._wait(self._old, rows)
            return
        outcome, fresh = ring.apply(rows.keys, rows.ts_ms, rows.rev, rows.channels)
        counts = np.bincount(outcome, minlength=len(Outcome)).tolist()
        self.outcomes.update({o: counts[o] for o in Outcome if counts[o] and o is not Outcome.OLD})
        if counts[Outcome.OLD]:
            self._wait(self._old, rows.take(outcome == Outcome.OLD))
        changed = (outcome == Outcome.STORED) | (outcome == Outcome.CONFLICT)
        if changed.any():
            new = rows.only(fresh).take(changed)
            self._wait(self._fresh, new)
            self._tell(new.interval_s, new.keys, new.ts_ms)

    def _wait(self, where: list[Rows], rows: Rows) -> None:
        where.append(rows)
        self.n_waiting += len(rows)

    def _tell(self, interval_s: int, keys: NDArray[np.int32], ts_ms: NDArray[np.int64]) -> None:
        """Tell of the nights that readings fall into by their slot; the slot at noon bounds the next night as well,
        and so does a day's."""
        slots = slots_of(interval_s, self.zone)
        slot_ms = slots.tick_ms(slots.of(ts_ms))
        night = night_ordinals(slot_ms, self.zone)
        next_night = night + 1 if interval_s == DAY_S else night_ordinals(slot_ms + 1, self.zone)
        both = next_night != night
        self.on_readings(interval_s, np.concatenate([keys, keys[both]]), np.concatenate([night, next_night[both]]))

    def _settle_old(self) -> _Settled:
        """Keep what of readings older than the rings is new, or contradicts what history has for the same stamp."""
        rows = history_rows(self._old, self.roster)
        kinds = self.history.classify_old(rows)
        outcome = np.full(len(rows), Outcome.DUPLICATE, dtype=np.uint8)
        channels: dict[str, NDArray[np.float64]] = {}
        for name, kind in kinds.items():
            fresh = (kind != KnownKind.ABSENT) & (kind != KnownKind.DUPLICATE)
            channels[name] = np.where(fresh, rows.channels[name], np.nan)
            outcome[fresh & (outcome == Outcome.DUPLICATE)] = Outcome.STORED
            outcome[kind == KnownKind.CONFLICT] = Outcome.CONFLICT
        counts = np.bincount(outcome, minlength=len(Outcome)).tolist()
        settled = _Settled(Counter({o: counts[o] for o in Outcome if counts[o]}))
        changed = outcome != Outcome.DUPLICATE
        if changed.any():
            self.history.append(taken(rows, channels, changed), cursor=self.applied_seq)
            keys = np.concatenate([b.keys for b in self._old])
            for interval_s in np.unique(rows.interval_s[changed]).tolist():
                mine = changed & (rows.interval_s == interval_s)
                settled.changed.append((interval_s, keys[mine], rows.ts_ms[mine]))
        return settled


def fill_ring(ring: Ring, stored: pa.Table, roster: Roster) -> None:
    """Put stored readings of the ring's cadence into it. Meters that left the register are left out."""
    for batch in stored.to_batches(max_chunksize=200_000):
        meters = batch.column("meter")
        keys = roster.keys_of(meters.dictionary)[meters.indices.to_numpy()]
        known = keys >= 0
        channels = {
            name: batch.column(name).to_numpy(zero_copy_only=False).astype(np.float64)[known]
            for name in batch.schema.names
            if name in CHANNELS
        }
        ts_ms, rev = batch.column("ts_ms").to_numpy(), batch.column("rev").to_numpy()
        ring.apply(keys[known], ts_ms[known], rev[known], channels)
