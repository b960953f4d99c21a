"""Memory that was freed goes back to the system: the C library keeps it otherwise, after work on millions of things."""

from __future__ import annotations

import ctypes


def give_back() -> None:
    """Hand freed memory back; some milliseconds. Nothing where the C library has no way to (musl, macOS)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
