"""What the bureau billed against what follows from the flags: an exact list of what does not agree, and why."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from monitor.tariffs.billed import NOT_SURCHARGED, Billed
from monitor.tariffs.flag import FlagStatus

Row = dict[str, Any]
_FEN: Final = Decimal("0.01")


class Why(StrEnum):
    """In what the two do not agree."""

    UNKNOWN_ENTERPRISE = "unknown_enterprise"
    NOT_JUDGED = "not_judged"
    NOT_BILLED = "not_billed"
    BILLED_WITHOUT_FLAG = "billed_without_flag"
    CANNOT_BE_SAID = "cannot_be_said"
    CLASS = "class"
    SURCHARGE = "surcharge"
    KWH = "kwh"
    AMOUNT = "amount"
    OWN_ARITHMETIC = "own_arithmetic"


WHY_ZH: Final = {
    Why.UNKNOWN_ENTERPRISE: "登记簿中没有该企业",
    Why.NOT_JUDGED: "该期间尚未判定",
    Why.NOT_BILLED: "应加价而账单中没有",
    Why.BILLED_WITHOUT_FLAG: "账单已加价，判定为不加价",
    Why.CANNOT_BE_SAID: "账单已加价，判定尚无结论",
    Why.CLASS: "类别不一致",
    Why.SURCHARGE: "加价标准不一致",
    Why.KWH: "计费电量不一致",
    Why.AMOUNT: "加价金额不一致",
    Why.OWN_ARITHMETIC: "账单金额不等于其电量与加价标准之积",
}


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One enterprise and period. `difference_cny` = billed - computed, None where one of them is not known."""

    uscc: str
    name: str
    period: str
    row: int | None
    why: tuple[Why, ...]
    status: str
    billed_class: str | None
    computed_class: str | None
    billed_surcharge: Decimal | None
    computed_surcharge: Decimal | None
    billed_kwh: Decimal | None
    computed_kwh: Decimal | None
    billed_cny: Decimal | None
    computed_cny: Decimal | None
    difference_cny: Decimal | None
    rule: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """`agree`: rows in which nothing differs."""

    mismatches: tuple[Mismatch, ...]
    agree: int
    difference_cny: Decimal

    @property
    def is_clean(self) -> bool:
        """Whether nothing differs."""
        return not self.mismatches


def reconcile(
    billed: Sequence[Billed], flags: Iterable[Row], known: Collection[str], period: str | None = None
) -> Reconciliation:
    """Billed rows against flags of power as they stand (`standing` or a year's list), by enterprise and period.

    `known`: enterprises of the register. A flag that the file does not have is a mismatch for every period the file
    speaks of, and for `period`. Compared is what the file tells; nothing is rounded.
    """
    by_key: dict[tuple[str, str], list[Row]] = {}
    for row in flags:
        if row["subject"] == "power":
            by_key.setdefault((row["uscc"], row["period"]), []).append(row)
    found: list[Mismatch] = []
    agree = 0
    for one in billed:
        mismatch = _compare(one, by_key.pop((one.uscc, one.period), []), known)
        if mismatch is None:
            agree += 1
        else:
            found.append(mismatch)
    spoken = {one.period for one in billed} | {period}
    for (_, of), rows in by_key.items():
        charged = [row for row in rows if row["status"] == FlagStatus.FLAG]
        if of in spoken and charged:
            found.append(_missing(charged))
    found.sort(key=lambda one: (one.period, one.uscc))
    differences = [one.difference_cny for one in found if one.difference_cny is not None]
    return Reconciliation(tuple(found), agree, sum(differences, Decimal(0)))


def reconciliation_json(found: Reconciliation) -> Row:
    """The outcome for programs; numbers are text."""
    return {
        "agree": found.agree,
        "difference_cny": format(found.difference_cny, "f"),
        "mismatches": [
            {name: format(value, "f") if isinstance(value, Decimal) else value for name, value in asdict(one).items()}
            for one in found.mismatches
        ],
    }


def _compare(one: Billed, rows: Sequence[Row], known: Collection[str]) -> Mismatch | None:
    billed_cny = one.amount if one.amount is not None else _product(one.kwh, one.surcharge)
    charged = bool(one.surcharge) or bool(billed_cny) or (one.tier or "").casefold() not in NOT_SURCHARGED
    if not rows:
        if one.uscc not in known:
            return _mismatch(one, (), (Why.UNKNOWN_ENTERPRISE,), billed_cny)
        return _mismatch(one, (), (Why.NOT_JUDGED,), billed_cny) if charged else None
    flags = [row for row in rows if row["status"] == FlagStatus.FLAG]
    if not flags:
        if not charged:
            return None
        settled = all(row["status"] == FlagStatus.CLEAR for row in rows)
        return _mismatch(one, rows, (Why.BILLED_WITHOUT_FLAG if settled else Why.CANNOT_BE_SAID,), billed_cny)
    why = [Why.NOT_BILLED] if not charged else _differences(one, flags, billed_cny)
    if one.amount is not None and one.amount != (_product(one.kwh, one.surcharge) or one.amount):
        why.append(Why.OWN_ARITHMETIC)
    return _mismatch(one, rows, tuple(why), billed_cny) if why else None


def _differences(one: Billed, flags: Sequence[Row], billed_cny: Decimal | None) -> list[Why]:
    why = []
    if one.tier is not None and not any(_same_class(one.tier, row) for row in flags):
        why.append(Why.CLASS)
    if one.surcharge is not None and one.surcharge not in {_decimal(row["surcharge_cny_per_kwh"]) for row in flags}:
        why.append(Why.SURCHARGE)
    kwh = _total(flags, "kwh")
    if one.kwh is not None and kwh is not None and one.kwh != kwh:
        why.append(Why.KWH)
    computed = _total(flags, "amount_cny")
    if billed_cny is not None and computed is not None and billed_cny != computed:
        why.append(Why.AMOUNT)
    return why


def _same_class(billed: str, row: Row) -> bool:
    """The class as billed is the tier's name, its number with or without words, or the kind of price."""
    said = billed.strip().casefold()
    tier = (row["tier"] or "").casefold()
    if said == tier or said == (row["kind"] or "").casefold():
        return True
    digits = "".join(filter(str.isdigit, said))
    return bool(tier) and tier.isdigit() and digits == tier


def _missing(rows: Sequence[Row]) -> Mismatch:
    row = rows[0]
    amount = _total(rows, "amount_cny")
    return Mismatch(
        uscc=row["uscc"],
        name=row["name"],
        period=row["period"],
        row=None,
        why=(Why.NOT_BILLED,),
        status=row["status"],
        billed_class=None,
        computed_class=row["tier"],
        billed_surcharge=None,
        computed_surcharge=_decimal(row["surcharge_cny_per_kwh"]),
        billed_kwh=None,
        computed_kwh=_total(rows, "kwh"),
        billed_cny=Decimal(0),
        computed_cny=amount,
        difference_cny=None if amount is None else -amount,
        rule=row["rule"],
        reason=row["reason_zh"],
    )


def _mismatch(one: Billed, rows: Sequence[Row], why: tuple[Why, ...], billed_cny: Decimal | None) -> Mismatch:
    flags = [row for row in rows if row["status"] == FlagStatus.FLAG]
    row = next(iter(flags or rows), None)
    computed = _total(flags, "amount_cny") if flags else None
    if row is not None and not flags and all(other["status"] == FlagStatus.CLEAR for other in rows):
        computed = Decimal(0)
    paid = Decimal(0) if why == (Why.NOT_BILLED,) and billed_cny is None else billed_cny
    return Mismatch(
        uscc=one.uscc,
        name=(row["name"] if row is not None else "") or one.name,
        period=one.period,
        row=one.row,
        why=why,
        status="" if row is None else row["status"],
        billed_class=one.tier,
        computed_class=None if row is None else row["tier"],
        billed_surcharge=one.surcharge,
        computed_surcharge=None if row is None else _decimal(row["surcharge_cny_per_kwh"]),
        billed_kwh=one.kwh,
        computed_kwh=_total(flags, "kwh") if flags else None,
        billed_cny=paid,
        computed_cny=computed,
        difference_cny=None if paid is None or computed is None else paid - computed,
        rule=None if row is None else row["rule"],
        reason="" if row is None else row["reason_zh"],
    )


def _product(kwh: Decimal | None, surcharge: Decimal | None) -> Decimal | None:
    return None if kwh is None or surcharge is None else (kwh * surcharge).quantize(_FEN)


def _total(rows: Sequence[Row], name: str) -> Decimal | None:
    known = [_decimal(row[name]) for row in rows]
    numbers = [number for number in known if number is not None]
    return sum(numbers, Decimal(0)) if numbers and len(numbers) == len(known) else None


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
