"""The file formats: each gives tables of raw columns with row numbers, and lines that are no row at all."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from numpy.typing import NDArray

from connectors.adapters.stamps import rfc3339_ms
from connectors.adapters.strict import Refused, StrictObject, StrictRow, WideInt, check_reading, parse
from connectors.file_columns import FileFaultError, check_names

_BOM: Final = b"\xef\xbb\xbf"
_MAX_LINE_BYTES: Final = 1 << 20
_INT64: Final = 1 << 63


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that is no reading: its number, from 1, and what to hand to the decoder to have it refused."""

    number: int
    payload: bytes


_Item = tuple[pa.Table, NDArray[np.int64]] | BadLine


def read_tables(file: Path, rows: int) -> Iterator[_Item]:
    """Tables of at most `rows` rows each. Raises FileFaultError."""
    match file.suffix.lower():
        case ".parquet":
            return _parquet(file, rows)
        case ".csv":
            return _csv(file, rows)
        case _:
            return _jsonl(file, rows)


def count_rows(file: Path) -> int:
    """Rows of one file, quickly."""
    if file.suffix.lower() == ".parquet":
        try:
            return int(pa.parquet.read_metadata(file).num_rows)
        except (pa.ArrowException, OSError) as error:
            raise FileFaultError(f"{file}: not a Parquet file: {error}") from error
    lines, last = 0, b"\n"
    with file.open("rb") as source:
        while part := source.read(1 << 20):
            lines += part.count(b"\n")
            last = part[-1:]
    lines += last != b"\n"
    return lines - 1 if file.suffix.lower() == ".csv" else lines


def _parquet(file: Path, rows: int) -> Iterator[_Item]:
    start = 1
    try:
        with pa.parquet.ParquetFile(file) as source:
            check_names(source.schema_arrow.names, str(file))
            for batch in source.iter_batches(batch_size=rows):
                number = np.arange(start, start + batch.num_rows, dtype=np.int64)
                start += batch.num_rows
                yield pa.Table.from_batches([batch]), number
    except (pa.ArrowException, OSError) as error:
        raise FileFaultError(f"{file}: not a readable Parquet file: {error}") from error


def _csv(file: Path, rows: int) -> Iterator[_Item]:
    """All columns as text; a line with the wrong number of cells is a bad line."""
    bad: list[BadLine] = []
    skipped: set[int] = set()

    def keep(row: Any) -> str:
        bad.append(BadLine(row.number, _enveloped(row.text)))
        skipped.add(row.number)
        return "skip"

    start = 1
    try:
        with file.open("rb") as source:
            names = _header(source)
            check_names(names, str(file))
            with pa.csv.open_csv(
                source,
                read_options=pa.csv.ReadOptions(use_threads=False, column_names=names),
                parse_options=pa.csv.ParseOptions(invalid_row_handler=keep),
                convert_options=pa.csv.ConvertOptions(
                    column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
                ),
            ) as reader:
                for batch in reader:
                    number = _numbered(batch.num_rows, start, skipped)
                    start = int(number[-1]) + 1 if len(number) else start
                    for begin in range(0, batch.num_rows, rows):
                        part = batch.slice(begin, rows)
                        yield pa.Table.from_batches([part]), number[begin : begin + rows]
                    yield from bad
                    bad.clear()
        yield from bad
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise FileFaultError(f"{file}: not a readable CSV file (UTF-8, commas, a header): {error}") from error


def _header(source: IO[bytes]) -> list[str]:
    line = source.readline(_MAX_LINE_BYTES).removeprefix(_BOM).decode("utf-8")
    return [name.strip() for name in next(csv.reader([line]), [])]


def _numbered(count: int, start: int, skipped: set[int]) -> NDArray[np.int64]:
    """Row numbers of the next `count` good rows from `start`, leaving out the skipped ones."""
    if not skipped:
        return np.arange(start, start + count, dtype=np.int64)
    candidates = np.arange(start, start + count + len(skipped), dtype=np.int64)
    return candidates[~np.isin(candidates, list(skipped))][:count]


def _enveloped(reading: object) -> bytes:
    """A canonical message of one bad reading, for the decoder to refuse."""
    return json.dumps({"v": 1, "readings": [reading]}, default=str).encode()


def _jsonl(file: Path, rows: int) -> Iterator[_Item]:
    gathered = _Lines()
    try:
        with file.open("rb") as source:
            number = 0
            while line := source.readline(_MAX_LINE_BYTES):
                number += 1
                text = line.removeprefix(_BOM).strip() if number == 1 else line.strip()
                if not text:
                    continue
                bad = gathered.add(number, text)
                if bad is not None:
                    yield bad
                if len(gathered.rows) >= rows:
                    yield gathered.table()
                    gathered = _Lines()
    except OSError as error:
        raise FileFaultError(f"{file}: cannot be read: {error}") from error
    if gathered.rows:
        yield gathered.table()


class _Lines:
    """Readings of JSON lines until there are enough for a table."""

    def __init__(self) -> None:
        self.rows: list[StrictRow] = []
        self._stamps: list[int] = []
        self._arrivals: list[int | None] = []
        self._publishers: list[str] = []

    def add(self, number: int, line: bytes) -> BadLine | None:
        """Take one line; what is no reading comes back."""
        document = _object(line)
        if not isinstance(document, StrictObject) or document.repeated:
            return BadLine(number, line if isinstance(document, Refused | StrictObject) else _enveloped(document))
        publisher, arrival = document.pop("publisher", ""), document.pop("arrival_ts", None)
        row = check_reading(number, document)
        arrival_ms = None if arrival is None else _stamp_ms(arrival)
        if not isinstance(publisher, str) or (arrival is not None and arrival_ms is None):
            document.update({"publisher": publisher, "arrival_ts": arrival})
        elif isinstance(row, StrictRow):
            stamp_ms = _stamp_ms(row.ts)
            if stamp_ms is not None and max(abs(row.interval_s), abs(row.rev)) < _INT64:
                self.rows.append(row)
                self._stamps.append(stamp_ms)
                self._arrivals.append(arrival_ms)
                self._publishers.append(publisher)
                return None
        return BadLine(number, _enveloped({name: _as_it_was(value) for name, value in document.items()}))

    def table(self) -> tuple[pa.Table, NDArray[np.int64]]:
        """What was taken, as a table with row numbers."""
        names = dict.fromkeys(name for row in self.rows for name in row.values)
        columns = {
            "meter": pa.array([row.meter for row in self.rows], pa.string()),
            "ts": pa.array(self._stamps, pa.int64()),
            "interval_s": pa.array([row.interval_s for row in self.rows], pa.int64()),
            "rev": pa.array([row.rev for row in self.rows], pa.int64()),
            **{name: pa.array([row.values.get(name) for row in self.rows], pa.float64()) for name in names},
        }
        if any(self._publishers):
            columns["publisher"] = pa.array(self._publishers, pa.string())
        if any(arrival is not None for arrival in self._arrivals):
            columns["arrival_ts"] = pa.array(self._arrivals, pa.int64())
        return pa.table(columns), np.array([row.row for row in self.rows], dtype=np.int64)


def _stamp_ms(value: object) -> int | None:
    if isinstance(value, str):
        return rfc3339_ms(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < _INT64 else None


def _as_it_was(value: object) -> object:
    """A value that `json` writes back as it came: integers beyond 63 bits in full."""
    return int(value) if isinstance(value, WideInt) and math.isfinite(value) else value


def _object(line: bytes) -> object:
    """A line as a strict object; quickly where nothing is unusual."""
    if b"\\" not in line:
        try:
            quick = msgspec.json.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            quick = None
        if isinstance(quick, dict):
            texts = list(map(type, quick.values())).count(str)
            wide = any(type(value) is int and not -(1 << 63) <= value < 1 << 63 for value in quick.values())
            if not wide and line.count(b'"') == 2 * (len(quick) + texts):
                return StrictObject(list(quick.items()))
    return parse(line)
