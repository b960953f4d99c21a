"""Fields of reports, read one by one: each takes what JSON gave and says what is wrong with it, exactly."""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from collections.abc import Callable, Collection, Sequence
from decimal import Decimal, InvalidOperation
from typing import Final, NoReturn

from connectors.adapters.builder import MAX_REV, BatchBuilder
from connectors.adapters.stamps import NO_OFFSET, rfc3339_ms, shown
from connectors.adapters.strict import Refused, StrictObject, parse
from models.domain.production import MAX_DECIMALS, MAX_QUANTITY, MAX_TEXT, Report
from models.domain.readings import ID_PATTERN, YEAR_2000_MS, YEAR_2100_MS, RejectReason

MAX_ROWS: Final = 5000
"""Reports in one message."""

_ID: Final = re.compile(ID_PATTERN.removesuffix("$"), re.ASCII)
_DATE: Final = re.compile(r"20\d{2}-\d{2}-\d{2}", re.ASCII)
_ENVELOPE: Final = frozenset({"v", "sent"})
_MAX_DIGITS: Final = 40
_UNSAFE: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


class WrongField(ValueError):  # noqa: N818 - reads as the condition it names
    """A report cannot be taken: `reason`, and what is wrong with which field."""

    def __init__(self, reason: RejectReason, detail: str) -> None:
        self.reason = reason
        super().__init__(detail)


def read_message(payload: bytes, builder: BatchBuilder, name: str, read: Callable[[StrictObject, str], Report]) -> None:
    """Read `{"v":1,"sent":…,name:[{…}]}`; each report by itself: one bad one never costs the others (rule D5)."""
    document = parse(payload, _exact)
    rows = document if isinstance(document, Refused) else _rows(document, name)
    if isinstance(rows, Refused):
        builder.reject(rows.reason, rows.detail)
        return
    for number, row in enumerate(rows):
        try:
            builder.report(number, read(_object(row), builder.publisher))
        except WrongField as wrong:
            builder.reject(wrong.reason, str(wrong), (number,))


def _exact(digits: str) -> object:
    """A number as it stands; what has more digits than any quantity is no number we take."""
    try:
        return Decimal(digits) if len(digits) <= _MAX_DIGITS else Decimal("Infinity")
    except InvalidOperation:
        return Decimal("Infinity")


def _rows(document: object, name: str) -> Sequence[object] | Refused:
    if not isinstance(document, StrictObject):
        return Refused(RejectReason.SCHEMA, "the message must be a JSON object")
    if document.repeated:
        return Refused(RejectReason.SCHEMA, f"field {shown(document.repeated)} of the message comes twice")
    version, sent, rows = document.get("v"), document.get("sent"), document.get(name)
    if type(version) is not int or version != 1:
        return Refused(RejectReason.SCHEMA, "v must be 1")
    if sent is not None and not isinstance(sent, str):
        return Refused(RejectReason.SCHEMA, "sent must be a string, RFC 3339")
    surplus = sorted(document.keys() - _ENVELOPE - {name})
    if surplus:
        return Refused(RejectReason.SCHEMA, f"unknown field {shown(surplus[0])} of the message")
    if not isinstance(rows, list) or not rows:
        return Refused(RejectReason.SCHEMA, f"{name} must be a list of at least one object")
    if len(rows) > MAX_ROWS:
        return Refused(RejectReason.SIZE, f"{len(rows)} reports in one message; at most {MAX_ROWS}")
    return rows


def _object(row: object) -> StrictObject:
    if not isinstance(row, StrictObject):
        _schema("a report must be an object")
    return row


def check_names(row: StrictObject, known: Collection[str], required: Collection[str]) -> None:
    """No field comes twice or is unknown, and none that is needed is missing; null stands for absent."""
    if row.repeated:
        _schema(f"field {shown(row.repeated)} comes twice")
    for name in row:
        if name not in known:
            _schema(f"unknown field {shown(name)}; known: {', '.join(known)}")
    for name in required:
        if row.get(name) is None:
            _schema(f"{name} is missing")


def identifier(row: StrictObject, name: str) -> str:
    """An id, "" where the field is absent."""
    value = row.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or _ID.fullmatch(value) is None:
        _schema(f"{name} {shown(value)} is not an id: 1 to 64 of A-Z a-z 0-9 . _ -, no mark first")
    return value


def text(row: StrictObject, name: str) -> str:
    """A short text people read, NFC, "" where the field is absent."""
    value = row.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        _schema(f"{name} must be a string")
    plain = unicodedata.normalize("NFC", value).strip()
    if not plain or len(plain) > MAX_TEXT or any(unicodedata.category(c) in _UNSAFE for c in plain):
        _schema(f"{name} {shown(value)} is not a text of 1 to {MAX_TEXT} characters without control characters")
    return plain


def flag(row: StrictObject, name: str) -> bool:
    """True or false; absent is false."""
    value = row.get(name)
    if value is not None and not isinstance(value, bool):
        _schema(f"{name} must be true or false")
    return bool(value)


def number(value: object, name: str) -> Decimal:
    """A JSON number as the exact decimal that was written, 5.0 as 5. Raises for what is not finite or has too many
    digits."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        _schema(f"{name} must be a JSON number")
    try:
        exact = value if isinstance(value, Decimal) else Decimal(value)
    except (InvalidOperation, ValueError, OverflowError):
        exact = Decimal("Infinity")
    if not exact.is_finite():
        raise WrongField(RejectReason.NUMBER, f"{name} is not a finite number of at most {_MAX_DIGITS} digits")
    exponent = exact.as_tuple().exponent
    if isinstance(exponent, int) and exact and -exponent > MAX_DECIMALS:
        raise WrongField(RejectReason.RANGE, f"{name} has more than {MAX_DECIMALS} decimals; round it")
    if abs(exact) > MAX_QUANTITY:
        raise WrongField(RejectReason.RANGE, f"{name} is beyond {MAX_QUANTITY:E}; check the unit")
    return Decimal(format(exact.normalize(), "f")) if exact else Decimal(0)


def quantity(row: StrictObject, name: str) -> Decimal | None:
    """A number not below zero, None where the field is absent."""
    value = row.get(name)
    if value is None:
        return None
    exact = number(value, name)
    if exact < 0:
        raise WrongField(RejectReason.RANGE, f"{name} is below zero")
    return exact


def revision(row: StrictObject) -> int:
    """The revision, 0 where none is given."""
    value = row.get("rev")
    if value is None:
        return 0
    if type(value) is not int:
        _schema("rev must be an integer")
    if not 0 <= value <= MAX_REV:
        raise WrongField(RejectReason.RANGE, f"rev is outside 0 to {MAX_REV}")
    return value


def date(row: StrictObject, name: str) -> dt.date:
    """A local date, `2026-03-31`."""
    value = row.get(name)
    if isinstance(value, str) and _DATE.fullmatch(value) is not None:
        try:
            return dt.date.fromisoformat(value)
        except ValueError:
            pass
    raise WrongField(RejectReason.PARSE, f"{name} {shown(value)} is not a date of 2000 to 2099, as in 2026-03-31")


def stamp_ms(row: StrictObject, name: str) -> int:
    """A moment: RFC 3339 with an offset, or integer milliseconds."""
    value = row.get(name)
    if isinstance(value, str):
        stamp = rfc3339_ms(value)
        if stamp is None:
            raise WrongField(RejectReason.PARSE, f"{name} {shown(value)} {NO_OFFSET}, as in 2026-03-02T23:15:00+08:00")
    elif isinstance(value, int) and not isinstance(value, bool):
        stamp = value
    else:
        _schema(f"{name} must be RFC 3339 or integer milliseconds")
    if stamp < YEAR_2000_MS:
        raise WrongField(RejectReason.TIME_OLD, f"{name} is before the year 2000; integers are milliseconds, UTC")
    if stamp >= YEAR_2100_MS:
        raise WrongField(RejectReason.TIME_FUTURE, f"{name} is after the year 2099; integers are milliseconds, UTC")
    return stamp


def _schema(detail: str) -> NoReturn:
    raise WrongField(RejectReason.SCHEMA, detail)
