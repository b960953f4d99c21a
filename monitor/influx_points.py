"""From readings to InfluxDB points: one point a meter, cadence and stamp, as all readings of that stamp settle it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from connectors.line_protocol import Lines, encode, series
from models.domain.channels import CHANNELS
from models.domain.register import Permit, Register
from monitor.history.since import Slice

MEASUREMENT: Final = "reading"
CONTESTED: Final = "contested"
"""Field: how many channels of this point contradict each other and are therefore left out of it."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_NEVER_MS: Final = 1 << 62


class Points:
    """Encodes slices; remembers the tags of every meter it met. `channels`: the fields wanted, empty for all."""

    def __init__(self, register: Register, channels: Sequence[str] = ()) -> None:
        self._register = register
        self._channels = frozenset(channels or CHANNELS)
        self._prefixes: list[str] = []
        self._array = pa.array(self._prefixes, pa.string())
        self._known: dict[int, _Tags] = {}

    def lines(self, slice_: Slice) -> Lines:
        """Lines of the slice's stamps.

        A channel's value is that of its highest revision; where readings of that revision differ, the channel is left
        out and `contested` says how many are. `contested` is written (0 too) where a stamp is or was in doubt: where
        it is not 0, or a revision came. The value InfluxDB got first stays there: the record is our history.
        """
        rows = slice_.rows
        if not rows.num_rows:
            return encode(self._array, {}, pa.array([], pa.int64()))
        meter, ts_ms, interval_s = (rows.column(name).to_numpy() for name in ("meter_id", "ts_ms", "interval_s"))
        starts = _starts(meter, ts_ms, interval_s)
        rev = rows.column("rev").to_numpy()
        contested = np.zeros(len(starts), dtype=np.int64)
        fields: dict[str, pa.Array[Any]] = {}
        for name in rows.schema.names:
            if name in self._channels:
                column = rows.column(name)
                if column.null_count < rows.num_rows:
                    values, doubtful = settle(column.to_numpy(), rev, starts)
                    contested += doubtful
                    fields[name] = pa.array(values)
        shown = (contested > 0) | (np.maximum.reduceat(rev, starts) > 0)
        if shown.any():
            fields[CONTESTED] = pa.array(contested, mask=~shown)
        prefix = self._series(slice_, meter[starts], ts_ms[starts], interval_s[starts])
        return encode(prefix, fields, pa.array(ts_ms[starts]))

    def _series(self, slice_: Slice, meter: Ints, ts_ms: Ints, interval_s: Ints) -> pa.Array[Any]:
        """The series of each point, (n,)."""
        codes = np.full(len(meter), -1, dtype=np.int64)
        for cadence_s in np.unique(interval_s).tolist():
            tags = self._known.setdefault(cadence_s, _Tags())
            mine = np.flatnonzero(interval_s == cadence_s)
            found = tags.find(meter[mine], ts_ms[mine])
            for i in np.flatnonzero(found < 0).tolist():
                code, stamp_ms = int(meter[mine[i]]), int(ts_ms[mine[i]])
                known = int(tags.find(np.array([code]), np.array([stamp_ms]))[0])
                found[i] = known if known >= 0 else self._learn(tags, cadence_s, code, slice_.names[code], stamp_ms)
            codes[mine] = found
        if len(self._array) < len(self._prefixes):
            self._array = pa.array(self._prefixes, pa.string())
        return self._array.take(pa.array(codes))

    def _learn(self, tags: _Tags, cadence_s: int, code: int, meter: str, ts_ms: int) -> int:
        """Tags as the register has them at the stamp; a meter it does not know then has neither site nor publisher."""
        on = dt.datetime.fromtimestamp((ts_ms - 1) / 1000.0, self._register.zone).date()
        row = self._register.meter(meter, on)
        permit = self._register.admit(meter, row.publisher, ts_ms) if row is not None else None
        span_ms = (permit.from_ms, permit.to_ms) if isinstance(permit, Permit) else (ts_ms - 1, ts_ms)
        self._prefixes.append(
            series(
                MEASUREMENT,
                {
                    "meter": meter,
                    "site": row.site if row is not None else "",
                    "publisher": row.publisher if row is not None else "",
                    "cadence_s": str(cadence_s),
                },
            )
        )
        tags.keep(code, len(self._prefixes) - 1, span_ms)
        return len(self._prefixes) - 1


class _Tags:
    """The series last found for each meter of a cadence, and the stamps (from, to] it holds for."""

    def __init__(self) -> None:
        self._series = np.full(0, -1, dtype=np.int64)
        self._from_ms = np.zeros(0, dtype=np.int64)
        self._to_ms = np.zeros(0, dtype=np.int64)

    def find(self, meter: Ints, ts_ms: Ints) -> Ints:
        """The series of each point, (n,), -1 where it has to be looked up."""
        if len(meter) and int(meter.max()) >= len(self._series):
            more = int(meter.max()) + 1024 - len(self._series)
            self._series = np.append(self._series, np.full(more, -1, dtype=np.int64))
            self._from_ms = np.append(self._from_ms, np.full(more, _NEVER_MS, dtype=np.int64))
            self._to_ms = np.append(self._to_ms, np.zeros(more, dtype=np.int64))
        holds = (self._from_ms[meter] < ts_ms) & (ts_ms <= self._to_ms[meter])
        return np.where(holds, self._series[meter], -1)

    def keep(self, code: int, index: int, span_ms: tuple[int, int]) -> None:
        self._series[code], (self._from_ms[code], self._to_ms[code]) = index, span_ms


def settle(values: Floats, rev: NDArray[np.int32], starts: NDArray[np.intp]) -> tuple[Floats, NDArray[np.bool_]]:
    """One channel's value of each group of rows, (n,) -> (g,), and whether it is in doubt (then NaN).

    Groups begin at `starts`. The highest revision that carries the channel counts; NaN is a row without it.
    """
    missing = np.isnan(values)
    if len(starts) == len(values):
        return values, np.zeros(len(values), dtype=np.bool_)
    carried = np.where(missing, np.int32(-1), rev)
    top = np.repeat(np.maximum.reduceat(carried, starts), np.diff(np.append(starts, len(values))))
    counts = ~missing & (carried == top)
    low = np.minimum.reduceat(np.where(counts, values, np.inf), starts)
    high = np.maximum.reduceat(np.where(counts, values, -np.inf), starts)
    settled = np.where(low == high, low, np.nan).astype(values.dtype)
    return settled, low < high


def _starts(*keys: NDArray[Any]) -> NDArray[np.intp]:
    """Where groups of equal keys begin, in sorted columns."""
    new = np.zeros(len(keys[0]) - 1, dtype=np.bool_)
    for key in keys:
        new |= key[1:] != key[:-1]
    return np.concatenate([[0], np.flatnonzero(new) + 1])
