"""Reports on their way from the journal to the desk: gathered, and written a transaction at a time."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from models.domain.production import PlacedReport, Report
from models.domain.readings import RawMessage
from monitor.accounts import report_rows
from monitor.desk.database import desk_transaction
from monitor.fault_points import FaultPoint, hit


class ReportWriter:
    """Keeps what waits until `flush`; what the desk knows already is not written again, so that a journal record may
    be applied any number of times."""

    def __init__(self, engine: sa.Engine, zone: ZoneInfo) -> None:
        self._engine = engine
        self._zone = zone
        self._waiting: list[Report] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def take(self, reports: Sequence[PlacedReport], messages: Sequence[RawMessage], seq: int) -> None:
        """The reports of one committed group."""
        self._waiting += [
            dataclasses.replace(placed.report, seq=seq, received_ms=messages[placed.message].received_ms)
            for placed in reports
        ]

    def flush(self) -> None:
        """Write what waits; where the desk cannot take it (`StoreFull`) it goes on waiting."""
        if not self._waiting:
            return
        with desk_transaction(self._engine) as connection:
            report_rows.put(connection, self._waiting, self._zone)
            hit(FaultPoint.BEFORE_APPLY)
        self._waiting = []
