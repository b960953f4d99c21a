"""Canonical JSON, fast: rows and columns decoded by typed structs, the rows of many messages transposed at once.

msgspec takes the last of duplicate keys without a word, so the quotation marks of a payload are counted: two for each
key and two for each string is what its decoded content implies, more means a key came twice. Whatever is unusual (a
backslash, a null, a wrong type, a surplus mark) goes to the strict path, which says what is wrong.

A publisher mostly sends the same fields. What its last message carried becomes a struct of exactly these fields, all
required, which is tried first: it costs half. A message that does not fit takes the general structs, with the same
result.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final, Literal, cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from connectors.adapters import strict
from connectors.adapters.builder import BatchBuilder, RowColumns
from connectors.adapters.meter_runs import SHARED
from models.domain.channels import CHANNELS, PLAIN

_ABSENT: Final = math.nan
_NO_INT: Final = -1
_INTEGERS: Final = ("interval_s", "rev")
_ALL: Final = (*_INTEGERS, *CHANNELS)
"""Every optional field of a reading; `meter` and `ts` come before them."""

_LISTED: Final = ("meter", "ts", *_INTEGERS)
_ROWS_AT_ONCE: Final = 1024
"""Rows converted in one go: enough to share the cost, few enough to stay in the cache."""

_MAX_LAYOUTS: Final = 64
_MAX_PUBLISHERS: Final = 4096
_UNFIT: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)

_Field = tuple[str, Any] | tuple[str, Any, Any]
_ENVELOPE: Final[tuple[_Field, ...]] = (("v", Literal[1]), ("sent", str | None, None))
_FIXED: Final[tuple[_Field, ...]] = (("meter", str), ("ts", int | str))
_FIXED_COLUMNS: Final[tuple[_Field, ...]] = (("meter", list[str]), ("ts", list[int | str]))


def _struct(name: str, fields: Sequence[_Field], *, gc: bool = True) -> Any:
    return msgspec.defstruct(name, fields, gc=gc, kw_only=True, forbid_unknown_fields=True)


def _optional_columns() -> list[_Field]:
    kinds = [(name, list[int] if name in _INTEGERS else list[float | None]) for name in _ALL]
    return [(name, kind | None, None) for name, kind in kinds]


_Columns: Final = _struct("Columns", [*_FIXED_COLUMNS, *_optional_columns()])
_decode_top: Final = msgspec.json.Decoder(
    _struct("TopColumns", [*_ENVELOPE, *_FIXED_COLUMNS, *_optional_columns()])
).decode
_decode_named: Final = msgspec.json.Decoder(_struct("Named", [*_ENVELOPE, ("columns", _Columns)])).decode


@dataclass(frozen=True, slots=True)
class _Layout:
    """Optional fields of a reading, and the decoder of messages whose readings have them.

    With `complete` all of them are required; without it they may be absent.
    """

    fields: tuple[str, ...]
    complete: bool
    decode: Callable[[bytes], Any]


def _layout(fields: tuple[str, ...], *, complete: bool) -> _Layout:
    rows: list[_Field] = list(_FIXED)
    for name in fields:
        kind, absent = (int, _NO_INT) if name in _INTEGERS else (float, _ABSENT)
        rows.append((name, kind) if complete else (name, kind, absent))
    row = _struct("Reading", rows, gc=False)
    body: Any = list.__class_getitem__(row) | _Columns
    document = _struct("Document", [*_ENVELOPE, ("readings", body)])
    return _Layout(fields, complete, msgspec.json.Decoder(document).decode)


_PLAIN: Final = _layout((*_INTEGERS, *PLAIN), complete=False)
_FULL: Final = _layout(_ALL, complete=False)


class Canonical:
    """`{"v":1,"sent":…,"readings":[{…}]}`, or the same names as lists of equal length."""

    def __init__(self) -> None:
        self._layouts: dict[tuple[str, ...], _Layout] = {}
        self._last: dict[str, _Layout] = {}

    def decode(self, payload: bytes, builder: BatchBuilder) -> None:
        if b"\\" in payload:
            strict.decode(payload, builder)
            return
        layout, document = self._decoded(payload, builder.publisher)
        if document is None:
            _decode_columns(payload, builder)
            return
        readings = document.readings
        if type(readings) is not list:
            if not _add_columns(payload, readings, _quotes(document.sent, 4), builder):
                strict.decode(payload, builder)
        elif readings:
            rows = builder.pending.get(layout.fields)
            if not isinstance(rows, _Rows):
                rows = builder.pending[layout.fields] = _Rows(layout)
            if not layout.complete:
                self._learn(builder.publisher, layout, readings[0])
            rows.add(payload, readings, _quotes(document.sent, 4), builder)
        else:
            strict.decode(payload, builder)

    def _decoded(self, payload: bytes, publisher: str) -> tuple[_Layout, Any]:
        """The message by the first layout that fits; None when none does."""
        learnt = self._last.get(publisher)
        layouts = (_PLAIN, _FULL) if learnt is None else (learnt, _PLAIN, _FULL)
        for layout in layouts:
            try:
                return layout, layout.decode(payload)
            except _UNFIT:
                pass
        return _FULL, None

    def _learn(self, publisher: str, layout: _Layout, reading: Any) -> None:
        """Try the fields of this reading first with the publisher's next message."""
        values = msgspec.structs.astuple(reading)[2:]
        fields = tuple(
            name
            for name, value in zip(layout.fields, values, strict=True)
            if value is not _ABSENT and not (name in _INTEGERS and value == _NO_INT)
        )
        learnt = self._layouts.get(fields)
        if learnt is None:
            if len(self._layouts) >= _MAX_LAYOUTS or len(fields) + 2 > strict.MAX_FIELDS:
                return
            learnt = self._layouts[fields] = _layout(fields, complete=True)
        if len(self._last) < _MAX_PUBLISHERS or publisher in self._last:
            self._last[publisher] = learnt


def _decode_columns(payload: bytes, builder: BatchBuilder) -> None:
    """Columns at the top of the message or under `columns`; anything else is for the strict path."""
    start = payload[:256]
    try:
        if b'"readings"' in start:
            taken = False
        elif b'"columns"' in start:
            document = _decode_named(payload)
            taken = _add_columns(payload, document.columns, _quotes(document.sent, 4), builder)
        else:
            document = _decode_top(payload)
            taken = _add_columns(payload, document, _quotes(document.sent, 2), builder)
    except _UNFIT:
        taken = False
    if not taken:
        strict.decode(payload, builder)


def _quotes(sent: str | None, keys: int) -> int:
    """Quotation marks of the envelope: `keys`, and the optional `sent` with its text."""
    return keys if sent is None else keys + 4


def _add_columns(payload: bytes, columns: Any, quotes: int, builder: BatchBuilder) -> bool:
    """Add a message of columns; False when the strict path has to look at it."""
    meter, ts, *optional = msgspec.structs.astuple(columns)[-(2 + len(_ALL)) :]
    n = len(meter)
    present = {name: values for name, values in zip(_ALL, optional, strict=True) if values is not None}
    lists = [meter, ts, *present.values()]
    stamps, texts = _stamps(ts)
    implied = quotes + 2 * (len(lists) + n + texts)
    if n == 0 or len(lists) > strict.MAX_FIELDS or implied != payload.count(b'"') or set(map(len, lists)) != {n}:
        return False
    builder.columns(
        RowColumns(
            meter=SHARED.of_list(meter),
            ts=stamps,
            interval_s=present.pop("interval_s", None),
            rev=present.pop("rev", None),
            channels={name: _floats(values) for name, values in present.items()},
            message=np.full(n, builder.message, dtype=np.int32),
            row=np.arange(n, dtype=np.int32),
        )
    )
    return True


def _stamps(ts: list[int | str]) -> tuple[list[int | str] | NDArray[np.int64], int]:
    """The stamps, as an array where all are integers that fit, and how many are texts."""
    kinds = set(map(type, ts))
    if kinds == {int}:
        try:
            return np.fromiter(cast("list[int]", ts), np.int64, len(ts)), 0
        except OverflowError:
            return ts, 0
    return ts, list(map(type, ts)).count(str)


def _floats(values: list[float | None]) -> NDArray[np.float64]:
    """A column as an array, null as NaN."""
    try:
        return np.fromiter(cast("list[float]", values), np.float64, len(values))
    except TypeError:
        return np.array(values, dtype=np.float64)


class _Rows:
    """The rows of the group's messages of one layout, as decoded structs, until there are enough of them to convert."""

    def __init__(self, layout: _Layout) -> None:
        self._layout = layout
        self._getters = [attrgetter(name) for name in ("meter", "ts", *layout.fields)]
        self._clear()

    def _clear(self) -> None:
        self._messages: list[int] = []
        self._counts: list[int] = []
        self._quotes: list[int] = []
        self._payloads: list[bytes] = []
        self._readings: list[Any] = []

    def add(self, payload: bytes, readings: list[Any], quotes: int, builder: BatchBuilder) -> None:
        """Take the readings of the builder's current message; `quotes` is what the envelope alone implies."""
        self._messages.append(builder.message)
        self._counts.append(len(readings))
        self._quotes.append(payload.count(b'"') - quotes)
        self._payloads.append(payload)
        self._readings += readings
        if len(self._readings) >= _ROWS_AT_ONCE:
            self.flush(builder)

    def flush(self, builder: BatchBuilder) -> None:
        """Transpose, count keys, and hand over; a message with a surplus mark goes to the strict path."""
        if not self._readings:
            return
        columns = self._transposed(self._readings)
        if self._implied(columns) != sum(self._quotes) or len(self._layout.fields) + 2 > strict.MAX_FIELDS:
            self._drop_odd(builder)
            columns = self._transposed(self._readings)
        meter, ts, *optional = columns
        n = len(meter)
        present = {
            name: values
            for name, values in zip(self._layout.fields, optional, strict=True)
            if self._layout.complete or _absent(values) < n
        }
        counts = np.array(self._counts, dtype=np.int64)
        starts = np.repeat(np.cumsum(counts) - counts, counts)
        builder.columns(
            RowColumns(
                meter=SHARED.of_messages(meter, self._counts),
                ts=ts,
                interval_s=self._integers(present.pop("interval_s", None)),
                rev=self._integers(present.pop("rev", None)),
                channels=present,
                message=np.repeat(np.array(self._messages, dtype=np.int32), counts),
                row=(np.arange(n) - starts).astype(np.int32),
            )
        )
        self._clear()

    def _transposed(self, readings: list[Any]) -> list[Any]:
        """`meter`, `ts` and the integers as lists, the channels as arrays; no tuple a reading on the way."""
        return [
            list(map(getter, readings))
            if name in _LISTED
            else np.fromiter(map(getter, readings), np.float64, len(readings))
            for name, getter in zip(("meter", "ts", *self._layout.fields), self._getters, strict=True)
        ]

    def _integers(self, values: Sequence[int] | None) -> Sequence[int] | None:
        """Integers with 0 where a reading does not carry one."""
        if values is None or self._layout.complete:
            return values
        return [0 if value == _NO_INT else value for value in values]

    def _implied(self, columns: Sequence[Any]) -> int:
        """Quotation marks that the fields of decoded readings account for."""
        _, ts, *optional = columns
        fields = len(ts) * (3 + len(optional)) + list(map(type, ts)).count(str)
        if not self._layout.complete:
            fields -= sum(map(_absent, optional))
        return 2 * fields

    def _drop_odd(self, builder: BatchBuilder) -> None:
        """Keep the messages whose marks add up; the others are read strictly."""
        kept: list[Any] = []
        messages, counts = [], []
        start = 0
        for message, count, quotes, payload in zip(
            self._messages, self._counts, self._quotes, self._payloads, strict=True
        ):
            mine = self._readings[start : start + count]
            start += count
            if quotes == self._implied(self._transposed(mine)) and not any(map(_overlong, mine)):
                kept += mine
                messages.append(message)
                counts.append(count)
            else:
                builder.begin(message)
                strict.decode(payload, builder)
        self._messages, self._counts, self._readings = messages, counts, kept


def _absent(values: list[int] | NDArray[np.float64]) -> int:
    """How many readings do not carry the field; JSON itself knows no NaN."""
    return values.count(_NO_INT) if isinstance(values, list) else int(np.isnan(values).sum())


def _overlong(reading: Any) -> bool:
    """Whether a reading carries more fields than one may; only that of the widest layout can."""
    row = msgspec.structs.astuple(reading)
    return len(row) - row.count(_ABSENT) - row[2:4].count(_NO_INT) > strict.MAX_FIELDS
