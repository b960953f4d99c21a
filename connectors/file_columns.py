"""Columns of a file, whatever their types, as the canonical columns; what does not fit is marked, not lost."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from connectors.adapters.stamps import rfc3339_ms, shown
from connectors.file_days import DATE, ENERGY, days_ms, fault_of_names, mean_kw
from models.domain.channels import CHANNELS, PLAIN
from models.domain.nights import DAY_S

STAMPS: Final = ("ts", "arrival_ts")
INTEGERS: Final = ("interval_s", "rev")
TEXTS: Final = ("meter", "publisher")
COLUMNS: Final = frozenset({*TEXTS, *STAMPS, *INTEGERS, *CHANNELS, ENERGY, DATE})

_NUMBER: Final = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?$"
_INTEGER: Final = r"^[+-]?\d{1,18}$"
_INTEGER_TEXT: Final = re.compile(r"[+-]?\d{1,18}", re.ASCII)
_NAIVE_TEXT: Final = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?", re.ASCII)
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MS_PER: Final = {"s": 1000, "ms": 1}
_PER_MS: Final = {"us": 1000, "ns": 1_000_000}


class FileFaultError(ValueError):
    """A file that cannot be read at all: names the file, what is wrong, and the remedy."""


@dataclass(frozen=True, slots=True)
class Block:
    """Some rows of a file: `table` holds the canonical columns, `number` each row's number in the file.

    `unfit` marks rows with a value that cannot be told in its column's type; their original values are in `original`,
    a table of the same rows with the types of the file.
    """

    table: pa.Table
    number: NDArray[np.int64]
    unfit: NDArray[np.bool_]
    original: pa.Table


def check_names(names: list[str], where: str) -> None:
    """Raises FileFaultError unless the columns are canonical, each once, with meter, ts and a channel among them."""
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise FileFaultError(f"{where}: column {shown(repeated[0])} comes twice; keep one")
    unknown = [name for name in names if name not in COLUMNS]
    if unknown:
        known = f"meter, ts, interval_s, rev, publisher, arrival_ts, {', '.join(PLAIN)}, thdi, h and ih orders, "
        known += f"{ENERGY}, {DATE}"
        told = ", ".join(map(shown, unknown))
        raise FileFaultError(f"{where}: unknown column {told}; rename or remove it. Known: {known}")
    fault = fault_of_names(names)
    if fault:
        raise FileFaultError(f"{where}: {fault}")
    for needed in ("meter", "ts"):
        if needed not in names and (needed, DATE in names) != ("ts", True):
            raise FileFaultError(f"{where}: column {needed} is missing")
    if not any(name in CHANNELS or name == ENERGY for name in names):
        raise FileFaultError(f"{where}: no channel; add at least one, such as p_kw")


def canonical(table: pa.Table, number: NDArray[np.int64], zone: ZoneInfo | None, where: str) -> Block:
    """Convert a table of any accepted types. Raises FileFaultError for a type that is not."""
    table = table.combine_chunks()
    unfit = np.zeros(table.num_rows, dtype=np.bool_)
    columns: dict[str, pa.Array] = {}
    for name in table.column_names:
        column = _flat(table.column(name))
        convert = _converter(name, zone)
        try:
            values, bad = convert(column)
        except (pa.ArrowException, TypeError) as error:
            raise FileFaultError(f"{where}: column {name} has type {column.type}: {error}") from error
        columns[name] = values
        unfit |= bad
    if DATE in columns:
        columns["ts"] = columns.pop(DATE)
        columns["interval_s"] = pa.array(np.full(table.num_rows, DAY_S, dtype=np.int64))
    if ENERGY in columns:
        columns["p_mean_kw"], bad = mean_kw(columns.pop(ENERGY), columns["interval_s"])
        unfit |= bad
    return Block(pa.table(columns), number, unfit, table)


def _flat(column: pa.ChunkedArray) -> pa.Array:
    array = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    return array.cast(pa.string()) if pa.types.is_large_string(array.type) else array


_Converter = Callable[[pa.Array], tuple[pa.Array, NDArray[np.bool_]]]


def _converter(name: str, zone: ZoneInfo | None) -> _Converter:
    if name in STAMPS:
        return lambda column: _stamps(column, zone, required=name == "ts")
    if name == DATE:
        return lambda column: _days(column, zone)
    if name in INTEGERS:
        return _integers
    return _words if name in TEXTS else _numbers


def _none(column: pa.Array) -> NDArray[np.bool_]:
    return np.zeros(len(column), dtype=np.bool_)


def _words(column: pa.Array) -> tuple[pa.Array, NDArray[np.bool_]]:
    if not (pa.types.is_string(column.type) or pa.types.is_integer(column.type)):
        raise TypeError("ids must be text; write them as strings")
    words = column.cast(pa.string())
    return words.fill_null(""), _none(column)


def _numbers(column: pa.Array) -> tuple[pa.Array, NDArray[np.bool_]]:
    if pa.types.is_null(column.type):
        return column.cast(pa.float64()), _none(column)
    if pa.types.is_string(column.type):
        return _from_text(column, _NUMBER, pa.float64())
    if not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type) or pa.types.is_decimal(column.type)):
        raise TypeError("a channel must be numbers")
    return column.cast(pa.float64(), safe=False), _none(column)


def _integers(column: pa.Array) -> tuple[pa.Array, NDArray[np.bool_]]:
    if pa.types.is_null(column.type):
        return column.cast(pa.int64()), _none(column)
    if pa.types.is_string(column.type):
        return _from_text(column, _INTEGER, pa.int64())
    if pa.types.is_boolean(column.type):
        raise TypeError("it must be whole numbers")
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), None, column)
    return column.cast(pa.int64()), _none(column)


def _from_text(column: pa.Array, pattern: str, kind: pa.DataType) -> tuple[pa.Array, NDArray[np.bool_]]:
    """Numbers written as text; "" is none, and what is no number is unfit."""
    text = pc.utf8_trim_whitespace(column)
    empty = pc.fill_null(pc.equal(text, ""), fill_value=True)
    fits = pc.fill_null(pc.match_substring_regex(text, pattern), fill_value=False)
    plain = pc.replace_substring_regex(pc.if_else(fits, text, None), r"^\+", "")
    unfit: NDArray[np.bool_] = pc.invert(pc.or_(empty, fits)).to_numpy(zero_copy_only=False)
    return plain.cast(kind), unfit


def _days(column: pa.Array, zone: ZoneInfo | None) -> tuple[pa.Array, NDArray[np.bool_]]:
    if zone is None:
        raise TypeError("a day begins at midnight of its zone; say which with --zone")
    return days_ms(column, zone)


def _stamps(column: pa.Array, zone: ZoneInfo | None, *, required: bool) -> tuple[pa.Array, NDArray[np.bool_]]:
    """Unix milliseconds: from integers as they are, stamps with a zone, naive stamps of `zone`, or RFC 3339."""
    if pa.types.is_string(column.type):
        return _stamps_from_text(column, zone, required=required)
    if pa.types.is_timestamp(column.type):
        if column.type.tz is None:
            if zone is None:
                raise TypeError("its stamps have no zone; store them with one (UTC), or say which with --zone")
            column = pc.assume_timezone(column, zone.key, ambiguous="earliest", nonexistent="latest")
        unit = column.type.unit
        ticks = column.cast(pa.int64())
        milliseconds = pc.multiply(ticks, _MS_PER[unit]) if unit in _MS_PER else pc.divide(ticks, _PER_MS[unit])
    elif pa.types.is_integer(column.type):
        milliseconds = column.cast(pa.int64())
    else:
        raise TypeError("stamps must be timestamps with a zone, RFC 3339 text or integer milliseconds")
    missing: NDArray[np.bool_] = milliseconds.is_null().to_numpy(zero_copy_only=False)
    return milliseconds, missing if required else _none(column)


def _stamps_from_text(column: pa.Array, zone: ZoneInfo | None, *, required: bool) -> tuple[pa.Array, NDArray[np.bool_]]:
    encoded = column.dictionary_encode()
    known = [_stamp_ms(text, zone) if text else None for text in encoded.dictionary.to_pylist()]
    wrong = [ms is None and bool(text) for ms, text in zip(known, encoded.dictionary.to_pylist(), strict=True)]
    values = pa.array(known, pa.int64()).take(encoded.indices)
    if required:
        unfit: NDArray[np.bool_] = values.is_null().to_numpy(zero_copy_only=False)
    else:
        marks = pa.array(wrong, pa.bool_()).take(encoded.indices).fill_null(fill_value=False)
        unfit = marks.to_numpy(zero_copy_only=False)
    return values, unfit


def _stamp_ms(text: str, zone: ZoneInfo | None) -> int | None:
    text = text.strip()
    if _INTEGER_TEXT.fullmatch(text):
        return int(text)
    if zone is None or _NAIVE_TEXT.fullmatch(text) is None:
        return rfc3339_ms(text)
    try:
        moment = dt.datetime.fromisoformat(text).replace(tzinfo=zone)
    except ValueError:
        return None
    return (moment - _EPOCH) // dt.timedelta(milliseconds=1)
