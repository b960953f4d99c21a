"""Looking through the packs: rows as text, rows found by words, and what two sets of packs say differently."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from models.law.library import Law
from models.law.reading import digest_of
from models.law.rows import Identified
from models.law.sections import SECTIONS


@dataclass(frozen=True, slots=True)
class RowRef:
    """A row with its section and where it was read."""

    section: str
    row: Identified
    origin: str


def row_values(row: Identified) -> dict[str, Any]:
    """What a row says, without what it leaves open."""
    return row.model_dump(exclude_defaults=True, by_alias=True)


def rows_like(law: Law, *, section: str | None = None, words: tuple[str, ...] = ()) -> Iterator[RowRef]:
    """Rows of a section (or all) whose values hold every word, whatever its case."""
    for name in SECTIONS:
        if section not in (None, name):
            continue
        for row in law.rows.get(name, {}).values():
            text = " ".join(str(value) for value in row_values(row).values()).casefold()
            if all(word.casefold() in text for word in words):
                yield RowRef(name, row, law.origin(type(row), row.id))


def rows_named(law: Law, row_id: str) -> tuple[RowRef, ...]:
    """The rows of that id, one a section at most."""
    found = ((name, law.rows.get(name, {}).get(row_id)) for name in SECTIONS)
    return tuple(RowRef(name, row, law.origin(type(row), row_id)) for name, row in found if row is not None)


@dataclass(frozen=True, slots=True)
class Difference:
    """One row that two sets of packs do not have alike; `keys`: the keys that changed."""

    what: Literal["added", "removed", "changed"]
    section: str
    row_id: str
    keys: tuple[tuple[str, Any, Any], ...] = ()


def differences(old: Law, new: Law) -> tuple[Difference, ...]:
    """What `new` adds, removes and changes, by section and id."""
    found: list[Difference] = []
    for section in SECTIONS:
        before, after = old.rows.get(section, {}), new.rows.get(section, {})
        for row_id in dict.fromkeys([*before, *after]):
            if row_id not in after:
                found.append(Difference("removed", section, row_id))
            elif row_id not in before:
                found.append(Difference("added", section, row_id))
            elif keys := _changed(row_values(before[row_id]), row_values(after[row_id])):
                found.append(Difference("changed", section, row_id, keys))
    return tuple(found)


def _changed(before: dict[str, Any], after: dict[str, Any]) -> tuple[tuple[str, Any, Any], ...]:
    keys = dict.fromkeys([*before, *after])
    return tuple(
        (key, before.get(key), after.get(key))
        for key in keys
        if digest_of(before.get(key)) != digest_of(after.get(key))
    )
