"""What is to be judged next: nights whose watermark passed, nights that got late readings, sealed sites meanwhile."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from models.domain.nights import Night, night_of_date, night_of_stamp
from monitor.feeds import Feed, Feeds, feed_key
from monitor.judge import POOL_NIGHTS, Job, Keys

FIRST_NIGHTS: Final = 8
"""How many nights back a feed that was never judged begins; older ones are judged as their readings arrive."""
PROVISIONAL_HOURS: Final = (6, 12, 18)
"""Hours after noon at which sealed sites are looked at before the night is over."""
_MOST_PARTS: Final = 256
"""Lists of late meters kept apart for a night; more are united, so that waiting for the judge costs no memory."""
_NEVER: Final = 0
_NO_KEYS: Final = np.zeros(0, dtype=np.int32)
_DAY: Final = dt.timedelta(days=1)


class Agenda:
    """Closed nights by feed, and the meters of closed nights that have to be judged again.

    Late readings change their own night; where its feature row changed, the nights that pool it follow.
    """

    def __init__(
        self, zone: ZoneInfo, n_meters: int, meters_of: Mapping[str, Keys], closed: Mapping[str, dt.date]
    ) -> None:
        """`meters_of`: keys below `n_meters` that may be a publisher's; `closed`: what the desk knows, by feed."""
        self._zone = zone
        self._n_meters = n_meters
        self._meters_of = meters_of
        self._closed = dict(closed)
        self._closed_of: dict[int, np.ndarray[tuple[int], np.dtype[np.int64]]] = {}
        self._late: dict[tuple[int, int], list[Keys]] = {}
        self._looked: dict[Feed, int] = {}
        for name, date in closed.items():
            publisher, _, cadence = name.rpartition("/")
            self._mark((publisher, int(cadence)), date)

    @property
    def has_late(self) -> bool:
        return bool(self._late)

    def close(self, feed: Feed, night: Night) -> None:
        """The night of the feed is being judged: from now on its readings are late ones, whichever meter's."""
        self._closed[feed_key(feed)] = night.date
        self._mark(feed, night.date)

    def is_closed(self, feed: Feed, night: Night) -> bool:
        """Whether the night, or one after it, was judged as closed."""
        closed = self._closed.get(feed_key(feed))
        return closed is not None and night.date <= closed

    def on_readings(self, interval_s: int, keys: Keys, nights: np.ndarray[tuple[int], np.dtype[np.int64]]) -> None:
        """Readings changed these nights (ordinals); those of closed nights are noted."""
        closed_of = self._closed_of.get(interval_s)
        if closed_of is None:
            return
        late = nights <= closed_of[keys]
        if not late.any():
            return
        for night in np.unique(nights[late]).tolist():
            noted = self._late.setdefault((interval_s, night), [])
            noted.append(np.unique(keys[late & (nights == night)]))
            if len(noted) > _MOST_PARTS:
                noted[:] = [np.unique(np.concatenate(noted))]

    def on_changed(self, job: Job, keys: Keys) -> None:
        """Feature rows of a late job's night changed for these meters: judge the nights that pool it again."""
        if job.keys is None or keys.size == 0:
            return
        self._follow(job.feed[1], job.night.date.toordinal(), keys)

    def on_restart(self) -> None:
        """Whether the feature rows of late nights changed before the restart is not known: take it that they did."""
        for (interval_s, ordinal), keys in list(self._late.items()):
            self._follow(interval_s, ordinal, np.unique(np.concatenate(keys)))

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
            self.on_readings(interval_s, keys, np.full(len(keys), later, dtype=np.int64))

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
            closed = self._closed[feed_key(feed)] = last.date - _DAY * FIRST_NIGHTS
            self._mark(feed, closed)
        night = night_of_date(closed + _DAY, self._zone)
        return night if night.end_ms <= watermark_ms else None
