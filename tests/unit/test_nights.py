"""Nights run from local noon to local noon, in any zone, and belong to their evening."""

from __future__ import annotations

import datetime as dt
import itertools
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.domain.nights import Night, night_of_date, night_of_stamp, night_ordinals, nights_before

SHANGHAI, BERLIN, KATHMANDU = ZoneInfo("Asia/Shanghai"), ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Kathmandu")
HOUR_MS = 3_600_000
stamps = st.integers(946_684_800_000, 4_102_444_799_000)
zones = st.sampled_from([SHANGHAI, BERLIN, KATHMANDU])


def ms(text: str, zone: ZoneInfo = SHANGHAI) -> int:
    return int(dt.datetime.fromisoformat(text).replace(tzinfo=zone).timestamp() * 1000)


@pytest.mark.parametrize(
    ("local", "evening"),
    [
        ("2026-03-03T12:00:00", "2026-03-02"),
        ("2026-03-03T12:00:00.001", "2026-03-03"),
        ("2026-03-03T00:00:00", "2026-03-02"),
        ("2026-03-01T00:15:00", "2026-02-28"),
    ],
    ids=["noon_closes_the_night_before", "just_after_noon", "midnight", "month_is_that_of_the_evening"],
)
def test_a_stamp_is_the_end_of_its_interval(local: str, evening: str) -> None:
    night = night_of_stamp(ms(local), SHANGHAI)
    assert night.date.isoformat() == evening
    assert night.month == evening[:7]


@given(stamps, zones)
def test_every_stamp_lies_in_exactly_its_night(stamp: int, zone: ZoneInfo) -> None:
    night = night_of_stamp(stamp, zone)
    assert night.start_ms < stamp <= night.end_ms
    assert night == night_of_date(night.date, zone)


@given(st.lists(stamps, max_size=20), zones)
def test_the_ordinals_of_many_are_those_of_each(many: list[int], zone: ZoneInfo) -> None:
    expected = [night_of_stamp(stamp, zone).date.toordinal() for stamp in many]
    assert night_ordinals(np.array(many, dtype=np.int64), zone).tolist() == expected


@given(stamps, st.lists(st.integers(0, 400 * 24 * HOUR_MS), max_size=20), zones)
def test_the_ordinals_of_stamps_of_one_year_are_those_of_each(first: int, after: list[int], zone: ZoneInfo) -> None:
    many = [first + ms for ms in after]
    expected = [night_of_stamp(stamp, zone).date.toordinal() for stamp in many]
    assert night_ordinals(np.array(many, dtype=np.int64), zone).tolist() == expected


def test_a_night_over_a_change_of_clocks_has_23_or_25_hours() -> None:
    spring, autumn = night_of_date(dt.date(2026, 3, 28), BERLIN), night_of_date(dt.date(2026, 10, 24), BERLIN)
    assert (spring.end_ms - spring.start_ms) // HOUR_MS == 23
    assert (autumn.end_ms - autumn.start_ms) // HOUR_MS == 25


@given(stamps, zones, st.integers(1, 9))
def test_nights_before_join_without_a_gap_and_end_with_the_night(stamp: int, zone: ZoneInfo, count: int) -> None:
    night = night_of_stamp(stamp, zone)
    nights: tuple[Night, ...] = nights_before(night, count, zone)
    assert len(nights) == count
    assert nights[-1] == night
    assert all(a.end_ms == b.start_ms for a, b in itertools.pairwise(nights))
