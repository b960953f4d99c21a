"""Payloads and messages for tests of the intake."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.ipc

from connectors.adapters.base import Adapter
from connectors.adapters.table import build_adapters, decode_group
from models.domain.readings import Decoded, RawMessage, RejectReason

ADAPTERS = build_adapters()
TS = "2026-03-02T23:15:00+08:00"
TS_MS = 1_772_464_500_000


def message(payload: bytes, adapter: str = "canonical", *, retain: bool = False) -> RawMessage:
    """A message as the broker would bring it."""
    return RawMessage("grid/v1/bureau/readings", payload, TS_MS, "bureau", adapter, retain=retain)


def reading(**fields: object) -> dict[str, object]:
    """One good reading, with fields replaced, added, or (given `...`) taken away."""
    good: dict[str, object] = {"meter": "330124001", "ts": TS, "p_kw": 812.4, "e_imp_kwh": 1284533.12}
    return {name: value for name, value in {**good, **fields}.items() if value is not ...}


def rows(*readings: object, **envelope: object) -> bytes:
    """A canonical message of rows."""
    return json.dumps({"v": 1, "sent": TS, "readings": list(readings), **envelope}).encode()


def columns(**lists: object) -> bytes:
    """A canonical message of columns."""
    return json.dumps({"v": 1, "readings": lists}).encode()


def arrow(table: pa.Table | Mapping[str, object], **options: object) -> bytes:
    """An Arrow IPC stream."""
    table = table if isinstance(table, pa.Table) else pa.table(dict(table))
    buffer = io.BytesIO()
    with pa.ipc.new_stream(buffer, table.schema, **options) as stream:
        stream.write_table(table)
    return buffer.getvalue()


def decode(*payloads: bytes, adapter: str = "canonical", adapters: Mapping[str, Adapter] | None = None) -> Decoded:
    """Decode payloads as one commit group."""
    return decode_group([message(p, adapter) for p in payloads], adapters or ADAPTERS)


def refusals(decoded: Decoded) -> list[tuple[int, RejectReason, tuple[int, ...], str]]:
    """What was refused, without the words."""
    return [(r.message, r.reason, r.rows, r.field) for r in decoded.rejections]


def same(left: Decoded, right: Decoded) -> bool:
    """Whether two decodings say the same; the order of refusals of one message does not count."""
    a, b = left.batch, right.batch
    names = a.channels.keys() | b.channels.keys()
    nothing = np.full(len(a), np.nan)
    return (
        list(a.meter) == list(b.meter)
        and all(np.array_equal(getattr(a, n), getattr(b, n)) for n in ("ts_ms", "interval_s", "rev", "message", "row"))
        and all(np.array_equal(a.channels.get(n, nothing), b.channels.get(n, nothing), equal_nan=True) for n in names)
        and told(left) == told(right)
    )


def told(decoded: Decoded) -> Sequence[tuple[object, ...]]:
    """Refusals with their words, sorted."""
    return sorted((r.message, r.reason.value, r.detail, r.rows, r.field) for r in decoded.rejections)
