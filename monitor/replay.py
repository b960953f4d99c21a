"""Readings from files through the same path as live ones: in the files' order, or as they arrived."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from models.domain.clock import ManualClock
from models.domain.readings import RawMessage, Rejection
from monitor.judge import Job
from monitor.pipeline import Pipeline


class NoSource:
    """Nothing to take and nobody to acknowledge: files are handed to the pipeline directly."""

    def take(self, wait_s: float) -> list[RawMessage]:  # noqa: ARG002  # the protocol's argument
        return []

    def acknowledge(self, messages: Sequence[RawMessage]) -> None:
        """A file needs no acknowledgement."""


class Quiet:
    """An observer that only counts what was refused."""

    def __init__(self) -> None:
        self.n_refused = 0

    def committed(self, messages: Sequence[RawMessage], rejections: Sequence[Rejection], seconds: float) -> None:
        """Nothing to tell."""

    def admitted(self, n_refused: int) -> None:
        self.n_refused += n_refused

    def judging(self, job: Job) -> None:
        """Nothing to tell."""


def play(
    pipeline: Pipeline,
    messages: Iterable[RawMessage],
    *,
    clock: ManualClock | None,
    on_taken: Callable[[RawMessage], None],
) -> None:
    """Take every message in and judge every night that has readings.

    With `clock` the receipt stamps lead: nights are judged as their time comes, late readings amend them, as live.
    Without it everything is taken in first and judged in event-time order, so that the order of the files is nothing.
    """
    for message in messages:
        if clock is not None:
            clock.set_wall_ms(message.received_ms)
        pipeline.take_in([message])
        on_taken(message)
        if clock is not None:
            pipeline.settle()
        elif pipeline.applier.n_waiting >= _REPLAY_FLUSH_ROWS:
            pipeline.applier.flush()
    pipeline.finish()


_REPLAY_FLUSH_ROWS = 500_000


def grouped(messages: Iterator[RawMessage], size: int) -> Iterator[list[RawMessage]]:
    """Messages in commit groups of at most `size`."""
    group: list[RawMessage] = []
    for message in messages:
        group.append(message)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group
