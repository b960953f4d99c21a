"""The bare ceiling: what paho, one durable write and the barest decoding cost when nothing else is done.

paho as it comes, manual acknowledgement, groups of 500: each message of a group is decoded, by itself, to arrays of the
numbers it holds; the payloads go, joined, into one SQLite row (WAL, synchronous FULL), are committed, then
acknowledged. Nothing is checked, told apart, compressed, kept in a window or in a history.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.ipc
from paho.mqtt.client import Client, MQTTMessage, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tests.bench.loads import Load
from tests.bench.stopwatch import Cost, Stopwatch

GROUP: Final = 500
CLIENT_ID: Final = "gridwarden"
RECEIVE_MAXIMUM: Final = 2000

Commit = Callable[[Sequence[bytes]], None]


def session_client() -> Client:
    """paho as it comes, with the daemon's session."""
    return Client(CallbackAPIVersion.VERSION2, client_id=CLIENT_ID, protocol=MQTTv5, manual_ack=True)


def session_properties() -> Properties:
    """A session that outlives the connection, and the daemon's receive maximum."""
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = 0xFFFFFFFF
    properties.ReceiveMaximum = RECEIVE_MAXIMUM
    properties.MaximumPacketSize = 16 << 20
    return properties


def drain(port: int, messages: int, commit: Commit) -> Cost:
    """Receive `messages`, commit them in groups and acknowledge each group after its commit."""
    held: list[tuple[int, bytes]] = []
    done = 0

    def on_message(client: Client, _data: Any, message: MQTTMessage) -> None:
        nonlocal done
        held.append((message.mid, bytes(message.payload)))
        if len(held) == GROUP or done + len(held) == messages:
            commit([payload for _, payload in held])
            for mid, _ in held:
                client.ack(mid, 1)
            done += len(held)
            held.clear()

    client = session_client()
    client.on_message = on_message
    stopwatch = Stopwatch()
    client.connect("127.0.0.1", port, clean_start=False, properties=session_properties())
    while done < messages:
        client.loop(1.0)
    while client.want_write():
        client.loop_write()
    cost = stopwatch.cost()
    client.disconnect()
    return cost


def open_store(folder: Path, schema: str) -> sqlite3.Connection:
    """An SQLite file as durable as the journal."""
    store = sqlite3.connect(folder / "bare.sqlite", isolation_level=None)
    store.execute("PRAGMA journal_mode = WAL")
    store.execute("PRAGMA synchronous = FULL")
    store.execute(schema)
    return store


def blob_commit(store: sqlite3.Connection) -> Commit:
    """A group as one blob in one transaction."""

    def commit(payloads: Sequence[bytes]) -> None:
        store.execute("INSERT INTO record (body) VALUES (?)", (b"".join(payloads),))

    return commit


class BareRow(msgspec.Struct):
    """A reading as the benchmark sends it."""

    meter: str
    ts: str | int
    p_kw: float
    q_kvar: float
    e_imp_kwh: float


class BareRows(msgspec.Struct):
    """A message of rows."""

    readings: list[BareRow]


class BareColumns(msgspec.Struct):
    """A message of columns."""

    meter: list[str]
    ts: list[int]
    p_kw: list[float]
    q_kvar: list[float]
    e_imp_kwh: list[float]


class BareColumnMessage(msgspec.Struct):
    """The columns in their envelope."""

    readings: BareColumns


_ROWS: Final = msgspec.json.Decoder(BareRows)
_COLUMNS: Final = msgspec.json.Decoder(BareColumnMessage)
_CHANNELS: Final = ("p_kw", "q_kvar", "e_imp_kwh")


def bare_row(payload: bytes) -> None:
    """One reading: no array is worth making."""
    _ROWS.decode(payload)


def bare_rows(payload: bytes) -> None:
    """Rows to arrays."""
    rows = _ROWS.decode(payload).readings
    for values in ([r.p_kw for r in rows], [r.q_kvar for r in rows], [r.e_imp_kwh for r in rows]):
        np.array(values)


def bare_columns(payload: bytes) -> None:
    """Columns to arrays."""
    columns = _COLUMNS.decode(payload).readings
    for values in (columns.ts, columns.p_kw, columns.q_kvar, columns.e_imp_kwh):
        np.array(values)


def bare_arrow(payload: bytes) -> None:
    """Arrow to arrays."""
    table = pa.ipc.open_stream(payload).read_all()
    for name in _CHANNELS:
        table.column(name).to_numpy()


DECODERS: Final[dict[str, Callable[[bytes], None]]] = {
    "one": bare_row,
    "rows": bare_rows,
    "columns": bare_columns,
    "arrow": bare_arrow,
}


def run(load: Load, port: int, folder: Path) -> Cost:
    """Drain the session."""
    store = open_store(folder, "CREATE TABLE record (seq INTEGER PRIMARY KEY, body BLOB NOT NULL)")
    decode, keep = DECODERS[load.name], blob_commit(store)

    def commit(payloads: Sequence[bytes]) -> None:
        for payload in payloads:
            decode(payload)
        keep(payloads)

    cost = drain(port, load.messages, commit)
    store.close()
    return cost
