"""A site that was ordered closed or cut off draws power again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from detectors.base import Context
from models.domain.findings import Finding, Judgement, Reason, Status
from models.domain.register import Enterprise, EnterpriseStatus, Meter
from models.domain.windows import Window
from models.learned.series import night_series

_STATUS_ZH = {EnterpriseStatus.CLOSED: "关停", EnterpriseStatus.POWER_CUT: "断电"}
_STATUS_EN = {EnterpriseStatus.CLOSED: "closed", EnterpriseStatus.POWER_CUT: "power-cut"}


@dataclass(frozen=True, slots=True)
class SealedSite:
    """SUSPECT when a closed or power-cut site draws more than standby for `sustained_min` minutes in all.

    The threshold is `standby_times` the meter's own standby (the lowest nightly median of the past nights). It is at
    least `floor_kw`, or `floor_share` of the contract up to `cap_kw`: lighting and guards of a large plant draw more.
    It is at most `contract_share` of the contract and `most_kw`, or `cap_kw` where no contract is known: a plant that
    runs every night does not become its own standby. Only stretches of at least two slots count, so that a single
    spike does not; the judged series is the interval mean (registers before reported means before instants). A mean
    over an hour or longer is no spike: one slot is enough. Gaps count as nothing; below `least_coverage` of the night a
    quiet meter is UNDETERMINED, a loud one still SUSPECT. One night is enough. Score: half from the time above, half
    from how far above.

    A daily window is judged by its mean power, its energy over 24 hours, against the same threshold: 300 kW for four
    hours are 50 kW of a day. The day itself is then no part of its own standby; with fewer than `least_days` days known
    before it, a mean between the least and the most the threshold could be is UNDETERMINED.
    """

    name: ClassVar[str] = "sealed_site"
    needs: ClassVar[frozenset[str]] = frozenset({"p_kw", "p_mean_kw", "e_imp_kwh"})

    standby_times: float = 3.0
    floor_kw: float = 5.0
    floor_share: float = 0.02
    cap_kw: float = 30.0
    contract_share: float = 0.05
    most_kw: float = 100.0
    sustained_min: float = 30.0
    least_kwh: float = 10.0
    least_coverage: float = 0.5
    least_days: int = 3

    def evaluate(self, window: Window, context: Context) -> Judgement:
        """Judge every meter; only meters of sealed enterprises are looked at, all others are CLEAR with score 0."""
        n = len(window.meters)
        score = np.zeros(n)
        statuses = [Status.CLEAR] * n
        findings: list[Finding] = []
        on = window.night.date
        sealed = context.register.sealed_on(on)
        for i, meter in enumerate(window.meters):
            if meter not in sealed:
                continue
            enterprise = context.register.enterprise_of_meter(meter, on)
            if enterprise is None or (enterprise.since is not None and enterprise.since > on):
                continue
            power_kw = night_series(window, slice(i, i + 1))
            known = power_kw.mean_kw[0]
            daily = window.n_slots == 1
            threshold_kw, doubt_kw = self._threshold_kw(context, i, context.register.meter(meter, on), daily=daily)
            long = power_kw.grid_s >= 2 * 60 * self.sustained_min and not power_kw.from_instants[0]
            above = known > threshold_kw if long else _lasting(known > threshold_kw)
            hours = power_kw.grid_s / 3600.0
            minutes = float(above.sum()) * hours * 60.0
            energy_kwh = float(known[above].sum(dtype=np.float64)) * hours
            coverage = float(np.isfinite(known).mean()) if known.size else 0.0
            if minutes >= self.sustained_min and energy_kwh >= self.least_kwh:
                peak_kw = float(known[above].max())
                score[i] = round(0.5 * min(minutes / 120.0, 1.0) + 0.5 * min(peak_kw / (10.0 * threshold_kw), 1.0), 4)
                statuses[i] = Status.SUSPECT
                measured = _Measured(minutes, energy_kwh, peak_kw, threshold_kw, daily)
                findings.append(self._finding(window, meter, float(score[i]), enterprise, measured))
            elif coverage < self.least_coverage or bool((known > doubt_kw).any()):
                score[i] = np.nan
                statuses[i] = Status.UNDETERMINED
        return Judgement(
            detector=self.name,
            meters=window.meters,
            score=score,
            probability=np.full(n, np.nan),
            status=tuple(statuses),
            findings=tuple(findings),
        )

    def _threshold_kw(self, context: Context, i: int, meter: Meter | None, *, daily: bool) -> tuple[float, float]:
        """The threshold, and the power above which a quiet night is in doubt (infinite where none is)."""
        medians = context.past.values.get("power_p50_kw", np.zeros((i + 1, 0), dtype=np.float32))[i].astype(np.float64)
        standby_kw = float(np.fmin.reduce(medians[:-1] if daily else medians, initial=np.nan))
        contract_kva = meter.contract_kva if meter is not None else None
        least_kw, most_kw = self.floor_kw, self.cap_kw
        if contract_kva is not None:
            least_kw = max(self.floor_kw, min(self.floor_share * contract_kva, self.cap_kw))
            ceiling_kw = min(max(2.0 * self.floor_kw, self.contract_share * contract_kva), self.most_kw)
            most_kw = max(ceiling_kw, least_kw)
        if daily and np.count_nonzero(np.isfinite(medians[:-1])) < self.least_days:
            return most_kw, least_kw
        own_kw = self.standby_times * standby_kw if np.isfinite(standby_kw) else 0.0
        return min(max(own_kw, least_kw), most_kw), np.inf

    def _finding(
        self, window: Window, meter: str, score: float, enterprise: Enterprise, measured: _Measured
    ) -> Finding:
        zh, en = _STATUS_ZH[enterprise.status], _STATUS_EN[enterprise.status]
        since_zh = f"自 {enterprise.since} 起{zh}" if enterprise.since is not None else f"登记为{zh}"
        since_en = f"{en} since {enterprise.since}" if enterprise.since is not None else f"registered as {en}"
        reasons = (
            Reason(
                "status", 1.0, "1", f"企业{since_zh}，疑似仍在用电", f"enterprise {since_en}, suspected to draw power"
            ),
            *_measured_reasons(measured),
        )
        return Finding(
            detector=self.name,
            meter=meter,
            night=window.night.date,
            status=Status.SUSPECT,
            score=score,
            probability=None,
            mismatch=1.0,
            reasons=reasons,
            measures={
                "minutes_above": six_digits(measured.minutes),
                "energy_kwh": six_digits(measured.energy_kwh),
                "peak_kw": six_digits(measured.peak_kw),
                "threshold_kw": six_digits(measured.threshold_kw),
            },
        )


@dataclass(frozen=True, slots=True)
class _Measured:
    minutes: float
    energy_kwh: float
    peak_kw: float
    threshold_kw: float
    daily: bool


def _measured_reasons(measured: _Measured) -> tuple[Reason, ...]:
    kwh, peak, minutes, limit_kw = measured.energy_kwh, measured.peak_kw, measured.minutes, measured.threshold_kw
    if measured.daily:
        most = 24.0 * limit_kw
        return (
            Reason("energy", kwh, "kWh", f"当日用电 {kwh:.0f} kWh", f"{kwh:.0f} kWh drawn in the day"),
            Reason("mean", peak, "kW", f"日平均功率 {peak:.1f} kW", f"mean power of the day {peak:.1f} kW"),
            Reason("standby", most, "kWh", f"待机每日至多 {most:.0f} kWh", f"standby is at most {most:.0f} kWh a day"),
        )
    return (
        Reason("energy", kwh, "kWh", f"当夜超出待机的时段用电 {kwh:.0f} kWh", f"{kwh:.0f} kWh drawn above standby"),
        Reason("peak", peak, "kW", f"最大平均功率 {peak:.0f} kW", f"largest mean power {peak:.0f} kW"),
        Reason(
            "sustained",
            minutes,
            "min",
            f"超过 {limit_kw:.1f} kW 共 {minutes:.0f} 分钟",
            f"above {limit_kw:.1f} kW for {minutes:.0f} minutes",
        ),
    )


def six_digits(value: float) -> float:
    """A float at six significant digits."""
    return float(f"{value:.6g}")


def _lasting(above: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Slots above that have a neighbour above."""
    lasting = np.zeros_like(above)
    pair = above[1:] & above[:-1]
    lasting[1:] |= pair
    lasting[:-1] |= pair
    return lasting
