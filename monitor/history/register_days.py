# ruff: noqa: S608 -- SQL is put together from integers and file names of the manifest only
"""What the import registers of meters showed each local day: first, last, least and most; for accounts of energy.

A day's row costs a pass over the column and no sorting, whatever the cadence; what it cannot tell apart (which way a
register fell within the day) is left to `readings`, which is asked only for the few days that need it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from monitor.history.query import both_stores
from monitor.history.schema import columns_of, lent
from monitor.history.seal import PARTS_NAME

CHANNEL: Final = "e_imp_kwh"
_DAY_MS: Final = 86_400_000
_EPOCH: Final = dt.date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class RegisterDays:
    """Rows (n,) by meter and local day; a stamp of midnight belongs to the day before.

    `meter` ranks into `names`; `day` days since 1970-01-01; stamps Unix ms; values primary kWh. `contested`: stamps of
    the day whose highest revision has more than one value; they are in none of the numbers.
    """

    names: Sequence[str]
    meter: NDArray[np.int64]
    day: NDArray[np.int64]
    first_ms: NDArray[np.int64]
    last_ms: NDArray[np.int64]
    first_kwh: NDArray[np.float64]
    last_kwh: NDArray[np.float64]
    least_kwh: NDArray[np.float64]
    most_kwh: NDArray[np.float64]
    readings: NDArray[np.int64]
    contested: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.meter)


class RegisterReader:
    """Reads day rows and readings of registers through a DuckDB cursor of its own. For one thread."""

    def __init__(self, state_dir: Path, connection: duckdb.DuckDBPyConnection, zone: ZoneInfo) -> None:
        self._parts_dir = state_dir / PARTS_NAME
        self._connection = connection
        self._zone = zone

    def close(self) -> None:
        self._connection.close()

    def days(self, meters: Sequence[str], first: dt.date, end: dt.date) -> RegisterDays:
        """Day rows of meters from `first` up to, not including, `end` (local dates)."""
        names = sorted(set(meters))
        found = [self._days(names, start, stop) for start, stop in self._even(first, end)]
        table = pa.concat_tables(found) if found else None
        return _as_days(names, table)

    def readings(self, meter: str, day: dt.date) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Stamps and values of one meter on one local day, in order; contested stamps left out."""
        start_ms, end_ms = self._midnight_ms(day), self._midnight_ms(day + dt.timedelta(days=1))
        query = self._settled([meter], start_ms, end_ms)
        if query is None:
            return np.zeros(0, dtype=np.int64), np.zeros(0)
        with lent(self._connection, ranked=self._ranked([meter])):
            table: pa.Table = self._connection.sql(
                f"SELECT ts_ms, kwh FROM ({query}) WHERE kwh IS NOT NULL ORDER BY ts_ms"
            ).to_arrow_table()
        return table.column("ts_ms").to_numpy(), table.column("kwh").to_numpy()

    def changed(self, after: int) -> tuple[int, list[tuple[str, dt.date]]]:
        """The newest journal record in the history, and the meters and local days that records after `after` touched
        with register readings."""
        head = int(self._connection.execute("SELECT journal_seq FROM applied").fetchall()[0][0])
        if head <= after or CHANNEL not in columns_of(self._connection, "reading"):
            return head, []
        where = f"{CHANNEL} IS NOT NULL AND seq > {after:d}"
        queries = [f"SELECT m.name AS meter, ts_ms FROM reading JOIN meter m USING (meter_id) WHERE {where}"]
        queries += [
            f"SELECT meter, ts_ms FROM read_parquet({str(path)!r}) WHERE {where}"
            for path in self._files(0, 1 << 62)
            if CHANNEL in self._columns_of_file(path)
        ]
        days: set[tuple[str, dt.date]] = set()
        for query in queries:
            hours = self._connection.execute(
                f"SELECT DISTINCT meter, (ts_ms - 1) // 900000 AS quarter FROM ({query})"
            ).fetchall()
            days |= {(meter, self._local_day(quarter * 900_000 + 1)) for meter, quarter in hours}
        return head, sorted(days)

    def _columns_of_file(self, path: Path) -> frozenset[str]:
        rows = self._connection.execute("SELECT name FROM parquet_schema(?)", (str(path),)).fetchall()
        return frozenset(name for (name,) in rows)

    def _days(self, names: Sequence[str], start: dt.date, end: dt.date) -> pa.Table:
        """Day rows of dates between which the zone's offset does not change."""
        start_ms, end_ms = self._midnight_ms(start), self._midnight_ms(end)
        offset_ms = (start - _EPOCH).days * _DAY_MS - start_ms
        query = self._settled(names, start_ms, end_ms)
        if query is None:
            return None
        with lent(self._connection, ranked=self._ranked(names)):
            return self._connection.sql(
                f"SELECT meter, (ts_ms - 1 + {offset_ms:d}) // {_DAY_MS:d} AS day,"
                " min(ts_ms) FILTER (kwh IS NOT NULL) AS first_ms, max(ts_ms) FILTER (kwh IS NOT NULL) AS last_ms,"
                " arg_min(kwh, ts_ms) AS first_kwh, arg_max(kwh, ts_ms) AS last_kwh,"
                " min(kwh) AS least_kwh, max(kwh) AS most_kwh,"
                " count(kwh) AS readings, count(*) - count(kwh) AS contested"
                f" FROM ({query}) GROUP BY ALL ORDER BY meter, day"
            ).to_arrow_table()

    def _settled(self, names: Sequence[str], start_ms: int, end_ms: int) -> str | None:
        """One row a stamp: the value of its highest revision, NULL where that has several."""
        if not names or CHANNEL not in columns_of(self._connection, "reading"):
            return None
        rows = both_stores(self._files(start_ms, end_ms), [CHANNEL], start_ms, end_ms, None)
        several = f"SELECT meter, ts_ms, rev, {CHANNEL} AS kwh FROM ({rows}) WHERE {CHANNEL} IS NOT NULL"
        return (
            "SELECT meter, ts_ms, CASE WHEN min(kwh) = max(kwh) THEN min(kwh) END AS kwh FROM ("
            f"SELECT meter, ts_ms, unnest(CASE WHEN max(rev) = 0 THEN [min(kwh), max(kwh)]"
            " ELSE [arg_max(kwh, rev), arg_max(kwh, rev)] END) AS kwh"
            f" FROM ({several}) GROUP BY meter, ts_ms) GROUP BY meter, ts_ms"
        )

    def _ranked(self, names: Sequence[str]) -> pa.Table:
        with lent(self._connection, asked=pa.table({"name": pa.array(names, pa.string())})):
            return self._connection.sql(
                "SELECT meter_id, name, (row_number() OVER (ORDER BY name) - 1)::BIGINT AS rank"
                " FROM asked LEFT JOIN meter USING (name)"
            ).to_arrow_table()

    def _files(self, start_ms: int, end_ms: int) -> list[Path]:
        rows = self._connection.execute(
            "SELECT file FROM part WHERE sealed AND last_ms > ? AND first_ms <= ? ORDER BY part_id", (start_ms, end_ms)
        ).fetchall()
        return [self._parts_dir / file for (file,) in rows]

    def _even(self, first: dt.date, end: dt.date) -> list[tuple[dt.date, dt.date]]:
        """Months, cut where the zone's offset changes; a month at a time keeps memory bounded."""
        cuts = [first]
        day = first + dt.timedelta(days=1)
        while day < end:
            shifted = self._midnight_ms(day) - self._midnight_ms(day - dt.timedelta(days=1)) != _DAY_MS
            if day.day == 1 or shifted or self._midnight_ms(day + dt.timedelta(days=1)) - self._midnight_ms(day) != _DAY_MS:
                cuts.append(day)
            day += dt.timedelta(days=1)
        return list(zip(cuts, [*cuts[1:], end], strict=True)) if first < end else []

    def _midnight_ms(self, date: dt.date) -> int:
        return int(dt.datetime(date.year, date.month, date.day, tzinfo=self._zone).timestamp()) * 1000

    def _local_day(self, ts_ms: int) -> dt.date:
        return dt.datetime.fromtimestamp((ts_ms - 1) / 1000.0, self._zone).date()
