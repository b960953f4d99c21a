"""What a night looks like on the quarter-hour grid, with instants, means and registers kept apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.domain.windows import Window
from models.learned.energy import interval_energy_kwh

QUARTER_S: Final = 900
FINE_S: Final = 120
"""Cadences up to this show single heats; slower ones only their averages."""
_ENOUGH_OF_A_ROW: Final = 0.5
_ENOUGH_OF_A_QUARTER: Final = 0.6
_FROZEN_SHARE: Final = 0.05
_JUMP_TIMES: Final = 20.0
_JUMP_FLOOR_KW: Final = 50.0
_CATCH_UP_TIMES: Final = 1.5

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class NightSeries:
    """Power of n meters over one night, (n, s) float32 kW on a grid of `grid_s` seconds; NaN where unknown.

    `mean_kw` is the interval mean: from registers, else reported means, else instants (`from_instants` (n,) says for
    whom; nothing is mixed within a meter). `snapshot_kw` and `snapshot_kvar` are the instants at the end of each
    slot, None where no meter reports them. `fine_kw` (n, s_fine) is the native series of a cadence of at most two
    minutes, else None. `quarter` tells whether the grid is the quarter hour that the cycle features need.
    """

    mean_kw: Floats
    from_instants: NDArray[np.bool_]
    snapshot_kw: Floats | None
    snapshot_kvar: Floats | None
    fine_kw: Floats | None
    fine_s: int
    grid_s: int

    @property
    def quarter(self) -> bool:
        return self.grid_s == QUARTER_S


def night_series(window: Window, rows: slice) -> NightSeries:
    """The series of some meters of a window."""
    snapshot_kw = _instants(window, "p_kw", rows)
    reported_kw = _instants(window, "p_mean_kw", rows)
    metered_kw = _metered_kw(window, rows, snapshot_kw)
    shape = (len(window.meters[rows]), window.n_slots)
    mean_kw, from_instants = _first_with_data(shape, metered_kw, reported_kw, snapshot_kw)
    fine_kw: Floats | None = None
    if window.interval_s <= FINE_S:
        fine_kw, _ = _first_with_data(shape, reported_kw, snapshot_kw, metered_kw)
    kvar = _instants(window, "q_kvar", rows)
    grid_s = max(QUARTER_S, window.interval_s)
    return NightSeries(
        mean_kw=to_quarters(mean_kw, window.interval_s),
        from_instants=from_instants,
        snapshot_kw=None if snapshot_kw is None else _at_quarters(snapshot_kw, window.interval_s),
        snapshot_kvar=None if kvar is None else _at_quarters(kvar, window.interval_s),
        fine_kw=fine_kw,
        fine_s=window.interval_s,
        grid_s=grid_s,
    )


def to_quarters(values: Floats, interval_s: int) -> Floats:
    """Average (n, s) of a finer cadence onto quarter hours; slower cadences and quarter hours come back unchanged.

    Two and ten minutes do not divide the quarter: a slot that straddles its edge counts half on either side. A
    quarter is NaN where less than 60 % of it is known.
    """
    if interval_s >= QUARTER_S:
        return values
    if QUARTER_S % interval_s:
        values, interval_s = np.repeat(values, 2, axis=1), interval_s // 2
    per_quarter = QUARTER_S // interval_s
    quarters = values.shape[1] // per_quarter
    parts = values[:, : quarters * per_quarter].reshape(len(values), quarters, per_quarter)
    known = np.isfinite(parts)
    count = known.sum(axis=2)
    total = np.where(known, parts, np.float32(0.0)).sum(axis=2, dtype=np.float32)
    average = total / np.maximum(count, 1).astype(np.float32)
    return np.where(count >= _ENOUGH_OF_A_QUARTER * per_quarter, average, np.float32(np.nan)).astype(np.float32)


def _at_quarters(values: Floats, interval_s: int) -> Floats:
    """The instants that fall on the ends of quarter hours, or on the last tick inside where none does."""
    if interval_s >= QUARTER_S:
        return values
    ends = np.arange(QUARTER_S, values.shape[1] * interval_s + 1, QUARTER_S) // interval_s - 1
    return values[:, ends]


def _instants(window: Window, channel: str, rows: slice) -> Floats | None:
    values = window.instants.get(channel)
    return None if values is None else values[rows]


def _metered_kw(window: Window, rows: slice, snapshot_kw: Floats | None) -> Floats | None:
    imported = window.registers.get("e_imp_kwh")
    if imported is None:
        return None
    energy_kwh, _ = interval_energy_kwh(imported[rows], window.interval_s)
    exported = window.registers.get("e_exp_kwh")
    if exported is not None:
        back_kwh, _ = interval_energy_kwh(exported[rows], window.interval_s)
        np.nan_to_num(back_kwh, copy=False)
        energy_kwh = energy_kwh - back_kwh
    power_kw = energy_kwh * np.float32(3600.0 / window.interval_s)
    power_kw = _without_jumps(power_kw)
    return power_kw if snapshot_kw is None else _without_frozen(power_kw, snapshot_kw)


def _without_jumps(power_kw: Floats) -> Floats:
    """NaN where one interval holds what cannot be its own energy.

    Such an interval exceeds every other one twentyfold (a replaced meter), or by half after two intervals without any
    energy (a register that stood still and caught up).
    """
    if power_kw.shape[1] < 4:
        return power_kw
    largest = np.fmax.reduce(power_kw, axis=1, initial=0.0)
    top = power_kw == largest[:, None]
    rest = np.where(top, np.float32(0.0), power_kw)
    second = np.fmax.reduce(rest, axis=1, initial=0.0)
    replaced = (largest > _JUMP_TIMES * second) & (largest > _JUMP_FLOOR_KW)
    ahead = largest > _CATCH_UP_TIMES * second
    if not bool((ahead | replaced).any()):
        return power_kw
    still = np.zeros_like(top)
    still[:, 2:] = (power_kw[:, 1:-1] == 0.0) & (power_kw[:, :-2] == 0.0)
    foreign = top & (replaced[:, None] | (ahead[:, None] & still))
    return np.where(foreign, np.float32(np.nan), power_kw)


def _without_frozen(power_kw: Floats, snapshot_kw: Floats) -> Floats:
    """NaN where a register stands still while the meter reports load, and in the slot where it catches up."""
    idle = power_kw == 0.0
    if not bool(idle.any()):
        return power_kw
    largest = np.fmax.reduce(snapshot_kw, axis=1, initial=0.0)[:, None]
    frozen = idle & (snapshot_kw > _FROZEN_SHARE * largest) & (snapshot_kw > 1.0)
    lasting = np.zeros_like(frozen)
    pair = frozen[:, 1:] & frozen[:, :-1]
    lasting[:, 1:] |= pair
    lasting[:, :-1] |= pair
    caught_up = np.zeros_like(lasting)
    caught_up[:, 1:] = lasting[:, :-1] & ~frozen[:, 1:]
    return np.where(lasting | caught_up, np.float32(np.nan), power_kw)


def _first_with_data(shape: tuple[int, int], *candidates: Floats | None) -> tuple[Floats, NDArray[np.bool_]]:
    """For each meter the first candidate that covers half the night, else the fullest; True where it is the last one.

    The candidates are alternatives of one meter, never merged slot by slot.
    """
    offered = [c for c in candidates if c is not None]
    if not offered:
        return np.full(shape, np.nan, dtype=np.float32), np.zeros(shape[0], dtype=np.bool_)
    last_offered = candidates[-1] is not None
    counts = np.stack([np.isfinite(c).sum(axis=1) for c in offered])
    enough = counts >= _ENOUGH_OF_A_ROW * shape[1]
    choice = np.where(enough.any(axis=0), enough.argmax(axis=0), counts.argmax(axis=0))
    chosen = offered[0]
    for position in range(1, len(offered)):
        mine = choice == position
        if bool(mine.any()):
            chosen = np.where(mine[:, None], offered[position], chosen)
    return chosen, (choice == len(offered) - 1) & last_offered
