"""What a lead can be judged from again: readings, nightly rows, register and detectors, all of one site."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from detectors.base import MOST_NIGHTS, RECENT_NIGHTS, LooksBack
from models.domain.nights import Night, night_of_date, nights_before
from models.domain.register import Register
from models.domain.windows import PastNights, Window
from models.learned.features import FEATURES
from monitor.applier import fill_ring
from monitor.evidence_pack.origins import AnyDetector
from monitor.jobs import POOL_NIGHTS
from monitor.leads import NightFinding
from monitor.roster import Roster
from monitor.windows import Ring

MARGIN_MS = 3_600_000
DAY_S = 86_400
FEATURE_NAMES = tuple(spec.name for spec in FEATURES)

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Entry:
    """One night of one meter that a lead rests on.

    `digest` is what the lead says of the readings, `interval_s` the cadence it was judged at, `recorded` the finding
    as kept, None where there is none (any more). `end_ms` bounds what had been looked at.
    """

    night: dt.date
    meter: str
    interval_s: int
    digest: str
    end_ms: int
    provisional: bool
    recorded: NightFinding | None


@dataclass(frozen=True)
class Material:
    """`detector` is the lead's; `detectors` are all there were, by name. `readings` and `rows` as stored."""

    detector: str
    detectors: Mapping[str, AnyDetector]
    register: Register
    readings: pa.Table
    rows: pa.Table

    @cached_property
    def roster(self) -> Roster:
        return Roster(self.register)

    @property
    def looks_back(self) -> bool:
        """Whether the lead's detector judges from nightly rows alone."""
        return isinstance(self.detectors.get(self.detector), LooksBack)

    @cached_property
    def cadences(self) -> tuple[int, ...]:
        """Cadences of the readings, shortest first."""
        return tuple(np.unique(self.readings.column("interval_s").to_numpy()).tolist())

    @cached_property
    def _rows_at(self) -> Mapping[tuple[int, str, dt.date], int]:
        keys = (self.rows.column(name).to_pylist() for name in ("interval_s", "meter", "night"))
        return {key: position for position, key in enumerate(zip(*keys, strict=True))}

    @cached_property
    def _values(self) -> Mapping[str, Floats]:
        present = set(self.rows.schema.names)
        blank = np.full(self.rows.num_rows, np.nan, dtype=np.float32)
        return {
            name: self.rows.column(name).to_numpy(zero_copy_only=False).astype(np.float32) if name in present else blank
            for name in FEATURE_NAMES
        }

    @property
    def row_keys(self) -> Collection[tuple[int, str, dt.date]]:
        """(cadence, meter, night) of every stored row."""
        return self._rows_at.keys()

    def row(self, interval_s: int, meter: str, night: dt.date) -> dict[str, np.float32] | None:
        """The stored nightly row, None where there is none."""
        at = self._rows_at.get((interval_s, meter, night))
        return None if at is None else {name: values[at] for name, values in self._values.items()}

    def heard_elsewhere(self, interval_s: int, meter: str, night: dt.date) -> float:
        """Largest coverage of the night at another cadence; NaN where nothing was covered."""
        found = [
            float(row["coverage"])
            for cadence in {key[0] for key in self._rows_at} - {interval_s}
            if (row := self.row(cadence, meter, night)) is not None and row["coverage"] > 0.0
        ]
        return max(found, default=float("nan"))

    def stored_past(self, interval_s: int, meter: str, nights: Sequence[Night], names: Sequence[str]) -> PastNights:
        """Stored rows of one meter, (1, k) each; NaN where there is none."""
        rows = [self.row(interval_s, meter, night.date) for night in nights]
        nan = np.float32(np.nan)
        values = {n: np.array([[nan if row is None else row[n] for row in rows]], dtype=np.float32) for n in names}
        return PastNights(tuple(nights), values)

    def window(self, meter: str, interval_s: int, night: Night, *, until_ms: int | None = None) -> Window:
        """The night of one meter from its readings, by the same rings that the daemon judges from."""
        zone = self.register.zone
        if interval_s == DAY_S:
            opening, _ = nights_before(night, 2, zone)
            ring, start_ms, end_ms = Ring(DAY_S, 2, wide=True, zone=zone), opening.start_ms, night.end_ms
        else:
            slots = (night.end_ms - night.start_ms + 3 * MARGIN_MS) // (interval_s * 1000)
            ring = Ring(interval_s, slots, wide=True, zone=zone)
            start_ms, end_ms = night.start_ms - MARGIN_MS, night.end_ms + MARGIN_MS
        fill_ring(ring, self._some(meter, interval_s, start_ms, min(end_ms, until_ms or end_ms)), self.roster)
        keys = np.array([self.roster.index[meter]], dtype=np.int32)
        window = ring.window(night, keys, [meter])
        wrap_kwh = self.roster.rows.wraps(night.date, keys)
        return Window(
            window.night, window.interval_s, window.meters, window.instants, window.registers, window.flags, wrap_kwh
        )

    def _some(self, meter: str, interval_s: int, start_ms: int, end_ms: int) -> pa.Table:
        table = self.readings
        ts_ms = table.column("ts_ms").to_numpy()
        keep = (ts_ms > start_ms) & (ts_ms <= end_ms) & (table.column("interval_s").to_numpy() == interval_s)
        keep &= np.asarray(table.column("meter").to_numpy(zero_copy_only=False) == meter, dtype=np.bool_)
        some = table.filter(pa.array(keep)).combine_chunks()
        return some.set_column(0, "meter", some.column("meter").combine_chunks().dictionary_encode())


def in_nights(material: Material, entries: Sequence[Entry]) -> NDArray[np.bool_]:
    """(n_readings,) those of the material's readings that fall into the lead's nights, on the meters it names there."""
    table, zone = material.readings, material.register.zone
    ts_ms, meters = table.column("ts_ms").to_numpy(), table.column("meter").to_numpy(zero_copy_only=False)
    keep = np.zeros(table.num_rows, dtype=np.bool_)
    for entry in entries:
        night = night_of_date(entry.night, zone)
        keep |= (ts_ms > night.start_ms) & (ts_ms <= night.end_ms) & np.asarray(meters == entry.meter, dtype=np.bool_)
    return keep


def nights_of_rows(entries: Sequence[dt.date], register: Register, detector: AnyDetector | None) -> list[dt.date]:
    """The nights whose rows are needed to judge these nights again, in order."""
    back = POOL_NIGHTS
    if isinstance(detector, LooksBack):
        back = max(back, RECENT_NIGHTS, min(detector.long_nights, MOST_NIGHTS))
    wanted: set[dt.date] = set()
    for date in entries:
        wanted |= {night.date for night in nights_before(night_of_date(date, register.zone), back, register.zone)}
    return sorted(wanted)


def span_of_readings(entries: Sequence[dt.date], register: Register) -> tuple[int, int]:
    """(start, end] in Unix ms of the readings needed: the nights, their pooled past and the margins."""
    first = nights_before(night_of_date(min(entries), register.zone), POOL_NIGHTS, register.zone)[0]
    opening, _ = nights_before(first, 2, register.zone)
    return opening.start_ms, night_of_date(max(entries), register.zone).end_ms + MARGIN_MS
