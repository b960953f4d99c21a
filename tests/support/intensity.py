"""A plant of one line whose product, facts, energy and output are given, and what the core makes of its months."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from models.domain.accounts import Period
from models.domain.readings import RawMessage
from models.domain.register import (
    Allocation,
    Declared,
    Enterprise,
    Line,
    Meter,
    Publisher,
    Register,
    RegisterRows,
    Reporter,
    Site,
)
from monitor.desk.queries import list_leads, show_lead
from monitor.intensity import rows
from tests.support.plant import USCC, ZONE, Plant, midnight_ms, output, readings

KW = Decimal(100)
"""Power of the plant's one meter, all the time."""


def plant_register(product: str, *, district: str = "330100", declared: Mapping[str, Any] | None = None) -> Register:
    """One enterprise, site, meter and line; `declared` are facts of the register's sheet of that name."""
    rows_ = RegisterRows(
        enterprises=(Enterprise(uscc=USCC, name="某某有限公司", trade="C3011", district=district),),
        sites=(Site(site="works", uscc=USCC, name="一厂"),),
        meters=(Meter(meter="main", site="works", publisher="bureau", cadence_s=86_400),),
        lines=(Line(line="L1", site="works", product=product),),
        publishers=(Publisher(publisher="bureau", may_revise=True), Publisher(publisher="plant")),
        allocations=(Allocation(meter="main", line="L1"),),
        reporters=(Reporter(site="works", publisher="plant"),),
        declared=tuple(Declared(uscc=USCC, fact=fact, value=_word(value)) for fact, value in (declared or {}).items()),
    )
    return Register(rows_, ZONE, "v1")


def _word(value: Any) -> str:
    return ("是" if value else "否") if isinstance(value, bool) else str(value)


def kwh_of(period: Period) -> Decimal:
    """What the meter counts in a period."""
    return KW * 24 * period.days


def daily_registers(period: Period) -> RawMessage:
    """The meter's register at each midnight of a period, both ends included, sent a day after its end."""
    rows_ = [
        {"meter": "main", "ts": midnight_ms(day), "e_imp_kwh": float(1000 + KW * 24 * number)}
        for number, day in enumerate(period.first + dt.timedelta(days=n) for n in range(period.days + 1))
    ]
    return readings(rows_, received_ms=midnight_ms(period.end) + 86_400_000)


def told(period: Period, *, publisher: str = "bureau", after_days: int = 2, **more: Any) -> RawMessage:
    """A report of the line's output of a whole period, received some days after its end."""
    row = {"line": "L1", "from": f"{period.first}", "to": f"{period.last}"} | more
    return output(row, publisher=publisher, received_ms=midnight_ms(period.end) + after_days * 86_400_000)


def judged(plant: Plant, period: Period) -> list[dict[str, Any]]:
    """Judge what is over when `period` is, and give every verdict that stands of it."""
    plant.rest()
    plant.core.intensity.finish(midnight_ms(period.end))
    return verdicts(plant, period=period.name)


def verdicts(plant: Plant, **filters: Any) -> list[dict[str, Any]]:
    """Stored verdicts."""
    with plant.core.engine.begin() as connection:
        return rows.verdicts_of(connection, **filters)


def leads(plant: Plant) -> list[dict[str, Any]]:
    """Every lead with its trail, by kind."""
    found = list_leads(plant.core.engine, now_ms=0, limit=100)
    whole = [show_lead(plant.core.engine, lead["id"], now_ms=0) for lead in found]
    return sorted((lead for lead in whole if lead is not None), key=lambda lead: (lead["kind"], lead["site"]["id"]))


def states(plant: Plant) -> list[tuple[str, str]]:
    """Kind and machine's standing of every lead."""
    return [(lead["kind"], lead["standing"]) for lead in leads(plant)]


def opened(path: Path, product: str, messages: Sequence[RawMessage], **register: Any) -> Plant:
    """A core that has taken in some messages."""
    return Plant(path, plant_register(product, **register)).feed(*messages)
