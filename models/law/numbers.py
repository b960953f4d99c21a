"""Exact numbers as people read them."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Final

PRECISION: Final = Context(prec=34, rounding=ROUND_HALF_UP)
"""The context of every calculation here: more digits than any input has, whatever the thread's own context is."""

_SHOWN: Final = Decimal("0.000001")
_MOST_DECIMALS: Final = 6
_LEAST_DECIMALS: Final = 2


def shown(number: Decimal) -> str:
    """A number for a line of arithmetic: no exponent, at most six decimals, no zeros at the end beyond the second."""
    if not number:
        return "0"
    text = format(number, "f")
    whole, _, decimals = text.partition(".")
    if len(decimals) > _MOST_DECIMALS and number.adjusted() < PRECISION.prec - _MOST_DECIMALS:
        text = format(number.quantize(_SHOWN, context=PRECISION), "f")
        whole, _, decimals = text.partition(".")
    if len(decimals) <= _LEAST_DECIMALS:
        return text
    return f"{whole}.{decimals[:_LEAST_DECIMALS]}{decimals[_LEAST_DECIMALS:].rstrip('0')}"


def signed(number: Decimal) -> str:
    """`+ 5` or `- 5`, to be put into a sum."""
    return f"{'-' if number < 0 else '+'} {shown(abs(number))}"
