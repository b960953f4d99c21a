"""What happened, as metrics and log lines."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from typing import Final

import numpy as np

from models.domain.clock import Clock
from models.domain.readings import RawMessage, Rejection, RejectReason
from monitor.admission import Admitted
from monitor.desk.store import LeadChange
from monitor.jobs import Job
from monitor.metrics import Metrics, Outcome, SecurityEvent
from monitor.roster import Roster
from monitor.windows import Outcome as Settled

log = logging.getLogger(__name__)

MAX_UNKNOWN_METERS: Final = 10_000
MAX_NAMED_METERS: Final = 50
_OUTCOMES: Final = {
    Settled.STORED: Outcome.STORED,
    Settled.DUPLICATE: Outcome.DUPLICATE,
    Settled.CONFLICT: Outcome.CONFLICT,
}
_SECURITY: Final = {
    RejectReason.AUTHZ: SecurityEvent.AUTHZ,
    RejectReason.RETAINED: SecurityEvent.RETAINED,
    RejectReason.SIGNATURE: SecurityEvent.SIGNATURE,
}


class MetricsObserver:
    """Counts what the pipeline does; `n_refused` readings were refused whole, over the life of the process."""

    def __init__(self, metrics: Metrics, clock: Clock) -> None:
        self._metrics = metrics
        self._clock = clock
        self.n_refused = 0
        self._unknown: set[str] = set()
        self._refused: Counter[RejectReason] = Counter()
        self._counted: Counter[Settled] = Counter()
        self._n_judged = 0

    def committed(self, messages: Sequence[RawMessage], group: Admitted, seconds: float) -> None:
        metrics = self._metrics
        metrics.commits.inc()
        metrics.commit_seconds.observe(seconds)
        for adapter, count in Counter(m.adapter for m in messages).items():
            metrics.messages.labels(kind=adapter.partition(":")[0] or "canonical").inc(count)
        now_ms = self._clock.wall_ms()
        metrics.ack_lag_seconds.observe(max(0.0, (now_ms - messages[0].received_ms) / 1000.0))
        self.n_refused += group.n_refused
        if group.n_refused:
            metrics.readings.labels(outcome=Outcome.QUARANTINED).inc(group.n_refused)
        for rejection in group.rejections:
            count = max(1, len(rejection.rows))
            metrics.rejected.labels(reason=rejection.reason).inc(count)
            self._tell_refused(rejection, count)
            if rejection.reason in _SECURITY:
                metrics.security_events.labels(event=_SECURITY[rejection.reason]).inc(count)
        if group.unknown and len(self._unknown) < MAX_UNKNOWN_METERS:
            self._tell_unknown(sorted(group.unknown - self._unknown))
            self._unknown |= group.unknown
            metrics.unknown_meters.set(len(self._unknown))

    def _tell_refused(self, rejection: Rejection, count: int) -> None:
        """A line for the first refusal of each reason, then at every tenfold of them."""
        before = self._refused[rejection.reason]
        self._refused[rejection.reason] = before + count
        if len(str(before + count)) > len(str(before)) or before == 0:
            reason = rejection.reason.value
            log.warning(
                "refused %d for %s so far, the last: %s (gridwarden quarantine list --reason %s)",
                before + count,
                reason,
                rejection.detail,
                reason,
            )

    def _tell_unknown(self, meters: Sequence[str]) -> None:
        """Name the first unknown meters in the log, the others only in the quarantine."""
        left = MAX_NAMED_METERS - len(self._unknown)
        for meter in meters[: max(0, left)]:
            log.warning("meter %s is not in the register: its readings wait in quarantine", meter)
        if 0 <= left < len(meters):
            log.warning("more meters are not in the register: gridwarden quarantine list --reason UNKNOWN_METER")

    def totals(self, outcomes: Counter[Settled], n_judged: int) -> None:
        """Readings settled and nights of meters judged so far, over the life of the process."""
        self._metrics.nights_judged.inc(n_judged - self._n_judged)
        self._n_judged = n_judged
        for outcome, label in _OUTCOMES.items():
            more = outcomes[outcome] - self._counted[outcome]
            if more:
                self._metrics.readings.labels(outcome=label).inc(more)
                if label is Outcome.CONFLICT:
                    self._metrics.security_events.labels(event=SecurityEvent.CONFLICT).inc(more)
        self._counted = outcomes.copy()

    def judging(self, job: Job) -> None:
        """Counted by `totals`."""

    def evaluated(self, detector: str, seconds: float) -> None:
        self._metrics.evaluation_seconds.labels(detector=detector).observe(seconds)

    def detector_failed(self, detector: str) -> None:
        self._metrics.detector_failures.labels(detector=detector).inc()

    def lead_changed(self, change: LeadChange) -> None:
        self._metrics.leads.labels(kind=change.kind, change=change.change).inc()
        log.info("lead %s %s: %s at %s", change.lead_id, change.change, change.kind, change.subject)


def publishers_ahead(messages: Sequence[RawMessage], group: Admitted, roster: Roster) -> set[str]:
    """Publishers of whose readings in a group more were refused as TIME_FUTURE than taken."""
    refused: Counter[str] = Counter()
    for rejection in group.rejections:
        if rejection.reason is RejectReason.TIME_FUTURE:
            refused[messages[rejection.message].publisher] += len(rejection.rows)
    if not refused:
        return set()
    counts = np.bincount(roster.home[group.keys], minlength=len(roster.publishers)).tolist()
    taken = dict(zip(roster.publishers, counts, strict=True))
    return {name for name, count in refused.items() if count > taken.get(name, 0)}
