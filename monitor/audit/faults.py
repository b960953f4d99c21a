"""What a verification found: each fault names file and record."""

from __future__ import annotations

from dataclasses import dataclass, field

MOST_OF_A_FILE = 200
"""Faults kept of one file; the rest are counted."""


@dataclass(frozen=True, slots=True)
class StateFault:
    """`file` is relative to the state directory; `record` names row, line or number in it, empty: the file itself."""

    file: str
    record: str
    what: str

    def __str__(self) -> str:
        return f"{self.file}: {self.record}: {self.what}" if self.record else f"{self.file}: {self.what}"


@dataclass(slots=True)
class StateReport:
    """Faults, what was not or could not be looked at (`notes`), and how much was."""

    faults: list[StateFault] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    _of_file: dict[str, int] = field(default_factory=dict)

    @property
    def whole(self) -> bool:
        return not self.faults

    def fault(self, file: str, record: str, what: str) -> None:
        """Add a fault; of one file so many are named, then it is said that there are more."""
        named = self._of_file.get(file, 0)
        self._of_file[file] = named + 1
        if named < MOST_OF_A_FILE:
            self.faults.append(StateFault(file, record, what))
        elif named == MOST_OF_A_FILE:
            self.faults.append(StateFault(file, "", "more faults, not named one by one"))

    def counted(self, what: str, number: int) -> None:
        """So many of something were looked at."""
        self.counts[what] = self.counts.get(what, 0) + number
