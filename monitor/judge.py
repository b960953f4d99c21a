"""Judging a night of a feed: features, detectors, findings, leads; in slices, so that intake never waits long.

What a night is judged from depends on stored readings alone: the rings where they still hold all of it, else the same
rows read back from history into rings of the same kind (design §2, invariant 3).
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from detectors.base import Context, Detector
from models.domain.calendar import valley_mask
from models.domain.clock import Clock
from models.domain.findings import Judgement, Status
from models.domain.nights import Night, nights_before
from models.domain.register import EnterpriseStatus
from models.domain.windows import PastNights, Window
from models.learned.features import FEATURE_VERSION, FEATURES, night_features
from monitor.applier import RING_HOURS, Applier, fill_ring
from monitor.desk.store import Desk, LeadChange
from monitor.evidence import readings_digest
from monitor.feeds import Feed, feed_key
from monitor.history.history import History
from monitor.leads import NightFinding
from monitor.roster import Roster
from monitor.windows import Ring

log = logging.getLogger(__name__)

POOL_NIGHTS: Final = 7
CHUNK_METERS: Final = 500
ALIVE_SHARE: Final = 0.2
"""Least share of a feed's meters that must have reported for silence to say something about one of them."""
_MARGIN_MS: Final = 3_600_000

Keys = NDArray[np.int32]
Features = Mapping[str, NDArray[np.float32]]

_NONE: Final = np.zeros(0, dtype=np.int32)


@dataclass(frozen=True, slots=True)
class Job:
    """One night of one feed to judge: all of its meters (`keys` None), or those that got late readings.

    A provisional job runs before the night is over, up to `until_ms`, over the detectors that can say something then.
    """

    feed: Feed
    night: Night
    keys: Keys | None = None
    until_ms: int | None = None

    @property
    def provisional(self) -> bool:
        return self.until_ms is not None


@dataclass
class Judge:
    """Runs jobs. `on_change` hears of every change to a lead, `on_evaluated` how long a detector took, in seconds, and
    `on_failed` that one raised.

    `n_judged` counts nights of meters judged, over the life of the process.
    """

    applier: Applier
    history: History
    desk: Desk
    detectors: Sequence[Detector]
    provisional: Sequence[Detector]
    zone: ZoneInfo
    clock: Clock
    on_change: Callable[[LeadChange], None]
    on_evaluated: Callable[[str, float], None]
    on_failed: Callable[[str], None]
    n_judged: int = field(default=0, init=False)
    _members: tuple[dt.date, dict[Feed, Keys]] | None = field(default=None, init=False)
    _sealed: tuple[dt.date, Keys] | None = field(default=None, init=False)
    _filled: tuple[tuple[dt.date, int], Mapping[int, Ring]] | None = field(default=None, init=False)

    @property
    def roster(self) -> Roster:
        return self.applier.roster

    def feeds(self, night: Night) -> dict[Feed, Keys]:
        """Feeds of the register on a night, and their meters."""
        if self._members is None or self._members[0] != night.date:
            self._members = (night.date, self.roster.members(night.date))
        return self._members[1]

    def sealed(self, night: Night) -> Keys:
        """Meters whose enterprise is closed or cut off on a night, by key."""
        if self._sealed is None or self._sealed[0] != night.date:
            register = self.roster.register
            mine = [
                self.roster.index[row.meter]
                for row in register.meters_on(night.date)
                if (owner := register.enterprise_of_meter(row.meter, night.date)) is not None
                and owner.status is not EnterpriseStatus.OPERATING
            ]
            self._sealed = (night.date, np.array(mine, dtype=np.int32))
        return self._sealed[1]

    def run(self, job: Job) -> Iterator[Keys]:
        """Judge in slices of at most `CHUNK_METERS`; yields after each the keys whose feature row changed."""
        interval_s = job.feed[1]
        rings = self._view(job)
        members = self._assigned(job, rings, self.feeds(job.night).get(job.feed, _NONE))
        heard = (rings.get(interval_s) or Ring(interval_s, 1)).has_data(job.night, members)
        alive = bool(members.size) and float(heard.mean()) >= ALIVE_SHARE
        keys = members if job.keys is None else self._again(job, members, heard, alive=alive)
        valley = valley_mask(self.roster.register, job.night, interval_s)
        chunks = [keys[i : i + CHUNK_METERS] for i in range(0, len(keys), CHUNK_METERS)]
        rows: list[Features] = []
        for chunk in chunks:
            window = self._window(job, rings, chunk)
            values = night_features(window, valley)
            rows.append(values if alive else {**values, "coverage": _unknown_where_silent(values["coverage"])})
            yield chunk if job.provisional else chunk[self._store_features(job, window, rows[-1])]
        for chunk, row in zip(chunks, rows, strict=True):
            self._judge(job, self._window(job, rings, chunk), row, alive=alive)
            yield chunk[:0]
        if job.keys is None and not job.provisional:
            self.desk.set_closed(feed_key(job.feed), job.night.date)

    def _judge(self, job: Job, window: Window, values: Features, *, alive: bool) -> None:
        register = self.roster.register
        nights = nights_before(job.night, POOL_NIGHTS, self.zone)
        context = Context(
            register=register,
            zone=self.zone,
            past=self._past(job, nights, window.meters, values),
            feed_alive=np.full(len(window.meters), alive, dtype=np.bool_),
        )
        detectors = self.provisional if job.provisional else self.detectors
        judgements = [self._evaluate(detector, window, context) for detector in detectors]
        position = {meter: i for i, meter in enumerate(window.meters)}
        sites = [self._site(meter, job.night) for meter in window.meters]
        findings = [
            NightFinding(
                finding=finding,
                site=sites[position[finding.meter]],
                digest=readings_digest(window, position[finding.meter]),
                end_ms=job.night.end_ms if job.until_ms is None else job.until_ms,
                provisional=job.provisional,
            )
            for judgement in judgements
            for finding in judgement.findings
        ]
        changes = self.desk.commit_night(
            night=job.night,
            judged=window.meters,
            detectors=[d.name for d in detectors],
            findings=findings,
            register=register,
        )
        self.n_judged += len(window.meters)
        if not job.provisional:
            self.history.write_scores(job.night.date, score_table(judgements, sites))
        for change in changes:
            self.on_change(change)

    def _evaluate(self, detector: Detector, window: Window, context: Context) -> Judgement:
        """One detector's answer. A fault of its own costs its answer, never the intake or the other detectors."""
        began_s = self.clock.monotonic_s()
        try:
            judgement = detector.evaluate(window, context)
        except Exception:
            log.exception("detector %s failed on night %s: undetermined", detector.name, window.night.date)
            self.on_failed(detector.name)
            judgement = cannot_judge(detector.name, window)
        self.on_evaluated(detector.name, self.clock.monotonic_s() - began_s)
        return judgement

    def _past(self, job: Job, nights: Sequence[Night], meters: Sequence[str], values: Features) -> PastNights:
        """Stored rows of the nights before, and the night's own as just computed."""
        dates = [night.date for night in nights[:-1]]
        stored = self.history.read_features(dates, job.feed[1], FEATURE_VERSION, meters)
        none = np.full((len(meters), len(dates)), np.nan, dtype=np.float32)
        return PastNights(
            nights=tuple(nights),
            values={
                spec.name: np.concatenate([stored.get(spec.name, none), values[spec.name][:, None]], axis=1)
                for spec in FEATURES
            },
        )

    def _store_features(self, job: Job, window: Window, values: Features) -> NDArray[np.bool_]:
        """Write the rows that differ from what is stored; (n,) True where one did.

        A night of which nothing is known (see `_unknown_where_silent`) has no row: written, it would change nothing,
        and the nights after it would be judged again, one after the other up to now.
        """
        stored = self.history.read_features([job.night.date], job.feed[1], FEATURE_VERSION, window.meters)
        changed = np.zeros(len(window.meters), dtype=np.bool_)
        unknown = changed.copy()
        for name, now in values.items():
            before = stored[name][:, 0] if name in stored else np.full(len(now), np.nan, dtype=np.float32)
            changed |= (before != now) & ~(np.isnan(before) & np.isnan(now))
            if name == "coverage":
                unknown = np.isnan(before) & np.isnan(now)
        changed &= ~unknown
        if changed.any():
            at = np.flatnonzero(changed)
            self.history.write_features(
                job.night.date,
                job.feed[1],
                FEATURE_VERSION,
                [window.meters[i] for i in at.tolist()],
                {name: now[at] for name, now in values.items()},
            )
        return changed

    def _again(self, job: Job, members: Keys, heard: NDArray[np.bool_], *, alive: bool) -> Keys:
        """The job's meters, and the silent ones whose silence means something else since the feed's late readings."""
        named = np.isin(members, _NONE if job.keys is None else job.keys)
        if job.provisional:
            return members[named]
        silent = np.flatnonzero(~heard & ~named)
        night, names = [job.night.date], self._names(members[silent])
        stored = self.history.read_features(night, job.feed[1], FEATURE_VERSION, names).get("coverage")
        unknown = np.ones(len(silent), dtype=np.bool_) if stored is None else np.isnan(stored[:, 0])
        named[silent[unknown == alive]] = True
        return members[named]

    def _view(self, job: Job) -> Mapping[int, Ring]:
        """Rings that hold the whole night of the publisher's meters: the live ones, or rings filled from history."""
        rings, night = self.applier.rings, job.night
        near = np.concatenate([_NONE, *(k for feed, k in self.feeds(night).items() if feed[0] == job.feed[0])])
        if all(ring.covers(near, night).all() for ring in rings.values()):
            return rings
        if self._filled is not None and self._filled[0] == (night.date, self.applier.applied_seq):
            return self._filled[1]
        self.applier.flush()
        stored = self.history.read(night.start_ms - _MARGIN_MS, night.end_ms + _MARGIN_MS)
        cadences = stored.column("interval_s").to_numpy()
        view: dict[int, Ring] = {}
        for interval_s in np.intersect1d(cadences, list(RING_HOURS)).tolist():
            first, end = np.searchsorted(cadences, [interval_s, interval_s + 1]).tolist()
            slots = (night.end_ms - night.start_ms + 3 * _MARGIN_MS) // (interval_s * 1000)
            view[interval_s] = Ring(interval_s, slots, wide=True)
            fill_ring(view[interval_s], stored.slice(first, end - first), self.roster)
        self._filled = ((night.date, self.applier.applied_seq), view)
        return view

    def _assigned(self, job: Job, rings: Mapping[int, Ring], keys: Keys) -> Keys:
        """The meters to judge at this cadence: a meter that reported at another one only is judged there."""
        publisher, interval_s = job.feed
        own = rings.get(interval_s)
        others = [ring for cadence, ring in rings.items() if cadence != interval_s]
        if not others:
            return keys
        silent = np.ones(len(keys), dtype=np.bool_) if own is None else ~own.has_data(job.night, keys)
        moved = np.zeros(len(keys), dtype=np.bool_)
        for ring in others:
            moved |= silent & ring.has_data(job.night, keys)
        adopted = [keys[~moved]]
        for (other, cadence), members in self.feeds(job.night).items():
            if own is None or other != publisher or cadence == interval_s:
                continue
            home = rings.get(cadence)
            away = own.has_data(job.night, members)
            if home is not None:
                away &= ~home.has_data(job.night, members)
            adopted.append(members[away])
        return np.unique(np.concatenate(adopted))

    def _window(self, job: Job, rings: Mapping[int, Ring], keys: Keys) -> Window:
        """The night of some meters, with what the register says of their counters.

        Read from history where intake has moved a live ring beyond the night since the job began.
        """
        night, ring = job.night, rings.get(job.feed[1])
        if rings is self.applier.rings and ring is not None and not ring.covers(keys, night).all():
            ring = self._view(job).get(job.feed[1])
        ring = ring or Ring(job.feed[1], 1)
        names = self._names(keys)
        rows = [self.roster.register.meter(name, night.date) for name in names]
        wraps = [row.register_wrap_kwh if row is not None else None for row in rows]
        wrap_kwh = np.array([np.nan if wrap is None else wrap for wrap in wraps], dtype=np.float64)
        return dataclasses.replace(ring.window(night, keys, names), wrap_kwh=wrap_kwh)

    def _names(self, keys: Keys) -> list[str]:
        return [self.roster.ids[key] for key in keys.tolist()]

    def _site(self, meter: str, night: Night) -> str:
        row = self.roster.register.meter(meter, night.date)
        return row.site if row is not None else ""


def cannot_judge(detector: str, window: Window) -> Judgement:
    """No score for any meter: "cannot judge" is a result (design §2, invariant 6)."""
    n = len(window.meters)
    unknown = np.full(n, np.nan)
    return Judgement(detector, window.meters, unknown, unknown, [Status.UNDETERMINED] * n, ())


def _unknown_where_silent(coverage: NDArray[np.float32]) -> NDArray[np.float32]:
    """Coverage of meters of a feed that was down: nothing heard is nothing known (NaN), not a silent meter (0)."""
    return np.where(coverage > 0, coverage, np.float32(np.nan))


def score_table(judgements: Sequence[Judgement], sites: Sequence[str]) -> pa.Table:
    """One row a meter and detector: meter, site, detector, score, probability, status, reasons (JSON)."""
    reasons = {(f.detector, f.meter): msgspec.json.encode(f.reasons).decode() for j in judgements for f in j.findings}
    return pa.table(
        {
            "meter": pa.array([m for j in judgements for m in j.meters], pa.string()),
            "site": pa.array([s for j in judgements for s in sites[: len(j.meters)]], pa.string()),
            "detector": pa.array([j.detector for j in judgements for _ in j.meters], pa.string()),
            "score": _numbers([j.score for j in judgements]),
            "probability": _numbers([j.probability for j in judgements]),
            "status": pa.array([s.value for j in judgements for s in j.status], pa.string()),
            "reasons": pa.array([reasons.get((j.detector, m), "[]") for j in judgements for m in j.meters]),
        }
    )


def _numbers(columns: Sequence[NDArray[np.float64]]) -> pa.Array:
    values = np.concatenate([np.zeros(0), *columns])
    return pa.array(values, pa.float64(), from_pandas=True)
