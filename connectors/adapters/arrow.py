"""Arrow IPC streams of the canonical columns: the fast lane for concentrators, and the way files come in.

Accepted types: `meter` string or dictionary of strings; `ts` timestamp with a zone, or int64 milliseconds;
`interval_s` and `rev` integers; channels floats or integers. Bodies must not be compressed: what a hostile
stream may unfold to is then bounded by the message itself.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.ipc
from numpy.typing import NDArray

from connectors.adapters.builder import BatchBuilder, RowColumns
from connectors.adapters.meter_runs import MIN_RUN, SHARED
from connectors.adapters.stamps import shown
from connectors.adapters.strict import MAX_FIELDS, Refused
from models.domain.channels import CHANNELS
from models.domain.readings import MeterRun, RejectReason

_INTEGERS: Final = ("interval_s", "rev")
_COMPRESSION: Final = 3
_TO_MS: Final = {"s": 1000, "ms": 1, "us": -1000, "ns": -1_000_000}


class Arrow:
    """Reads one IPC stream a message."""

    def decode(self, payload: bytes, builder: BatchBuilder) -> None:
        batches = _read(payload)
        if isinstance(batches, Refused):
            builder.reject(batches.reason, batches.detail)
            return
        start = 0
        for batch in batches:
            _add(batch, start, builder)
            start += batch.num_rows


def _read(payload: bytes) -> list[pa.RecordBatch] | Refused:
    """The validated record batches of a stream, none of them longer than its bytes allow."""
    buffer = pa.py_buffer(payload)
    try:
        if _compressed(buffer):
            return Refused(RejectReason.SCHEMA, "the stream is compressed; send it without compression")
        with pa.ipc.open_stream(buffer) as stream:
            wrong = _check_schema(stream.schema)
            if wrong:
                return Refused(RejectReason.SCHEMA, wrong)
            batches = list(stream)
        for batch in batches:
            batch.validate(full=True)
    except (pa.ArrowException, OSError, struct.error, ValueError, IndexError, OverflowError, MemoryError) as error:
        return Refused(RejectReason.PARSE, f"not a sound Arrow IPC stream ({type(error).__name__})")
    if not any(batch.num_rows for batch in batches):
        return Refused(RejectReason.SCHEMA, "the stream has no readings")
    return batches


def _check_schema(schema: pa.Schema) -> str:
    """What is wrong with the columns, "" when nothing is."""
    names = schema.names
    if len(names) > MAX_FIELDS:
        return f"more than {MAX_FIELDS} columns"
    if len(set(names)) != len(names):
        return "a column comes twice"
    for needed in ("meter", "ts"):
        if needed not in names:
            return f"column {needed} is missing"
    for column in schema:
        if not _fits(column.name, column.type):
            known = column.name in ("meter", "ts", *_INTEGERS) or column.name in CHANNELS
            told = f"has type {shown(str(column.type))}" if known else "is not known"
            return f"column {shown(column.name)} {told}"
    return ""


def _fits(name: str, kind: pa.DataType) -> bool:
    if name == "meter":
        text = kind.value_type if pa.types.is_dictionary(kind) else kind
        return bool(pa.types.is_string(text) or pa.types.is_large_string(text))
    if name == "ts":
        return bool(pa.types.is_int64(kind) or (pa.types.is_timestamp(kind) and kind.tz))
    if name in _INTEGERS:
        return bool(pa.types.is_integer(kind))
    number = pa.types.is_integer(kind) or pa.types.is_float32(kind) or pa.types.is_float64(kind)
    return name in CHANNELS and bool(number)


def _add(batch: pa.RecordBatch, start: int, builder: BatchBuilder) -> None:
    """Hand one record batch over; readings without a meter or a stamp are refused."""
    n = batch.num_rows
    if n == 0:
        return
    row = np.arange(start, start + n, dtype=np.int32)
    meter, ids, no_meter = _texts(batch.column("meter"))
    ts_ms, no_ts = _stamps(batch.column("ts"))
    columns = RowColumns(
        meter=meter,
        ts=ts_ms,
        interval_s=_whole(batch, "interval_s"),
        rev=_whole(batch, "rev"),
        channels={name: _numbers(batch.column(name)) for name in batch.schema.names if name in CHANNELS},
        message=np.full(n, builder.message, dtype=np.int32),
        row=row,
        ids=ids,
    )
    missing = no_meter | no_ts
    if missing.any():
        if no_meter.any():
            builder.reject(RejectReason.SCHEMA, "meter is missing", row[no_meter].tolist())
        if (no_ts & ~no_meter).any():
            builder.reject(RejectReason.SCHEMA, "ts is missing", row[no_ts & ~no_meter].tolist())
        columns = columns.take(~missing)
    builder.columns(columns)


def _texts(column: pa.Array) -> tuple[Sequence[str], frozenset[str] | None, NDArray[np.bool_]]:
    """The strings (n), the distinct ones where that is known, and where there is none; "" stands there."""
    missing = _nulls(column)
    if not pa.types.is_dictionary(column.type):
        if not missing.any() and len(column) >= MIN_RUN:
            return _run(column), None, missing
        words = column.to_numpy(zero_copy_only=False)
        if missing.any():
            words[missing] = ""
        return words.tolist(), None, missing
    words = column.dictionary.fill_null("").to_numpy(zero_copy_only=False)
    table = np.append(words, np.array([""], dtype=object))
    index = column.indices.cast(pa.int64()).fill_null(len(words)).to_numpy(zero_copy_only=False)
    return table[index].tolist(), frozenset(words.tolist()), missing


def _run(column: pa.Array) -> MeterRun:
    """The strings of a column that has them all; those of an earlier message where its bytes are the same."""
    if column.offset > 0:
        return MeterRun(column.to_numpy(zero_copy_only=False).tolist())
    _, offsets, text = column.buffers()
    key = (column.type, len(column), offsets.to_pybytes(), text.to_pybytes() if text is not None else b"")
    run = SHARED.known(key)
    return run or SHARED.keep(key, MeterRun(column.to_numpy(zero_copy_only=False).tolist()))


def _nulls(column: pa.Array) -> NDArray[np.bool_]:
    """Where a value is missing, also behind a dictionary."""
    if column.null_count == 0 and not pa.types.is_dictionary(column.type):
        return np.zeros(len(column), dtype=np.bool_)
    found: NDArray[np.bool_] = pa.compute.is_null(column).to_numpy(zero_copy_only=False)
    if pa.types.is_dictionary(column.type) and column.dictionary.null_count:
        empty = pa.compute.is_null(column.dictionary).to_numpy(zero_copy_only=False)
        index = column.indices.fill_null(0).to_numpy(zero_copy_only=False)
        found = found | empty[index]
    return found


def _stamps(column: pa.Array) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Unix milliseconds; a stamp that does not fit is far outside the accepted years."""
    missing = _nulls(column)
    raw = column if pa.types.is_int64(column.type) else column.view(pa.int64())
    ticks: NDArray[np.int64] = (raw.fill_null(0) if raw.null_count else raw).to_numpy()
    factor = _TO_MS[column.type.unit] if pa.types.is_timestamp(column.type) else 1
    if factor < 0:
        return ticks // -factor, missing
    if factor == 1:
        return ticks, missing
    limit = (1 << 62) // factor
    return np.clip(ticks, -limit, limit) * factor, missing


def _whole(batch: pa.RecordBatch, name: str) -> NDArray[np.int64] | None:
    """Integers with 0 where there is none; beyond 63 bits becomes -1, which is out of range."""
    if name not in batch.schema.names:
        return None
    column = batch.column(name).fill_null(0)
    if pa.types.is_uint64(column.type):
        wide: NDArray[np.uint64] = column.to_numpy(zero_copy_only=False)
        fits = wide < np.uint64(1 << 63)
        return np.where(fits, wide, np.uint64(0)).astype(np.int64) - (~fits).astype(np.int64)
    values: NDArray[np.int64] = column.cast(pa.int64()).to_numpy(zero_copy_only=False)
    return values


def _numbers(column: pa.Array) -> NDArray[np.float64]:
    if column.null_count == 0 and pa.types.is_floating(column.type):
        floats: NDArray[np.float64] = column.to_numpy().astype(np.float64, copy=False)
        return floats
    values: NDArray[np.float64] = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return values


def _compressed(buffer: pa.Buffer) -> bool:
    """Whether any record or dictionary batch of the stream says that its body is compressed.

    Reads the few fields of the flatbuffer metadata that say so; pyarrow would inflate before it could be asked.
    """
    for message in pa.ipc.MessageReader.open_stream(buffer):
        meta = memoryview(message.metadata)
        table = _at(meta, 0, "<I")
        header = _field(meta, table, 2)
        if message.type == "schema" or not header:
            continue
        batch = header + _at(meta, header, "<I")
        if message.type == "dictionary":
            data = _field(meta, batch, 1)
            batch = data + _at(meta, data, "<I")
        if _field(meta, batch, _COMPRESSION):
            return True
    return False


def _at(meta: memoryview, position: int, kind: str) -> int:
    (value,) = struct.unpack_from(kind, meta, position)
    return int(value)


def _field(meta: memoryview, table: int, slot: int) -> int:
    """Position of a table's field in a flatbuffer, 0 when it is absent."""
    vtable = table - _at(meta, table, "<i")
    entry = 4 + 2 * slot
    if entry >= _at(meta, vtable, "<H"):
        return 0
    offset = _at(meta, vtable + entry, "<H")
    return table + offset if offset else 0
