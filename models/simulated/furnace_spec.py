"""What an induction melting installation is: drawn once a site, fixed for the whole span."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from models.simulated.sessions import SessionPlan, draw_plan
from models.simulated.shapes import Rng, clipped_normal, lognormal, pick


class Supply(StrEnum):
    """Converter: S thyristor rectifier with current-fed inverter, D diode rectifier with resonant inverter."""

    THYRISTOR = "S"
    DIODE = "D"


class Bodies(StrEnum):
    """One crucible, two on one switched supply (一拖二), or two that share the power."""

    SINGLE = "single"
    SWITCHED_PAIR = "switched_pair"
    POWER_SHARING = "power_sharing"


class Metal(StrEnum):
    """What is melted."""

    STEEL = "steel"
    IRON = "iron"
    COPPER = "copper"
    ALUMINIUM = "aluminium"


_SIZES: Final = (
    (0.5, 350.0, 1000.0, 0.05),
    (0.75, 500.0, 1000.0, 0.07),
    (1.0, 750.0, 1000.0, 0.18),
    (1.5, 1000.0, 500.0, 0.15),
    (2.0, 1500.0, 500.0, 0.18),
    (3.0, 2000.0, 500.0, 0.17),
    (5.0, 3000.0, 300.0, 0.12),
    (8.0, 5000.0, 200.0, 0.04),
    (10.0, 6000.0, 200.0, 0.04),
)
_METALS: Final = (("steel", 0.75), ("iron", 0.17), ("copper", 0.05), ("aluminium", 0.03))
_KWH_PER_T: Final = {
    Metal.STEEL: (610.0, 40.0),
    Metal.IRON: (560.0, 30.0),
    Metal.COPPER: (380.0, 40.0),
    Metal.ALUMINIUM: (620.0, 50.0),
}


@dataclass(frozen=True, slots=True)
class FurnaceSpec:
    """One installation. Shares are of `rated_kw`.

    `inverter_hz` is the coil's frequency; `start_drift_share` the power of a cold charge against that of a molten one,
    `hold_share` what is kept on between heats; `p_max_kw` and `overlap_deg` shape the P-Q circle of type S, `diode_pf`
    the power factor of type D; `swap_min` is the time between two taps of a power-sharing pair.
    """

    capacity_t: float
    rated_kw: float
    inverter_hz: float
    supply: Supply
    bodies: Bodies
    metal: Metal
    kwh_per_t: float
    plateau_share: float
    start_drift_share: float
    hold_share: float
    casts_ingots: bool
    p_max_kw: float
    overlap_deg: float
    diode_pf: float
    swap_min: float
    fan_kw: float
    plan: SessionPlan


def draw_furnace(rng: Rng, *, legal: bool) -> FurnaceSpec:
    """One installation; a legal foundry keeps daytime shifts more often and always has its fans."""
    weights = [weight for *_, weight in _SIZES]
    capacity_t, nominal_kw, inverter_hz, _ = _SIZES[int(rng.choice(len(_SIZES), p=weights))]
    rated_kw = nominal_kw * rng.uniform(0.92, 1.10)
    if rng.random() < 0.25:
        rated_kw *= rng.uniform(0.60, 0.75)
    supply = Supply(pick(rng, (("S", 0.72), ("D", 0.28))))
    metal = Metal(pick(rng, _METALS))
    mean, sd = _KWH_PER_T[metal]
    no_fan = not legal and rng.random() < 0.6
    return FurnaceSpec(
        capacity_t=capacity_t,
        rated_kw=rated_kw,
        inverter_hz=inverter_hz,
        supply=supply,
        bodies=Bodies(pick(rng, (("single", 0.62), ("switched_pair", 0.28), ("power_sharing", 0.10)))),
        metal=metal,
        kwh_per_t=clipped_normal(rng, mean, sd, mean - 2 * sd, mean + 2 * sd),
        plateau_share=clipped_normal(rng, 0.93, 0.04, 0.80, 1.0),
        start_drift_share=rng.uniform(0.88, 1.0) if supply is Supply.THYRISTOR else 1.0,
        hold_share=rng.uniform(0.05, 0.20) if rng.random() < 0.25 else 0.0,
        casts_ingots=bool(rng.random() < 0.4),
        p_max_kw=rated_kw * rng.uniform(1.02, 1.12),
        overlap_deg=rng.uniform(8.0, 22.0),
        diode_pf=clipped_normal(rng, 0.968, 0.008, 0.94, 0.99),
        swap_min=rng.uniform(35.0, 55.0),
        fan_kw=0.0 if no_fan else min(rng.uniform(0.0, 75.0), 0.06 * rated_kw),
        plan=draw_plan(rng, legal=legal),
    )


def recharge_gap_min(rng: Rng, spec: FurnaceSpec) -> tuple[float, float]:
    """Minutes of (tapping, waiting) between two heats of one body."""
    tap_min = lognormal(rng, 13.0, 0.3) if spec.casts_ingots else lognormal(rng, 8.0, 0.35)
    wait_min = lognormal(rng, 4.0, 0.7)
    if rng.random() < 0.04:
        wait_min += rng.uniform(20.0, 60.0)
    return tap_min, wait_min
