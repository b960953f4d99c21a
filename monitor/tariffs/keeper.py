"""Keeps the flags of all enterprises and periods that are over: judged once, and again when what they rest on moves.

For the core thread, in slices. A period is judged once event time has passed its end by `settle_days`; the wall clock
has no say. What a flag comes to depends on its inputs alone, not on the order or the number of slices.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from models.domain.accounts import Account, Period
from models.domain.clock import Clock
from monitor.accounts.ledger import Cursor, Ledger
from monitor.desk.database import desk_transaction
from monitor.fault_points import FaultPoint, hit
from monitor.tariffs.facts import Known, asks_water_of_year
from monitor.tariffs.flag import Judged
from monitor.tariffs.judging import Bench
from monitor.tariffs.metrics import latest_number, metrics_of, since
from monitor.tariffs.store import (
    FlagRevised,
    Head,
    commit_flags,
    get_cursor,
    heads_of,
    note_register,
    set_cursor,
)
from monitor.tariffs.uses import Uses, uses_from, uses_of

_SLICE_S: Final = 0.05
_LEAST: Final = 32
_MOST: Final = 2000
_REPORT, _RECORD, _METRIC = "flags:report", "flags:record", "flags:metric"
_YEAR: Final = 4


@dataclass(frozen=True, slots=True)
class Told:
    """Who hears of changes: sinks by name, and the district the events speak for."""

    district: str
    sinks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Times:
    """How far time has come: `reached_ms` the readings' own time, `first_day` the earliest day there are data of, None
    for none; `held` while what flags rest on is being judged. A period is judged `settle_days` after its end."""

    reached_ms: Callable[[], int]
    first_day: Callable[[], dt.date | None]
    settle_days: int
    held: Callable[[], bool] = lambda: False


class FlagKeeper:
    """`run` does a slice; `finish` everything there is."""

    def __init__(
        self, engine: sa.Engine, ledger: Ledger, bench: Bench, told: Told, *, times: Times, clock: Clock, zone: ZoneInfo
    ) -> None:
        self._engine = engine
        self._ledger = ledger
        self._bench = bench
        self._told = told
        self._times = times
        self._clock = clock
        self._zone = zone
        self._todo: dict[str, set[str]] = {}
        self._moved: set[tuple[str, str]] = set()
        self._unplanned: list[str] = []
        self._planned: set[str] = set()
        self._cursors: tuple[Cursor, int] | None = None
        self._size = _LEAST
        self.changes: int = 0
        """Revisions written since the start."""

    def run(self) -> bool:
        """One slice of about 50 ms at most; False where there is nothing more to do now. Raises StoreFull."""
        if self._times.held():
            return True
        reached_ms = self._times.reached_ms()
        return reached_ms > 0 and self._slice(self._date(reached_ms), self._times.settle_days) is not None

    def finish(self, reached_ms: int) -> list[FlagRevised]:
        """Judge every period that is over at an instant of the readings' own time, without waiting for late data."""
        changes: list[FlagRevised] = []
        self._size = _MOST
        while (some := self._slice(self._date(reached_ms), 0)) is not None:
            changes += some
        return changes

    def _date(self, reached_ms: int) -> dt.date:
        return dt.datetime.fromtimestamp(reached_ms / 1000.0, self._zone).date()

    def _slice(self, today: dt.date, settle_days: int) -> list[FlagRevised] | None:
        if self._todo:
            return self._judge_some(self._size)
        if self._unplanned:
            self._plan(self._unplanned.pop(0))
            return []
        first = self._times.first_day()
        due = [p for p in due_periods(first, today - dt.timedelta(days=settle_days)) if p not in self._planned]
        self._planned.update(due)
        self._hear()
        if due:
            self._unplanned = due
            return []
        if self._todo:
            return []
        self._keep_cursors()
        return None

    def judge(self, period: str, usccs: Sequence[str]) -> list[FlagRevised]:
        """Judge some enterprises in one period; what has neither other inputs nor other packs is left as it is."""
        span = Period.parse(period)
        with desk_transaction(self._engine) as connection:
            heads = heads_of(connection, period, usccs)
        known = list(self._known(span, usccs, heads))
        with desk_transaction(self._engine) as connection:
            judged: list[Judged] = []
            same: list[str] = []
            for one in known:
                stood = heads.get(one.uscc, ())
                inputs = self._bench.inputs_of(one)
                if stood and all(head.inputs == inputs and head.law == self._bench.law.digest for head in stood):
                    same += [head.id for head in stood if head.register != self._bench.register.version]
                    continue
                judged += self._bench.judge(one, inputs, {head.id for head in stood})
            note_register(connection, same, self._bench.register.version)
            changes = commit_flags(
                connection,
                judged,
                district=self._told.district,
                sinks=self._told.sinks,
                zone=self._zone,
                now_ms=self._clock.wall_ms(),
            )
            hit(FaultPoint.BEFORE_ALERT_COMMIT)
        hit(FaultPoint.AFTER_ALERT_COMMIT)
        self.changes += len(changes)
        return changes

    def _judge_some(self, size: int) -> list[FlagRevised]:
        period = min(self._todo, key=_order)
        waiting = self._todo[period]
        some = sorted(waiting)[:size]
        began_s = self._clock.monotonic_s()
        changes = self.judge(period, some)
        self._moved.difference_update((uscc, period) for uscc in some)
        waiting.difference_update(some)
        if not waiting:
            del self._todo[period]
        took_s = self._clock.monotonic_s() - began_s
        if took_s > _SLICE_S:
            self._size = max(_LEAST, size // 2)
        elif took_s < _SLICE_S / 3:
            self._size = min(_MOST, max(self._size, size) * 2)
        return changes

    def _known(self, period: Period, usccs: Sequence[str], heads: Mapping[str, tuple[Head, ...]]) -> Iterator[Known]:
        """What is known of enterprises: the account as it was extracted, where nothing has moved since."""
        register, year = self._bench.register, str(period.first.year)
        kept = {
            uscc: stood[0].uses
            for uscc, stood in heads.items()
            if stood[0].register == register.version and (uscc, period.name) not in self._moved
        }
        with desk_transaction(self._engine) as connection:
            metrics = metrics_of(connection, usccs, {period.name, year, str(int(year) - 1)})
        read = self._read(period, [uscc for uscc in usccs if uscc not in kept])
        for uscc in usccs:
            uses = read[uscc] if uscc in read else uses_from(kept[uscc])
            yield Known(uscc, period, uses, metrics.get(uscc, ()))

    def _read(self, period: Period, usccs: Sequence[str]) -> dict[str, Uses]:
        """Extracts of accounts made anew; water of a year, where it has a quota, is summed over the months."""
        register = self._bench.register
        whole = {account.uscc: account for account in self._ledger.accounts(usccs, period, register)}
        asked = [uscc for uscc in usccs if len(period.name) == _YEAR and asks_water_of_year(register, uscc, period)]
        months: dict[str, list[Account]] = {}
        for month in period.months() if asked else ():
            for account in self._ledger.accounts(asked, month, register):
                months.setdefault(account.uscc, []).append(account)
        return {uscc: uses_of(account, months.get(uscc, ())) for uscc, account in whole.items()}

    def _plan(self, period: str) -> None:
        """Put on the list who has no flag of the period, or one judged with another register or other packs."""
        bench = self._bench
        wanted = set(self._ledger.enterprises(Period.parse(period), bench.register))
        with desk_transaction(self._engine) as connection:
            heads = heads_of(connection, period)
        done = {
            uscc
            for uscc, stood in heads.items()
            if all((head.law, head.register) == (bench.law.digest, bench.register.version) for head in stood)
        }
        self._add(period, (wanted | heads.keys()) - done)

    def _hear(self) -> None:
        """What is new since the last time: reports and registers, and figures of intensity."""
        with desk_transaction(self._engine) as connection:
            if self._cursors is None:
                ledger = Cursor(get_cursor(connection, _REPORT), get_cursor(connection, _RECORD))
                self._cursors = (ledger, get_cursor(connection, _METRIC))
            before, metric = self._cursors
            revised = since(connection, metric)
            newest = latest_number(connection)
        after, changed = self._ledger.changed_since(before, self._bench.register)
        self._cursors = (after, newest)
        for uscc, month in changed:
            periods = {month.name, str(month.first.year)}
            self._moved.update((uscc, period) for period in periods)
            self._add_due(periods, uscc)
        for uscc, period in revised:
            self._add_due(_resting_on(period), uscc)

    def _add_due(self, periods: Collection[str], uscc: str) -> None:
        """Periods that are not planned yet are not over, or are looked at as a whole when they are."""
        for period in periods:
            if period in self._planned:
                self._add(period, {uscc})

    def _add(self, period: str, usccs: Collection[str]) -> None:
        if usccs:
            self._todo.setdefault(period, set()).update(usccs)

    def _keep_cursors(self) -> None:
        if self._cursors is None:
            return
        ledger, metric = self._cursors
        with desk_transaction(self._engine) as connection:
            stood = (get_cursor(connection, _REPORT), get_cursor(connection, _RECORD), get_cursor(connection, _METRIC))
            if stood != (ledger.report, ledger.record, metric):
                for name, value in ((_REPORT, ledger.report), (_RECORD, ledger.record), (_METRIC, metric)):
                    set_cursor(connection, name, value)


def due_periods(first_day: dt.date | None, settled: dt.date) -> list[str]:
    """Months and years that ended before `settled` and did not end before `first_day`, a year after its months."""
    if first_day is None or first_day >= settled:
        return []
    months = [month for month in Period(first_day, settled).months() if month.last < settled]
    years = [
        Period(dt.date(year, 1, 1), dt.date(year, 12, 31))
        for year in sorted({month.first.year for month in months})
        if dt.date(year, 12, 31) < settled
    ]
    return [period.name for period in sorted([*months, *years], key=lambda period: _order(period.name))]


def _order(period: str) -> str:
    """Months in order, a year after its December."""
    return period if len(period) > _YEAR else f"{period}-13"


def _resting_on(period: str) -> set[str]:
    """The periods whose flags may rest on figures of a period: itself; of a year the months of it and of the next."""
    if len(period) != _YEAR:
        return {period}
    years = (period, str(int(period) + 1))
    return {*years, *(f"{year}-{month:02d}" for year in years for month in range(1, 13))}
