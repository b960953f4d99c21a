"""What must hold between rows: no id valid twice at once, every reference met at some common date."""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from difflib import get_close_matches
from typing import Final

from models.domain.codes import USCC_LENGTH
from models.domain.register import CalendarKind, CalendarRow, Dated, Declared
from monitor.register.allocation_checks import allocation_faults
from monitor.register.cells import fault
from monitor.register.columns import REFERENCES, SPECS, Reference
from monitor.register.faults import CellError, CellFault
from monitor.register.parse import BrokenRow, ParsedSheet

_FOREVER: Final = dt.date.max
_NO_ID: Final = re.compile(r"[^A-Za-z0-9._-]")
_DECIMALS: Final = re.compile(r"\.0+$")
_NEAR_CANDIDATES: Final = 5_000
_GUESSED_FAULTS: Final = 200
"""How many broken references a sheet gets a guess for: a guess costs a search through the ids."""

Placed = tuple[int, Dated]


def check_rows(sheets: Mapping[str, ParsedSheet]) -> Mapping[str, list[CellFault]]:
    """Every fault between rows, by sheet. A row with faults of its own counts as present: one slip is told once."""
    faults: dict[str, list[CellFault]] = {}
    for name, sheet in sheets.items():
        found: list[CellFault] = []
        if sheet.spec.key is not None:
            found += _overlaps(sheet, sheet.spec.key)
        for reference in REFERENCES:
            if reference.sheet == name:
                found += _broken_references(sheet, reference, sheets.get(reference.target))
        if name == "calendar":
            found += _calendar_clashes(sheet)
        if name == "allocations":
            found += allocation_faults(sheet)
        if name == "declared":
            found += _declared_twice(sheet)
        faults[name] = found
    return faults


def _meet(one: Dated, other: Dated) -> bool:
    return one.valid_from < (other.valid_to or _FOREVER) and other.valid_from < (one.valid_to or _FOREVER)


def _overlaps(sheet: ParsedSheet, key: str) -> Iterator[CellFault]:
    dated = [*sheet.rows, *((number, row) for number, row in sheet.broken if row.dated and row.cells.get(key))]
    for same in _grouped(dated, key).values():
        if len(same) == 1:
            continue
        ordered = sorted(same, key=lambda placed: (placed[1].valid_from, placed[0]))
        longest = ordered[0]
        for placed in ordered[1:]:
            if _meet(longest[1], placed[1]):
                number, row = max(placed, longest, key=lambda p: p[0])
                other = min(placed, longest, key=lambda p: p[0])
                yield sheet.blame(number, key, _value(row, key), _valid_twice(_value(row, key), row, other))
            longest = max(longest, placed, key=lambda p: p[1].valid_to or _FOREVER)


def _grouped(rows: Sequence[Placed], key: str) -> Mapping[str, list[Placed]]:
    groups: dict[str, list[Placed]] = defaultdict(list)
    for placed in rows:
        groups[_value(placed[1], key)].append(placed)
    return groups


def _value(row: Dated, column: str) -> str:
    """An id in a row; empty where there is none or it is at fault."""
    return str((row.cells.get(column) if isinstance(row, BrokenRow) else getattr(row, column)) or "")


def _span(row: Dated) -> str:
    return f"{row.valid_from} … {row.valid_to or ''}".rstrip()


def _valid_twice(value: str, row: Dated, other: Placed) -> CellError:
    return fault(
        f"{value} is valid twice at once: here {_span(row)}, in row {other[0]} {_span(other[1])}",
        f"{value} 的有效期重叠：本行 {_span(row)}，第 {other[0]} 行 {_span(other[1])}",
        "End the earlier row with valid_to on the day the later one begins, or remove one of them",
        "请把较早一行的失效日期填为较晚一行的生效日期，或删除其中一行",
    )


def _broken_references(sheet: ParsedSheet, reference: Reference, target: ParsedSheet | None) -> Iterator[CellFault]:
    if target is not None and not target.whole:
        return
    column = reference.column
    spec = SPECS[reference.target]
    known = _grouped(target.rows, spec.key or "") if target is not None else {}
    broken = {row.key for _, row in target.broken} if target is not None else set()
    rows = [*sheet.rows, *sheet.broken]
    if not known and not broken:
        first = min(((number, _value(row, column)) for number, row in rows if _value(row, column)), default=None)
        if first is not None:
            yield sheet.blame(first[0], column, first[1], _empty_target(reference))
        return
    unread = [row.key for _, row in target.broken if not row.cells.get(spec.key or "")] if target is not None else []
    present = known.keys() | broken
    guesses = 0
    for number, row in rows:
        value = _value(row, column)
        if not value or value in broken:
            continue
        versions = known.get(value)
        if versions is None:
            guesses += 1
            if guesses <= _GUESSED_FAULTS and any(_meant(value, key) for key in unread[:_GUESSED_FAULTS]):
                continue
            near = _nearest(value, present) if guesses <= _GUESSED_FAULTS else None
            yield sheet.blame(number, column, value, _no_such(value, reference, near))
        elif not any(_meet(row, version) for _, version in versions):
            yield sheet.blame(number, column, value, _never_together(value, row, reference, versions))


def _meant(value: str, unreadable: str) -> bool:
    """Whether a key that could not be read is `value` with a slip: signs it may not have, or one character wrong."""
    legible = _DECIMALS.sub("", _NO_ID.sub("", unicodedata.normalize("NFKC", unreadable))).upper()
    if legible == value.upper() or len(value) != USCC_LENGTH:
        return legible == value.upper()
    if len(legible) == USCC_LENGTH:
        return sum(a != b for a, b in zip(legible, value, strict=True)) == 1
    return any(value[:place] + value[place + 1 :] == legible for place in range(USCC_LENGTH))


def _nearest(value: str, known: AbstractSet[str]) -> str | None:
    bare = value.lstrip("0")
    for zeros in range(1, 9):
        padded = "0" * zeros + bare
        if padded in known and padded != value:
            return padded
    if bare and bare in known:
        return bare
    if len(known) > _NEAR_CANDIDATES:
        return None
    return next(iter(get_close_matches(value, known, n=1, cutoff=0.75)), None)


def _no_such(value: str, reference: Reference, near: str | None) -> CellError:
    target = SPECS[reference.target]
    hint_en, hint_zh = f"Correct it, or add the row to {target.name}", f"请更正，或在“{target.label_zh}”中补充该行"
    if near is not None and near.lstrip("0") == value.lstrip("0"):
        hint_en = f"Meant {near}? Leading zeros get lost where a spreadsheet takes an id for a number"
        hint_zh = f"是否为 {near}？编号被电子表格当作数字时会丢失前导零"
    elif near is not None:
        hint_en = f"Meant {near}? Else add the row to {target.name}"
        hint_zh = f"是否为 {near}？否则请在“{target.label_zh}”中补充"
    return fault(f"{target.name} has no {value}", f"“{target.label_zh}”中没有 {value}", hint_en, hint_zh)


def _empty_target(reference: Reference) -> CellError:
    target = SPECS[reference.target]
    return fault(
        f"{reference.sheet} refer to {target.name}, which is missing or empty",
        f"“{SPECS[reference.sheet].label_zh}”引用了“{target.label_zh}”，但该表缺失或为空",
        f"Fill the sheet {target.name} ({target.name}.csv)",
        f"请填写“{target.label_zh}”（{target.name}.csv）",
    )


def _never_together(value: str, row: Dated, reference: Reference, versions: Sequence[Placed]) -> CellError:
    target = SPECS[reference.target]
    spans = "; ".join(_span(version) for _, version in versions[:3])
    return fault(
        f"{value} of {target.name} is never valid together with this row: it holds {spans}, this row {_span(row)}",
        f"“{target.label_zh}”中的 {value} 与本行没有共同的有效期：其为 {spans}，本行为 {_span(row)}",
        "Correct the dates of one of the two",
        "请更正其中一方的日期",
    )


def _declared_twice(sheet: ParsedSheet) -> Iterator[CellFault]:
    groups: dict[tuple[str, str, str], list[tuple[int, Declared]]] = defaultdict(list)
    for number, row in sheet.rows:
        if isinstance(row, Declared):
            groups[row.uscc, row.line, row.fact].append((number, row))
    for rows in groups.values():
        for index, (number, row) in enumerate(rows):
            other = next((placed for placed in rows[:index] if _meet(row, placed[1])), None)
            if other is not None:
                yield sheet.blame(number, "fact", row.fact, _valid_twice(row.fact, row, other))


def _calendar_clashes(sheet: ParsedSheet) -> Iterator[CellFault]:
    groups: dict[dt.date | str, list[tuple[int, CalendarRow]]] = defaultdict(list)
    for number, row in sheet.rows:
        if isinstance(row, CalendarRow):
            subject = row.name if row.kind is CalendarKind.TARIFF else row.day
            groups[subject if subject is not None else ""].append((number, row))
    for rows in groups.values():
        for index, (number, row) in enumerate(rows):
            clash = next((n for n, other in rows[:index] if _meet(row, other) and _contradict(row, other)), None)
            if clash is not None and row.kind is CalendarKind.TARIFF:
                yield sheet.blame(number, "start", row.start, _same_hours(clash))
            elif clash is not None:
                yield sheet.blame(number, "day", row.day, _same_day(row.day, clash))


def _contradict(one: CalendarRow, other: CalendarRow) -> bool:
    """Whether two rows of one tariff share an hour; two rows of one day always contradict or repeat each other."""
    if one.kind is not CalendarKind.TARIFF:
        return True
    return any(a < d and c < b for a, b in _stretches(one) for c, d in _stretches(other))


def _stretches(row: CalendarRow) -> tuple[tuple[dt.time, dt.time], ...]:
    if row.start is None or row.end is None:
        return ()
    if row.start < row.end:
        return ((row.start, row.end),)
    return ((row.start, dt.time.max), (dt.time.min, row.end))


def _same_day(day: dt.date | None, first: int) -> CellError:
    return fault(
        f"{day} is already in row {first}",
        f"{day} 已在第 {first} 行填写",
        "Keep one of the rows: a day is either a holiday or a working day",
        "请只保留一行：同一天只能是节假日或工作日之一",
    )


def _same_hours(first: int) -> CellError:
    return fault(
        f"the hours overlap those of row {first} of the same tariff",
        f"与第 {first} 行同一电价的时段重叠",
        "Correct start or end, or name the two tariffs differently",
        "请更正开始或结束时间；若为两种电价请分别命名",
    )
