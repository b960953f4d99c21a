"""A register, findings and a desk to put them in."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from models.domain.clock import Clock, ManualClock
from models.domain.findings import Finding, Reason, Status
from models.domain.leads import LeadKind
from models.domain.nights import Night, night_of_date
from models.domain.register import Enterprise, EnterpriseStatus, Meter, Register, RegisterRows, Site
from monitor.desk.outbox_rows import OutboxState
from monitor.desk.schema import OUTBOX
from monitor.desk.store import Desk, LeadChange
from monitor.leads import LeadPolicy, NightFinding

ZONE = ZoneInfo("Asia/Shanghai")
FIRST = dt.date(2026, 1, 20)
FURNACE = LeadKind.FURNACE_MELT.value
DETECTORS = ("quality", "sealed_site", FURNACE, "meter_silent")
SITES = 4
NOW_MS = 1_768_900_000_000
"""2026-01-20 17:06 in Shanghai: the wall clock of a desk that is given none."""


def site_of(meter: str) -> str:
    """Meters M0, M1 stand at S0, the next two at S1, and so on."""
    return f"S{int(meter[1:]) // 2}"


def register(name: str = "某某金属制品有限公司") -> Register:
    """Four sites of two meters each; the site S3 belongs to a closed enterprise."""
    rows = RegisterRows(
        enterprises=(
            Enterprise(uscc="91330100MA0000001X", name=name, trade="3391"),
            Enterprise(
                uscc="91330100MA0000002X", name="停产公司", status=EnterpriseStatus.CLOSED, since=dt.date(2025, 6, 1)
            ),
        ),
        sites=tuple(
            Site(site=f"S{i}", uscc=f"91330100MA000000{2 if i == 3 else 1}X", name=f"{i}号厂区") for i in range(SITES)
        ),
        meters=tuple(Meter(meter=f"M{i}", site=site_of(f"M{i}"), publisher="bureau") for i in range(2 * SITES)),
    )
    return Register(rows, ZONE, version="r1")


def night(offset: int) -> Night:
    """The night `offset` days after 2026-01-20."""
    return night_of_date(FIRST + dt.timedelta(days=offset), ZONE)


def finding(
    offset: int,
    meter: str = "M0",
    *,
    detector: str = FURNACE,
    status: Status = Status.SUSPECT,
    score: float = 0.8,
    mismatch: float = 1.0,
    measures: Mapping[str, float] | None = None,
) -> NightFinding:
    """What a detector might say of one meter and night."""
    when = night(offset)
    reasons = (Reason("heats", 6.0, "1", f"{meter}：6 炉次", f"{meter}: 6 heats"),)
    said = Finding(detector, meter, when.date, status, score, None, mismatch, reasons, measures or {"p_max_kw": 812.4})
    digest = f"{offset:02x}{int(meter[1:]):02x}" * 16
    return NightFinding(said, site_of(meter), digest, when.end_ms)


def desk_on(
    engine: sa.Engine,
    *,
    sinks: Sequence[str] = ("file",),
    clock: Clock | None = None,
    policy: LeadPolicy | None = None,
    versions: Mapping[str, str] | None = None,
) -> Desk:
    """A desk with the usual settings."""
    return Desk(
        engine,
        sinks=sinks,
        policy=policy or LeadPolicy(),
        versions=versions or {"software": "1"},
        clock=clock or ManualClock(NOW_MS),
        district="330100",
    )


def commit(desk: Desk, offset: int, *findings: NightFinding, judged: Sequence[str] | None = None) -> list[LeadChange]:
    """Judge every meter, or those named, for one night."""
    meters = judged if judged is not None else [f"M{i}" for i in range(2 * SITES)]
    return desk.commit_night(
        night=night(offset), judged=meters, detectors=DETECTORS, findings=findings, register=register()
    )


def without_stamps(leads: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Leads without what the wall clock wrote."""
    return [{k: v for k, v in lead.items() if k not in {"raised_at", "revised_at"}} for lead in leads]


def moved(item: NightFinding, **changes: Any) -> NightFinding:
    """The same finding with other fields."""
    return dataclasses.replace(item, finding=dataclasses.replace(item.finding, **changes))


def everything(engine: sa.Engine) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of all tables."""
    with engine.begin() as connection:
        names = sa.inspect(connection).get_table_names()
        return {
            name: sorted(tuple(row) for row in connection.execute(sa.text(f'SELECT * FROM "{name}"'))) for name in names
        }


def copy_of(template: Path, target: Path) -> Path:
    """A state directory that begins with the desk of another, which no one has open."""
    target.mkdir()
    (target / "desk.sqlite").write_bytes((template / "desk.sqlite").read_bytes())
    return target


def counts(engine: sa.Engine) -> dict[tuple[str, OutboxState], int]:
    """How many notices each sink has in each state."""
    query = sa.select(OUTBOX.c.sink, OUTBOX.c.state, sa.func.count()).group_by(OUTBOX.c.sink, OUTBOX.c.state)
    with engine.begin() as connection:
        return {(sink, OutboxState(state)): int(number) for sink, state, number in connection.execute(query)}
