"""What the live benchmarks send: the same readings one a message, in row batches, and in columns; and their register.

Meters report active and reactive power and the import register every quarter of an hour, wave after wave, as a bureau
that catches up after an outage would send them. Every reading is new, so each one is decided, stored and kept.
"""

from __future__ import annotations

import datetime as dt
import io
import itertools
import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.ipc

from models.domain.register import Meter, Publisher, Register, RegisterRows

ZONE: Final = ZoneInfo("Asia/Shanghai")
PUBLISHER: Final = "bureau"
TOPIC: Final = f"grid/v1/{PUBLISHER}/readings"
METERS: Final = tuple(f"33012{number:06d}" for number in range(10_000))
STEP_MS: Final = 900_000
_LONG_AGO: Final = dt.date(2020, 1, 1)


@dataclass(frozen=True, slots=True)
class Load:
    """One way of sending: `batch` readings a message, `messages` of them; `ratio` and `rate` are the budget."""

    name: str
    title: str
    adapter: Literal["canonical", "arrow"]
    batch: int
    messages: int
    ratio: float
    rate: int

    @property
    def readings(self) -> int:
        return self.batch * self.messages

    def waves(self) -> int:
        """Waves of all meters it takes, the last one perhaps not whole."""
        return -(-self.readings // len(METERS))


LOADS: Final = (
    Load("one", "one reading a message", "canonical", 1, 60_000, 0.6, 17_000),
    Load("rows", "100-reading row batches", "canonical", 100, 8_000, 0.5, 300_000),
    Load("columns", "1000-reading column JSON", "canonical", 1000, 1_500, 0.4, 600_000),
    Load("arrow", "1000-reading Arrow IPC", "arrow", 1000, 2_500, 0.4, 1_200_000),
)


def register() -> Register:
    """All meters at one publisher."""
    meters = tuple(Meter(meter=m, site=m, publisher=PUBLISHER, valid_from=_LONG_AGO) for m in METERS)
    rows = RegisterRows(meters=meters, publishers=(Publisher(publisher=PUBLISHER, valid_from=_LONG_AGO),))
    return Register(rows, ZONE)


def payloads(load: Load, first_ms: int) -> Iterator[bytes]:
    """The messages in order; the first wave is stamped `first_ms`."""
    every = itertools.chain.from_iterable(wave_payloads(load, wave, first_ms) for wave in range(load.waves()))
    return itertools.islice(every, load.messages)


def wave_payloads(load: Load, wave: int, first_ms: int) -> Iterator[bytes]:
    """One wave of all meters; the wave before the first is number -1."""
    columns = wave_columns(wave, first_ms + wave * STEP_MS)
    for start in range(0, len(METERS), load.batch):
        yield _ENCODERS[load.name](columns, start, start + load.batch)


@dataclass(frozen=True, slots=True)
class Columns:
    """One wave of all meters."""

    ts_ms: int
    p_kw: list[float]
    q_kvar: list[float]
    e_imp_kwh: list[float]


def wave_columns(wave: int, ts_ms: int) -> Columns:
    """Powers of a day's shape with noise, and registers that follow."""
    rng = np.random.default_rng(wave + 2)
    base = np.random.default_rng(0).uniform(50.0, 2000.0, len(METERS))
    p_kw = base * (1.0 + 0.3 * np.sin(2 * np.pi * wave / 96)) * rng.uniform(0.9, 1.1, len(METERS))
    e_imp_kwh = 1e6 + base * 100.0 + base * 0.25 * (wave + 1)
    return Columns(
        ts_ms, p_kw.round(1).tolist(), (p_kw * rng.uniform(0.2, 0.4)).round(1).tolist(), e_imp_kwh.round(2).tolist()
    )


def _rows(columns: Columns, start: int, end: int) -> bytes:
    ts = dt.datetime.fromtimestamp(columns.ts_ms / 1000, ZONE).isoformat()
    readings = [
        {
            "meter": METERS[i],
            "ts": ts,
            "p_kw": columns.p_kw[i],
            "q_kvar": columns.q_kvar[i],
            "e_imp_kwh": columns.e_imp_kwh[i],
        }
        for i in range(start, end)
    ]
    return json.dumps({"v": 1, "sent": ts, "readings": readings}, separators=(",", ":")).encode()


def _columns(columns: Columns, start: int, end: int) -> bytes:
    body = {
        "v": 1,
        "readings": {
            "meter": METERS[start:end],
            "ts": [columns.ts_ms] * (end - start),
            "p_kw": columns.p_kw[start:end],
            "q_kvar": columns.q_kvar[start:end],
            "e_imp_kwh": columns.e_imp_kwh[start:end],
        },
    }
    return json.dumps(body, separators=(",", ":")).encode()


def _arrow(columns: Columns, start: int, end: int) -> bytes:
    table = pa.table(
        {
            "meter": pa.array(METERS[start:end], pa.string()),
            "ts": pa.array([columns.ts_ms] * (end - start), pa.timestamp("ms", tz="UTC")),
            "p_kw": pa.array(columns.p_kw[start:end], pa.float32()),
            "q_kvar": pa.array(columns.q_kvar[start:end], pa.float32()),
            "e_imp_kwh": pa.array(columns.e_imp_kwh[start:end], pa.float64()),
        }
    )
    buffer = io.BytesIO()
    with pa.ipc.new_stream(buffer, table.schema) as stream:
        stream.write_table(table)
    return buffer.getvalue()


_ENCODERS: Final = {"one": _rows, "rows": _rows, "columns": _columns, "arrow": _arrow}


def publish_packet(payload: bytes, mid: int) -> bytes:
    """An MQTT 3.1.1 PUBLISH with QoS 1 on `TOPIC`."""
    topic = TOPIC.encode()
    left = 2 + len(topic) + 2 + len(payload)
    length = bytearray()
    while True:
        left, digit = left >> 7, left & 127
        length.append(digit | (128 if left else 0))
        if not left:
            break
    return b"\x32" + bytes(length) + struct.pack(">H", len(topic)) + topic + struct.pack(">H", mid) + payload
