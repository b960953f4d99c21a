"""One channel of one meter over time, as it is to be looked at: gaps are gaps, contradictions are marked."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from models.domain.channels import CHANNELS
from monitor.reading_files import as_written

PREFERRED: Final = ("p_mean_kw", "p_kw")
"""The channel that is shown where none is named, the first that has values; else the first there is."""

_BARS: Final = "▁▂▃▄▅▆▇█"
_GAP, _CONTESTED = "·", "×"
_COLUMNS: Final = 48


@dataclass(frozen=True, slots=True)
class CurveDay:
    """One local day: its bars (half an hour each), how many values there are of how many expected, and their range."""

    date: dt.date
    line: str
    known: int
    expected: int
    lowest: float
    mean: float
    highest: float


@dataclass(frozen=True, slots=True)
class Curve:
    """Values of `channel` at rising stamps `ts_ms` (n,), the ends of intervals of `interval_s` seconds.

    `values` (n,) float64, NaN where stamps carry no value or contradicting ones (`contested` (n,)).
    """

    channel: str
    unit: str
    interval_s: int
    ts_ms: NDArray[np.int64]
    values: NDArray[np.float64]
    contested: NDArray[np.bool_]

    @property
    def n_contested(self) -> int:
        return int(self.contested.sum())

    def rows(self, zone: ZoneInfo) -> Iterator[tuple[dt.datetime, float | None, str]]:
        """Local time, value (None where it is not known) and `contested` or nothing, in order."""
        for ms, value, contested in zip(
            self.ts_ms.tolist(), self.values.tolist(), self.contested.tolist(), strict=True
        ):
            stamp = dt.datetime.fromtimestamp(ms / 1000.0, zone)
            shown = None if np.isnan(value) else as_written(self.channel, value)
            yield stamp, shown, "contested" if contested else ""

    def as_dict(self, zone: ZoneInfo) -> dict[str, Any]:
        """Plain JSON values: channel, unit, interval, and `values` as [time, value or null, contested]."""
        return {
            "channel": self.channel,
            "unit": self.unit,
            "interval_s": self.interval_s,
            "values": [[stamp.isoformat(), value, state != ""] for stamp, value, state in self.rows(zone)],
        }

    def days(self, zone: ZoneInfo) -> Iterator[CurveDay]:
        """Every local day from the first value to the last, those without any too."""
        known = self.values[~np.isnan(self.values)]
        low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)
        begin = dt.datetime.fromtimestamp((int(self.ts_ms[0]) - 1) / 1000.0, zone).date()
        end = dt.datetime.fromtimestamp((int(self.ts_ms[-1]) - 1) / 1000.0, zone).date()
        for number in range((end - begin).days + 1):
            yield self._day(begin + dt.timedelta(days=number), zone, min(low, 0.0), high)

    def _day(self, date: dt.date, zone: ZoneInfo, low: float, high: float) -> CurveDay:
        start_ms = round(dt.datetime.combine(date, dt.time(), zone).timestamp() * 1000)
        end_ms = round(dt.datetime.combine(date + dt.timedelta(days=1), dt.time(), zone).timestamp() * 1000)
        mine = (self.ts_ms > start_ms) & (self.ts_ms <= end_ms)
        values, contested = self.values[mine], self.contested[mine]
        column = (self.ts_ms[mine] - 1 - start_ms) * _COLUMNS // (end_ms - start_ms)
        wide = max(1, self.interval_s * 1000 * _COLUMNS // (end_ms - start_ms))
        line = [_GAP] * _COLUMNS
        for at in np.unique(column).tolist():
            here = values[column == at]
            here = here[~np.isnan(here)]
            mark = _CONTESTED if contested[column == at].any() else _GAP
            shown = _bar(float(here.mean()), low, high) if here.size else mark
            for place in range(max(0, at - wide + 1), at + 1):
                line[place] = shown
        here = values[~np.isnan(values)]
        numbers = (here.min(), here.mean(), here.max()) if here.size else (np.nan, np.nan, np.nan)
        expected = (end_ms - start_ms) // (self.interval_s * 1000)
        return CurveDay(date, "".join(line), int(here.size), int(expected), *(float(x) for x in numbers))


def curve_of(pieces: Sequence[pa.Table], channel: str | None) -> Curve | None:
    """The curve of a meter from its rows (`monitor.history.span`), or None where there is no value of the channel.

    The cadence with the most rows is taken. Of several revisions of a stamp the highest counts; two values of the same
    revision contradict each other.
    """
    if not pieces:
        return None
    table = pa.concat_tables(pieces, promote_options="default")
    cadences, counts = np.unique(table.column("interval_s").to_numpy(), return_counts=True)
    interval_s = int(cadences[counts.argmax()])
    table = table.filter(pa.array(table.column("interval_s").to_numpy() == interval_s))
    present = [name for name in table.schema.names if name in CHANNELS and table.column(name).null_count < len(table)]
    name = channel or next((c for c in (*PREFERRED, *present) if c in present), None)
    if name is None or name not in present:
        return None
    table = table.filter(table.column(name).is_valid())
    return _settled(name, interval_s, table)


def _settled(name: str, interval_s: int, table: pa.Table) -> Curve:
    ts_ms, rev = table.column("ts_ms").to_numpy(), table.column("rev").to_numpy()
    values = table.column(name).to_numpy().astype(np.float64)
    order = np.lexsort((values, rev, ts_ms))
    ts_ms, rev, values = ts_ms[order], rev[order], values[order]
    last = np.append(ts_ms[1:] != ts_ms[:-1], [True])
    same = (ts_ms[1:] == ts_ms[:-1]) & (rev[1:] == rev[:-1]) & (values[1:] != values[:-1])
    newest = dict(zip(ts_ms[last].tolist(), rev[last].tolist(), strict=True))
    clash = {int(ms) for ms, r in zip(ts_ms[1:][same], rev[1:][same], strict=True) if newest[int(ms)] == r}
    stamps = ts_ms[last]
    contested = np.array([int(ms) in clash for ms in stamps.tolist()], dtype=np.bool_)
    known = np.where(contested, np.nan, values[last])
    return Curve(name, CHANNELS[name].unit, interval_s, stamps, known, contested)


def _bar(value: float, low: float, high: float) -> str:
    share = 0.0 if high <= low else (value - low) / (high - low)
    return _BARS[min(len(_BARS) - 1, max(0, int(share * len(_BARS))))]
