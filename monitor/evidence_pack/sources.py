"""Readings and nightly rows for an evidence pack: from the running daemon, or from the files while it is stopped.

No second process may open the history, so the daemon's core thread reads it for us, a few days at a time.
"""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
import pyarrow as pa

from models.learned.features import FEATURE_VERSION, FEATURES
from monitor.commands import CommandRefused
from monitor.history.history import History
from monitor.storage import StateLock

if TYPE_CHECKING:
    from monitor.wiring import Core

DAY_MS: Final = 86_400_000
SPAN_MS: Final = 4 * DAY_MS
"""What is asked of the daemon at once: its core thread is to turn again soon."""
MOST_METERS: Final = 1000
MOST_NIGHTS: Final = 500
READINGS: Final = "evidence_readings"
ROWS: Final = "evidence_rows"

Ask = Callable[[str, dict[str, Any]], dict[str, Any]]


class Stored(Protocol):
    """What a pack needs of the history."""

    def readings(self, start_ms: int, end_ms: int, meters: Sequence[str]) -> pa.Table:
        """Rows with stamps in (start, end], as `History.read` gives them, with `meter` as plain strings."""

    def rows(self, nights: Sequence[dt.date], meters: Sequence[str], cadences: Sequence[int]) -> pa.Table:
        """Nightly rows: `night, interval_s, version, meter`, then every feature; nights without a row left out."""


class StoredFiles:
    """The history of a stopped daemon."""

    def __init__(self, history: History) -> None:
        self._history = history

    def readings(self, start_ms: int, end_ms: int, meters: Sequence[str]) -> pa.Table:
        return plain_readings(self._history, start_ms, end_ms, meters)

    def rows(self, nights: Sequence[dt.date], meters: Sequence[str], cadences: Sequence[int]) -> pa.Table:
        return nightly_rows(self._history, nights, meters, cadences)


class AskedDaemon:
    """The history of the running daemon."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def readings(self, start_ms: int, end_ms: int, meters: Sequence[str]) -> pa.Table:
        parts = [
            self._table(READINGS, {"start_ms": at, "end_ms": min(at + SPAN_MS, end_ms), "meters": list(meters)})
            for at in range(start_ms, end_ms, SPAN_MS)
        ]
        return in_store_order(pa.concat_tables(parts, promote_options="default"))

    def rows(self, nights: Sequence[dt.date], meters: Sequence[str], cadences: Sequence[int]) -> pa.Table:
        dates = [night.isoformat() for night in nights]
        return self._table(ROWS, {"nights": dates, "meters": list(meters), "cadences": list(cadences)})

    def _table(self, command: str, arguments: dict[str, Any]) -> pa.Table:
        packed = base64.b64decode(self._ask(command, arguments)["ipc"])
        with pa.ipc.open_stream(packed) as reader:
            return reader.read_all()


@contextlib.contextmanager
def stored_files(state_dir: Path) -> Iterator[StoredFiles]:
    """The history of a state directory that no daemon holds. Raises `StoreLocked` where one does."""
    lock = StateLock.acquire(state_dir)
    try:
        history = History.open(state_dir)
        try:
            yield StoredFiles(history)
        finally:
            history.close()
    finally:
        lock.release()


def evidence_readings(core: Core, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The command behind `AskedDaemon.readings`."""
    start_ms, end_ms, meters = arguments.get("start_ms"), arguments.get("end_ms"), arguments.get("meters")
    if not isinstance(start_ms, int) or not isinstance(end_ms, int) or not 0 <= end_ms - start_ms <= SPAN_MS:
        raise CommandRefused("start_ms and end_ms must name at most four days")
    core.pipeline.applier.flush()
    return _packed(plain_readings(core.history, start_ms, end_ms, _meters(meters)))


def evidence_rows(core: Core, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The command behind `AskedDaemon.rows`."""
    nights, cadences = arguments.get("nights"), arguments.get("cadences")
    if not isinstance(nights, list) or len(nights) > MOST_NIGHTS or not isinstance(cadences, list):
        raise CommandRefused(f"nights must be a list of at most {MOST_NIGHTS} dates, cadences a list of seconds")
    try:
        dates = [dt.date.fromisoformat(str(night)) for night in nights]
        steps = [int(cadence) for cadence in cadences[:20]]
    except (ValueError, TypeError) as error:
        raise CommandRefused(f"not dates or cadences: {error}") from error
    return _packed(nightly_rows(core.history, dates, _meters(arguments.get("meters")), steps))


def plain_readings(history: History, start_ms: int, end_ms: int, meters: Sequence[str]) -> pa.Table:
    """`History.read` with `meter` as plain strings, without channels that hold nothing."""
    table = history.read(start_ms, end_ms, meters=sorted(meters))
    table = table.set_column(0, "meter", table.column("meter").cast(pa.string()))
    return in_store_order(table)


def in_store_order(table: pa.Table) -> pa.Table:
    """Rows by cadence, meter, stamp, revision and record, then by value; channels that hold something, by name."""
    keys = ["interval_s", "meter", "ts_ms", "rev", "seq", "flags"]
    channels = sorted(n for n in set(table.schema.names) - set(keys) if table.column(n).null_count < table.num_rows)
    table = table.select(["meter", "ts_ms", "interval_s", "rev", "seq", "flags", *channels])
    return table.sort_by([(name, "ascending") for name in [*keys, *channels]]).combine_chunks()


def nightly_rows(
    history: History, nights: Sequence[dt.date], meters: Sequence[str], cadences: Sequence[int]
) -> pa.Table:
    """Rows of this program's feature version; one a cadence, meter and night, in that order."""
    meters = sorted(meters)
    names = [spec.name for spec in FEATURES]
    parts: list[pa.Table] = []
    for interval_s in sorted(set(cadences)):
        stored = history.read_features(nights, interval_s, FEATURE_VERSION, meters)
        values = {n: stored.get(n, np.full((len(meters), len(nights)), np.nan, dtype=np.float32)) for n in names}
        there = np.zeros((len(meters), len(nights)), dtype=np.bool_)
        for value in values.values():
            there |= np.isfinite(value)
        row, column = np.nonzero(there)
        columns: dict[str, Any] = {
            "night": pa.array([nights[i] for i in column.tolist()], pa.date32()),
            "interval_s": pa.array(np.full(len(row), interval_s, dtype=np.int32)),
            "version": pa.array(np.full(len(row), FEATURE_VERSION, dtype=np.int32)),
            "meter": pa.array([meters[i] for i in row.tolist()], pa.string()),
        }
        columns |= {n: pa.array(value[row, column], mask=np.isnan(value[row, column])) for n, value in values.items()}
        parts.append(pa.table(columns))
    return pa.concat_tables(parts).combine_chunks()


def _meters(meters: object) -> list[str]:
    if (
        not isinstance(meters, list)
        or not 0 < len(meters) <= MOST_METERS
        or not all(isinstance(m, str) for m in meters)
    ):
        raise CommandRefused(f"meters must be a list of at most {MOST_METERS} ids")
    return meters


def _packed(table: pa.Table) -> dict[str, Any]:
    out = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_stream(out, table.schema, options=options) as writer:
        writer.write_table(table)
    return {"ipc": base64.b64encode(out.getvalue().to_pybytes()).decode()}
