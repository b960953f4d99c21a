"""Short ways to put a case for the surcharge tests."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from models.law.library import Law, shipped_law
from models.law.tariff_facts import Figure, TariffFacts
from models.law.tariff_judge import judge_tariff
from models.law.tariff_verdict import TariffJudgement, TariffVerdict
from models.law.verdict import LimitVerdict

LAW = shipped_law()
ALUMINIUM = "electrolytic_aluminium"
TINY = Decimal("0.0000001")


def facts_of(year: int, industry: str, region: str = "CN", **more: Any) -> TariffFacts:
    """Facts of a whole calendar year, unless the period is given."""
    period = {"period_from": date(year, 1, 1), "period_to": date(year, 12, 31)}
    return TariffFacts(industry=industry, region=region, **{**period, **more})


def judged(
    year: int, industry: str, region: str = "CN", *, law: Law = LAW, by_limit: LimitVerdict | None = None, **more: Any
) -> TariffJudgement:
    return judge_tariff(law, facts_of(year, industry, region, **more), by_limit)


def electricity(year: int, industry: str, region: str = "CN", **more: Any) -> TariffVerdict:
    return judged(year, industry, region, **more).electricity


def figures(value: str | Decimal, **more: Any) -> tuple[Figure, ...]:
    return (Figure(value=Decimal(value), **more),)
