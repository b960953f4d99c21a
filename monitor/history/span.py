"""Readings of a span for somebody who asks, read on another thread than the one that writes them.

Each question is one snapshot, answered whole and bounded in rows, so that no question holds the history for long.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa

from monitor.history.query import ORDER, both_stores
from monitor.history.schema import channel_columns, duckdb_errors
from monitor.history.seal import files_between

MAX_ROWS: Final = 100_000
"""Rows one answer may have."""
MAX_ROWS_A_MINUTE: Final = 2_000_000
"""Rows the answer to a minute or less may have: a wave of a million meters cannot be cut by time."""
_MINUTE_MS: Final = 60_000


class SpanTooLarge(ValueError):  # noqa: N818 - reads as the condition it names
    """The span holds more rows than one answer may have: ask for a shorter one."""


class SpanReader:
    """Answers questions about spans, one at a time, from any thread. `cursor` is its own on the history's database."""

    def __init__(self, state_dir: Path, cursor: duckdb.DuckDBPyConnection) -> None:
        self._state_dir = state_dir
        self._cursor = cursor
        self._lock = threading.Lock()

    def read(self, start_ms: int, end_ms: int, *, meters: Sequence[str] | None, wait_s: float = 10.0) -> pa.Table:
        """Rows with `ts_ms` in (start, end] of some meters (None: all), sorted by (interval_s, meter, ts_ms, rev, seq).

        Columns: `meter` (string), `ts_ms, interval_s, rev, seq, flags`, then every channel ever stored, null where a
        row does not carry it. Raises SpanTooLarge, TimeoutError where another question takes that long, and what the
        stores raise.
        """
        if not self._lock.acquire(timeout=wait_s):
            raise TimeoutError("another question about the history is being answered")
        try:
            with duckdb_errors(self._state_dir):
                return self._snapshot(start_ms, end_ms, meters)
        finally:
            self._lock.release()

    def _snapshot(self, start_ms: int, end_ms: int, meters: Sequence[str] | None) -> pa.Table:
        most = MAX_ROWS if end_ms - start_ms > _MINUTE_MS else MAX_ROWS_A_MINUTE
        with contextlib.closing(self._cursor.cursor()) as cursor:
            cursor.begin()
            ranked = _ranked(cursor, meters)
            cursor.register("ranked", ranked)
            files = files_between(cursor, self._state_dir, start_ms, end_ms)
            query = both_stores(files, channel_columns(cursor), start_ms, end_ms, None)
            table: pa.Table = cursor.sql(f"SELECT * FROM {_nested(query)} LIMIT {most + 1:d}").to_arrow_table()  # noqa: S608 -- made of names and integers of ours
            cursor.rollback()
        if table.num_rows > most:
            raise SpanTooLarge(f"more than {most} rows between {start_ms} and {end_ms}; ask for a shorter span")
        table = table.sort_by([(name, "ascending") for name in ORDER])
        rank = table.column("meter").to_numpy()
        return table.set_column(0, "meter", ranked.column("name").take(pa.array(rank, pa.int32())))


def _nested(query: str) -> str:
    return query if query.startswith("(") else f"({query})"


def _ranked(cursor: duckdb.DuckDBPyConnection, meters: Sequence[str] | None) -> pa.Table:
    """A table (meter_id, name, rank) of the meters asked for, by name; made without Python holding its lock."""
    chosen = "meter"
    if meters is not None:
        cursor.register("asked", pa.table({"name": pa.array(sorted(set(meters)), pa.string())}))
        chosen = "meter JOIN asked USING (name)"
    ranked: pa.Table = cursor.sql(
        f"SELECT meter_id, name, (row_number() OVER (ORDER BY name) - 1)::INTEGER AS rank FROM {chosen} ORDER BY name"  # noqa: S608 -- constants
    ).to_arrow_table()
    return ranked
