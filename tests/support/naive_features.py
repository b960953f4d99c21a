"""Slow twins of the features: plain loops over one meter's readings, written from the definitions."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

ACTIVE_SHARE = 0.35


def naive_quantile(values: Sequence[float], q: float) -> float:
    """Lower empirical quantile of what is known."""
    known = sorted(v for v in values if not math.isnan(v))
    return known[math.floor(q * (len(known) - 1))] if known else math.nan


def naive_blocks(relative: Sequence[float], base: float) -> tuple[list[bool], list[bool]]:
    """(inside, core) of the working blocks of one night."""
    s = len(relative)
    active = [r > base + ACTIVE_SHARE * (1.0 - base) for r in relative]
    closed = list(active)
    t = 0
    while t < s:
        if active[t]:
            t += 1
            continue
        end = t
        while end < s and not active[end]:
            end += 1
        if t > 0 and end < s and end - t <= 2:
            closed[t:end] = [True] * (end - t)
        t = end
    inside = [False] * s
    t = 0
    while t < s:
        if not closed[t]:
            t += 1
            continue
        end = t
        while end < s and closed[end]:
            end += 1
        if end - t >= 8:
            inside[t:end] = [True] * (end - t)
        t = end
    core = [
        inside[t] and 0 < t < s - 1 and inside[t - 1] and inside[t + 1] and not math.isnan(relative[t])
        for t in range(s)
    ]
    return inside, core


def naive_residual(relative: Sequence[float], core: Sequence[bool]) -> list[float]:
    """Deviation from the mean of the core slots within five slots on either side."""
    s = len(relative)
    deviation = []
    for t in range(s):
        if not core[t]:
            deviation.append(0.0)
            continue
        near = [relative[k] for k in range(max(0, t - 5), min(s, t + 6)) if core[k]]
        deviation.append(relative[t] - sum(near) / len(near))
    return deviation


def naive_acf(deviation: Sequence[float], core: Sequence[bool]) -> list[float]:
    """Correlation at lags of 1 to 11 slots."""
    slots = sum(core)
    variance = sum(d * d for d in deviation) / max(slots, 1)
    found = []
    for lag in range(1, 12):
        pairs = [(t, t + lag) for t in range(len(core) - lag) if core[t] and core[t + lag]]
        if len(pairs) < 4 or variance <= 1e-12:
            found.append(math.nan)
            continue
        value = sum(deviation[a] * deviation[b] for a, b in pairs) / len(pairs) / variance
        found.append(min(1.0, max(-1.0, value)))
    return found


def naive_dips(relative: Sequence[float], inside: Sequence[bool]) -> list[int]:
    """Slots of the dips: below both neighbours, and 10 % of p95 below the lower of the two shoulders (4 slots each)."""
    s = len(relative)

    def seen(t: int) -> float:
        return relative[t] if 0 <= t < s and inside[t] and not math.isnan(relative[t]) else -1000.0

    dips = []
    for t in range(s):
        left, right, here = seen(t - 1), seen(t + 1), seen(t)
        if not (here > -1000.0 and left > -1000.0 and right > -1000.0 and here <= left and here < right):
            continue
        rim = min(max(seen(t - k) for k in range(1, 5)), max(seen(t + k) for k in range(1, 5)))
        if rim - here >= 0.10:
            dips.append(t)
    return dips


def naive_rhythm(power_kw: Sequence[float]) -> dict[str, float | list[float]]:
    """p95, block hours, wiggle, autocorrelation and dip count of one night of quarter hours."""
    p95, p20 = naive_quantile(power_kw, 0.95), naive_quantile(power_kw, 0.20)
    if math.isnan(p95) or p95 <= 0.0:
        return {"p95": p95}
    relative = [p / p95 for p in power_kw]
    inside, core = naive_blocks(relative, max(p20 / p95, 0.0))
    deviation = naive_residual(relative, core)
    slots = sum(core)
    return {
        "p95": p95,
        "block_hours": slots / 4.0,
        "wiggle": math.sqrt(sum(d * d for d in deviation) / slots) if slots else math.nan,
        "acf": naive_acf(deviation, core),
        "dip_count": float(len(naive_dips(relative, inside))),
    }


def naive_interval_energy(
    registers: Sequence[float], limit_kwh: float | None = None, wrap_kwh: float | None = None
) -> list[tuple[float, bool]]:
    """(energy, reset) of each interval of one meter."""
    out = []
    for before, after in itertools.pairwise(registers):
        delta = after - before
        if math.isnan(delta):
            out.append((math.nan, False))
            continue
        if delta < 0.0 and wrap_kwh is not None:
            most = limit_kwh if limit_kwh is not None else 0.01 * wrap_kwh
            if 0.0 <= delta + wrap_kwh <= most:
                delta += wrap_kwh
        bad = delta < 0.0 or (limit_kwh is not None and delta > limit_kwh)
        out.append((math.nan if bad else delta, bad))
    return out


def naive_rounded(value: float) -> float:
    """Six significant digits by the decimal text."""
    return float(f"{value:.6g}")


def naive_cycles(power_kw: Sequence[float]) -> list[tuple[float, float]]:
    """(minutes, kWh) of each whole cycle of one night of quarter hours, from the middle of one dip to the next."""
    p95, p20 = naive_quantile(power_kw, 0.95), naive_quantile(power_kw, 0.20)
    relative = [p / p95 for p in power_kw]
    inside, _ = naive_blocks(relative, max(p20 / p95, 0.0))
    found = []
    for before, after in itertools.pairwise(naive_dips(relative, inside)):
        if not all(inside[t] and not math.isnan(power_kw[t]) for t in range(before, after + 1)):
            continue
        start, end = _centre(relative, inside, before), _centre(relative, inside, after)
        if 2.0 <= end - start <= 12.0:
            found.append((15.0 * (end - start), _energy_between(power_kw, start + 0.5, end + 0.5)))
    return found


def _centre(relative: Sequence[float], inside: Sequence[bool], dip: int) -> float:
    """Slot of a dip moved by what its two neighbours lack of the shoulder."""

    def seen(t: int) -> float:
        return relative[t] if 0 <= t < len(relative) and inside[t] and not math.isnan(relative[t]) else -1000.0

    rim = min(max(seen(dip - k) for k in range(1, 5)), max(seen(dip + k) for k in range(1, 5)))
    left, right = max(0.0, rim - seen(dip - 1)), max(0.0, rim - seen(dip + 1))
    return dip + (right - left) / (rim - seen(dip) + left + right)


def _energy_between(power_kw: Sequence[float], start: float, end: float) -> float:
    """Integral of the slots' power between two positions on the slots' edges, in kWh of quarter hours."""
    total = 0.0
    for t, power in enumerate(power_kw):
        share = min(end, t + 1.0) - max(start, float(t))
        if share > 0.0 and not math.isnan(power):
            total += power * share / 4.0
    return total
