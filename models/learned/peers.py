"""How unusual a meter's manner of use is among meters of its trade: an order in which to look, never a reason to.

A rank depends on all meters of the trade at once, so it can be no part of a detector, whose answer for a meter must not
depend on which others are judged beside it (docs/decisions/consumption-and-peers.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest

from models.learned.own_past import nan_median

SHAPES: Final = ("valley_share", "load_factor", "rest_share", "restlessness")
"""What is compared, none of it a size: median share of valley hours, median load factor, energy of a low night over a
usual one, and how much the level moves from week to week."""
FEWEST_PEERS: Final = 8
"""Meters of a trade below which nobody is ranked."""
_TREES: Final = 100
_SEED: Final = 20_260_301
_WEEK: Final = 7

Floats = NDArray[np.float64]


def shapes_of(rows: Mapping[str, NDArray[np.float32]]) -> Floats:
    """(n, 4) shapes from nightly rows (n, k) of four weeks or more: `energy_kwh`, `valley_share`, `load_factor`."""
    energy = rows["energy_kwh"].astype(np.float64)
    energy = np.where(energy >= 0.0, energy, np.nan)
    usual = np.maximum(nan_median(energy), 1e-3)
    weeks = energy.shape[1] // _WEEK
    levels = nan_median(energy[:, energy.shape[1] - weeks * _WEEK :].reshape(len(energy), weeks, _WEEK))
    ordered = np.sort(energy, axis=1)
    known = np.isfinite(energy).sum(axis=1)
    low = ordered[np.arange(len(energy)), (0.1 * np.maximum(known - 1, 0)).astype(np.intp)]
    moves = np.fmax.reduce(levels, axis=1) - np.fmin.reduce(levels, axis=1)
    columns = (
        nan_median(rows["valley_share"].astype(np.float64)),
        nan_median(rows["load_factor"].astype(np.float64)),
        low / usual,
        moves / usual,
    )
    return np.stack(columns, axis=1)


def peer_ranks(meters: Sequence[str], trades: Sequence[str], shapes: Floats) -> Floats:
    """(n,) rank in its trade from 0, the most usual, to 1, the least; NaN without trade, peers or any shape.

    Trades are GB/T 4754 codes; meters are compared within the division (its first two digits). A shape that is not
    known counts as the trade's median. The order of the meters changes nothing.
    """
    ranks = np.full(len(meters), np.nan)
    divisions = np.array([code.lstrip("ABCDEFGHIJKLMNOPQRST")[:2] for code in trades], dtype=object)
    known = np.isfinite(shapes).any(axis=1)
    for division in sorted({str(code) for code in divisions.tolist() if code}):
        mine = np.flatnonzero((divisions == division) & known)
        if len(mine) < FEWEST_PEERS:
            continue
        mine = mine[np.argsort(np.array([meters[i] for i in mine.tolist()]))]
        own = shapes[mine]
        usual = nan_median(own.T)
        own = np.where(np.isfinite(own), own, np.where(np.isfinite(usual), usual, 0.0))
        forest = IsolationForest(n_estimators=_TREES, random_state=_SEED).fit(own)
        oddness = np.round(-forest.score_samples(own), 6)
        ordered = np.sort(oddness)
        ranks[mine] = np.round((np.searchsorted(ordered, oddness, side="left")) / (len(mine) - 1), 4)
    return ranks
