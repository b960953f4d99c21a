"""The typeface of our pictures: one packaged font with Chinese, so that they look the same on a bare machine."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

from matplotlib.font_manager import FontProperties
from matplotlib.ft2font import FT2Font

FONT_FILE: Final = Path(__file__).parent / "fonts" / "NotoSansSC-subset.ttf"
"""Noto Sans SC Regular, a subset; licence and origin stand beside it."""


def typeface(size_pt: float) -> FontProperties:
    """The packaged font at a size, for the `fontproperties` of any text matplotlib draws."""
    return FontProperties(fname=str(FONT_FILE), size=size_pt)


def drawable(text: str) -> str:
    """The text with every character the font lacks as 〓, the printers' mark for a missing type."""
    known = _characters()
    return "".join(character if ord(character) in known else "〓" for character in text)


@cache
def _characters() -> frozenset[int]:
    return frozenset(FT2Font(str(FONT_FILE)).get_charmap())
