"""A pack file becomes rows, or faults with file and line: all of them, not the first."""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cached_property
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from models.law.faults import LawFault, dotted, nearest
from models.law.lines import Path as KeyPath
from models.law.lines import key_lines, line_of
from models.law.rows import Identified, KeyFault, Row, RowId, Text

M = TypeVar("M", bound=BaseModel)
Found = tuple[KeyPath, str, str]
"""A fault before its line is known: the key's path, the problem, the remedy."""

_TOML_PLACE: Final = re.compile(r"\(at line (\d+), column \d+\)")


class PackHeader(Row):
    """The `[pack]` table of a file. `version` is the maintainers' own; the digest tells contents apart."""

    id: RowId
    version: Text
    title_zh: Text
    title_en: Text
    replaces: RowId | None = None
    """The pack that this whole file takes the place of."""


@dataclass(frozen=True)
class PackFile:
    """One file read: its header, its rows by section in the order written, ids of rows that were refused."""

    name: str
    text: str
    header: PackHeader
    rows: Mapping[str, tuple[tuple[int, Identified], ...]]
    refused: frozenset[str]
    digest: str

    @cached_property
    def lines(self) -> Mapping[KeyPath, int]:
        """Line of every key; made only when a fault must be told."""
        return key_lines(self.text)

    def fault(self, path: Sequence[str | int], problem: str, remedy: str) -> LawFault:
        """A fault at a key of this file."""
        return LawFault(self.name, line_of(self.lines, path), dotted(path), problem, remedy)


def parsed(name: str, data: bytes) -> tuple[dict[str, Any], str, LawFault | None]:
    """The document of a TOML file, its numbers exact, and its text; or the fault for which it cannot be read."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        return {}, "", LawFault(name, line, "", "not UTF-8 text", "Save the file as UTF-8.")
    try:
        return tomllib.loads(text, parse_float=Decimal), text, None
    except tomllib.TOMLDecodeError as error:
        return {}, text, _broken(name, text, str(error))


def placed(name: str, text: str, found: Sequence[Found]) -> list[LawFault]:
    """Faults with the lines they stand on."""
    lines = key_lines(text) if found else {}
    return [LawFault(name, line_of(lines, path), dotted(path), problem, remedy) for path, problem, remedy in found]


def read_pack(
    name: str, data: bytes, sections: Mapping[str, type[Identified]]
) -> tuple[PackFile | None, list[LawFault]]:
    """Read one file. `sections` tells the row type of each array of tables; None where the header cannot be used."""
    document, text, broken = parsed(name, data)
    if broken is not None:
        return None, [broken]
    found: list[Found] = []
    known = {"pack", *sections}
    found += [((key,), "unknown table", nearest(key, known)) for key in document if key not in known]
    header = validated(PackHeader, document.get("pack", {}), ("pack",), found)
    rows: dict[str, tuple[tuple[int, Identified], ...]] = {}
    for section, model in sections.items():
        if section in document:
            rows[section] = _section(document[section], section, model, found)
    faults = placed(name, text, found)
    if header is None:
        return None, faults
    return PackFile(name, text, header, rows, _refused(document, rows), digest_of(document)), faults


def _refused(document: Mapping[str, Any], rows: Mapping[str, tuple[tuple[int, Identified], ...]]) -> frozenset[str]:
    """The ids of written rows that are not among those taken: who refers to them is not at fault."""
    taken = {(section, index) for section, found in rows.items() for index, _ in found}
    return frozenset(
        str(table["id"])
        for section, tables in document.items()
        if isinstance(tables, list)
        for index, table in enumerate(tables)
        if isinstance(table, Mapping) and "id" in table and (section, index) not in taken
    )


def digest_of(document: Any) -> str:
    """SHA-256 of what a pack says: spaces, comments, the order of keys and 5 or 5.0 make no difference."""
    canonical = json.dumps(_plain(document), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("utf-8")).hexdigest()


def _plain(value: Any) -> Any:
    match value:
        case bool() | str() | None:
            return value
        case int() | Decimal():
            number = Decimal(value)
            return [
                "n",
                format(number.normalize() if number else Decimal(0), "f") if number.is_finite() else str(number),
            ]
        case date():
            return value.isoformat()
        case Mapping():
            return {key: _plain(part) for key, part in value.items()}
        case list() | tuple():
            return [_plain(part) for part in value]
        case _:
            return str(value)


def _section(
    tables: Any, section: str, model: type[Identified], found: list[Found]
) -> tuple[tuple[int, Identified], ...]:
    if not isinstance(tables, list):
        found.append(((section,), "a single table", f"Write it with two brackets: [[{section}]]."))
        return ()
    rows = ((index, validated(model, table, (section, index), found)) for index, table in enumerate(tables))
    return tuple((index, row) for index, row in rows if row is not None)


def validated(model: type[M], table: Any, path: KeyPath, found: list[Found]) -> M | None:
    """The row a table is, or None and its faults added to `found`."""
    try:
        return model.model_validate(table)
    except ValidationError as error:
        for details in _apart(error.errors(include_url=False)):
            key, problem, remedy = _told(details, model)
            found.append(((*path, *key), problem, remedy))
        return None


def _apart(errors: Sequence[ErrorDetails]) -> list[ErrorDetails]:
    """Without "too short" of a list whose rows were refused: those are told by themselves."""
    places = [error["loc"] for error in errors]
    return [
        error
        for error in errors
        if error["type"] != "too_short"
        or not any(len(place) > len(error["loc"]) and place[: len(error["loc"])] == error["loc"] for place in places)
    ]


def _told(details: ErrorDetails, model: type[BaseModel]) -> tuple[KeyPath, str, str]:
    loc: KeyPath = tuple(part for part in details["loc"] if not str(part).startswith("function-"))
    match details["type"]:
        case "extra_forbidden":
            return loc, "unknown key", nearest(str(loc[-1]), _keys(model, loc[:-1]))
        case "missing":
            if loc[-1:] == ("source",):
                return loc, "a value without a source", 'Name the page, notice or file it was read in: source = "...".'
            return loc, "missing", "Give it a value."
        case "literal_error":
            allowed = details["ctx"]["expected"]
            return loc, f"unknown value {_shown(details['input'])}", f"It is one of: {allowed}."
        case "value_error":
            error = details["ctx"]["error"]
            problem, _, remedy = str(error).partition(". ")
            if isinstance(error, KeyFault):
                loc = (*loc, error.key)
            remedy = remedy or "Correct the value."
            return loc, problem.rstrip("."), remedy if remedy.endswith((".", "?")) else f"{remedy}."
        case _:
            problem = details["msg"][:1].lower() + details["msg"][1:]
            return loc, f"{problem}, got {_shown(details['input'])}", "Correct the value."


def _shown(value: Any) -> str:
    text = str(value) if isinstance(value, Decimal) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _keys(model: type[BaseModel], loc: Sequence[str | int]) -> list[str]:
    found: type[BaseModel] | None = model
    for part in loc:
        if isinstance(part, int) or found is None:
            continue
        field = found.model_fields.get(part)
        found = _model_of(field.annotation) if field is not None else None
    return [field.alias or name for name, field in found.model_fields.items()] if found is not None else []


def _model_of(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for part in getattr(annotation, "__args__", ()):
        if (found := _model_of(part)) is not None:
            return found
    return None


def _broken(name: str, text: str, message: str) -> LawFault:
    place = _TOML_PLACE.search(message)
    line = int(place.group(1)) if place else text.count("\n") + 1
    problem = _TOML_PLACE.sub("", message).strip().rstrip(".")
    return LawFault(name, line, "", f"not TOML: {problem}", "Correct the line, or the one above it.")
