"""Each industry of the limits, from MQTT messages to verdict, and by a late correction to a lead and back."""

from __future__ import annotations

import importlib.resources
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from models.domain.accounts import Period
from models.law.case import Case, Measured, case_of
from models.law.judge import judge_limit
from models.law.library import shipped_law
from models.law.limit_rows import Limit
from models.law.verdict import LimitVerdict
from models.law.vocabulary import Industry
from monitor.intensity.scopes import Counts, counts_of
from tests.support.intensity import daily_registers as registers
from tests.support.intensity import judged, kwh_of, leads, opened, states, told

LAW = shipped_law()
INDUSTRIES = sorted(LAW.table(Industry))
EQUIVALENT = Decimal("0.1229")
RAW_COAL = Decimal("0.7143")


@dataclass(frozen=True)
class Told:
    """What a plant reports so that its figure is `actual`: output, and coal burnt or given back, in tonnes."""

    quantity: Decimal
    coal_t: Decimal
    recovered: bool

    def row(self, case: Case, unit: str, share: Decimal = Decimal(1), **more: Any) -> dict[str, Any]:
        fuel = {"fuel": "raw-coal", "quantity": float(self.coal_t), "unit": "t", "recovered": self.recovered}
        if case.product == "bf_ferromanganese":
            fuel["fuel"] = "coke"
        quantity = float((self.quantity * share).quantize(Decimal("0.001")))
        row = {"product": case.product, "quantity": quantity, "unit": unit.split("/")[1], "fuels": [fuel]}
        return row | more


def example(industry: str) -> tuple[Case, Measured, str]:
    """The industry's example facts, its first metric with its limit's unit, over the month of its last day."""
    file = importlib.resources.files("models.law").joinpath("examples", f"{industry}.toml")
    case = case_of(file.name, file.read_bytes(), LAW)
    measured = case.measured[0]
    units = {one.metric: one.unit for one in LAW.limits_by_product[case.industry, case.product]}
    metric = measured.metric or next(iter(units))
    month = Period.month(case.period_to.year, case.period_to.month)
    shorter = case.model_copy(update={"period_from": month.first, "period_to": month.last})
    return shorter, measured.model_copy(update={"metric": metric}), units[metric]


def wanted(case: Case, measured: Measured) -> tuple[Decimal, LimitVerdict]:
    """The figure of the example and what the law alone says of it."""
    plain = measured.model_copy(update={"meter_class": None, "coverage": None, "uncertainty_pct": None})
    verdict = judge_limit(LAW, case, plain)
    assert verdict.actual_reported is not None, verdict
    return verdict.actual_reported, verdict


def report(case: Case, metric: str, unit: str, actual: Decimal, kwh: Decimal) -> Told:
    counts = counts_of(metric, unit)
    if counts is Counts.ELECTRICITY:
        return Told((kwh / actual).quantize(Decimal("0.000001")), Decimal(0), recovered=False)
    power = kwh * EQUIVALENT if counts is Counts.ALL else Decimal(0)
    scale = Decimal("0.001") if unit.startswith("gce") else Decimal(1)
    size = Decimal(1_000_000) if unit.endswith("kWh") else Decimal(20_000)
    coal = (actual * scale * size - power) / RAW_COAL / 1000
    return Told(size, abs(coal).quantize(Decimal("0.000001")), recovered=coal < 0)


@pytest.mark.parametrize("industry", INDUSTRIES)
def test_from_messages_to_verdict_and_by_a_correction_to_a_lead(industry: str, tmp_path: Path) -> None:
    case, measured, unit = example(industry)
    month = Period(case.period_from, case.period_to)
    actual, law_says = wanted(case, measured)
    assert measured.metric is not None
    reported = report(case, measured.metric, unit, actual, kwh_of(month))
    declared = dict(case.facts) | {"plant": case.plant, "region": case.region}
    plant = opened(
        tmp_path,
        case.product,
        [registers(month), told(month, **reported.row(case, unit))],
        declared=declared,
    )
    with plant:
        found = {one["metric"]: one for one in judged(plant, month)}
        one = found[measured.metric]
        assert plant.refusals() == []
        assert one["status"] == law_says.status, one["reason_en"]
        assert Decimal(one["actual_reported"]) == pytest.approx(actual, rel=Decimal("1e-3"))
        assert Decimal(one["corrected_limit"]) == law_says.corrected_limit
        assert (one["revision"], one["cause"]) == (1, "first")
        assert one["steps"]
        raised = ("intensity", "raised") in states(plant)
        assert raised is any(other["status"] == "exceeds" for other in found.values())

        limit = law_says.corrected_limit
        assert limit is not None
        worse = reported.row(case, unit, Decimal("0.2"), rev=1)
        if limit <= 0:
            worse["fuels"] = [{"fuel": "raw-coal", "quantity": 1000, "unit": "t"}]
        plant.feed(told(month, after_days=20, **worse))
        after = {one["metric"]: one for one in judged(plant, month)}[measured.metric]
        assert after["status"] == "exceeds", after["reason_en"]
        assert (after["revision"], after["cause"]) == (2, "data")
        lead = next(lead for lead in leads(plant) if lead["kind"] == "intensity")
        assert lead["standing"] == "raised"
        assert lead["month"] == month.name
        codes = [reason["code"] for reason in lead["reasons"]]
        assert codes[0] == "over_limit"
        assert {"step", "level", "citation"} <= set(codes)

        plant.feed(told(month, after_days=25, **reported.row(case, unit, rev=2)))
        back = {one["metric"]: one for one in judged(plant, month)}[measured.metric]
        assert (back["status"], back["revision"]) == (law_says.status, 3)
        assert (("intensity", "raised") in states(plant)) is raised


def test_every_industry_of_the_limits_has_its_case() -> None:
    assert {limit.industry for limit in LAW.table(Limit).values()} == set(INDUSTRIES)
    assert len(INDUSTRIES) == 31
