"""Meters of messages that senders repeat wave after wave: one object for each content, so that it is looked up once."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Final

from models.domain.readings import MeterRun, MeterRuns

MIN_RUN: Final = 64
"""Shorter lists are not worth sharing."""

_MAX_METERS: Final = 2_000_000


class SharedRuns:
    """Runs by a key, `max_meters` in all; when there are more, all are forgotten and it begins again."""

    def __init__(self, max_meters: int = _MAX_METERS) -> None:
        self._max_meters = max_meters
        self._runs: dict[object, MeterRun] = {}
        self._n_meters = 0

    def known(self, key: object) -> MeterRun | None:
        """The run kept under a key that stands for its whole content."""
        return self._runs.get(key)

    def keep(self, key: object, run: MeterRun) -> MeterRun:
        """Keep a run under a key, in place of the one it had."""
        if self._n_meters + len(run) > self._max_meters:
            self._runs.clear()
            self._n_meters = 0
        self._runs[key] = run
        self._n_meters += len(run)
        return run

    def of_list(self, meters: list[str]) -> Sequence[str]:
        """The meters of one message; as the run of an earlier one where that had the same."""
        if len(meters) < MIN_RUN:
            return meters
        key = (len(meters), meters[0], meters[-1])
        told = MeterRun(meters)
        run = self._runs.get(key)
        return run if run == told else self.keep(key, told)

    def of_messages(self, meters: list[str], counts: list[int]) -> Sequence[str]:
        """The meters of several messages, which carry `counts` of them; as runs where the messages are long enough."""
        if len(meters) < MIN_RUN * len(counts):
            return meters
        ends = itertools.accumulate(counts)
        return MeterRuns([self.of_list(meters[end - n : end]) for n, end in zip(counts, ends, strict=True)])


SHARED: Final = SharedRuns()
"""Those of this process."""
