"""Exact numbers as people read them."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Final

PRECISION: Final = Context(prec=34, rounding=ROUND_HALF_UP)
"""The context of every calculation here: more digits than any input has, whatever the thread's own context is."""

_SHOWN: Final = Decimal("0.000001")


def shown(number: Decimal) -> str:
    """A number for a line of arithmetic: no exponent, at most six decimals, no zeros at the end beyond the second."""
    if not number:
        return "0"
    cut = _decimals(number) > 6 and number.adjusted() < PRECISION.prec - 6
    text = format(number.quantize(_SHOWN, context=PRECISION) if cut else number, "f")
    while _decimals_of(text) > 2 and text.endswith("0"):
        text = text[:-1]
    return text


def _decimals(number: Decimal) -> int:
    exponent = number.as_tuple().exponent
    return -exponent if isinstance(exponent, int) else 0


def _decimals_of(text: str) -> int:
    return len(text.partition(".")[2])


def signed(number: Decimal) -> str:
    """`+ 5` or `- 5`, to be put into a sum."""
    return f"{'-' if number < 0 else '+'} {shown(abs(number))}"
