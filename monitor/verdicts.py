"""What is kept of a night's judgements: findings and the leads that follow, scores, and who was suspect lately."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pyarrow as pa

from models.domain.findings import Judgement, Status
from models.domain.leads import LeadKind
from models.domain.windows import Window
from monitor.desk.store import Desk, LeadChange
from monitor.history.history import History
from monitor.jobs import Job, Keys
from monitor.leads import NightFinding
from monitor.roster import Roster
from monitor.scores import score_table

_RAISING: Final = frozenset(kind.value for kind in LeadKind)
_SUSPECT_FOR: Final = dt.timedelta(days=6)
"""How long after a suspect night a meter is judged before the others: a week, the night itself included."""


@dataclass
class Found:
    """What several chunks of one job gave, to be committed together: a transaction costs as much as many findings."""

    meters: list[str] = field(default_factory=list)
    detectors: Sequence[str] = ()
    findings: list[NightFinding] = field(default_factory=list)


@dataclass
class Verdicts:
    """Writes to the desk and to the history. `on_change` hears of every change to a lead."""

    desk: Desk
    history: History
    roster: Roster
    on_change: Callable[[LeadChange], None]
    _suspects: dict[str, dt.date] = field(default_factory=dict, init=False)

    def recall(self, night: dt.date) -> None:
        """Take up from the desk who was suspect in the week before a night."""
        suspects = self.desk.suspects_since(night - _SUSPECT_FOR)
        self._suspects = {meter: last for meter, last in suspects.items() if meter in self.roster.index}

    def suspects(self, night: dt.date) -> Keys:
        """Meters that were suspect in the week before a night."""
        since = night - _SUSPECT_FOR
        mine = [self.roster.index[meter] for meter, last in self._suspects.items() if last >= since]
        return np.array(mine, dtype=np.int32)

    def add(
        self,
        job: Job,
        keys: Keys,
        window: Window,
        judgements: Sequence[Judgement],
        digest: Callable[[int], str],
        found: Found,
    ) -> pa.Table:
        """Add to what is committed next; returns the scores. `digest` is of what a position was judged from."""
        position = {meter: i for i, meter in enumerate(window.meters)}
        sites = self.roster.rows.sites(job.night.date, keys)
        found.meters += window.meters
        found.detectors = [judgement.detector for judgement in judgements]
        found.findings += [
            NightFinding(
                finding=finding,
                site=sites[position[finding.meter]].as_py(),
                digest=digest(position[finding.meter]),
                end_ms=job.night.end_ms if job.until_ms is None else job.until_ms,
                provisional=job.provisional,
            )
            for judgement in judgements
            for finding in judgement.findings
        ]
        return score_table(judgements, self.roster.ids_arrow.take(pa.array(keys)), sites)

    def commit(self, job: Job, found: Found) -> None:
        """Findings, and the leads that follow from them, in one transaction; then tell of the leads."""
        for finding in (item.finding for item in found.findings):
            if finding.status is Status.SUSPECT and finding.detector in _RAISING:
                self._suspects[finding.meter] = max(finding.night, self._suspects.get(finding.meter, finding.night))
        changes = self.desk.commit_night(
            night=job.night,
            judged=found.meters,
            detectors=found.detectors,
            findings=found.findings,
            register=self.roster.register,
        )
        for change in changes:
            self.on_change(change)

    def write_scores(self, job: Job, scores: Sequence[pa.Table]) -> None:
        """Scores of several chunks in one transaction."""
        self.history.write_scores(job.night.date, pa.concat_tables(scores))
