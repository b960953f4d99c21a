# ruff: noqa: S608 -- SQL is put together from names that `history_schema` checked, and file names we made
"""Nightly rows of the history: features a meter and night, and the scores detectors gave."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from monitor.history.meters import insert
from monitor.history.schema import lent, one, quoted
from monitor.storage import sync_directory, sync_file

SCORE_COLUMNS: Final = ("meter", "site", "detector", "score", "probability", "status", "reasons")


def write_features(
    connection: duckdb.DuckDBPyConnection,
    night: dt.date,
    interval_s: int,
    version: int,
    codes: NDArray[np.int32],
    values: Mapping[str, NDArray[np.float32]],
) -> None:
    """Replace the feature rows of these meters, inside the caller's transaction; the columns are there."""
    columns: dict[str, Any] = {
        "night": pa.array([night] * len(codes), pa.date32()),
        "interval_s": pa.array(np.full(len(codes), interval_s, dtype=np.int32)),
        "version": pa.array(np.full(len(codes), version, dtype=np.int32)),
        "meter_id": pa.array(codes),
    }
    columns |= {name: _nullable(value, np.dtype(np.float32)) for name, value in values.items()}
    delete_features(connection, night, interval_s, codes)
    insert(connection, "feature", pa.table(columns))


def delete_features(
    connection: duckdb.DuckDBPyConnection, night: dt.date, interval_s: int, codes: NDArray[np.int32]
) -> None:
    """Delete the rows of these meters, inside the caller's transaction."""
    with lent(connection, written=pa.table({"meter_id": pa.array(codes)})):
        connection.execute(
            "DELETE FROM feature WHERE night = ? AND interval_s = ? AND meter_id IN (SELECT meter_id FROM written)",
            (night, interval_s),
        )


def read_features(
    connection: duckdb.DuckDBPyConnection,
    names: Sequence[str],
    nights: Sequence[dt.date],
    interval_s: int,
    version: int,
    codes: NDArray[np.int32],
) -> dict[str, NDArray[np.float32]]:
    """The features `names` as (n_meters, n_nights) float32; NaN where there is no row."""
    result = {name: np.full((len(codes), len(nights)), np.nan, dtype=np.float32) for name in names}
    if not len(codes) or not len(nights) or not names:
        return result
    asked: dict[str, Any] = {"row": np.arange(len(codes)), "meter_id": codes}
    columns = ", ".join(f'"{name}"' for name in names)
    with lent(connection, wanted=pa.table(asked)):
        found: Mapping[str, Any] = connection.execute(
            f"SELECT row, night, {columns} FROM feature JOIN wanted USING (meter_id)"
            " WHERE interval_s = ? AND version = ? AND night BETWEEN ? AND ?",
            (interval_s, version, min(nights), max(nights)),
        ).fetchnumpy()
    return _scattered(result, found, nights)


def read_heard(
    connection: duckdb.DuckDBPyConnection,
    nights: Sequence[dt.date],
    interval_s: int,
    version: int,
    codes: NDArray[np.int32],
) -> NDArray[np.float32]:
    """Largest coverage at any other cadence, (n_meters, n_nights) float32; NaN where nothing was covered."""
    result = {"coverage": np.full((len(codes), len(nights)), np.nan, dtype=np.float32)}
    if not len(codes) or not len(nights):
        return result["coverage"]
    asked: dict[str, Any] = {"row": np.arange(len(codes)), "meter_id": codes}
    with lent(connection, wanted=pa.table(asked)):
        found: Mapping[str, Any] = connection.execute(
            "SELECT row, night, max(coverage) AS coverage FROM feature JOIN wanted USING (meter_id)"
            " WHERE interval_s <> ? AND version = ? AND night BETWEEN ? AND ? AND coverage > 0 GROUP BY ALL",
            (interval_s, version, min(nights), max(nights)),
        ).fetchnumpy()
    return _scattered(result, found, nights)["coverage"]


def write_scores(
    connection: duckdb.DuckDBPyConnection, night: dt.date, codes: NDArray[np.int32], rows: pa.Table
) -> None:
    """Replace the scores of these meters and detectors, inside the caller's transaction."""
    columns: dict[str, Any] = {
        "night": pa.array([night] * len(codes), pa.date32()),
        "meter_id": pa.array(codes),
    }
    for name in SCORE_COLUMNS[1:]:
        column = rows.column(name)
        if name in ("score", "probability"):
            columns[name] = _nullable(column.to_numpy(), np.dtype(np.float64))
        else:
            columns[name] = column
    stored = pa.table(columns)
    if not len(codes):
        return
    with lent(connection, written=stored.select(["meter_id", "detector"])):
        connection.execute(
            "DELETE FROM score WHERE night = ? AND meter_id BETWEEN ? AND ?"
            " AND (meter_id, detector) IN (SELECT (meter_id, detector) FROM written)",
            (night, int(codes.min()), int(codes.max())),
        )
    insert(connection, "score", stored)


def export_scores(connection: duckdb.DuckDBPyConnection, path: Path) -> int:
    """Write all scores to a Parquet file beside its final name, then rename; returns the rows."""
    unfinished = path.with_name(path.name + ".new")
    connection.execute(
        "COPY (SELECT name AS meter, site, night, detector, score, probability, status, reasons"
        " FROM score JOIN meter USING (meter_id) ORDER BY night, meter, detector)"
        f" TO {quoted(str(unfinished))} (FORMAT parquet, COMPRESSION zstd)"
    )
    sync_file(unfinished)
    unfinished.rename(path)
    sync_directory(path.parent)
    (rows,) = one(connection, "SELECT count(*) FROM score")
    return int(str(rows))


def _scattered(
    result: dict[str, NDArray[np.float32]], found: Mapping[str, Any], nights: Sequence[dt.date]
) -> dict[str, NDArray[np.float32]]:
    column_of = {np.datetime64(night, "D"): column for column, night in enumerate(nights)}
    days = found["night"].astype("datetime64[D]")
    unique, inverse = np.unique(days, return_inverse=True)
    columns = np.array([column_of.get(day, -1) for day in unique], dtype=np.intp)[inverse]
    asked = columns >= 0
    rows = found["row"][asked].astype(np.intp)
    for name, values in result.items():
        values[rows, columns[asked]] = np.ma.filled(found[name], np.nan)[asked]
    return result


def _nullable(values: NDArray[np.floating], kind: np.dtype[np.floating]) -> pa.Array[Any]:
    """An Arrow array of that type with null for NaN."""
    kept = np.asarray(values, dtype=kind)
    return pa.array(kept, mask=np.isnan(kept))
