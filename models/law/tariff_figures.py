"""The figure of consumption that decides a tier: on the rule's metric, of the rule's year, in its unit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from models.law.steps import Missing
from models.law.tariff_case import TariffCase, cite_rule, wants
from models.law.tariff_facts import Figure
from models.law.tariff_parts import Threshold, ThresholdRow, Tier
from models.law.tariff_rows import TariffRule
from models.law.tariff_verdict import TariffVerdict
from models.law.units import UnitMismatchError, factor_between


@dataclass(frozen=True, slots=True)
class TierTable:
    """What the consumption is held against: metric and unit, and tiers or a line with steps."""

    metric: str
    unit: str
    tiers: tuple[Tier, ...] = ()
    line: Threshold | None = None
    row: ThresholdRow | None = None


@dataclass(frozen=True, slots=True)
class UsedFigure:
    """The figure that decides, in the table's unit."""

    figure: Figure
    value: Decimal
    year: int
    assumptions: tuple[str, ...]
    notes: tuple[str, ...]


def base_year(case: TariffCase, table: TariffRule) -> int:
    """The year of consumption the rule asks for."""
    return case.on.year - (table.basis_period == "previous_calendar_year")


def deciding_figure(
    case: TariffCase, rule: TariffRule, table: TariffRule, against: TierTable
) -> UsedFigure | TariffVerdict:
    """The figure of the base year, in the table's unit; or what is missing."""
    facts, year = case.facts, base_year(case, table)
    fitting = [one for one in facts.figures if one.metric in (None, against.metric)]
    chosen = next((one for one in fitting if one.year == year), None)
    chosen = chosen or next((one for one in fitting if one.year is None), None)
    notes: tuple[str, ...] = ()
    if chosen is None and facts.decision_date is not None and facts.decision_date > facts.period_to:
        own = case.on.year
        chosen = next((one for one in fitting if one.year == own), None)
        notes = (f"期后按当年用能决定（{own} 年） / decided after the period, by its own consumption ({own})",)
    if chosen is None:
        key = f"figures.{against.metric}"
        zh = f"{year} 年的{table.basis_text or against.metric}"
        missing = Missing(key, zh, f"{against.metric} of {year} in {against.unit}", "energy inspection")
        verdict = wants("tiered", rule, missing, asked=bool(fitting))
        return replace(verdict, citations=tuple(dict.fromkeys((*verdict.citations, cite_rule(table)))))
    try:
        value = chosen.value * factor_between(chosen.unit, against.unit)
    except UnitMismatchError as error:
        missing = Missing("figures.unit", f"以 {against.unit} 表示的数值", f"the figure in {against.unit}", str(error))
        return wants("tiered", rule, missing, asked=True)
    assumptions = []
    if chosen.metric is None:
        assumptions.append(f"指标按规则所用：{against.metric} / the figure is taken to be {against.metric}")
    if chosen.year is None:
        assumptions.append(f"数值按 {year} 年计 / the figure is taken to be of {year}")
    line = against.line
    if line is not None and line.excludes_desulfurisation:
        if chosen.excludes_desulfurisation is None:
            assumptions.append("数值按不含脱硫电耗计 / the figure is taken to leave desulfurisation out")
        elif chosen.excludes_desulfurisation is False and value > line.threshold:
            what = "不含脱硫电耗的数值", "the figure without desulfurisation"
            return wants(
                "tiered", rule, Missing("figures.excludes_desulfurisation", *what, "energy inspection"), asked=True
            )
    if line is not None and line.excludes_confidence not in (None, "V"):
        assumptions.append(
            f"{year} 年的线是否含脱硫电耗未见明文 / the text was not found to say whether desulfurisation counts"
        )
    used_year = year if chosen.year is None else chosen.year
    return UsedFigure(chosen, value, used_year, tuple(assumptions), notes)
