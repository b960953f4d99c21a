"""What happens to a reading, in order. The daemon is these methods, in turn, on one thread.

message -> queue -> decode -> admit -> JOURNAL (commit) -> acknowledge -> apply -> window, history; reports -> desk
window -> features -> detectors -> findings -> leads -> outbox
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol
from zoneinfo import ZoneInfo

import numpy as np

from connectors.adapters.base import Adapter
from connectors.adapters.table import decode_group
from models.domain.clock import Clock
from models.domain.nights import Night, night_of_stamp
from models.domain.readings import RawMessage, Rejection
from monitor.accounts.writer import ReportWriter
from monitor.admission import Admitted, TimeRules, admit, readmit
from monitor.agenda import Agenda
from monitor.applier import Applier
from monitor.desk.store import Desk, LeadChange
from monitor.fault_points import FaultPoint, hit
from monitor.feeds import Feed, Feeds
from monitor.history.history import History
from monitor.jobs import Job, Keys
from monitor.journal.body import Retried
from monitor.journal.journal import Journal, JournalEntry
from monitor.journal.redelivered import RefusedBefore
from monitor.judge import Judge
from monitor.retrying import only_asked
from monitor.roster import Roster
from monitor.storage import StoreFull

log = logging.getLogger(__name__)

FLUSH_ROWS: Final = 100_000
FLUSH_AGE_S: Final = 1.0
LATE_EVERY_S: Final = 5.0
FAR_TIMES: Final = 12
"""Times `LATE_EVERY_S` from one pass of the detectors that look back to the next."""
WATERMARK_EVERY_S: Final = 0.5
_LONG_AGO: Final = -1e9
_DAY_MS: Final = 86_400_000


class Source(Protocol):
    """Where messages come from and acknowledgements go."""

    def take(self, wait_s: float) -> list[RawMessage]:
        """The next commit group; empty when nothing came within `wait_s`."""

    def acknowledge(self, messages: Sequence[RawMessage]) -> None:
        """These are committed: the sender may forget them (rule D1)."""


class Observer(Protocol):
    """Who is told what happened: metrics and the terminal."""

    def committed(self, messages: Sequence[RawMessage], group: Admitted, seconds: float) -> None:
        """A group was committed in so many seconds, and acknowledged."""

    def judging(self, job: Job) -> None:
        """A slice of a night was judged."""

    def evaluated(self, detector: str, seconds: float) -> None:
        """A detector judged a slice of meters in so many seconds."""

    def detector_failed(self, detector: str) -> None:
        """A detector raised; its meters are undetermined for the night."""

    def lead_changed(self, change: LeadChange) -> None:
        """A lead was raised, amended, withdrawn or reopened."""


def _as_they_are(_messages: Sequence[RawMessage], rejections: Sequence[Rejection]) -> Sequence[Rejection]:
    return rejections


@dataclass
class Pipeline:
    """The core thread's work. `intake_once` and `judge_once` alternate; `recover` comes first.

    `annotate` may add to the words of refusals where their messages came from: rows of files have numbers.
    """

    source: Source
    adapters: Mapping[str, Adapter]
    rules: TimeRules
    journal: Journal
    history: History
    desk: Desk
    applier: Applier
    judge: Judge
    agenda: Agenda
    feeds: Feeds
    clock: Clock
    zone: ZoneInfo
    observer: Observer
    reports: ReportWriter
    late_every_s: float = LATE_EVERY_S
    refused: RefusedBefore = field(default_factory=RefusedBefore)
    annotate: Callable[[Sequence[RawMessage], Sequence[Rejection]], Sequence[Rejection]] = _as_they_are
    _held: list[RawMessage] = field(default_factory=list, init=False)
    _jobs: list[Job] = field(default_factory=list, init=False)
    _running: tuple[Job, Iterator[Keys]] | None = field(default=None, init=False)
    _flushed_s: float = field(default=0.0, init=False)
    _late_s: float = field(default=0.0, init=False)
    _passed_s: float = field(default=_LONG_AGO, init=False)
    _marked_s: float = field(default=_LONG_AGO, init=False)
    _cursor: int = field(default=0, init=False)
    _unmarked: list[tuple[int, Sequence[Retried]]] = field(default_factory=list, init=False)

    @property
    def roster(self) -> Roster:
        return self.applier.roster

    @property
    def is_quiet(self) -> bool:
        """Whether nothing taken in waits to be judged or written."""
        return self._running is None and not (self._jobs or self._held or self.applier.n_waiting)

    def recover(self) -> None:
        """Start-up is crash recovery: rings from history, then every journal record the stores have not seen."""
        self.applier.rebuild()
        for interval_s, ring in self.applier.rings.items():
            self.agenda.reports(interval_s, ring.newest_ms()[0])
        self.applier.applied_seq = self.history.cursor
        self._cursor = self.desk.journal_cursor()
        self.feeds.received(self.newest_ms() - self.rules.future_s * 1000)
        self.refused.load(self.journal)
        for entry in self.journal.read(min(self.history.cursor, self._cursor)):
            self._reapply(entry)
        self._flush()
        self._mark_retried()
        self.agenda.on_restart()
        self._advance_marks()
        self.judge.prepare(self._last_night())

    def intake_once(self, wait_s: float) -> int:
        """Take a group, decide every reading, commit, acknowledge, apply; returns the messages taken.

        Where the store is full (`StoreFull`) the group is held, not acknowledged, and tried again by the next call.
        """
        self._held = self._held or self.source.take(wait_s)
        taken = len(self._held)
        if self._held:
            self.take_in(self._held)
            self._held = []
        self._flush_when_due()
        return taken

    def take_in(self, messages: Sequence[RawMessage]) -> None:
        """One commit group from bytes to windows; what was refused before and comes again is only acknowledged."""
        new = self.refused.new(messages)
        if not new:
            self.source.acknowledge(messages)
            return
        group = admit(decode_group(new, self.adapters), new, self.roster, self.rules)
        began_s = self.clock.monotonic_s()
        seq = self.journal.commit(new, self.annotate(new, group.rejections))
        hit(FaultPoint.AFTER_COMMIT)
        hit(FaultPoint.BEFORE_ACK)
        self.source.acknowledge(messages)
        hit(FaultPoint.AFTER_ACK)
        self.observer.committed(new, group, self.clock.monotonic_s() - began_s)
        self.refused.remember(new, group.rejections)
        self._apply(group, new, seq)

    def take_again(self, messages: Sequence[RawMessage], retried: Sequence[Retried]) -> int:
        """Messages from quarantine once more, a commit group of their own (`monitor.retrying`); returns its number."""
        decoded = only_asked(decode_group(messages, self.adapters), retried)
        group = admit(decoded, messages, self.roster, self.rules)
        seq = self.journal.commit(messages, group.rejections, retried)
        hit(FaultPoint.AFTER_COMMIT)
        self._unmarked.append((seq, retried))
        self._apply(group, messages, seq)
        self._mark_retried()
        return seq

    def take_stored(self, messages: Sequence[RawMessage]) -> Admitted:
        """Messages nobody waits to have acknowledged (from files, or kept long ago), as a commit group of their own."""
        group = admit(decode_group(messages, self.adapters), messages, self.roster, self.rules)
        seq = self.journal.commit(messages, self.annotate(messages, group.rejections))
        hit(FaultPoint.AFTER_COMMIT)
        self._apply(group, messages, seq)
        return group

    def tick(self) -> None:
        """Record that time passed, so that silence is a fact of the journal (design §6)."""
        at_ms = self.clock.wall_ms()
        self.journal.tick(at_ms)
        self.applier.applied_seq = self.journal.head
        self.feeds.tick(at_ms)

    def judge_once(self) -> bool:
        """One slice of judging; False when nothing is due. A job that meets `StoreFull` begins anew next time."""
        if self._running is None:
            job = self._next_job()
            if job is None:
                return False
            if job.keys is None and not job.provisional:
                self.agenda.close(job.feed, job.night)
            self._running = (job, self.judge.run(job))
        job, slices = self._running
        try:
            changed = next(slices, None)
        except StoreFull:
            self._jobs.insert(0, job)
            self._running = None
            raise
        if changed is None:
            self._running = None
        else:
            self.observer.judging(job)
            if not job.provisional:
                self.agenda.on_changed(job, changed)
        return True

    def settle(self) -> None:
        """Judge everything that is due and all late readings, then move the desk's cursor: a point of rest."""
        self._flush()
        self._marked_s = self._late_s = self._passed_s = _LONG_AGO
        while self.judge_once():
            self._late_s = self._passed_s = _LONG_AGO

    def finish(self) -> None:
        """Judge every night that has readings, in event-time order, as if its time had come (replay and demo)."""
        while self._running is not None:
            self.judge_once()
        self.applier.flush()
        stamps = {int(dt.datetime.combine(day, dt.time(), dt.UTC).timestamp()) * 1000 for day in self.history.days()}
        nights = {night_of_stamp(ms, self.zone) for start_ms in stamps for ms in (start_ms + 1, start_ms + _DAY_MS)}
        for night in sorted(nights):
            for feed in self._feeds_at(night):
                self._finish_night(Job(feed, night))
        self.settle()

    def _finish_night(self, job: Job) -> None:
        if not self.agenda.is_closed(job.feed, job.night):
            self.agenda.close(job.feed, job.night)
            for _ in self.judge.run(job):
                self.observer.judging(job)

    def lag_s(self, now_ms: int) -> float:
        """How far the slowest feed that ever reported lies behind the wall clock, in seconds."""
        return self.feeds.lag_s(now_ms)

    def close(self) -> None:
        """Put everything that was applied into history and desk."""
        self._flush()
        if self._running is None and not self._jobs and self.agenda.is_settled:
            self._move_cursor()

    def _apply(self, group: Admitted, messages: Sequence[RawMessage], seq: int) -> None:
        if group.reports:
            self.reports.take(group.reports, messages, seq)
        self.applier.apply(group, seq)
        self.feeds.received(max(m.received_ms for m in messages))

    def _reapply(self, entry: JournalEntry) -> None:
        if entry.tick_ms is not None:
            self.feeds.tick(entry.tick_ms)
        elif entry.messages:
            whole = {i: m for i, m in enumerate(entry.messages) if i not in entry.cut}
            messages = [whole.get(i, _EMPTY) for i in range(len(entry.messages))]
            decoded = decode_group(messages, self.adapters)
            if entry.retried:
                decoded = only_asked(decoded, entry.retried)
                self._unmarked.append((entry.seq, entry.retried))
            group = readmit(decoded, messages, entry.rejections, self.roster)
            if entry.seq > self.history.cursor:
                self._apply(group, entry.messages, entry.seq)
            else:
                self.reports.take(group.reports, entry.messages, entry.seq)
                self.feeds.received(max(m.received_ms for m in entry.messages))
                self.applier.touch(group)
        self.applier.applied_seq = max(self.applier.applied_seq, entry.seq)

    def _next_job(self) -> Job | None:
        if self._jobs:
            return self._jobs.pop(0)
        if self._advance_marks() and (job := self._due()) is not None:
            self._marked_s = _LONG_AGO
            return job
        now_s = self.clock.monotonic_s()
        if not self.agenda.has_late:
            self._late_s = now_s
        elif now_s - self._late_s >= self.late_every_s:
            self.applier.flush()
            self._jobs = self.agenda.late(self._by_feed)
        self._jobs = self._jobs or self._far_jobs(now_s)
        if self._jobs:
            return self._jobs.pop(0)
        if self.agenda.is_settled and self.applier.n_old == 0:
            self._move_cursor()
        return None

    def _far_jobs(self, now_s: float) -> list[Job]:
        """The next night for the detectors that look back; a pass over the nights begins once in a while."""
        if not self.agenda.following.is_passing:
            due = now_s - self._passed_s >= FAR_TIMES * self.late_every_s
            if not (due and self.agenda.following.is_waiting) or self.agenda.has_late:
                return []
            self.agenda.following.begin()
            self._passed_s = now_s
        return self.agenda.far(self._by_feed)

    def _due(self) -> Job | None:
        """The next night to close, else a look at sealed sites while their night goes on."""
        night = self._last_night()
        known = self._feeds_at(night)
        job = self.agenda.due(known, self.feeds)
        if job is not None:
            return job
        sealed = self.judge.sealed(night)
        looks = (
            self.agenda.provisional(feed, keys[np.isin(keys, sealed)], self.feeds)
            for feed, keys in (known.items() if sealed.size else ())
        )
        return next((look for look in looks if look is not None), None)

    def _by_feed(self, interval_s: int, keys: Keys, night: Night) -> dict[Feed, Keys]:
        """The feeds that meters reporting at a cadence belonged to that night, without those not registered then."""
        groups: dict[Feed, Keys] = {}
        for (publisher, _), members in self.judge.feeds(night).items():
            mine = keys[np.isin(keys, members)]
            if mine.size:
                groups[publisher, interval_s] = np.union1d(groups.get((publisher, interval_s), _NO_KEYS), mine)
        return groups

    def newest_ms(self) -> int:
        """The newest stamp of any reading in the rings, Unix ms; 0 where there is none."""
        newest = [int(stamps.max()) for ring in self.applier.rings.values() if (stamps := ring.newest_ms()[1]).size]
        return max(newest, default=0)

    def _last_night(self) -> Night:
        return night_of_stamp(self.newest_ms() or self.clock.wall_ms(), self.zone)

    def _feeds_at(self, night: Night) -> dict[Feed, Keys]:
        """Feeds of the register, and those that meters reporting at another cadence make."""
        feeds = dict(self.judge.feeds(night))
        for interval_s, ring in self.applier.rings.items():
            for publisher in self.roster.by_publisher(ring.newest_ms()[0]):
                feeds.setdefault((publisher, interval_s), _NO_KEYS)
        return feeds

    def _advance_marks(self) -> bool:
        """Move the watermarks on; False when that was done a moment ago."""
        now_s = self.clock.monotonic_s()
        if now_s - self._marked_s < WATERMARK_EVERY_S:
            return False
        self._marked_s = now_s
        for interval_s, ring in self.applier.rings.items():
            keys, newest_ms = ring.newest_ms()
            for publisher, mine in self.roster.by_publisher(keys).items():
                self.feeds.advance((publisher, interval_s), newest_ms[mine])
        return True

    def _flush_when_due(self) -> None:
        now_s = self.clock.monotonic_s()
        n_waiting = self.applier.n_waiting + len(self.reports)
        if n_waiting == 0:
            self._flushed_s = now_s
        elif n_waiting >= FLUSH_ROWS or now_s - self._flushed_s >= FLUSH_AGE_S:
            self._flush()
            self._flushed_s = now_s

    def _flush(self) -> None:
        """Readings to history, reports to the desk."""
        self.applier.flush()
        self.reports.flush()

    def _mark_retried(self) -> None:
        """Tell the desk which quarantine entries were taken in; before its cursor passes their records."""
        while self._unmarked:
            self.desk.mark_retried(*self._unmarked[0])
            del self._unmarked[0]

    def _move_cursor(self) -> None:
        self._mark_retried()
        self.reports.flush()
        if self.applier.applied_seq > self._cursor:
            self._cursor = self.applier.applied_seq
            self.desk.set_journal_cursor(self._cursor)


_NO_KEYS: Final = np.zeros(0, dtype=np.int32)
_EMPTY: Final = RawMessage("", b"", 0, "", "kept")
