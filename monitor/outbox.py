"""The sender: takes committed notices out of the house, at least once and in order within a subject (rule D8)."""

from __future__ import annotations

import random
import sqlite3
import threading
from collections.abc import Callable, Mapping
from typing import Final, TypeVar

import sqlalchemy as sa
import structlog

from connectors.sink import Delivered, Delivery, Refused, Sink, Unavailable
from models.domain.clock import Clock
from monitor.desk.outbox_rows import OutboxState, Parcel, claim, release, reset_sending, settle
from monitor.fault_points import FaultPoint, hit
from monitor.metrics import SendResult

__all__ = ["Delivered", "Delivery", "OutboxSender", "Refused", "Sink", "Unavailable", "backoff_s"]

_log = structlog.get_logger(__name__)

FIRST_BACKOFF_S: Final = 1.0
MAX_BACKOFF_S: Final = 900.0
POLL_S: Final = 1.0
FAILING: Final = 3
"""Attempts in a row that must fail before a sink is said to be failing."""
CLAIM: Final = 16
"""Notices taken at a time: what a crash can make us send twice."""

_PASSING: Final = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_BUSY})
"""Troubles of the store that end by themselves (rule S3); all others end the thread, and the supervisor sees it."""

T = TypeVar("T")

OnAttempt = Callable[[str, SendResult], None]
"""Told of each attempt: sink, and how it ended."""


def backoff_s(failures: int, rng: random.Random) -> float:
    """Wait after the n-th failure in a row, n >= 1: full jitter up to 1 s doubling to 15 min."""
    ceiling = min(MAX_BACKOFF_S, FIRST_BACKOFF_S * 2.0 ** min(failures - 1, 20))
    return rng.uniform(0.0, ceiling)


class _Stopped(Exception):  # noqa: N818 - a signal inside this module
    """The sender was told to stop while it waited for the store."""


class _SinkWorker:
    """One sink's notices. Each sink has a thread of its own, so that a dead webhook does not delay the others."""

    def __init__(
        self, engine: sa.Engine, name: str, sink: Sink, clock: Clock, rng: random.Random, on_attempt: OnAttempt
    ) -> None:
        self.name = name
        self.failure: BaseException | None = None
        self.last_progress_s = clock.monotonic_s()
        self.wake = threading.Event()
        self._engine = engine
        self._sink = sink
        self._clock = clock
        self._rng = rng
        self._on_attempt = on_attempt
        self._stop = threading.Event()
        self.failures_in_row = 0
        self._closed_until_s = 0.0
        self._subject_until_s: dict[str, float] = {}
        self.thread = threading.Thread(target=self._run, name=f"outbox-{name}", daemon=True)

    def ask_to_stop(self) -> None:
        self._stop.set()
        self.wake.set()

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                if not self._send_some():
                    self.wake.wait(POLL_S)
                    self.wake.clear()
                self.last_progress_s = self._clock.monotonic_s()
        except _Stopped:
            return
        except BaseException as error:  # noqa: BLE001 - kept for the supervisor, which ends the process (rule C5)
            self.failure = error
            _log.error("outbox thread ended", sink=self.name, error=type(error).__name__)

    def _send_some(self) -> bool:
        """Send one claim of notices; False when there was nothing that may be sent now."""
        now_s = self._clock.monotonic_s()
        if now_s < self._closed_until_s:
            return False
        self._subject_until_s = {s: until for s, until in self._subject_until_s.items() if until > now_s}
        waiting = frozenset(self._subject_until_s)
        parcels = self._stored(lambda: claim(self._engine, self.name, CLAIM, waiting))
        for position, parcel in enumerate(parcels):
            if self._stop.is_set() or self._clock.monotonic_s() < self._closed_until_s:
                rest = parcels[position:]
                self._stored(lambda rest=rest: release(self._engine, rest))  # type: ignore[misc]  # default binds now
                break
            self._attempt(parcel)
            self.last_progress_s = self._clock.monotonic_s()
        return bool(parcels)

    def _attempt(self, parcel: Parcel) -> None:
        try:
            hit(FaultPoint.BEFORE_SEND)
            delivery = self._sink.send(parcel.body, parcel.idempotency_key, parcel.subject, parcel.event_type)
        except Unavailable as error:
            self._put_off(parcel, str(error), error.retry_after_s)
        except Exception as error:  # noqa: BLE001 - a fault in one sink must not stop the house; its text may hold a secret
            self._put_off(parcel, f"fault in the sink: {type(error).__name__}", None)
        else:
            hit(FaultPoint.AFTER_SEND)
            self._settle(parcel, delivery)

    def _settle(self, parcel: Parcel, delivery: Delivery) -> None:
        if self.failures_in_row:
            _log.info("sink works again", sink=self.name, failures=self.failures_in_row)
        self.failures_in_row = 0
        if isinstance(delivery, Refused):
            reason = delivery.reason
            self._on_attempt(self.name, SendResult.REFUSED)
            _log.error("notice refused; a person must look", sink=self.name, lead=parcel.subject, reason=reason)
            self._stored(lambda: settle(self._engine, parcel, OutboxState.NEEDS_PERSON, note=reason))
            return
        self._on_attempt(self.name, SendResult.SENT)
        sent_at_ms = self._clock.wall_ms()
        self._stored(lambda: settle(self._engine, parcel, OutboxState.SENT, sent_at_ms=sent_at_ms))

    def _put_off(self, parcel: Parcel, reason: str, retry_after_s: float | None) -> None:
        self._on_attempt(self.name, SendResult.RETRY)
        self.failures_in_row += 1
        if self.failures_in_row == 1:
            _log.warning("sink does not answer", sink=self.name, lead=parcel.subject, reason=reason)
        now_s = self._clock.monotonic_s()
        least_s = min(retry_after_s or 0.0, MAX_BACKOFF_S)
        self._subject_until_s[parcel.subject] = now_s + max(least_s, backoff_s(parcel.attempts + 1, self._rng))
        self._closed_until_s = now_s + max(least_s, backoff_s(self.failures_in_row, self._rng))
        self._stored(lambda: settle(self._engine, parcel, OutboxState.PENDING, note=reason))

    def _stored(self, work: Callable[[], T]) -> T:
        """Do work on the desk; wait out a full or read-only disk. Raises _Stopped, or what ends the thread."""
        while True:
            try:
                return work()
            except sa.exc.OperationalError as error:
                if getattr(error.orig, "sqlite_errorcode", 0) & 0xFF not in _PASSING:
                    raise
                _log.warning("outbox cannot write to the desk", sink=self.name, error=type(error.orig).__name__)
            self.last_progress_s = self._clock.monotonic_s()
            if self._stop.wait(POLL_S):
                raise _Stopped


class OutboxSender:
    """Sends what the desk committed, a thread for each sink.

    At least once, the oldest first within a subject (one lead), with full jitter from 1 s to 15 min, and no maximum
    age. A refused notice waits for a person and so do later ones of its subject. `rng` only spreads retries.
    """

    def __init__(
        self,
        engine: sa.Engine,
        sinks: Mapping[str, Sink],
        clock: Clock,
        rng: random.Random,
        on_attempt: OnAttempt = lambda _sink, _result: None,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._workers = [
            _SinkWorker(engine, name, sink, clock, random.Random(rng.getrandbits(64)), on_attempt)  # noqa: S311 - jitter
            for name, sink in sinks.items()
        ]

    def start(self) -> None:
        """Take up what an earlier process left in the middle, then send in the background."""
        left = reset_sending(self._engine)
        if left:
            _log.info("outbox takes up notices an earlier run was sending", notices=left)
        for worker in self._workers:
            worker.thread.start()

    def wake(self) -> None:
        """Look at once instead of within a second: call it after a commit that changed leads."""
        for worker in self._workers:
            worker.wake.set()

    def stop(self, timeout_s: float) -> bool:
        """Finish or abandon the calls in flight; True when all threads ended in time. Abandoned ones go out again."""
        until_s = self._clock.monotonic_s() + timeout_s
        for worker in self._workers:
            worker.ask_to_stop()
        for worker in self._workers:
            if worker.thread.ident is not None:
                worker.thread.join(max(0.0, until_s - self._clock.monotonic_s()))
        return not any(worker.thread.is_alive() for worker in self._workers)

    @property
    def last_progress(self) -> float:
        """Monotonic seconds at which the slowest sink's thread last went round; a call may take 10 s."""
        return min((worker.last_progress_s for worker in self._workers), default=self._clock.monotonic_s())

    @property
    def failing(self) -> tuple[str, ...]:
        """Sinks that did not take anything for several attempts in a row."""
        return tuple(worker.name for worker in self._workers if worker.failures_in_row >= FAILING)

    @property
    def failure(self) -> BaseException | None:
        """What ended a thread, None while all is well: the process must end (rule S3)."""
        return next((worker.failure for worker in self._workers if worker.failure is not None), None)
