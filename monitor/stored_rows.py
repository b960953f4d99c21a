"""Leads and quarantine straight from the files of a state directory, with read-only connections.

The local API answers from here while the daemon runs, the command line does while it is stopped.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa

Row = dict[str, Any]


class StoredRows:
    """Fits `monitor.ops.local_api.LocalData` and `monitor.cli.access.Access`; `status` is what the owner says."""

    def __init__(self, state_dir: Path, status: Callable[[], Row]) -> None:
        self._state_dir = state_dir
        self._status = status

    def status(self) -> Row:
        return self._status()

    def leads(self, **filters: Any) -> list[Row]:
        """Filters of `monitor.desk.queries.list_leads`; empty where there is no desk yet."""
        from monitor.desk.queries import list_leads

        with self._desk() as desk:
            return list_leads(desk, **filters) if desk is not None else []

    def lead(self, lead_id: str) -> Row | None:
        """One lead with its trail; None where there is none."""
        from monitor.desk.queries import show_lead

        with self._desk() as desk:
            return show_lead(desk, lead_id) if desk is not None else None

    def quarantine(self, *, limit: int = 100, offset: int = 0, **filters: Any) -> list[Row]:
        """Entries newest first; filters of `monitor.journal.quarantine.list_quarantine`.

        What a publisher had refused beyond its bound follows the first page as counts, rows without an `id`.
        """
        from monitor.journal.quarantine import MAX_LIMIT, list_quarantine

        entries: list[Row] = []
        counts: list[Row] = []
        before_id: int | None = None
        while (missing := offset + limit - len(entries)) > 0:
            asked = min(MAX_LIMIT, missing)
            page = list_quarantine(self._state_dir, limit=asked, before_id=before_id, **filters)
            found = [row for row in page if row.get("id") is not None]
            if before_id is None:
                counts = [row for row in page if row.get("id") is None]
            entries += found
            if len(found) < asked:
                break
            before_id = found[-1]["id"]
        return entries[offset:] + (counts if offset == 0 else [])

    def quarantined(self, entry_id: int) -> Row | None:
        """One entry with its raw bytes; None where there is none."""
        from monitor.journal.quarantine import show_quarantine

        return show_quarantine(self._state_dir, entry_id)

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
