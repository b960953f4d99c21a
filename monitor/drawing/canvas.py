"""Figures into bytes that are the same wherever and whenever they are drawn: no dates, no random ids."""

from __future__ import annotations

import io
import threading
from typing import Any, Final

import matplotlib as mpl
from matplotlib.figure import Figure

PNG_DPI: Final = 110
_SETTINGS: Final[Any] = {
    "svg.hashsalt": "gridwarden",
    "svg.fonttype": "path",
    "path.simplify": False,
    "axes.unicode_minus": False,
}
_ONE_AT_A_TIME: Final = threading.Lock()
"""matplotlib keeps settings and font caches for the whole process."""


def png_bytes(figure: Figure) -> bytes:
    """The figure as PNG without metadata."""
    out = io.BytesIO()
    with _ONE_AT_A_TIME, mpl.rc_context(_SETTINGS):
        figure.savefig(out, format="png", dpi=PNG_DPI, metadata={"Software": None})
    return out.getvalue()


def svg_bytes(figure: Figure) -> bytes:
    """The figure as SVG; letters are outlines, so that no font is needed to look at it."""
    out = io.BytesIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with _ONE_AT_A_TIME, mpl.rc_context(_SETTINGS):
        figure.savefig(out, format="svg", metadata=nothing)
    return out.getvalue()
