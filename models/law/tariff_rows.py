"""Electricity and water surcharges as rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from models.law.rows import REGION_FORM, Amount, Cited, Confidence, Dated, Day, Identified, KeyFault, Named, RowId, Text
from models.law.tariff_facts import BillingBase
from models.law.tariff_parts import (
    Concealment,
    Displacement,
    EliminatedKind,
    LatePayment,
    Phase,
    Renewables,
    RevenueSplit,
    RuleKind,
    Supersession,
    SurchargeRange,
    Threshold,
    ThresholdRow,
    Tier,
    TieredPart,
)
from models.law.units import UNITS

ANY_INDUSTRY: Final = "any"
"""Stands for every industry: who is meant then follows from the limit, or from the bureau's list."""

UNKNOWN_REGION: Final = "unknown"
"""The region of a notice whose city is not known: it is used only where the facts name the notice."""


_BASIS_OF: Final[Mapping[RuleKind, str]] = {
    "differential": "equipment_class",
    "tiered": "metric",
    "punitive": "excess_ratio",
    "water": "quota_excess",
}


def _rule_region(value: str) -> str:
    if value != UNKNOWN_REGION and REGION_FORM.fullmatch(value) is None:
        raise ValueError(f"{value!r} is not a region code. Write CN, or a province such as CN-GX")
    return value


def _metric_unit(value: str) -> str:
    if value not in UNITS:
        raise ValueError(f"unknown unit {value!r}. Write one such as kWh/t or kgce/t")
    return value


class TariffIndustry(Named):
    """An industry that surcharges name and no limit of the packs is for."""


class TariffRule(Dated):
    """One rule of differential, tiered or punitive pricing, of water, or of the framework around them."""

    kind: RuleKind
    region: Annotated[Text, AfterValidator(_rule_region)]
    title_zh: Text
    doc_no: Text
    issuer: Text | None = None
    issued: Day | None = None

    industries: tuple[RowId, ...] = ()
    """`any`, or ids of industries; a framework without any concerns all."""
    industries_text: Text | None = None

    basis: Literal["equipment_class", "excess_ratio", "metric", "quota_excess"] | None = None
    """What the tier is found by; None only for a framework."""
    basis_text: Text | None = None
    basis_definition: Text | None = None
    basis_standard: Text | None = None
    basis_period: Literal["calendar_year", "previous_calendar_year"] | None = None
    """The year of consumption that decides the tier: that of the electricity charged, or the year before."""
    metric: RowId | None = None
    unit: Annotated[str, AfterValidator(_metric_unit)] | None = None
    """Of the tiers' bounds and the thresholds."""
    production_date_cut: Day | None = None

    tiers: tuple[Tier, ...] = ()
    phases: tuple[Phase, ...] = ()
    thresholds: tuple[Threshold, ...] = ()
    step_kwh: Amount | None = None
    step_surcharge: Amount | None = None
    threshold_rows: tuple[ThresholdRow, ...] = ()
    unknown: tuple[Text, ...] = ()
    """What of the rule as a whole was not found."""
    follows: RowId | None = None
    """The rule whose table this one takes over without a change."""
    multipliers: dict[RowId, Amount] = Field(default_factory=dict)
    """A framework's multiples of other rules' surcharges, by rule id."""
    multiplied_class: dict[RowId, Text] = Field(default_factory=dict)
    """Where a multiple is only for one class."""
    surcharge_range: SurchargeRange | None = None
    eliminated_equipment: tuple[EliminatedKind, ...] = ()
    concealment: Concealment | None = None
    renewables: Renewables | None = None
    renewables_ambiguity: Text | None = None
    late_payment: LatePayment | None = None

    billing_base: BillingBase | None = None
    billing_base_text: Text | None = None
    billing_base_options: tuple[Text, ...] = ()

    local_may_raise: bool = False
    supersedes: RowId | None = None
    superseded_for: tuple[Supersession, ...] = ()
    stopped_for: tuple[Supersession, ...] = ()
    displaces: Displacement | None = None
    yields_to: tuple[RuleKind, ...] = ()
    """Kinds that come first: an enterprise they flag is not judged by this rule."""
    gap_of: RowId | None = None
    """A framework that says the metrics a rule prices are not measured any more: see `gap_text`."""
    gap_text: Text | None = None

    tiered_part: TieredPart | None = None
    revenue_split: RevenueSplit | None = None
    scope: Text | None = None
    applies_when: Text | None = None
    replaces_text: Text | None = None
    stops: Text | None = None
    content: Text | None = None
    outcome: Text | None = None
    catalogue: Text | None = None
    calendar: Text | None = None
    listing: Text | None = None
    listed: Text | None = None
    release: Text | None = None
    who: Text | None = None
    processes: tuple[Text, ...] = ()
    dims: tuple[Text, ...] = ()
    rounding: Text | None = None
    formula: Text | None = None
    cap: Text | None = None
    side_effects: tuple[Text, ...] = ()
    prohibitions: tuple[Text, ...] = ()
    also: tuple[Text, ...] = ()

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        if self.kind in ("differential", "tiered", "punitive"):
            if self.effective_from is None:
                raise KeyFault("effective_from", "missing. Say from which day the rule is in force")
            if not self.industries:
                raise KeyFault("industries", 'missing. Name the industries, or ["any"]')
        wanted = _BASIS_OF.get(self.kind)
        if self.basis != wanted:
            raise KeyFault("basis", f"a rule of kind {self.kind} has basis {wanted or '(none)'}. Correct kind or basis")
        if (self.metric is None) != (self.unit is None):
            raise KeyFault("unit", "metric and unit go together. Give both")
        return self

    @model_validator(mode="after")
    def _has_one_table(self) -> Self:
        tables = sum(map(bool, (self.tiers, self.phases, self.thresholds, self.threshold_rows)))
        if tables > 1:
            raise KeyFault("tiers", "two tables of surcharges: tiers, phases, thresholds, threshold_rows. Keep one")
        if self.kind == "framework" and tables:
            raise KeyFault("kind", "a framework has no table of surcharges. Correct the kind")
        if self.kind != "framework" and not tables and not self.unknown and self.follows is None:
            raise KeyFault("kind", "no table of surcharges. Give tiers, or say in unknown what was not found")
        if self.kind == "tiered" and tables and self.basis_period is None:
            raise KeyFault("basis_period", "missing. Say calendar_year or previous_calendar_year")
        return self

    @model_validator(mode="after")
    def _steps_go_with_thresholds(self) -> Self:
        if len({bool(self.thresholds), self.step_kwh is not None, self.step_surcharge is not None}) > 1:
            raise KeyFault("thresholds", "thresholds, step_kwh and step_surcharge go together. Give all three")
        if self.step_kwh is not None and not self.step_kwh:
            raise KeyFault("step_kwh", "a step of zero. Give the size of a step")
        if self.metric is None and (self.thresholds or (self.kind == "tiered" and self.tiers)):
            raise KeyFault("metric", "missing. Name the metric the bounds are on, and its unit")
        return self

    def concerns(self, industry: str) -> bool:
        """Whether it is for an industry; a framework that names none is for all."""
        if not self.industries:
            return self.kind in ("framework", "water")
        return industry in self.industries or ANY_INDUSTRY in self.industries

    def least_confidence(self, *parts: Confidence | None) -> Confidence:
        """The confidence of what rests on the rule and on parts of it with one of their own."""
        found = [self.confidence, *(part for part in parts if part is not None)]
        return max(found, key="VSM".index)


class EdgePolicy(Identified):
    """What is done on an edge the source leaves ambiguous: ours, not the law's."""

    ambiguous: Text
    missing_threshold: Text
    unverified_rule: Text


class Precedence(Cited):
    """One step of the order of precedence among rules."""

    order: int
    text: Text
