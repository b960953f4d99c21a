"""Counting along rows of masks, the cheap way."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def count_true(mask: NDArray[np.bool_]) -> NDArray[np.intp]:
    """True values of each row; (n, s) -> (n,). Counts in the narrowest integer that holds a row."""
    narrow = np.uint8 if mask.shape[1] < 256 else np.uint16
    counts: NDArray[np.intp] = np.add.reduce(mask.view(np.uint8), axis=1, dtype=narrow).astype(np.intp)
    return counts
