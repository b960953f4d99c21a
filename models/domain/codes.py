"""Public codes: unified social credit code (GB 32100-2015) and trade code (GB/T 4754)."""

from __future__ import annotations

import re
from typing import Final

USCC_ALPHABET: Final = "0123456789ABCDEFGHJKLMNPQRTUWXY"
"""The 31 characters of a unified social credit code: no I, O, S, V, Z."""

USCC_LENGTH: Final = 18
_USCC_WEIGHTS: Final = tuple(pow(3, place, 31) for place in range(USCC_LENGTH - 1))
_USCC_SHAPE: Final = re.compile(rf"[{USCC_ALPHABET}]{{2}}[0-9]{{6}}[{USCC_ALPHABET}]{{10}}")
_TRADE_SHAPE: Final = re.compile(r"([A-T]?)([0-9]{2})[0-9]{0,2}")

_SECTIONS: Final = (
    ("A", 1, 5),
    ("B", 6, 12),
    ("C", 13, 43),
    ("D", 44, 46),
    ("E", 47, 50),
    ("F", 51, 52),
    ("G", 53, 60),
    ("H", 61, 62),
    ("I", 63, 65),
    ("J", 66, 69),
    ("K", 70, 70),
    ("L", 71, 72),
    ("M", 73, 75),
    ("N", 76, 79),
    ("O", 80, 82),
    ("P", 83, 83),
    ("Q", 84, 85),
    ("R", 86, 90),
    ("S", 91, 96),
    ("T", 97, 97),
)


def uscc_check_character(body: str) -> str:
    """The 18th character for the first 17. Raises ValueError unless `body` is 17 characters of the alphabet."""
    if len(body) != len(_USCC_WEIGHTS):
        raise ValueError(f"a unified social credit code has 17 characters before its check character, not {len(body)}")
    total = sum(USCC_ALPHABET.index(c) * weight for c, weight in zip(body, _USCC_WEIGHTS, strict=True))
    return USCC_ALPHABET[-total % 31]


def uscc_has_shape(code: str) -> bool:
    """Whether `code` is 18 characters of the right kinds; says nothing about the check character."""
    return _USCC_SHAPE.fullmatch(code) is not None


def trade_section(code: str) -> str | None:
    """Section letter of a GB/T 4754 trade code of 2 to 4 digits, its own letter optional (`C3391`, `3391`, `33`).

    None where the code has another shape, its division does not exist, or its letter is that of another section.
    """
    match = _TRADE_SHAPE.fullmatch(code)
    if match is None:
        return None
    division = int(match[2])
    section = next((letter for letter, first, last in _SECTIONS if first <= division <= last), None)
    return section if match[1] in ("", section) else None
