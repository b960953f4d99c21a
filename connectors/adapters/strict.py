"""The strict reading of canonical JSON: slow, row by row, and exact about which reading and which field is wrong.

The fast path of `canonical.py` hands over what it cannot take whole. Both give the same answer wherever both can
answer; a property test holds that.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from connectors.adapters.builder import BatchBuilder, RowColumns
from connectors.adapters.stamps import shown
from models.domain.channels import CHANNELS
from models.domain.readings import RejectReason

MAX_DEPTH: Final = 8
MAX_FIELDS: Final = 64
_INT64_DIGITS: Final = 20
_STRUCTURE: Final = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)
_READING_FIELDS: Final = frozenset({"meter", "ts", "interval_s", "rev", *CHANNELS})
_ENVELOPE: Final = frozenset({"v", "sent"})
_INTEGER_FIELDS: Final = frozenset({"ts", "interval_s", "rev"})
_WAVEFORM: Final = (
    "a waveform burst is not read yet: send harmonic orders (h2_pct …) or current distortion (thdi_pct) in readings"
)


class WideInt(float):
    """An integer literal too long for 63 bits, kept as the nearest double."""


class StrictObject(dict[str, object]):
    """A JSON object that remembers the first field that came twice ("" when none did)."""

    __slots__ = ("repeated",)

    def __init__(self, pairs: Sequence[tuple[str, object]]) -> None:
        super().__init__(pairs)
        self.repeated = ""
        if len(self) != len(pairs):
            seen: set[str] = set()
            for name, _ in pairs:
                if name in seen:
                    self.repeated = name
                    break
                seen.add(name)


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a document or a reading cannot be taken."""

    reason: RejectReason
    detail: str


@dataclass(frozen=True, slots=True)
class StrictRow:
    """One reading whose fields have the right types; channel values that are not finite are infinities."""

    row: int
    meter: str
    ts: int | str
    interval_s: int
    rev: int
    values: Mapping[str, float]


def parse(payload: bytes, number: Callable[[str], object] = float) -> object | Refused:
    """JSON by rule P1: strict UTF-8, no BOM, nothing after the end, bounded depth. NaN and Infinity become infinite.

    `number` reads a number with a fraction or an exponent.
    """
    if payload.startswith(b"\xef\xbb\xbf"):
        return Refused(RejectReason.ENCODING, "starts with a byte order mark; send plain UTF-8")
    try:
        text = payload.decode("utf-8")
    except UnicodeDecodeError as error:
        return Refused(RejectReason.ENCODING, f"not UTF-8 at byte {error.start}")
    if _depth(text) > MAX_DEPTH:
        return Refused(RejectReason.PARSE, f"nested deeper than {MAX_DEPTH}")
    try:
        document: object = json.loads(
            text,
            object_pairs_hook=StrictObject,
            parse_int=_integer,
            parse_float=number,
            parse_constant=lambda _: math.inf,
        )
    except json.JSONDecodeError as error:
        return Refused(
            RejectReason.PARSE, f"not JSON: {error.msg.removesuffix(' starting at')} at character {error.pos}"
        )
    return document


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= _INT64_DIGITS else WideInt(digits)


def _depth(text: str) -> int:
    depth = deepest = 0
    for match in _STRUCTURE.finditer(text):
        mark = match.group()
        if mark in ("{", "["):
            depth += 1
            deepest = max(deepest, depth)
        elif mark in ("}", "]"):
            depth -= 1
    return deepest


def decode(payload: bytes, builder: BatchBuilder) -> None:
    """Read a canonical message, rows or columns, and refuse exactly what is wrong in it."""
    document = parse(payload)
    readings = document if isinstance(document, Refused) else _readings(document)
    if isinstance(readings, Refused):
        builder.reject(readings.reason, readings.detail)
        return
    rows: list[StrictRow] = []
    for number, reading in enumerate(readings):
        row = check_reading(number, reading)
        if isinstance(row, Refused):
            builder.reject(row.reason, row.detail, (number,))
        else:
            rows.append(row)
    add_rows(builder, rows)


def add_rows(builder: BatchBuilder, rows: Sequence[StrictRow]) -> None:
    """Add readings of the builder's current message."""
    names = dict.fromkeys(name for row in rows for name in row.values)
    builder.columns(
        RowColumns(
            meter=[row.meter for row in rows],
            ts=[row.ts for row in rows],
            interval_s=[row.interval_s for row in rows],
            rev=[row.rev for row in rows],
            channels={name: np.array([row.values.get(name, math.nan) for row in rows]) for name in names},
            message=np.full(len(rows), builder.message, dtype=np.int32),
            row=np.array([row.row for row in rows], dtype=np.int32),
        )
    )


def _readings(document: object) -> Sequence[object] | Refused:
    """The readings of a canonical message as objects, whichever of its forms it has."""
    if not isinstance(document, StrictObject):
        return Refused(RejectReason.SCHEMA, "the message must be a JSON object")
    wrong = _check_envelope(document)
    if wrong:
        return Refused(RejectReason.SCHEMA, wrong)
    names = document.keys() - _ENVELOPE
    body = document[next(iter(names))] if len(names) == 1 and "meter" not in names else document
    if isinstance(body, StrictObject):
        return _transposed(body)
    if not isinstance(body, list) or names != {"readings"}:
        return Refused(RejectReason.SCHEMA, "readings must be a list of objects or an object of lists")
    return body or Refused(RejectReason.SCHEMA, "the message has no readings")


def _check_envelope(document: StrictObject) -> str:
    """What is wrong with a canonical message around its readings, "" when nothing is."""
    if document.repeated:
        return f"field {shown(document.repeated)} of the message comes twice"
    if "fs_hz" in document:
        return _WAVEFORM
    version, sent = document.get("v"), document.get("sent")
    if type(version) is not int or version != 1:
        return "v must be 1"
    if sent is not None and not isinstance(sent, str):
        return "sent must be a string, RFC 3339"
    names = document.keys() - _ENVELOPE
    if names in ({"readings"}, {"columns"}) or ("meter" in names and not names & {"readings", "columns"}):
        return ""
    surplus = sorted(names - {"readings", "columns"})
    return f"unknown field {shown(surplus[0])} of the message" if surplus else "the message has no readings"


def _transposed(columns: StrictObject) -> Sequence[object] | Refused:
    if columns.repeated:
        return Refused(RejectReason.SCHEMA, f"column {shown(columns.repeated)} comes twice")
    names = [name for name in columns if name not in _ENVELOPE]
    if len(names) > MAX_FIELDS:
        return Refused(RejectReason.SCHEMA, f"more than {MAX_FIELDS} columns")
    unknown = [name for name in names if name not in _READING_FIELDS]
    if unknown:
        return Refused(RejectReason.SCHEMA, f"unknown column {shown(unknown[0])}")
    lists = [values for name in names if isinstance(values := columns[name], list)]
    if len(lists) != len(names):
        return Refused(RejectReason.SCHEMA, "every column must be a list")
    lengths = set(map(len, lists))
    if len(lengths) != 1:
        return Refused(RejectReason.SCHEMA, f"columns differ in length: {sorted(lengths)[:4]}")
    rows = [StrictObject(list(zip(names, row, strict=True))) for row in zip(*lists, strict=True)]
    return rows or Refused(RejectReason.SCHEMA, "the message has no readings")


def check_reading(number: int, reading: object) -> StrictRow | Refused:
    """One reading of a canonical message: its fields known, each once, each of its type; null means absent."""
    if not isinstance(reading, StrictObject):
        return Refused(RejectReason.SCHEMA, "a reading must be an object")
    wrong = _check_fields(reading)
    if wrong is not None:
        return wrong
    meter, ts = reading["meter"], reading["ts"]
    interval_s, rev = reading.get("interval_s"), reading.get("rev")
    values = {name: float(v) for name, v in reading.items() if name in CHANNELS and isinstance(v, int | float)}
    if not isinstance(meter, str) or not isinstance(ts, int | str):
        raise TypeError("checked above")
    return StrictRow(
        number, meter, ts, interval_s if isinstance(interval_s, int) else 0, rev if isinstance(rev, int) else 0, values
    )


def _check_fields(reading: StrictObject) -> Refused | None:
    """The first fault of a reading's fields, in the order in which they came."""
    if reading.repeated:
        return Refused(RejectReason.SCHEMA, f"field {shown(reading.repeated)} comes twice")
    if len(reading) > MAX_FIELDS:
        return Refused(RejectReason.SCHEMA, f"a reading of more than {MAX_FIELDS} fields")
    for name, value in reading.items():
        wrong = _check_field(name, value)
        if wrong:
            return Refused(RejectReason.SCHEMA, wrong)
        if isinstance(value, WideInt) and name in _INTEGER_FIELDS:
            return Refused(RejectReason.NUMBER, f"{name} is an integer beyond 63 bits")
    for needed in ("meter", "ts"):
        if needed not in reading:
            return Refused(RejectReason.SCHEMA, f"{needed} is missing")
    return None


def _check_field(name: str, value: object) -> str:
    """What is wrong with the type of one field, "" when nothing is; null stands for an absent optional field."""
    if name not in _READING_FIELDS:
        return f"unknown field {shown(name)}"
    if name == "meter":
        return "" if isinstance(value, str) else f"meter must be a string, not {_kind(value)}"
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if name in CHANNELS:
        return "" if number or value is None else f"{name} must be a JSON number, not {_kind(value)}"
    whole = number and isinstance(value, int | WideInt)
    if name == "ts":
        fits = whole or isinstance(value, str)
        return "" if fits else f"ts must be RFC 3339 or integer milliseconds, not {_kind(value)}"
    return "" if whole or value is None else f"{name} must be an integer, not {_kind(value)}"


def _kind(value: object) -> str:
    """What JSON calls a value, for people."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case str():
            return "a string"
        case int() | float():
            return "a fraction"
        case list():
            return "a list"
        case _:
            return "an object"
