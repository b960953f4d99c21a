"""What is judged next: closed nights in order, late nights again with those that pool them, sealed sites meanwhile."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
from numpy.typing import NDArray

from models.domain.nights import Night, night_of_date
from monitor.agenda import FIRST_NIGHTS, Agenda
from monitor.feeds import Feed, Feeds
from monitor.jobs import POOL_NIGHTS, Job, Keys
from tests.support.district import ZONE

BUREAU, PLANT, FINE = ("bureau", 900), ("plant", 900), ("bureau", 300)
DATE = dt.date(2026, 3, 2)
HOUR_MS = 3_600_000
METERS = {"bureau": np.array([0, 1, 2], dtype=np.int32), "plant": np.array([2, 3], dtype=np.int32)}


def night(offset: int = 0) -> Night:
    return night_of_date(DATE + dt.timedelta(days=offset), ZONE)


def ordinals(*offsets: int) -> NDArray[np.int64]:
    return np.array([night(offset).date.toordinal() for offset in offsets], dtype=np.int64)


def keys(*numbers: int) -> Keys:
    return np.array(numbers, dtype=np.int32)


def agenda(closed: dict[str, dt.date] | None = None) -> Agenda:
    return Agenda(ZONE, 4, METERS, closed or {})


def marks(**reached: int) -> Feeds:
    """Watermarks of the feeds of 15 minutes, in ms."""
    feeds = Feeds(lateness_s=0, silence_s=3600)
    feeds.received(1 << 60)
    for publisher, at_ms in reached.items():
        feeds.advance((publisher, 900), np.array([at_ms], dtype=np.int64))
    return feeds


def late(one: Agenda, feed: Feed = BUREAU) -> list[tuple[dt.date, list[int]]]:
    """All that is late, night after night."""
    found = []
    while jobs := one.late(lambda interval_s, mine, _: {(feed[0], interval_s): mine}):
        found += [(job.night.date, job.keys.tolist()) for job in jobs if job.keys is not None]
    return found


def test_nothing_is_due_before_a_watermark() -> None:
    assert agenda().due([BUREAU], Feeds(lateness_s=0, silence_s=3600)) is None


def test_a_night_is_due_when_the_watermark_passes_its_end_and_not_before() -> None:
    one = agenda({"bureau/900": night(-1).date})
    assert one.due([BUREAU], marks(bureau=night().end_ms - 1)) is None
    assert one.due([BUREAU], marks(bureau=night().end_ms)) == Job(BUREAU, night())
    one.close(BUREAU, night())
    assert one.is_closed(BUREAU, night())
    assert not one.is_closed(BUREAU, night(1))
    assert one.due([BUREAU], marks(bureau=night().end_ms)) is None


def test_nights_come_in_order_over_all_feeds() -> None:
    one = agenda({"bureau/900": night(1).date, "plant/900": night(-1).date})
    reached = marks(bureau=night(3).end_ms, plant=night(2).end_ms)
    seen = []
    while (job := one.due([BUREAU, PLANT], reached)) is not None:
        seen.append((job.feed[0], job.night.date.day))
        one.close(job.feed, job.night)
    assert seen == [("plant", 2), ("plant", 3), ("bureau", 4), ("plant", 4), ("bureau", 5)]


def test_a_feed_heard_for_the_first_time_begins_a_week_back() -> None:
    job = agenda().due([BUREAU], marks(bureau=night(20).end_ms))
    assert job is not None
    assert job.night == night(20 - FIRST_NIGHTS + 1)


def test_readings_of_open_nights_are_not_late_and_those_of_closed_ones_are() -> None:
    one = agenda({"bureau/900": night(-1).date})
    one.on_readings(900, keys(0, 1), ordinals(0, 0))
    one.close(BUREAU, night(1))
    one.on_readings(900, keys(0, 1, 1, 2), ordinals(2, 1, 0, 0))
    assert one.has_late
    assert late(one) == [(night(0).date, [1, 2]), (night(1).date, [1])]
    assert not one.has_late


def test_any_meter_of_the_publisher_can_be_late_at_any_cadence_that_was_closed() -> None:
    """A meter that is registered at another cadence, and one that has since changed hands."""
    one = agenda()
    one.close(FINE, night())
    one.on_readings(300, keys(0, 2), ordinals(0, 0))
    one.on_readings(900, keys(0), ordinals(0))
    one.on_readings(300, keys(3), ordinals(0))
    assert late(one, FINE) == [(night().date, [0, 2])]


def test_what_the_desk_knows_as_closed_is_closed_after_a_restart() -> None:
    one = agenda({"bureau/900": night(1).date, "gone/900": night(1).date})
    one.on_readings(900, keys(0, 3), ordinals(1, 1))
    assert late(one) == [(night(1).date, [0])]


@pytest.mark.parametrize("restarted", [False, True])
def test_nights_that_pool_a_late_one_follow_as_far_as_they_are_closed(restarted: bool) -> None:
    one = agenda()
    one.close(BUREAU, night(20))
    one.on_readings(900, keys(1), ordinals(5))
    if restarted:
        one.on_restart()
    else:
        one.on_changed(Job(BUREAU, night(5), keys(1)), keys(1))
    assert [date.toordinal() - night(5).date.toordinal() for date, _ in late(one)] == list(range(POOL_NIGHTS))
    one.on_readings(900, keys(1), ordinals(19))
    one.on_changed(Job(BUREAU, night(19), keys(1)), keys(1))
    assert [date for date, _ in late(one)] == [night(19).date, night(20).date]


def test_a_first_judgement_and_an_unchanged_row_make_nothing_late() -> None:
    one = agenda()
    one.close(BUREAU, night(9))
    one.on_changed(Job(BUREAU, night(5)), keys(1))
    one.on_changed(Job(BUREAU, night(5), keys(1)), keys())
    assert not one.has_late


def test_a_sealed_site_is_looked_at_once_at_each_hour_of_the_open_night() -> None:
    one = agenda({"bureau/900": night(-1).date})
    looks = []
    for hour in range(25):
        job = one.provisional(BUREAU, keys(1), marks(bureau=night().start_ms + hour * HOUR_MS))
        if job is not None:
            looks.append((hour, job.until_ms))
            assert job.provisional
            assert job.night == night()
    assert looks == [(h, night().start_ms + h * HOUR_MS) for h in (6, 12, 18)]


def test_there_is_no_look_ahead_of_the_night_before_and_none_without_sealed_sites() -> None:
    at = marks(bureau=night().start_ms + 13 * HOUR_MS)
    assert agenda({"bureau/900": night(-2).date}).provisional(BUREAU, keys(1), at) is None
    assert agenda({"bureau/900": night(-1).date}).provisional(BUREAU, keys(), at) is None
    assert agenda().provisional(BUREAU, keys(1), at) is None


def test_late_readings_that_wait_long_take_no_more_memory_than_their_meters() -> None:
    one = agenda({"bureau/900": DATE})
    for _ in range(2000):
        one.on_readings(900, keys(0, 1, 2), ordinals(0, 0, 0))
    (waiting,) = one._late.values()
    assert sum(map(len, waiting)) < 1000
    assert late(one) == [(DATE, [0, 1, 2])]
