"""Watermarks: the lower median of the newest stamps, never beyond receipt, never back, moved on by ticks in silence."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.feeds import Feed, Feeds, feed_key

FEED: Feed = ("bureau", 900)
NOW = 1_772_424_000_000
HOUR_MS = 3_600_000


def feeds(lateness_s: int = 1800) -> Feeds:
    return Feeds(lateness_s=lateness_s, silence_s=6 * 3600)


def stamps(*offsets_ms: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array([NOW + offset for offset in offsets_ms], dtype=np.int64)


def test_nothing_is_complete_before_anything_was_heard() -> None:
    marks = feeds()
    assert marks.watermark_ms(FEED) == 0
    marks.advance(FEED, stamps())
    assert marks.watermark_ms(FEED) == 0
    assert marks.lag_s(NOW) == 0.0


def test_the_lower_median_minus_lateness() -> None:
    marks = feeds()
    marks.received(NOW + HOUR_MS)
    marks.advance(FEED, stamps(0, 10, 20, 30))
    assert marks.watermark_ms(FEED) == NOW + 10 - 1_800_000


def test_half_of_the_meters_have_to_move_before_one_of_them_can() -> None:
    marks = feeds(0)
    marks.received(NOW + 100 * HOUR_MS)
    marks.advance(FEED, stamps(0, 0, 0, 50 * HOUR_MS, 90 * HOUR_MS))
    assert marks.watermark_ms(FEED) == NOW


def test_stamps_beyond_the_receipt_do_not_count() -> None:
    marks = feeds(0)
    marks.received(NOW)
    marks.advance(FEED, stamps(HOUR_MS, HOUR_MS, HOUR_MS))
    assert marks.watermark_ms(FEED) == NOW


@given(st.lists(st.tuples(st.integers(-(10**9), 10**9), st.booleans()), max_size=20))
def test_a_watermark_never_goes_back(steps: list[tuple[int, bool]]) -> None:
    marks = feeds()
    before = 0
    for offset, is_tick in steps:
        if is_tick:
            marks.tick(NOW + offset)
        else:
            marks.received(NOW + offset)
            marks.advance(FEED, stamps(offset, offset + 5))
        assert marks.watermark_ms(FEED) >= before
        before = marks.watermark_ms(FEED)


def test_a_tick_moves_silent_feeds_to_the_silence_budget_and_no_further() -> None:
    marks = feeds()
    marks.received(NOW)
    marks.advance(FEED, stamps(0))
    marks.tick(NOW + HOUR_MS)
    assert marks.watermark_ms(FEED) == NOW - 1_800_000
    marks.tick(NOW + 10 * HOUR_MS)
    assert marks.watermark_ms(FEED) == NOW + 4 * HOUR_MS
    assert marks.watermark_ms(("never heard", 60)) == NOW + 4 * HOUR_MS


def test_feeds_do_not_move_each_other() -> None:
    marks = feeds(0)
    marks.received(NOW)
    marks.advance(("other", 900), stamps(0))
    assert marks.watermark_ms(FEED) == 0


def test_the_lag_is_that_of_the_slowest_feed() -> None:
    marks = feeds(0)
    marks.received(NOW)
    marks.advance(FEED, stamps(-HOUR_MS))
    marks.advance(("other", 60), stamps(-60_000))
    assert marks.lag_s(NOW) == pytest.approx(3600.0)


def test_a_feed_has_one_name() -> None:
    assert feed_key(FEED) == "bureau/900"
