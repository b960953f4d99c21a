"""The feature rows of a night: those of the nights before that a judgement pools, and the night's own as stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from models.domain.nights import nights_before
from models.domain.windows import PastNights
from models.learned.features import FEATURE_VERSION, FEATURES
from monitor.history.history import History
from monitor.jobs import NO_KEYS, POOL_NIGHTS, Job, Keys
from monitor.roster import Roster

Features = Mapping[str, NDArray[np.float32]]
_COVERAGE: Final = ["coverage"]


@dataclass(frozen=True, slots=True)
class NightRows:
    """Reads and writes rows of meters by key."""

    history: History
    roster: Roster
    zone: ZoneInfo

    def past(self, job: Job, keys: Keys, values: Features, *, several_cadences: bool) -> PastNights:
        """Stored rows of the nights before, and the night's own as just computed.

        For a meter that is silent tonight, a night on which it was heard at another cadence was no silent one.
        """
        meters = self.roster.names(keys)
        nights = nights_before(job.night, POOL_NIGHTS, self.zone)
        dates = [night.date for night in nights[:-1]]
        stored = self.history.read_features(dates, job.feed[1], FEATURE_VERSION, meters)
        none = np.full((len(meters), len(dates)), np.nan, dtype=np.float32)
        silent = np.flatnonzero(values["coverage"] == 0.0)
        if silent.size and several_cadences:
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

    def store(self, job: Job, keys: Keys, values: Features) -> NDArray[np.bool_]:
        """Write the rows that differ from what is stored; (n,) True where one did.

        A night of which nothing is known (coverage NaN) has no row: written, it would change nothing, and the nights
        after it would be judged again, one after the other up to now.
        """
        meters = self.roster.names(keys)
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

    def unknown(self, job: Job, keys: Keys) -> NDArray[np.bool_]:
        """(n,) True for the meters of which nothing is known that night: no row, or one without a coverage."""
        stored = self.history.read_features(
            [job.night.date], job.feed[1], FEATURE_VERSION, self.roster.names(keys), features=_COVERAGE
        ).get("coverage")
        return np.ones(len(keys), dtype=np.bool_) if stored is None else np.isnan(stored[:, 0])

    def take_back(self, job: Job, moved: Keys, members: Keys) -> Keys:
        """Take back the rows of meters that by now are judged at another cadence; the keys of those that had one."""
        late = NO_KEYS if job.keys is None else np.setdiff1d(job.keys, members)
        elsewhere = np.union1d(moved, late)
        if not elsewhere.size:
            return elsewhere
        had = np.flatnonzero(~self.unknown(job, elsewhere))
        if had.size:
            self.history.delete_features(job.night.date, job.feed[1], self.roster.names(elsewhere[had]))
        return elsewhere[had]
