"""What a check found: what was seen, and what a person does about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How a check came out. `unseen`: it cannot be looked at from here, and the remedy says where it can."""

    OK = "ok"
    UNSEEN = "unseen"
    WARNING = "warning"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check. `remedy` is empty where nothing is to be done."""

    check: str
    level: Level
    seen: str
    remedy: str = ""


def ok(check: str, seen: str) -> Finding:
    """All is well."""
    return Finding(check, Level.OK, seen)


def unseen(check: str, seen: str, remedy: str) -> Finding:
    """Cannot be looked at from here."""
    return Finding(check, Level.UNSEEN, seen, remedy)


def warning(check: str, seen: str, remedy: str) -> Finding:
    """Works, and should be changed."""
    return Finding(check, Level.WARNING, seen, remedy)


def fault(check: str, seen: str, remedy: str) -> Finding:
    """Does not work, or loses or exposes something."""
    return Finding(check, Level.FAULT, seen, remedy)
