"""What is wrong with a rule pack, said so that a person can put it right: file, line, key, problem, remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LawFault:
    """One fault of a rule pack. `line` counts from 1; `key` is dotted, with indices: `limit[3].level1`."""

    file: str
    line: int
    key: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}: {self.key}" if self.key else f"{self.file}:{self.line}"
        return f"{where}: {self.problem}. {self.remedy}"


class LawFaults(ValueError):  # noqa: N818 — it is several faults, and named for them
    """Everything that is wrong with the rule packs, at once."""

    def __init__(self, faults: Sequence[LawFault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))


def dotted(path: Sequence[str | int]) -> str:
    """`("limit", 3, "level1")` as `limit[3].level1`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def nearest(word: str, known: Iterable[str]) -> str:
    """What to say about a word nobody knows: the nearest known one where one is near, else all of them."""
    names = sorted(known)
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    return f"Meant {near[0]}?" if near else f"It is one of: {', '.join(names)}."
