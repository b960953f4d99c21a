"""Readings on their way to history, as columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from models.domain.channels import CHANNELS
from monitor.history.history import HistoryRows
from monitor.roster import Roster


@dataclass(frozen=True, slots=True)
class Rows:
    """n readings of one cadence from one commit group; `keys` are the roster's."""

    seq: int
    interval_s: int
    keys: NDArray[np.int32]
    ts_ms: NDArray[np.int64]
    rev: NDArray[np.int32]
    channels: dict[str, NDArray[np.float64]]

    def __len__(self) -> int:
        return len(self.keys)

    def take(self, keep: NDArray[np.bool_]) -> Rows:
        """The readings a mask selects."""
        if keep.all():
            return self
        channels = {name: values[keep] for name, values in self.channels.items()}
        return Rows(self.seq, self.interval_s, self.keys[keep], self.ts_ms[keep], self.rev[keep], channels)

    def only(self, fresh: dict[str, NDArray[np.bool_]]) -> Rows:
        """The same readings without the values a mask leaves out."""
        channels = {
            name: values if fresh[name].all() else np.where(fresh[name], values, np.nan)
            for name, values in self.channels.items()
        }
        return Rows(self.seq, self.interval_s, self.keys, self.ts_ms, self.rev, channels)


def history_rows(blocks: Sequence[Rows], roster: Roster) -> HistoryRows:
    """Blocks as one batch for history."""
    present = {name for block in blocks for name in block.channels}
    keys = np.concatenate([np.zeros(0, dtype=np.int32), *(b.keys for b in blocks)])
    return HistoryRows(
        meter=pa.DictionaryArray.from_arrays(pa.array(keys, type=pa.int32()), roster.ids_arrow),
        ts_ms=np.concatenate([np.zeros(0, dtype=np.int64), *(b.ts_ms for b in blocks)]),
        interval_s=np.repeat([b.interval_s for b in blocks], [len(b) for b in blocks]).astype(np.int32),
        rev=np.concatenate([np.zeros(0, dtype=np.int32), *(b.rev for b in blocks)]),
        seq=np.repeat([b.seq for b in blocks], [len(b) for b in blocks]).astype(np.int64),
        flags=np.zeros(len(keys), dtype=np.uint8),
        channels={
            name: np.concatenate([b.channels.get(name, np.full(len(b), np.nan)) for b in blocks])
            for name in CHANNELS
            if name in present
        },
    )


def taken(rows: HistoryRows, channels: dict[str, NDArray[np.float64]], keep: NDArray[np.bool_]) -> HistoryRows:
    """The rows a mask selects, with other channel values."""
    return HistoryRows(
        meter=rows.meter.filter(pa.array(keep)) if isinstance(rows.meter, pa.Array) else rows.meter,
        ts_ms=rows.ts_ms[keep],
        interval_s=rows.interval_s[keep],
        rev=rows.rev[keep],
        seq=rows.seq[keep],
        flags=rows.flags[keep],
        channels={name: values[keep] for name, values in channels.items()},
    )
