"""Credit codes that check like real ones; the organisations behind them are invented."""

from __future__ import annotations

from typing import Final

from models.domain.codes import uscc_check_character
from models.simulated.shapes import Rng

_ORG_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_ORG_WEIGHTS: Final = (3, 7, 9, 10, 5, 8, 4, 2)
_LETTERS: Final = "ABCDEFGHJKLMNPQRTUWXY"
_BUSINESS: Final = "91"


def organisation_check_character(first_eight: str) -> str:
    """The ninth character of an organisation code (GB 11714): modulo 11, X for ten.

    Raises ValueError unless `first_eight` is eight digits or capital letters.
    """
    total = sum(w * _ORG_ALPHABET.index(c) for w, c in zip(_ORG_WEIGHTS, first_eight, strict=True))
    return {10: "X", 11: "0"}.get(11 - total % 11, str(11 - total % 11))


def draw_uscc(rng: Rng, district: str) -> str:
    """An 18-character unified social credit code of a business registered in a six-digit district."""
    digits = "".join(str(digit) for digit in rng.integers(0, 10, 5).tolist())
    organisation = f"MA{digits}{_LETTERS[int(rng.integers(len(_LETTERS)))]}"
    body = f"{_BUSINESS}{district}{organisation}{organisation_check_character(organisation)}"
    return body + uscc_check_character(body)
