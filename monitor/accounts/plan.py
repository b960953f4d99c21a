"""Which meters an enterprise's account rests on, and the stretches of days they are read over."""

from __future__ import annotations

import datetime as dt
import itertools
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from models.domain.accounts import Gap, GapKind, Period
from models.domain.register import Allocation, Dated, Furnace, Meter, Register, Site
from monitor.accounts.registers import Edge, Stretch

D = TypeVar("D", bound=Dated)

_FOREVER: Final = dt.date.max


@dataclass(frozen=True, slots=True)
class Planned:
    """A stretch and the register's rows on what its meter is for."""

    stretch: Stretch
    rows: tuple[Allocation, ...]


@dataclass(frozen=True, slots=True)
class Scope:
    """What belongs to one enterprise in a period. `lines`: the site of each line; `unmetered_ms`: time of each site
    without a meter; `gaps`: what the register alone says of the period."""

    uscc: str
    sites: tuple[str, ...]
    lines: Mapping[str, str]
    furnaces: Mapping[str, Furnace]
    planned: tuple[Planned, ...]
    unmetered_ms: Mapping[str, int]
    gaps: tuple[Gap, ...]

    @property
    def subjects(self) -> frozenset[str]:
        """Ids that output reports may be about."""
        return frozenset((self.uscc, *self.sites, *self.lines))


class Plans:
    """Scopes under one register, whose rows are indexed once."""

    def __init__(self, register: Register) -> None:
        self.register = register
        rows = register.rows
        self._feeder_meters = frozenset(feeder.meter for feeder in rows.feeders if feeder.meter)
        line_sites: dict[str, set[str]] = defaultdict(set)
        for line in rows.lines:
            line_sites[line.line].add(line.site)
        self._to_site: dict[str, set[str]] = defaultdict(set)
        self._behind: dict[str, set[str]] = defaultdict(set)
        for row in rows.allocations:
            for site in {row.site, *line_sites.get(row.line, ())} - {""}:
                self._to_site[site].add(row.meter)
            if row.within:
                self._behind[row.within].add(row.meter)
        self._furnaces: dict[str, list[Furnace]] = defaultdict(list)
        for furnace in rows.furnaces:
            self._furnaces[furnace.site].append(furnace)

    def scope(self, uscc: str, period: Period) -> Scope:
        """What an account of the enterprise needs."""
        register = self.register
        owned = [row for row in register.sites_of(uscc) if _meets(row, period)]
        sites = tuple(sorted({row.site for row in owned}))
        lines = {row.line: row.site for site in sites for row in _rows(register.lines_of(site), period)}
        furnaces = {row.furnace: row for site in sites for row in _rows(self._furnaces.get(site, ()), period)}
        meters = {row.meter for site in sites for row in _rows(register.meter_rows_of(site), period)}
        meters |= {meter for site in sites for meter in self._to_site.get(site, ())}
        meters |= {child for meter in tuple(meters) for child in self._behind.get(meter, ())}
        meters |= {row.within for meter in tuple(meters) for row in register.allocations_of(meter) if row.within}
        own_cuts = {date for row in owned for date in (row.valid_from, row.valid_to) if date is not None}
        planned = [
            one
            for meter in sorted(meters - self._feeder_meters)
            for one in self._planned(meter, period, own_cuts)
            if self._concerns(one, owned, lines)
        ]
        unmetered_ms, gaps = self._unmetered(owned, planned, period)
        gaps += self._replaced(planned, period)
        return Scope(uscc, sites, lines, furnaces, tuple(planned), unmetered_ms, tuple(gaps))

    def owners_of_meter(self, meter: str, on: dt.date) -> set[str]:
        """Enterprises whose account may depend on a meter on a date."""
        family = {meter, *self._behind.get(meter, ())}
        rows = [row for one in tuple(family) for row in self.register.allocations_of(one) if row.valid_on(on)]
        family |= {row.within for row in rows if row.within}
        sites = {row.site for row in rows if row.site}
        sites |= {line.site for row in rows if row.line and (line := self.register.line(row.line, on)) is not None}
        sites |= {found.site for one in family if (found := self.register.meter(one, on)) is not None}
        return {site.uscc for name in sites if (site := self.register.site(name, on)) is not None}

    def _planned(self, meter: str, period: Period, own_cuts: Collection[dt.date]) -> Iterator[Planned]:
        """The meter's days in the period, cut wherever a row on it, behind it or in front of it begins or ends."""
        rows = _merged(self.register.rows_of_meter(meter))
        family = {meter, *self._behind.get(meter, ())}
        family |= {row.within for row in self.register.allocations_of(meter) if row.within}
        dated: list[Dated] = [row for one in family for row in self.register.allocations_of(one)]
        dated += [row for one in family - {meter} for row in _merged(self.register.rows_of_meter(one))]
        cuts = {date for row in dated for date in (row.valid_from, row.valid_to) if date is not None} | set(own_cuts)
        for at, row in enumerate(rows):
            if not _meets(row, period):
                continue
            first, end = max(row.valid_from, period.first), min(row.valid_to or _FOREVER, period.end)
            edges = [first, *sorted(date for date in cuts if first < date < end), end]
            before, after = rows[at - 1] if at else None, rows[at + 1] if at + 1 < len(rows) else None
            for start, stop in itertools.pairwise(edges):
                yield Planned(
                    Stretch(
                        meter=meter,
                        site=row.site,
                        first=start,
                        end=stop,
                        first_ms=self.register.midnight_ms(start),
                        end_ms=self.register.midnight_ms(stop),
                        cadence_s=row.cadence_s,
                        start_edge=_edge(row, before) if start == row.valid_from else Edge.SHARED,
                        end_edge=_edge(row, after) if stop == row.valid_to else Edge.SHARED,
                        rated_kva=row.transformer_kva or row.contract_kva,
                        wrap_kwh=row.register_wrap_kwh,
                    ),
                    tuple(one for one in self.register.allocations_of(meter) if one.valid_on(start)),
                )

    def _concerns(self, planned: Planned, owned: Sequence[Site], lines: Mapping[str, str]) -> bool:
        """Whether the meter's electricity may reach a site of the enterprise on those days, or lies behind or in front
        of one whose electricity does."""
        on = planned.stretch.first
        mine = {row.site for row in owned if row.valid_on(on)}
        family = {planned.stretch.meter, *self._behind.get(planned.stretch.meter, ())}
        family |= {row.within for row in planned.rows if row.within}
        for meter in family:
            row = self.register.meter(meter, on)
            if row is not None and row.site in mine:
                return True
            for one in self.register.allocations_of(meter):
                if one.valid_on(on) and (one.site in mine or lines.get(one.line) in mine):
                    return True
        return False

    def _unmetered(
        self, owned: Sequence[Site], planned: Sequence[Planned], period: Period
    ) -> tuple[dict[str, int], list[Gap]]:
        unmetered_ms: dict[str, int] = defaultdict(int)
        gaps: list[Gap] = []
        for row in owned:
            first, end = max(row.valid_from, period.first), min(row.valid_to or _FOREVER, period.end)
            spans = sorted((p.stretch.first, p.stretch.end) for p in planned if p.stretch.site == row.site)
            at = first
            for start, stop in [*spans, (end, end)]:
                if start > at:
                    upto = min(start, end)
                    unmetered_ms[row.site] += self.register.midnight_ms(upto) - self.register.midnight_ms(at)
                    last = upto - dt.timedelta(days=1)
                    text = ("登记册中该厂区没有电表", "the register has no meter of the site")
                    gaps.append(Gap(GapKind.NO_METER, row.site, at, last, *text))
                at = max(at, stop)
        return dict(unmetered_ms), gaps

    def _replaced(self, planned: Sequence[Planned], period: Period) -> list[Gap]:
        ends: dict[str, Stretch] = {}
        for one in planned:
            known = ends.get(one.stretch.meter)
            if known is None or known.end < one.stretch.end:
                ends[one.stretch.meter] = one.stretch
        return [
            Gap(
                GapKind.REPLACED,
                meter,
                stretch.end,
                stretch.end,
                "该表登记至此（换表或拆表），此后电量由其他电表计",
                "the meter's row ends here (replaced or removed): others count from then on",
                lowers=False,
            )
            for meter, stretch in sorted(ends.items())
            if stretch.end < period.end and not self.register.rows_of_meter(meter)[-1].valid_on(stretch.end)
        ]


def _meets(row: Dated, period: Period) -> bool:
    return row.valid_from <= period.last and (row.valid_to is None or row.valid_to > period.first)


def _rows(rows: Sequence[D], period: Period) -> list[D]:
    """The rows that hold at some time of the period, the later ones last."""
    return sorted((row for row in rows if _meets(row, period)), key=lambda row: row.valid_from)


def _edge(row: Meter, beside: Meter | None) -> Edge:
    """What the row before or after a row is to it; one that does not touch it is as good as none."""
    if beside is None or (beside.valid_to != row.valid_from and beside.valid_from != row.valid_to):
        return Edge.ALONE
    return Edge.SHARED if _factor(row) == _factor(beside) else Edge.RATIO


def _factor(row: Meter) -> float:
    return 1.0 if row.ratio_applied else row.ratio


def _merged(rows: Sequence[Meter]) -> list[Meter]:
    """Rows in order, those that touch and do not differ in what matters here as one."""
    merged: list[Meter] = []
    for row in sorted(rows, key=lambda one: one.valid_from):
        last = merged[-1] if merged else None
        if last is not None and last.valid_to == row.valid_from and _alike(last, row):
            merged[-1] = _extended(last, row)
        else:
            merged.append(row)
    return merged


def _alike(one: Meter, other: Meter) -> bool:
    return (one.site, _factor(one), one.cadence_s, one.register_wrap_kwh) == (
        other.site,
        _factor(other),
        other.cadence_s,
        other.register_wrap_kwh,
    )


def _extended(first: Meter, second: Meter) -> Meter:
    kva = max((row.transformer_kva or row.contract_kva or 0.0) for row in (first, second))
    known = all(row.transformer_kva or row.contract_kva for row in (first, second))
    return Meter(
        meter=first.meter,
        site=first.site,
        publisher=second.publisher,
        ratio=first.ratio,
        ratio_applied=first.ratio_applied,
        cadence_s=first.cadence_s,
        transformer_kva=kva if known else None,
        register_wrap_kwh=first.register_wrap_kwh,
        valid_from=first.valid_from,
        valid_to=second.valid_to,
    )
