"""From active to reactive power: converters, motors, and what a site's compensation leaves of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from models.simulated.shapes import Minutes, Rng, clipped_normal, pick

_LOWEST_COS_ALPHA: Final = 0.18


def thyristor_q_kvar(p_kw: Minutes, *, p_max_kw: float, overlap_deg: float) -> Minutes:
    """Fundamental reactive power of a phase-controlled rectifier (type S), (n,) -> (n,).

    The firing angle follows from cos² α = P / `p_max_kw`; commutation overlap grows with the current up to
    `overlap_deg` at full current. Without overlap the points lie on the circle Q² = P (P_max - P).
    """
    cos_alpha = np.clip(np.sqrt(np.maximum(p_kw, 0.0) / p_max_kw), _LOWEST_COS_ALPHA, 1.0)
    alpha = np.arccos(cos_alpha)
    overlap = math.radians(overlap_deg) * cos_alpha
    displacement = np.clip((cos_alpha + np.cos(alpha + overlap)) / 2.0, 0.05, 1.0)
    q_kvar: Minutes = p_kw * np.sqrt(1.0 / displacement**2 - 1.0)
    return q_kvar


def constant_pf_q_kvar(p_kw: Minutes, pf: float) -> Minutes:
    """Reactive power at one power factor at every load: diode front ends, chargers, heaters."""
    return p_kw * math.tan(math.acos(pf))


def motor_q_kvar(p_kw: Minutes, *, rated_kw: float, full_pf: float) -> Minutes:
    """Reactive power of motors: a magnetising part that stays while they turn and a part that grows with load².

    Motors count as turning where P exceeds 1 % of the rating.
    """
    full_q_kvar = rated_kw * math.tan(math.acos(full_pf))
    load = np.clip(p_kw / rated_kw, 0.0, 1.5)
    turning = load > 0.01
    q_kvar: Minutes = full_q_kvar * (0.55 * turning * np.minimum(1.0, 4.0 * load) + 0.45 * load**2)
    return q_kvar


class CompensationKind(StrEnum):
    """How a site compensates its reactive power."""

    NONE = "none"
    FIXED = "fixed"
    STEPPED = "stepped"
    SVG = "svg"


@dataclass(frozen=True, slots=True)
class Compensation:
    """`bank_kvar` in all; `steps` switched steps of it; `target_pf` what the controller aims at."""

    kind: CompensationKind
    bank_kvar: float = 0.0
    steps: int = 1
    target_pf: float = 0.95

    def net_q_kvar(self, p_kw: Minutes, q_kvar: Minutes) -> Minutes:
        """What the meter sees of a site's reactive power, (n,) -> (n,)."""
        if self.kind is CompensationKind.NONE:
            return q_kvar
        if self.kind is CompensationKind.FIXED:
            return q_kvar - self.bank_kvar
        wanted_kvar = np.abs(p_kw) * math.tan(math.acos(self.target_pf))
        if self.kind is CompensationKind.SVG:
            return q_kvar - np.clip(q_kvar - wanted_kvar, -self.bank_kvar, self.bank_kvar)
        step_kvar = self.bank_kvar / self.steps
        seen_kvar = np.concatenate((q_kvar[:1], q_kvar[:-1])) - np.concatenate((wanted_kvar[:1], wanted_kvar[:-1]))
        switched = np.clip(np.floor(seen_kvar / step_kvar + 0.25), 0, self.steps)
        net: Minutes = q_kvar - switched * step_kvar
        return net


def draw_compensation(rng: Rng, rated_kw: float) -> Compensation:
    """A compensation scheme for a site of that rating."""
    kind = CompensationKind(pick(rng, (("none", 0.30), ("fixed", 0.30), ("stepped", 0.35), ("svg", 0.05))))
    if kind is CompensationKind.FIXED:
        return Compensation(kind, bank_kvar=rng.uniform(0.10, 0.35) * rated_kw)
    if kind is CompensationKind.STEPPED:
        target = clipped_normal(rng, 0.95, 0.015, 0.90, 0.99)
        return Compensation(kind, rng.uniform(0.3, 0.6) * rated_kw, int(rng.integers(4, 13)), target)
    if kind is CompensationKind.SVG:
        return Compensation(kind, rng.uniform(0.4, 0.8) * rated_kw, target_pf=rng.uniform(0.97, 0.99))
    return Compensation(kind)
