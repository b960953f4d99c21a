"""Meter ids as small integers: the history stores a code a row and each name once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from monitor.history.schema import lent

Meters: TypeAlias = "Sequence[str] | pa.Array[Any] | pa.ChunkedArray[Any]"
"""Meter ids of rows: strings, an Arrow string array, or (cheapest) an Arrow dictionary array."""


class MeterCodes:
    """The codes of all meters ever stored, and the new ones of the open transaction."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._codes: dict[str, int] = {}
        self._last: tuple[pa.Array[Any], NDArray[np.int32]] | None = None
        self.reload()

    def reload(self) -> None:
        """Forget what a rolled back transaction had added."""
        rows = self._connection.execute("SELECT name, meter_id FROM meter").fetchall()
        self._codes = dict(rows)
        self._last = None

    def share(self, names: Sequence[str]) -> None:
        """Keep these very strings for the meters they name, so that no name is in memory twice."""
        codes = self._codes
        self._codes = {name: codes.pop(name) for name in names if name in codes} | codes

    def known(self, names: Sequence[str]) -> NDArray[np.int32]:
        """Codes of names, (n,), -1 where a meter was never stored."""
        return np.array([self._codes.get(name, -1) for name in names], dtype=np.int32)

    def assign(self, meters: Meters) -> NDArray[np.int32]:
        """Codes of rows, (n,); a name seen for the first time gets the next one, inside the open transaction."""
        names, index = _encoded(meters)
        if self._last is None or not self._last[0].equals(names):
            self._last = (names, self._codes_of(names.to_pylist()))
        return self._last[1][index]

    def _codes_of(self, names: Sequence[str]) -> NDArray[np.int32]:
        fresh = [name for name in dict.fromkeys(names) if name not in self._codes]
        if fresh:
            first = len(self._codes)
            columns: dict[str, Any] = {
                "meter_id": np.arange(first, first + len(fresh), dtype=np.int32),
                "name": pa.array(fresh, pa.string()),
            }
            insert(self._connection, "meter", pa.table(columns))
            self._codes.update(zip(fresh, range(first, first + len(fresh)), strict=True))
        return self.known(names)

    def ranked(self, names: Sequence[str] | None) -> tuple[pa.Table, list[str]]:
        """A table (meter_id, name, rank) of the meters asked for (None: all), and their names in rank order."""
        chosen = sorted(self._codes if names is None else {name for name in names if name in self._codes})
        columns: dict[str, Any] = {
            "meter_id": self.known(chosen),
            "name": pa.array(chosen, pa.string()),
            "rank": np.arange(len(chosen), dtype=np.int32),
        }
        return pa.table(columns), chosen


def distinct(meters: Meters) -> tuple[list[str], NDArray[np.intp]]:
    """Names of rows without the repetitions, and the index of each row's name."""
    names, index = _encoded(meters)
    return names.to_pylist(), index


def _encoded(meters: Meters) -> tuple[pa.Array[Any], NDArray[np.intp]]:
    array: Any = meters if isinstance(meters, (pa.Array, pa.ChunkedArray)) else pa.array(meters, pa.string())
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    encoded = array if isinstance(array, pa.DictionaryArray) else array.dictionary_encode()
    return encoded.dictionary, encoded.indices.to_numpy(zero_copy_only=False).astype(np.intp, copy=False)


def insert(connection: duckdb.DuckDBPyConnection, table: str, rows: pa.Table) -> None:
    """Append Arrow rows to a table by column name, inside the caller's transaction."""
    with lent(connection, incoming=rows):
        connection.execute(f"INSERT INTO {table} BY NAME SELECT * FROM incoming")  # noqa: S608 -- our own table names
