"""Messages and readings between the wire and the stores."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, overload

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.domain.production import PlacedReport


class RejectReason(StrEnum):
    """Why a message, a reading or a value was not taken (rule D10)."""

    SIZE = "SIZE"
    ENCODING = "ENCODING"
    PARSE = "PARSE"
    SCHEMA = "SCHEMA"
    NUMBER = "NUMBER"
    RANGE = "RANGE"
    TIME_FUTURE = "TIME_FUTURE"
    TIME_OLD = "TIME_OLD"
    UNKNOWN_METER = "UNKNOWN_METER"
    AUTHZ = "AUTHZ"
    CONFLICT = "CONFLICT"
    SEQUENCE = "SEQUENCE"
    SIGNATURE = "SIGNATURE"
    RETAINED = "RETAINED"
    INTERNAL = "INTERNAL"


class RawMessage(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One MQTT message (or one slice of a file) exactly as it came. Stored as it is in the journal's blobs.

    `adapter` names the payload format and `publisher` the data source, both settled from the subscription and the
    topic when the message is received. `received_ms` is our wall clock, UTC. `generation` and `mid` identify the
    acknowledgement on the wire and mean nothing after a restart (rule D2).
    """

    topic: str
    payload: bytes
    received_ms: int
    publisher: str
    adapter: str
    qos: int = 1
    retain: bool = False
    dup: bool = False
    expiry: bool = False
    generation: int = 0
    mid: int = 0


@dataclass(frozen=True, slots=True)
class Rejection:
    """One refusal: a whole message (`rows` empty), some of its readings, or one field of them (`field` set).

    When `field` is set the readings themselves were taken, without that value. `detail` says what was wrong, where
    and what to do, in English, without repeating more than 80 characters of untrusted text.
    """

    message: int
    reason: RejectReason
    detail: str
    rows: tuple[int, ...] = ()
    field: str = ""


class MeterRun(tuple[str, ...]):  # noqa: SLOT001  # `sound` needs a place, and a tuple's kind cannot have slots
    """The meters of one message, in its order; messages with the same meters mostly share one object.

    `sound` says that every one of them was found to be an id. What else is known of a run may be kept by identity.
    """

    sound: bool = False


class MeterRuns(Sequence[str]):
    """Meters of several messages, one run after the other."""

    __slots__ = ("_ends", "runs")

    def __init__(self, runs: Sequence[Sequence[str]]) -> None:
        self.runs = runs
        self._ends = list(itertools.accumulate(map(len, runs)))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __iter__(self) -> Iterator[str]:
        return itertools.chain.from_iterable(self.runs)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        if isinstance(index, slice):
            return list(self)[index]
        at = range(len(self))[index]
        run = bisect.bisect_right(self._ends, at)
        return self.runs[run][at - self._ends[run]]


def runs_of(meters: Sequence[str]) -> Sequence[Sequence[str]]:
    """The runs that make up meters; anything else is one run."""
    return meters.runs if isinstance(meters, MeterRuns) else (meters,)


@dataclass(frozen=True, slots=True)
class ReadingBatch:
    """Readings of one commit group as columns of equal length n.

    `meter` (n,) ids; `ts_ms` (n,) int64, UTC, the END of the interval; `interval_s` (n,) int32, 0 where the register
    decides; `rev` (n,) int32, 0 for an ordinary reading; `channels` maps a name of `CHANNELS` to (n,) float64 with
    NaN where the reading does not carry it; `message` and `row` (n,) int32 say which message of the group, and which
    of its readings, a row came from.
    """

    meter: Sequence[str]
    ts_ms: NDArray[np.int64]
    interval_s: NDArray[np.int32]
    rev: NDArray[np.int32]
    channels: Mapping[str, NDArray[np.float64]]
    message: NDArray[np.int32]
    row: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.ts_ms)

    def take(self, index: NDArray[np.intp] | NDArray[np.bool_]) -> ReadingBatch:
        """The rows selected by an index or a mask, in that order."""
        positions = np.flatnonzero(index) if index.dtype == np.bool_ else index
        meter = list(self.meter)
        return ReadingBatch(
            meter=[meter[i] for i in positions.tolist()],
            ts_ms=self.ts_ms[positions],
            interval_s=self.interval_s[positions],
            rev=self.rev[positions],
            channels={name: values[positions] for name, values in self.channels.items()},
            message=self.message[positions],
            row=self.row[positions],
        )


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a commit group says: readings, reports, and what could not be read. A function of the bytes alone."""

    batch: ReadingBatch
    rejections: tuple[Rejection, ...]
    reports: tuple[PlacedReport, ...] = ()


ID_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
"""Ids of meters, publishers, sites … (rule A4)."""

YEAR_2000_MS: Final = 946_684_800_000
YEAR_2100_MS: Final = 4_102_444_800_000

CADENCES_S: Final[tuple[int, ...]] = (60, 120, 180, 300, 600, 900, 1200, 1800, 3600, 86400)
"""Interval lengths a window can hold: divisors of the hour from a minute up, and the day."""


def empty_batch() -> ReadingBatch:
    """A batch of no readings."""
    none = np.zeros(0, dtype=np.int32)
    return ReadingBatch([], np.zeros(0, dtype=np.int64), none, none, {}, none, none)
