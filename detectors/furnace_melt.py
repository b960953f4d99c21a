"""Batch induction melting: the week's features pooled into a transparent score, beside what the register declares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from detectors.base import Context
from detectors.furnace_reasons import measures_of, reasons_of
from models.domain.findings import Finding, Judgement, Status
from models.domain.register import Enterprise, EnterpriseStatus, Furnace, FurnaceKind, Meter
from models.domain.windows import PastNights, Window
from models.learned.melting import MeltEvidence, weigh_evidence

MELTING_KINDS: Final = frozenset({FurnaceKind.MEDIUM_FREQUENCY, FurnaceKind.MAINS_FREQUENCY, FurnaceKind.ARC})
"""Declared furnaces that explain batch melting at a site."""
_METAL_TRADES: Final = ("31", "32", "339")
_SLOWEST_CADENCE_S: Final = 900.0
_SMALLEST_KW: Final = 60.0


@dataclass(frozen=True, slots=True)
class FurnaceMelt:
    """Score and status of every meter, from the feature rows of the past seven nights.

    SUSPECT needs a pooled score of at least `threshold`, a rhythm tonight, and support: `least_nights` nights with a
    rhythm, or one night with `strong_score` and `least_heats` whole cycles, or tonight `least_heats` heats of a
    one-minute series. With the score but without the support it is UNDETERMINED; at a site with a declared melting
    furnace DECLARED. UNDETERMINED also where less than half of the night is known or a working load of furnace size is
    read more slowly than every quarter hour; a meter without any such load is CLEAR at any cadence. NaN, gaps and
    contradictions reach this detector only through the features (see there); duplicates never do. `probability` is
    NaN: nothing is calibrated here.

    The score is electrical evidence alone. `mismatch` of a finding is the register's side and never enters the score.
    """

    name: ClassVar[str] = "furnace_melt"
    needs: ClassVar[frozenset[str]] = frozenset({"p_kw", "p_mean_kw", "e_imp_kwh"})

    threshold: float = 0.25
    least_nights: int = 2
    least_heats: int = 4
    strong_score: float = 0.60
    least_coverage: float = 0.5

    def evaluate(self, window: Window, context: Context) -> Judgement:
        """Judge every meter of the window; findings for SUSPECT and DECLARED meters."""
        n = len(window.meters)
        past = context.past
        coverage = _tonight(past, "coverage", n)
        power_kw = _tonight(past, "power_p95_kw", n)
        working = np.isfinite(_tonight(past, "acf_15min", n))
        heats = np.nan_to_num(_tonight(past, "heat_count", n))
        score = np.zeros(n)
        candidates = np.flatnonzero(working | (heats >= self.least_heats))
        evidence: MeltEvidence | None = None
        if len(candidates):
            evidence = weigh_evidence({name: values[candidates] for name, values in past.values.items()})
            score[candidates] = np.round(evidence.score, 4)
        unseen = ~(coverage >= self.least_coverage)
        too_slow = (_tonight(past, "cadence_s", n) > _SLOWEST_CADENCE_S) & (power_kw >= _SMALLEST_KW)
        score[unseen | too_slow] = np.nan
        statuses = [Status.CLEAR] * n
        for i in np.flatnonzero(unseen | too_slow).tolist():
            statuses[i] = Status.UNDETERMINED
        findings: list[Finding] = []
        if evidence is not None:
            for position in np.flatnonzero(score[candidates] >= self.threshold).tolist():
                i = int(candidates[position])
                finding = self._judge(window, context, evidence, position, i, heats_tonight=float(heats[i]))
                statuses[i] = finding.status
                if finding.status is not Status.UNDETERMINED:
                    findings.append(finding)
        return Judgement(
            detector=self.name,
            meters=window.meters,
            score=score,
            probability=np.full(n, np.nan),
            status=tuple(statuses),
            findings=tuple(findings),
        )

    def _judge(
        self,
        window: Window,
        context: Context,
        evidence: MeltEvidence,
        position: int,
        i: int,
        *,
        heats_tonight: float,
    ) -> Finding:
        on = window.night.date
        meter = context.register.meter(window.meters[i], on)
        declared = () if meter is None else context.register.furnaces_at(meter.site, on)
        melting = tuple(f for f in declared if f.kind in MELTING_KINDS)
        week = evidence.pooled
        strong = evidence.score[position] >= self.strong_score and week.cycle_count[position] >= self.least_heats
        heats_seen = heats_tonight >= self.least_heats and evidence.heat_score[position] >= self.threshold
        supported = strong or heats_seen or week.nights[position] >= self.least_nights
        unexplained = Status.SUSPECT if supported else Status.UNDETERMINED
        status = Status.DECLARED if melting else unexplained
        enterprise = context.register.enterprise_of_meter(window.meters[i], on)
        peak_kw = float(_week_peak_kw(context.past, i))
        mismatch = register_mismatch(enterprise, meter, melting, peak_kw=peak_kw)
        past = {name: values[i].astype(np.float64) for name, values in context.past.values.items()}
        return Finding(
            detector=self.name,
            meter=window.meters[i],
            night=on,
            status=status,
            score=round(float(evidence.score[position]), 4),
            probability=None,
            mismatch=mismatch,
            reasons=reasons_of(evidence, position, past, melting=melting, meter=meter, peak_kw=peak_kw),
            measures=measures_of(evidence, position),
        )


def register_mismatch(
    enterprise: Enterprise | None, meter: Meter | None, melting: tuple[Furnace, ...], *, peak_kw: float
) -> float:
    """How badly melting would fit the register, in [0, 1], from the register alone and the week's peak.

    0.4 for no declared melting furnace, 0.3 for an enterprise that is closed or cut off, 0.2 for a trade outside
    metallurgy and casting (GB/T 4754: 31, 32, 339), 0.1 for a peak above the contract (else the transformer); a site
    with a declared furnace has only the status and the peak to answer for. An unknown row counts neither way.
    """
    mismatch = 0.0 if melting else 0.4
    if enterprise is not None:
        if enterprise.status is not EnterpriseStatus.OPERATING:
            mismatch += 0.3
        code = enterprise.trade.lstrip("ABCDEFGHIJKLMNOPQRST")
        if not melting and code and not code.startswith(_METAL_TRADES):
            mismatch += 0.2
    if meter is not None:
        allowed = meter.contract_kva if meter.contract_kva is not None else meter.transformer_kva
        if allowed is not None and peak_kw > allowed > 0.0:
            mismatch += 0.1
    return round(mismatch, 4)


def _tonight(past: PastNights, name: str, n: int) -> NDArray[np.float64]:
    values = past.values.get(name)
    if values is None or not values.shape[1]:
        return np.full(n, np.nan)
    return values[:, -1].astype(np.float64)


def _week_peak_kw(past: PastNights, i: int) -> float:
    values = past.values.get("power_max_kw")
    if values is None:
        return float("nan")
    return float(np.fmax.reduce(values[i].astype(np.float64)))
