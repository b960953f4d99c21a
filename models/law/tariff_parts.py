"""The parts of a tariff rule: tiers, phases, thresholds by year, tables by process, what ends or changes a rule."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from models.law.conditions import Range
from models.law.rows import Amount, Confidence, Day, Exact, KeyFault, Row, RowId, Text, UnitName
from models.law.tariff_facts import CementProcess

RuleKind = Literal["differential", "tiered", "punitive", "water", "framework"]

ListedClass = Literal["限制类", "淘汰类", "列入淘汰名单逾期未淘汰", "未按期完成化解过剩产能任务"]
"""What a differential rule may list an enterprise for."""

Year = Annotated[int, Field(ge=1990, le=2200)]


class Part(Row):
    """A table inside a rule; keys that are words of Python have another name inside."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", populate_by_name=True)


class Tier(Range):
    """One row of a tier table: a class, or a stretch of the measured number, and what it costs.

    `surcharge` in CNY/kWh; `markup` a multiple of the basic water price. `ambiguous_at`: edges of this row of which the
    source does not say whether they belong to it. `unknown`: what of this row was not found.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", populate_by_name=True)

    listed: ListedClass | None = Field(default=None, alias="class")
    tier: int | None = None
    surcharge: Amount | None = None
    surcharge_by: Text | None = None
    surcharge_same_as: Text | None = None
    same_as: Text | None = None
    markup: Amount | None = None
    markup_listed: Amount | None = None
    test: Text | None = None
    boundary: Literal["explicit", "ambiguous"] | None = None
    ambiguous_at: tuple[Exact, ...] = ()
    boundary_note: Text | None = None
    unknown: tuple[Text, ...] = ()

    @property
    def ranged(self) -> bool:
        """Whether it has a bound at all."""
        return self.low is not None or self.high is not None

    @model_validator(mode="after")
    def _says_what_it_costs(self) -> Self:
        if self.surcharge is None and self.markup is None and self.surcharge_by is None:
            raise KeyFault("surcharge", "a tier without a surcharge. Give it, or surcharge_by with who sets it")
        if self.surcharge is not None and self.surcharge_by is not None:
            raise KeyFault("surcharge", "a surcharge beside surcharge_by. Keep one")
        if (self.markup is None) != (self.markup_listed is None):
            raise KeyFault("markup", "markup and markup_listed go together. Give both")
        if (self.boundary == "ambiguous") != bool(self.ambiguous_at):
            raise KeyFault("boundary", "boundary ambiguous and ambiguous_at go together. Name the edges in doubt")
        for edge in self.ambiguous_at:
            if edge not in (self.low, self.high):
                raise KeyFault("ambiguous_at", f"{edge} is no edge of this tier. Name one of its own bounds")
        return self


class Phase(Part):
    """Surcharges by class from a day on. `times_first`: a multiple of those of the first phase instead.

    `stated_to`: the last day the source speaks of, where it does not say that the phase goes on.
    """

    begins: Day = Field(alias="from")
    restricted: Amount | None = None
    eliminated: Amount | None = None
    eliminated_for: dict[RowId, Amount] = Field(default_factory=dict)
    """Another surcharge of 淘汰类 for an industry."""
    times_first: Amount | None = None
    stated_to: Day | None = None
    confidence: Confidence | None = None

    @model_validator(mode="after")
    def _says_what_it_costs(self) -> Self:
        given = self.restricted is not None or self.eliminated is not None
        if given == (self.times_first is not None):
            raise KeyFault("from", "a phase has surcharges or times_first. Give one of the two")
        if self.stated_to is not None and self.stated_to < self.begins:
            raise KeyFault("stated_to", "stated_to is before the phase begins. Correct one of the dates")
        return self

    def surcharge(self, listed: str, industry: str) -> Decimal | None:
        """The surcharge of a class, None where the phase has none; without `times_first`."""
        match listed:
            case "限制类":
                return self.restricted
            case "淘汰类":
                return self.eliminated_for.get(industry, self.eliminated)
            case _:
                return None


class Threshold(Part):
    """The line above which steps are charged, by years of consumption, both included; the last row is open."""

    year_from: Year
    year_to: Year | None = None
    threshold: Amount
    excludes_desulfurisation: bool
    excludes_confidence: Confidence | None = None


class ThresholdRow(Part):
    """The tier table of one process and one age of line, with a confidence of its own."""

    process: CementProcess
    built_before: Day | None = None
    built_from: Day | None = None
    metric: RowId
    metric_zh: Text
    unit: UnitName
    tiers: tuple[Tier, ...] = Field(min_length=2)
    confidence: Confidence
    doubt: Text | None = None

    @model_validator(mode="after")
    def _has_one_side(self) -> Self:
        if (self.built_before is None) == (self.built_from is None):
            raise KeyFault("built_before", "a row is for lines built before a day, or from it on. Give one of the two")
        return self


class Supersession(Part):
    """From a day on another rule stands in this one's place: for an industry, a class or all but one, a region."""

    industry: RowId
    listed: ListedClass | None = Field(default=None, alias="class")
    except_class: ListedClass | None = None
    region: RowId | None = None
    begins: Day = Field(alias="from")
    by: RowId

    @model_validator(mode="after")
    def _one_side(self) -> Self:
        if self.listed is not None and self.except_class is not None:
            raise KeyFault("except_class", "class and except_class. Keep one")
        return self


class Displacement(Part):
    """Other kinds that stop for the rule's industries while it is in force; not for plant of `except_class`."""

    kinds: tuple[RuleKind, ...] = Field(min_length=1)
    except_class: ListedClass | None = None


class EliminatedKind(Part):
    """A kind of equipment a notice names as eliminated; `except_zh`: the exception it makes."""

    kind_zh: Text
    except_zh: Text | None = None


class SurchargeRange(Part):
    """The least and the greatest surcharge above zero, where the tiers between are not known."""

    min: Amount
    max: Amount

    @model_validator(mode="after")
    def _rises(self) -> Self:
        if self.min > self.max:
            raise KeyFault("min", "min is above max. Correct one of them")
        return self


class Renewables(Part):
    """The surcharge falls by `falls_per_point` of itself for each percentage point of non-hydro renewables.

    It needs a share above `share_gt`, and not below the province's incentive value of the year before.
    """

    share_gt: Amount
    and_share_ge: Text
    falls_per_point: Amount
    effect: Text


class LatePayment(Part):
    """The surcharge is multiplied once more than so many days have gone by since the notice."""

    days_after_notice_gt: Annotated[int, Field(ge=0)]
    multiplier: Annotated[Amount, Field(ge=1)]


class Concealment(Part):
    """The surcharge where records are false, missing or withheld, for the whole of the year before."""

    surcharge: Amount
    text: Text


class TieredPart(Part):
    """The tiers a differential notice has beside its classes; the bounds stand in another standard."""

    standard: Text
    tier1: Amount
    tier2: Amount
    tier3: Amount


class RevenueSplit(Part):
    """Where the money goes, in shares of one."""

    grid: Amount
    treasury: Amount | None = None
    fund: Amount | None = None
    industries: tuple[RowId, ...] = ()

    @model_validator(mode="after")
    def _makes_one(self) -> Self:
        total = self.grid + (self.treasury or Decimal(0)) + (self.fund or Decimal(0))
        if total != 1:
            raise KeyFault("grid", f"the shares make {total}, not 1. Correct them")
        return self
