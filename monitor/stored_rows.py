"""Leads and quarantine straight from the files of a state directory, with read-only connections.

The local API answers from here while the daemon runs, the command line does while it is stopped.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from models.domain.clock import Clock, SystemClock

Row = dict[str, Any]


class StoredRows:
    """Fits `monitor.ops.local_api.LocalData` and `monitor.cli.access.Access`; `status` is what the owner says."""

    def __init__(self, state_dir: Path, status: Callable[[], Row], clock: Clock | None = None) -> None:
        """`clock` says which silences are in force."""
        self._state_dir = state_dir
        self._status = status
        self._clock = clock or SystemClock()

    def status(self) -> Row:
        return self._status()

    def leads(self, **filters: Any) -> list[Row]:
        """Filters of `monitor.desk.queries.list_leads`; empty where there is no desk yet."""
        from monitor.desk.queries import list_leads

        with self._desk() as desk:
            return list_leads(desk, now_ms=self._clock.wall_ms(), **filters) if desk is not None else []

    def lead(self, lead_id: str) -> Row | None:
        """One lead with its trail; None where there is none."""
        from monitor.desk.queries import show_lead

        with self._desk() as desk:
            return show_lead(desk, lead_id, now_ms=self._clock.wall_ms()) if desk is not None else None

    def silences(self, *, ended: bool = False) -> list[Row]:
        """Silences, the newest first; those that are over only if asked for."""
        from monitor.desk.queries import silences_of

        with self._desk() as desk:
            return silences_of(desk, now_ms=self._clock.wall_ms(), ended=ended) if desk is not None else []

    def notices(self, *, limit: int = 100) -> list[Row]:
        """Notices that wait for a person, oldest first."""
        from monitor.desk.queries import refused_notices

        with self._desk() as desk:
            return refused_notices(desk, limit) if desk is not None else []

    def flags(self, *, limit: int = 1000, offset: int = 0, **filters: Any) -> list[Row]:
        """Tariff flags as they stand, those of a year's months with the year; empty where there is no desk yet.

        Filters: uscc, period, status.
        """
        from monitor.tariffs.flag import FlagStatus
        from monitor.tariffs.listing import periods_of
        from monitor.tariffs.store import standing

        status, period = filters.get("status"), filters.get("period")
        statuses = None if status is None else {FlagStatus(status)}
        periods = None if period is None else periods_of(period)
        with self._desk() as desk:
            if desk is None:
                return []
            with desk.begin() as connection:
                uscc = filters.get("uscc")
                return list(
                    standing(connection, uscc=uscc, periods=periods, statuses=statuses, limit=limit, offset=offset)
                )

    def flag(self, uscc: str, period: str) -> list[Row]:
        """Every revision of an enterprise's flags in a period, power before water; empty for none."""
        from monitor.tariffs.flag import FlagSubject, flag_id
        from monitor.tariffs.store import trail_of

        with self._desk() as desk:
            if desk is None:
                return []
            with desk.begin() as connection:
                return [row for one in FlagSubject for row in trail_of(connection, flag_id(uscc, period, one))]

    def quarantine(
        self, *, limit: int = 100, offset: int = 0, resolved: bool | None = None, **filters: Any
    ) -> list[Row]:
        """Entries newest first; filters of `monitor.journal.quarantine.list_quarantine`.

        Each has its last `retry`, None where there was none; `resolved` asks for those that were taken in since, or
        those that were not. What a publisher had refused beyond its bound follows the first page of open entries as
        counts, rows without an `id`.
        """
        from monitor.journal.quarantine import MAX_LIMIT, list_quarantine

        entries: list[Row] = []
        counts: list[Row] = []
        before_id: int | None = None
        while (missing := offset + limit - len(entries)) > 0:
            asked = min(MAX_LIMIT, missing) if resolved is None else MAX_LIMIT
            page = list_quarantine(self._state_dir, limit=asked, before_id=before_id, **filters)
            found = [row for row in page if row.get("id") is not None]
            if before_id is None:
                counts = [row for row in page if row.get("id") is None]
            entries += [row for row in self._with_retries(found) if resolved in (None, row["resolved"])]
            if len(found) < asked:
                break
            before_id = found[-1]["id"]
        return entries[offset : offset + limit] + (counts if offset == 0 and not resolved else [])

    def quarantined(self, entry_id: int) -> Row | None:
        """One entry with its raw bytes and its last `retry`; None where there is none."""
        from monitor.journal.quarantine import show_quarantine

        row = show_quarantine(self._state_dir, entry_id)
        return None if row is None else self._with_retries([row])[0]

    def _with_retries(self, entries: list[Row]) -> list[Row]:
        from monitor.desk.retries import ACCEPTED, retries_of

        found: dict[int, Row] = {}
        with self._desk() as desk:
            if desk is not None:
                with desk.begin() as connection:
                    found = retries_of(connection, [row["id"] for row in entries])
        retries = [found.get(row["id"]) for row in entries]
        return [
            row | {"retry": retry, "resolved": retry is not None and retry["outcome"] == ACCEPTED}
            for row, retry in zip(entries, retries, strict=True)
        ]

    @contextlib.contextmanager
    def _desk(self) -> Iterator[sa.Engine | None]:
        from monitor.desk.database import read_desk

        try:
            desk = read_desk(self._state_dir)
        except FileNotFoundError:
            yield None
            return
        try:
            yield desk
        finally:
            desk.dispose()
