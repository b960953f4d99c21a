"""What other rule packs would change of what is stored: one change a statement, with both sides and the rows behind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

import msgspec

from models.law.browse import Difference, differences
from models.law.library import Law
from models.law.limit_rows import Limit, Standard
from models.law.rows import Cited
from models.law.sections import SECTIONS
from models.law.tariff_rows import TariffRule
from monitor.intensity.judging import Judged
from monitor.tariffs.flag import Flag, FlagStatus, FlagSubject

Used = frozenset[tuple[str, str]]
"""Rows a statement rests on: section and id."""

MOST_KEYS: Final = 8
"""Changed keys of a row that are told; more are counted."""

MOST_OTHER: Final = 5
"""Rows told where none bears on a statement by name."""


class What(StrEnum):
    """What becomes of a statement: one against an enterprise appears or vanishes; anything else of it changes."""

    APPEARS = "appears"
    VANISHES = "vanishes"
    CHANGES = "changes"


class Side(msgspec.Struct, frozen=True, omit_defaults=True):
    """A statement under one set of packs. Numbers are text so that no digit is lost; None: none, or not known."""

    status: str
    result: str
    reason_zh: str
    reason_en: str
    row: str | None = None
    actual: str | None = None
    limit: str | None = None
    unit: str = ""
    tier: str | None = None
    surcharge_cny_per_kwh: str | None = None
    amount_cny: str | None = None
    citations: tuple[str, ...] = ()


class Because(msgspec.Struct, frozen=True, omit_defaults=True):
    """A row that the packs do not have alike. `keys`: key, before, after; `where`: file and line; `source`: its own."""

    what: str
    section: str
    id: str
    where: str
    source: str = ""
    keys: tuple[tuple[str, str, str], ...] = ()
    more_keys: int = 0


class Change(msgspec.Struct, frozen=True, omit_defaults=True):
    """What becomes of one statement. `kind`: `limit` (with `product` and `metric`), `power` (surcharge) or `water`."""

    what: What
    kind: str
    uscc: str
    name: str
    period: str
    before: Side | None
    after: Side | None
    because: tuple[Because, ...]
    product: str = ""
    metric: str = ""


class Differing:
    """The rows two laws do not have alike, and which of them bear on a statement."""

    def __init__(self, old: Law, new: Law) -> None:
        self.old, self.new = old, new
        self.rows: tuple[Difference, ...] = differences(old, new)

    def behind(self, used: Used, industry: str, product: str = "") -> tuple[Because, ...]:
        """Rows that differ among those used; else rows for the same product or industry; else the first few."""
        named = [one for one in self.rows if (one.section, one.row_id) in used]
        named += [one for one in self.rows if one not in named and self._concerns(one, industry, product)]
        return tuple(self._told(one) for one in named or self.rows[:MOST_OTHER])

    def _concerns(self, one: Difference, industry: str, product: str) -> bool:
        """Whether a row that came or went is for the case: it may be what stood before, or stands now."""
        if one.what == "changed":
            return False
        row = (self.new if one.what == "added" else self.old).rows[one.section][one.row_id]
        match row:
            case Limit():
                return bool(product) and row.product == product
            case Standard():
                law = self.new if one.what == "added" else self.old
                mine = law.limits_by_product.get((industry, product), ())
                return any(limit.standard == row.id for limit in mine)
            case TariffRule():
                return not product and row.concerns(industry)
            case _:
                return False

    def _told(self, one: Difference) -> Because:
        law = self.old if one.what == "removed" else self.new
        row = law.rows[one.section][one.row_id]
        keys = tuple((key, _text(before), _text(after)) for key, before, after in one.keys)
        return Because(
            what=one.what,
            section=one.section,
            id=one.row_id,
            where=law.origin(SECTIONS[one.section], one.row_id),
            source=row.source if isinstance(row, Cited) else "",
            keys=keys[:MOST_KEYS],
            more_keys=max(0, len(keys) - MOST_KEYS),
        )


def limit_changes(
    before: Sequence[Judged], after: Sequence[Judged], names: str, differing: Differing
) -> Iterator[Change]:
    """What becomes of an enterprise's limit verdicts of one period; `names`: what the enterprise is called."""
    old = {(one.product, one.metric): one for one in before}
    new = {(one.product, one.metric): one for one in after}
    for key in dict.fromkeys([*old, *new]):
        was, now = old.get(key), new.get(key)
        sides = (None if was is None else limit_side(was), None if now is None else limit_side(now))
        if sides[0] == sides[1]:
            continue
        one = now or was
        assert one is not None  # noqa: S101  # the key came from one of the two
        used = frozenset().union(*(_limit_rows(side) for side in (was, now) if side is not None))
        yield Change(
            what=_what(was is not None and was.status == "exceeds", now is not None and now.status == "exceeds"),
            kind="limit",
            uscc=one.uscc,
            name=names,
            period=one.period.name,
            before=sides[0],
            after=sides[1],
            because=differing.behind(used, one.industry, one.product),
            product=one.product,
            metric=one.metric,
        )


def flag_changes(
    before: Iterable[Flag], after: Iterable[Flag], behind_figures: Sequence[Because], differing: Differing
) -> Iterator[Change]:
    """What becomes of an enterprise's flags of one period.

    `behind_figures`: rows behind changed limit verdicts of the enterprise, from which a surcharge may follow.
    """
    old, new = {flag.subject: flag for flag in before}, {flag.subject: flag for flag in after}
    for subject in FlagSubject:
        was, now = old.get(subject), new.get(subject)
        sides = (None if was is None else flag_side(was), None if now is None else flag_side(now))
        if sides[0] == sides[1]:
            continue
        one = now or was
        assert one is not None  # noqa: S101  # there is one, or both sides are None
        used = frozenset().union(*(_flag_rows(side) for side in (was, now) if side is not None))
        own = [row for row in differing.behind(used, one.industry) if (row.section, row.id) in used] or None
        because = (*(own or ()), *behind_figures) or differing.behind(used, one.industry)
        yield Change(
            what=_what(_charged(was), _charged(now)),
            kind=subject.value,
            uscc=one.uscc,
            name=one.name,
            period=one.period,
            before=sides[0],
            after=sides[1],
            because=tuple(dict.fromkeys(because)),
        )


def limit_side(judged: Judged) -> Side:
    """A limit verdict as a side."""
    verdict = judged.verdict
    return Side(
        status=judged.status,
        result=judged.result,
        reason_zh=judged.reason.zh,
        reason_en=judged.reason.en,
        row=None if verdict.limit_row is None else verdict.limit_row.id,
        actual=_number(verdict.actual),
        limit=_number(verdict.corrected_limit),
        unit=verdict.unit or "",
        citations=tuple(f"{one.document} {one.clause} [{one.confidence}]" for one in verdict.citations),
    )


def flag_side(flag: Flag) -> Side:
    """A flag as a side."""
    return Side(
        status=flag.status.value,
        result=flag.status.value,
        reason_zh=flag.reason_zh,
        reason_en=flag.reason_en,
        row=flag.rule,
        actual=_number(flag.actual),
        limit=_number(flag.limit),
        unit=flag.unit,
        tier=flag.tier,
        surcharge_cny_per_kwh=_number(flag.surcharge_cny_per_kwh),
        amount_cny=_number(flag.amount_cny),
        citations=tuple(f"{one.document} {one.clause} [{one.confidence}]" for one in flag.citations),
    )


def counted(changes: Iterable[Change]) -> dict[str, dict[str, int]]:
    """Numbers of changes by kind, then by what becomes of them; zeros stand there too."""
    found = Counter((one.kind, one.what) for one in changes)
    return {kind: {what.value: found[kind, what] for what in What} for kind in ("limit", "power", "water")}


def _what(was: bool, now: bool) -> What:  # noqa: FBT001  # two sides of the same question
    if was == now:
        return What.CHANGES
    return What.APPEARS if now else What.VANISHES


def _charged(flag: Flag | None) -> bool:
    return flag is not None and flag.status is FlagStatus.FLAG


def _limit_rows(judged: Judged) -> Used:
    verdict = judged.verdict
    rows: set[tuple[str, str]] = set()
    if verdict.limit_row is not None:
        rows.add(("limit", verdict.limit_row.id))
        rows |= {("correction", name) for name in verdict.limit_row.corrections}
    if verdict.standard is not None:
        rows.add(("standard", verdict.standard.id))
    return frozenset(rows)


def _flag_rows(flag: Flag) -> Used:
    rules: Collection[str | None] = {flag.rule, *(part.rule for part in flag.parts)}
    return frozenset(("rule", rule) for rule in rules if rule is not None)


def _number(value: Decimal | None) -> str | None:
    return None if value is None else format(value, "f")


def _text(value: Any) -> str:
    """A value of a row on one line."""
    match value:
        case None:
            return "-"
        case Decimal():
            return format(value, "f")
        case tuple() | list():
            return "[" + ", ".join(_text(part) for part in value) + "]"
        case dict():
            return "{" + ", ".join(f"{key} = {_text(part)}" for key, part in value.items()) + "}"
        case _:
            return str(value)
