"""Messages and history rows for the tests of the stores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models.domain.readings import RawMessage
from monitor.history.history import HistoryRows

MARCH_MS = 1_772_409_600_000
"""2026-03-02T00:00:00Z."""

DAY_MS = 86_400_000


def message(payload: bytes = b"{}", *, publisher: str = "bureau", received_ms: int = MARCH_MS) -> RawMessage:
    """One message as the intake hands it over."""
    return RawMessage(f"grid/v1/{publisher}/readings", payload, received_ms, publisher, "canonical")


def history_rows(
    rows: Sequence[tuple[str, int]] | Sequence[tuple[str, int, dict[str, float]]],
    *,
    seq: int = 1,
    rev: int = 0,
    interval_s: int = 900,
) -> HistoryRows:
    """Rows of (meter, ts_ms[, channels]); without channels `p_kw` is 1.0."""
    values = [row[2] if len(row) == 3 else {"p_kw": 1.0} for row in rows]
    names = sorted({name for value in values for name in value})
    n = len(rows)
    return HistoryRows(
        meter=[row[0] for row in rows],
        ts_ms=np.array([row[1] for row in rows], dtype=np.int64),
        interval_s=np.full(n, interval_s, dtype=np.int32),
        rev=np.full(n, rev, dtype=np.int32),
        seq=np.full(n, seq, dtype=np.int64),
        flags=np.zeros(n, dtype=np.uint8),
        channels={name: np.array([value.get(name, np.nan) for value in values]) for name in names},
    )
