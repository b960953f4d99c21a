"""The InfluxDB feed: a thread that follows the journal through the history and writes what it finds (rule D12).

It is a sink and never the record: it may be down for days, its cursor stays behind, and what was missed is written
afterwards. At least once: equal points overwrite each other. The core thread writes the cursor into the desk.
"""

from __future__ import annotations

import logging
import random
import threading
from collections import deque
from dataclasses import dataclass, field
from typing import Final, Protocol

import duckdb

from connectors.influx import InfluxWriter, WriteFailed, WriteFault, write_lines
from connectors.line_protocol import Lines
from models.domain.clock import Clock
from monitor.history.since import SinceReader
from monitor.influx_points import Points
from monitor.storage import StoreError

log = logging.getLogger(__name__)

POLL_S: Final = 1.0
MAX_BACKOFF_S: Final = 60.0
OPERATOR_BACKOFF_S: Final = 300.0
FAILING: Final = 3
"""Attempts in a row that must fail before the feed is said to be failing; what needs an operator is said at once."""

SETTLE_S: Final = 15.0
"""How long a server may keep what it answered for in memory: so much is written once more after it, or we, went away.
VictoriaMetrics flushes every 5 s."""

_FIRST_BACKOFF_S: Final = 1.0


class FeedObserver(Protocol):
    """Who counts what the feed does."""

    def points_written(self, points: int) -> None:
        """The server took so many points."""

    def points_refused(self, points: int) -> None:
        """It will never take these."""

    def feed_failed(self, fault: WriteFault | None) -> None:
        """An attempt failed; None: the history could not be read."""


class _Stopped(Exception):  # noqa: N818 - a signal inside this module
    """The feed was told to stop."""


@dataclass
class InfluxFeed:
    """Reads, encodes, writes, in turn, on a thread of its own.

    `cursor` is the last journal record whose points were all taken; `head` the last one seen in the history. `batch`
    lines go into a request.
    """

    reader: SinceReader
    points: Points
    writer: InfluxWriter
    clock: Clock
    rng: random.Random
    observer: FeedObserver
    batch: int
    cursor: int
    head: int = 0
    last_progress_s: float = field(default=0.0, init=False)
    failure: BaseException | None = field(default=None, init=False)
    _trouble: str = field(default="", init=False)
    _failures: int = field(default=0, init=False)
    _fault: WriteFault | None = field(default=None, init=False)
    _operator: bool = field(default=False, init=False)
    _level_s: float = field(default=0.0, init=False)
    _back_to: int | None = field(default=None, init=False)
    _taken_s: float = field(default=0.0, init=False)
    _began: int = field(default=0, init=False)
    _marks: deque[tuple[float, int]] = field(default_factory=deque, init=False)
    _stop: threading.Event = field(default_factory=threading.Event, init=False)

    def __post_init__(self) -> None:
        self.last_progress_s = self._level_s = self._taken_s = self.clock.monotonic_s()
        self._began = self.cursor
        self._thread = threading.Thread(target=self._run, name="influx", daemon=True)

    def start(self) -> None:
        """Follow the journal in the background."""
        self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        """Finish or abandon the request in flight; True when the thread ended in time. What it wrote comes again."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    @property
    def kept_cursor(self) -> int:
        """Where to begin after a restart: as far as everything had been taken `SETTLE_S` ago."""
        return self._settled(self.clock.monotonic_s())

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    @property
    def trouble(self) -> str:
        """Why nothing is taken at present, in a few words; empty while all is well or it is too early to say."""
        return self._trouble if self._operator or self._failures >= FAILING else ""

    @property
    def lag_records(self) -> int:
        """Journal records that are in the history and not yet all written."""
        return max(0, self.head - self.cursor)

    @property
    def lag_s(self) -> float:
        """Seconds since everything that was there had been written; 0 while that is so."""
        return self.clock.monotonic_s() - self._level_s if self.lag_records else 0.0

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                if not self._carry_on():
                    self._stop.wait(POLL_S)
                self._moved()
        except _Stopped:
            return
        except BaseException as error:
            self.failure = error
            log.exception("the InfluxDB feed ended")
        finally:
            self.reader.close()

    def _carry_on(self) -> bool:
        """`_follow`; a fault of ours in it must not stop the house, and stays in sight."""
        try:
            return self._follow()
        except _Stopped:
            raise
        except Exception as error:
            log.exception("fault in the InfluxDB feed")
            self._failed(None, f"fault in the feed: {type(error).__name__}")
            return True

    def _follow(self) -> bool:
        """Write the next slice; False where there is none."""
        try:
            self.head = self.reader.head()
            slice_ = self.reader.next(self.cursor)
        except (duckdb.Error, StoreError, OSError) as error:
            self._failed(None, f"the history cannot be read: {type(error).__name__}")
            return True
        if slice_ is None:
            self._level_s = self.clock.monotonic_s()
            self._well()
            return False
        lines = self.points.lines(slice_)
        for first, last in lines.batches(self.batch):
            self._write(lines, first, last)
        if slice_.complete:
            self.cursor = slice_.seq
            self._mark()
            if self._back_to is not None:
                self._go_back(self._back_to)
        return True

    def _go_back(self, cursor: int) -> None:
        log.info("the server was away: what it took last is written once more, from journal record %d", cursor)
        self.cursor, self._back_to = cursor, None
        self._marks = deque(mark for mark in self._marks if mark[1] <= cursor)

    def _settled(self, at_s: float) -> int:
        """The cursor `SETTLE_S` before a moment."""
        return max(
            (cursor for since_s, cursor in tuple(self._marks) if at_s - since_s >= SETTLE_S), default=self._began
        )

    def _mark(self) -> None:
        """Remember when the cursor stood where; of those that have settled the last one is enough."""
        now_s = self.clock.monotonic_s()
        if not self._marks or now_s - self._marks[-1][0] >= 1.0:
            self._marks.append((now_s, self.cursor))
        while len(self._marks) > 1 and now_s - self._marks[1][0] >= SETTLE_S:
            self._began = self._marks.popleft()[1]

    def _write(self, lines: Lines, first: int, last: int) -> None:
        """Write one batch, however long it takes. Raises _Stopped."""
        while True:
            try:
                written = write_lines(self.writer, lines, first, last, self._moved)
            except WriteFailed as error:
                self._failed(error.fault, str(error), error.retry_after_s)
                continue
            break
        self._well()
        self._taken_s = self.clock.monotonic_s()
        self.observer.points_written(written.lines - written.refused)
        if written.refused:
            self.observer.points_refused(written.refused)
            shown = " | ".join(sample.decode("utf-8", "replace")[:120] for sample in written.samples)
            log.error("InfluxDB will never take %d of %d points, such as %s", written.refused, written.lines, shown)

    def _failed(self, fault: WriteFault | None, reason: str, retry_after_s: float | None = None) -> None:
        """Count, say it once, and wait before the next attempt. Raises _Stopped."""
        self.observer.feed_failed(fault)
        self._failures += 1
        if fault is WriteFault.UNREACHABLE and self._back_to is None:
            self._back_to = self._settled(self._taken_s)
        self._operator = fault is not None and fault.needs_operator
        if self._failures == 1 or fault is not self._fault:
            log.warning("InfluxDB is not fed: %s; it is tried again", reason)
            self._trouble = reason
        self._fault = fault
        limit_s = OPERATOR_BACKOFF_S if self._operator else MAX_BACKOFF_S
        wait_s = self.rng.uniform(0.0, min(limit_s, _FIRST_BACKOFF_S * 2.0 ** min(self._failures - 1, 20)))
        wait_s = max(wait_s, min(retry_after_s or 0.0, limit_s))
        until_s = self.clock.monotonic_s() + wait_s
        while (left_s := until_s - self.clock.monotonic_s()) > 0:
            self._stop.wait(min(left_s, POLL_S))
            self._moved()

    def _well(self) -> None:
        if self._failures:
            log.info("InfluxDB is fed again after %d failures", self._failures)
        self._failures, self._trouble, self._operator = 0, "", False

    def _moved(self) -> None:
        """The thread lives. Raises _Stopped."""
        self.last_progress_s = self.clock.monotonic_s()
        if self._stop.is_set():
            raise _Stopped
