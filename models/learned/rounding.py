"""Six significant digits in float32, cheaply: so that no comparison hangs on the last bits (design §6)."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

SIGNIFICANT_DIGITS: Final = 6

_EXPONENTS = np.arange(256) - 127
_DECADE = np.floor(np.log10(2.0) * _EXPONENTS)
"""Decimal exponent of 2^e; a value up to 2^(e+1) may lie in the next decade, which `_NEXT` tells."""
_NEXT = 10.0 ** np.clip(_DECADE + 1, -300, 300)
_SCALE = 10.0 ** np.clip(SIGNIFICANT_DIGITS - 1 - _DECADE, -300, 300)


def round_features(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Round to six significant digits; any shape; NaN stays NaN, zero stays zero, infinities become NaN."""
    exponent = (values.view(np.int32) >> 23) & 0xFF
    wide = values.astype(np.float64)
    scale = _SCALE[exponent]
    scale = np.where(np.abs(wide) >= _NEXT[exponent], scale * 0.1, scale)
    rounded: NDArray[np.float32] = (np.rint(wide * scale) / scale).astype(np.float32)
    rounded[exponent == 255] = np.nan
    return rounded
