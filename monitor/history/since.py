# ruff: noqa: S608 -- SQL is put together from names of channels, integers and file names of the manifest only
"""What the history holds after a journal sequence number, in slices, for a reader beside the core thread.

The reader has a DuckDB cursor of its own on the same database. DuckDB gives every transaction its own view, so that a
slice sees a flush or a sealing either whole or not at all, and neither side waits for the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from monitor.history.query import parquet
from monitor.history.schema import channel_columns, lent, one
from monitor.history.seal import PARTS_NAME

SLICE_ROWS: Final = 50_000
"""Readings in a slice, about; a journal record with more is cut by its meters."""

_FIRST_SPAN: Final = 64
_MAX_SPAN: Final = 1 << 20
_MAX_PIECES: Final = 4096
_STAMP_GAP_MS: Final = 3_600_000
_MAX_STAMP_SPANS: Final = 16
_KEYS: Final = ("meter_id", "ts_ms", "interval_s")


@dataclass(frozen=True, slots=True)
class Slice:
    """Every row, old or new, of the stamps that records up to `seq` brought something for, by (meter, stamp, rev).

    `rows` has `meter_id, ts_ms, interval_s, rev` and all channels, null where a row does not carry one; `names` maps
    the codes in it to meters. `complete`: nothing of these records is left, so that a cursor may move to `seq`.
    """

    seq: int
    complete: bool
    rows: pa.Table
    names: dict[int, str]


class SinceReader:
    """Reads slices in the order of the journal. For one thread, which need not be the core's."""

    def __init__(self, state_dir: Path, connection: duckdb.DuckDBPyConnection, slice_rows: int = SLICE_ROWS) -> None:
        """`connection` is a cursor of the history's own, made by the thread that owns the history."""
        self._parts_dir = state_dir / PARTS_NAME
        self._connection = connection
        self._slice_rows = slice_rows
        self._span = _FIRST_SPAN
        self._piece = (0, 1)
        self._bounds: dict[str, tuple[int, int]] = {}

    def close(self) -> None:
        self._connection.close()

    def head(self) -> int:
        """The last journal record in the history."""
        return int(str(one(self._connection, "SELECT journal_seq FROM applied")[0]))

    def next(self, after: int) -> Slice | None:
        """The next slice of the records after `after`; None when the history holds none.

        A record with too many rows comes in pieces: call again with the same number until `complete`.
        """
        connection = self._connection
        connection.begin()
        try:
            head = self.head()
            if after >= head:
                return None
            upto, number = self._choose(after, head)
            slice_ = self._read(after, upto)
        finally:
            connection.rollback()
        if slice_.complete:
            self._piece = (0, 1)
            if number < self._slice_rows // 4:
                self._span = min(_MAX_SPAN, self._span * 2)
        else:
            self._piece = (self._piece[0] + 1, self._piece[1])
        return slice_

    def _choose(self, after: int, head: int) -> tuple[int, int]:
        """The last record of the slice, and its rows; for a record of too many also how many pieces there are."""
        while True:
            upto = min(head, after + self._span)
            if self._piece[1] > 1:
                return after + 1, self._slice_rows
            number = self._count(after, upto)
            if number <= self._slice_rows:
                return upto, number
            if self._span == 1:
                self._piece = (0, min(_MAX_PIECES, -(-number // self._slice_rows)))
                return upto, number
            self._span = max(1, min(self._span, upto - after) // 2)

    def _count(self, after: int, upto: int) -> int:
        return sum(
            int(str(one(self._connection, f"SELECT count(*) FROM {source}")[0])) for source in self._by_seq(after, upto)
        )

    def _by_seq(self, after: int, upto: int) -> list[str]:
        where = f"WHERE seq > {after:d} AND seq <= {upto:d}"
        files = [path for path, (low, high) in self._sealed().items() if high > after and low <= upto]
        sealed = f"(SELECT m.meter_id, r.* FROM {parquet(files)} r JOIN meter m ON r.meter = m.name) {where}"
        return [f"reading {where}", *([sealed] if files else [])]

    def _sealed(self) -> dict[Path, tuple[int, int]]:
        """First and last record in each sealed file, by the files' own footers; they never change."""
        rows = self._connection.execute("SELECT file FROM part WHERE sealed ORDER BY part_id").fetchall()
        self._bounds = {file: self._bounds.get(file) or _seq_bounds(self._parts_dir / file) for (file,) in rows}
        return {self._parts_dir / file: bounds for file, bounds in self._bounds.items()}

    def _read(self, after: int, upto: int) -> Slice:
        piece, pieces = self._piece
        keys = ", ".join(_KEYS)
        cut = f" AND hash(meter_id) % {pieces:d} = {piece:d}" if pieces > 1 else ""
        fresh = " UNION ".join(f"SELECT {keys} FROM {source}{cut}" for source in self._by_seq(after, upto))
        touched = self._connection.sql(fresh).to_arrow_table()
        rows = self._rows_of(touched, upto)
        codes = np.unique(touched.column("meter_id").to_numpy())
        with lent(self._connection, asked=pa.table({"meter_id": pa.array(codes)})):
            names = dict(
                self._connection.sql("SELECT meter_id, name FROM meter JOIN asked USING (meter_id)").fetchall()
            )
        return Slice(upto, piece + 1 >= pieces, rows, names)

    def _rows_of(self, touched: pa.Table, upto: int) -> pa.Table:
        channels = channel_columns(self._connection)
        columns = ", ".join([*_KEYS, "rev", *(f'"{name}"' for name in channels)])
        with lent(self._connection, touched=touched):
            queries = []
            for start_ms, end_ms in _spans(touched.column("ts_ms").to_numpy()):
                within = f"seq <= {upto:d} AND ts_ms >= {start_ms:d} AND ts_ms <= {end_ms:d}"
                queries.append(f"SELECT * FROM reading WHERE {within}")
                files = self._files(start_ms, end_ms)
                if files:
                    queries.append(
                        f"SELECT m.meter_id, r.* EXCLUDE (meter) FROM {parquet(files)} r"
                        f" JOIN meter m ON r.meter = m.name WHERE {within}"
                    )
            union = " UNION ALL BY NAME ".join(queries or ["SELECT * FROM reading WHERE false"])
            query = f"SELECT {columns} FROM ({union}) SEMI JOIN touched USING ({', '.join(_KEYS)})"
            return self._connection.sql(f"{query} ORDER BY {', '.join(_KEYS)}, rev").to_arrow_table()

    def _files(self, start_ms: int, end_ms: int) -> list[Path]:
        rows = self._connection.execute(
            "SELECT file FROM part WHERE sealed AND last_ms >= ? AND first_ms <= ? ORDER BY part_id", (start_ms, end_ms)
        ).fetchall()
        return [self._parts_dir / file for (file,) in rows]


def _spans(ts_ms: NDArray[np.int64]) -> Sequence[tuple[int, int]]:
    """Stretches that hold all the stamps, cut at their widest gaps, so that late readings do not have everything
    between them and the present read."""
    stamps = np.unique(ts_ms)
    if not len(stamps):
        return []
    gaps = np.diff(stamps)
    wide = np.argsort(gaps, kind="stable")[::-1][: _MAX_STAMP_SPANS - 1]
    cuts = np.sort(wide[gaps[wide] > _STAMP_GAP_MS])
    firsts, lasts = stamps[np.insert(cuts + 1, 0, 0)], stamps[np.append(cuts, len(stamps) - 1)]
    return list(zip(firsts.tolist(), lasts.tolist(), strict=True))


def _seq_bounds(path: Path) -> tuple[int, int]:
    metadata: Any = pq.read_metadata(path)
    column = metadata.schema.names.index("seq")
    groups = [metadata.row_group(i).column(column).statistics for i in range(metadata.num_row_groups)]
    if not groups or any(group is None or not group.has_min_max for group in groups):
        return 0, 1 << 62
    return min(group.min for group in groups), max(group.max for group in groups)
