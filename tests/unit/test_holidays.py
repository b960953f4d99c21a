"""Days off, make-up days and the weeks around the lunar new year."""

from __future__ import annotations

import datetime as dt
import itertools

import pytest
from chinese_calendar import constants

from models.domain.holidays import LUNAR_NEW_YEARS, DayKind, day_facts, day_kind, in_festival
from models.domain.register import CalendarKind, CalendarRow


@pytest.mark.parametrize(
    ("date", "kind"),
    [
        (dt.date(2026, 2, 17), DayKind.HOLIDAY),
        (dt.date(2026, 2, 14), DayKind.MAKE_UP),
        (dt.date(2026, 3, 1), DayKind.REST),
        (dt.date(2026, 3, 2), DayKind.WORKDAY),
        (dt.date(2040, 10, 2), DayKind.UNKNOWN),
        (dt.date(2040, 7, 7), DayKind.REST),
        (dt.date(2040, 7, 9), DayKind.WORKDAY),
        (dt.date(1999, 5, 1), DayKind.UNKNOWN),
    ],
)
def test_a_date_is_what_the_calendar_of_its_year_says(date: dt.date, kind: DayKind) -> None:
    assert day_kind(date) is kind


def test_lunar_new_years_are_official_days_off_wherever_the_arrangement_is_known() -> None:
    known = [day for day in LUNAR_NEW_YEARS if constants.holidays and day.year <= max(constants.holidays).year]
    assert len(known) >= 20
    assert [constants.holidays.get(day) for day in known] == ["Spring Festival"] * len(known)


def test_lunar_new_years_are_a_lunar_year_apart() -> None:
    gaps = {(b - a).days for a, b in itertools.pairwise(LUNAR_NEW_YEARS)}
    assert gaps <= {353, 354, 355, 383, 384, 385}


def test_the_festival_weeks_move_with_the_moon() -> None:
    assert in_festival(dt.date(2026, 3, 10))
    assert not in_festival(dt.date(2025, 3, 10))
    assert in_festival(dt.date(2026, 1, 28))
    assert not in_festival(dt.date(2026, 1, 20))
    assert not in_festival(dt.date(2050, 2, 1))


def test_rows_of_the_register_come_before_the_national_calendar() -> None:
    days = [dt.date(2026, 6, 8), dt.date(2026, 10, 1), dt.date(2026, 6, 13)]
    rows = [
        CalendarRow(kind=CalendarKind.HOLIDAY, day=days[0]),
        CalendarRow(kind=CalendarKind.WORKDAY, day=days[1]),
        CalendarRow(kind=CalendarKind.WORKDAY, day=days[2]),
    ]
    assert day_facts(days).special.tolist() == [False, True, False]
    assert day_facts(days, rows).special.tolist() == [True, False, True]


def test_a_year_without_arrangement_is_told() -> None:
    facts = day_facts([dt.date(2026, 6, 8), dt.date(2041, 6, 8)])
    assert facts.known.tolist() == [True, False]
