"""One line of a calculation that a person can redo, and what it rests on."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from models.law.limit_rows import LevelName, Limit, Standard
from models.law.rows import Cited


@dataclass(frozen=True, slots=True)
class Citation:
    """What a figure rests on: document and clause, where it was read, how sure that is."""

    document: str
    clause: str
    source: str
    confidence: str

    def __str__(self) -> str:
        place = f"{self.document} {self.clause}".strip()
        return f"{place} [{self.confidence}] {self.source}"


@dataclass(frozen=True, slots=True)
class Step:
    """One line of arithmetic. `formula` has the inputs in it; `result` is exact, `unit` its unit."""

    label_zh: str
    label_en: str
    formula: str
    result: Decimal
    unit: str
    citation: Citation | None = None
    level: LevelName | None = None


@dataclass(frozen=True, slots=True)
class Missing:
    """What is needed before more can be said: `key` for machines, what it is, and where it may be had."""

    key: str
    what_zh: str
    what_en: str
    where: str


def cite_limit(limit: Limit, standard: Standard, level: LevelName) -> Citation:
    """The citation of the published value of a level."""
    return Citation(standard.id, limit.clause or "", limit.source, limit.confidence_of(level))


def cite_row(document: str, row: Cited, clause: str | None = None) -> Citation:
    """The citation of any row under the document it belongs to."""
    return Citation(document, clause or "", row.source, row.confidence)
