"""Tariff hours of a night, from the register's calendar rows: configuration, never a constant."""

from __future__ import annotations

import datetime as dt

import numpy as np
from numpy.typing import NDArray

from models.domain.nights import DAY_S, Night
from models.domain.register import CalendarKind, CalendarRow, Register, TariffBand

VALLEY_BANDS = frozenset({TariffBand.VALLEY, TariffBand.DEEP_VALLEY})


def valley_mask(register: Register, night: Night, interval_s: int) -> NDArray[np.bool_] | None:
    """(n_slots,) True where the middle of the slot lies in a valley band; None where the calendar has no tariff.

    None too for a whole day, which has hours of every band.
    """
    if interval_s >= DAY_S:
        return None
    rows = [r for r in register.rows.calendar if r.kind is CalendarKind.TARIFF]
    days = (night.date, night.date + dt.timedelta(days=1))
    if not any(row.valid_on(day) for row in rows for day in days):
        return None
    step_ms = interval_s * 1000
    n_slots = (night.end_ms - night.start_ms) // step_ms
    middle_s = (night.start_ms + step_ms * np.arange(n_slots) + step_ms // 2) / 1000.0
    mask = np.zeros(n_slots, dtype=np.bool_)
    for i, stamp_s in enumerate(middle_s.tolist()):
        local = dt.datetime.fromtimestamp(stamp_s, register.zone)
        mask[i] = any(_inside(row, local) for row in rows if row.band in VALLEY_BANDS)
    return mask


def _inside(row: CalendarRow, local: dt.datetime) -> bool:
    if row.start is None or row.end is None or not row.valid_on(local.date()):
        return False
    now = local.time()
    if row.start <= row.end:
        return row.start <= now < row.end
    return now >= row.start or now < row.end
