"""What is to be judged next: nights whose watermark passed, nights that got late readings, sealed sites meanwhile."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from models.domain.nights import Night, night_of_date, night_of_stamp
from monitor.feeds import Feed, Feeds, feed_key
from monitor.following import Following
from monitor.jobs import POOL_NIGHTS, Job, Keys

FIRST_NIGHTS: Final = 8
"""How many nights back a feed that was never judged begins; of older ones those are judged that have readings."""
PROVISIONAL_HOURS: Final = (6, 12, 18)
"""Hours after noon at which sealed sites are looked at before the night is over."""
_MOST_PARTS: Final = 256
"""Lists of late meters kept apart for a night; more are united, so that waiting for the judge costs no memory."""
_NEVER: Final = 0
_NO_KEYS: Final = np.zeros(0, dtype=np.int32)
_DAY: Final = dt.timedelta(days=1)

Ordinals = NDArray[np.int64]


class Agenda:
    """Closed nights by feed, and the meters of closed nights that have to be judged again.

    Late readings change their own night; where its feature row changed, the nights that pool it follow, and the far
    ones for the detectors that look back. A meter that reports at several cadences is judged at one of them, so its
    readings change the night at each.
    """

    def __init__(
        self,
        zone: ZoneInfo,
        n_meters: int,
        meters_of: Mapping[str, Keys],
        closed: Mapping[str, dt.date],
        *,
        registered: Mapping[int, Keys] | None = None,
        looked_back: int = 0,
    ) -> None:
        """`meters_of`: keys below `n_meters` that may be a publisher's; `closed`: what the desk knows, by feed;
        `registered`: keys by the cadences they are registered at; `looked_back`: nights that a detector looks at."""
        self._zone = zone
        self._n_meters = n_meters
        self._meters_of = meters_of
        self._closed = dict(closed)
        self._closed_of: dict[int, Ordinals] = {}
        self._reports: dict[int, NDArray[np.bool_]] = {}
        self._late: dict[tuple[int, int], list[Keys]] = {}
        self._early: dict[tuple[int, int], list[Keys]] = {}
        self.following = Following(n_meters, looked_back)
        self._looked: dict[Feed, int] = {}
        for name, date in closed.items():
            publisher, _, cadence = name.rpartition("/")
            self._mark((publisher, int(cadence)), date)
        for cadence_s, keys in (registered or {}).items():
            self.reports(cadence_s, keys)

    @property
    def has_late(self) -> bool:
        return bool(self._late)

    @property
    def is_settled(self) -> bool:
        """Whether nothing that was told waits to be judged."""
        return not (self._late or self._early or self.following.is_passing or self.following.is_waiting)

    def reports(self, interval_s: int, keys: Keys) -> None:
        """These meters report at a cadence, or are registered to."""
        at = self._reports.get(interval_s)
        if at is None:
            at = self._reports[interval_s] = np.zeros(self._n_meters, dtype=np.bool_)
        at[keys] = True

    def close(self, feed: Feed, night: Night) -> None:
        """The night of the feed is being judged: from now on its readings are late ones, whichever meter's."""
        if feed_key(feed) not in self._closed:
            self._first_closed(feed, night.date - _DAY)
        self._closed[feed_key(feed)] = night.date
        self._mark(feed, night.date)

    def is_closed(self, feed: Feed, night: Night) -> bool:
        """Whether the night, or one after it, was judged as closed."""
        closed = self._closed.get(feed_key(feed))
        return closed is not None and night.date <= closed

    def on_readings(self, interval_s: int, keys: Keys, nights: Ordinals) -> None:
        """Readings changed these nights (ordinals); those of closed nights are noted, and those of feeds never judged,
        for which it is not known yet where judging begins."""
        self.reports(interval_s, keys)
        closed_of = self._closed_of.get(interval_s)
        never = np.ones(len(keys), dtype=np.bool_) if closed_of is None else closed_of[keys] == _NEVER
        if never.any():
            _note(self._early, interval_s, keys[never], nights[never])
        for cadence in self._reports:
            self._note_late(cadence, keys, nights)

    def on_changed(self, job: Job, keys: Keys) -> None:
        """Feature rows of a job's night changed for these meters: judge the closed nights that pool it again.

        After a night's first judgement those can only be nights of another cadence.
        """
        if keys.size == 0:
            return
        ordinal = job.night.date.toordinal()
        for cadence in self._reports:
            if job.keys is not None or cadence != job.feed[1]:
                self._follow(cadence, ordinal, keys)
        if job.keys is not None:
            self.following.changed(job.feed[1], ordinal, keys)

    def on_restart(self) -> None:
        """Whether the feature rows of late nights changed before the restart is not known: take it that they did."""
        for (interval_s, ordinal), parts in list(self._late.items()):
            keys = np.unique(np.concatenate(parts))
            for cadence in self._reports:
                self._follow(cadence, ordinal, keys)
            self.following.changed(interval_s, ordinal, keys)

    def due(self, feeds: Iterable[Feed], marks: Feeds) -> Job | None:
        """The earliest night whose watermark has passed, if any."""
        jobs = [Job(feed, night) for feed in feeds if (night := self._next(feed, marks)) is not None]
        return min(jobs, key=lambda job: (job.night.date, job.feed), default=None)

    def late(self, feed_of: Callable[[int, Keys, Night], Mapping[Feed, Keys]]) -> list[Job]:
        """Jobs of the earliest night with late readings; they are taken off the list."""
        if not self._late:
            return []
        interval_s, ordinal = min(self._late, key=lambda item: (item[1], item[0]))
        keys = np.unique(np.concatenate(self._late.pop((interval_s, ordinal))))
        night = night_of_date(dt.date.fromordinal(ordinal), self._zone)
        return [Job(feed, night, mine) for feed, mine in feed_of(interval_s, keys, night).items()]

    def far(self, feed_of: Callable[[int, Keys, Night], Mapping[Feed, Keys]]) -> list[Job]:
        """Jobs of the next night of the pass for the detectors that look back; none at its end."""
        while (found := self.following.next(self._closed_of)) is not None:
            interval_s, ordinal, keys = found
            night = night_of_date(dt.date.fromordinal(ordinal), self._zone)
            jobs = [Job(feed, night, mine, far=True) for feed, mine in feed_of(interval_s, keys, night).items()]
            if jobs:
                return jobs
        return []

    def provisional(self, feed: Feed, keys: Keys, marks: Feeds) -> Job | None:
        """A look at `keys` before the night is over, when the watermark passes the next of `PROVISIONAL_HOURS`."""
        watermark_ms = marks.watermark_ms(feed)
        closed = self._closed.get(feed_key(feed))
        if watermark_ms == 0 or closed is None or keys.size == 0:
            return None
        night = night_of_stamp(watermark_ms, self._zone)
        passed = [h for h in PROVISIONAL_HOURS if night.start_ms + h * 3_600_000 <= watermark_ms]
        if not passed or night.date != closed + _DAY:
            return None
        look = night.start_ms + passed[-1] * 3_600_000
        if self._looked.get(feed, 0) >= look:
            return None
        self._looked[feed] = look
        return Job(feed, night, keys, until_ms=look)

    def _follow(self, interval_s: int, ordinal: int, keys: Keys) -> None:
        for later in range(ordinal + 1, ordinal + POOL_NIGHTS):
            self._note_late(interval_s, keys, np.full(len(keys), later, dtype=np.int64))

    def _note_late(self, interval_s: int, keys: Keys, nights: Ordinals) -> None:
        """Note meters that report at a cadence for those of the nights that are closed at it."""
        closed_of = self._closed_of.get(interval_s)
        if closed_of is None:
            return
        late = (nights <= closed_of[keys]) & self._reports[interval_s][keys]
        if late.any():
            _note(self._late, interval_s, keys[late], nights[late])

    def _first_closed(self, feed: Feed, closed: dt.date) -> None:
        """A feed's judging begins after `closed`: what was told of its meters up to then is late."""
        self._closed[feed_key(feed)] = closed
        self._mark(feed, closed)
        closed_of = self._closed_of[feed[1]]
        for (interval_s, night), parts in list(self._early.items()):
            if interval_s != feed[1]:
                continue
            keys = np.unique(np.concatenate(parts))
            until = closed_of[keys]
            self._early[interval_s, night] = [keys[until == _NEVER]]
            if (until == _NEVER).sum() == 0:
                del self._early[interval_s, night]
            late = keys[night <= until]
            if late.size:
                _note(self._late, interval_s, late, np.full(len(late), night, dtype=np.int64))

    def _mark(self, feed: Feed, closed: dt.date) -> None:
        keys = self._meters_of.get(feed[0], _NO_KEYS)
        mine = self._closed_of.setdefault(feed[1], np.full(self._n_meters, _NEVER, dtype=np.int64))
        mine[keys] = np.maximum(mine[keys], closed.toordinal())

    def _next(self, feed: Feed, marks: Feeds) -> Night | None:
        watermark_ms = marks.watermark_ms(feed)
        if watermark_ms == 0:
            return None
        closed = self._closed.get(feed_key(feed))
        if closed is None:
            last = night_of_stamp(watermark_ms, self._zone)
            closed = last.date - _DAY * FIRST_NIGHTS
            self._first_closed(feed, closed)
        night = night_of_date(closed + _DAY, self._zone)
        return night if night.end_ms <= watermark_ms else None


def _note(noted: dict[tuple[int, int], list[Keys]], interval_s: int, keys: Keys, nights: Ordinals) -> None:
    for night in np.unique(nights).tolist():
        parts = noted.setdefault((interval_s, night), [])
        parts.append(np.unique(keys[nights == night]))
        if len(parts) > _MOST_PARTS:
            parts[:] = [np.unique(np.concatenate(parts))]
