"""Stored history judged by the packs in force and by others, side by side; nothing is written."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

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

Limits = Mapping[str, tuple[Judged, ...]]
"""Limit verdicts of one enterprise by period."""

RULE_SECTIONS: Final = frozenset({"rule", "tariff_industry", "edge_policy", "precedence"})
"""Sections that no limit verdict reads."""

LIMIT_SECTIONS: Final = frozenset({"standard", "limit", "correction", "factor", "factor_policy"})
"""Sections that a flag reads through limit verdicts alone, as long as no product comes, goes or moves."""

_PRODUCT_KEYS: Final = frozenset({"industry", "product", "product_zh"})


class Court:
    """One law, and what it says of an enterprise's accounts. `region`: of enterprises whose district tells none."""

    def __init__(self, law: Law, register: Register, region: str = NATION) -> None:
        self.law = law
        self._register = register
        self._region = region
        self._catalogue = Catalogue(law)
        self._bench = Bench.of(law, register, region)

    def limits(self, uscc: str, accounts: Mapping[str, Account]) -> Limits:
        """Limit verdicts by period; `accounts` by period."""
        return {
            name: judge_account(account, self._register, self._catalogue, self._region_of(uscc, account.period))
            for name, account in accounts.items()
        }

    def flags(self, uscc: str, accounts: Mapping[str, Account], limits: Limits) -> dict[str, tuple[Flag, ...]]:
        """Flags by period; a month rests on the limit verdicts of itself, of its year and of the year before."""
        found: dict[str, tuple[Flag, ...]] = {}
        for name, account in accounts.items():
            metrics = tuple(metric_of(one) for period in resting_on(account.period) for one in limits.get(period, ()))
            known = Known(uscc, account.period, account, metrics, _months_of(account.period, accounts))
            found[name] = tuple(one.flag for one in self._bench.judge(known))
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
        rows = self._differing.rows
        self._same_limits = all(row.section in RULE_SECTIONS for row in rows)
        self._flags_follow_limits = all(
            row.section in LIMIT_SECTIONS
            and (
                row.section != "limit"
                or (row.what == "changed" and not _PRODUCT_KEYS & {key for key, _, _ in row.keys})
            )
            for row in rows
        )

    def changes(self, usccs: Sequence[str], periods: Sequence[Period]) -> Iterator[Change]:
        """What becomes of what is said of some enterprises, by enterprise and period."""
        if not self._differing.rows:
            return
        accounts: dict[str, dict[str, Account]] = defaultdict(dict)
        for period in periods:
            for account in self._ledger.accounts(usccs, period, self._register):
                accounts[account.uscc][period.name] = account
        for uscc in usccs:
            yield from self._of(uscc, accounts[uscc])

    def _of(self, uscc: str, accounts: Mapping[str, Account]) -> Iterator[Change]:
        before = self._old.limits(uscc, accounts)
        after = before if self._same_limits else self._new.limits(uscc, accounts)
        changed: dict[str, list[Change]] = {}
        for name, account in accounts.items():
            enterprise = self._register.enterprise(uscc, account.period.last)
            called = enterprise.name if enterprise is not None and enterprise.name else uscc
            changed[name] = list(limit_changes(before[name], after[name], called, self._differing))
        if self._flags_follow_limits and not any(changed.values()):
            return
        old_flags, new_flags = self._old.flags(uscc, accounts, before), self._new.flags(uscc, accounts, after)
        for name, account in accounts.items():
            yield from changed[name]
            moved = (one for period in resting_on(account.period) for one in changed.get(period, ()))
            behind = tuple(dict.fromkeys(row for one in moved for row in one.because))
            yield from flag_changes(old_flags[name], new_flags[name], behind, self._differing)


def resting_on(period: Period) -> tuple[str, ...]:
    """The periods whose limit verdicts a flag of a period rests on: its own, its calendar year, the year before."""
    year = period.first.year
    return tuple(dict.fromkeys((period.name, str(year), str(year - 1))))


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
