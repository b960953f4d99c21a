"""Forecasts of the month that runs, from the accounts of its weeks and of those before."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from models.domain.accounts import Account, Period
from models.domain.findings import Reason
from models.domain.leads import LeadKind
from models.domain.register import Register
from models.law.verdict import LEVEL_WORDS
from monitor.accounts.ledger import Ledger
from monitor.intensity.concerns import Concern
from monitor.intensity.forecast import BLOCK_DAYS, CONFIDENCE, MOST_BLOCKS, Forecast, forecast
from monitor.intensity.judging import Judged, judge_account
from monitor.intensity.scopes import Catalogue

Metric = tuple[str, str]
"""Product and metric."""


@dataclass(frozen=True, slots=True)
class Running:
    """One metric of a month that runs, up to `as_of`, and where it will end."""

    judged: Judged
    as_of: dt.date
    forecast: Forecast

    def body(self) -> dict[str, Any]:
        """For machines; plainly a forecast."""
        verdict, period = self.judged.verdict, self.judged.period
        return {
            "forecast": True,
            "enterprise": self.judged.uscc,
            "period": Period.month(period.first.year, period.first.month).name,
            "as_of": self.as_of.isoformat(),
            "industry": self.judged.industry,
            "product": self.judged.product,
            "metric": self.judged.metric,
            "unit": verdict.unit,
            "standard": None if verdict.standard is None else verdict.standard.id,
            "confidence": CONFIDENCE,
            **dataclasses.asdict(self.forecast),
        }


def blocks_before(as_of: dt.date) -> list[Period]:
    """Whole blocks of days that end on `as_of`, newest first."""
    step = dt.timedelta(days=BLOCK_DAYS)
    day = dt.timedelta(days=1)
    return [Period(as_of - step * (n + 1) + day, as_of - step * n) for n in range(MOST_BLOCKS)]


def running_of(
    ledger: Ledger, register: Register, catalogue: Catalogue, regions: Mapping[str, str], month: Period, as_of: dt.date
) -> dict[str, list[Running]]:
    """Forecasts of `month` for the enterprises of `regions` (their region by code), from what is known up to `as_of`.

    Blocks whose output is not told, or only in part, or whose electricity is not all read, say nothing.
    """
    usccs = sorted(regions)
    so_far = _figures(ledger.accounts(usccs, Period(month.first, as_of), register), register, catalogue, regions)
    blocks: dict[str, dict[Metric, list[float]]] = defaultdict(lambda: defaultdict(list))
    told = [uscc for uscc in usccs if so_far[uscc]]
    for block in blocks_before(as_of):
        for uscc, found in _figures(ledger.accounts(told, block, register), register, catalogue, regions).items():
            for metric, judged in found.items():
                if (value := _value(judged)) is not None:
                    blocks[uscc][metric].append(value)
    days = (as_of - month.first).days + 1
    return {
        uscc: _forecasts(so_far[uscc], blocks[uscc], days / month.days, (month.days - days) / BLOCK_DAYS, as_of)
        for uscc in usccs
    }


def _figures(
    accounts: Iterable[Account], register: Register, catalogue: Catalogue, regions: Mapping[str, str]
) -> dict[str, dict[Metric, Judged]]:
    return {
        account.uscc: {
            (judged.product, judged.metric): judged
            for judged in judge_account(account, register, catalogue, regions[account.uscc])
        }
        for account in accounts
    }


def _value(judged: Judged) -> float | None:
    """The corrected figure where all of the output and all readings are there."""
    whole = judged.coverage is not None and judged.coverage >= 1
    return float(judged.verdict.actual) if whole and judged.verdict.actual is not None else None


def _forecasts(
    so_far: Mapping[Metric, Judged],
    blocks: Mapping[Metric, Sequence[float]],
    passed: float,
    blocks_to_come: float,
    as_of: dt.date,
) -> list[Running]:
    found: list[Running] = []
    for metric, judged in so_far.items():
        limit = judged.verdict.corrected_limit
        end = forecast(
            so_far=_value(judged),
            blocks=blocks.get(metric, ()),
            passed=passed,
            blocks_to_come=blocks_to_come,
            limit=None if limit is None or judged.at_most else float(limit),
        )
        if end is not None:
            found.append(Running(judged, as_of, end))
    return found


def forecast_concern(running: Running, threshold: float) -> Concern | None:
    """A forecast that is sure enough to be told, in words that say it is one; None below the threshold."""
    end, judged = running.forecast, running.judged
    if end.probability is None or end.probability < threshold or end.limit is None:
        return None
    unit, words = judged.verdict.unit or "", LEVEL_WORDS[judged.verdict.decisive]
    reason = Reason(
        "forecast",
        end.probability,
        "1",
        f"【预测，期末未到】截至 {running.as_of}，{judged.product} {judged.metric} 本期末预计 {end.expected:g}"
        f"（{CONFIDENCE:.0%} 区间 {end.low:g} 至 {end.high:g}）{unit}，{words[0]} {end.limit:g}，"
        f"超限概率 {end.probability:.0%}",
        f"[forecast, the period is not over] as of {running.as_of}, {judged.product} {judged.metric} is expected to "
        f"end at {end.expected:g} ({CONFIDENCE:.0%}: {end.low:g} to {end.high:g}) {unit}; {words[1]} is {end.limit:g}; "
        f"probability to exceed it {end.probability:.0%}",
    )
    return Concern(LeadKind.INTENSITY, 0.5, (reason,), judged.sites, probability=end.probability)
