"""Readings as files: rows as they are stored, times local with their offset."""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from models.domain.channels import CHANNELS, REGISTERS
from monitor.spreadsheets import WriteRow, written_beside

KEYS: Final = ("meter", "ts", "interval_s", "rev", "seq")
"""Columns before the channels: `ts` is the end of the interval, `seq` the journal record a row came from."""

Table = Callable[[Sequence[str]], "contextlib.AbstractContextManager[WriteRow]"]


def as_written(channel: str, value: float) -> float:
    """A stored value with no more digits than its precision has: registers are kept double, the rest single."""
    return value if channel in REGISTERS else float(str(np.float32(value)))


def write_rows(pieces: Iterator[pa.Table], table: Table, zone: ZoneInfo) -> int:
    """Write readings row by row into a sheet; returns how many. A channel a row does not carry is an empty cell."""
    channels, pieces = _channels(pieces)
    count = 0
    with table((*KEYS, *channels)) as write:
        for piece in pieces:
            keys = (piece.column(name).to_pylist() for name in ("meter", "ts_ms", "interval_s", "rev", "seq"))
            values = (_numbers(piece, name) for name in channels)
            for meter, ts_ms, *rest in zip(*keys, *values, strict=True):
                write((meter, dt.datetime.fromtimestamp(ts_ms / 1000.0, zone), *rest))
            count += piece.num_rows
    return count


def write_parquet(pieces: Iterator[pa.Table], path: Path, zone: ZoneInfo) -> int:
    """Write readings as one Parquet file, whole or not at all; returns how many. `ts` carries the zone's name."""
    channels, pieces = _channels(pieces)
    schema = _schema(channels, zone)
    count = 0
    with written_beside(path) as part, pq.ParquetWriter(part, schema, compression="zstd") as writer:
        for piece in pieces:
            writer.write_table(_as_stored(piece, schema))
            count += piece.num_rows
    return count


def _channels(pieces: Iterator[pa.Table]) -> tuple[list[str], Iterator[pa.Table]]:
    """The channels ever stored, which every piece names, and the pieces."""
    first = next(pieces, None)
    if first is None:
        return [], iter(())
    return [name for name in first.schema.names if name in CHANNELS], itertools.chain([first], pieces)


def _numbers(piece: pa.Table, name: str) -> list[float | None]:
    """Values as people wrote them, None where a row does not carry the channel."""
    values: list[float | None] = piece.column(name).to_pylist()
    return [None if value is None else as_written(name, value) for value in values]


def _schema(channels: Sequence[str], zone: ZoneInfo) -> pa.Schema:
    fields: list[Any] = [
        ("meter", pa.string()),
        ("ts", pa.timestamp("ms", tz=zone.key)),
        ("interval_s", pa.int32()),
        ("rev", pa.int32()),
        ("seq", pa.int64()),
    ]
    return pa.schema([*fields, *((name, pa.float64() if name in REGISTERS else pa.float32()) for name in channels)])


def _as_stored(piece: pa.Table, schema: pa.Schema) -> pa.Table:
    columns = {
        field.name: piece.column("ts_ms" if field.name == "ts" else field.name).cast(field.type) for field in schema
    }
    return pa.table(columns, schema=schema)
