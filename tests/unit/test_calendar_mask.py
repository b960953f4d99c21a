"""The valley mask follows the calendar's rows: bands over midnight, and rows that begin or end in the night."""

from __future__ import annotations

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from models.domain.calendar import valley_mask
from models.domain.nights import night_of_date
from models.domain.register import CalendarKind, CalendarRow, Register, RegisterRows, TariffBand

SHANGHAI = ZoneInfo("Asia/Shanghai")
NIGHT = night_of_date(dt.date(2026, 3, 2), SHANGHAI)


def band(start: str, end: str, kind: TariffBand = TariffBand.VALLEY, **more: Any) -> CalendarRow:
    return CalendarRow(
        kind=CalendarKind.TARIFF, band=kind, start=dt.time.fromisoformat(start), end=dt.time.fromisoformat(end), **more
    )


def hours(*rows: CalendarRow, interval_s: int = 900) -> list[float] | None:
    """Clock hours at which the slots of the mask begin."""
    mask = valley_mask(Register(RegisterRows(calendar=rows), SHANGHAI), NIGHT, interval_s)
    return None if mask is None else [(12.0 + k * interval_s / 3600.0) % 24.0 for k in np.flatnonzero(mask).tolist()]


def test_without_a_tariff_there_is_no_mask() -> None:
    holiday = CalendarRow(kind=CalendarKind.HOLIDAY, day=dt.date(2026, 3, 2))
    assert hours() is None
    assert hours(holiday) is None


def test_a_band_over_midnight_is_whole_and_begins_and_ends_on_its_slots() -> None:
    found = hours(band("23:00", "07:00"))
    assert found is not None
    assert (found[0], found[-1], len(found)) == (23.0, 6.75, 32)


@pytest.mark.parametrize(
    ("kind", "counts"), [(TariffBand.DEEP_VALLEY, True), (TariffBand.FLAT, False), (TariffBand.PEAK, False)]
)
def test_valley_and_deep_valley_count(kind: TariffBand, counts: bool) -> None:
    assert bool(hours(band("01:00", "03:00", kind))) is counts


def test_a_row_that_begins_at_midnight_holds_for_the_second_half_only() -> None:
    found = hours(band("22:00", "02:00", valid_from=dt.date(2026, 3, 3)), interval_s=3600)
    assert found == [0.0, 1.0]


def test_rows_that_are_valid_on_neither_day_are_as_no_tariff() -> None:
    assert hours(band("22:00", "02:00", valid_to=dt.date(2026, 3, 2))) is None


def test_a_slot_counts_by_its_middle() -> None:
    assert hours(band("00:20", "01:40"), interval_s=3600) == [0.0, 1.0]
    assert hours(band("00:40", "01:20"), interval_s=3600) == []
