"""A plain alternative, as one would write it first: `json`, an object a reading, a dict for windows, a row a reading.

The same client and the same groups as the ceiling; every reading becomes an object, is put into the newest-value window
of its meter and inserted as a row; one transaction a group. Arrow payloads become the same objects by `to_pylist`.
"""

from __future__ import annotations

import datetime as dt
import json
import sqlite3
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.ipc

from tests.bench import ceiling
from tests.bench.loads import Load
from tests.bench.stopwatch import Cost

WINDOW = 768


@dataclass(frozen=True)
class Reading:
    """One reading."""

    meter: str
    ts: dt.datetime
    p_kw: float
    q_kvar: float
    e_imp_kwh: float


def parse(payload: bytes, *, arrow: bool) -> Iterable[Reading]:
    """The readings of a message."""
    rows: Iterable[dict[str, Any]]
    if arrow:
        rows = pyarrow.ipc.open_stream(payload).read_all().to_pylist()
    else:
        readings = json.loads(payload)["readings"]
        rows = readings if isinstance(readings, list) else _transposed(readings)
    for row in rows:
        yield Reading(row["meter"], _moment(row["ts"]), row["p_kw"], row["q_kvar"], row["e_imp_kwh"])


def _transposed(columns: dict[str, list[Any]]) -> Iterable[dict[str, Any]]:
    return (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))


def _moment(ts: str | float | dt.datetime) -> dt.datetime:
    if isinstance(ts, dt.datetime):
        return ts
    return dt.datetime.fromisoformat(ts) if isinstance(ts, str) else dt.datetime.fromtimestamp(ts / 1000, dt.UTC)


def store_commit(store: sqlite3.Connection, *, arrow: bool) -> ceiling.Commit:
    """Parse a group, insert row by row, commit, and move the windows on."""
    windows: dict[str, deque[Reading]] = {}

    def commit(payloads: Sequence[bytes]) -> None:
        store.execute("BEGIN")
        for payload in payloads:
            for reading in parse(payload, arrow=arrow):
                store.execute(
                    "INSERT OR IGNORE INTO reading VALUES (?, ?, ?, ?, ?)",
                    (reading.meter, reading.ts.timestamp(), reading.p_kw, reading.q_kvar, reading.e_imp_kwh),
                )
                windows.setdefault(reading.meter, deque(maxlen=WINDOW)).append(reading)
        store.execute("COMMIT")

    return commit


def run(load: Load, port: int, folder: Path) -> Cost:
    """Drain the session."""
    schema = (
        "CREATE TABLE reading (meter TEXT NOT NULL, ts REAL NOT NULL, p_kw REAL, q_kvar REAL, e_imp_kwh REAL,"
        " PRIMARY KEY (meter, ts)) WITHOUT ROWID"
    )
    store = ceiling.open_store(folder, schema)
    cost = ceiling.drain(port, load.messages, store_commit(store, arrow=load.adapter == "arrow"))
    (count,) = store.execute("SELECT count(*) FROM reading").fetchone()
    store.close()
    if count != load.readings:
        raise RuntimeError(f"of {load.readings} readings {count} were stored")
    return cost
