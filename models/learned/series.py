"""What a night looks like on the quarter-hour grid, with instants, means and registers kept apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.domain.nights import DAY_S
from models.domain.windows import Window
from models.learned.counting import count_true
from models.learned.energy import interval_energy_kwh

QUARTER_S: Final = 900
FINE_S: Final = 120
"""Cadences up to this show single heats; slower ones only their averages."""
_ENOUGH_OF_A_ROW: Final = 0.5
_ENOUGH_OF_A_QUARTER: Final = 0.6
_FROZEN_SHARE: Final = 0.05
_IDLE_KW: Final = 1.0
_JUMP_TIMES: Final = 20.0
_JUMP_FLOOR_KW: Final = 50.0
_CATCH_UP_TIMES: Final = 1.5

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class NightSeries:
    """Power of n meters over one night, (n, s) float32 kW on a grid of `grid_s` seconds; NaN where unknown.

    `mean_kw` is the interval mean: from registers, else reported means, else instants (`from_instants` (n,) says for
    whom; nothing is mixed within a meter; one instant says nothing of a day); `ordered_kw` is the same sorted along the
    night, NaN last, and `count` (n,) what is known. `resets` (n,) counts falls of the import register. `snapshot_kw`
    and `snapshot_kvar` are the instants at the end of each slot, None where no meter reports them. `fine_kw`
    (n, s_fine) is the native series of a cadence of at most two minutes, else None. `quarter` tells whether the grid is
    the quarter hour that the cycle features need.
    """

    mean_kw: Floats
    ordered_kw: Floats
    count: NDArray[np.intp]
    resets: NDArray[np.intp]
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
    metered_kw, resets = _metered_kw(window, rows)
    shape = (len(window.meters[rows]), window.n_slots)
    sampled_kw = snapshot_kw if window.interval_s < DAY_S else None
    mean_kw, from_instants = _first_with_data(shape, metered_kw, reported_kw, sampled_kw)
    fine_kw: Floats | None = None
    if window.interval_s <= FINE_S:
        fine_kw, _ = _first_with_data(shape, reported_kw, snapshot_kw, metered_kw)
    kvar = _instants(window, "q_kvar", rows)
    if snapshot_kw is not None:
        snapshot_kw = _at_quarters(snapshot_kw, window.interval_s)
    power_kw = to_quarters(mean_kw, window.interval_s)
    power_kw, ordered_kw, count = _without_foreign(power_kw, snapshot_kw)
    return NightSeries(
        mean_kw=power_kw,
        ordered_kw=ordered_kw,
        count=count,
        resets=resets,
        from_instants=from_instants,
        snapshot_kw=snapshot_kw,
        snapshot_kvar=None if kvar is None else _at_quarters(kvar, window.interval_s),
        fine_kw=fine_kw,
        fine_s=window.interval_s,
        grid_s=max(QUARTER_S, window.interval_s),
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


def _metered_kw(window: Window, rows: slice) -> tuple[Floats | None, NDArray[np.intp]]:
    imported = window.registers.get("e_imp_kwh")
    if imported is None:
        return None, np.zeros(len(window.meters[rows]), dtype=np.intp)
    wrap_kwh = None if window.wrap_kwh is None else window.wrap_kwh[rows]
    energy_kwh, reset = interval_energy_kwh(imported[rows], window.interval_s, wrap_kwh=wrap_kwh)
    exported = window.registers.get("e_exp_kwh")
    if exported is not None:
        back_kwh, _ = interval_energy_kwh(exported[rows], window.interval_s, wrap_kwh=wrap_kwh)
        energy_kwh -= np.nan_to_num(back_kwh)
    energy_kwh *= np.float32(3600.0 / window.interval_s)
    return energy_kwh, count_true(reset)


def _without_foreign(power_kw: Floats, snapshot_kw: Floats | None) -> tuple[Floats, Floats, NDArray[np.intp]]:
    """The series without slots that hold what cannot be their own power, the same in order, and what is left.

    NaN become: a slot twenty times any other (a replaced meter, a lone spike); one that exceeds every other by half
    after two slots without any energy (a register that stood still and caught up); and slots without energy, two or
    more in a row, in which the meter itself reports load, with the one that follows (the same, seen from inside).
    """
    ordered = np.sort(power_kw, axis=1)
    count = count_true(np.isfinite(power_kw))
    if power_kw.shape[1] < 4 or not len(power_kw):
        return power_kw, ordered, count
    row = np.arange(len(power_kw))
    largest, second = ordered[row, np.maximum(count - 1, 0)], ordered[row, np.maximum(count - 2, 0)]
    idle = ordered[:, 1] == 0.0
    jumps = ((largest > _JUMP_TIMES * second) & (largest > _JUMP_FLOOR_KW)) | (
        idle & (largest > _CATCH_UP_TIMES * second)
    )
    if snapshot_kw is not None:
        idling = np.flatnonzero(idle)
        loaded = (power_kw[idling] == 0.0) & (snapshot_kw[idling] > _IDLE_KW)
        jumps[idling] |= count_true(loaded) >= 2
    doubtful = np.flatnonzero(jumps)
    if not len(doubtful):
        return power_kw, ordered, count
    part = power_kw[doubtful]
    foreign = _jumps(part, largest[doubtful][:, None], second[doubtful][:, None])
    if snapshot_kw is not None:
        foreign |= _frozen(part, snapshot_kw[doubtful])
    changed = foreign.any(axis=1)
    if bool(changed.any()):
        doubtful, part = doubtful[changed], np.where(foreign, np.float32(np.nan), part)[changed]
        power_kw = power_kw.copy()
        power_kw[doubtful] = part
        ordered[doubtful] = np.sort(part, axis=1)
        count[doubtful] = count_true(np.isfinite(part))
    return power_kw, ordered, count


def _jumps(power_kw: Floats, largest: Floats, second: Floats) -> NDArray[np.bool_]:
    top = power_kw == largest
    still = np.zeros_like(top)
    still[:, 2:] = (power_kw[:, 1:-1] == 0.0) & (power_kw[:, :-2] == 0.0)
    replaced = (largest > _JUMP_TIMES * second) & (largest > _JUMP_FLOOR_KW)
    return np.asarray(top & (replaced | ((largest > _CATCH_UP_TIMES * second) & still)))


def _frozen(power_kw: Floats, snapshot_kw: Floats) -> NDArray[np.bool_]:
    largest = np.fmax.reduce(snapshot_kw, axis=1, initial=0.0)[:, None]
    frozen = (power_kw == 0.0) & (snapshot_kw > _FROZEN_SHARE * largest) & (snapshot_kw > _IDLE_KW)
    lasting = np.zeros_like(frozen)
    pair = frozen[:, 1:] & frozen[:, :-1]
    lasting[:, 1:] |= pair
    lasting[:, :-1] |= pair
    caught_up = np.zeros_like(lasting)
    caught_up[:, 1:] = lasting[:, :-1] & ~frozen[:, 1:]
    return np.asarray(lasting | caught_up)


def _first_with_data(shape: tuple[int, int], *candidates: Floats | None) -> tuple[Floats, NDArray[np.bool_]]:
    """For each meter the first candidate that covers half the night, else the fullest; True where it is the last one.

    The candidates are alternatives of one meter, never merged slot by slot.
    """
    offered = [c for c in candidates if c is not None]
    last_offered = candidates[-1] is not None
    never = np.zeros(shape[0], dtype=np.bool_)
    if not offered:
        return np.full(shape, np.nan, dtype=np.float32), never
    enough = _ENOUGH_OF_A_ROW * shape[1]
    last_is_first = len(offered) == 1 and last_offered
    thin = np.flatnonzero(count_true(np.isfinite(offered[0])) < enough)
    if len(offered) == 1 or not len(thin):
        return offered[0], np.full(shape[0], last_is_first)
    counts = np.stack([count_true(np.isfinite(c[thin])) for c in offered])
    covers = counts >= enough
    choice = np.where(covers.any(axis=0), covers.argmax(axis=0), counts.argmax(axis=0))
    chosen = offered[0].copy()
    for position in range(1, len(offered)):
        mine = thin[choice == position]
        chosen[mine] = offered[position][mine]
    never[thin] = (choice == len(offered) - 1) & last_offered
    return chosen, never
