"""Readings from files, for replay: Parquet, CSV and JSONL become the same messages a broker would bring.

Rows that fit their columns go as Arrow IPC (adapter `arrow`), at most 10,000 a message. A row that does not goes alone
as canonical JSON, so that decoding refuses it with the reason, like any other bad reading.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc
import pyarrow.parquet
from numpy.typing import NDArray

from connectors.file_columns import STAMPS, Block, FileFaultError, canonical
from connectors.file_days import DATE, ENERGY
from connectors.file_readers import BadLine, count_rows, read_tables
from models.domain.readings import RawMessage

ROWS_PER_MESSAGE: Final = 10_000
ARRIVAL_STEP_MS: Final = 60_000
"""Readings that arrived within the same step go in one message when arrival order is played."""

SUFFIXES: Final = (".parquet", ".csv", ".jsonl")
_MESSAGE_BYTES: Final = 900_000
_META_COLUMNS: Final = ("publisher", "arrival_ts")


@dataclass(frozen=True, slots=True)
class FileSlice:
    """One message and where its readings stand: `rows` (n,) are row numbers in the file, from 1 without the header.

    `arrival_ms` (n,) int64 are the stamps of `arrival_ts`, None where the file has none.
    """

    message: RawMessage
    path: Path
    rows: NDArray[np.int64]
    arrival_ms: NDArray[np.int64] | None


def reading_files(path: Path) -> tuple[Path, ...]:
    """The files meant by a path: itself, or every readable file of a directory in order of name.

    Raises FileFaultError when there is none.
    """
    if path.is_dir():
        found = tuple(sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file()))
        if not found:
            raise FileFaultError(f"{path}: no {', '.join(SUFFIXES)} file in this directory")
        return found
    if not path.is_file():
        raise FileFaultError(f"{path}: no such file")
    if path.suffix.lower() not in SUFFIXES:
        raise FileFaultError(f"{path}: the name must end in {', '.join(SUFFIXES)}")
    return (path,)


def total_rows(path: Path) -> int:
    """How many readings the files hold, for a progress bar; quick, and exact but for blank or quoted line ends."""
    return sum(count_rows(file) for file in reading_files(path))


def read_messages(path: Path, *, zone: ZoneInfo | None = None, received_ms: int = 0) -> Iterator[FileSlice]:
    """The readings of a file or directory in the order of the files.

    `zone` is the zone of stamps without one. Each message has one publisher, the one of the column `publisher` or
    "". Raises FileFaultError for a file that cannot be read at all.
    """
    for file in reading_files(path):
        for block in _blocks(file, zone):
            if isinstance(block, BadLine):
                yield _bad_line(file, block, received_ms)
            else:
                yield from _slices(file, block, received_ms)


def read_by_arrival(path: Path, *, zone: ZoneInfo | None = None) -> Iterator[FileSlice]:
    """The same in order of arrival, `received_ms` being the latest arrival of each message; reads everything first.

    Readings without an `arrival_ts` are taken to arrive at their own `ts`. What cannot be read comes first.
    """
    ordered: list[tuple[int, int, Path, Block]] = []
    for order, file in enumerate(reading_files(path)):
        for block in _blocks(file, zone):
            if isinstance(block, BadLine):
                yield _bad_line(file, block, 0)
                continue
            yield from _unfit_rows(file, block, 0)
            ordered += [(step, order, file, part) for step, part in _steps(block)]
    ordered.sort(key=lambda item: item[:2])
    for _, _, file, block in ordered:
        yield from _slices(file, block, int(_arrival(block).max()))


def _steps(block: Block) -> Iterator[tuple[int, Block]]:
    """The rows of a block that fit, by step of arrival."""
    fit = np.flatnonzero(~block.unfit)
    steps = _arrival(block)[fit] // ARRIVAL_STEP_MS
    order = np.argsort(steps, kind="stable")
    cuts = np.flatnonzero(np.diff(steps[order])) + 1
    for part in np.split(order, cuts):
        if len(part):
            yield int(steps[part[0]]), _part(block, fit[part])


def _blocks(file: Path, zone: ZoneInfo | None) -> Iterator[Block | BadLine]:
    for item in read_tables(file, ROWS_PER_MESSAGE):
        if isinstance(item, BadLine):
            yield item
        else:
            table, number = item
            yield canonical(table, number, zone, str(file))


def _arrival(block: Block) -> NDArray[np.int64]:
    own = block.table.column("ts")
    stamps = pc.coalesce(block.table.column("arrival_ts"), own) if "arrival_ts" in block.table.column_names else own
    values: NDArray[np.int64] = stamps.fill_null(0).to_numpy()
    return values


def _part(block: Block, positions: NDArray[np.intp]) -> Block:
    index = pa.array(positions)
    return Block(block.table.take(index), block.number[positions], block.unfit[positions], block.original.take(index))


def _slices(file: Path, block: Block, received_ms: int) -> Iterator[FileSlice]:
    yield from _unfit_rows(file, block, received_ms)
    fit = block if not block.unfit.any() else _part(block, np.flatnonzero(~block.unfit))
    if "publisher" not in fit.table.column_names:
        yield from _messages(file, fit, "", received_ms)
        return
    publishers = np.asarray(fit.table.column("publisher").to_numpy(), dtype=object)
    for publisher in dict.fromkeys(publishers.tolist()):
        yield from _messages(file, _part(fit, np.flatnonzero(publishers == publisher)), publisher, received_ms)


def _messages(file: Path, block: Block, publisher: str, received_ms: int) -> Iterator[FileSlice]:
    names = [name for name in block.table.column_names if name not in _META_COLUMNS]
    table = block.table.select(names)
    n = table.num_rows
    bytes_a_row = max(1, table.nbytes // max(n, 1)) + 8
    step = max(1, min(ROWS_PER_MESSAGE, _MESSAGE_BYTES // bytes_a_row))
    arrival_ms = _arrival(block) if "arrival_ts" in block.table.column_names else None
    for start in range(0, n, step):
        part = slice(start, min(start + step, n))
        payload = _ipc(table.slice(start, part.stop - start))
        message = RawMessage(f"file/{file.name}", payload, received_ms, publisher, "arrow")
        yield FileSlice(message, file, block.number[part], None if arrival_ms is None else arrival_ms[part])


def _ipc(table: pa.Table) -> bytes:
    columns = {
        name: table.column(name).combine_chunks().dictionary_encode() if name == "meter" else table.column(name)
        for name in table.column_names
    }
    batch = pa.table(columns).combine_chunks()
    buffer = io.BytesIO()
    with pa.ipc.new_stream(buffer, batch.schema) as stream:
        stream.write_table(batch)
    return buffer.getvalue()


def _unfit_rows(file: Path, block: Block, received_ms: int) -> Iterator[FileSlice]:
    for position in np.flatnonzero(block.unfit).tolist():
        row = block.original.slice(position, 1).to_pylist()[0]
        reading = {name: _told(name, value) for name, value in row.items() if name not in _META_COLUMNS}
        reading = _as_reading({name: value for name, value in reading.items() if value is not None})
        wrong_arrival = "arrival_ts" in row and block.table.column("arrival_ts")[position].as_py() is None
        if wrong_arrival and row["arrival_ts"]:
            reading["arrival_ts"] = str(row["arrival_ts"])
        payload = json.dumps({"v": 1, "readings": [reading]}, default=str).encode()
        publisher = str(row.get("publisher") or "")
        message = RawMessage(f"file/{file.name}", payload, received_ms, publisher, "canonical")
        yield FileSlice(message, file, block.number[position : position + 1], None)


def _as_reading(row: dict[str, object]) -> dict[str, object]:
    """A row that does not fit in the words of a reading. Its energy stays text, so that it is no power of a reading."""
    if ENERGY in row:
        wanting = "" if "interval_s" in row or DATE in row else " without interval_s"
        row["p_mean_kw"] = f"{ENERGY} {row.pop(ENERGY)}{wanting}"
    if DATE in row:
        row["ts"] = row.pop(DATE)
    return row


def _told(name: str, value: object) -> object:
    """A value of an unfit row as JSON: numbers that can be told stay numbers, the wrong ones stay text."""
    if isinstance(value, str) and name not in ("meter", DATE, *STAMPS):
        text = value.strip()
        try:
            return json.loads(text) if text else None
        except ValueError:
            return text
    return value


def _bad_line(file: Path, line: BadLine, received_ms: int) -> FileSlice:
    message = RawMessage(f"file/{file.name}", line.payload, received_ms, "", "canonical")
    return FileSlice(message, file, np.array([line.number], dtype=np.int64), None)


def rows_of(piece: FileSlice, rows: Sequence[int]) -> list[int]:
    """Row numbers in the file of the rows a rejection names; all of the message's when it names none."""
    return piece.rows.tolist() if not rows else [int(piece.rows[row]) for row in rows]


def has_arrival(path: Path) -> bool:
    """Whether any of the files has a column `arrival_ts`, so that arrival order can be played.

    Of a JSONL file the first line decides. Raises FileFaultError where there is no file.
    """
    return any(_names_arrival(file) for file in reading_files(path))


def _names_arrival(file: Path) -> bool:
    if file.suffix.lower() == ".parquet":
        try:
            return "arrival_ts" in pa.parquet.read_schema(file).names
        except (pa.ArrowException, OSError):
            return False
    with file.open("rb") as source:
        return b"arrival_ts" in source.readline(1 << 16)
