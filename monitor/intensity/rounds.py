"""When periods are judged: closed months and years by the readings' own time, again when late data come, in slices.

A round takes what changed since the last one, judges it, compares peers, and only then moves its cursors: it may end
anywhere and begins anew, and judging twice changes nothing. No wall clock has a say in what is judged or found.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from typing import Any, Final

import sqlalchemy as sa

from models.domain.accounts import Account, Period
from models.domain.clock import Clock
from models.domain.leads import LeadKind
from models.domain.nights import night_of_date
from models.domain.register import Register
from models.law.library import Law
from models.law.units import UNITS, factor_between
from monitor.accounts.ledger import Cursor, Ledger
from monitor.config.intensity_sections import IntensitySettings
from monitor.desk.database import desk_transaction
from monitor.desk.store import Desk, LeadChange
from monitor.intensity import kept, rows
from monitor.intensity.concerns import Concern, findings_of, intensity_concern, meters_of
from monitor.intensity.crosschecks import LEAST_COVERAGE, own_concerns
from monitor.intensity.judging import Judged, judge_account
from monitor.intensity.peers import Ratio, Standing, peer_concern, standings
from monitor.intensity.running import Running, forecast_concern, running_of
from monitor.intensity.scopes import Catalogue
from monitor.leads import NightFinding
from monitor.tariffs.places import NATION, region_of

SLICE_S: Final = 0.05
MOST_AT_ONCE: Final = 400
EVERY_S: Final = 900.0
"""Seconds from round to round while the daemon runs."""

_FORGOTTEN_AT_ONCE: Final = 2000
_REPORT, _RECORD, _CLOSED, _INPUTS, _FORECAST = "report", "record", "closed", "inputs", "forecast"
_DAY: Final = dt.timedelta(days=1)

Group = tuple[str, str, str]
"""Period, product, trade."""


@dataclass
class Rounds:
    """Judges periods into the desk; for the core thread. `reached_ms`: how far the readings' own time has come.

    `home` is the district's region for enterprises whose own code says none. `on_change` hears of leads.
    """

    ledger: Ledger
    engine: sa.Engine
    desk: Desk
    law: Law
    register: Register
    settings: IntensitySettings
    home: str
    clock: Clock
    reached_ms: Callable[[], int]
    on_change: Callable[[LeadChange], None]
    n_judged: int = field(default=0, init=False)
    _catalogue: Catalogue = field(init=False)
    _work: Iterator[None] | None = field(default=None, init=False)
    _at_once: int = field(default=8, init=False)

    def __post_init__(self) -> None:
        self._catalogue = Catalogue(self.law)

    def run(self) -> bool:
        """A slice of the round; False when it is through."""
        if self._work is None:
            reached_ms = self.reached_ms()
            if reached_ms <= 0:
                return False
            self._work = self._round(self._date(reached_ms), self.settings.close_after_days)
        try:
            next(self._work)
        except StopIteration:
            self._work = None
            return False
        except BaseException:
            self._work = None
            raise
        return True

    def finish(self, reached_ms: int) -> None:
        """Judge every period that is over at an instant of the readings' own time, without waiting for late data."""
        self._work = None
        for _ in self._round(self._date(reached_ms), 0):
            pass

    def preview(self, uscc: str, period: Period) -> list[dict[str, Any]]:
        """What the data say of any period as it stands, stored nowhere."""
        _, judged = self._judged(self.ledger.account(uscc, period, self.register))
        return [rows.verdict_body(one) for one in judged]

    def region(self, uscc: str, on: dt.date) -> str:
        """The region whose limits hold: declared, else by the enterprise's district, else that of the office."""
        declared = self.register.declared_on(uscc, on).get("region")
        enterprise = self.register.enterprise(uscc, on)
        found = (
            declared.value.strip() if declared is not None else region_of(enterprise.district) if enterprise else NATION
        )
        return found if found != NATION else self.home

    @property
    def is_running(self) -> bool:
        """Whether a round has begun and is not through."""
        return self._work is not None

    @property
    def inputs(self) -> rows.Inputs:
        """What verdicts of this process are judged with."""
        return rows.Inputs(self.law.digest, self.law.version, self.register.version)

    def _date(self, reached_ms: int) -> dt.date:
        return dt.datetime.fromtimestamp(reached_ms / 1000.0, self.register.zone).date()

    def _round(self, today: dt.date, wait_days: int) -> Iterator[None]:
        """One round; every local day before `today` is over."""
        closed = _last_closed(today - dt.timedelta(days=wait_days))
        with desk_transaction(self.engine) as connection:
            known = {name: rows.cursor(connection, name) for name in (_REPORT, _RECORD, _CLOSED, _INPUTS, _FORECAST)}
            cursor = Cursor(known[_REPORT], known[_RECORD])
            again = rows.judged_subjects(connection) if known[_INPUTS] != self._inputs_number() else set()
        reached, changed = self.ledger.changed_since(cursor, self.register)
        yield
        yield from self._forget(changed)
        months = {(uscc, month) for uscc, month in changed if _number(month) <= closed}
        months |= {(uscc, period) for uscc, name in again if _is_month(period := Period.parse(name))}
        first = known[_CLOSED] or min((_number(month) for _, month in changed), default=closed + 1) - 1
        for number in range(first + 1, closed + 1):
            month = _month(number)
            months |= {(uscc, month) for uscc in self.ledger.enterprises(month, self.register)}
            yield
        years = {
            (uscc, Period.parse(str(month.first.year)))
            for uscc, month in months
            if _number(Period.month(month.first.year, 12)) <= closed
        }
        yield from self._judge_all(months, peers=True)
        yield from self._judge_all(years, peers=False)
        if self._forecast_due(known[_FORECAST], today):
            yield from self._forecast_all(_month(_number_of(today - _DAY)), today - _DAY)
            known[_FORECAST] = today.toordinal()
        with desk_transaction(self.engine) as connection:
            rows.set_cursor(connection, _REPORT, reached.report)
            rows.set_cursor(connection, _RECORD, reached.record)
            rows.set_cursor(connection, _CLOSED, max(closed, known[_CLOSED]))
            rows.set_cursor(connection, _INPUTS, self._inputs_number())
            rows.set_cursor(connection, _FORECAST, known[_FORECAST])

    def _forget(self, changed: Iterable[tuple[str, Period]]) -> Iterator[None]:
        """Take away the kept accounts of months that have new data, and of their years."""
        moved = {(uscc, name) for uscc, month in changed for name in (month.name, str(month.first.year))}
        subjects = sorted(moved)
        for start in range(0, len(subjects), _FORGOTTEN_AT_ONCE):
            with desk_transaction(self.engine) as connection:
                kept.forget_accounts(connection, subjects[start : start + _FORGOTTEN_AT_ONCE])
            yield

    def _inputs_number(self) -> int:
        text = f"{self.law.digest}\n{self.register.version}\n{self.settings.model_dump_json()}\n{self.home}"
        return int(hashlib.sha256(text.encode()).hexdigest()[:15], 16)

    def _judge_all(self, subjects: Iterable[tuple[str, Period]], *, peers: bool) -> Iterator[None]:
        by_period: dict[Period, list[str]] = defaultdict(list)
        for uscc, period in sorted(subjects, key=lambda one: (one[1], one[0])):
            by_period[period].append(uscc)
        for period, usccs in by_period.items():
            groups: set[Group] = set()
            judge = partial(self._judge_some, period, groups, peers=peers)
            yield from self._paced(usccs, judge)
            if peers:
                yield from self._compare(period, usccs, groups)

    def _paced(self, usccs: Sequence[str], work: Callable[[Sequence[str]], None]) -> Iterator[None]:
        """As many at once as fit a slice of time, learnt from the one before."""
        start = 0
        while start < len(usccs):
            some = usccs[start : start + self._at_once]
            start += len(some)
            began_s = self.clock.monotonic_s()
            work(some)
            spent_s = self.clock.monotonic_s() - began_s
            if spent_s > SLICE_S:
                self._at_once = max(1, self._at_once // 2)
            elif spent_s < SLICE_S / 3:
                self._at_once = min(MOST_AT_ONCE, self._at_once * 2)
            yield

    def _judge_some(self, period: Period, groups: set[Group], usccs: Sequence[str], *, peers: bool) -> None:
        """Judge some enterprises; the groups of peers they are in are added to `groups`."""
        findings: list[NightFinding] = []
        now_ms = self.clock.wall_ms()
        accounts, read = self._accounts(usccs, period)
        told = {uscc: self._judged(accounts[uscc]) for uscc in usccs}
        said: set[str] = set()
        with desk_transaction(self.engine) as connection:
            stood = rows.standing_verdicts(connection, period.name, usccs)
            ratios = rows.standing_ratios(connection, period.name, usccs) if peers else {}
            for uscc, (account, judged) in told.items():
                before = stood.get(uscc, ())
                rows.put_verdicts(connection, uscc, period.name, before, judged, self.inputs, account.digest, now_ms)
                if judged or before or uscc in ratios or account.output:
                    said.add(uscc)
                if not peers:
                    continue
                trade = self._trade(uscc, period.last)
                own = self._own(account)
                mismatch = [one for one in own if one.kind is LeadKind.OUTPUT_MISMATCH]
                others = [one for one in own if one.kind is not LeadKind.OUTPUT_MISMATCH]
                mine = self._ratios(account, judged, trade)
                groups |= rows.put_ratios(connection, uscc, period.name, ratios.get(uscc, ()), mine, mismatch, trade)
                concerns = [found for one in judged if (found := intensity_concern(one)) is not None]
                findings += findings_of(uscc, period, account.digest, [*concerns, *others], self.register)
            kept.keep_accounts(connection, period.name, read, said)
        self.n_judged += len(usccs)
        if peers:
            self._commit(period.last, usccs, (LeadKind.INTENSITY, LeadKind.RESTRICTED_EQUIPMENT), findings)
            self._without_forecasts(period, usccs)

    def _accounts(self, usccs: Sequence[str], period: Period) -> tuple[Mapping[str, Account], Sequence[Account]]:
        """Accounts by enterprise, kept ones where nothing has moved since, and those of them that were read anew."""
        with desk_transaction(self.engine) as connection:
            known = kept.kept_accounts(connection, period, usccs, self.register.version)
        read = list(self.ledger.accounts([uscc for uscc in usccs if uscc not in known], period, self.register))
        return known | {account.uscc: account for account in read}, read

    def _judged(self, account: Account) -> tuple[Account, tuple[Judged, ...]]:
        region = self.region(account.uscc, account.period.last)
        return account, judge_account(account, self.register, self._catalogue, region)

    def _own(self, account: Account) -> list[Concern]:
        settings = self.settings
        return own_concerns(
            account, self.register, self.law, margin=settings.range_margin, heats_min=settings.heats_min
        )

    def _trade(self, uscc: str, on: dt.date) -> str:
        enterprise = self.register.enterprise(uscc, on)
        return "" if enterprise is None else enterprise.trade.lstrip("ABCDEFGHIJKLMNOPQRST")

    def _ratios(self, account: Account, judged: Sequence[Judged], trade: str) -> list[Ratio]:
        """Electricity per declared tonne where all of both is known and belongs together."""
        if not trade:
            return []
        totals = {self._catalogue.product(total.product): total for total in account.output}
        by_product = {one.product: one for one in judged}
        found: list[Ratio] = []
        for product, total in sorted(totals.items()):
            one = by_product.get(product)
            kwh, coverage = account.electricity.kwh, account.electricity.coverage
            sites: tuple[str, ...] = ()
            if one is not None:
                kwh, coverage, sites = one.kwh, one.coverage or Decimal(0), one.sites
            elif len(totals) > 1:
                continue
            is_mass = total.unit in UNITS and UNITS[total.unit].kind == "mass"
            if not (is_mass and total.quantity and total.coverage >= 1 and kwh and coverage >= LEAST_COVERAGE):
                continue
            tonnes = total.quantity * factor_between(total.unit, "t")
            found.append(Ratio(account.uscc, account.period.name, product, trade, float(f"{kwh / tonnes:.6g}"), sites))
        return found

    def _compare(self, period: Period, judged: Sequence[str], groups: set[Group]) -> Iterator[None]:
        """Peers of every group that was touched, and what they and their own figures make of the declared output."""
        affected = set(judged)
        places: dict[Group, dict[str, Standing]] = {}
        for group in sorted(groups):
            affected |= set(self._standings(group, places))
            yield
        for start in range(0, len(affected), MOST_AT_ONCE):
            some = sorted(affected)[start : start + MOST_AT_ONCE]
            with desk_transaction(self.engine) as connection:
                own = rows.own_of(connection, period.name, some)
                mine = rows.ratios_of(connection, period.name, some)
            findings: list[NightFinding] = []
            for uscc in some:
                concerns = list(own.get(uscc, ()))
                for product, trade in mine.get(uscc, ()):
                    standing = self._standings((period.name, product, trade), places).get(uscc)
                    concern = None if standing is None else self._peer(standing)
                    concerns += [] if concern is None else [concern]
                digest = hashlib.sha256(repr(concerns).encode()).hexdigest()
                findings += findings_of(uscc, period, digest, concerns, self.register)
            self._commit(period.last, some, (LeadKind.OUTPUT_MISMATCH,), findings)
            yield

    def _standings(self, group: Group, places: dict[Group, dict[str, Standing]]) -> dict[str, Standing]:
        if group not in places:
            with desk_transaction(self.engine) as connection:
                ratios = rows.group_of(connection, *group)
            places[group] = {one.ratio.uscc: one for one in standings(ratios, least=self.settings.peers_min)}
        return places[group]

    def _peer(self, standing: Standing) -> Concern | None:
        return peer_concern(standing, deviations=self.settings.peers_deviations, excess=self.settings.peers_excess)

    def _commit(
        self, day: dt.date, usccs: Sequence[str], kinds: Sequence[LeadKind], findings: Sequence[NightFinding]
    ) -> None:
        meters = sorted({meter for uscc in usccs for meter in meters_of(uscc, self.register)})
        for change in self.desk.commit_night(
            night=night_of_date(day, self.register.zone),
            judged=meters,
            detectors=[kind.value for kind in kinds],
            findings=findings,
            register=self.register,
        ):
            self.on_change(change)

    def _forecast_due(self, last: int, today: dt.date) -> bool:
        every = self.settings.forecast_every_days
        yesterday = today - _DAY
        runs = yesterday < Period.month(yesterday.year, yesterday.month).last
        return every > 0 and runs and today.toordinal() - last >= every

    def _forecast_all(self, month: Period, as_of: dt.date) -> Iterator[None]:
        def work(some: Sequence[str]) -> None:
            regions = {uscc: self.region(uscc, as_of) for uscc in some}
            found = running_of(self.ledger, self.register, self._catalogue, regions, month, as_of)
            self._keep_forecasts(month, as_of, found)

        yield from self._paced(self.ledger.enterprises(Period(month.first, as_of), self.register), work)

    def _keep_forecasts(self, month: Period, as_of: dt.date, found: dict[str, list[Running]]) -> None:
        """New findings first, then the old away, then the rows that tell where the old ones stand."""
        threshold, usccs = self.settings.forecast_lead, sorted(found)
        if threshold is not None:
            findings = [
                finding
                for uscc, running in found.items()
                for finding in findings_of(
                    uscc,
                    Period(as_of, as_of),
                    running[0].judged.account if running else "",
                    [one for one in (forecast_concern(each, threshold) for each in running) if one is not None],
                    self.register,
                )
            ]
            self._commit(as_of, usccs, (LeadKind.INTENSITY,), findings)
        self._without_forecasts(month, usccs, but=as_of)
        with desk_transaction(self.engine) as connection:
            for uscc, running in found.items():
                bodies = {(one.judged.product, one.judged.metric): one.body() for one in running}
                rows.put_forecasts(connection, uscc, month.name, as_of.isoformat(), bodies)

    def _without_forecasts(self, month: Period, usccs: Sequence[str], but: dt.date | None = None) -> None:
        """Take away what forecasts of a month said, once it is judged or forecast anew."""
        with desk_transaction(self.engine) as connection:
            stood = rows.forecast_days(connection, month.name, usccs)
        for day in sorted(set(stood.values()) - {but}):
            self._commit(day, [uscc for uscc, at in stood.items() if at == day], (LeadKind.INTENSITY,), ())
        if but is None and stood:
            with desk_transaction(self.engine) as connection:
                for uscc in stood:
                    rows.put_forecasts(connection, uscc, month.name, "", {})


def _number_of(day: dt.date) -> int:
    return day.year * 12 + day.month - 1


def _number(month: Period) -> int:
    return _number_of(month.first)


def _month(number: int) -> Period:
    return Period.month(number // 12, number % 12 + 1)


def _is_month(period: Period) -> bool:
    return period == Period.month(period.first.year, period.first.month)


def _last_closed(today: dt.date) -> int:
    """The newest month that is over on a day."""
    return _number_of(today) - 1
