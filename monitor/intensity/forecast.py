"""Where a running period will end: an interval and the chance to exceed the limit, from weeks and months so far.

The end is `w * so_far + (1 - w) * rest`, `w` the share of the period that has passed. What has passed is known; the
rest is the mean of the blocks still to come, drawn like those seen: with `n` blocks of mean `m` and deviation `s`, and
`k` blocks to come, it lies at `m` with a spread of `s * sqrt(1/k + 1/n)` and Student's t of `n - 1` degrees. So the
interval widens with fewer blocks, with blocks that differ more, and the more of the period is still to come. It knows
nothing of orders, repairs or seasons; below `LEAST_BLOCKS` blocks nothing is said.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from scipy.special import stdtr, stdtrit

LEAST_BLOCKS: Final = 3
CONFIDENCE: Final = 0.9
"""Share of ends that lie inside the interval, if the rest goes like the blocks seen."""

BLOCK_DAYS: Final = 7
MOST_BLOCKS: Final = 12


@dataclass(frozen=True, slots=True)
class Forecast:
    """The end of a period in the limit's unit: `low` to `high` hold `CONFIDENCE` of it.

    `probability` is that of being above `limit`, None without one. `passed`: share of the period that is over.
    """

    expected: float
    low: float
    high: float
    probability: float | None
    passed: float
    so_far: float | None
    blocks: int
    limit: float | None


def forecast(
    *, so_far: float | None, blocks: Sequence[float], passed: float, blocks_to_come: float, limit: float | None
) -> Forecast | None:
    """The forecast, or None where fewer than `LEAST_BLOCKS` blocks or nothing to come is known.

    `so_far`: the intensity of what has passed, None where it is not known: then the blocks stand for all of it.
    `passed`: share of the period in [0, 1); `blocks_to_come`: how many blocks of the same length are still to come.
    Rounded to 6 significant digits, the probability to 4 decimals.
    """
    n = len(blocks)
    weight = passed if so_far is not None else 0.0
    if n < LEAST_BLOCKS or not 0.0 <= passed < 1.0 or blocks_to_come <= 0.0:
        return None
    mean = math.fsum(blocks) / n
    spread = math.sqrt(math.fsum((one - mean) ** 2 for one in blocks) / (n - 1))
    error = (1.0 - weight) * spread * math.sqrt(1.0 / blocks_to_come + 1.0 / n)
    expected = (1.0 - weight) * mean + (weight * so_far if so_far is not None else 0.0)
    reach = error * float(stdtrit(n - 1, 0.5 + CONFIDENCE / 2))
    probability: float | None = None
    if limit is not None:
        above = float(expected > limit) if error == 0.0 else float(stdtr(n - 1, (expected - limit) / error))
        probability = round(above, 4)
    return Forecast(
        expected=_rounded(expected),
        low=_rounded(expected - reach),
        high=_rounded(expected + reach),
        probability=probability,
        passed=round(passed, 4),
        so_far=None if so_far is None else _rounded(so_far),
        blocks=n,
        limit=None if limit is None else _rounded(limit),
    )


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")
