"""Cases for limits: facts under which a limit applies and no correction changes it."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from models.law.case import Case
from models.law.conditions import Condition, FactValue
from models.law.correction_rows import Correction
from models.law.judge import judge_limits
from models.law.library import Law, shipped_law
from models.law.limit_rows import Limit, Standard
from models.law.lookup import span_of
from models.law.verdict import LimitVerdict
from models.law.vocabulary import FactName

STILL = Decimal("0.001")


def judged(
    product: str,
    actual: str | Decimal,
    unit: str,
    *,
    industry: str | None = None,
    metric: str | None = None,
    plant: str = "existing",
    on: str = "2026-09-01",
    until: str | None = None,
    region: str = "CN",
    law: Law | None = None,
    decision: str | None = None,
    measured: dict[str, Any] | None = None,
    **facts: FactValue | int | str,
) -> LimitVerdict:
    """The verdict on one metric of one product; a fact may be a number as text."""
    law = law or shipped_law()
    found = industry or next(limit.industry for limit in law.table(Limit).values() if limit.product == product)
    names = law.table(FactName)
    case = Case.model_validate(
        {
            "industry": found,
            "product": product,
            "region": region,
            "plant": plant,
            "period_from": on,
            "period_to": until or on,
            **({} if decision is None else {"decision_date": decision}),
            "measured": [{"metric": metric, "actual": Decimal(actual), "unit": unit, **(measured or {})}],
            "facts": {name: fact_value(names[name], value) for name, value in facts.items()},
        }
    )
    (verdict,) = judge_limits(law, case)
    return verdict


def fact_value(name: FactName, value: object) -> FactValue:
    """A fact of the kind its name asks for."""
    if name.kind == "number":
        return Decimal(str(value))
    return value if isinstance(value, bool) else str(value)


def within(condition: Condition) -> FactValue:
    """A value that meets a condition."""
    if condition.values is not None:
        return condition.values[0]
    low, high = condition.low, condition.high
    if low is None:
        assert high is not None
        return high if condition.le_bound else high - STILL
    return low if condition.ge_bound else low + STILL


def outside(condition: Condition) -> FactValue:
    """A value that does not meet a condition."""
    if condition.values is not None:
        (value,) = condition.values
        if isinstance(value, bool):
            return not value
        choices = shipped_law().table(FactName)[condition.fact].choices
        return next(choice for choice in choices if choice != value)
    low = condition.low
    assert low is not None
    return low if not condition.ge_bound else low - STILL


def neutral(correction: Correction) -> dict[str, FactValue]:
    """Facts under which a correction changes nothing."""
    facts = {one.fact: within(one) for one in correction.valid_when}
    match correction.op:
        case "per_unit":
            facts[str(correction.input)] = correction.base or Decimal(0)
        case "factor":
            facts[str(correction.input)] = Decimal(1)
        case "choices":
            facts[str(correction.input)] = next(one.choice for one in correction.choices if not one.add)
        case "bands":
            band = next(one for one in correction.bands if not one.add)
            facts[str(correction.input)] = (band.high or Decimal(1)) - STILL
        case "table":
            facts[str(correction.input)] = next(x for x, y in correction.points if not y)
        case "constant" | "multiply":
            facts.update({one.fact: outside(one) for one in correction.when})
        case "declared":
            facts[str(correction.input)] = True
        case "formula":
            if correction.when:
                facts.update({one.fact: outside(one) for one in correction.when})
            else:
                facts.update(dict.fromkeys(correction.inputs, Decimal(0)))
    return facts


def plain_case(limit: Limit, actual: Decimal, plant: str, law: Law) -> Case:
    """A case to which a limit applies on the first day its standard is in force, without any correction."""
    standards = law.table(Standard)
    first: date = span_of(standards[limit.standard], standards).first
    facts: dict[str, FactValue] = {}
    for name in limit.corrections:
        facts.update(neutral(law.table(Correction)[name]))
    facts.update({one.fact: within(one) for one in limit.when})
    return Case.model_validate(
        {
            "industry": limit.industry,
            "product": limit.product,
            "plant": plant,
            "period_from": first,
            "period_to": first,
            "measured": [{"metric": limit.metric, "actual": actual, "unit": limit.unit}],
            "facts": facts,
        }
    )
