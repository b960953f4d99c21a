"""Exact numbers as people read them."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Final

PRECISION: Final = Context(prec=34, rounding=ROUND_HALF_UP)
"""The context of every calculation here: more digits than any input has, whatever the thread's own context is."""

_SHOWN: Final = Decimal("0.000001")


def shown(number: Decimal) -> str:
    """A number for a line of arithmetic: at most six decimals, no exponent, as few zeros as it was written with."""
    exponent = number.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -6:
        number = number.quantize(_SHOWN, context=PRECISION).normalize()
    return format(number, "f") if number else "0"


def signed(number: Decimal) -> str:
    """`+ 5` or `- 5`, to be put into a sum."""
    return f"{'-' if number < 0 else '+'} {shown(abs(number))}"
