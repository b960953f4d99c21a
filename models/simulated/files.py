"""A county as files: readings in the canonical columns, the register as CSV sheets, the truth beside them."""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Iterable
from dataclasses import asdict, fields
from enum import Enum
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from models.domain.register import SHEETS, Dated
from models.simulated.county import County, DayReadings, SiteTruth

_STAMP = pa.timestamp("ms", tz="UTC")


def write_parquet(county: County, directory: Path) -> None:
    """Write `readings.parquet`, `truth.parquet` and `register/*.csv` below `directory`, which is made if need be.

    Readings are in arrival order, one row group a day, so that memory holds one day of rows at a time. What a
    reading does not carry is null; a field of the register that is None is an empty cell.
    """
    directory.mkdir(parents=True, exist_ok=True)
    write_register(county, directory / "register")
    days = (county.day(county.spec.start + dt.timedelta(days=k)) for k in range(county.spec.days))
    writer: pq.ParquetWriter | None = None
    try:
        for day in days:
            table = _readings_table(day)
            if writer is None:
                writer = pq.ParquetWriter(directory / "readings.parquet", table.schema, compression="zstd")
            writer.write_table(table)
    finally:
        if writer is not None:
            writer.close()
    pq.write_table(_truth_table(county.truth), directory / "truth.parquet")


def write_register(county: County, directory: Path) -> None:
    """One CSV file a sheet, UTF-8, with the names of the fields as header."""
    directory.mkdir(parents=True, exist_ok=True)
    for sheet, row_type in SHEETS.items():
        rows: Iterable[Dated] = getattr(county.register, sheet)
        names = [column.name for column in fields(row_type)]
        with (directory / f"{sheet}.csv").open("w", encoding="utf-8", newline="") as file:
            lines = csv.writer(file)
            lines.writerow(names)
            lines.writerows([_cell(getattr(row, name)) for name in names] for row in rows)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    return str(value)


def _readings_table(day: DayReadings) -> pa.Table:
    columns: dict[str, Any] = {
        "meter": pa.array(day.meter, type=pa.string()),
        "ts": pa.array(day.ts_ms, type=pa.int64()).cast(_STAMP),
        "interval_s": pa.array(day.interval_s, type=pa.int32()),
    }
    columns |= {name: pa.array(values, type=pa.float64(), from_pandas=True) for name, values in day.channels.items()}
    columns["arrival_ts"] = pa.array(day.arrival_ms, type=pa.int64()).cast(_STAMP)
    return pa.table(columns)


def _truth_table(truth: tuple[SiteTruth, ...]) -> pa.Table:
    rows = [{**asdict(site), "meters": list(site.meters), "faults": list(site.faults)} for site in truth]
    schema = pa.schema(
        [
            ("site", pa.string()),
            ("meters", pa.list_(pa.string())),
            ("load_class", pa.string()),
            ("has_furnace", pa.bool_()),
            ("declared", pa.bool_()),
            ("furnace_share", pa.float64()),
            ("supply", pa.string()),
            ("bodies", pa.string()),
            ("session", pa.string()),
            ("sealed_restart_night", pa.date32()),
            ("faults", pa.list_(pa.string())),
        ]
    )
    return pa.Table.from_pylist(rows, schema=schema)
