"""Readings from files through the same path as live ones: in the files' order, or as they arrived."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from connectors.adapters.stamps import NO_OFFSET
from connectors.files import FileSlice, read_by_arrival, read_messages, rows_of
from models.domain.clock import Clock, ManualClock, SystemClock
from models.domain.readings import RawMessage, Rejection, RejectReason
from models.domain.register import Register
from monitor.admission import Admitted, TimeRules
from monitor.config.settings import Settings
from monitor.desk.store import LeadChange
from monitor.jobs import Job
from monitor.pipeline import Pipeline
from monitor.windows import Outcome
from monitor.wiring import open_core

FLUSH_ROWS: Final = 500_000
SHOWN_ROWS: Final = 20
GROUP_MESSAGES: Final = 500
GROUP_MS: Final = 900_000
LATE_EVERY_S: Final = 6 * 3600.0
"""Played time between looks at late readings when arrival order is played."""


@dataclass
class Tally:
    """The replay's observer: counts, and who is told how far it has come."""

    on_judging: Callable[[Job], None] = lambda _: None
    n_refused: int = 0
    reasons: Counter[RejectReason] = field(default_factory=Counter)
    changes: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)

    def take(self, wait_s: float) -> list[RawMessage]:  # noqa: ARG002  # the source's argument
        """Nothing comes by itself: files are handed to the pipeline directly."""
        return []

    def acknowledge(self, messages: Sequence[RawMessage]) -> None:
        """A file needs no acknowledgement."""

    def committed(self, messages: Sequence[RawMessage], group: Admitted, seconds: float) -> None:  # noqa: ARG002
        self.n_refused += group.n_refused
        for rejection in group.rejections:
            self.reasons[rejection.reason] += max(1, len(rejection.rows))

    def judging(self, job: Job) -> None:
        self.on_judging(job)

    def evaluated(self, detector: str, seconds: float) -> None:
        """Not timed here."""

    def detector_failed(self, detector: str) -> None:
        self.failed[detector] += 1

    def lead_changed(self, change: LeadChange) -> None:
        self.changes[change.change] += 1


@dataclass
class RowNumbers:
    """Adds file and row numbers to the words of refusals, so that a person finds the row."""

    zone_given: bool
    _pieces: dict[int, FileSlice] = field(default_factory=dict, init=False)

    def taking(self, group: Sequence[FileSlice]) -> list[RawMessage]:
        """The messages of a group that is about to be taken in."""
        self._pieces = {id(piece.message): piece for piece in group}
        return [piece.message for piece in group]

    def annotate(self, messages: Sequence[RawMessage], rejections: Sequence[Rejection]) -> list[Rejection]:
        """The refusals with the place of each in front of its detail (fits `Pipeline.annotate`)."""
        return [self._placed(self._pieces[id(messages[r.message])], r) for r in rejections]

    def _placed(self, piece: FileSlice, rejection: Rejection) -> Rejection:
        numbers = rows_of(piece, rejection.rows)
        shown = ", ".join(map(str, numbers[:SHOWN_ROWS])) + (" …" if len(numbers) > SHOWN_ROWS else "")
        place = f"{piece.path.name} row {shown}" if len(numbers) == 1 else f"{piece.path.name} rows {shown}"
        naive = not self.zone_given and NO_OFFSET in rejection.detail
        remedy = "; or name the zone of the file's stamps with --zone" if naive else ""
        return dataclasses.replace(rejection, detail=f"{place}: {rejection.detail}{remedy}")


@dataclass(frozen=True, slots=True)
class Replayed:
    """What came of a replay, in readings and leads; `failed` counts slices of meters that a detector raised on."""

    outcomes: Counter[Outcome]
    n_refused: int
    reasons: Counter[RejectReason]
    leads: Counter[str]
    failed: Counter[str]


def replay(
    *,
    settings: Settings,
    register: Register,
    readings: Path,
    state_dir: Path,
    by_arrival: bool,
    zone: ZoneInfo | None = None,
    leads_path: Path | None,
    scores_path: Path | None,
    on_rows: Callable[[int], None],
    on_judging: Callable[[Job], None],
) -> Replayed:
    """Take the readings in, judge every night they touch, and write final leads (JSONL) and scores (Parquet).

    By arrival, nights are judged as their time comes and late readings amend them, as live. Otherwise everything is
    taken in first and judged in event-time order, so that the order of the rows is nothing. `zone` is that of stamps
    without one; these are refused where it is None. Raises FileFaultError and what the stores raise.
    """
    clock: Clock = ManualClock() if by_arrival else SystemClock()
    slices = (
        read_by_arrival(readings, zone=zone)
        if by_arrival
        else read_messages(readings, zone=zone, received_ms=clock.wall_ms())
    )
    tally, numbers = Tally(on_judging), RowNumbers(zone is not None)
    rules = TimeRules(future_s=settings.time.future_s, old_days=None)
    with open_core(
        settings=settings,
        state_dir=state_dir,
        register=register,
        source=tally,
        observer=tally,
        clock=clock,
        rules=rules,
    ) as core:
        pipeline = core.pipeline
        pipeline.annotate = numbers.annotate
        if isinstance(clock, ManualClock):
            _play_arrival(pipeline, slices, numbers, clock, on_rows)
        else:
            _take_in(pipeline, slices, numbers, on_rows)
        pipeline.finish()
        core.intensity.finish(pipeline.newest_ms())
        core.flags.finish(pipeline.newest_ms())
        leads = list(core.desk.final_leads())
        if leads_path is not None:
            leads_path.write_bytes(b"".join(msgspec.json.encode(lead, order="sorted") + b"\n" for lead in leads))
        if scores_path is not None:
            core.history.export_scores(scores_path)
        kinds = Counter(str(lead["kind"]) for lead in leads)
        return Replayed(pipeline.applier.outcomes, tally.n_refused, tally.reasons, kinds, tally.failed)


def _take_in(
    pipeline: Pipeline, slices: Iterable[FileSlice], numbers: RowNumbers, on_rows: Callable[[int], None]
) -> None:
    for piece in slices:
        pipeline.take_in(numbers.taking([piece]))
        if pipeline.applier.n_waiting >= FLUSH_ROWS:
            pipeline.applier.flush()
        on_rows(len(piece.rows))


def _play_arrival(
    pipeline: Pipeline,
    slices: Iterable[FileSlice],
    numbers: RowNumbers,
    clock: ManualClock,
    on_rows: Callable[[int], None],
) -> None:
    pipeline.late_every_s = LATE_EVERY_S
    for group in _grouped(slices):
        clock.set_wall_ms(max(piece.message.received_ms for piece in group))
        pipeline.take_in(numbers.taking(group))
        if pipeline.applier.n_waiting >= FLUSH_ROWS:
            pipeline.applier.flush()
        while pipeline.judge_once():
            pass
        on_rows(sum(len(piece.rows) for piece in group))


def _grouped(slices: Iterable[FileSlice]) -> Iterator[list[FileSlice]]:
    """Messages that arrived within a quarter of an hour, at most `GROUP_MESSAGES`, as one commit group."""
    group: list[FileSlice] = []
    for piece in slices:
        late = group and piece.message.received_ms - group[0].message.received_ms > GROUP_MS
        if late or len(group) == GROUP_MESSAGES:
            yield group
            group = []
        group.append(piece)
    if group:
        yield group
