"""Energy of an interval, and dates of whole days, in files: declared by the names of their columns, never guessed.

`energy_kwh` is what was drawn in the interval that `interval_s` names; it becomes the interval's mean power. `date`
stands in place of `ts` for the energy of a local calendar day: the reading ends with that day.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

ENERGY: Final = "energy_kwh"
DATE: Final = "date"

_DATE_TEXT: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def fault_of_names(names: list[str]) -> str:
    """What is wrong with the columns beside an `energy_kwh` or `date`, with the remedy; empty where nothing is."""
    if ENERGY in names and "p_mean_kw" in names:
        return f"columns {ENERGY} and p_mean_kw say the same twice; keep one"
    if ENERGY in names and DATE not in names and "interval_s" not in names:
        return f"column {ENERGY} needs to know of how long: add interval_s (86400 for a day), or {DATE} in place of ts"
    if DATE not in names:
        return ""
    for other in ("ts", "interval_s"):
        if other in names:
            return f"column {DATE} names a whole day; leave out {other}"
    if ENERGY not in names:
        return f"column {DATE} goes with {ENERGY} alone: other values need the stamp they were taken at, ts"
    return ""


def days_ms(column: pa.Array, zone: ZoneInfo) -> tuple[pa.Array, NDArray[np.bool_]]:
    """The local midnight that ends each day, Unix ms, and where there is no date.

    Takes dates, or text YYYY-MM-DD; raises TypeError for another type.
    """
    if pa.types.is_date(column.type):
        known = [_end_ms(day, zone) if day is not None else None for day in column.to_pylist()]
        stamps = pa.array(known, pa.int64())
    elif pa.types.is_string(column.type):
        encoded = column.dictionary_encode()
        read = [_end_ms(_day(text), zone) for text in encoded.dictionary.to_pylist()]
        stamps = pa.array(read, pa.int64()).take(encoded.indices)
    else:
        raise TypeError("days must be dates, or text such as 2026-03-02")
    missing: NDArray[np.bool_] = stamps.is_null().to_numpy(zero_copy_only=False)
    return stamps, missing


def mean_kw(energy_kwh: pa.Array, interval_s: pa.Array) -> tuple[pa.Array, NDArray[np.bool_]]:
    """Mean power over the interval, kW, null where there is no energy; and where an energy has no interval."""
    energy = energy_kwh.to_numpy(zero_copy_only=False).astype(np.float64)
    seconds = interval_s.fill_null(0).to_numpy(zero_copy_only=False).astype(np.float64)
    known = seconds > 0.0
    power_kw = np.where(known, energy * 3600.0 / np.where(known, seconds, 1.0), np.nan)
    unfit: NDArray[np.bool_] = ~known & np.isfinite(energy)
    return pa.array(power_kw, mask=np.isnan(power_kw)), unfit


def _day(text: str | None) -> dt.date | None:
    if text is None or _DATE_TEXT.fullmatch(text.strip()) is None:
        return None
    try:
        return dt.date.fromisoformat(text.strip())
    except ValueError:
        return None


def _end_ms(day: dt.date | None, zone: ZoneInfo) -> int | None:
    if day is None or day == dt.date.max:
        return None
    after = day + dt.timedelta(days=1)
    return int(dt.datetime(after.year, after.month, after.day, tzinfo=zone).timestamp()) * 1000
