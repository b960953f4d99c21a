"""Judging a night of a feed: features, detectors, findings, leads; in slices, so that intake never waits long.

What a night is judged from depends on stored readings alone (`monitor.night_view`), whatever the size of a slice.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from detectors.base import Context, Detector, LooksBack
from models.domain.calendar import valley_mask
from models.domain.clock import Clock
from models.domain.nights import Night
from models.domain.windows import PastNights, Window
from models.learned.features import night_features
from monitor.applier import Applier
from monitor.collector import collector_paused
from monitor.desk.store import Desk, LeadChange
from monitor.evidence import readings_digest
from monitor.examiner import Examiner
from monitor.feeds import Feed, feed_key
from monitor.heap import give_back
from monitor.history.history import History
from monitor.jobs import NO_KEYS, Job, Keys
from monitor.lookback import Hindsight
from monitor.night_rows import Features, NightRows
from monitor.night_view import NightView
from monitor.roster import Roster
from monitor.verdicts import Found, Verdicts

CHUNK_METERS: Final = 500
COMMIT_FINDINGS: Final = 200
"""Findings from which on they are committed before the block is through."""
STORE_METERS: Final = 4000
"""Meters whose nightly rows are read or written at once: a transaction costs as much as a thousand rows."""
PAST_CHUNKS: Final = 4
"""Slices whose rows of the nights before are read at once."""
ALIVE_SHARE: Final = 0.2
"""Least share of a feed's meters that must have reported for silence to say something about one of them."""

Mask = NDArray[np.bool_]
Slices = Generator[Keys, None, None]


@dataclass(frozen=True, slots=True)
class _Members:
    """The meters to judge at the feed's cadence, `keys`, and those that reported at another one only, `moved`: they
    are judged there. `heard` (n,) are those of `keys` that reported; `alive` says whether silence means something."""

    keys: Keys
    moved: Keys
    heard: Mask

    @property
    def alive(self) -> bool:
        everybody = len(self.keys) + len(self.moved)
        return bool(self.keys.size) and int(self.heard.sum()) + len(self.moved) >= ALIVE_SHARE * everybody


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
    _members: tuple[dt.date, dict[Feed, Keys]] | None = field(default=None, init=False)
    _sealed: tuple[dt.date, Keys] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._examiner = Examiner(self.clock, self.on_evaluated, self.on_failed)
        self._verdicts = Verdicts(self.desk, self.history, self.roster, self.on_change)
        self._rows = NightRows(self.history, self.roster, self.zone)

    @property
    def roster(self) -> Roster:
        return self.applier.roster

    def prepare(self, night: Night) -> None:
        """Do at the start what else the first slices of the night would have to do for the whole register."""
        with collector_paused():
            self._in_store_order(NO_KEYS)
            self.feeds(night)
            self.sealed(night)
        self._verdicts.recall(night.date)

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

    def run(self, job: Job) -> Slices:
        """Judge in slices of at most `CHUNK_METERS`; yields after each the keys whose feature row changed."""
        if job.far:
            yield from self._look_back(job, self._in_store_order(NO_KEYS if job.keys is None else job.keys))
            return
        view = NightView(self.applier, self.history, self.zone, job.night)
        members = yield from self._assigned(job, view)
        alive = members.alive
        keys = members.keys if job.keys is None else self._again(job, members)
        valley = valley_mask(self.roster.register, job.night, job.feed[1])
        yield NO_KEYS
        keys = self._in_store_order(keys)
        for block in self._blocks(job, keys):
            if view.hold(job.feed[1], block):
                yield NO_KEYS
            windows: list[Window] = []
            parts: list[Features] = []
            for chunk in _chunks(block):
                windows.append(view.window(job.feed[1], chunk))
                values = night_features(windows[-1], valley)
                parts.append(values if alive else {**values, "coverage": _unknown_where_silent(values["coverage"])})
                yield NO_KEYS
            row = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
            yield block if job.provisional else block[self._rows.store(job, block, row)]
            yield from self._judge_block(job, block, windows, row, alive=alive)
        if not job.provisional:
            yield self._rows.take_back(job, members.moved, members.keys)
            yield from self._look_back(job, keys)
        if job.keys is None and not job.provisional:
            self.desk.set_closed(feed_key(job.feed), job.night.date)
            give_back()

    def _judge_block(self, job: Job, block: Keys, windows: Sequence[Window], row: Features, *, alive: bool) -> Slices:
        """Judge the chunks of a block and keep what was found; yields nothing that changed."""
        scores: list[pa.Table] = []
        found = Found()
        several = len(self.applier.rings) > 1
        past: PastNights | None = None
        for number, (chunk, window) in enumerate(zip(_chunks(block), windows, strict=True)):
            at = number % PAST_CHUNKS * CHUNK_METERS
            if past is None or at == 0:
                some = slice(number * CHUNK_METERS, (number + PAST_CHUNKS) * CHUNK_METERS)
                values = {name: column[some] for name, column in row.items()}
                past = self._rows.past(job, block[some], values, several_cadences=several)
                yield NO_KEYS
            mine = _some(past, slice(at, at + CHUNK_METERS))
            scores.append(self._judge(job, window, chunk, mine, found, alive=alive))
            yield NO_KEYS
            if len(found.findings) >= COMMIT_FINDINGS:
                self._verdicts.commit(job, found)
                found = Found()
                yield NO_KEYS
        if found.meters:
            self._verdicts.commit(job, found)
            yield NO_KEYS
        if not job.provisional:
            self._verdicts.write_scores(job, scores)
            yield NO_KEYS

    def _blocks(self, job: Job, keys: Keys) -> Iterator[Keys]:
        """The meters in blocks of `STORE_METERS`; those that most likely make a lead tonight come first.

        What a meter is told does not depend on the others, so the order decides only who hears first: sealed sites, for
        which one night is enough, and the suspects of the nights before, which a lead may count besides this one.
        """
        suspects = self._verdicts.suspects(job.night.date)
        first = np.isin(keys, suspects) | np.isin(keys, self.sealed(job.night))
        for some in (keys[first], keys[~first]):
            yield from (some[i : i + STORE_METERS] for i in range(0, len(some), STORE_METERS))

    def _look_back(self, job: Job, keys: Keys) -> Slices:
        """Judge by the detectors that look back, from rows stored by now; yields nothing that changed."""
        detectors = [detector for detector in self.detectors if isinstance(detector, LooksBack)]
        if not detectors:
            return
        examiner, verdicts = self._examiner, self._verdicts
        hindsight = Hindsight(self.history, self.roster, self.zone, examiner.evaluate, examiner.screen)
        found, scores = Found(), list[pa.Table]()
        for judged in hindsight.run(detectors, job.night, job.feed[1], keys, rows_only=job.far):
            if judged is not None:
                scores.append(verdicts.add(job, judged.keys, judged.window, judged.judgements, judged.digest, found))
            if len(scores) * CHUNK_METERS >= STORE_METERS or len(found.findings) >= COMMIT_FINDINGS:
                verdicts.commit(job, found)
                verdicts.write_scores(job, scores)
                found, scores = Found(), []
            yield NO_KEYS
        if scores:
            verdicts.commit(job, found)
            verdicts.write_scores(job, scores)

    def _judge(self, job: Job, window: Window, keys: Keys, past: PastNights, found: Found, *, alive: bool) -> pa.Table:
        """Judge a chunk; returns its scores and adds to `found`."""
        context = Context(
            register=self.roster.register,
            zone=self.zone,
            past=past,
            feed_alive=np.full(len(window.meters), alive, dtype=np.bool_),
        )
        detectors = self.provisional if job.provisional else self.detectors
        asked = [one for one in detectors if not isinstance(one, LooksBack)]
        judgements = [self._examiner.evaluate(one, window, context) for one in asked]
        self.n_judged += len(window.meters)
        return self._verdicts.add(
            job, keys, window, judgements, lambda position: readings_digest(window, position), found
        )

    def _again(self, job: Job, members: _Members) -> Keys:
        """The job's meters, and the silent ones whose silence means something else since the feed's late readings."""
        keys = members.keys
        named = np.isin(keys, NO_KEYS if job.keys is None else job.keys)
        if job.provisional:
            return keys[named]
        silent = np.flatnonzero(~members.heard & ~named)
        unknown = self._rows.unknown(job, keys[silent])
        named[silent[unknown == members.alive]] = True
        return keys[named]

    def _assigned(self, job: Job, view: NightView) -> Generator[Keys, None, _Members]:
        """Who is judged at this cadence; yields between slices."""
        publisher, interval_s = job.feed
        keys = self.feeds(job.night).get(job.feed, NO_KEYS)
        others = [cadence for cadence in view.cadences if cadence != interval_s]
        silent = ~(yield from _last(view.heard(interval_s, keys)))
        moved = np.zeros(len(keys), dtype=np.bool_)
        asked = np.flatnonzero(silent)
        for cadence in others:
            moved[asked] |= yield from _last(view.heard(cadence, keys[asked]))
        adopted, heard = [keys[~moved]], [~silent[~moved]]
        for (other, cadence), mine in self.feeds(job.night).items():
            if other != publisher or cadence == interval_s:
                continue
            away = mine[(yield from _last(view.heard(interval_s, mine)))]
            away = away[~(yield from _last(view.heard(cadence, away)))]
            adopted.append(away)
            heard.append(np.ones(len(away), dtype=np.bool_))
        members, place = np.unique(np.concatenate(adopted), return_index=True)
        return _Members(members, keys[moved], np.concatenate(heard)[place])

    def _in_store_order(self, keys: Keys) -> Keys:
        """The keys as the history orders its rows, so that a block of them is read and written in one place."""
        if self._codes is None:
            self._codes = self.history.enrol(self.roster.ids)
        return keys[np.argsort(self._codes[keys], kind="stable")]


def _last(answers: Iterator[Mask | None]) -> Generator[Keys, None, Mask]:
    """The answer that comes after the slices it takes."""
    for answer in answers:
        if answer is not None:
            return answer
        yield NO_KEYS
    raise RuntimeError("an answer ended without saying anything")


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
