"""The crash-only state machine of the daemon and the watch over its threads (rules C1-C7)."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import Final

from models.domain.clock import Clock

log = logging.getLogger(__name__)

DRAIN_LIMIT_S: Final = 4.5
"""A drain that takes longer is abandoned, which is safe: start-up is crash recovery (rule C4)."""


class ExitCode(IntEnum):
    """Exit codes, after sysexits."""

    OK = 0
    USAGE = 64
    DATA = 65
    NO_INPUT = 66
    UNAVAILABLE = 69
    SOFTWARE = 70
    CANNOT_CREATE = 73
    IO = 74
    TEMPORARY = 75
    CONFIG = 78


class State(StrEnum):
    """Where the daemon stands."""

    INIT = "init"
    RECOVER = "recover"
    CATCH_UP = "catch_up"
    RUN = "run"
    DEGRADED_STORE = "degraded_store"
    DEGRADED_TIME = "degraded_time"
    DEGRADED_BROKER = "degraded_broker"
    DEGRADED_SINK = "degraded_sink"
    DRAIN = "drain"
    STOPPED = "stopped"


DEGRADED: Final = (State.DEGRADED_STORE, State.DEGRADED_TIME, State.DEGRADED_BROKER, State.DEGRADED_SINK)
"""Degradations, the gravest first: that one is shown when several hold at once."""

NEXT: Final[Mapping[State, frozenset[State]]] = MappingProxyType(
    {
        State.INIT: frozenset({State.RECOVER, State.DRAIN}),
        State.RECOVER: frozenset({State.CATCH_UP, State.DRAIN}),
        State.CATCH_UP: frozenset({State.RUN, State.DRAIN}),
        State.RUN: frozenset({State.DRAIN}),
        State.DRAIN: frozenset({State.STOPPED}),
        State.STOPPED: frozenset(),
    }
)


class ThreadName(StrEnum):
    """The daemon's threads."""

    CORE = "core"
    MQTT = "mqtt"
    OUTBOX = "outbox"
    OPS = "ops"
    INFLUX = "influx"


class InvariantBrokenError(RuntimeError):
    """Something that must hold does not: the process ends with exit code 70 and starts anew."""


def require(condition: object, message: str) -> None:
    """Check an invariant in production too, unlike `assert` (rule C7). Raises InvariantBrokenError."""
    if not condition:
        raise InvariantBrokenError(message)


@dataclass(frozen=True, slots=True)
class Fatal:
    """Why the process must end, and with which code."""

    code: ExitCode
    reason: str


@dataclass(slots=True)
class _Watched:
    thread: threading.Thread | None
    max_age_s: float
    last_s: float


class Supervisor:
    """Holds the state, knows whether every thread lives and moves, and decides when the process must end.

    Every method may be called from any thread.
    """

    def __init__(self, clock: Clock, on_state: Callable[[State], None] | None = None) -> None:
        self._clock = clock
        self._on_state = on_state
        self._lock = threading.RLock()
        self._phase = State.INIT
        self._degraded: dict[State, str] = {}
        self._watched: dict[ThreadName, _Watched] = {}
        self._lags: dict[str, tuple[Callable[[], float], float]] = {}
        self._fatal: Fatal | None = None
        self._wake = threading.Event()
        self._stop = threading.Event()

    @property
    def state(self) -> State:
        """The state shown: a degradation only shows while the daemon runs."""
        with self._lock:
            if self._phase is State.RUN and self._degraded:
                return next(state for state in DEGRADED if state in self._degraded)
            return self._phase

    @property
    def fatal(self) -> Fatal | None:
        return self._fatal

    @property
    def stopping(self) -> threading.Event:
        """Set when the daemon was asked to stop, or must."""
        return self._stop

    def advance(self, to: State) -> None:
        """Enter the next state. Raises InvariantBrokenError where the state machine has no such step."""
        with self._lock:
            require(to in NEXT.get(self._phase, ()), f"no step from state {self._phase} to {to}")
            self._phase = to
            self._announce()

    def degrade(self, state: State, why: str) -> None:
        """Note that something is missing; it is logged when it starts or its reason changes."""
        require(state in DEGRADED, f"{state} is not a degradation")
        with self._lock:
            if self._degraded.get(state) != why:
                log.warning("degraded: %s: %s", state, why)
            self._degraded[state] = why
            self._announce()

    def holds(self, state: State) -> bool:
        """Whether this degradation is on."""
        with self._lock:
            return state in self._degraded

    def recover(self, state: State) -> None:
        """Note that it is back."""
        with self._lock:
            if self._degraded.pop(state, None) is not None:
                log.info("recovered from %s", state)
                self._announce()

    def _announce(self) -> None:
        if self._on_state is not None:
            self._on_state(self.state)

    def watch(self, name: ThreadName, thread: threading.Thread | None, *, max_age_s: float) -> None:
        """Watch a thread that someone else starts; None where only its progress can be seen."""
        with self._lock:
            self._watched[name] = _Watched(thread, max_age_s, self._clock.monotonic_s())

    def forget(self, name: ThreadName) -> None:
        """Stop watching: the thread is about to end on purpose."""
        with self._lock:
            self._watched.pop(name, None)

    def progress(self, name: ThreadName) -> None:
        """The thread did something, or looked and found nothing to do."""
        watched = self._watched.get(name)
        if watched is not None:
            watched.last_s = self._clock.monotonic_s()

    def age_s(self, name: ThreadName) -> float:
        """Seconds since the thread's last progress; 0 while it is not watched."""
        watched = self._watched.get(name)
        return self._clock.monotonic_s() - watched.last_s if watched is not None else 0.0

    def ages_s(self) -> dict[str, float]:
        """Seconds since the last progress of every watched thread."""
        with self._lock:
            names = list(self._watched)
        return {name.value: round(self.age_s(name), 3) for name in names}

    def limit_lag(self, name: str, lag: Callable[[], float], limit: float) -> None:
        """Readiness needs `lag()` to stay at or below `limit`."""
        with self._lock:
            self._lags[name] = (lag, limit)

    def unready(self) -> tuple[str, ...]:
        """Why the daemon is not ready; empty when it is (rule C6)."""
        with self._lock:
            state, degraded, lags = self.state, dict(self._degraded), dict(self._lags)
        reasons = [f"{held.value}: {why}" for held, why in degraded.items()]
        if self._phase is not State.RUN:
            reasons.insert(0, f"state is {state.value}")
        for name, (lag, limit) in lags.items():
            if (value := lag()) > limit:
                reasons.append(f"{name} is {value:.6g}, limit {limit:.6g}")
        return tuple(reasons)

    def request_stop(self) -> None:
        """Ask for an orderly end; safe inside a signal handler."""
        self._stop.set()
        self._wake.set()

    def fail(self, code: ExitCode, reason: str) -> None:
        """End the process with `code`; the first reason stays."""
        with self._lock:
            if self._fatal is None:
                self._fatal = Fatal(code, reason)
        self.request_stop()

    def catch_signals(self) -> None:
        """SIGTERM and SIGINT ask for an orderly end. Main thread only."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.request_stop())

    def check(self) -> Fatal | None:
        """Look at every thread once: one that died or no longer moves is fatal (rule C5)."""
        now = self._clock.monotonic_s()
        with self._lock:
            watched = list(self._watched.items())
        for name, seen in watched:
            started = seen.thread is not None and seen.thread.ident is not None
            if started and seen.thread is not None and not seen.thread.is_alive():
                self.fail(ExitCode.SOFTWARE, f"thread {name} died")
            elif now - seen.last_s > seen.max_age_s:
                self.fail(ExitCode.SOFTWARE, f"thread {name} made no progress for {now - seen.last_s:.1f} s")
        return self._fatal

    def run(self, each_second: Callable[[], None] | None = None) -> Fatal | None:
        """Watch until the daemon is asked to stop, or must; returns why it must, None where it was asked."""
        while not self._wake.wait(1.0):
            self.check()
            if each_second is not None:
                each_second()
        if self._fatal is not None:
            log.critical("must stop: %s", self._fatal.reason)
        return self._fatal

    def leave_after(self, seconds: float, code: ExitCode = ExitCode.OK) -> threading.Timer:
        """End the process hard after `seconds`, whatever still hangs; cancel the timer when the drain is done."""
        timer = threading.Timer(seconds, os._exit, args=(int(code),))
        timer.daemon = True
        timer.start()
        return timer
