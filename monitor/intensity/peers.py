"""Electricity per declared tonne against the other plants of the trade: robust, ranked, and only among enough peers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from models.domain.findings import Reason
from models.domain.leads import LeadKind
from monitor.intensity.concerns import Concern

_TO_DEVIATION: Final = 1.4826
"""From the median absolute deviation to the standard deviation of a normal distribution."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """What one enterprise took per declared tonne of a product in a period."""

    uscc: str
    period: str
    product: str
    trade: str
    kwh_per_t: float
    sites: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a plant stands: `rank` 1 uses most per tonne of `count`; `deviations` None where all peers are alike."""

    ratio: Ratio
    rank: int
    count: int
    median: float
    deviations: float | None


def standings(ratios: Sequence[Ratio], *, least: int) -> list[Standing]:
    """The plants of one trade, product and period, the highest first; none where they are fewer than `least`."""
    if len(ratios) < least:
        return []
    ordered = sorted(ratios, key=lambda one: (-one.kwh_per_t, one.uscc))
    middle = median(one.kwh_per_t for one in ordered)
    spread = _TO_DEVIATION * median(abs(one.kwh_per_t - middle) for one in ordered)
    return [
        Standing(one, rank, len(ordered), middle, (one.kwh_per_t - middle) / spread if spread > 0 else None)
        for rank, one in enumerate(ordered, start=1)
    ]


def peer_concern(standing: Standing, *, deviations: float, excess: float) -> Concern | None:
    """A plant that takes far more than its trade: by so many robust deviations and such a share of the median."""
    one, middle = standing.ratio, standing.median
    if middle <= 0 or one.kwh_per_t <= middle * (1 + excess):
        return None
    if standing.deviations is not None and standing.deviations < deviations:
        return None
    over = one.kwh_per_t / middle - 1
    far = "" if standing.deviations is None else f", {standing.deviations:.1f} σ"
    reason = Reason(
        "above_peers",
        round(one.kwh_per_t, 4),
        "kWh/t",
        f"{one.period} {one.product} 每申报吨用电 {one.kwh_per_t:.1f} kWh/t，同行业 {standing.count} 家中位数 "
        f"{middle:.1f} kWh/t，高出 {over:.0%}{far}，由高到低第 {standing.rank} 位",
        f"{one.period} {one.product}: {one.kwh_per_t:.1f} kWh per declared tonne, median of {standing.count} plants of "
        f"the trade {middle:.1f} kWh/t, {over:.0%} above{far}, rank {standing.rank} from the top",
    )
    strength = round(min(1.0, 0.5 + over / 4), 4)
    return Concern(LeadKind.OUTPUT_MISMATCH, strength, (reason,), one.sites, {"kwh_per_t": one.kwh_per_t})
