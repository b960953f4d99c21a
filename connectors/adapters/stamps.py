"""Stamps on the wire: RFC 3339 with an offset, or integer milliseconds. Nothing about unit or zone is guessed."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray

from models.domain.readings import RejectReason

_RFC3339: Final = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:[Zz]|[+-]\d{2}:\d{2})", re.ASCII)
_MAX_KEPT: Final = 65_536
_kept: dict[str, int] = {}

UNREADABLE_MS: Final = -(1 << 63)
"""Stands in a column where a stamp could not be read; always listed among the faults as well."""

NO_OFFSET: Final = "is not RFC 3339 with an offset"
"""What a refusal says of a stamp whose zone is not known."""

_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_ONE_MS: Final = dt.timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Fault:
    """One unusable element of a column: its position, why, and what was wrong with it."""

    position: int
    reason: RejectReason
    detail: str


def shown(text: object) -> str:
    """Untrusted text for a message to people: quoted, ASCII only, at most 60 characters of it."""
    told = ascii(text[:60] if isinstance(text, str) else text)
    return told if len(told) <= 62 else told[:60] + "..."


def rfc3339_ms(text: str) -> int | None:
    """Unix milliseconds of a stamp with an offset, fractions cut to milliseconds; None when it is not one."""
    known = _kept.get(text)
    if known is not None:
        return known
    if _RFC3339.fullmatch(text) is None:
        return None
    try:
        moment = dt.datetime.fromisoformat(text.upper().replace(" ", "T"))
        stamp_ms = (moment - _EPOCH) // _ONE_MS
    except (ValueError, OverflowError):
        return None
    if len(_kept) >= _MAX_KEPT:
        _kept.clear()
    _kept[text] = stamp_ms
    return stamp_ms


def stamp_column(values: Sequence[int | str]) -> tuple[NDArray[np.int64], list[Fault]]:
    """Unix milliseconds (n,) of the stamps of n readings, and a fault for each that cannot be read."""
    kinds = set(map(type, values))
    if kinds == {str}:
        texts = cast("Sequence[str]", values)
        kept = list(map(_kept.get, texts))
        if None in kept:
            for unseen in set(texts).difference(_kept):
                rfc3339_ms(unseen)
            kept = list(map(_kept.get, texts))
        if None not in kept:
            return np.array(kept, dtype=np.int64), []
    elif kinds == {int}:
        try:
            return np.fromiter(cast("Sequence[int]", values), np.int64, len(values)), []
        except OverflowError:
            pass
    return _stamp_by_stamp(values)


def _stamp_by_stamp(values: Sequence[int | str]) -> tuple[NDArray[np.int64], list[Fault]]:
    stamps = np.full(len(values), UNREADABLE_MS, dtype=np.int64)
    faults: list[Fault] = []
    for position, value in enumerate(values):
        if isinstance(value, str):
            stamp_ms = rfc3339_ms(value)
            if stamp_ms is not None:
                stamps[position] = stamp_ms
            else:
                detail = f"ts {shown(value)} {NO_OFFSET}, as in 2026-03-02T23:15:00+08:00"
                faults.append(Fault(position, RejectReason.PARSE, detail))
        elif -(1 << 63) < value < (1 << 63):
            stamps[position] = value
        else:
            faults.append(Fault(position, RejectReason.NUMBER, "ts is an integer beyond 63 bits"))
    return stamps, faults


def integer_column(values: Sequence[int], name: str) -> tuple[NDArray[np.int64], list[Fault]]:
    """Integers (n,), and a fault for each beyond 63 bits; 0 stands in its place."""
    try:
        return np.array(values, dtype=np.int64), []
    except OverflowError:
        pass
    fits = [-(1 << 63) <= value < (1 << 63) for value in values]
    faults = [
        Fault(position, RejectReason.NUMBER, f"{name} is an integer beyond 63 bits")
        for position, fit in enumerate(fits)
        if not fit
    ]
    return np.array([v if fit else 0 for v, fit in zip(values, fits, strict=True)], dtype=np.int64), faults
