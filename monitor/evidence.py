"""What binds a finding to the readings behind it."""

from __future__ import annotations

import hashlib

import numpy as np

from models.domain.windows import Window


def readings_digest(window: Window, position: int) -> str:
    """SHA-256 (hex) of one meter's readings in a window: meter, night, cadence, and every channel it carries.

    Values are little-endian bytes as the window holds them, NaN in one canonical form; channels in name order, those
    without any value left out, so that other meters of the window change nothing.
    """
    digest = hashlib.sha256()
    head = (window.meters[position], window.night.date.isoformat(), str(window.interval_s))
    digest.update("\x1f".join(head).encode())
    for name in sorted((*window.instants, *window.registers)):
        if name in window.instants:
            values = window.instants[name][position].astype("<f4")
        else:
            values = window.registers[name][position].astype("<f8")
        missing = np.isnan(values)
        if missing.all():
            continue
        values[missing] = np.nan
        digest.update(name.encode() + b"\x1e" + values.tobytes())
    digest.update(np.ascontiguousarray(window.flags[position]).tobytes())
    return digest.hexdigest()
