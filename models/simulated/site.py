"""A site's true load: its blocks summed, its offices added, its reactive power compensated."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final

import numpy as np

from models.simulated.furnace import Heat, run_furnace
from models.simulated.loads import LOADS
from models.simulated.seeding import stream
from models.simulated.shapes import Curve, Minutes, ar1
from models.simulated.spec import FurnaceBlock, SiteSpec
from models.simulated.timeline import Timeline

_BASE_TAN_PHI: Final = 0.48
_NOON: Final = 720


@dataclass(frozen=True, slots=True)
class SiteLoad:
    """The truth by minute, (n,) each: `p_kw`, net `q_kvar`, the sd of a one-second sample, and the furnace's share."""

    p_kw: Minutes
    q_kvar: Minutes
    snapshot_sd_kw: Minutes
    melt_kw: Minutes
    heats: tuple[Heat, ...]

    def furnace_share(self) -> float:
        """Peak of the furnace over the 99th percentile of the site, at most 1; 0 where nothing melted."""
        peak_kw = float(np.percentile(self.melt_kw, 99.5))
        site_kw = float(np.percentile(self.p_kw, 99.0))
        return min(1.0, peak_kw / site_kw) if peak_kw > 0.0 and site_kw > 0.0 else 0.0


def simulate_site(spec: SiteSpec, time: Timeline, seed: int) -> SiteLoad:
    """One site over the timeline, a function of its arguments alone."""
    p_kw, q_kvar, variance = np.zeros(time.n), np.zeros(time.n), np.zeros(time.n)
    melt_kw = np.zeros(time.n)
    heats: tuple[Heat, ...] = ()
    for number, block in enumerate(spec.blocks):
        rng = stream(seed, "site", spec.number, "block", number)
        if isinstance(block, FurnaceBlock):
            run = run_furnace(block.furnace, time, rng)
            curve, melt_kw, heats = run.curve, run.melt_kw, run.heats
        else:
            curve = LOADS[block.load_class](block.rated_kw, time, rng)
        p_kw += curve.p_kw
        q_kvar += curve.q_kvar
        variance += (curve.snapshot_rel * curve.p_kw) ** 2
    if spec.restart_night is not None:
        _silence_before(spec.restart_night, time, p_kw, q_kvar)
    base = _base_load(spec, time, seed)
    p_kw += base.p_kw
    q_kvar = spec.compensation.net_q_kvar(p_kw, q_kvar + base.q_kvar)
    return SiteLoad(p_kw, q_kvar, np.sqrt(variance), melt_kw, heats)


def _silence_before(restart_night: dt.date, time: Timeline, p_kw: Minutes, q_kvar: Minutes) -> None:
    begin = int(time.day_start[(restart_night - time.dates[0]).days]) + _NOON
    p_kw[:begin] = 0.0
    q_kvar[:begin] = 0.0


def _base_load(spec: SiteSpec, time: Timeline, seed: int) -> Curve:
    """Lighting and offices: 08 to 18 o'clock, a quarter of it at night."""
    rng = stream(seed, "site", spec.number, "base")
    level = np.where(time.between(480, 1080), 1.0, 0.25) * (1.0 + ar1(rng, time.n, 0.05, 0.9))
    p_kw = spec.base_kw * np.maximum(level, 0.05)
    return Curve(p_kw, _BASE_TAN_PHI * p_kw)
