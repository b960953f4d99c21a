"""Judging from nightly rows alone: five weeks of every meter, the far past of those a screen lets through.

Rows come from history only, the night's own included, so that a first judgement and one made again because an earlier
row changed read the same. Many meters are read at a time: a query costs as much as thousands of rows.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from detectors.base import MOST_NIGHTS, RECENT_NIGHTS, Context, Detector, LooksBack
from models.domain.findings import Judgement, Status
from models.domain.nights import Night, nights_before
from models.domain.windows import PastNights, Window
from models.learned.features import FEATURE_VERSION
from monitor.history.history import History
from monitor.roster import Roster

READ_METERS: Final = 4000
"""Meters whose recent rows are read and screened at once."""
JUDGE_METERS: Final = 500
"""Meters judged in one slice."""
STRETCH_METERS: Final = 200_000
"""Meters screened before the far past of those let through is read in one go over the nights."""
FAR_METERS: Final = 20_000
"""Most meters whose far past is held in memory."""
FAR_ROWS: Final = 20_000_000
"""Rows of the far past that one slice may have to pass over to find those asked for: a tenth of a second."""

Keys = NDArray[np.int32]
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Judged:
    """What detectors that look back said of some meters, `keys` (n,); `digest` is that of a meter's rows."""

    keys: Keys
    window: Window
    judgements: Sequence[Judgement]
    digest: Callable[[int], str]


@dataclass(frozen=True, slots=True)
class _Block:
    """Meters of one read: `keys` (n,), their recent rows, who has one for the night, and by detector who was let
    through."""

    keys: Keys
    recent: Mapping[str, Floats]
    known: NDArray[np.bool_]
    passed: Mapping[str, NDArray[np.bool_]]

    def taken(self, some: slice) -> _Block:
        """Some of its meters."""
        recent = {name: values[some] for name, values in self.recent.items()}
        passed = {name: mask[some] for name, mask in self.passed.items()}
        return _Block(self.keys[some], recent, self.known[some], passed)


class Hindsight:
    """Runs the detectors that look back. `evaluate` and `screen` ask one, and see to what it costs when it fails."""

    def __init__(
        self,
        history: History,
        roster: Roster,
        zone: ZoneInfo,
        evaluate: Callable[[Detector, Window, Context], Judgement],
        screen: Callable[[LooksBack, Window, Context], NDArray[np.bool_]],
    ) -> None:
        self._history = history
        self._roster = roster
        self._zone = zone
        self._evaluate = evaluate
        self._screen = screen

    def run(
        self, detectors: Sequence[LooksBack], night: Night, interval_s: int, keys: Keys, *, rows_only: bool
    ) -> Iterator[Judged | None]:
        """Judge in slices; None between them. With `rows_only`, meters without a row for the night are left alone."""
        for start in range(0, len(keys), STRETCH_METERS):
            blocks: list[_Block] = []
            for first in range(start, min(start + STRETCH_METERS, len(keys)), READ_METERS):
                mine = keys[first : min(first + READ_METERS, start + STRETCH_METERS)]
                blocks.append(self._read(detectors, night, interval_s, mine, rows_only=rows_only))
                yield None
            for group in _by_passed(blocks):
                yield from self._judge(detectors, night, interval_s, group)

    def _read(
        self, detectors: Sequence[LooksBack], night: Night, interval_s: int, keys: Keys, *, rows_only: bool
    ) -> _Block:
        names = {"coverage"}.union(*(detector.recent_features for detector in detectors))
        nights = nights_before(night, RECENT_NIGHTS, self._zone)
        recent = self._rows(nights, interval_s, keys, sorted(names))
        known = np.isfinite(recent["coverage"][:, -1])
        if rows_only and not known.all():
            keys, recent = keys[known], {name: values[known] for name, values in recent.items()}
            known = known[known]
        passed = {}
        asked = np.flatnonzero(known)
        window = self._window(night, interval_s, keys[asked])
        for detector in detectors:
            context = self._context(detector, nights, {name: values[asked] for name, values in recent.items()}, None)
            passed[detector.name] = np.zeros(len(keys), dtype=np.bool_)
            if asked.size:
                passed[detector.name][asked] = self._screen(detector, window, context)
        return _Block(keys, recent, known, passed)

    def _judge(
        self, detectors: Sequence[LooksBack], night: Night, interval_s: int, blocks: Sequence[_Block]
    ) -> Iterator[Judged | None]:
        far: dict[str, tuple[Keys, tuple[Night, ...], dict[str, Floats]]] = {}
        for detector in detectors:
            let = np.concatenate([block.keys[block.passed[detector.name]] for block in blocks])
            nights = nights_before(night, min(detector.long_nights, MOST_NIGHTS), self._zone)
            shape = (len(let), len(nights))
            values = {name: np.full(shape, np.nan, dtype=np.float32) for name in detector.long_features}
            step = min(max(1, FAR_ROWS // max(len(self._roster.ids), 1)), len(nights))
            for first in range(0, len(nights) if let.size else 0, step):
                some = slice(first, first + step)
                for name, read in self._rows(nights[some], interval_s, let, detector.long_features).items():
                    values[name][:, some] = read
                yield None
            far[detector.name] = (let, nights, values)
        taken = dict.fromkeys(far, 0)
        for block in blocks:
            pasts: dict[str, PastNights | None] = {}
            for name, (_, nights, values) in far.items():
                count = int(block.passed[name].sum())
                rows = slice(taken[name], taken[name] + count)
                taken[name] += count
                pasts[name] = _spread(nights, values, rows, block.passed[name]) if count else None
            for first in range(0, len(block.keys), JUDGE_METERS):
                some = slice(first, first + JUDGE_METERS)
                yield self._judged(
                    detectors,
                    night,
                    interval_s,
                    block.taken(some),
                    {name: None if past is None else _taken(past, some) for name, past in pasts.items()},
                )

    def _judged(
        self,
        detectors: Sequence[LooksBack],
        night: Night,
        interval_s: int,
        block: _Block,
        pasts: Mapping[str, PastNights | None],
    ) -> Judged:
        nights = nights_before(night, RECENT_NIGHTS, self._zone)
        window = self._window(night, interval_s, block.keys)
        asked = np.flatnonzero(block.known)
        of_asked = self._window(night, interval_s, block.keys[asked])
        recent = {name: values[asked] for name, values in block.recent.items()}
        judgements = []
        for detector in detectors:
            past = pasts[detector.name] if block.passed[detector.name].any() else None
            if past is not None and len(asked) < len(block.keys):
                past = _taken(past, asked)
            context = self._context(detector, nights, recent, past)
            told = self._evaluate(detector, of_asked, context) if asked.size else None
            judgements.append(_for_all(detector.name, window.meters, asked, told))

        def digest(position: int) -> str:
            far = [past for name, past in pasts.items() if past is not None and block.passed[name][position]]
            return rows_digest(window, position, block.recent, far)

        return Judged(block.keys, window, judgements, digest)

    def _context(
        self, detector: LooksBack, nights: tuple[Night, ...], recent: Mapping[str, Floats], past: PastNights | None
    ) -> Context:
        mine = PastNights(nights, {name: recent[name] for name in detector.recent_features})
        alive = np.ones(len(recent["coverage"]), dtype=np.bool_)
        return Context(self._roster.register, self._zone, mine, alive, mine, past)

    def _rows(self, nights: Sequence[Night], interval_s: int, keys: Keys, names: Sequence[str]) -> dict[str, Floats]:
        dates: list[dt.date] = [night.date for night in nights]
        meters = self._names(keys)
        read = self._history.read_features(dates, interval_s, FEATURE_VERSION, meters, features=names)
        blank = np.full((len(keys), len(nights)), np.nan, dtype=np.float32)
        return {name: read.get(name, blank) for name in names}

    def _window(self, night: Night, interval_s: int, keys: Keys) -> Window:
        wrap_kwh = self._roster.rows.wraps(night.date, keys)
        flags = np.zeros((len(keys), 0), dtype=np.uint8)
        return Window(night, interval_s, tuple(self._names(keys)), {}, {}, flags, wrap_kwh)

    def _names(self, keys: Keys) -> list[str]:
        return [self._roster.ids[key] for key in keys.tolist()]


def rows_digest(window: Window, position: int, recent: Mapping[str, Floats], pasts: Sequence[PastNights]) -> str:
    """SHA-256 (hex) of the rows one meter was judged from: meter, night, cadence, and every feature that was read.

    Values are little-endian float32, NaN in one canonical form, features in name order, recent ones first.
    """
    digest = hashlib.sha256()
    head = (window.meters[position], window.night.date.isoformat(), str(window.interval_s), "rows")
    digest.update("\x1f".join(head).encode())
    for values in (recent, *(past.values for past in pasts)):
        for name in sorted(values):
            row = values[name][position].astype("<f4")
            row[np.isnan(row)] = np.nan
            digest.update(name.encode() + b"\x1e" + row.tobytes())
    return digest.hexdigest()


def _by_passed(blocks: Sequence[_Block]) -> Iterator[list[_Block]]:
    """Blocks in order, so many together that the meters let through fit in memory."""
    group: list[_Block] = []
    held = 0
    for block in blocks:
        passed = sum(int(mask.sum()) for mask in block.passed.values())
        if group and held + passed > FAR_METERS:
            yield group
            group, held = [], 0
        group.append(block)
        held += passed
    if group:
        yield group


def _taken(past: PastNights, some: slice | NDArray[np.intp]) -> PastNights:
    return PastNights(past.nights, {name: values[some] for name, values in past.values.items()})


def _spread(
    nights: tuple[Night, ...], values: Mapping[str, Floats], rows: slice, passed: NDArray[np.bool_]
) -> PastNights:
    """Rows of those let through among all meters of their block, NaN for the others."""
    spread = {}
    for name, read in values.items():
        spread[name] = np.full((len(passed), len(nights)), np.nan, dtype=np.float32)
        spread[name][passed] = read[rows]
    return PastNights(nights, spread)


def _for_all(detector: str, meters: tuple[str, ...], asked: NDArray[np.intp], told: Judgement | None) -> Judgement:
    """The answer for the meters asked about, UNDETERMINED for those without a row."""
    if told is not None and len(asked) == len(meters):
        return told
    score = np.full(len(meters), np.nan)
    probability = score.copy()
    status = [Status.UNDETERMINED] * len(meters)
    if told is not None:
        score[asked], probability[asked] = told.score, told.probability
        for at, one in zip(asked.tolist(), told.status, strict=True):
            status[at] = one
    return Judgement(detector, meters, score, probability, status, told.findings if told is not None else ())
