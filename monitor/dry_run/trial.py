"""Stored history judged by the packs in force and by others, side by side; nothing is written."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Final

import msgspec
import sqlalchemy as sa

from models.domain.accounts import Account, Period
from models.domain.register import Register
from models.law.library import Law
from monitor.accounts.ledger import Ledger
from monitor.desk.schema import FLAGS, INTENSITY_VERDICTS
from monitor.dry_run.changes import Change, Differing, flag_changes, limit_changes
from monitor.intensity.judging import Judged, judge_account
from monitor.intensity.scopes import Catalogue
from monitor.tariffs.facts import REGION, Known, Metric, asks_water_of_year
from monitor.tariffs.flag import Flag
from monitor.tariffs.judging import Bench
from monitor.tariffs.places import NATION, region_of
from monitor.tariffs.uses import Uses, uses_of

Limits = Mapping[str, tuple[Judged, ...]]
"""Limit verdicts of one enterprise by period."""

RULE_SECTIONS: Final = frozenset({"rule", "tariff_industry", "edge_policy", "precedence"})
"""Sections that no limit verdict reads."""

LIMIT_SECTIONS: Final = frozenset({"standard", "limit", "correction", "factor", "factor_policy"})
"""Sections that a flag reads through limit verdicts alone, as long as no product comes, goes or moves."""

_PRODUCT_KEYS: Final = frozenset({"industry", "product", "product_zh"})


class Court:
    """One law, and what it says of an enterprise's accounts. `region`: of enterprises that have none of their own."""

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

    def flags(self, uscc: str, uses: Mapping[Period, Uses], limits: Limits) -> dict[str, tuple[Flag, ...]]:
        """Flags by period; a month rests on the limit verdicts of itself, of its year and of the year before."""
        found: dict[str, tuple[Flag, ...]] = {}
        for period, used in uses.items():
            metrics = tuple(metric_of(one) for name in resting_on(period) for one in limits.get(name, ()))
            judged = self._bench.judge(Known(uscc, period, used, metrics))
            found[period.name] = tuple(one.flag for one in judged)
        return found

    def _region_of(self, uscc: str, period: Period) -> str:
        declared = self._register.declared_on(uscc, period.last).get(REGION)
        enterprise = self._register.enterprise(uscc, period.last)
        by_district = NATION if enterprise is None else region_of(enterprise.district)
        here = by_district if declared is None else declared.value.strip()
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

    def changes(
        self, usccs: Sequence[str], periods: Sequence[Period], beside: Sequence[Period] = ()
    ) -> Iterator[Change]:
        """What becomes of what is said of some enterprises in some periods, by enterprise and period.

        `beside`: periods that are not told of, on whose limit verdicts the flags of the others rest.
        """
        if not self._differing.rows:
            return
        accounts: dict[str, dict[str, Account]] = defaultdict(dict)
        for period in dict.fromkeys((*periods, *beside)):
            for account in self._ledger.accounts(usccs, period, self._register):
                accounts[account.uscc][period.name] = account
        for uscc in usccs:
            yield from self._of(uscc, accounts[uscc], periods)

    def _of(self, uscc: str, accounts: Mapping[str, Account], periods: Sequence[Period]) -> Iterator[Change]:
        before = self._old.limits(uscc, accounts)
        after = before if self._same_limits else self._new.limits(uscc, accounts)
        changed: dict[str, list[Change]] = {}
        for name, account in accounts.items():
            enterprise = self._register.enterprise(uscc, account.period.last)
            called = enterprise.name if enterprise is not None and enterprise.name else uscc
            changed[name] = list(limit_changes(before[name], after[name], called, self._differing))
        if self._flags_follow_limits and not any(changed.values()):
            return
        uses = {period: self._uses(accounts[period.name], period) for period in periods}
        old_flags, new_flags = self._old.flags(uscc, uses, before), self._new.flags(uscc, uses, after)
        for period in periods:
            yield from changed[period.name]
            moved = (one for name in resting_on(period) for one in changed.get(name, ()))
            behind = tuple(dict.fromkeys(row for one in moved for row in one.because))
            yield from flag_changes(old_flags[period.name], new_flags[period.name], behind, self._differing)

    def _uses(self, account: Account, period: Period) -> Uses:
        """What surcharges read of an account; water of a year is summed over its months where a quota asks for it."""
        found = uses_of(account)
        if period.name != str(period.first.year) or not asks_water_of_year(self._register, account.uscc, period):
            return found
        months = (self._ledger.account(account.uscc, month, self._register) for month in period.months())
        used = [water for month in months if (water := uses_of(month).water_m3) is not None]
        return msgspec.structs.replace(found, water_m3=sum(used, Decimal(0)) if used else None)


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
