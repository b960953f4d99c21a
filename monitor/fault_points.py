"""Named moments at which a test may break the program (rule Q1).

Nothing is armed unless the environment of the process says so at its start:
`GRIDWARDEN_FAULTS="before_commit:kill:3 before_send:delay=2.5:1"` breaks the third and the first time a point is
reached. Otherwise `hit` does nothing. What is armed is logged, so that it cannot be left on unseen.
"""

from __future__ import annotations

import logging
import os
import signal
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from monitor.storage import StoreFull

log = logging.getLogger(__name__)

VARIABLE: Final = "GRIDWARDEN_FAULTS"
_HANG_S: Final = 3600.0


class FaultPoint(StrEnum):
    """Where the program can be broken."""

    BEFORE_COMMIT = "before_commit"
    AFTER_COMMIT = "after_commit"
    BEFORE_ACK = "before_ack"
    AFTER_ACK = "after_ack"
    BEFORE_APPLY = "before_apply"
    AFTER_APPLY = "after_apply"
    IN_CHECKPOINT = "in_checkpoint"
    IN_SEAL = "in_seal"
    BEFORE_ALERT_COMMIT = "before_alert_commit"
    AFTER_ALERT_COMMIT = "after_alert_commit"
    BEFORE_SEND = "before_send"
    AFTER_SEND = "after_send"
    IN_MIGRATION = "in_migration"
    IN_BACKUP = "in_backup"
    IN_DRAIN = "in_drain"


class FaultInjected(RuntimeError):  # noqa: N818 - it is no error of the program
    """The fault a test asked for."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens the `number`-th time a point is reached: kill, hang, `delay=SECONDS` or `raise=KIND`."""

    point: FaultPoint
    mode: str
    number: int


def _sqlite_failure(code: int, text: str) -> Callable[[], Exception]:
    def make() -> Exception:
        error = sqlite3.OperationalError(text)
        error.sqlite_errorcode = code
        return error

    return make


RAISED: Final[Mapping[str, Callable[[], Exception]]] = MappingProxyType(
    {
        "fault": lambda: FaultInjected("fault injected"),
        "disk_full": _sqlite_failure(sqlite3.SQLITE_FULL, "database or disk is full (injected)"),
        "read_only": _sqlite_failure(sqlite3.SQLITE_READONLY, "attempt to write a readonly database (injected)"),
        "store_full": lambda: StoreFull("no room (injected)"),
        "fsync": _sqlite_failure(sqlite3.SQLITE_IOERR_FSYNC, "disk I/O error in fsync (injected)"),
    }
)
"""Kinds of `raise=`: a fault of ours, a full store, or what SQLite says when the disk does not do what it must."""


def parse_faults(text: str) -> tuple[Fault, ...]:
    """Faults written as `point:mode:number`, separated by spaces. Raises ValueError."""
    faults = []
    for word in text.split():
        name, mode, number = (*word.split(":"), "", "")[:3]
        if mode not in ("kill", "hang") and not _has_argument(mode):
            raise ValueError(f"{word}: the mode is kill, hang, delay=SECONDS or raise={'|'.join(RAISED)}")
        if name not in set(FaultPoint) or not number.isdigit() or int(number) < 1:
            raise ValueError(f"{word}: write point:mode:number; points are {', '.join(FaultPoint)}")
        faults.append(Fault(FaultPoint(name), mode, int(number)))
    return tuple(faults)


def _has_argument(mode: str) -> bool:
    verb, _, argument = mode.partition("=")
    return (verb == "raise" and argument in RAISED) or (verb == "delay" and argument.replace(".", "", 1).isdigit())


class FaultPlan:
    """Counts how often each point was reached, and breaks where it was asked to. Any thread may call it."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        self._faults = {(fault.point, fault.number): fault for fault in faults}
        self._reached: Counter[FaultPoint] = Counter()
        self._lock = threading.Lock()

    def hit(self, point: FaultPoint) -> None:
        """Reach a point. Raises what the plan says, or does not come back."""
        with self._lock:
            self._reached[point] += 1
            fault = self._faults.get((point, self._reached[point]))
        if fault is not None:
            _break(fault)


def _break(fault: Fault) -> None:
    log.warning("fault point %s: %s", fault.point, fault.mode)
    verb, _, argument = fault.mode.partition("=")
    if verb == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif verb == "raise":
        failure = RAISED[argument]()
        raise failure
    time.sleep(float(argument) if verb == "delay" else _HANG_S)


def _nothing(_point: FaultPoint) -> None:
    """No fault is armed."""


def _armed(text: str) -> Callable[[FaultPoint], None]:
    faults = parse_faults(text)
    log.warning("fault points are armed by %s: %s", VARIABLE, text)
    return FaultPlan(faults).hit


hit: Callable[[FaultPoint], None] = _armed(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else _nothing
