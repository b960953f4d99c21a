"""The P-Q circle of a phase-controlled rectifier against the straight line of every other load."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

FEWEST_POINTS: Final = 16
FULL_POWERS: Final = (1.01, 1.04, 1.08, 1.14, 1.25)
"""Candidates for the full power of a circle, times the largest power seen."""
_FLOOR: Final = 1e-5
"""Smallest squared error, relative to p95 squared, that counts: below it the meter's resolution decides."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class CircleFit:
    """Per meter, (n,): log evidence of circle over line in nats, R2 of the circle, full power kW, capacitor kvar.

    `top_slope` is the slope of Q over P in the upper half: negative where Q falls as power rises, which only phase
    control does. NaN where fewer than 16 paired points or no spread in P exist.
    """

    nats: Floats
    r2: Floats
    pm_kw: Floats
    qc_kvar: Floats
    top_slope: Floats


def fit_circle(power_kw: Floats, kvar: Floats, use: NDArray[np.bool_], scale_kw: Floats) -> CircleFit:
    """Fit Q = sqrt(P (Pm - P)) - Qc and Q = a P + b to the points of `use`; (n, s) each, scale (n,) > 0.

    The circle's full power is the best of `FULL_POWERS`, its capacitor the mean difference; both models have two
    parameters, so the evidence is n/2 log(SSE_line / SSE_circle).
    """
    use = use & np.isfinite(power_kw) & np.isfinite(kvar)
    scale = scale_kw[:, None]
    p = np.where(use, power_kw / scale, 0.0).astype(np.float32)
    q = np.where(use, kvar / scale, 0.0).astype(np.float32)
    count = use.sum(axis=1).astype(np.float32)
    enough = count >= FEWEST_POINTS
    n = np.maximum(count, np.float32(1.0))
    _, line_sse, q_sst = _line(p, q, use, n)
    pm, qc, circle_sse = _circle(p, q, use, n)
    spread = (p * p).sum(axis=1) / n - (p.sum(axis=1) / n) ** 2
    usable = enough & (spread > 1e-4) & np.isfinite(pm)
    floor = np.float32(_FLOOR) * n
    nats = 0.5 * n * np.log(np.maximum(line_sse, floor) / np.maximum(circle_sse, floor))
    r2 = 1.0 - circle_sse / np.maximum(q_sst, floor)
    upper = use & (p > 0.5)
    in_upper = upper.sum(axis=1)
    upper_n = np.maximum(in_upper, 1).astype(np.float32)
    top, _, _ = _line(np.where(upper, p, 0.0), np.where(upper, q, 0.0), upper, upper_n)
    top_usable = usable & (in_upper >= FEWEST_POINTS // 2)
    return CircleFit(
        nats=_masked(nats, usable),
        r2=_masked(np.clip(r2, -1.0, 1.0), usable),
        pm_kw=_masked(pm * scale_kw, usable),
        qc_kvar=_masked(qc * scale_kw, usable),
        top_slope=_masked(top, top_usable),
    )


def _masked(values: Floats, usable: NDArray[np.bool_]) -> Floats:
    return np.where(usable, values, np.nan).astype(np.float32)


def _line(p: Floats, q: Floats, use: NDArray[np.bool_], n: Floats) -> tuple[Floats, Floats, Floats]:
    """Slope, squared error and total squares of q about its mean."""
    p_mean, q_mean = p.sum(axis=1) / n, q.sum(axis=1) / n
    dp = np.where(use, p - p_mean[:, None], 0.0)
    dq = np.where(use, q - q_mean[:, None], 0.0)
    spp, spq, sqq = (dp * dp).sum(axis=1), (dp * dq).sum(axis=1), (dq * dq).sum(axis=1)
    slope = spq / np.where(spp > 0.0, spp, 1.0)
    return slope, np.maximum(sqq - slope * spq, 0.0), sqq


def _circle(p: Floats, q: Floats, use: NDArray[np.bool_], n: Floats) -> tuple[Floats, Floats, Floats]:
    """Full power, capacitor and squared error in Q of the best circle through the origin shifted down by the capacitor.

    For each of a few candidate full powers the capacitor is the mean difference; the best candidate wins.
    """
    best_sse = np.full(len(p), np.inf, dtype=np.float32)
    best_pm, best_qc = np.full(len(p), np.nan, dtype=np.float32), np.zeros(len(p), dtype=np.float32)
    largest = p.max(axis=1)
    for factor in FULL_POWERS:
        pm = largest * np.float32(factor)
        arc = np.sqrt(np.maximum(p * (pm[:, None] - p), 0.0))
        gap = np.where(use, arc - q, 0.0)
        qc = gap.sum(axis=1) / n
        sse = np.where(use, (gap - qc[:, None]) ** 2, 0.0).sum(axis=1)
        better = sse < best_sse
        best_sse = np.where(better, sse, best_sse)
        best_pm = np.where(better, pm, best_pm)
        best_qc = np.where(better, qc, best_qc)
    return best_pm, best_qc, best_sse
