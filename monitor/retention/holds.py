"""What must not go yet: the readings behind leads that nobody has settled."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import sqlalchemy as sa

from models.domain.leads import LeadState
from models.domain.nights import night_of_date
from monitor.desk.lead_rows import STANDING_RAISED
from monitor.desk.schema import LEAD_REVISIONS, LEADS
from monitor.history.history import History

POOL_NIGHTS: Final = 21
"""Nights before a lead's first that its evidence looks back on."""

_WORKED_ON: Final = (LeadState.CLAIMED.value, LeadState.ESCALATED.value)
_WAITING: Final = (LeadState.OPEN.value, "stale")


@dataclass(frozen=True, slots=True)
class Hold:
    """The nights and meters one lead rests on; both nights are included."""

    lead: str
    meters: tuple[str, ...]
    first: dt.date
    last: dt.date

    def days(self) -> set[dt.date]:
        """UTC days that hold readings of these nights."""
        return {self.first + dt.timedelta(days=n) for n in range(-1, (self.last - self.first).days + 2)}

    def span_ms(self, zone: ZoneInfo) -> tuple[int, int]:
        """Start and end of the nights, Unix ms."""
        return night_of_date(self.first, zone).start_ms, night_of_date(self.last, zone).end_ms


def evidence_holds(connection: sa.Connection, before: dt.date) -> list[Hold]:
    """Leads that stand open or are worked on, and whose evidence reaches back before `before`."""
    latest = sa.and_(LEAD_REVISIONS.c.lead_id == LEADS.c.id, LEAD_REVISIONS.c.revision == LEADS.c.revision)
    unsettled = sa.or_(
        LEADS.c.handling.in_(_WORKED_ON),
        sa.and_(LEADS.c.handling.in_(_WAITING), LEADS.c.standing == STANDING_RAISED),
    )
    reach = before + dt.timedelta(days=31 + POOL_NIGHTS)
    query = (
        sa.select(LEADS.c.id, LEAD_REVISIONS.c.body)
        .join_from(LEADS, LEAD_REVISIONS, latest)
        .where(unsettled, LEADS.c.month <= f"{reach:%Y-%m}")
        .order_by(LEADS.c.id)
    )
    holds = [_hold(lead, msgspec.json.decode(body)) for lead, body in connection.execute(query)]
    return [hold for hold in holds if hold.first < before]


def _hold(lead: str, body: dict[str, Any]) -> Hold:
    return Hold(
        lead,
        tuple(body["meters"]),
        dt.date.fromisoformat(body["first_night"]) - dt.timedelta(days=POOL_NIGHTS),
        dt.date.fromisoformat(body["last_night"]),
    )


def held_records(history: History, hold: Hold, zone: ZoneInfo) -> list[int]:
    """The journal records that the readings of a hold came from, in order."""
    start_ms, end_ms = hold.span_ms(zone)
    table = history.read(start_ms, end_ms, meters=hold.meters)
    return [int(seq) for seq in np.unique(table.column("seq").to_numpy())]
