"""Electricity of one meter over a stretch of days, from what its register showed; nothing is interpolated."""

from __future__ import annotations

import bisect
import datetime as dt
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from operator import itemgetter
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.domain.accounts import Gap, GapKind, MeterEnergy
from monitor.history.register_days import RegisterDays

EPOCH: Final = dt.date(1970, 1, 1)
_HOUR_MS: Final = 3_600_000
_OVERLOAD: Final = 2.0
"""Times a meter's rating that a mean over an interval may be before the interval is not believed."""

_SAME_KWH: Final = 1e-6
_THOUSANDTH: Final = Decimal("0.001")
Points = list[tuple[int, float]]
"""Stamps in Unix ms and what the register showed, rising in time."""


@dataclass(frozen=True, slots=True)
class MeterDays:
    """The day rows of one meter, rising by day; `detail` gives all readings of a day that does not rise."""

    meter: str
    rows: RegisterDays
    at: slice
    detail: Callable[[str, dt.date], tuple[NDArray[np.int64], NDArray[np.float64]]]

    def between(self, first: dt.date, end: dt.date) -> slice:
        """The rows of days from `first` up to, not including, `end`."""
        days = self.rows.day[self.at]
        low, high = np.searchsorted(days, [(first - EPOCH).days, (end - EPOCH).days])
        return slice(self.at.start + int(low), self.at.start + int(high))


class Edge(StrEnum):
    """What lies beyond an end of a stretch. SHARED: the same meter on the same scale, so that a reading near the end
    serves both sides. RATIO: the same meter in another ratio. ALONE: the meter is not registered there."""

    SHARED = "shared"
    RATIO = "ratio"
    ALONE = "alone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Days of one meter under one row of the register: `first` up to, not including, `end`.

    `start_edge`, `end_edge`: what lies beyond; readings there count where it is SHARED only. `cadence_s`, `rated_kva`
    (None: unknown) and `wrap_kwh` are the row's.
    """

    meter: str
    site: str
    first: dt.date
    end: dt.date
    first_ms: int
    end_ms: int
    cadence_s: int = 900
    start_edge: Edge = Edge.SHARED
    end_edge: Edge = Edge.SHARED
    rated_kva: float | None = None
    wrap_kwh: float | None = None

    @property
    def tolerance_ms(self) -> int:
        """How far from midnight a reading may lie to stand for it: two intervals; six hours for a daily reading."""
        return (2 * self.cadence_s if self.cadence_s <= 3600 else 6 * 3600) * 1000


@dataclass(slots=True)
class _Walk:
    """What going through the readings of a stretch found."""

    kwh: float = 0.0
    lost_ms: int = 0
    gaps: list[Gap] = field(default_factory=list)


def day_index(rows: RegisterDays) -> dict[str, slice]:
    """Where each meter's rows stand."""
    ranks = np.arange(len(rows.names) + 1)
    edges = np.searchsorted(rows.meter, ranks).tolist()
    return {name: slice(edges[rank], edges[rank + 1]) for rank, name in enumerate(rows.names)}


def energy_of(stretch: Stretch, days: MeterDays) -> tuple[MeterEnergy, tuple[Gap, ...]]:
    """Electricity of a stretch and what is to be said of it.

    The reading nearest to midnight, within the tolerance, stands for an end; where there is none, the first or last
    reading inside does, and the share of time beyond it is missing from `coverage`. The stretches of neighbouring
    periods share the reading between them, so that nothing is counted twice or lost.
    """
    points = _points(stretch, days)
    start, end = (
        _end(points, stretch.first_ms, stretch, is_start=True),
        _end(points, stretch.end_ms, stretch, is_start=False),
    )
    gaps = _contested(stretch, days)
    if start is None or end is None or start[0] >= end[0]:
        gaps.append(
            _gap(
                GapKind.NO_READING,
                stretch,
                "期间没有可用的电能示数，电量未知",
                "no usable register readings in the period: its electricity is not known",
            )
        )
        return MeterEnergy(stretch.meter, stretch.site, None, Decimal(0)), tuple(gaps)
    inside = _between(points, start[0], end[0])
    walk = _walked(stretch, inside, days)
    covered_ms = min(end[0], stretch.end_ms) - max(start[0], stretch.first_ms)
    for at, wanted_ms, zh, en in ((start, stretch.first_ms, "期初", "start"), (end, stretch.end_ms, "期末", "end")):
        near = abs(at[0] - wanted_ms) <= (0 if _is_hard(stretch, wanted_ms) else stretch.tolerance_ms)
        if near:
            covered_ms += abs(at[0] - wanted_ms) if stretch.first_ms <= at[0] <= stretch.end_ms else 0
        else:
            hours = abs(at[0] - wanted_ms) / _HOUR_MS
            kind = GapKind.RATIO_CHANGE if _edge(stretch, wanted_ms) is Edge.RATIO else GapKind.NO_READING
            gaps.append(
                _gap(
                    kind,
                    stretch,
                    f"{zh}没有示数，从最近的示数起算，缺 {hours:.1f} 小时，未作估算",
                    f"no reading at the {en}: the nearest one inside counts, {hours:.1f} h missing, not estimated",
                )
            )
    gaps += [*walk.gaps, *_silent_days(stretch, inside)]
    span_ms = stretch.end_ms - stretch.first_ms
    coverage = Decimal(max(0, covered_ms - walk.lost_ms)) / Decimal(span_ms)
    energy = MeterEnergy(
        meter=stretch.meter,
        site=stretch.site,
        kwh=exact_kwh(walk.kwh),
        coverage=min(Decimal(1), coverage).quantize(Decimal("0.000001")),
        start_ms=start[0],
        start_kwh=exact_kwh(start[1]),
        end_ms=end[0],
        end_kwh=exact_kwh(end[1]),
    )
    return energy, tuple(gaps)


def exact_kwh(kwh: float) -> Decimal:
    """A register value or difference to the thousandth: finer than any meter shows, coarser than float noise."""
    return Decimal(repr(kwh)).quantize(_THOUSANDTH)


def _is_hard(stretch: Stretch, wanted_ms: int) -> bool:
    """Whether nothing beyond that end counts."""
    return _edge(stretch, wanted_ms) is not Edge.SHARED


def _edge(stretch: Stretch, wanted_ms: int) -> Edge:
    return stretch.start_edge if wanted_ms == stretch.first_ms else stretch.end_edge


def _points(stretch: Stretch, days: MeterDays) -> Points:
    """First and last readings of each day of the stretch, and of the days beside it, which may stand for an end."""
    one = dt.timedelta(days=1)
    first = stretch.first if stretch.start_edge is not Edge.SHARED else stretch.first - one
    end = stretch.end if stretch.end_edge is not Edge.SHARED else stretch.end + one
    rows, where = days.rows, days.between(first, end)
    usable = rows.readings[where] > 0
    pairs = zip(
        np.stack([rows.first_ms[where], rows.last_ms[where]], axis=1)[usable].ravel().tolist(),
        np.stack([rows.first_kwh[where], rows.last_kwh[where]], axis=1)[usable].ravel().tolist(),
        strict=True,
    )
    return sorted(set(pairs))


def _end(points: Points, wanted_ms: int, stretch: Stretch, *, is_start: bool) -> tuple[int, float] | None:
    if not _is_hard(stretch, wanted_ms):
        near = _between(points, wanted_ms - stretch.tolerance_ms, wanted_ms + stretch.tolerance_ms)
        if near:
            return min(near, key=lambda point: (abs(point[0] - wanted_ms), point[0]))
    alone = stretch.start_edge is not Edge.SHARED
    inside = _between(points, stretch.first_ms + alone, stretch.end_ms)
    if not inside:
        return None
    return inside[0] if is_start else inside[-1]


def _between(points: Points, first_ms: int, last_ms: int) -> Points:
    """The readings stamped from one moment to another, both included."""
    low = bisect.bisect_left(points, first_ms, key=itemgetter(0))
    return points[low : bisect.bisect_right(points, last_ms, key=itemgetter(0))]


def _walked(stretch: Stretch, points: Points, days: MeterDays) -> _Walk:
    """Add up the differences; where the register does not rise, or rises beyond the rating, look at every reading."""
    walk = _Walk()
    if not _suspicious(stretch, points, days):
        walk.kwh = points[-1][1] - points[0][1]
        return walk
    points = _without_glitches(stretch, _detailed(stretch, points, days), walk)
    for (ms, kwh), (next_ms, next_kwh) in itertools.pairwise(points):
        delta = next_kwh - kwh
        day = EPOCH + dt.timedelta(days=_day_number(stretch, next_ms))
        if delta < -_SAME_KWH:
            wrapped = delta + stretch.wrap_kwh if stretch.wrap_kwh is not None else None
            if wrapped is not None and wrapped >= 0 and _believable(stretch, wrapped, next_ms - ms):
                walk.kwh += wrapped
                text = (
                    f"示数翻转，按翻转值 {stretch.wrap_kwh:g} kWh 计",
                    f"the register wrapped at {stretch.wrap_kwh:g} kWh",
                )
                walk.gaps.append(Gap(GapKind.ROLLOVER, stretch.meter, day, day, *text, lowers=False))
            else:
                walk.lost_ms += next_ms - ms
                text = (
                    f"示数由 {kwh:.2f} 降为 {next_kwh:.2f}（清零或换表），该间隔电量未知，未计入",
                    f"the register fell from {kwh:.2f} to {next_kwh:.2f} (reset or replaced): not counted",
                )
                walk.gaps.append(Gap(GapKind.RESET, stretch.meter, day, day, *text))
        elif _believable(stretch, delta, next_ms - ms):
            walk.kwh += max(delta, 0.0)
        else:
            walk.lost_ms += next_ms - ms
            text = (
                f"示数由 {kwh:.2f} 跳为 {next_kwh:.2f}，超过容量两倍，该间隔未计入",
                f"the register jumped from {kwh:.2f} to {next_kwh:.2f}, beyond twice the rating: not counted",
            )
            walk.gaps.append(Gap(GapKind.IMPLAUSIBLE, stretch.meter, day, day, *text))
    return walk


def _suspicious(stretch: Stretch, points: Points, days: MeterDays) -> bool:
    values = np.array([kwh for _, kwh in points])
    stamps = np.array([ms for ms, _ in points], dtype=np.int64)
    steps = np.diff(values)
    if (steps < -_SAME_KWH).any():
        return True
    if (
        stretch.rated_kva is not None
        and (steps > _OVERLOAD * stretch.rated_kva * np.diff(stamps) / _HOUR_MS + 1.0).any()
    ):
        return True
    rows, where = days.rows, days.between(stretch.first, stretch.end)
    usable = rows.readings[where] > 0
    rises = (rows.least_kwh[where] >= rows.first_kwh[where] - _SAME_KWH) & (
        rows.most_kwh[where] <= rows.last_kwh[where] + _SAME_KWH
    )
    return bool((usable & ~rises).any())


def _detailed(stretch: Stretch, points: Points, days: MeterDays) -> Points:
    """Every reading of the days around a fall or a jump, the first and last of the others."""
    rows, where = days.rows, days.between(stretch.first, stretch.end)
    odd: set[int] = set()
    for at in range(where.start, where.stop):
        if rows.least_kwh[at] < rows.first_kwh[at] - _SAME_KWH or rows.most_kwh[at] > rows.last_kwh[at] + _SAME_KWH:
            odd.add(int(rows.day[at]))
    for (ms, kwh), (next_ms, next_kwh) in itertools.pairwise(points):
        if next_kwh < kwh - _SAME_KWH or not _believable(stretch, next_kwh - kwh, next_ms - ms):
            odd |= {_day_number(stretch, ms), _day_number(stretch, next_ms)}
    found = dict(points)
    for day in sorted(odd):
        stamps, values = days.detail(stretch.meter, EPOCH + dt.timedelta(days=day))
        found |= dict(zip(stamps.tolist(), values.tolist(), strict=True))
    return sorted((ms, kwh) for ms, kwh in found.items() if points[0][0] <= ms <= points[-1][0])


def _without_glitches(stretch: Stretch, points: Points, walk: _Walk) -> Points:
    """Leave out single readings that fall or jump and are taken back by the next one."""
    kept: Points = points[:1]
    for (ms, kwh), (_, following) in itertools.pairwise(points[1:]):
        before = kept[-1][1]
        dips = kwh < before - _SAME_KWH and following >= before
        spikes = kwh > following + _SAME_KWH and following >= before
        if dips or spikes:
            day = EPOCH + dt.timedelta(days=_day_number(stretch, ms))
            text = (
                f"单个示数 {kwh:.2f} 与前后矛盾，未采用",
                f"a single reading of {kwh:.2f} contradicts its neighbours: not used",
            )
            walk.gaps.append(Gap(GapKind.IMPLAUSIBLE, stretch.meter, day, day, *text, lowers=False))
        else:
            kept.append((ms, kwh))
    return [*kept, *(points[-1:] if len(points) > 1 else [])]


def _believable(stretch: Stretch, kwh: float, ms: int) -> bool:
    if stretch.rated_kva is None:
        return stretch.wrap_kwh is None or kwh <= stretch.wrap_kwh / 2
    return kwh <= _OVERLOAD * stretch.rated_kva * ms / _HOUR_MS + 1.0


def _day_number(stretch: Stretch, ms: int) -> int:
    """Days since 1970 of the local day a stamp belongs to, counted from the stretch's own midnight."""
    return (stretch.first - EPOCH).days + (ms - 1 - stretch.first_ms) // 86_400_000


def _silent_days(stretch: Stretch, points: Points) -> list[Gap]:
    """Days inside without any reading; the difference across them holds all the same."""
    gaps = []
    for (ms, _), (next_ms, _) in itertools.pairwise(points):
        hours = (next_ms - ms) / _HOUR_MS
        if hours > 24 + stretch.tolerance_ms / _HOUR_MS:
            first = EPOCH + dt.timedelta(days=_day_number(stretch, ms + 1))
            last = EPOCH + dt.timedelta(days=_day_number(stretch, next_ms))
            text = (
                f"期内 {hours:.0f} 小时没有示数；示数差仍然有效",
                f"{hours:.0f} h without readings inside: the difference of the register holds all the same",
            )
            gaps.append(Gap(GapKind.INSIDE, stretch.meter, first, last, *text, lowers=False))
    return gaps


def _contested(stretch: Stretch, days: MeterDays) -> list[Gap]:
    where = days.between(stretch.first, stretch.end)
    count = int(days.rows.contested[where].sum())
    if not count:
        return []
    text = (
        f"{count} 个时刻有互相矛盾的示数，均未采用，待修订",
        f"{count} stamps have contradicting readings: none of them used until a revision settles them",
    )
    return [_gap(GapKind.CONFLICT, stretch, *text, lowers=False)]


def _gap(kind: GapKind, stretch: Stretch, zh: str, en: str, *, lowers: bool = True) -> Gap:
    return Gap(kind, stretch.meter, stretch.first, stretch.end - dt.timedelta(days=1), zh, en, lowers)
