"""Where the readings of one commit group come together and are checked: ids, stamps, ranges."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from connectors.adapters.stamps import Fault, integer_column, shown, stamp_column
from models.domain.channels import CHANNELS
from models.domain.production import PlacedReport, Report
from models.domain.readings import (
    ID_PATTERN,
    YEAR_2000_MS,
    YEAR_2100_MS,
    Decoded,
    MeterRun,
    MeterRuns,
    ReadingBatch,
    Rejection,
    RejectReason,
    empty_batch,
    runs_of,
)

MAX_INTERVAL_S: Final = 86_400
MAX_REV: Final = (1 << 31) - 1
MAX_FAULT_KINDS: Final = 64
"""Different refusals kept for one message; what goes beyond is counted in one more."""

_ORDER: Final = {name: position for position, name in enumerate(CHANNELS)}
_ID: Final = re.compile(ID_PATTERN.removesuffix("$"), re.ASCII)
_MAX_KNOWN_IDS: Final = 2_000_000
_known_ids: set[str] = set()


@dataclass(slots=True)
class RowColumns:
    """Readings as raw columns of equal length: what was on the wire, types checked, values not yet.

    `row` says which reading of its message each one is, `message` which message of the group. A channel's array holds
    NaN where a reading does not carry it and an infinity where the wire held a number that is not finite. `ids` are the
    distinct meters, where the format knows them.
    """

    meter: Sequence[str]
    ts: Sequence[int | str] | NDArray[np.int64]
    interval_s: Sequence[int] | NDArray[np.int64] | None
    rev: Sequence[int] | NDArray[np.int64] | None
    channels: Mapping[str, NDArray[np.float64]]
    message: NDArray[np.int32]
    row: NDArray[np.int32]
    ids: Collection[str] | None = None

    def take(self, mask: NDArray[np.bool_]) -> RowColumns:
        """The readings where `mask` holds; the stamps must be an array."""
        meter = list(self.meter)
        return RowColumns(
            meter=[meter[i] for i in np.flatnonzero(mask).tolist()],
            ts=np.asarray(self.ts)[mask],
            interval_s=None if self.interval_s is None else np.asarray(self.interval_s)[mask],
            rev=None if self.rev is None else np.asarray(self.rev)[mask],
            channels={name: values[mask] for name, values in self.channels.items()},
            message=self.message[mask],
            row=self.row[mask],
        )


class Pending(Protocol):
    """Readings an adapter gathers over the messages of the group, to convert them in one go."""

    def flush(self, builder: BatchBuilder) -> None:
        """Hand over what was gathered; called once, before the group is checked."""


@dataclass(slots=True)
class _Chunk:
    meter: Sequence[str]
    ts_ms: NDArray[np.int64]
    interval_s: NDArray[np.int64]
    rev: NDArray[np.int64]
    channels: Mapping[str, NDArray[np.float64]]
    message: NDArray[np.int32]
    row: NDArray[np.int32]
    keep: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.ts_ms)


@dataclass(slots=True)
class BatchBuilder:
    """Takes the readings and refusals of one commit group, message by message; used once."""

    message: int = 0
    publisher: str = ""
    pending: dict[object, Pending] = field(default_factory=dict)
    _ids: set[str] = field(default_factory=set)
    _chunks: list[_Chunk] = field(default_factory=list)
    _reports: list[PlacedReport] = field(default_factory=list)
    _refusals: dict[int, dict[tuple[RejectReason, str, str], list[int] | None]] = field(default_factory=dict)

    def begin(self, message_index: int, publisher: str = "") -> None:
        """What follows belongs to this message of the group; the publisher may help an adapter to be quick."""
        self.message = message_index
        self.publisher = publisher

    def reject(self, reason: RejectReason, detail: str, rows: Iterable[int] = (), field: str = "") -> None:
        """Refuse the current message (`rows` empty), some of its readings, or one `field` of them.

        Refusals of one kind are merged; after `MAX_FAULT_KINDS` kinds the rest of a message's go into one.
        """
        kinds = self._refusals.setdefault(self.message, {})
        numbers = list(rows)
        key = (reason, detail, field)
        if key not in kinds and len(kinds) >= MAX_FAULT_KINDS:
            key = (RejectReason.SCHEMA, "further faults of other kinds in this message", "")
        kept = kinds.setdefault(key, [] if numbers else None)
        if kept is not None:
            kept.extend(numbers)

    def report(self, row: int, report: Report) -> None:
        """Add a report of the current message, checked as far as its own words go."""
        self._reports.append(PlacedReport(self.message, row, report))

    def columns(self, columns: RowColumns) -> None:
        """Add readings of one or several messages."""
        if len(columns.meter) == 0:
            return
        faults: list[Fault] = []
        ts_ms = columns.ts
        if not isinstance(ts_ms, np.ndarray):
            ts_ms, found = stamp_column(ts_ms)
            faults += found
        interval_s, found = _integers(columns.interval_s, len(ts_ms), "interval_s")
        faults += found
        rev, found = _integers(columns.rev, len(ts_ms), "rev")
        faults += found
        keep = np.ones(len(ts_ms), dtype=np.bool_)
        chunk = _Chunk(columns.meter, ts_ms, interval_s, rev, columns.channels, columns.message, columns.row, keep)
        for fault in faults:
            if keep[fault.position]:
                keep[fault.position] = False
                self.begin(int(columns.message[fault.position]))
                self.reject(fault.reason, fault.detail, (int(columns.row[fault.position]),))
        self._chunks.append(chunk)
        for run in runs_of(columns.meter):
            if not (isinstance(run, MeterRun) and run.sound):
                self._ids.update(run if columns.ids is None else columns.ids)

    def finish(self) -> Decoded:
        """Check the values and return the group: readings in order of message and row, refusals by message."""
        for gathered in self.pending.values():
            gathered.flush(self)
        chunk = _join(self._chunks)
        batch = empty_batch() if chunk is None else self._checked(chunk)
        return Decoded(batch, tuple(self._rejections()), tuple(self._reports))

    def _rejections(self) -> Iterable[Rejection]:
        for message in sorted(self._refusals):
            for (reason, detail, name), rows in self._refusals[message].items():
                yield Rejection(message, reason, detail, tuple(rows or ()), name)

    def _checked(self, chunk: _Chunk) -> ReadingBatch:
        self._check_ids(chunk)
        self._check_integers(chunk)
        channels = self._check_ranges(chunk)
        keep = chunk.keep
        batch = ReadingBatch(
            meter=chunk.meter,
            ts_ms=chunk.ts_ms,
            interval_s=chunk.interval_s.astype(np.int32),
            rev=chunk.rev.astype(np.int32),
            channels=channels,
            message=chunk.message,
            row=chunk.row,
        )
        return batch if keep.all() else batch.take(keep)

    def _drop(self, chunk: _Chunk, bad: NDArray[np.bool_], reason: RejectReason, tell: Callable[[int], str]) -> None:
        """Refuse the readings in `bad` that still stand; `tell` words the first one of each message."""
        bad = bad & chunk.keep
        if bad.any():
            self._refuse(chunk, np.flatnonzero(bad), reason, tell, "")
            chunk.keep &= ~bad

    def _refuse(
        self, chunk: _Chunk, positions: NDArray[np.intp], reason: RejectReason, tell: Callable[[int], str], name: str
    ) -> None:
        messages = chunk.message[positions]
        for message in np.unique(messages).tolist():
            mine = positions[messages == message]
            self.begin(message)
            self.reject(reason, tell(int(mine[0])), chunk.row[mine].tolist(), name)

    def _check_ids(self, chunk: _Chunk) -> None:
        unseen = self._ids - _known_ids
        wrong = {meter for meter in unseen if _ID.fullmatch(meter) is None}
        if len(_known_ids) + len(unseen) > _MAX_KNOWN_IDS:
            _known_ids.clear()
        _known_ids.update(unseen - wrong)
        if wrong:
            bad = np.fromiter((meter in wrong for meter in chunk.meter), np.bool_, len(chunk))
            self._drop(
                chunk,
                bad,
                RejectReason.SCHEMA,
                lambda i: f"meter {shown(chunk.meter[i])} is not an id: 1 to 64 of A-Z a-z 0-9 . _ -, no mark first",
            )
        else:
            for run in runs_of(chunk.meter):
                if isinstance(run, MeterRun):
                    run.sound = True

    def _check_integers(self, chunk: _Chunk) -> None:
        ts_ms, interval_s, rev = chunk.ts_ms, chunk.interval_s, chunk.rev
        if ts_ms.min() < YEAR_2000_MS:
            tell = "ts is before the year 2000; integers are milliseconds since 1970, UTC"
            self._drop(chunk, ts_ms < YEAR_2000_MS, RejectReason.TIME_OLD, lambda _: tell)
        if ts_ms.max() >= YEAR_2100_MS:
            tell_future = "ts is after the year 2099; integers are milliseconds since 1970, UTC"
            self._drop(chunk, ts_ms >= YEAR_2100_MS, RejectReason.TIME_FUTURE, lambda _: tell_future)
        for name, values, high in (("interval_s", interval_s, MAX_INTERVAL_S), ("rev", rev, MAX_REV)):
            bad = (values < 0) | (values > high)
            tell_range = f"{name} is outside 0 to {high}"
            self._drop(chunk, bad, RejectReason.RANGE, lambda _, text=tell_range: text)  # type: ignore[misc]  # binds

    def _check_ranges(self, chunk: _Chunk) -> dict[str, NDArray[np.float64]]:
        """The channels with what is out of range taken out; readings left without any value are refused."""
        channels: dict[str, NDArray[np.float64]] = {}
        faults: list[tuple[str, NDArray[np.bool_], NDArray[np.float64]]] = []
        for name in sorted(chunk.channels, key=_ORDER.__getitem__):
            values, spec = chunk.channels[name], CHANNELS[name]
            bad = ((values < spec.low) | (values > spec.high)) & chunk.keep
            if bad.any():
                faults.append((name, bad, values))
                channels[name] = np.where(bad, np.nan, values)
            else:
                channels[name] = values
        self._drop_empty(chunk, channels, faults)
        for name, bad, values in faults:
            kept_bad = bad & chunk.keep
            infinite = np.isinf(values)
            kinds = ((kept_bad & infinite, RejectReason.NUMBER), (kept_bad & ~infinite, RejectReason.RANGE))
            for mask, reason in kinds:
                if mask.any():
                    tell = _range_teller(name, values)
                    self._refuse(chunk, np.flatnonzero(mask), reason, tell, name)
        return channels

    def _drop_empty(
        self,
        chunk: _Chunk,
        channels: Mapping[str, NDArray[np.float64]],
        faults: Sequence[tuple[str, NDArray[np.bool_], NDArray[np.float64]]],
    ) -> None:
        empty = np.ones(len(chunk), dtype=np.bool_)
        for values in channels.values():
            empty &= np.isnan(values)
            if not empty.any():
                return
        for name, bad, values in faults:
            tell = _range_teller(name, values)
            infinite = np.isinf(values)
            self._drop(chunk, empty & bad & infinite, RejectReason.NUMBER, tell)
            self._drop(chunk, empty & bad, RejectReason.RANGE, tell)
        self._drop(chunk, empty, RejectReason.SCHEMA, lambda _: "a reading without any channel")


def _range_teller(name: str, values: NDArray[np.float64]) -> Callable[[int], str]:
    spec = CHANNELS[name]

    def tell(i: int) -> str:
        if np.isinf(values[i]):
            return f"{name} is not a finite number"
        return f"{name} {values[i]:.6g} is outside {spec.low:g} to {spec.high:g} {spec.unit}; check unit and ratio"

    return tell


def _integers(
    values: Sequence[int] | NDArray[np.int64] | None, count: int, name: str
) -> tuple[NDArray[np.int64], list[Fault]]:
    if values is None:
        return np.zeros(count, dtype=np.int64), []
    if isinstance(values, np.ndarray):
        return values, []
    return integer_column(values, name)


def _join(chunks: Sequence[_Chunk]) -> _Chunk | None:
    """One chunk in order of message and row; a channel a chunk does not carry is NaN in its rows."""
    if len(chunks) <= 1:
        return chunks[0] if chunks else None
    runs = [run for chunk in chunks for run in runs_of(chunk.meter)]
    shared = any(isinstance(run, MeterRun) for run in runs)
    meter = MeterRuns(runs) if shared else list(itertools.chain.from_iterable(runs))
    names = dict.fromkeys(name for chunk in chunks for name in chunk.channels)
    joined = _Chunk(
        meter=meter,
        ts_ms=np.concatenate([c.ts_ms for c in chunks]),
        interval_s=np.concatenate([c.interval_s for c in chunks]),
        rev=np.concatenate([c.rev for c in chunks]),
        channels={name: np.concatenate([_channel(c, name) for c in chunks]) for name in names},
        message=np.concatenate([c.message for c in chunks]),
        row=np.concatenate([c.row for c in chunks]),
        keep=np.concatenate([c.keep for c in chunks]),
    )
    return joined if (np.diff(joined.message) >= 0).all() else _sorted(joined)


def _channel(chunk: _Chunk, name: str) -> NDArray[np.float64]:
    values = chunk.channels.get(name)
    return np.full(len(chunk), np.nan) if values is None else values


def _sorted(chunk: _Chunk) -> _Chunk:
    order = np.lexsort((chunk.row, chunk.message))
    meter = list(chunk.meter)
    return _Chunk(
        meter=[meter[i] for i in order.tolist()],
        ts_ms=chunk.ts_ms[order],
        interval_s=chunk.interval_s[order],
        rev=chunk.rev[order],
        channels={name: values[order] for name, values in chunk.channels.items()},
        message=chunk.message[order],
        row=chunk.row[order],
        keep=chunk.keep[order],
    )
