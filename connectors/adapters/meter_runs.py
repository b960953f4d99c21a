"""Meters of messages that senders repeat wave after wave: one object for each content, so that it is looked up once."""

from __future__ import annotations

from typing import Any, Final

from models.domain.readings import MeterRun

MIN_RUN: Final = 64
"""Shorter lists are not worth sharing."""

_MAX_KEPT_METERS: Final = 4_000_000
_kept: dict[Any, MeterRun] = {}
_kept_meters = 0


def of_list(meters: list[str]) -> list[str] | MeterRun:
    """The run of these meters, which is the one of an earlier message where that had the same."""
    if len(meters) < MIN_RUN:
        return meters
    key = (len(meters), meters[0], meters[-1])
    run = _kept.get(key)
    if run is None or run != tuple(meters):
        run = keep(key, MeterRun(meters))
    return run


def known(key: object) -> MeterRun | None:
    """The run kept under a key that stands for its whole content."""
    return _kept.get(key)


def keep(key: object, run: MeterRun) -> MeterRun:
    """Keep a run under a key, in place of the one it had; when there is too much, all are forgotten."""
    global _kept_meters
    if _kept_meters + len(run) > _MAX_KEPT_METERS:
        _kept.clear()
        _kept_meters = 0
    _kept[key] = run
    _kept_meters += len(run)
    return run
