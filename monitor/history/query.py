# ruff: noqa: S608 -- SQL is put together from names in `CHANNELS`, integers and file names of the manifest only
"""Reading both stores of the history as one: the DuckDB table and the sealed Parquet files of the manifest.

A query lists just the files whose stamps overlap what is asked. A stored view would have to name every file there is,
by its absolute path, and open all their footers each time.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from models.domain.channels import REGISTERS
from monitor.history.known import Stored
from monitor.history.schema import lent, quoted

ORDER = ("interval_s", "meter", "ts_ms", "rev", "seq")
"""Sort order of what is read, `meter` being the rank of its name."""

_ROW_COLUMNS = ("ts_ms", "interval_s", "rev", "seq", "flags")


def both_stores(
    files: Sequence[Path], channels: Sequence[str], start_ms: int, end_ms: int, interval_s: int | None
) -> str:
    """Rows with stamps in (start, end] of the meters in the table `ranked`; their ranks stand in for their names."""
    where = f"ts_ms > {start_ms:d} AND ts_ms <= {end_ms:d}"
    if interval_s is not None:
        where += f" AND interval_s = {interval_s:d}"
    columns = _columns([*_ROW_COLUMNS, *channels])
    hot = f"SELECT k.rank AS meter, {columns} FROM reading JOIN ranked k USING (meter_id) WHERE {where}"
    if not files:
        return hot
    return (
        f"({hot} UNION ALL BY NAME SELECT k.rank AS meter, r.* EXCLUDE (meter) FROM {parquet(files)} r"
        f" JOIN ranked k ON r.meter = k.name WHERE {where})"
    )


def parquet(files: Sequence[Path]) -> str:
    """The named files as one table, columns matched by name."""
    listed = ", ".join(quoted(str(file)) for file in files)
    return f"read_parquet([{listed}], union_by_name = true, hive_partitioning = false)"


def in_order(connection: duckdb.DuckDBPyConnection, query: str) -> pa.Table:
    """The rows of a query by `ORDER`; rows with equal keys by their flags and values.

    Sorting by every column costs four times as much, so only the few rows that need it are sorted so.
    """
    table: pa.Table = connection.sql(f"{query} ORDER BY {', '.join(ORDER)}").to_arrow_table()
    same = np.ones(max(table.num_rows - 1, 0), dtype=np.bool_)
    for name in ORDER:
        values = table.column(name).to_numpy()
        same &= values[1:] == values[:-1]
    if not same.any():
        return table
    tied = np.flatnonzero(np.append(same, [False]) | np.insert(same, 0, values=False))
    rest = [name for name in table.schema.names if name not in ORDER]
    keys: list[Any] = [(name, "ascending") for name in (*ORDER, *rest)]
    within = pc.sort_indices(table.take(pa.array(tied)), sort_keys=keys).to_numpy()
    order = np.arange(table.num_rows)
    order[tied] = tied[within]
    return table.take(pa.array(order))


def named(table: pa.Table, dictionary: pa.Array[Any]) -> pa.Table:
    """Replace the column of ranks by a dictionary column of names."""
    kind: Any = pa.dictionary(pa.int32(), pa.string())
    chunks: list[Any] = [pa.DictionaryArray.from_arrays(chunk, dictionary) for chunk in table.column("meter").chunks]
    return table.set_column(table.schema.get_field_index("meter"), "meter", pa.chunked_array(chunks, kind))


def reported(
    connection: duckdb.DuckDBPyConnection,
    files: Sequence[Path],
    start_ms: int,
    end_ms: int,
    interval_s: int,
    codes: NDArray[np.int32],
) -> NDArray[np.int32]:
    """Those of the meters `codes` that have a row with a stamp in (start, end] at a cadence; no row is handed out."""
    where = f"ts_ms > {start_ms:d} AND ts_ms <= {end_ms:d} AND interval_s = {interval_s:d}"
    query = f"SELECT meter_id FROM asked SEMI JOIN (SELECT meter_id FROM reading WHERE {where}) USING (meter_id)"
    if files:
        names = f"SELECT DISTINCT meter FROM {parquet(files)} WHERE {where}"
        query += f" UNION SELECT meter_id FROM ({names}) JOIN meter ON name = meter SEMI JOIN asked USING (meter_id)"
    with lent(connection, asked=pa.table({"meter_id": codes[codes >= 0]})):
        found: NDArray[np.int32] = connection.execute(query).fetchnumpy()["meter_id"]
    return found


def stored_values(
    connection: duckdb.DuckDBPyConnection, files: Sequence[Path], keys: NDArray[np.int64], channels: Sequence[str]
) -> dict[str, Stored]:
    """Everything stored under keys (n, 3) of meter code, stamp and interval, by channel.

    `Stored.key` is the number of the key's row.
    """
    asked: dict[str, Any] = {
        "key": np.arange(len(keys), dtype=np.int64),
        "meter_id": keys[:, 0].astype(np.int32),
        "ts_ms": keys[:, 1],
        "interval_s": keys[:, 2].astype(np.int32),
    }
    within = f"r.ts_ms BETWEEN {int(keys[:, 1].min()):d} AND {int(keys[:, 1].max()):d}"
    columns = _columns(["key", "rev", *channels])
    query = f"SELECT {columns} FROM reading r JOIN wanted USING (meter_id, ts_ms, interval_s) WHERE {within}"
    if files:
        empty = ", ".join(f"NULL::{'DOUBLE' if n in REGISTERS else 'FLOAT'} AS {_columns([n])}" for n in channels)
        query += (
            f" UNION ALL SELECT {columns} FROM"
            f" (SELECT * FROM {parquet(files)} UNION ALL BY NAME SELECT {empty} WHERE false) r"
            f" JOIN wanted USING (meter, ts_ms, interval_s) WHERE {within}"
        )
    with lent(connection, asked=pa.table(asked)):
        wanted = connection.sql("SELECT a.*, name AS meter FROM asked a JOIN meter USING (meter_id)").to_arrow_table()
    with lent(connection, wanted=wanted):
        found = connection.sql(query).to_arrow_table()
    key, rev = found.column("key").to_numpy(), found.column("rev").to_numpy()
    return {name: Stored(key, rev, found.column(name).to_numpy().astype(np.float64)) for name in channels}


def _columns(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)
