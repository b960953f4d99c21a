"""What plants report of their production: output and fuels of a period, and heats of a furnace. Quantities are exact.

A report is one statement as it was sent. The same key (`OutputReport.key`, `HeatReport.key`) may be stated again: with
a higher `rev` by a publisher that may revise, or with the same `rev`, which is a duplicate where it says the same and a
conflict where it does not. All statements are kept.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Final

Fact = bool | str | Decimal
"""A named fact of a plant or period, such as the clinker ratio: yes or no, a word, or a number."""

OutputKey = tuple[str, str, str, str, dt.date, dt.date]
"""`uscc, site, line, product, first, last`; the subject's two other names are empty."""

HeatKey = tuple[str, int]
"""`furnace, start_ms`."""

MAX_QUANTITY: Final = Decimal(10) ** 12
MAX_DECIMALS: Final = 9
MAX_DAYS: Final = 366
MAX_HEAT_MS: Final = 7 * 86_400_000
MAX_TEXT: Final = 100


class Subject(StrEnum):
    """What an output report is about."""

    ENTERPRISE = "enterprise"
    SITE = "site"
    LINE = "line"


@dataclass(frozen=True, slots=True)
class FuelUse:
    """A quantity of one fuel, of steam or of a medium. `fuel` is a factor's id of the rule packs (`raw-coal`).

    `kj_per_unit` or `kgce_per_unit`: a measured value per `unit`, of which `value_source` says whose it is.
    `recovered`: it left the boundary and is taken off.
    """

    fuel: str
    quantity: Decimal
    unit: str
    kj_per_unit: Decimal | None = None
    kgce_per_unit: Decimal | None = None
    value_source: str = ""
    recovered: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputReport:
    """What was made and burnt by one enterprise, site or line from `first` to `last`, local dates, both included.

    Exactly one of `uscc`, `site` and `line` is filled. `product` is "" (and `quantity` None) where only fuels or facts
    are told. `void` takes earlier revisions back. `seq` (journal record) and `received_ms` say where the statement
    first stood; they are no part of what it says.
    """

    publisher: str
    uscc: str = ""
    site: str = ""
    line: str = ""
    product: str = ""
    first: dt.date
    last: dt.date
    quantity: Decimal | None = None
    unit: str = ""
    fuels: tuple[FuelUse, ...] = ()
    facts: tuple[tuple[str, Fact], ...] = ()
    rev: int = 0
    void: bool = False
    seq: int = field(default=0, compare=False)
    received_ms: int = field(default=0, compare=False)

    @property
    def key(self) -> OutputKey:
        """What is stated by whom-ever: publishers that state the same key state the same thing."""
        return (self.uscc, self.site, self.line, self.product, self.first, self.last)

    @property
    def subject(self) -> Subject:
        """Whether it is about a line, a site or an enterprise."""
        if self.line:
            return Subject.LINE
        return Subject.SITE if self.site else Subject.ENTERPRISE

    @property
    def days(self) -> int:
        """Days of the period."""
        return (self.last - self.first).days + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatReport:
    """One heat of a furnace: from `start_ms` to `end_ms` (Unix ms, UTC), what it took, and what went in and came out.

    `charged_t` and `tapped_t` are None where they were not weighed. `void` takes earlier revisions back.
    """

    publisher: str
    furnace: str
    start_ms: int
    end_ms: int
    energy_kwh: Decimal
    charged_t: Decimal | None = None
    tapped_t: Decimal | None = None
    product: str = ""
    rev: int = 0
    void: bool = False
    seq: int = field(default=0, compare=False)
    received_ms: int = field(default=0, compare=False)

    @property
    def key(self) -> HeatKey:
        """A heat is known by its furnace and its start."""
        return (self.furnace, self.start_ms)


Report = OutputReport | HeatReport


@dataclass(frozen=True, slots=True)
class PlacedReport:
    """A report and where it stood: which message of the commit group, which of its rows."""

    message: int
    row: int
    report: Report


def by_row(reports: Iterable[PlacedReport]) -> Sequence[PlacedReport]:
    """Reports in order of message and row."""
    return sorted(reports, key=lambda placed: (placed.message, placed.row))
