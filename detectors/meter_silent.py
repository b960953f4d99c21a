"""Dead man's switch: a registered meter that says nothing while its feed is alive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from detectors.base import Context
from models.domain.channels import CHANNELS
from models.domain.findings import Finding, Judgement, Reason, Status
from models.domain.nights import DAY_S
from models.domain.windows import Window


@dataclass(frozen=True, slots=True)
class MeterSilent:
    """SUSPECT after `nights` silent nights in a row, the window's own the last; INHIBITED while the feed is down.

    A meter of daily readings may miss more of them, as they are often fetched again: `daily_nights`. A single value of
    any channel breaks the silence, contradictory ones too. Nights without a feature row are not silent but unknown:
    they neither count nor break. Score: silent nights in a row over those allowed, at most 1.
    """

    name: ClassVar[str] = "meter_silent"
    needs: ClassVar[frozenset[str]] = frozenset(CHANNELS)

    nights: int = 2
    daily_nights: int = 3

    def evaluate(self, window: Window, context: Context) -> Judgement:
        """Judge every meter; a finding for each that has been silent long enough."""
        n = len(window.meters)
        silent = ~_heard(window)
        run = np.where(silent, _silent_nights(context, n), 0)
        most = max(self.daily_nights if window.interval_s == DAY_S else self.nights, 1)
        score = np.round(np.minimum(run / most, 1.0), 4)
        statuses: list[Status] = []
        findings: list[Finding] = []
        for i in range(n):
            status = _status(int(run[i]), most, alive=bool(context.feed_alive[i]))
            statuses.append(status)
            if status is Status.SUSPECT:
                findings.append(self._finding(window, i, int(run[i]), float(score[i])))
        return Judgement(
            detector=self.name,
            meters=window.meters,
            score=score.astype(np.float64),
            probability=np.full(n, np.nan),
            status=tuple(statuses),
            findings=tuple(findings),
        )

    def _finding(self, window: Window, i: int, run: int, score: float) -> Finding:
        reason = Reason(
            code="silent_nights",
            value=float(run),
            unit="night",
            zh=f"连续 {run} 夜没有任何量测，而同一数据源的其他电表正常上报",
            en=f"no reading for {run} nights in a row while other meters of the same feed report",
        )
        return Finding(
            detector=self.name,
            meter=window.meters[i],
            night=window.night.date,
            status=Status.SUSPECT,
            score=score,
            probability=None,
            mismatch=0.0,
            reasons=(reason,),
            measures={"silent_nights": float(run)},
        )


def _status(run: int, most: int, *, alive: bool) -> Status:
    if run == 0:
        return Status.CLEAR
    if not alive:
        return Status.INHIBITED
    return Status.SUSPECT if run >= most else Status.UNDETERMINED


def _heard(window: Window) -> NDArray[np.bool_]:
    heard: NDArray[np.bool_] = (window.flags != 0).any(axis=1)
    for values in window.instants.values():
        heard = heard | np.isfinite(values).any(axis=1)
    for registers in window.registers.values():
        heard = heard | np.isfinite(registers[:, 1:]).any(axis=1)
    return heard


def _silent_nights(context: Context, n: int) -> NDArray[np.int64]:
    """Nights in a row, the last one included, whose feature row says that nothing was covered."""
    coverage = context.past.values.get("coverage")
    run = np.ones(n, dtype=np.int64)
    if coverage is None:
        return run
    going = np.ones(n, dtype=np.bool_)
    for back in range(coverage.shape[1] - 2, -1, -1):
        earlier = coverage[:, back]
        run += going & (earlier == 0.0)
        going &= ~(earlier > 0.0)
    return run
