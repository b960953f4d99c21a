"""Ring arrays that hold the recent readings of many meters, one ring a cadence.

A ring settles what its slots hold as a function of the SET of readings that fell into them, so that order, batch size
and restarts change nothing: nearest stamp to the tick, then highest revision, and NaN where two values of the same
stamp and revision contradict each other (design §2, invariant 3). Nights older than the rings are judged from history
through the same class, so both paths give the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Final, TypeVar
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from models.domain.channels import CHANNELS, ChannelKind
from models.domain.nights import DAY_S, Night
from models.domain.windows import SlotFlag, Window
from monitor.contested import Cell, Stamp
from monitor.slots import ClockSlots, slots_of

REGISTER_QUANTUM_KWH: Final = 0.01
OFF_TICK_SHARE: Final = 0.05
"""Share of the interval that a stamp may lie beside its tick without being marked: 45 s of a quarter hour."""
_MISSING: Final = np.iinfo(np.int32).min
_NEVER: Final = -(1 << 40)
_ROWS_AT_FIRST: Final = 256
_GROWTH: Final = 1.25
_LOOKED_AT_ONCE: Final = 16_384
_CLEARED_AT_ONCE: Final = 1_000_000
"""Slots emptied at once: after a week's outage every slot of every meter is."""


class Outcome(IntEnum):
    """What became of a reading when the journal was applied."""

    STORED = 0
    DUPLICATE = 1
    CONFLICT = 2
    OLD = 3


class Ring:
    """The last `n_slots` slots of every meter of one cadence. Rows are the caller's meter keys, mapped inside.

    Instants are float32. Registers are whole 0.01 kWh counted from a base per row in int32, so a slot costs four bytes
    and differences are exact; a jump too wide for that marks the row, and its older slots are then read from history,
    into a ring built `wide` (int64), which holds any jump. `zone` tells which night a daily reading belongs to.

    Arrays reach beyond the rows in use, to `expected_rows` from the beginning, so that meters seen for the first time
    seldom move them; what lies beyond is never touched and costs no memory.
    """

    def __init__(
        self,
        interval_s: int,
        n_slots: int,
        *,
        wide: bool = False,
        zone: ZoneInfo | None = None,
        expected_rows: int = 0,
    ) -> None:
        if interval_s == DAY_S and zone is None:
            raise ValueError("a ring of daily readings needs the zone of its nights")
        self.interval_s = interval_s
        self.n_slots = n_slots
        self._count_type: type[np.int32 | np.int64] = np.int64 if wide else np.int32
        self._limit = np.iinfo(np.int64).max // 4 if wide else np.iinfo(np.int32).max - 1
        self.n_rows = 0
        self._expected_rows = expected_rows
        self._slots = ClockSlots(interval_s) if zone is None else slots_of(interval_s, zone)
        self._row_of: NDArray[np.int32] = np.full(_ROWS_AT_FIRST, -1, dtype=np.int32)
        self._key_of: NDArray[np.int32] = np.full(_ROWS_AT_FIRST, -1, dtype=np.int32)
        self._newest: NDArray[np.int64] = np.full(_ROWS_AT_FIRST, _NEVER, dtype=np.int64)
        self._torn: NDArray[np.int64] = np.full(_ROWS_AT_FIRST, _NEVER, dtype=np.int64)
        self._last_of: NDArray[np.int32] = np.zeros(_ROWS_AT_FIRST, dtype=np.int32)
        self._flags: NDArray[np.uint8] = np.zeros((_ROWS_AT_FIRST, n_slots), dtype=np.uint8)
        self._instants: dict[str, NDArray[np.float32]] = {}
        self._registers: dict[str, NDArray[np.int32 | np.int64]] = {}
        self._base: dict[str, NDArray[np.int64]] = {}
        self._offset_ms: dict[str, NDArray[np.int32]] = {}
        self._contested: dict[tuple[int, int], Cell] = {}

    @property
    def nbytes(self) -> int:
        """Bytes of the rows in use, flags included."""
        values = (self._instants, self._registers, self._offset_ms)
        slots = [self._flags, *(array for group in values for array in group.values())]
        return sum(array[: self.n_rows].nbytes for array in slots)

    def newest_ms(self) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """(keys, stamp of the newest slot) of every meter seen."""
        return self._key_of[: self.n_rows], self._slots.tick_ms(self._newest[: self.n_rows])

    def apply(
        self,
        keys: NDArray[np.int32],
        ts_ms: NDArray[np.int64],
        rev: NDArray[np.int32],
        channels: Mapping[str, NDArray[np.float64]],
    ) -> tuple[NDArray[np.uint8], dict[str, NDArray[np.bool_]]]:
        """Put n readings into their slots.

        Returns the outcome of each reading, and per channel an (n,) mask of the values that were new (or contradict
        what is known): those are what history has to keep. OLD readings lie before the ring and were not touched.
        """
        n = len(keys)
        slot = self._slots.of(ts_ms)
        offset = (ts_ms - self._slots.tick_ms(slot)).astype(np.int32)
        row = self._rows(keys)
        self._advance(row, slot)
        old = (slot <= self._newest[row] - self.n_slots) | (slot <= self._torn[row])
        outcome = np.where(old, np.uint8(Outcome.OLD), np.uint8(Outcome.DUPLICATE)).astype(np.uint8)
        fresh = {name: np.zeros(n, dtype=np.bool_) for name in channels}
        todo = np.flatnonzero(~old)
        cell = row.astype(np.int64) * self.n_slots + slot % self.n_slots
        while todo.size:
            _, first = np.unique(cell[todo], return_index=True)
            index = todo if first.size == todo.size else todo[np.sort(first)]
            self._apply_distinct(index, row, slot, offset, rev, channels, outcome, fresh)
            if first.size == todo.size:
                break
            todo = np.setdiff1d(todo, index, assume_unique=True)
        return outcome, fresh

    def rebuilt(self, keys: NDArray[np.int32], newest_ms: NDArray[np.int64], since_ms: int) -> None:
        """The ring was filled again with what is stored after `since_ms`; `newest_ms` (n,) are the meters' last stamps.

        What lies before, and all of a meter that reported nothing since, is known to history alone.
        """
        row = self._rows(keys)
        newest = self._slots.of(newest_ms)
        since = int(self._slots.of(np.array([since_ms], dtype=np.int64))[0])
        self._newest[row] = np.maximum(self._newest[row], newest)
        self._torn[row] = np.maximum(self._torn[row], np.minimum(self._newest[row], since))

    def covers(self, keys: NDArray[np.int32], night: Night) -> NDArray[np.bool_]:
        """(n,) True where the ring still holds all it was ever told of the night, its opening boundary included."""
        row = self._known_rows(keys)
        first, _ = self._slots.of_night(night)
        known = row >= 0
        held = (first > self._newest[row] - self.n_slots) & (first > self._torn[row])
        result: NDArray[np.bool_] = ~known | held
        return result

    def window(self, night: Night, keys: NDArray[np.int32], meters: Sequence[str]) -> Window:
        """The night's window of the meters `keys`; a meter never seen is all NaN."""
        row = self._known_rows(keys)
        first, count = self._slots.of_night(night)
        slots = np.arange(first, first + count + 1, dtype=np.int64)
        held = (row >= 0)[:, None] & (slots[None, :] <= self._newest[row][:, None])
        held &= slots[None, :] > self._newest[row][:, None] - self.n_slots
        where = (row[:, None], (slots % self.n_slots)[None, :])
        flags = np.where(held, self._flags[where], np.uint8(0))[:, 1:]
        inner = (where[0], where[1][:, 1:])
        instants = {
            name: np.where(held[:, 1:], values[inner], np.float32(np.nan)) for name, values in self._instants.items()
        }
        registers = {}
        for name, counts in self._registers.items():
            whole = counts[where]
            value = (self._base[name][row][:, None] + whole.astype(np.int64)) * 1.0 / 100.0
            registers[name] = np.where(held & (whole != _MISSING), value, np.nan)
        return Window(
            night=night,
            interval_s=self.interval_s,
            meters=tuple(meters),
            instants={k: v for k, v in instants.items() if not np.isnan(v).all()},
            registers={k: v for k, v in registers.items() if not np.isnan(v).all()},
            flags=flags,
        )

    def has_data(self, night: Night, keys: NDArray[np.int32]) -> NDArray[np.bool_]:
        """(n,) True where anything was reported for the night."""
        row = self._known_rows(keys)
        first, count = self._slots.of_night(night)
        slots = np.arange(first + 1, first + count + 1, dtype=np.int64)
        found = np.zeros(len(keys), dtype=np.bool_)
        for looked_at in (slots[[count // 2, -1]], slots):
            left = np.flatnonzero(~found & (row >= 0))
            for start in range(0, len(left), _LOOKED_AT_ONCE):
                some = left[start : start + _LOOKED_AT_ONCE]
                found[some] = self._reported(row[some], looked_at)
        return found

    def _reported(self, row: NDArray[np.int32], slots: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(n,) True where a row holds a reading in any of the slots."""
        newest = self._newest[row][:, None]
        held = (slots[None, :] <= newest) & (slots[None, :] > newest - self.n_slots)
        reported = (self._flags[row[:, None], (slots % self.n_slots)[None, :]] & np.uint8(SlotFlag.HAS_DATA)) != 0
        result: NDArray[np.bool_] = (reported & held).any(axis=1)
        return result

    def _known_rows(self, keys: NDArray[np.int32]) -> NDArray[np.int32]:
        """Row of each key, -1 where it was never seen."""
        row = np.full(len(keys), -1, dtype=np.int32)
        inside = keys < len(self._row_of)
        row[inside] = self._row_of[keys[inside]]
        return row

    def _rows(self, keys: NDArray[np.int32]) -> NDArray[np.int32]:
        """Row of each key; a key not seen before gets the next row."""
        if keys.size == 0:
            return keys
        top = int(keys.max())
        if top >= len(self._row_of):
            grown = np.full(max(top + 1, 2 * len(self._row_of)), -1, dtype=np.int32)
            grown[: len(self._row_of)] = self._row_of
            self._row_of = grown
        row = self._row_of[keys]
        if (row < 0).any():
            unseen = np.unique(keys[row < 0])
            self._reserve(self.n_rows + len(unseen))
            self._row_of[unseen] = np.arange(self.n_rows, self.n_rows + len(unseen), dtype=np.int32)
            self._empty(self.n_rows, self.n_rows + len(unseen))
            self._key_of[self.n_rows : self.n_rows + len(unseen)] = unseen
            self.n_rows += len(unseen)
            row = self._row_of[keys]
        return row

    def _reserve(self, rows: int) -> None:
        """Make room for so many rows; those beyond the ones in use are left as they come."""
        have = len(self._newest)
        if rows <= have:
            return
        room = max(rows, self._expected_rows, int(have * _GROWTH))
        used = self.n_rows
        self._key_of, self._last_of = _moved(self._key_of, room, used), _moved(self._last_of, room, used)
        self._newest, self._torn = _moved(self._newest, room, used), _moved(self._torn, room, used)
        self._flags = _moved(self._flags, room, used)
        _move_all(self._instants, room, used)
        _move_all(self._registers, room, used)
        _move_all(self._base, room, used)
        _move_all(self._offset_ms, room, used)

    def _empty(self, first: int, end: int) -> None:
        """Rows about to be taken into use hold nothing."""
        rows = slice(first, end)
        self._newest[rows] = self._torn[rows] = _NEVER
        self._last_of[rows] = 0
        self._flags[rows] = 0
        for values in self._instants.values():
            values[rows] = np.nan
        for name, counts in self._registers.items():
            counts[rows] = _MISSING
            self._base[name][rows] = _MISSING
        for offsets in self._offset_ms.values():
            offsets[rows] = 0

    def _channel(self, name: str) -> None:
        shape = (len(self._newest), self.n_slots)
        if CHANNELS[name].kind is ChannelKind.REGISTER:
            if name not in self._registers:
                self._registers[name] = np.empty(shape, dtype=self._count_type)
                self._registers[name][: self.n_rows] = _MISSING
                self._base[name] = np.full(shape[0], _MISSING, dtype=np.int64)
        elif name not in self._instants:
            self._instants[name] = np.empty(shape, dtype=np.float32)
            self._instants[name][: self.n_rows] = np.nan

    def _advance(self, row: NDArray[np.int32], slot: NDArray[np.int64]) -> None:
        """Move each row's newest slot forward and empty the slots it now stands for."""
        ahead = slot > self._newest[row]
        if not ahead.any():
            return
        touched, target = row[ahead], slot[ahead]
        before = self._newest[touched]
        np.maximum.at(self._newest, touched, target)
        self._last_of[touched] = np.arange(len(touched), dtype=np.int32)
        once = self._last_of[touched] == np.arange(len(touched), dtype=np.int32)
        touched, before = touched[once], before[once]
        gap = np.minimum(self._newest[touched] - before, self.n_slots)
        seen = before > _NEVER
        touched, gap, newest = touched[seen], gap[seen], self._newest[touched[seen]]
        first = 0
        for end in [*(1 + np.flatnonzero(np.diff(np.cumsum(gap) // _CLEARED_AT_ONCE))).tolist(), len(gap)]:
            self._clear(touched[first:end], gap[first:end], newest[first:end])
            first = end

    def _clear(self, touched: NDArray[np.int32], gap: NDArray[np.int64], newest: NDArray[np.int64]) -> None:
        """Empty the last `gap` slots up to `newest` of each of the rows `touched`."""
        back = np.arange(int(gap.sum())) - np.repeat(np.cumsum(gap) - gap, gap)
        rows = np.repeat(touched, gap)
        column = (np.repeat(newest, gap) - back) % self.n_slots
        stale = np.flatnonzero(self._flags[rows, column])
        if stale.size == 0:
            return
        rows, column = rows[stale], column[stale]
        contested = (self._flags[rows, column] & np.uint8(SlotFlag.CONTESTED)) != 0
        for r, c in zip(rows[contested].tolist(), column[contested].tolist(), strict=True):
            self._contested.pop((r, c), None)
        for values in self._instants.values():
            values[rows, column] = np.nan
        for counts in self._registers.values():
            counts[rows, column] = _MISSING
        for offsets in self._offset_ms.values():
            offsets[rows, column] = 0
        self._flags[rows, column] = 0

    def _apply_distinct(
        self,
        index: NDArray[np.intp],
        row: NDArray[np.int32],
        slot: NDArray[np.int64],
        offset: NDArray[np.int32],
        rev: NDArray[np.int32],
        channels: Mapping[str, NDArray[np.float64]],
        outcome: NDArray[np.uint8],
        fresh: Mapping[str, NDArray[np.bool_]],
    ) -> None:
        """Readings `index`, no two of them in one cell; those whose cell holds nothing yet need no comparing."""
        untouched = (self._flags[row[index], slot[index] % self.n_slots] == 0) & (rev[index] == 0)
        if untouched.all():
            self._fill(index, row, slot, offset, channels, outcome, fresh)
            return
        self._fill(index[untouched], row, slot, offset, channels, outcome, fresh)
        index = index[~untouched]
        torn = slot[index] <= self._torn[row[index]]
        outcome[index[torn]] = Outcome.OLD
        index = index[~torn]
        r, column = row[index], slot[index] % self.n_slots
        plain = (rev[index] == 0) & ((self._flags[r, column] & np.uint8(SlotFlag.CONTESTED)) == 0)
        off = offset[index]
        reported = np.zeros(len(index), dtype=np.bool_)
        for name, values in channels.items():
            value = values[index]
            present = ~np.isnan(value)
            if not present.any():
                continue
            reported |= present
            self._channel(name)
            held, empty, wire = self._compare(name, r, column, value, present)
            same_stamp = off == (self._offset_ms[name][r, column] if name in self._offset_ms else 0)
            new = present & plain & empty
            known = present & plain & ~empty & same_stamp & (held == wire)
            self._write(name, r[new], column[new], wire[new], off[new])
            fresh[name][index[new]] = True
            hard = np.flatnonzero(present & ~new & ~known)
            for i in hard.tolist():
                stamp = (int(off[i]), int(rev[index[i]]))
                verdict = self._contest(name, int(r[i]), int(column[i]), stamp, float(wire[i]))
                fresh[name][index[i]] = verdict is not Outcome.DUPLICATE
                if verdict is Outcome.CONFLICT:
                    outcome[index[i]] = Outcome.CONFLICT
            stored = fresh[name][index] & (outcome[index] == Outcome.DUPLICATE)
            outcome[index[stored]] = Outcome.STORED
        mark = np.uint8(SlotFlag.HAS_DATA)
        self._flags[r[reported], column[reported]] |= mark
        beside = reported & self._slots.off_tick(off, OFF_TICK_SHARE)
        self._flags[r[beside], column[beside]] |= np.uint8(SlotFlag.OFF_TICK)

    def _fill(
        self,
        index: NDArray[np.intp],
        row: NDArray[np.int32],
        slot: NDArray[np.int64],
        offset: NDArray[np.int32],
        channels: Mapping[str, NDArray[np.float64]],
        outcome: NDArray[np.uint8],
        fresh: Mapping[str, NDArray[np.bool_]],
    ) -> None:
        """Ordinary readings `index`, no two of them in one cell, whose cells hold nothing."""
        reported = np.zeros(len(index), dtype=np.bool_)
        r, column, off = row[index], slot[index] % self.n_slots, offset[index]
        for name, values in channels.items():
            value = values[index]
            present = ~np.isnan(value)
            if not present.any():
                continue
            reported |= present
            self._channel(name)
            if name in self._registers:
                value = np.rint(value / REGISTER_QUANTUM_KWH)
            if present.all():
                self._write(name, r, column, value, off)
            else:
                self._write(name, r[present], column[present], value[present], off[present])
            fresh[name][index] = present
        outcome[index[reported]] = Outcome.STORED
        on_tick, off_tick = np.uint8(SlotFlag.HAS_DATA), np.uint8(SlotFlag.HAS_DATA | SlotFlag.OFF_TICK)
        marks = np.where(self._slots.off_tick(off, OFF_TICK_SHARE), off_tick, on_tick)
        self._flags[r[reported], column[reported]] = marks[reported]

    def _compare(
        self,
        name: str,
        row: NDArray[np.int32],
        column: NDArray[np.int64],
        value: NDArray[np.float64],
        present: NDArray[np.bool_],
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.float64]]:
        """(value held, cell is empty, wire value as the ring would hold it); registers in whole quanta."""
        if name in self._instants:
            held = self._instants[name][row, column].astype(np.float64)
            return held, np.isnan(held), value.astype(np.float32).astype(np.float64)
        quanta = np.rint(np.where(present, value, 0.0) / REGISTER_QUANTUM_KWH)
        counts = self._registers[name][row, column]
        base = self._base[name][row]
        return (base + counts.astype(np.int64)).astype(np.float64), counts == _MISSING, quanta

    def _write(
        self,
        name: str,
        row: NDArray[np.int32],
        column: NDArray[np.int64],
        value: NDArray[np.float64],
        offset: NDArray[np.int32],
    ) -> None:
        if row.size == 0:
            return
        if name in self._instants:
            self._instants[name][row, column] = value
        else:
            self._write_register(name, row, column, value.astype(np.int64))
        if name in self._offset_ms:
            self._offset_ms[name][row, column] = offset
        elif offset.any():
            self._offset_ms[name] = np.zeros((len(self._newest), self.n_slots), dtype=np.int32)
            self._offset_ms[name][row, column] = offset

    def _write_register(
        self, name: str, row: NDArray[np.int32], column: NDArray[np.int64], quanta: NDArray[np.int64]
    ) -> None:
        base, counts = self._base[name], self._registers[name]
        unset = base[row] == _MISSING
        base[row[unset]] = quanta[unset]
        delta = quanta - base[row]
        wide = np.abs(delta) > self._limit
        if not wide.any():
            counts[row, column] = delta
            return
        torn = np.isin(row, row[wide])
        counts[row[~torn], column[~torn]] = delta[~torn]
        for r, c, q in zip(row[torn].tolist(), column[torn].tolist(), quanta[torn].tolist(), strict=True):
            if abs(q - int(base[r])) > self._limit:
                self._rebase(name, r, q)
            counts[r, c] = q - int(base[r])

    def _rebase(self, name: str, row: int, quanta: int) -> None:
        """Count the row from `quanta` on; slots that no longer fit are dropped and the row is marked torn."""
        counts, base = self._registers[name], self._base[name]
        known = counts[row] != _MISSING
        moved = counts[row][known].astype(np.int64) + int(base[row]) - quanta
        fits = np.abs(moved) <= self._limit
        counts[row][known] = np.where(fits, moved, _MISSING)
        base[row] = quanta
        if not fits.all():
            self._torn[row] = max(int(self._torn[row]), int(self._newest[row]))

    def _contest(self, name: str, row: int, column: int, stamp: Stamp, value: float) -> Outcome:
        """Settle a cell that has more than one reading; the whole set decides, never the order of arrival."""
        where = (np.array([row], dtype=np.int32), np.array([column]))
        cell = self._contested.get((row, column), Cell())
        if name not in cell.channels:
            held, empty, _ = self._compare(name, *where, np.zeros(1), np.zeros(1, dtype=np.bool_))
            if not empty[0]:
                offset = int(self._offset_ms[name][row, column]) if name in self._offset_ms else 0
                cell.add(name, (offset, 0), float(held[0]))
        if cell.knows(name, stamp, value):
            return Outcome.DUPLICATE
        clash = cell.add(name, stamp, value)
        self._contested[row, column] = cell
        now = cell.settle(name)
        if not np.isnan(now.value):
            self._write(name, *where, np.array([now.value]), np.array([now.offset_ms], dtype=np.int32))
        elif name in self._instants:
            self._instants[name][row, column] = np.nan
        else:
            self._registers[name][row, column] = _MISSING
        kept = SlotFlag(int(self._flags[row, column])) & SlotFlag.OFF_TICK
        self._flags[row, column] = int(cell.flags() | kept)
        return Outcome.CONFLICT if clash else Outcome.STORED


_Cells = TypeVar("_Cells", bound=np.generic)


def _moved(values: NDArray[_Cells], room: int, used: int) -> NDArray[_Cells]:
    """The rows in use at the start of a longer array."""
    longer = np.empty((room, *values.shape[1:]), dtype=values.dtype)
    longer[:used] = values[:used]
    return longer


def _move_all(group: dict[str, NDArray[_Cells]], room: int, used: int) -> None:
    """Every array of a group in turn, so that only one of them is there twice."""
    for name, values in group.items():
        group[name] = _moved(values, room, used)
