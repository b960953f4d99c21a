# ruff: noqa: S608 -- SQL is put together from names of our own tables
"""A fingerprint of each table of the DuckDB file: whether two states of a table hold the same rows, in any order.

It is DuckDB's own row hash, quick and not cryptographic: what is derived can be made again from the journal, whose
chain is.
"""

from __future__ import annotations

from typing import Final

import duckdb

from monitor.history.schema import one
from monitor.history.tables import TABLES

KIND: Final = "duckdb"


def fingerprints(connection: duckdb.DuckDBPyConnection, most_rows: int) -> dict[str, tuple[int, str, str]]:
    """(rows, fingerprint, kind) of each table of at most so many rows; `kind` names the version that made it."""
    kind = f"{KIND}-{duckdb.__version__}"
    found: dict[str, tuple[int, str, str]] = {}
    for table in TABLES:
        (rows,) = one(connection, f"SELECT count(*) FROM {table}")
        if int(str(rows)) <= most_rows:
            total, mixed = one(
                connection,
                f"SELECT coalesce(sum(hash(t)::HUGEINT), 0), coalesce(bit_xor(hash(t, 1)), 0) FROM {table} t",
            )
            found[table] = (int(str(rows)), f"{total}:{mixed}", kind)
    return found
