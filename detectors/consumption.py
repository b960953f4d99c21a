"""Abnormal consumption against the meter's own past: level, night share, days of rest, contract, restart and stop."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from detectors.base import MOST_NIGHTS, RECENT_NIGHTS, Context
from detectors.consumption_reasons import measures_of, reasons_of, register_mismatch
from detectors.consumption_screen import ScreenLimits, could_be_a_change
from models.domain.findings import Finding, Judgement, Status
from models.domain.holidays import DayFacts, day_facts
from models.domain.nights import Night
from models.domain.register import CalendarKind, Register
from models.domain.windows import PastNights, Window
from models.learned.changes import (
    Change,
    ChangeCode,
    Changes,
    LevelLimits,
    ShareLimits,
    level_change,
    night_share_change,
)
from models.learned.habits import overdraw, restart, weekend_change
from models.learned.own_past import Bools, Floats, NightRows, OwnPast, Places, own_past

_FEATURES: Final = ("energy_kwh", "coverage", "valley_share", "power_p95_kw")
_WEEK: Final = 7
_FEWEST_LATE: Final = 4
"""Nights of the last seven that must be known."""
_SLOWEST_VALLEY_S: Final = 3600
"""Cadence up to which the share of the valley hours means something."""
_DAY_S: Final = 86_400
"""Cadence from which a night is one value: its mean stands for its power, no quantile is computed from it."""
_TARIFF_WEEKS: Final = 7
_HALF: Final = 0.5
_STANDING_CONTRACT_SHARE: Final = 0.05
"""Mean power of a standing plant, relative to its contract, at most."""
_LEVEL: Final = frozenset({ChangeCode.RISE, ChangeCode.FALL, ChangeCode.STOP})
_LESS_USE: Final = (ChangeCode.FALL, ChangeCode.STOP)
_LESS: Final = 0.4
"""What a fall or a stop counts towards the score: a fact worth knowing, to be looked at after what grew."""
_SLIDING: Final = (ChangeCode.WEEKEND, ChangeCode.OVERDRAW)
"""Changes whose first night is not told apart from later ones."""


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

    `score`: how far beyond its limits the change goes; a fall or a stop counts less than what grows. `mismatch` of a
    finding is the register's side alone.
    """

    name: ClassVar[str] = "consumption"
    needs: ClassVar[frozenset[str]] = frozenset({"p_kw", "p_mean_kw", "e_imp_kwh"})
    recent_features: ClassVar[tuple[str, ...]] = _FEATURES
    long_features: ClassVar[tuple[str, ...]] = _FEATURES
    long_nights: ClassVar[int] = MOST_NIGHTS

    rise_ratio: float = 1.5
    fall_ratio: float = 0.6
    rise_nights: int = 6
    fall_nights: int = 12
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
        recent = context.recent
        passed = np.zeros(len(window.meters), dtype=np.bool_)
        if len(recent.nights) < RECENT_NIGHTS:
            return passed
        rows = _rows(recent, window.interval_s)
        some = np.flatnonzero(self._enough(rows))
        meters = [window.meters[i] for i in some.tolist()]
        contracts = _Contracts.of(meters, window.night, context.register)
        passed[some] = could_be_a_change(
            rows.of(some),
            _days(recent, context.register),
            meters,
            ScreenLimits(
                self.rise_ratio, self.fall_ratio, self.night_share, self.night_growth, self.weekend_closed,
                self.overdraw_margin, self.overdraw_nights,
            ),
            self._least_kwh(contracts),
            contracts.kva,
            contracts.since,
            valley=window.interval_s <= _SLOWEST_VALLEY_S,
        )  # fmt: skip
        return passed

    def evaluate(self, window: Window, context: Context) -> Judgement:
        """Judge every meter of the window; findings for SUSPECT meters."""
        n = len(window.meters)
        score = np.zeros(n)
        undetermined = np.ones(n, dtype=np.bool_)
        if context.recent.nights:
            recent = _rows(context.recent, window.interval_s)
            undetermined = ~self._enough(recent) & ~_lifeless(recent)
        score[undetermined] = np.nan
        statuses = [Status.UNDETERMINED if unknown else Status.CLEAR for unknown in undetermined.tolist()]
        findings: list[Finding] = []
        for i, changes in self._found(window, context, ~undetermined):
            score[i] = _score(changes)
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

    def _found(self, window: Window, context: Context, judged: Bools) -> Iterator[tuple[int, tuple[Change, ...]]]:
        """Meters of the window with changes that are not the month before's, strongest change first."""
        long_past = context.long_past
        if long_past is None or not len(long_past.nights):
            return
        seen = np.isfinite(long_past.values["energy_kwh"]).any(axis=1) & judged
        some = np.flatnonzero(seen)
        if some.size == 0:
            return
        contracts = _Contracts.of([window.meters[i] for i in some.tolist()], window.night, context.register)
        look = _Look(
            _rows(_of(long_past, some), window.interval_s),
            _days(long_past, context.register),
            contracts,
            self._least_kwh(contracts),
            _tariff_moved(context.register, window.night),
            window.interval_s <= _SLOWEST_VALLEY_S,
        )
        found = self._changes(look)
        self._leave_out_last_month(found, look, window.night)
        for row in sorted(found):
            if found[row]:
                yield int(some[row]), tuple(sorted(found[row], key=lambda change: (-change.ratio, change.code)))

    def _enough(self, rows: NightRows) -> Bools:
        energy = rows.usable_kwh()
        known = np.isfinite(energy)
        alive = np.nan_to_num(energy[:, -_WEEK:]).max(axis=1, initial=0.0) > 0.0
        enough = (known.sum(axis=1) >= self.least_nights) & (known[:, -_WEEK:].sum(axis=1) >= _FEWEST_LATE)
        return np.asarray(enough & alive, dtype=np.bool_)

    def _least_kwh(self, contracts: _Contracts) -> Floats:
        """(n,) change of a night's energy below which it is a trifle."""
        contract_kw = np.where(np.isfinite(contracts.kva), self.least_contract_share * contracts.kva, 0.0)
        return np.asarray(24.0 * np.maximum(self.least_kw, contract_kw))

    def _changes(self, look: _Look, wanted: frozenset[ChangeCode] = frozenset(ChangeCode)) -> dict[int, list[Change]]:
        """By row, what holds on the last night of the look; only rules that may tell what is wanted are asked."""
        past = own_past(look.columns, look.days, settled=self.span_nights)
        found: dict[int, list[Change]] = {}
        for codes, rule in self._rules(look):
            if wanted & codes:
                for row, change in rule(past).items():
                    found.setdefault(row, []).append(change)
        return found

    def _rules(self, look: _Look) -> Iterator[tuple[frozenset[ChangeCode], Callable[[OwnPast], Changes]]]:
        least_kwh = look.least_kwh
        level = LevelLimits(
            self.rise_ratio, self.fall_ratio, self.rise_nights, self.fall_nights, self.span_nights, self.own_times
        )
        yield _LEVEL, lambda past: level_change(past, level, least_kwh)
        yield (
            frozenset({ChangeCode.RESTART}),
            lambda past: restart(
                past,
                idle_nights=self.idle_nights,
                load_nights=self.load_nights,
                span_nights=self.span_nights,
                least_kwh=least_kwh,
                standing_kwh=np.maximum(least_kwh, 24.0 * _STANDING_CONTRACT_SHARE * look.contracts.kva),
            ),
        )
        yield (
            frozenset({ChangeCode.WEEKEND}),
            lambda past: weekend_change(past, closed=self.weekend_closed, least_kwh=least_kwh),
        )
        yield (
            frozenset({ChangeCode.OVERDRAW}),
            lambda past: overdraw(
                past,
                look.contracts.kva,
                look.contracts.since,
                margin=self.overdraw_margin,
                nights=self.overdraw_nights,
            ),
        )
        if look.valley and not look.tariff_moved:
            share = ShareLimits(self.night_share, self.night_growth, self.rise_nights, self.span_nights, self.own_times)
            yield frozenset({ChangeCode.NIGHT_SHARE}), lambda past: night_share_change(past, share, 0.2 * least_kwh)

    def _leave_out_last_month(self, found: dict[int, list[Change]], look: _Look, night: Night) -> None:
        """Take out changes that were already suspect in the month before: their lead stands there."""
        month_began = night.date.replace(day=1).toordinal()
        for back in range(night.date.day, self.span_nights + 1):
            older = {
                row: frozenset[ChangeCode]().union(
                    *(_akin(change.code) for change in changes if self._may_be_told(change, month_began))
                )
                for row, changes in sorted(found.items())
            }
            waiting = [row for row, codes in older.items() if codes]
            if not waiting:
                return
            wanted = frozenset[ChangeCode]().union(*older.values())
            then = self._changes(look.before(back, np.array(waiting, dtype=np.intp)), wanted)
            for at, row in enumerate(waiting):
                found[row] = [change for change in found[row] if not _told(change, then.get(at, []))]

    def _may_be_told(self, change: Change, month_began: int) -> bool:
        """Whether the change can have been suspect before a month began."""
        if change.code in _SLIDING:
            return True
        held = {ChangeCode.FALL: self.fall_nights, ChangeCode.STOP: self.fall_nights}
        return change.onset - _WEEK + held.get(change.code, self.load_nights) <= month_began

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
class _Contracts:
    """Contracted capacity of n meters, infinite where unknown, and the ordinal of its first day."""

    kva: Floats
    since: NDArray[np.int64]

    @classmethod
    def of(cls, meters: Sequence[str], night: Night, register: Register) -> _Contracts:
        rows = [register.contract(meter, night.date) for meter in meters]
        return cls(
            np.array([np.inf if row is None else row[0] for row in rows], dtype=np.float64),
            np.array([0 if row is None else row[1].toordinal() for row in rows], dtype=np.int64),
        )


@dataclass(frozen=True, slots=True)
class _Look:
    """Meters under examination: nightly columns (n, k), their days, what the register says."""

    columns: NightRows
    days: DayFacts
    contracts: _Contracts
    least_kwh: Floats
    tariff_moved: bool
    valley: bool

    def before(self, back: int, some: Places) -> _Look:
        """Some of the meters, as they stood `back` nights ago, from what is known now."""
        return _Look(
            self.columns.until(-back).of(some),
            self.days.until(-back),
            _Contracts(self.contracts.kva[some], self.contracts.since[some]),
            self.least_kwh[some],
            self.tariff_moved,
            self.valley,
        )


def _akin(code: ChangeCode) -> frozenset[ChangeCode]:
    """The codes by which the same change may have shown before."""
    return frozenset({code}) if code in _SLIDING else frozenset(ChangeCode).difference(_SLIDING)


def _told(change: Change, then: Sequence[Change]) -> bool:
    """Whether the same change was there already, by this code or by another of the same first night."""
    return any(
        one.code in _akin(change.code) and (change.code in _SLIDING or abs(one.onset - change.onset) <= _WEEK)
        for one in then
    )


def _of(past: PastNights, some: Places) -> PastNights:
    return PastNights(past.nights, {name: past.values[name][some] for name in _FEATURES})


def _days(past: PastNights, register: Register) -> DayFacts:
    return day_facts([night.date for night in past.nights], register.rows.calendar)


def _rows(past: PastNights, interval_s: int) -> NightRows:
    columns = {name: past.values[name].astype(np.float64) for name in _FEATURES}
    share = columns["valley_share"]
    if interval_s > _SLOWEST_VALLEY_S:
        share = np.full_like(share, np.nan)
    rows = NightRows(columns["energy_kwh"], share, columns["power_p95_kw"], columns["coverage"])
    if interval_s >= _DAY_S:
        return replace(rows, peak_kw=rows.usable_kwh() / 24.0)
    return rows


def _lifeless(rows: NightRows) -> Bools:
    """(n,) meters that showed nothing on every known night, of which there is one at least."""
    energy = np.where(np.isfinite(rows.energy_kwh), rows.energy_kwh, 0.0)
    nothing = np.abs(energy).max(axis=1, initial=0.0) <= 0.0
    return np.asarray(np.isfinite(rows.energy_kwh).any(axis=1) & nothing, dtype=np.bool_)


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
        left *= _HALF ** (min(change.ratio, 6.0) * (_LESS if change.code in _LESS_USE else 1.0))
    return round(1.0 - left, 4)
