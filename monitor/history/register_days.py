# ruff: noqa: S608 -- SQL is put together from integers and file names of the manifest only
"""What the import registers of meters showed each local day: first, last, least and most; for accounts of energy.

A day's row costs one pass over the column and no sorting, whatever the cadence. Contradictions and revisions are
settled stamp by stamp, which costs several times as much: everywhere when few meters are asked for, else on the days
that matter (the ends of the period, and days whose values do not rise from first to last).
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from monitor.history.query import both_stores, parquet
from monitor.history.schema import columns_of, lent
from monitor.history.seal import PARTS_NAME

CHANNEL: Final = "e_imp_kwh"
_DAY_MS: Final = 86_400_000
_QUARTER_MS: Final = 900_000
_EPOCH: Final = dt.date(1970, 1, 1)
_COLUMNS: Final = {
    "meter": np.int64,
    "day": np.int64,
    "first_ms": np.int64,
    "last_ms": np.int64,
    "first_kwh": np.float64,
    "last_kwh": np.float64,
    "least_kwh": np.float64,
    "most_kwh": np.float64,
    "readings": np.int64,
    "contested": np.int64,
    "rev": np.int64,
}


@dataclass(frozen=True, slots=True)
class RegisterDays:
    """Rows (n,) by meter and local day; a stamp of midnight belongs to the day before.

    `meter` ranks into `names`; `day` days since 1970-01-01; stamps Unix ms; values primary kWh. `contested`: stamps of
    the day whose highest revision has more than one value; they are in none of the numbers. A day on which every
    stamp is contested has `readings` 0 and no values (stamps 0, values NaN).
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
    rev: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.meter)


class RegisterReader:
    """Reads day rows and readings of registers through a DuckDB cursor of its own. For one thread."""

    def __init__(self, state_dir: Path, connection: duckdb.DuckDBPyConnection, zone: ZoneInfo) -> None:
        self._parts_dir = state_dir / PARTS_NAME
        self._connection = connection
        self._zone = zone
        self._newest: dict[Path, int] = {}

    def close(self) -> None:
        self._connection.close()

    def days(
        self, meters: Collection[str], first: dt.date, end: dt.date, *, settle: Collection[dt.date] | None = None
    ) -> RegisterDays:
        """Day rows of meters from `first` up to, not including, `end` (local dates), by meter and day.

        `settle`: the days to settle stamp by stamp whatever they look like; None: all of them.
        """
        names = sorted(set(meters))
        found: list[pa.Table | None] = []
        for start, stop in self._even(first, end):
            if settle is None:
                found.append(self._grouped(names, start, stop, settled=True))
                continue
            rough = self._grouped(names, start, stop, settled=False)
            again = [start + dt.timedelta(days=k) for k in range((stop - start).days)]
            again = [day for day in again if day in settle]
            found.append(_without(rough, again))
            found += [self._grouped(names, day, day + dt.timedelta(days=1), settled=True) for day in again]
        rows = _as_days(names, [table for table in found if table is not None])
        return rows if settle is None else self._resettled(rows)

    def readings(self, meter: str, day: dt.date) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Stamps and values of one meter on one local day, in order; contested stamps left out."""
        start_ms, end_ms = self._midnight_ms(day), self._midnight_ms(day + dt.timedelta(days=1))
        if not self._has_channel():
            return np.zeros(0, dtype=np.int64), np.zeros(0)
        with lent(self._connection, ranked=self._ranked([meter])):
            table: pa.Table = self._connection.sql(
                f"SELECT ts_ms, kwh FROM ({self._settled(start_ms, end_ms)}) WHERE kwh IS NOT NULL ORDER BY ts_ms"
            ).to_arrow_table()
        return table.column("ts_ms").to_numpy(), table.column("kwh").to_numpy()

    def changed(self, after: int) -> tuple[int, list[tuple[str, dt.date]]]:
        """The newest journal record in the history, and the (meter, local day) pairs for which records after `after`
        brought register readings, in order."""
        head = int(self._connection.execute("SELECT journal_seq FROM applied").fetchall()[0][0])
        if head <= after or not self._has_channel():
            return head, []
        where = f"WHERE {CHANNEL} IS NOT NULL AND seq > {after:d}"
        fresh = [f"SELECT name AS meter, ts_ms FROM reading JOIN meter USING (meter_id) {where}"]
        files = [path for path in self._files(0, 1 << 62) if self._carries(path, after)]
        if files:
            fresh.append(f"SELECT meter, ts_ms FROM {parquet(files)} {where}")
        rows = self._connection.execute(
            f"SELECT DISTINCT meter, (ts_ms - 1) // {_QUARTER_MS:d} FROM ({' UNION ALL '.join(fresh)})"
        ).fetchall()
        return head, sorted({(meter, self._local_day(quarter * _QUARTER_MS + 1)) for meter, quarter in rows})

    def _carries(self, path: Path, after: int) -> bool:
        """Whether a sealed file has register readings of records after `after`, by its footer."""
        if path not in self._newest:
            metadata: Any = pq.read_metadata(path)
            names = metadata.schema.names
            self._newest[path] = 0
            if CHANNEL in names:
                at = names.index("seq")
                groups = [metadata.row_group(i).column(at).statistics for i in range(metadata.num_row_groups)]
                whole = all(group is not None and group.has_min_max for group in groups)
                self._newest[path] = max((group.max for group in groups), default=0) if whole else 1 << 62
        return self._newest[path] > after

    def _grouped(self, names: Sequence[str], start: dt.date, end: dt.date, *, settled: bool) -> pa.Table | None:
        """Day rows of dates between which the zone's offset does not change."""
        if not names or not self._has_channel():
            return None
        start_ms, end_ms = self._midnight_ms(start), self._midnight_ms(end)
        offset_ms = (start - _EPOCH).days * _DAY_MS - start_ms
        source = self._settled(start_ms, end_ms) if settled else self._stored(start_ms, end_ms)
        with lent(self._connection, ranked=self._ranked(names)):
            table: pa.Table = self._connection.sql(
                f"SELECT meter, (ts_ms - 1 + {offset_ms:d}) // {_DAY_MS:d} AS day,"
                " coalesce(min(ts_ms) FILTER (kwh IS NOT NULL), 0) AS first_ms,"
                " coalesce(max(ts_ms) FILTER (kwh IS NOT NULL), 0) AS last_ms,"
                " arg_min(kwh, ts_ms) AS first_kwh, arg_max(kwh, ts_ms) AS last_kwh,"
                " min(kwh) AS least_kwh, max(kwh) AS most_kwh,"
                " count(kwh) AS readings, count(*) - count(kwh) AS contested,"
                f" {'0' if settled else 'max(rev)'}::BIGINT AS rev"
                f" FROM ({source}) GROUP BY meter, day"
            ).to_arrow_table()
        return table

    def _resettled(self, rows: RegisterDays) -> RegisterDays:
        """Days whose values do not rise from first to last, or with revisions, settled after all."""
        odd = (rows.least_kwh < rows.first_kwh) | (rows.most_kwh > rows.last_kwh) | (rows.rev > 0)
        days = sorted({_date(day) for day in rows.day[odd].tolist()})
        if not days:
            return rows
        kept = [_table(rows, ~odd)]
        for day in days:
            mine = odd & (rows.day == (day - _EPOCH).days)
            names = [rows.names[rank] for rank in rows.meter[mine].tolist()]
            settled = self._grouped(names, day, day + dt.timedelta(days=1), settled=True)
            if settled is not None:
                ranks = pa.array(rows.meter[mine][settled.column("meter").to_numpy()])
                kept.append(settled.set_column(0, "meter", ranks))
        return _as_days(rows.names, kept)

    def _stored(self, start_ms: int, end_ms: int) -> str:
        rows = both_stores(self._files(start_ms, end_ms), [CHANNEL], start_ms, end_ms, None)
        return f"SELECT meter, ts_ms, rev, {CHANNEL} AS kwh FROM ({rows}) WHERE {CHANNEL} IS NOT NULL"

    def _settled(self, start_ms: int, end_ms: int) -> str:
        """One row a stamp: the value of its highest revision, NULL where that has several."""
        return (
            "SELECT meter, ts_ms, CASE WHEN arg_max(low, rev) = arg_max(high, rev) THEN arg_max(low, rev) END AS kwh"
            " FROM (SELECT meter, ts_ms, rev, min(kwh) AS low, max(kwh) AS high"
            f" FROM ({self._stored(start_ms, end_ms)}) GROUP BY meter, ts_ms, rev) GROUP BY meter, ts_ms"
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

    def _has_channel(self) -> bool:
        return CHANNEL in columns_of(self._connection, "reading")

    def _even(self, first: dt.date, end: dt.date) -> list[tuple[dt.date, dt.date]]:
        """Months, cut around days that are not 24 hours long; a month at a time keeps memory bounded."""
        days = [first + dt.timedelta(days=k) for k in range((end - first).days + 1)]
        midnights = [self._midnight_ms(day) for day in days]
        uneven = [later - earlier != _DAY_MS for earlier, later in itertools.pairwise(midnights)]
        cuts = [day for at, day in enumerate(days[:-1]) if at == 0 or day.day == 1 or uneven[at] or uneven[at - 1]]
        return list(zip(cuts, [*cuts[1:], end], strict=True))

    def _midnight_ms(self, date: dt.date) -> int:
        return int(dt.datetime(date.year, date.month, date.day, tzinfo=self._zone).timestamp()) * 1000

    def _local_day(self, ts_ms: int) -> dt.date:
        return dt.datetime.fromtimestamp((ts_ms - 1) / 1000.0, self._zone).date()


def _without(table: pa.Table | None, days: Sequence[dt.date]) -> pa.Table | None:
    if table is None or not days:
        return table
    numbers = pa.array([(day - _EPOCH).days for day in days], pa.int64())
    return table.filter(pc.invert(pc.is_in(table.column("day"), value_set=numbers)))


def _table(rows: RegisterDays, keep: NDArray[np.bool_]) -> pa.Table:
    return pa.table({name: getattr(rows, name)[keep] for name in _COLUMNS})


def _as_days(names: Sequence[str], tables: Sequence[pa.Table]) -> RegisterDays:
    """Tables as one, in order of meter and day."""
    columns: dict[str, NDArray[Any]] = {}
    for name, kind in _COLUMNS.items():
        parts = [table.column(name).to_numpy().astype(kind) for table in tables]
        columns[name] = np.concatenate([np.zeros(0, dtype=kind), *parts])
    order = np.lexsort((columns["day"], columns["meter"]))
    return RegisterDays(tuple(names), **{name: column[order] for name, column in columns.items()})


def _date(day: int) -> dt.date:
    return _EPOCH + dt.timedelta(days=day)
