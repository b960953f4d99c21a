"""Working blocks of a night, and the rhythm inside them: what is left when the level of the block is taken away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.learned.counting import count_true

ACTIVE_SHARE: Final = 0.35
"""A slot works where its power is above the base by this share of (p95 - base)."""
SHORTEST_BLOCK: Final = 8
"""Quarter hours: a block of less than two hours holds no rhythm that could be measured."""
DETREND_SLOTS: Final = 11
LAGS: Final = tuple(range(1, 12))
"""Autocorrelation lags in quarter hours: 15 to 165 minutes."""

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Blocks:
    """`inside` (n, s): slots of working blocks; `core` the same without the first and last slot of each block."""

    inside: Bools
    core: Bools


def working_blocks(relative: Floats, base: Floats) -> Blocks:
    """Blocks of power relative to its p95; (n, s), base (n,) on the same scale.

    Pauses and gaps of up to two slots (tapping, recharging, a lost reading) stay inside; blocks shorter than two hours
    are dropped. NaN is never `core`.
    """
    threshold = base + np.float32(ACTIVE_SHARE) * (np.float32(1.0) - base)
    active = relative > threshold[:, None]
    inside = _open(_close(active))
    core = inside.copy()
    core[:, 1:] &= inside[:, :-1]
    core[:, :-1] &= inside[:, 1:]
    core[:, [0, -1]] = False
    core &= np.isfinite(relative)
    return Blocks(inside, core)


def residual(relative: Floats, core: Bools) -> Floats:
    """Deviation from the local mean of the block over 11 slots, zero outside `core`; (n, s)."""
    kept = np.where(core, relative, np.float32(0.0))
    total, count = _running(kept), _running(core.astype(np.float32))
    trend = total / np.maximum(count, np.float32(1.0))
    return np.where(core, kept - trend, np.float32(0.0))


def autocorrelation(deviation: Floats, core: Bools) -> list[Floats]:
    """Correlation of the deviation with itself at each of `LAGS`, within the core; one (n,) a lag.

    NaN where fewer than four pairs of slots exist or nothing varies.
    """
    slots = count_true(core).astype(np.float32)
    variance = (deviation * deviation).sum(axis=1) / np.maximum(slots, np.float32(1.0))
    correlations = []
    for lag in LAGS:
        product = (deviation[:, lag:] * deviation[:, :-lag]).sum(axis=1)
        pairs = count_true(core[:, lag:] & core[:, :-lag]).astype(np.float32)
        usable = (pairs >= 4.0) & (variance > 1e-12)
        bottom = np.where(usable, pairs * variance, np.float32(1.0))
        correlations.append(np.where(usable, np.clip(product / bottom, -1.0, 1.0), np.float32(np.nan)))
    return correlations


def longest_block(inside: Bools) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """First slot and length of each row's longest block; length 0 where there is none."""
    n, s = inside.shape
    slot = np.arange(s)
    last_off = np.maximum.accumulate(np.where(inside, -1, slot), axis=1)
    run = np.where(inside, slot - last_off, 0)
    end = run.argmax(axis=1)
    length = run[np.arange(n), end]
    return np.where(length > 0, end - length + 1, 0), length


def _close(active: Bools) -> Bools:
    """Fill pauses of one or two slots."""
    closed = active.copy()
    closed[:, 1:-1] |= active[:, :-2] & active[:, 2:]
    both = active[:, :-3] & active[:, 3:]
    closed[:, 1:-2] |= both
    closed[:, 2:-1] |= both
    return closed


def _open(inside: Bools) -> Bools:
    """Drop runs shorter than eight slots."""
    kept = inside
    for reach in (1, 2, 4):
        kept = kept[:, reach:] & kept[:, :-reach]
    wide = np.zeros_like(inside)
    span = kept.shape[1]
    wide[:, :span] = kept
    for reach in (1, 2, 4):
        grown = wide.copy()
        grown[:, reach:] |= wide[:, :-reach]
        wide = grown
    return wide


def _running(values: Floats) -> Floats:
    """Sum over a centred window of `DETREND_SLOTS`, cut at the ends."""
    half = DETREND_SLOTS // 2
    n, s = values.shape
    padded = np.zeros((n, s + 2 * half + 1), dtype=np.float32)
    np.cumsum(values, axis=1, out=padded[:, half + 1 : half + 1 + s])
    padded[:, half + 1 + s :] = padded[:, half + s][:, None]
    return padded[:, 2 * half + 1 :] - padded[:, :s]
