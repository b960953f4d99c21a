"""A day's readings as the messages a bureau would send: batches, single readings, and now and then nonsense."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.simulated.county import DayReadings
from models.simulated.seeding import stream

_HOUR_MS: Final = 3_600_000


@dataclass(frozen=True, slots=True)
class SimulatedMessage:
    """One message on `grid/v1/{publisher}/readings`, sent at `arrival_ms`.

    `n_readings` counts its readings as published, good or bad; a message that holds no readings at all counts 1.
    """

    publisher: str
    payload: bytes
    arrival_ms: int
    n_readings: int


@dataclass(frozen=True, slots=True)
class MessageMix:
    """How readings are packed. A publisher sends what has come in during `batch_s`, at most `most_readings` a message.

    Of these batches `column_share` go as columns, and `single_share` of the readings alone; `malformed_a_day`
    messages that are wrong are added per publisher.
    """

    batch_s: int = 300
    most_readings: int = 500
    column_share: float = 0.3
    single_share: float = 0.004
    malformed_a_day: int = 3
    zone: str = "Asia/Shanghai"


DEFAULT_MIX: Final = MessageMix()


def messages(day: DayReadings, rng_seed: int, mix: MessageMix = DEFAULT_MIX) -> Iterator[SimulatedMessage]:
    """The messages of a day in arrival order. The same day, seed and mix give the same bytes."""
    if not len(day):
        return
    rng = stream(rng_seed, "publish", int(day.arrival_ms[0]) // _HOUR_MS)
    table = _Table(day, ZoneInfo(mix.zone))
    made = [message for publisher in sorted(set(day.publisher)) for message in table.of(publisher, rng, mix)]
    made.sort(key=lambda message: message.arrival_ms)
    yield from made


class _Table:
    """The day's columns, ready to be cut into payloads."""

    def __init__(self, day: DayReadings, zone: ZoneInfo) -> None:
        self.day = day
        self.zone = zone
        self.publishers = np.array(day.publisher, dtype=object)
        self.names = tuple(day.channels)
        self.values = np.stack([day.channels[name] for name in self.names], axis=1)
        self._stamps: dict[int, str] = {}

    def of(self, publisher: str, rng: np.random.Generator, mix: MessageMix) -> Iterator[SimulatedMessage]:
        rows = np.flatnonzero(self.publishers == publisher)
        alone = rng.random(len(rows)) < mix.single_share
        for row in rows[alone].tolist():
            yield self._rows(publisher, np.array([row]), int(self.day.arrival_ms[row]))
        rest = rows[~alone]
        bins = self.day.arrival_ms[rest] // (mix.batch_s * 1000)
        edges = np.concatenate(([0], np.flatnonzero(np.diff(bins)) + 1, [len(rest)]))
        for first, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
            for at in range(first, end, mix.most_readings):
                chunk = rest[at : min(at + mix.most_readings, end)]
                sent_ms = int(self.day.arrival_ms[chunk[-1]])
                if rng.random() < mix.column_share:
                    yield from self._columns(publisher, chunk, sent_ms)
                else:
                    yield self._rows(publisher, chunk, sent_ms)
        strangers = np.flatnonzero(self.publishers != publisher)
        first_kind = int(rng.integers(len(_MALFORMED)))
        for k in range(mix.malformed_a_day):
            row = int(rows[int(rng.integers(len(rows)))])
            stranger = int(strangers[int(rng.integers(len(strangers)))]) if len(strangers) else row
            kind = _MALFORMED[(first_kind + k) % len(_MALFORMED)]
            payload = _malformed(kind, self._reading(row), self.day.meter[stranger], int(self.day.ts_ms[row]))
            yield SimulatedMessage(publisher, payload, int(self.day.arrival_ms[row]), 1)

    def stamp(self, ts_ms: int) -> str:
        """RFC 3339 with the local offset; kept, as a tick's meters share it."""
        known = self._stamps.get(ts_ms)
        if known is None:
            known = dt.datetime.fromtimestamp(ts_ms / 1000.0, self.zone).isoformat()
            self._stamps[ts_ms] = known
        return known

    def _reading(self, row: int) -> dict[str, object]:
        reading: dict[str, object] = {"meter": self.day.meter[row], "ts": self.stamp(int(self.day.ts_ms[row]))}
        reading.update(_present(self.names, self.values[row].tolist()))
        return reading

    def _rows(self, publisher: str, chunk: NDArray[np.intp], sent_ms: int) -> SimulatedMessage:
        sent = self.stamp(sent_ms // 1000 * 1000)
        body = {"v": 1, "sent": sent, "readings": [self._reading(row) for row in chunk.tolist()]}
        return SimulatedMessage(publisher, msgspec.json.encode(body), sent_ms, len(chunk))

    def _columns(self, publisher: str, chunk: NDArray[np.intp], sent_ms: int) -> Iterator[SimulatedMessage]:
        """One message for each set of channels present: a column has no holes."""
        present = ~np.isnan(self.values[chunk])
        patterns, which = np.unique(present, axis=0, return_inverse=True)
        for k, pattern in enumerate(patterns):
            part = chunk[which.reshape(-1) == k]
            body: dict[str, object] = {
                "v": 1,
                "sent": self.stamp(sent_ms // 1000 * 1000),
                "meter": [self.day.meter[row] for row in part.tolist()],
                "ts": self.day.ts_ms[part].tolist(),
            }
            body.update({self.names[c]: self.values[part, c].tolist() for c in np.flatnonzero(pattern).tolist()})
            yield SimulatedMessage(publisher, msgspec.json.encode(body), sent_ms, len(part))


def _present(names: Sequence[str], values: Sequence[float]) -> dict[str, float]:
    return {name: value for name, value in zip(names, values, strict=True) if not math.isnan(value)}


_MALFORMED: Final = ("cut_short", "string_number", "unknown_meter", "foreign_meter", "future_stamp", "out_of_range")


def _malformed(kind: str, reading: dict[str, object], stranger: str, ts_ms: int) -> bytes:
    """One message that is wrong in one way; everything else about it is right."""
    wrong = dict(reading)
    match kind:
        case "string_number":
            wrong["p_kw"] = "812.4"
        case "unknown_meter":
            wrong["meter"] = "999999999999"
        case "foreign_meter":
            wrong["meter"] = stranger
        case "future_stamp":
            wrong["ts"] = ts_ms + 400 * 24 * _HOUR_MS
        case "out_of_range":
            wrong = {"meter": reading["meter"], "ts": reading["ts"], "p_kw": 9.9e9}
    payload = msgspec.json.encode({"v": 1, "readings": [wrong]})
    return payload[: len(payload) // 2] if kind == "cut_short" else payload
