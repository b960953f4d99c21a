"""Abnormal consumption against the meter's own past: level, night share, days of rest, contract, restart and stop."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from detectors.base import MOST_NIGHTS, RECENT_NIGHTS, Context
from detectors.consumption_reasons import measures_of, reasons_of, register_mismatch
from models.domain.findings import Finding, Judgement, Status
from models.domain.holidays import DayFacts, day_facts
from models.domain.nights import Night
from models.domain.register import CalendarKind, Register
from models.domain.windows import PastNights, Window
from models.learned.changes import Change, LevelLimits, ShareLimits, level_change, night_share_change
from models.learned.habits import overdraw, restart, weekend_change
from models.learned.own_past import NightRows, nan_median, own_past

_FEATURES: Final = ("energy_kwh", "coverage", "valley_share", "power_p95_kw")
_WEEK: Final = 7
_FEWEST_LATE: Final = 4
"""Nights of the last seven that must be known."""
_OLDEST: Final = 10
"""The oldest nights of the recent ones, before any change that may be suspect tonight."""
_SLOWEST_VALLEY_S: Final = 3600
"""Cadence up to which the share of the valley hours means something."""
_TARIFF_WEEKS: Final = 7
_HALF: Final = 0.5
_SCREEN_SHARE: Final = 0.8
"""How much of a limit must be reached for a closer look."""
_REST_BELOW: Final = 0.8

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Consumption:
    """SUSPECT while a change is fresh: it has held for `rise_nights` comparable nights (a fall `fall_nights`) and began
    at most `span_nights` ago. After that the new level is the meter's own past, so that a lead ends by itself; a
    change that was suspect in the month before does not begin a second lead.

    Compared are whole nights (at least 80 % known, not negative) of working weekdays; public holidays and make-up days
    are left out, and so are low nights in the weeks around the Spring Festival. A rise must reach `rise_ratio` and a
    fall `fall_ratio` of the 24 comparable nights before, `own_times` the moves the meter's own past shows in one of ten
    weeks, come within days rather than weeks, lead to a level the meter has not had in five months nor in the
    same weeks of last year, and not repeat what it did in that season. Night share, days of rest, contract and start
    after idleness have rules of their own (models/learned/changes.py).

    UNDETERMINED with fewer than `least_nights` of five weeks or four of the last seven nights known; a meter that
    shows nothing or the same number all the time is CLEAR. NaN, gaps, resets and contradictions reach this detector
    only through the rows of features; duplicates never do. Peers have no say here: they only rank (see peers).

    `score`: how far beyond its limits the change goes. `mismatch` of a finding is the register's side alone.
    """

    name: ClassVar[str] = "consumption"
    needs: ClassVar[frozenset[str]] = frozenset({"p_kw", "p_mean_kw", "e_imp_kwh"})
    recent_features: ClassVar[tuple[str, ...]] = _FEATURES
    long_features: ClassVar[tuple[str, ...]] = _FEATURES
    long_nights: ClassVar[int] = MOST_NIGHTS

    rise_ratio: float = 1.5
    fall_ratio: float = 0.6
    rise_nights: int = 6
    fall_nights: int = 13
    span_nights: int = 28
    own_times: float = 1.5
    least_kw: float = 1.0
    least_contract_share: float = 0.01
    night_share: float = 0.1
    night_growth: float = 1.3
    weekend_closed: float = 0.55
    overdraw_margin: float = 1.05
    overdraw_nights: int = 5
    idle_nights: int = 21
    load_nights: int = 5
    least_nights: int = 22

    def screen(self, window: Window, context: Context) -> Bools:
        """(n,) meters whose last five weeks show anything that could be a change: a few percent of a district."""
        n = len(window.meters)
        recent = context.recent
        if n == 0 or len(recent.nights) < RECENT_NIGHTS:
            return np.zeros(n, dtype=np.bool_)
        rows = _rows(recent, window.interval_s)
        known = self._enough(rows)
        if not bool(known.any()):
            return known
        energy = rows.usable_kwh()
        late, old = nan_median(energy[:, -_WEEK:]), nan_median(energy[:, :_OLDEST])
        moved = self._level_moved(energy, late, old)
        moved |= _rest_moved(energy, _SCREEN_SHARE * self.weekend_closed)
        if window.interval_s <= _SLOWEST_VALLEY_S:
            share = nan_median(rows.valley_share[:, -_WEEK:]) - nan_median(rows.valley_share[:, :_OLDEST])
            moved |= share > _SCREEN_SHARE * self.night_share
        over = rows.peak_kw[:, -_WEEK:] > self.overdraw_margin * self._contracts(window, context.register)[:, None]
        moved |= over.sum(axis=1) >= self.overdraw_nights
        return np.asarray(known & moved, dtype=np.bool_)

    def _level_moved(self, energy: Floats, late: Floats, old: Floats) -> Bools:
        """The last week lies clear of the oldest nights, and so do the last four nights."""
        latest = nan_median(energy[:, -4:])
        rise = _SCREEN_SHARE * np.log(self.rise_ratio)
        fall = _SCREEN_SHARE * np.log(self.fall_ratio)
        with np.errstate(divide="ignore", invalid="ignore"):
            moves = np.log(np.maximum(np.stack([late, latest]), 1e-3)) - np.log(np.maximum(old, 1e-3))
        far = (moves > rise).all(axis=0) | (moves < fall).all(axis=0)
        return np.asarray(far & (np.abs(late - old) >= _HALF * 24.0 * self.least_kw))

    def evaluate(self, window: Window, context: Context) -> Judgement:
        """Judge every meter of the window; findings for SUSPECT meters."""
        n = len(window.meters)
        score = np.zeros(n)
        statuses = [Status.CLEAR] * n
        findings: list[Finding] = []
        recent = _rows(context.recent, window.interval_s) if context.recent.nights else None
        undetermined = np.zeros(n, dtype=np.bool_) if recent is None else ~self._enough(recent) & ~_lifeless(recent)
        if recent is None:
            undetermined[:] = True
        score[undetermined] = np.nan
        for i in np.flatnonzero(undetermined).tolist():
            statuses[i] = Status.UNDETERMINED
        long_past = context.long_past
        if long_past is not None and len(long_past.nights):
            rows = _rows(long_past, window.interval_s)
            seen = np.isfinite(rows.energy_kwh).any(axis=1) & ~undetermined
            days = day_facts([night.date for night in long_past.nights], context.register.rows.calendar)
            contracts = self._contracts(window, context.register)
            tariff_moved = _tariff_moved(context.register, window.night)
            for i in np.flatnonzero(seen).tolist():
                look = _Look(rows.of(i), days, float(contracts[i]), tariff_moved)
                changes = self._changes(look)
                if not changes:
                    continue
                score[i] = _score(changes)
                if self._of_last_month(look, window.night):
                    continue
                statuses[i] = Status.SUSPECT
                findings.append(self._finding(window, context.register, i, float(score[i]), changes))
        return Judgement(
            detector=self.name,
            meters=window.meters,
            score=score,
            probability=np.full(n, np.nan),
            status=tuple(statuses),
            findings=tuple(findings),
        )

    def _enough(self, rows: NightRows) -> Bools:
        energy = rows.usable_kwh()
        known = np.isfinite(energy)
        alive = np.nan_to_num(energy[:, -_WEEK:]).max(axis=1, initial=0.0) > 0.0
        enough = (known.sum(axis=1) >= self.least_nights) & (known[:, -_WEEK:].sum(axis=1) >= _FEWEST_LATE)
        return np.asarray(enough & alive, dtype=np.bool_)

    def _contracts(self, window: Window, register: Register) -> Floats:
        rows = [register.meter(meter, window.night.date) for meter in window.meters]
        return np.array([row.contract_kva if row is not None and row.contract_kva else np.inf for row in rows])

    def _changes(self, look: _Look, back: int = 0) -> tuple[Change, ...]:
        """What holds `back` nights ago, strongest first, from what is known now."""
        columns, days = look.columns, look.days
        if back:
            columns, days = columns.until(-back), _until(days, -back)
        past = own_past(columns, days, settled=self.span_nights)
        if past is None or not np.isfinite(past.energy_kwh[-_WEEK:]).any():
            return ()
        floor_kw = self.least_kw
        if np.isfinite(look.contract_kva):
            floor_kw = max(floor_kw, self.least_contract_share * look.contract_kva)
        least_kwh = 24.0 * floor_kw
        limits = LevelLimits(
            self.rise_ratio, self.fall_ratio, self.rise_nights, self.fall_nights, self.span_nights, self.own_times,
            least_kwh,
        )  # fmt: skip
        found = [
            level_change(past, limits),
            restart(
                past,
                idle_nights=self.idle_nights,
                load_nights=self.load_nights,
                span_nights=self.span_nights,
                least_kwh=least_kwh,
            ),
            weekend_change(past, closed=self.weekend_closed, least_kwh=least_kwh),
        ]
        if not look.tariff_moved:
            found.append(
                night_share_change(
                    past,
                    ShareLimits(
                        rise=self.night_share,
                        growth=self.night_growth,
                        nights=self.rise_nights,
                        span_nights=self.span_nights,
                        own_times=self.own_times,
                        least_kwh=0.2 * least_kwh,
                    ),
                )
            )
        if np.isfinite(look.contract_kva):
            found.append(overdraw(past, look.contract_kva, margin=self.overdraw_margin, nights=self.overdraw_nights))
        changes = [change for change in found if change is not None]
        return tuple(sorted(changes, key=lambda change: (-change.ratio, change.code)))

    def _of_last_month(self, look: _Look, night: Night) -> bool:
        """Whether the change was already suspect in the month before: its lead stands there."""
        first = night.date.day
        if first > self.span_nights:
            return False
        return any(self._changes(look, back) for back in range(first, self.span_nights + 1))

    def _finding(
        self, window: Window, register: Register, i: int, score: float, changes: tuple[Change, ...]
    ) -> Finding:
        meter, on = window.meters[i], window.night.date
        enterprise, row = register.enterprise_of_meter(meter, on), register.meter(meter, on)
        return Finding(
            detector=self.name,
            meter=meter,
            night=on,
            status=Status.SUSPECT,
            score=score,
            probability=None,
            mismatch=register_mismatch(enterprise, row, changes),
            reasons=reasons_of(changes, enterprise, on),
            measures=measures_of(changes),
        )


@dataclass(frozen=True, slots=True)
class _Look:
    """One meter under examination."""

    columns: NightRows
    days: DayFacts
    contract_kva: float
    tariff_moved: bool


def _rows(past: PastNights, interval_s: int) -> NightRows:
    columns = {name: past.values[name].astype(np.float64) for name in _FEATURES}
    share = columns["valley_share"]
    if interval_s > _SLOWEST_VALLEY_S:
        share = np.full_like(share, np.nan)
    return NightRows(columns["energy_kwh"], share, columns["power_p95_kw"], columns["coverage"])


def _lifeless(rows: NightRows) -> Bools:
    """(n,) meters that showed nothing on every known night, of which there is one at least."""
    energy = np.where(np.isfinite(rows.energy_kwh), rows.energy_kwh, 0.0)
    nothing = np.abs(energy).max(axis=1, initial=0.0) <= 0.0
    return np.asarray(np.isfinite(rows.energy_kwh).any(axis=1) & nothing, dtype=np.bool_)


def _rest_moved(energy_kwh: Floats, closed: float) -> Bools:
    """(n,) meters one of whose weekdays was low five and four weeks ago and in none of the last three weeks."""
    weeks = energy_kwh[:, -5 * _WEEK :].reshape(len(energy_kwh), 5, _WEEK)
    level = np.maximum(nan_median(weeks), 1e-3)
    share = np.minimum(weeks / level[:, :, None], 1.0)
    old = 0.5 * (np.fmax.reduce(share[:, :2], axis=1) + np.fmin.reduce(share[:, :2], axis=1))
    usual = nan_median(np.moveaxis(share[:, 2:], 1, 2))
    lowest = np.fmin.reduce(share[:, 2:], axis=1)
    up = (old < _REST_BELOW) & (usual >= old + closed * (1.0 - old)) & (lowest >= old + 0.5 * closed * (1.0 - old))
    return np.asarray(up.any(axis=1))


def _until(days: DayFacts, end: int) -> DayFacts:
    return DayFacts(days.ordinal[:end], days.weekday[:end], days.special[:end], days.festival[:end], days.known[:end])


def _tariff_moved(register: Register, night: Night) -> bool:
    """Whether the tariff's hours changed within the weeks that are compared: the night share then says nothing."""
    rows = [row for row in register.rows.calendar if row.kind is CalendarKind.TARIFF]
    hours = {
        frozenset((row.band, row.start, row.end) for row in rows if row.valid_on(day))
        for day in _weeks_back(night, _TARIFF_WEEKS)
    }
    return len(hours) > 1


def _weeks_back(night: Night, weeks: int) -> list[dt.date]:
    return [night.date - dt.timedelta(weeks=back) for back in range(weeks + 1)]


def _score(changes: tuple[Change, ...]) -> float:
    left = 1.0
    for change in changes:
        left *= _HALF ** min(change.ratio, 6.0)
    return round(1.0 - left, 4)
