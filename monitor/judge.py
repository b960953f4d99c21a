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

from detectors.base import Context, Detector, LooksBack
from models.domain.calendar import valley_mask
from models.domain.clock import Clock
from models.domain.findings import Judgement, Status
from models.domain.leads import LeadKind
from models.domain.nights import DAY_S, Night, nights_before
from models.domain.windows import PastNights, Window
from models.learned.features import FEATURE_VERSION, FEATURES, night_features
from monitor.applier import RING_HOURS, Applier, fill_ring
from monitor.collector import collector_paused
from monitor.desk.store import Desk, LeadChange
from monitor.evidence import readings_digest
from monitor.feeds import Feed, feed_key
from monitor.history.history import History
from monitor.leads import NightFinding
from monitor.lookback import Hindsight
from monitor.roster import Roster
from monitor.windows import Ring

log = logging.getLogger(__name__)

POOL_NIGHTS: Final = 7
CHUNK_METERS: Final = 500
COMMIT_FINDINGS: Final = 200
"""Findings from which on they are committed before the block is through."""
STORE_METERS: Final = 4000
"""Meters whose nightly rows are read or written at once: a transaction costs as much as a thousand rows."""
ALIVE_SHARE: Final = 0.2
"""Least share of a feed's meters that must have reported for silence to say something about one of them."""
_MARGIN_MS: Final = 3_600_000
_RAISING: Final = frozenset(kind.value for kind in LeadKind)
_SUSPECT_FOR: Final = dt.timedelta(days=6)
"""How long after a suspect night a meter is judged before the others: a week, the night itself included."""

Keys = NDArray[np.int32]
Features = Mapping[str, NDArray[np.float32]]

_NONE: Final = np.zeros(0, dtype=np.int32)


@dataclass(frozen=True, slots=True)
class Job:
    """One night of one feed to judge: all of its meters (`keys` None), or those that got late readings.

    A provisional job runs before the night is over, up to `until_ms`, over the detectors that can say something then.
    A `far` job has `keys` and runs the detectors that look back alone: rows they read have changed, not the night's.
    """

    feed: Feed
    night: Night
    keys: Keys | None = None
    until_ms: int | None = None
    far: bool = False

    @property
    def provisional(self) -> bool:
        return self.until_ms is not None


@dataclass
class _Found:
    """What several chunks of one job gave, to be committed together: a transaction costs as much as many findings."""

    meters: list[str] = field(default_factory=list)
    detectors: Sequence[str] = ()
    findings: list[NightFinding] = field(default_factory=list)


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
    _codes: NDArray[np.int32] | None = field(default=None, init=False)
    _suspects: dict[str, dt.date] = field(default_factory=dict, init=False)
    _members: tuple[dt.date, dict[Feed, Keys]] | None = field(default=None, init=False)
    _sealed: tuple[dt.date, Keys] | None = field(default=None, init=False)
    _filled: tuple[tuple[dt.date, int], Mapping[int, Ring]] | None = field(default=None, init=False)

    @property
    def roster(self) -> Roster:
        return self.applier.roster

    def prepare(self, night: Night) -> None:
        """Do at the start what else the first slices of the night would have to do for the whole register."""
        with collector_paused():
            self._in_store_order(_NONE)
            self.feeds(night)
            self.sealed(night)
        suspects = self.desk.suspects_since(night.date - _SUSPECT_FOR)
        self._suspects = {meter: last for meter, last in suspects.items() if meter in self.roster.index}

    def feeds(self, night: Night) -> dict[Feed, Keys]:
        """Feeds of the register on a night, and their meters."""
        if self._members is None or self._members[0] != night.date:
            self._members = (night.date, self.roster.members(night.date))
        return self._members[1]

    def sealed(self, night: Night) -> Keys:
        """Meters whose enterprise is closed or cut off on a night, by key."""
        if self._sealed is None or self._sealed[0] != night.date:
            mine = [self.roster.index[meter] for meter in sorted(self.roster.register.sealed_on(night.date))]
            self._sealed = (night.date, np.array(mine, dtype=np.int32))
        return self._sealed[1]

    def run(self, job: Job) -> Iterator[Keys]:
        """Judge in slices of at most `CHUNK_METERS`; yields after each the keys whose feature row changed."""
        interval_s = job.feed[1]
        if job.far:
            yield from self._look_back(job, self._in_store_order(_NONE if job.keys is None else job.keys))
            return
        rings = self._view(job)
        members, moved = self._assigned(job, rings, self.feeds(job.night).get(job.feed, _NONE))
        heard = (rings.get(interval_s) or Ring(interval_s, 1, zone=self.zone)).has_data(job.night, members)
        alive = bool(members.size) and int(heard.sum()) + len(moved) >= ALIVE_SHARE * (len(members) + len(moved))
        keys = members if job.keys is None else self._again(job, members, heard, alive=alive)
        valley = valley_mask(self.roster.register, job.night, interval_s)
        keys = self._in_store_order(keys)
        for block in self._blocks(job, keys):
            windows: list[Window] = []
            parts: list[Features] = []
            for chunk in _chunks(block):
                windows.append(self._window(job, rings, chunk))
                values = night_features(windows[-1], valley)
                parts.append(values if alive else {**values, "coverage": _unknown_where_silent(values["coverage"])})
                yield _NONE
            row = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
            yield block if job.provisional else block[self._store_features(job, block, row)]
            past = self._past(job, self._names(block), row)
            yield _NONE
            scores: list[pa.Table] = []
            found = _Found()
            for number, (chunk, window) in enumerate(zip(_chunks(block), windows, strict=True)):
                mine = _some(past, slice(number * CHUNK_METERS, (number + 1) * CHUNK_METERS))
                scores.append(self._judge(job, window, chunk, mine, found, alive=alive))
                if len(found.findings) >= COMMIT_FINDINGS:
                    self._commit(job, found)
                    found = _Found()
                yield _NONE
            if found.meters:
                self._commit(job, found)
                yield _NONE
            if not job.provisional:
                self.history.write_scores(job.night.date, pa.concat_tables(scores))
                yield _NONE
        if not job.provisional:
            yield self._without_rows(job, moved, members)
            yield from self._look_back(job, keys)
        if job.keys is None and not job.provisional:
            self.desk.set_closed(feed_key(job.feed), job.night.date)

    def _blocks(self, job: Job, keys: Keys) -> Iterator[Keys]:
        """The meters in blocks of `STORE_METERS`; those that most likely make a lead tonight come first.

        What a meter is told does not depend on the others, so the order decides only who hears first: sealed sites, for
        which one night is enough, and the suspects of the nights before, which a lead may count besides this one.
        """
        since = job.night.date - _SUSPECT_FOR
        suspects = [self.roster.index[meter] for meter, night in self._suspects.items() if night >= since]
        first = np.isin(keys, np.array(suspects, dtype=np.int32)) | np.isin(keys, self.sealed(job.night))
        for some in (keys[first], keys[~first]):
            yield from (some[i : i + STORE_METERS] for i in range(0, len(some), STORE_METERS))

    def _look_back(self, job: Job, keys: Keys) -> Iterator[Keys]:
        """Judge by the detectors that look back, from rows stored by now; yields nothing that changed."""
        detectors = [detector for detector in self.detectors if isinstance(detector, LooksBack)]
        if not detectors:
            return
        hindsight = Hindsight(self.history, self.roster, self.zone, self._evaluate, self._screen)
        found, scores = _Found(), list[pa.Table]()
        for judged in hindsight.run(detectors, job.night, job.feed[1], keys, rows_only=job.far):
            if judged is not None:
                scores.append(self._keep(job, judged.keys, judged.window, judged.judgements, judged.digest, found))
            if len(scores) * CHUNK_METERS >= STORE_METERS or len(found.findings) >= COMMIT_FINDINGS:
                self._commit(job, found)
                self.history.write_scores(job.night.date, pa.concat_tables(scores))
                found, scores = _Found(), []
            yield _NONE
        if scores:
            self._commit(job, found)
            self.history.write_scores(job.night.date, pa.concat_tables(scores))

    def _judge(self, job: Job, window: Window, keys: Keys, past: PastNights, found: _Found, *, alive: bool) -> pa.Table:
        """Judge a chunk; returns its scores and adds to `found`."""
        context = Context(
            register=self.roster.register,
            zone=self.zone,
            past=past,
            feed_alive=np.full(len(window.meters), alive, dtype=np.bool_),
        )
        detectors = self.provisional if job.provisional else self.detectors
        judgements = [self._evaluate(one, window, context) for one in detectors if not isinstance(one, LooksBack)]
        self.n_judged += len(window.meters)
        return self._keep(job, keys, window, judgements, lambda position: readings_digest(window, position), found)

    def _keep(
        self,
        job: Job,
        keys: Keys,
        window: Window,
        judgements: Sequence[Judgement],
        digest: Callable[[int], str],
        found: _Found,
    ) -> pa.Table:
        """Add to what is committed next; returns the scores. `digest` is of what a position was judged from."""
        position = {meter: i for i, meter in enumerate(window.meters)}
        sites = self.roster.rows.sites(job.night.date, keys)
        found.meters += window.meters
        found.detectors = [judgement.detector for judgement in judgements]
        found.findings += [
            NightFinding(
                finding=finding,
                site=sites[position[finding.meter]].as_py(),
                digest=digest(position[finding.meter]),
                end_ms=job.night.end_ms if job.until_ms is None else job.until_ms,
                provisional=job.provisional,
            )
            for judgement in judgements
            for finding in judgement.findings
        ]
        return score_table(judgements, self.roster.ids_arrow.take(pa.array(keys)), sites)

    def _commit(self, job: Job, found: _Found) -> None:
        """Findings, and the leads that follow from them, in one transaction; then tell of the leads."""
        for finding in (item.finding for item in found.findings):
            if finding.status is Status.SUSPECT and finding.detector in _RAISING:
                self._suspects[finding.meter] = max(finding.night, self._suspects.get(finding.meter, finding.night))
        changes = self.desk.commit_night(
            night=job.night,
            judged=found.meters,
            detectors=found.detectors,
            findings=found.findings,
            register=self.roster.register,
        )
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

    def _screen(self, detector: LooksBack, window: Window, context: Context) -> NDArray[np.bool_]:
        """The meters a detector's screen lets through; nobody where it fails."""
        began_s = self.clock.monotonic_s()
        try:
            passed = detector.screen(window, context)
        except Exception:
            log.exception("the screen of %s failed on night %s: nobody passes", detector.name, window.night.date)
            self.on_failed(detector.name)
            passed = np.zeros(len(window.meters), dtype=np.bool_)
        self.on_evaluated(detector.name, self.clock.monotonic_s() - began_s)
        return passed

    def _past(self, job: Job, meters: Sequence[str], values: Features) -> PastNights:
        """Stored rows of the nights before, and the night's own as just computed.

        For a meter that is silent tonight, a night on which it was heard at another cadence was no silent one.
        """
        nights = nights_before(job.night, POOL_NIGHTS, self.zone)
        dates = [night.date for night in nights[:-1]]
        stored = self.history.read_features(dates, job.feed[1], FEATURE_VERSION, meters)
        none = np.full((len(meters), len(dates)), np.nan, dtype=np.float32)
        silent = np.flatnonzero(values["coverage"] == 0.0)
        if silent.size and len(self.applier.rings) > 1:
            heard = self.history.read_heard(dates, job.feed[1], FEATURE_VERSION, [meters[i] for i in silent.tolist()])
            coverage = stored.setdefault("coverage", none.copy())
            coverage[silent] = np.fmax(coverage[silent], heard)
        return PastNights(
            nights=tuple(nights),
            values={
                spec.name: np.concatenate([stored.get(spec.name, none), values[spec.name][:, None]], axis=1)
                for spec in FEATURES
            },
        )

    def _store_features(self, job: Job, keys: Keys, values: Features) -> NDArray[np.bool_]:
        """Write the rows that differ from what is stored; (n,) True where one did.

        A night of which nothing is known (see `_unknown_where_silent`) has no row: written, it would change nothing,
        and the nights after it would be judged again, one after the other up to now.
        """
        meters = self._names(keys)
        stored = self.history.read_features([job.night.date], job.feed[1], FEATURE_VERSION, meters)
        changed = np.zeros(len(meters), dtype=np.bool_)
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
                [meters[i] for i in at.tolist()],
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
        view = self._daily_view(night) if DAY_S in rings else {}
        for interval_s in np.intersect1d(cadences, [cadence for cadence in RING_HOURS if cadence != DAY_S]).tolist():
            first, end = np.searchsorted(cadences, [interval_s, interval_s + 1]).tolist()
            slots = (night.end_ms - night.start_ms + 3 * _MARGIN_MS) // (interval_s * 1000)
            view[interval_s] = Ring(interval_s, slots, wide=True, zone=self.zone)
            fill_ring(view[interval_s], stored.slice(first, end - first), self.roster)
        self._filled = ((night.date, self.applier.applied_seq), view)
        return view

    def _daily_view(self, night: Night) -> dict[int, Ring]:
        """Daily readings of the night and of the one before, whose registers open it, from history."""
        opening, _ = nights_before(night, 2, self.zone)
        ring = Ring(DAY_S, 2, wide=True, zone=self.zone)
        fill_ring(ring, self.history.read(opening.start_ms, night.end_ms, interval_s=DAY_S), self.roster)
        return {DAY_S: ring}

    def _assigned(self, job: Job, rings: Mapping[int, Ring], keys: Keys) -> tuple[Keys, Keys]:
        """The meters to judge at this cadence, and those that reported at another one only: they are judged there."""
        publisher, interval_s = job.feed
        own = rings.get(interval_s)
        others = [ring for cadence, ring in rings.items() if cadence != interval_s]
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
        return np.unique(np.concatenate(adopted)), keys[moved]

    def _without_rows(self, job: Job, moved: Keys, members: Keys) -> Keys:
        """Take back the rows of meters that by now are judged at another cadence; the keys of those that had one."""
        late = _NONE if job.keys is None else np.setdiff1d(job.keys, members)
        elsewhere = np.union1d(moved, late)
        if not elsewhere.size:
            return elsewhere
        night, names = job.night.date, self._names(elsewhere)
        stored = self.history.read_features([night], job.feed[1], FEATURE_VERSION, names, features=["coverage"])
        had = np.flatnonzero(np.isfinite(stored["coverage"][:, 0])) if stored else _NONE
        if had.size:
            self.history.delete_features(night, job.feed[1], [names[i] for i in had.tolist()])
        return elsewhere[had]

    def _window(self, job: Job, rings: Mapping[int, Ring], keys: Keys) -> Window:
        """The night of some meters, with what the register says of their counters.

        Read from history where intake has moved a live ring beyond the night since the job began.
        """
        night, ring = job.night, rings.get(job.feed[1])
        if rings is self.applier.rings and ring is not None and not ring.covers(keys, night).all():
            ring = self._view(job).get(job.feed[1])
        ring = ring or Ring(job.feed[1], 1, zone=self.zone)
        names = self._names(keys)
        wrap_kwh = self.roster.rows.on(night.date).wrap_kwh[keys]
        return dataclasses.replace(ring.window(night, keys, names), wrap_kwh=wrap_kwh)

    def _in_store_order(self, keys: Keys) -> Keys:
        """The keys as the history orders its rows, so that a block of them is read and written in one place."""
        if self._codes is None:
            self._codes = self.history.enrol(self.roster.ids_arrow)
        return keys[np.argsort(self._codes[keys], kind="stable")]

    def _names(self, keys: Keys) -> list[str]:
        return [self.roster.ids[key] for key in keys.tolist()]


def cannot_judge(detector: str, window: Window) -> Judgement:
    """No score for any meter: "cannot judge" is a result (design §2, invariant 6)."""
    n = len(window.meters)
    unknown = np.full(n, np.nan)
    return Judgement(detector, window.meters, unknown, unknown, [Status.UNDETERMINED] * n, ())


def _unknown_where_silent(coverage: NDArray[np.float32]) -> NDArray[np.float32]:
    """Coverage of meters of a feed that was down: nothing heard is nothing known (NaN), not a silent meter (0)."""
    return np.where(coverage > 0, coverage, np.float32(np.nan))


def _chunks(keys: Keys) -> Iterator[Keys]:
    """Slices of at most `CHUNK_METERS`."""
    for start in range(0, len(keys), CHUNK_METERS):
        yield keys[start : start + CHUNK_METERS]


def _some(past: PastNights, rows: slice) -> PastNights:
    """The nights of some of the meters."""
    return PastNights(past.nights, {name: values[rows] for name, values in past.values.items()})


def score_table(judgements: Sequence[Judgement], meters: pa.Array, sites: pa.Array) -> pa.Table:
    """One row a meter and detector: meter, site, detector, score, probability, status, reasons (JSON).

    `meters` and `sites` are strings (n,), the meters those of every judgement in its order.
    """
    number = len(judgements)
    n = len(meters)
    reasons = ["[]"] * (number * n)
    position = {meter: i for i, meter in enumerate(judgements[0].meters)} if judgements else {}
    for block, judgement in enumerate(judgements):
        for finding in judgement.findings:
            reasons[block * n + position[finding.meter]] = msgspec.json.encode(finding.reasons).decode()
    names = pa.array([judgement.detector for judgement in judgements], pa.string())
    return pa.table(
        {
            "meter": pa.concat_arrays([meters] * number) if number else meters[:0],
            "site": pa.concat_arrays([sites] * number) if number else sites[:0],
            "detector": names.take(pa.array(np.repeat(np.arange(number), n))),
            "score": _numbers([j.score for j in judgements]),
            "probability": _numbers([j.probability for j in judgements]),
            "status": pa.array([status.value for j in judgements for status in j.status], pa.string()),
            "reasons": pa.array(reasons, pa.string()),
        }
    )


def _numbers(columns: Sequence[NDArray[np.float64]]) -> pa.Array:
    values = np.concatenate([np.zeros(0), *columns])
    return pa.array(values, pa.float64(), from_pandas=True)
