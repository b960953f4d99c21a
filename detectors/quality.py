"""What is wrong with a meter's data: said, never raised as a lead."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from detectors.base import Context
from models.domain.channels import CHANNELS
from models.domain.findings import Finding, Judgement, Reason, Status
from models.domain.windows import PastNights, Window

RATIO_STEPS: Final = (1.0 / math.sqrt(3.0), 0.5, 2.0, 10.0, math.sqrt(3.0), 0.1)
"""Factors by which a wrong or changed CT/PT ratio scales everything a meter reports."""
_QUANTILES: Final = ("power_p05_kw", "power_p50_kw", "power_p95_kw")
_FEWEST_PAST: Final = 3


@dataclass(frozen=True, slots=True)
class Quality:
    """SUSPECT with reasons where a limit is passed; the score is the largest limit-relative excess, mapped to [0, 1].

    Reads the night's own feature row, so what NaN and gaps do is what they do there: they lower coverage. A ratio
    change is suspected where the 5 %, 50 % and 95 % quantiles all moved by the same factor of `RATIO_STEPS`, within
    `ratio_tolerance`, against at least three earlier nights that agreed among themselves; one more may differ, for the
    night in which the ratio changed belongs to neither. A silent night is UNDETERMINED (`meter_silent` judges it).
    """

    name: ClassVar[str] = "quality"
    needs: ClassVar[frozenset[str]] = frozenset(CHANNELS)

    most_gap_share: float = 0.10
    most_stuck_hours: float = 2.0
    most_spikes: float = 3.0
    most_conflict_share: float = 0.01
    most_off_tick_share: float = 0.20
    ratio_tolerance: float = 0.06

    def evaluate(self, window: Window, context: Context) -> Judgement:
        """Judge every meter; a finding for each that passes a limit."""
        n = len(window.meters)
        tonight = {name: values[:, -1].astype(np.float64) for name, values in context.past.values.items()}
        unknown = np.full(n, np.nan)
        coverage = tonight.get("coverage", unknown)
        step = _ratio_steps(context.past, n, self.ratio_tolerance)
        excesses = {
            "gap": (1.0 - coverage) / self.most_gap_share,
            "stuck": tonight.get("stuck_hours", unknown) / self.most_stuck_hours,
            "spike": tonight.get("spike_count", unknown) / self.most_spikes,
            "reset": np.where(tonight.get("reset_count", unknown) > 0.0, 2.0, 0.0),
            "conflict": tonight.get("conflict_share", unknown) / self.most_conflict_share,
            "clock": tonight.get("off_tick_share", unknown) / self.most_off_tick_share,
            "ratio": np.where(np.isfinite(step), 2.0, 0.0),
        }
        worst = np.zeros(n)
        for excess in excesses.values():
            worst = np.fmax(worst, excess)
        heard = coverage > 0.0
        score = np.where(heard, np.round(worst / (1.0 + worst), 4), np.nan)
        suspect = heard & (worst > 1.0)
        statuses = [
            Status.UNDETERMINED if not heard[i] else Status.SUSPECT if suspect[i] else Status.CLEAR for i in range(n)
        ]
        measured = {**tonight, "gap_share": 1.0 - coverage, "ratio_step": step}
        findings = tuple(
            Finding(
                detector=self.name,
                meter=window.meters[i],
                night=window.night.date,
                status=Status.SUSPECT,
                score=float(score[i]),
                probability=None,
                mismatch=0.0,
                reasons=tuple(
                    _reason(code, float(measured[_MEASURE[code]][i]))
                    for code, excess in excesses.items()
                    if excess[i] > 1.0
                ),
                measures={
                    _MEASURE[code]: float(f"{measured[_MEASURE[code]][i]:.6g}")
                    for code, excess in excesses.items()
                    if excess[i] > 1.0
                },
            )
            for i in np.flatnonzero(suspect).tolist()
        )
        return Judgement(
            detector=self.name,
            meters=window.meters,
            score=score,
            probability=np.full(n, np.nan),
            status=tuple(statuses),
            findings=findings,
        )


_MEASURE: Final = {
    "gap": "gap_share",
    "stuck": "stuck_hours",
    "spike": "spike_count",
    "reset": "reset_count",
    "conflict": "conflict_share",
    "clock": "off_tick_share",
    "ratio": "ratio_step",
}
_TEXTS: Final = {
    "gap": ("%", 100.0, "当夜缺数 {:.1f} %", "{:.1f} % of the night is missing"),
    "stuck": ("h", 1.0, "瞬时功率连续 {:.1f} 小时不变且不为零", "instant power unchanged and nonzero for {:.1f} hours"),
    "spike": ("1", 1.0, "孤立尖峰 {:.0f} 个", "{:.0f} isolated spikes"),
    "reset": ("1", 1.0, "表底倒走或翻转 {:.0f} 次", "register fell {:.0f} times (reset or rollover)"),
    "conflict": ("%", 100.0, "同一时刻数值矛盾占 {:.1f} %", "{:.1f} % of the slots have contradicting values"),
    "clock": (
        "%",
        100.0,
        "时标偏离整点格占 {:.1f} %，时钟可疑",
        "{:.1f} % of the stamps are off the tick: suspect clock",
    ),
    "ratio": (
        "1",
        1.0,
        "各分位功率同时变为此前的 {:.3f} 倍，疑似倍率变动",
        "all power quantiles moved by a factor of {:.3f}: suspected ratio change",
    ),
}


def _reason(code: str, value: float) -> Reason:
    unit, times, zh, en = _TEXTS[code]
    shown = value * times
    return Reason(code=code, value=float(f"{shown:.6g}"), unit=unit, zh=zh.format(shown), en=en.format(shown))


def _ratio_steps(past: PastNights, n: int, tolerance: float) -> NDArray[np.float64]:
    """The ratio step each meter took tonight against its earlier nights, NaN where none is suspected; (n,)."""
    columns = [past.values.get(name) for name in _QUANTILES]
    none = np.full(n, np.nan)
    if any(c is None or c.shape[1] <= _FEWEST_PAST for c in columns):
        return none
    factors = []
    agreed = np.ones(n, dtype=np.bool_)
    for values in columns:
        if values is None:
            return none
        earlier = np.sort(values[:, :-1].astype(np.float64), axis=1)
        known = np.isfinite(earlier).sum(axis=1)
        row = np.arange(n)
        middle = earlier[row, np.maximum((known - 1) // 2, 0)]
        agreeing = (np.abs(earlier - middle[:, None]) <= 2.0 * tolerance * middle[:, None]).sum(axis=1)
        agreed &= (agreeing >= _FEWEST_PAST) & (agreeing >= known - 1) & (middle > 0.0)
        factors.append(values[:, -1] / np.where(agreed, middle, np.nan))
    low, high = np.min(factors, axis=0), np.max(factors, axis=0)
    step = none.copy()
    for ratio in RATIO_STEPS:
        matches = agreed & (low >= ratio * (1.0 - tolerance)) & (high <= ratio * (1.0 + tolerance))
        step = np.where(matches, factors[1], step)
    return step
