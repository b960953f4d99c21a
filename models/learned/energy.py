"""Interval energy from cumulative registers: never negative, never attributed to an interval it may not belong to."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_WRAP_SHARE_WITHOUT_RATING = 0.01


def interval_energy_kwh(
    registers: NDArray[np.float64],
    interval_s: int,
    *,
    limit_kw: NDArray[np.float64] | None = None,
    wrap_kwh: NDArray[np.float64] | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Energy of each interval and where a register was reset; (n, s + 1) kWh -> (n, s) kWh, (n, s).

    `limit_kw` (n,) is the largest power the metering point can carry and `wrap_kwh` (n,) the value at which its
    counter wraps to zero; NaN or None where unknown. A fall is a rollover only where the wrapped difference is
    plausible: within the limit, or within 1 % of the register's size where no limit is known. Any other fall, and a
    rise beyond the limit, is a RESET: NaN and flagged (rule T5). NaN where either end is missing: the energy of a gap
    belongs to no single interval (see `gap_energy_kwh`).
    """
    delta = registers[:, 1:] - registers[:, :-1]
    most = None if limit_kw is None else (limit_kw * (interval_s / 3600.0))[:, None]
    return _settle(delta, most, wrap_kwh)


def gap_energy_kwh(
    registers: NDArray[np.float64],
    interval_s: int,
    *,
    limit_kw: NDArray[np.float64] | None = None,
    wrap_kwh: NDArray[np.float64] | None = None,
) -> NDArray[np.float32]:
    """Total energy of each gap, at the slot that ends it; (n, s + 1) -> (n, s), NaN where no gap ends.

    A gap is two or more intervals between one reading and the next; its total obeys the same rules as an interval.
    """
    n, ticks = registers.shape
    totals = np.full((n, max(ticks - 1, 0)), np.nan, dtype=np.float32)
    present = np.isfinite(registers)
    if ticks < 3 or bool(present.all()):
        return totals
    rows, columns = np.nonzero(present)
    follows = np.flatnonzero((rows[1:] == rows[:-1]) & (np.diff(columns) > 1))
    row, end, start = rows[follows], columns[follows + 1], columns[follows]
    delta = (registers[row, end] - registers[row, start])[:, None]
    span_h = (end - start)[:, None] * (interval_s / 3600.0)
    most = None if limit_kw is None else limit_kw[row][:, None] * span_h
    settled, _ = _settle(delta, most, None if wrap_kwh is None else wrap_kwh[row])
    totals[row, end - 1] = settled[:, 0]
    return totals


def _settle(
    delta: NDArray[np.float64], most: NDArray[np.float64] | None, wrap_kwh: NDArray[np.float64] | None
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    reset = delta < 0.0
    if wrap_kwh is not None and bool(reset.any()):
        wrapped = delta + wrap_kwh[:, None]
        ceiling = np.broadcast_to(_WRAP_SHARE_WITHOUT_RATING * wrap_kwh[:, None], delta.shape)
        if most is not None:
            ceiling = np.where(np.isfinite(most), most, ceiling)
        rollover = reset & (wrapped >= 0.0) & (wrapped <= ceiling)
        delta = np.where(rollover, wrapped, delta)
        reset &= ~rollover
    if most is not None:
        reset |= delta > most
    energy = delta.astype(np.float32)
    if bool(reset.any()):
        energy[reset] = np.nan
    return energy, reset
