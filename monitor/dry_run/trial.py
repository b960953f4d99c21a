"""Stored history judged by the packs in force and by others, side by side; nothing is written."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from models.domain.accounts import Account, Period
from models.domain.register import Register
from models.law.library import Law
from monitor.accounts.ledger import Ledger
from monitor.desk.schema import FLAGS, INTENSITY_VERDICTS
from monitor.dry_run.changes import Change, Differing, flag_changes, limit_changes
from monitor.intensity.judging import Judged, judge_account
from monitor.intensity.scopes import Catalogue
from monitor.tariffs.facts import Known, Metric
from monitor.tariffs.flag import Flag
from monitor.tariffs.judging import Bench
from monitor.tariffs.places import NATION, region_of


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a set of packs says of one enterprise and period."""

    limits: tuple[Judged, ...]
    flags: tuple[Flag, ...]


class Court:
    """One law, and what it says of an enterprise's accounts. `region`: of enterprises whose district tells none."""

    def __init__(self, law: Law, register: Register, region: str = NATION) -> None:
        self.law = law
        self._register = register
        self._region = region
        self._catalogue = Catalogue(law)
        self._bench = Bench.of(law, register, region)

    def of(self, uscc: str, accounts: Mapping[str, Account]) -> dict[str, Outcome]:
        """By period what it says. `accounts` by period: a month is judged with its year and the year before too."""
        judged = {
            name: judge_account(account, self._register, self._catalogue, self._region_of(uscc, account.period))
            for name, account in accounts.items()
        }
        found: dict[str, Outcome] = {}
        for name, account in accounts.items():
            year = account.period.first.year
            of_periods = dict.fromkeys((name, str(year), str(year - 1)))
            metrics = tuple(metric_of(one) for period in of_periods for one in judged.get(period, ()))
            known = Known(uscc, account.period, account, metrics, _months_of(account.period, accounts))
            flags = self._bench.judge(known)
            found[name] = Outcome(judged[name], tuple(one.flag for one in flags))
        return found

    def _region_of(self, uscc: str, period: Period) -> str:
        enterprise = self._register.enterprise(uscc, period.last)
        here = NATION if enterprise is None else region_of(enterprise.district)
        return here if here != NATION else self._region


class Trial:
    """The packs in force against others, over accounts of the ledger. For one thread."""

    def __init__(self, ledger: Ledger, register: Register, old: Court, new: Court) -> None:
        self._ledger = ledger
        self._register = register
        self._old, self._new = old, new
        self._differing = Differing(old.law, new.law)

    def changes(self, usccs: Sequence[str], periods: Sequence[Period]) -> Iterator[Change]:
        """What becomes of what is said of some enterprises, by enterprise and period."""
        accounts: dict[str, dict[str, Account]] = defaultdict(dict)
        for period in periods:
            for account in self._ledger.accounts(usccs, period, self._register):
                accounts[account.uscc][period.name] = account
        for uscc in usccs:
            yield from self._of(uscc, accounts[uscc])

    def _of(self, uscc: str, accounts: Mapping[str, Account]) -> Iterator[Change]:
        before, after = self._old.of(uscc, accounts), self._new.of(uscc, accounts)
        limits: dict[str, list[Change]] = {}
        for name, account in accounts.items():
            enterprise = self._register.enterprise(uscc, account.period.last)
            called = enterprise.name if enterprise is not None and enterprise.name else uscc
            found = limit_changes(before[name].limits, after[name].limits, called, self._differing)
            limits[name] = list(found)
        for name, account in accounts.items():
            yield from limits[name]
            year = account.period.first.year
            resting_on = dict.fromkeys((name, str(year), str(year - 1)))
            moved = [one for period in resting_on for one in limits.get(period, ())]
            behind = tuple(dict.fromkeys(row for one in moved for row in one.because))
            yield from flag_changes(before[name].flags, after[name].flags, behind, self._differing)


def metric_of(judged: Judged) -> Metric:
    """A limit verdict as a surcharge reads it."""
    verdict = judged.verdict
    return Metric(
        industry=judged.industry,
        product=judged.product,
        metric=judged.metric,
        unit=verdict.unit or "",
        period=judged.period.name,
        status=judged.status,
        actual=verdict.actual,
        reported=verdict.actual_reported,
        limit=verdict.corrected_limit,
    )


def stored_periods(connection: sa.Connection, first: dt.date | None, last: dt.date | None) -> list[Period]:
    """The periods of stored verdicts and flags that lie within some days (None: open), the earliest first."""
    names: set[str] = set()
    for column in (INTENSITY_VERDICTS.c.period, FLAGS.c.period):
        names |= set(connection.scalars(sa.select(column).distinct()))
    found = sorted((Period.parse(name) for name in names), key=lambda one: (one.last, one.first))
    return [one for one in found if (first is None or one.first >= first) and (last is None or one.last <= last)]


def _months_of(period: Period, accounts: Mapping[str, Account]) -> tuple[Account, ...]:
    """The accounts of a year's months, as far as there are any; empty for another period."""
    if period.name != str(period.first.year):
        return ()
    names = (month.name for month in period.months())
    return tuple(accounts[name] for name in names if name in accounts)
