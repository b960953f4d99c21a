"""Bytes a reading takes in the real stores, on loads with the entropy of real ones."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.domain.clock import ManualClock
from models.domain.readings import RawMessage
from models.learned.features import FEATURES
from monitor.history.history import History, HistoryRows
from monitor.history.schema import connect
from monitor.journal.journal import Journal
from monitor.journal.schema import segment_paths
from tests.support.stores import DAY_MS, MARCH_MS

CADENCE_S = 900
BATCH = 100
GROUP = 20
"""Messages in a commit group, as a bureau's wave of readings makes them."""

NAMES = ("p_kw", "q_kvar", "e_imp_kwh", "ua_v", "ub_v", "uc_v", "ia_a", "ib_a", "ic_a", "pf", "pa_kw", "f_hz")
"""Channels in the order they are added."""

Loads = dict[str, NDArray[np.float64]]


def loads(meters: int, days: int, channels: int, seed: int = 1) -> Loads:
    """Values (n_meters, n_slots) of the first channels, with the digits a meter sends."""
    rng = np.random.default_rng(seed)
    slots = days * 86_400 // CADENCE_S
    level = rng.lognormal(4.0, 1.0, (meters, 1))
    hour = np.arange(slots) * CADENCE_S / 3600 % 24
    shape = 0.5 + 0.5 * np.exp(
        -0.5 * ((hour[None, :] - rng.uniform(6, 18, (meters, 1))) / rng.uniform(2, 6, (meters, 1))) ** 2
    )
    power = np.round(level * shape * rng.lognormal(0.0, 0.15, (meters, slots)), 1)
    reactive = np.round(power * rng.uniform(0.1, 0.5, (meters, 1)) * rng.lognormal(0.0, 0.1, power.shape), 1)
    energy = np.round(rng.uniform(0, 1e6, (meters, 1)) + np.cumsum(power, axis=1) * CADENCE_S / 3600, 2)
    found: Loads = {"p_kw": power, "q_kvar": reactive, "e_imp_kwh": energy}
    for phase in "abc":
        found[f"u{phase}_v"] = np.round(rng.normal(231.0, 2.0, power.shape), 1)
        found[f"i{phase}_a"] = np.round(power / 0.69 * rng.normal(1.0, 0.03, power.shape), 2)
    found["pf"] = np.round(np.clip(power / np.maximum(np.hypot(power, reactive), 1e-9), 0.0, 1.0), 3)
    found["pa_kw"] = np.round(power / 3 * rng.normal(1.0, 0.03, power.shape), 1)
    found["f_hz"] = np.round(rng.normal(50.0, 0.01, power.shape), 2)
    return {name: found[name] for name in NAMES[:channels]}


def meter(number: int) -> str:
    """A meter's id, as long as real ones."""
    return f"330124{number:06d}"


def journal_bytes(folder: Path, values: Loads) -> float:
    """Bytes a reading takes in the journal, sent in rows of `BATCH` readings."""
    meters, slots = next(iter(values.values())).shape
    journal = Journal.open(folder, ManualClock(MARCH_MS))
    group: list[RawMessage] = []
    for payload in _messages(values):
        group.append(RawMessage("grid/v1/bureau1/readings", payload, MARCH_MS, "bureau1", "canonical"))
        if len(group) == GROUP:
            journal.commit(group, ())
            group = []
    journal.commit(group, ())
    journal.checkpoint()
    journal.close()
    return sum(path.stat().st_size for path in segment_paths(folder)) / (meters * slots)


def _messages(values: Loads) -> Iterator[bytes]:
    meters, slots = next(iter(values.values())).shape
    for slot in range(slots):
        ts_ms = MARCH_MS + (slot + 1) * CADENCE_S * 1000
        for first in range(0, meters, BATCH):
            rows = [
                {"meter": meter(n), "ts": ts_ms, **{name: float(column[n, slot]) for name, column in values.items()}}
                for n in range(first, min(first + BATCH, meters))
            ]
            yield json.dumps({"v": 1, "readings": rows}, separators=(",", ":")).encode()


def history_bytes(folder: Path, values: Loads) -> float:
    """Bytes a reading takes in sealed days."""
    meters, slots = next(iter(values.values())).shape
    ts_ms = MARCH_MS + (np.arange(slots) + 1) * CADENCE_S * 1000
    history = History.open(folder)
    n = meters * slots
    rows = HistoryRows(
        meter=[meter(number) for number in range(meters) for _ in range(slots)],
        ts_ms=np.tile(ts_ms, meters),
        interval_s=np.full(n, CADENCE_S, dtype=np.int32),
        rev=np.zeros(n, dtype=np.int32),
        seq=np.tile(np.arange(slots), meters),
        flags=np.zeros(n, dtype=np.uint8),
        channels={name: column.reshape(-1) for name, column in values.items()},
    )
    history.append(rows, cursor=slots)
    history.seal(MARCH_MS + 60 * DAY_MS)
    history.close()
    return sum(path.stat().st_size for path in (folder / "history").rglob("*.parquet")) / n


def feature_bytes(folder: Path, meters: int, nights: int) -> float:
    """Bytes the features of a meter and night take in the DuckDB file."""
    rng = np.random.default_rng(2)
    history = History.open(folder)
    names = [meter(number) for number in range(meters)]
    empty = _checkpointed(history, folder)
    for night in range(nights):
        values = {spec.name: rng.normal(1.0, 0.3, meters).astype(np.float32) for spec in FEATURES}
        history.write_features(dt.date(2026, 3, 2) + dt.timedelta(days=night), CADENCE_S, 1, names, values)
    return (_checkpointed(history, folder, close=True) - empty) / (meters * nights)


def _checkpointed(history: History, folder: Path, *, close: bool = False) -> int:
    path = folder / "history.duckdb"
    if close:
        history.close()
        connect(path, memory_limit="1GB").close()
    return path.stat().st_size
