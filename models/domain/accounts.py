"""What one enterprise used and made in a period, with what is missing and how it was treated: the energy account."""

from __future__ import annotations

import calendar
import datetime as dt
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from typing import Final

from models.domain.production import Fact, FuelUse

_MONTH: Final = re.compile(r"(20[0-9]{2})-(0[1-9]|1[0-2])", re.ASCII)
_QUARTER: Final = re.compile(r"(20[0-9]{2})-?Q([1-4])", re.ASCII)
_YEAR: Final = re.compile(r"20[0-9]{2}", re.ASCII)
_DATES: Final = re.compile(r"(20[0-9]{2}-[0-9]{2}-[0-9]{2})(?:\.\.|/)(20[0-9]{2}-[0-9]{2}-[0-9]{2})", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Period:
    """Local dates from `first` to `last`, both included."""

    first: dt.date
    last: dt.date

    def __post_init__(self) -> None:
        if self.first > self.last:
            raise ValueError(f"the period begins on {self.first}, after it ends on {self.last}")

    @classmethod
    def parse(cls, text: str) -> Period:
        """`2026-03`, `2026-Q1`, `2026`, or `2026-03-05..2026-04-04`. Raises ValueError for anything else."""
        if match := _MONTH.fullmatch(text):
            return cls.month(int(match[1]), int(match[2]))
        if match := _QUARTER.fullmatch(text):
            year, last_month = int(match[1]), int(match[2]) * 3
            return cls(dt.date(year, last_month - 2, 1), cls.month(year, last_month).last)
        if _YEAR.fullmatch(text):
            return cls(dt.date(int(text), 1, 1), dt.date(int(text), 12, 31))
        if match := _DATES.fullmatch(text):
            return cls(dt.date.fromisoformat(match[1]), dt.date.fromisoformat(match[2]))
        raise ValueError(f"{text!r} is no period: write 2026-03, 2026-Q1, 2026 or 2026-03-05..2026-04-04")

    @classmethod
    def month(cls, year: int, month: int) -> Period:
        """A calendar month."""
        return cls(dt.date(year, month, 1), dt.date(year, month, calendar.monthrange(year, month)[1]))

    @property
    def days(self) -> int:
        """How many days it has."""
        return (self.last - self.first).days + 1

    @property
    def end(self) -> dt.date:
        """The first day after it."""
        return self.last + dt.timedelta(days=1)

    @property
    def name(self) -> str:
        """The shortest text that `parse` reads back: a month, a quarter, a year, or two dates."""
        return _name_of(self.first, self.last)

    def months(self) -> Iterator[Period]:
        """The calendar months it touches, whole."""
        at = self.first
        while at <= self.last:
            found = Period.month(at.year, at.month)
            yield found
            at = found.end

    def __contains__(self, date: dt.date) -> bool:
        return self.first <= date <= self.last


@lru_cache(maxsize=1024)
def _name_of(first: dt.date, last: dt.date) -> str:
    year, month = first.year, first.month
    period = Period(first, last)
    if period == Period.month(year, month):
        return f"{year}-{month:02d}"
    whole_months = first.day == 1 and period.end.day == 1 and year == last.year
    if whole_months and (month, last.month) == (1, 12):
        return f"{year}"
    if whole_months and month % 3 == 1 and last.month == month + 2:
        return f"{year}-Q{(month + 2) // 3}"
    return f"{first}..{last}"


class GapKind(StrEnum):
    """What is missing or odd in an account; `Gap.zh` and `Gap.en` say it in full."""

    NO_READING = "no_reading"
    NO_METER = "no_meter"
    RESET = "reset"
    ROLLOVER = "rollover"
    RATIO_CHANGE = "ratio_change"
    REPLACED = "replaced"
    INSIDE = "inside"
    CONFLICT = "conflict"
    IMPLAUSIBLE = "implausible"
    UNALLOCATED = "unallocated"
    OUTPUT_CONFLICT = "output_conflict"
    OUTPUT_OVERLAP = "output_overlap"
    OUTPUT_MISSING = "output_missing"
    OUTPUT_UNIT = "output_unit"
    STRADDLES = "straddles"
    HEAT_CONFLICT = "heat_conflict"
    HEAT_ODD = "heat_odd"


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that is missing, contradicts itself or was left out: what, of whom, and how it was treated.

    `subject`: the meter, site, line, furnace or product. `first` and `last`: local dates it concerns. `lowers`: it
    lowers the coverage or leaves a number out, so that what follows from the account rests on less than all.
    """

    kind: GapKind
    subject: str
    first: dt.date
    last: dt.date
    zh: str
    en: str
    lowers: bool = True


@dataclass(frozen=True, slots=True)
class MeterEnergy:
    """Electricity of one meter from its register. `kwh` None: nothing can be said.

    `coverage`: share of the time the meter was registered in the period that lies between the readings used.
    `start_ms`, `end_ms`: stamps of the first and last of them; `start_kwh`, `end_kwh`: what they showed.
    """

    meter: str
    site: str
    kwh: Decimal | None
    coverage: Decimal
    start_ms: int | None = None
    start_kwh: Decimal | None = None
    end_ms: int | None = None
    end_kwh: Decimal | None = None


@dataclass(frozen=True, slots=True)
class AllocationStep:
    """One line of the division of a meter's electricity: `formula` can be redone by hand.

    `basis`: `own` (all of it), `share`, `output` or `kwh`; `line` "" where the site got it.
    """

    meter: str
    site: str
    line: str
    basis: str
    kwh: Decimal
    formula: str


@dataclass(frozen=True, slots=True)
class Electricity:
    """Electricity of an enterprise, a site or a line, kWh. `kwh` None: no reading to base it on.

    `coverage` 0 to 1: share of meter time between readings; less than 1 means that `kwh` is of that share only: it is
    never scaled up. `bands`: kWh by tariff band (`peak`, `valley` …), empty where hours or readings do not allow it.
    """

    kwh: Decimal | None
    coverage: Decimal
    bands: Mapping[str, Decimal] | None = None


@dataclass(frozen=True, slots=True)
class OutputTotal:
    """Output of one product, of the enterprise or of one site or line of it. `quantity` None: stated contradictorily.

    `coverage`: share of the period's days that reports cover; `revision`: the highest `rev` among them; `reports`: how
    many make it up.
    """

    product: str
    quantity: Decimal | None
    unit: str
    coverage: Decimal
    site: str = ""
    line: str = ""
    revision: int = 0
    reports: int = 0


@dataclass(frozen=True, slots=True)
class FuelTotal:
    """One fuel of one site or line, summed over reports of one unit and one measured value."""

    use: FuelUse
    site: str = ""
    line: str = ""


@dataclass(frozen=True, slots=True)
class HeatGroup:
    """Heats of one furnace and product (`product` "": not named; `furnace` "": of all furnaces).

    Tonnes and energy are of the heats that have both, so that the quotients hold. `odd` heats are left out of them.
    """

    furnace: str
    product: str
    heats: int
    odd: int
    energy_kwh: Decimal
    charged_t: Decimal | None
    tapped_t: Decimal | None
    kwh_per_charged_t: Decimal | None
    kwh_per_tapped_t: Decimal | None


@dataclass(frozen=True, slots=True)
class HeatLine:
    """One heat as counted: `flags` name what is odd about it (empty: nothing)."""

    furnace: str
    start_ms: int
    end_ms: int
    product: str
    energy_kwh: Decimal | None
    charged_t: Decimal | None
    tapped_t: Decimal | None
    kwh_per_charged_t: Decimal | None
    kwh_per_tapped_t: Decimal | None
    rolling_kwh_per_tapped_t: Decimal | None
    """Over this heat and those before it of the same furnace in the period, 30 at most."""
    rev: int
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Heats:
    """The heats that ended in the period: a line each, and groups by furnace and product, all of them first."""

    lines: tuple[HeatLine, ...] = ()
    groups: tuple[HeatGroup, ...] = ()


@dataclass(frozen=True, slots=True)
class SiteAccount:
    """One site, or one line of it (`line` set): its electricity, output and fuels."""

    site: str
    line: str
    electricity: Electricity
    output: tuple[OutputTotal, ...] = ()
    fuels: tuple[FuelTotal, ...] = ()


@dataclass(frozen=True, slots=True)
class Account:
    """One enterprise over one period. A function of readings, reports and register: equal inputs, equal account.

    `sites` holds one entry a site and one a line, by id; `output` the enterprise's totals by product; `facts` what
    reports state, the latest period's word last. `digest` (SHA-256, hex) stands for everything in it: another digest
    for the same enterprise and period is a revision. `notes` are sentences for people, (zh, en).
    """

    uscc: str
    period: Period
    electricity: Electricity
    sites: tuple[SiteAccount, ...]
    meters: tuple[MeterEnergy, ...]
    allocation: tuple[AllocationStep, ...]
    output: tuple[OutputTotal, ...]
    fuels: tuple[FuelTotal, ...]
    facts: tuple[tuple[str, Fact], ...]
    heats: Heats
    gaps: tuple[Gap, ...]
    register: str
    digest: str = ""
    notes: tuple[tuple[str, str], ...] = ()

    def of_line(self, line: str) -> SiteAccount | None:
        """The entry of a line; None where it has none."""
        return next((entry for entry in self.sites if entry.line == line), None)

    def of_site(self, site: str) -> SiteAccount | None:
        """The entry of a whole site; None where it has none."""
        return next((entry for entry in self.sites if entry.site == site and not entry.line), None)

    def of_product(self, product: str) -> OutputTotal | None:
        """The enterprise's output of a product; None where none is told."""
        return next((total for total in self.output if total.product == product), None)
