"""The register: who is watched, with what, since when. Every row is valid from a date up to, not including, a date."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Final, TypeVar
from zoneinfo import ZoneInfo

from models.domain.readings import RejectReason
from models.domain.sheets import RowsBy, column

ALWAYS: Final = dt.date(2000, 1, 1)
_MOST_DATES: Final = 64


class EnterpriseStatus(StrEnum):
    """Whether the enterprise may run; `since` of the row says from when."""

    OPERATING = "operating"
    CLOSED = "closed"
    POWER_CUT = "power_cut"


class FurnaceKind(StrEnum):
    """Kinds of furnace a register may declare."""

    MEDIUM_FREQUENCY = "medium_frequency"
    MAINS_FREQUENCY = "mains_frequency"
    INDUCTION_HEATING = "induction_heating"
    ARC = "arc"
    SUBMERGED_ARC = "submerged_arc"
    RESISTANCE = "resistance"
    OTHER = "other"


class CalendarKind(StrEnum):
    """What a calendar row says: hours of a tariff band, a day off, or a make-up working day."""

    TARIFF = "tariff"
    HOLIDAY = "holiday"
    WORKDAY = "workday"


class AllocationBasis(StrEnum):
    """By what a shared or auxiliary meter's electricity is divided: declared shares, output, or metered electricity."""

    SHARE = "share"
    OUTPUT = "output"
    KWH = "kwh"


class TariffBand(StrEnum):
    """Bands of a time-of-use tariff (尖 峰 平 谷 深谷)."""

    SHARP = "sharp"
    PEAK = "peak"
    FLAT = "flat"
    VALLEY = "valley"
    DEEP_VALLEY = "deep_valley"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dated:
    """Validity: `valid_from` inclusive, `valid_to` exclusive, open where None (local dates)."""

    valid_from: dt.date = ALWAYS
    valid_to: dt.date | None = None

    def valid_on(self, date: dt.date) -> bool:
        return self.valid_from <= date and (self.valid_to is None or date < self.valid_to)


@dataclass(frozen=True, slots=True, kw_only=True)
class Enterprise(Dated):
    """`uscc` 统一社会信用代码; `trade` GB/T 4754 code; `since` the date its status was ordered."""

    uscc: str
    name: str
    trade: str = ""
    district: str = ""
    status: EnterpriseStatus = EnterpriseStatus.OPERATING
    since: dt.date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Site(Dated):
    """One plant of an enterprise."""

    site: str
    uscc: str
    name: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter(Dated):
    """One metering point. Wire values are primary values where `ratio_applied`, else multiplied by `ratio` (CT × PT).

    `cadence_s` is the interval of readings that do not name one; `register_wrap_kwh` the register value (primary)
    at which the counter wraps to zero, None where unknown.
    """

    meter: str
    site: str
    publisher: str
    feeder: str = ""
    ratio: float = 1.0
    ratio_applied: bool = True
    cadence_s: int = 900
    contract_kva: float | None = None
    transformer_kva: float | None = None
    register_wrap_kwh: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Feeder(Dated):
    """A feeder or 台区; `meter` is its own metering point, if any."""

    feeder: str
    name: str = ""
    voltage_kv: float | None = None
    meter: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Furnace(Dated):
    """A furnace known to the office. `purpose` is the declared use (castings, forging heat, …)."""

    furnace: str
    site: str
    kind: FurnaceKind
    rated_kw: float | None = None
    capacity_t: float | None = None
    purpose: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line(Dated):
    """A production line: what it makes and how much it may make a year."""

    line: str
    site: str
    product: str = ""
    capacity_t_per_year: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Publisher(Dated):
    """A data source. Only one that `may_revise` can settle a contradiction by sending a higher `rev`."""

    publisher: str
    name: str = ""
    may_revise: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarRow(Dated):
    """Tariff hours (`band`, `start`, `end`; an end before the start runs over midnight) or one special `day`."""

    kind: CalendarKind
    name: str = ""
    day: dt.date | None = None
    band: TariffBand | None = None
    start: dt.time | None = None
    end: dt.time | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation(Dated):
    """What a meter's electricity is for: a line, or another site. A meter without a row counts for its own site.

    Rows of one meter valid on a date have one `basis`. SHARE: `share` of it, the rest stays with the meter's site.
    OUTPUT, KWH: all of it, in proportion to the lines' output or to the electricity they have of their own.
    `within` names the meter this one is metered behind: its electricity is part of that meter's and is taken off there.
    """

    meter: str
    site: str = ""
    line: str = ""
    basis: AllocationBasis = AllocationBasis.SHARE
    share: float = 1.0
    within: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reporter(Dated):
    """A publisher that may report output and heats of a site, besides the publishers of the site's meters."""

    site: str
    publisher: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared(Dated):
    """A fact of an enterprise, or of one `line` of it, that law asks for and no other sheet holds.

    `fact` is a name of the rule packs (`equipment_class`, `plant`, `altitude_m` …); `value` is as written: yes or no,
    a word or a number. `source` says whose word it is: a list, a decision, an application.
    """

    uscc: str
    fact: str
    value: str
    line: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class RegisterRows:
    """The register as imported, sheet by sheet; large ones are kept as columns (`models.domain.sheets`)."""

    enterprises: Sequence[Enterprise] = ()
    sites: Sequence[Site] = ()
    meters: Sequence[Meter] = ()
    feeders: Sequence[Feeder] = ()
    furnaces: Sequence[Furnace] = ()
    lines: Sequence[Line] = ()
    publishers: Sequence[Publisher] = ()
    calendar: Sequence[CalendarRow] = ()
    allocations: Sequence[Allocation] = ()
    reporters: Sequence[Reporter] = ()
    declared: Sequence[Declared] = ()


SHEETS: Final[Mapping[str, type[Dated]]] = {
    "enterprises": Enterprise,
    "sites": Site,
    "meters": Meter,
    "feeders": Feeder,
    "furnaces": Furnace,
    "lines": Line,
    "publishers": Publisher,
    "calendar": CalendarRow,
    "allocations": Allocation,
    "reporters": Reporter,
    "declared": Declared,
}
"""Sheet (or CSV file) name to row type, in the order of the template."""

R = TypeVar("R", bound=Dated)


FOREVER_MS: Final = 1 << 62


@dataclass(frozen=True, slots=True)
class Permit:
    """What holds for readings of one meter from one publisher stamped in (`from_ms`, `to_ms`].

    `factor` turns wire values of power, current and energy into primary values.
    """

    cadence_s: int
    factor: float
    may_revise: bool
    from_ms: int
    to_ms: int


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Meters of other districts and the district of each; `ignored`: their readings are passed over in silence."""

    districts: Mapping[str, str] = field(default_factory=dict)
    ignored: bool = False


@dataclass(frozen=True)
class Register:
    """Look-ups over the rows as of a date. `version` is the digest of the rows; it names the register in evidence.

    `elsewhere` names meters that were left out of the rows because another district's daemon serves them.
    """

    rows: RegisterRows
    zone: ZoneInfo
    version: str = ""
    elsewhere: Elsewhere = field(default_factory=Elsewhere)

    @cached_property
    def meter_ids(self) -> tuple[str, ...]:
        """All meters that were ever registered, sorted."""
        return tuple(sorted(set(column(self.rows.meters, "meter"))))

    @cached_property
    def _meters(self) -> Mapping[str, Sequence[Meter]]:
        return RowsBy(self.rows.meters, "meter")

    @cached_property
    def _sites(self) -> Mapping[str, Sequence[Site]]:
        return RowsBy(self.rows.sites, "site")

    @cached_property
    def _enterprises(self) -> Mapping[str, Sequence[Enterprise]]:
        return RowsBy(self.rows.enterprises, "uscc")

    @cached_property
    def _publishers(self) -> Mapping[str, Sequence[Publisher]]:
        return RowsBy(self.rows.publishers, "publisher")

    @cached_property
    def _furnaces(self) -> Mapping[str, Sequence[Furnace]]:
        return RowsBy(self.rows.furnaces, "site")

    @cached_property
    def _furnace_ids(self) -> Mapping[str, Sequence[Furnace]]:
        return RowsBy(self.rows.furnaces, "furnace")

    @cached_property
    def _lines(self) -> Mapping[str, Sequence[Line]]:
        return RowsBy(self.rows.lines, "line")

    @cached_property
    def _site_lines(self) -> Mapping[str, Sequence[Line]]:
        return RowsBy(self.rows.lines, "site")

    @cached_property
    def _enterprise_sites(self) -> Mapping[str, Sequence[Site]]:
        return RowsBy(self.rows.sites, "uscc")

    @cached_property
    def _reporters(self) -> Mapping[str, Sequence[Reporter]]:
        return RowsBy(self.rows.reporters, "site")

    @cached_property
    def _declared(self) -> Mapping[str, Sequence[Declared]]:
        return RowsBy(self.rows.declared, "uscc")

    @cached_property
    def _allocations(self) -> Mapping[str, Sequence[Allocation]]:
        return RowsBy(self.rows.allocations, "meter")

    @cached_property
    def _site_meters(self) -> Mapping[str, Sequence[Meter]]:
        return RowsBy(self.rows.meters, "site")

    def meter(self, meter: str, on: dt.date) -> Meter | None:
        return _valid(self._meters.get(meter, ()), on)

    def contract(self, meter: str, on: dt.date) -> tuple[float, dt.date] | None:
        """Contracted capacity of a meter in kVA and the first date on which it was that; None where it has none."""
        rows = self._meters.get(meter, ())
        row = _valid(rows, on)
        if row is None or not row.contract_kva:
            return None
        if len(rows) == 1:
            return row.contract_kva, row.valid_from
        since = row.valid_from
        for earlier in reversed(rows):
            if earlier.valid_to == since and earlier.contract_kva == row.contract_kva:
                since = earlier.valid_from
        return row.contract_kva, since

    def site(self, site: str, on: dt.date) -> Site | None:
        return _valid(self._sites.get(site, ()), on)

    def enterprise(self, uscc: str, on: dt.date) -> Enterprise | None:
        return _valid(self._enterprises.get(uscc, ()), on)

    def publisher(self, publisher: str, on: dt.date) -> Publisher | None:
        return _valid(self._publishers.get(publisher, ()), on)

    def furnaces_at(self, site: str, on: dt.date) -> tuple[Furnace, ...]:
        return tuple(f for f in self._furnaces.get(site, ()) if f.valid_on(on))

    def meters_at(self, site: str, on: dt.date) -> tuple[Meter, ...]:
        return tuple(m for m in self._site_meters.get(site, ()) if m.valid_on(on))

    def furnace(self, furnace: str, on: dt.date) -> Furnace | None:
        return _valid(self._furnace_ids.get(furnace, ()), on)

    def line(self, line: str, on: dt.date) -> Line | None:
        return _valid(self._lines.get(line, ()), on)

    def furnace_rows(self, furnace: str) -> Sequence[Furnace]:
        """Every row of a furnace, of any date."""
        return self._furnace_ids.get(furnace, ())

    def line_rows(self, line: str) -> Sequence[Line]:
        """Every row of a line, of any date."""
        return self._lines.get(line, ())

    def enterprise_rows(self, uscc: str) -> Sequence[Enterprise]:
        """Every row of an enterprise, of any date."""
        return self._enterprises.get(uscc, ())

    def site_rows(self, site: str) -> Sequence[Site]:
        """Every row of a site, of any date."""
        return self._sites.get(site, ())

    def lines_of(self, site: str) -> Sequence[Line]:
        """Every row of a site's lines, of any date."""
        return self._site_lines.get(site, ())

    def sites_of(self, uscc: str) -> Sequence[Site]:
        """Every row of an enterprise's sites, of any date."""
        return self._enterprise_sites.get(uscc, ())

    def rows_of_meter(self, meter: str) -> Sequence[Meter]:
        """Every row of a meter, of any date."""
        return self._meters.get(meter, ())

    def meter_rows_of(self, site: str) -> Sequence[Meter]:
        """Every row of a site's meters, of any date."""
        return self._site_meters.get(site, ())

    def declared_of(self, uscc: str) -> Sequence[Declared]:
        """Every declared fact of an enterprise and of its lines, of any date."""
        return self._declared.get(uscc, ())

    def declared_on(self, uscc: str, on: dt.date, line: str = "") -> Mapping[str, Declared]:
        """What is declared on a date, by fact: of the enterprise, and over it what is declared of `line`."""
        rows = [row for row in self.declared_of(uscc) if row.line in ("", line) and row.valid_on(on)]
        return {row.fact: row for row in sorted(rows, key=lambda row: row.line != "")}

    def allocations_of(self, meter: str) -> Sequence[Allocation]:
        """Every row that says what a meter's electricity is for, of any date."""
        return self._allocations.get(meter, ())

    def may_report(self, publisher: str, site: str, on: dt.date) -> bool:
        """Whether a publisher may report output and heats of a site: it sends one of its meters, or is its reporter."""
        if self.publisher(publisher, on) is None:
            return False
        return any(m.publisher == publisher for m in self.meters_at(site, on)) or any(
            r.publisher == publisher and r.valid_on(on) for r in self._reporters.get(site, ())
        )

    def enterprise_of_meter(self, meter: str, on: dt.date) -> Enterprise | None:
        row = self.meter(meter, on)
        site = self.site(row.site, on) if row is not None else None
        return self.enterprise(site.uscc, on) if site is not None else None

    def sealed_on(self, on: dt.date) -> frozenset[str]:
        """Meters whose enterprise is closed or cut off by its row of a date; kept for the dates asked last."""
        known = self._sealed_by_date.get(on)
        if known is None:
            if len(self._sealed_by_date) >= _MOST_DATES:
                self._sealed_by_date.clear()
            owners = ((meter, self.enterprise_of_meter(meter, on)) for meter in self._ever_sealed)
            known = self._sealed_by_date[on] = frozenset(
                meter for meter, owner in owners if owner is not None and owner.status is not EnterpriseStatus.OPERATING
            )
        return known

    @cached_property
    def _sealed_by_date(self) -> dict[dt.date, frozenset[str]]:
        return {}

    @cached_property
    def _ever_sealed(self) -> tuple[str, ...]:
        """Meters of enterprises that were closed or cut off at any time: few, however long the register."""
        rows = self.rows
        states = zip(column(rows.enterprises, "uscc"), column(rows.enterprises, "status"), strict=True)
        shut = {uscc for uscc, status in states if status is not EnterpriseStatus.OPERATING}
        owners = zip(column(rows.sites, "site"), column(rows.sites, "uscc"), strict=True)
        sites = {site for site, uscc in owners if uscc in shut}
        places = zip(column(rows.meters, "meter"), column(rows.meters, "site"), strict=True)
        return tuple(sorted({meter for meter, site in places if site in sites}))

    def meters_on(self, on: dt.date) -> tuple[Meter, ...]:
        """Every meter valid on a date, by id."""
        return tuple(m for rows in (self._meters[i] for i in self.meter_ids) for m in rows if m.valid_on(on))

    def admit(self, meter: str, publisher: str, ts_ms: int) -> Permit | RejectReason:
        """What a reading of `meter` stamped `ts_ms` may be, or why this publisher may not send it (rule A2)."""
        versions = self._meters.get(meter)
        if versions is None:
            return RejectReason.AUTHZ if meter in self.elsewhere.districts else RejectReason.UNKNOWN_METER
        on = dt.datetime.fromtimestamp((ts_ms - 1) / 1000.0, self.zone).date()
        row, sender = _valid(versions, on), self.publisher(publisher, on)
        if row is None:
            return RejectReason.UNKNOWN_METER
        if sender is None or row.publisher != publisher:
            return RejectReason.AUTHZ
        return Permit(
            cadence_s=row.cadence_s,
            factor=1.0 if row.ratio_applied else row.ratio,
            may_revise=sender.may_revise,
            from_ms=self.midnight_ms(max(row.valid_from, sender.valid_from)),
            to_ms=min(self.midnight_ms(row.valid_to), self.midnight_ms(sender.valid_to)),
        )

    def midnight_ms(self, date: dt.date | None) -> int:
        """The stamp at which a local date begins, Unix ms; `FOREVER_MS` for None."""
        if date is None:
            return FOREVER_MS
        return int(dt.datetime(date.year, date.month, date.day, tzinfo=self.zone).timestamp()) * 1000


def _valid(rows: Sequence[R], on: dt.date) -> R | None:
    for row in rows:
        if row.valid_on(on):
            return row
    return None
