"""Daily readings: one slot a night, whatever the hour of the stamp; what one value says, and what it does not."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from models.domain.nights import DAY_S, Night, night_of_date
from models.domain.windows import SlotFlag, Window
from models.learned.features import night_features
from monitor.feeds import Feeds
from monitor.following import Following
from monitor.windows import Outcome, Ring
from tests.support.night_windows import window_of

SHANGHAI, BERLIN, KIRITIMATI = ZoneInfo("Asia/Shanghai"), ZoneInfo("Europe/Berlin"), ZoneInfo("Pacific/Kiritimati")
DATE = dt.date(2026, 3, 28)
"""Berlin's clocks go forward in its night."""


def stamp(day: int, clock: str, zone: ZoneInfo) -> int:
    """Unix ms of a local time so many days after `DATE`."""
    date = DATE + dt.timedelta(days=day)
    return int(dt.datetime.combine(date, dt.time.fromisoformat(clock), zone).timestamp() * 1000)


def night(offset: int, zone: ZoneInfo) -> Night:
    return night_of_date(DATE + dt.timedelta(days=offset), zone)


def put(ring: Ring, rows: list[tuple[int, float]], rev: int = 0) -> list[Outcome]:
    """Register values of one meter, each a message of its own."""
    told = []
    for ts_ms, kwh in rows:
        outcome, _ = ring.apply(
            np.zeros(1, dtype=np.int32),
            np.array([ts_ms], dtype=np.int64),
            np.full(1, rev, dtype=np.int32),
            {"e_imp_kwh": np.array([kwh])},
        )
        told.append(Outcome(int(outcome[0])))
    return told


def seen(ring: Ring, offset: int, zone: ZoneInfo) -> Window:
    return ring.window(night(offset, zone), np.zeros(1, dtype=np.int32), ["m"])


@pytest.mark.parametrize("zone", [SHANGHAI, BERLIN, KIRITIMATI], ids=str)
@pytest.mark.parametrize("clock", ["00:00:00", "08:00:00", "11:59:59", "12:00:00"])
def test_a_day_falls_into_the_night_its_stamp_lies_in(zone: ZoneInfo, clock: str) -> None:
    ring = Ring(DAY_S, 62, zone=zone)
    put(ring, [(stamp(day + 1, clock, zone), 100.0 * day) for day in range(4)])
    for day in range(1, 4):
        window = seen(ring, day, zone)
        assert window.registers["e_imp_kwh"].tolist() == [[100.0 * (day - 1), 100.0 * day]]
        assert window.flags.tolist() == [[int(SlotFlag.HAS_DATA)]]
    assert not ring.has_data(night(4, zone), np.zeros(1, dtype=np.int32)).any()


@pytest.mark.parametrize("clock", ["12:00:01", "23:59:59"])
def test_a_stamp_of_the_evening_belongs_to_its_own_date(clock: str) -> None:
    ring = Ring(DAY_S, 62, zone=SHANGHAI)
    put(ring, [(stamp(0, clock, SHANGHAI), 1.0)])
    assert ring.has_data(night(0, SHANGHAI), np.zeros(1, dtype=np.int32)).all()
    assert seen(ring, 0, SHANGHAI).end_ms().tolist() == [night(0, SHANGHAI).end_ms]


def test_of_two_stamps_in_a_night_the_one_nearer_to_midnight_counts_in_any_order() -> None:
    rows = [(stamp(1, "00:00:00", SHANGHAI), 7.0), (stamp(1, "08:00:00", SHANGHAI), 9.0)]
    for order in (rows, rows[::-1]):
        ring = Ring(DAY_S, 62, zone=SHANGHAI)
        assert put(ring, order) == [Outcome.STORED, Outcome.STORED]
        assert seen(ring, 0, SHANGHAI).registers["e_imp_kwh"][0, 1] == 7.0


def test_duplicates_conflicts_revisions_and_old_days_are_told() -> None:
    ring = Ring(DAY_S, 3, zone=SHANGHAI)
    at = stamp(1, "00:00:00", SHANGHAI)
    assert put(ring, [(at, 7.0), (at, 7.0), (at, 8.0)]) == [Outcome.STORED, Outcome.DUPLICATE, Outcome.CONFLICT]
    assert "e_imp_kwh" not in seen(ring, 0, SHANGHAI).registers
    put(ring, [(at, 7.5)], rev=1)
    assert seen(ring, 0, SHANGHAI).registers["e_imp_kwh"][0, 1] == 7.5
    put(ring, [(stamp(4, "00:00:00", SHANGHAI), 9.0)])
    assert put(ring, [(at, 7.0)]) == [Outcome.OLD]
    assert not ring.covers(np.zeros(1, dtype=np.int32), night(0, SHANGHAI)).any()


def test_a_ring_of_days_needs_a_zone() -> None:
    with pytest.raises(ValueError, match="zone"):
        Ring(DAY_S, 62)


def test_one_value_says_energy_and_mean_and_nothing_of_shape() -> None:
    row = night_features(window_of({"e_imp_kwh": np.array([[100.0, 340.0], [np.nan, 7.0]])}, interval_s=DAY_S), None)
    known = {name for name, values in row.items() if np.isfinite(values[0])}
    assert known == {
        "coverage",
        "cadence_s",
        "energy_kwh",
        "power_p50_kw",
        "conflict_share",
        "off_tick_share",
        "reset_count",
    }
    assert (row["energy_kwh"][0], row["power_p50_kw"][0], row["coverage"][0]) == (240.0, 10.0, 1.0)
    assert row["coverage"][1] == 1.0
    assert np.isnan(row["energy_kwh"][1])


def test_one_instant_is_not_the_energy_of_a_day() -> None:
    row = night_features(window_of({"p_kw": np.array([[500.0]])}, interval_s=DAY_S), None)
    assert np.isnan(row["energy_kwh"][0])
    assert row["coverage"][0] == 1.0


def test_a_feed_of_days_may_be_silent_and_lag_a_day_longer() -> None:
    feeds = Feeds(lateness_s=0, silence_s=3600)
    at = stamp(1, "00:00:00", SHANGHAI)
    feeds.received(at)
    for cadence in (900, DAY_S):
        feeds.advance(("bureau", cadence), np.array([at], dtype=np.int64))
    feeds.tick(at + 30 * 3_600_000)
    assert feeds.watermark_ms(("bureau", 900)) == at + 29 * 3_600_000
    assert feeds.watermark_ms(("bureau", DAY_S)) == at + 5 * 3_600_000
    assert feeds.lag_s(at + 30 * 3_600_000) == 3600.0


CLOSED = {900: np.array([730_100, 730_100, 730_005], dtype=np.int64)}


def passed(following: Following) -> list[tuple[int, list[int]]]:
    found = []
    while (item := following.next(CLOSED)) is not None:
        found.append((item[1], item[2].tolist()))
    return found


def test_changed_nights_make_one_pass_over_the_closed_nights_they_reach() -> None:
    following = Following(3, 5)
    for ordinal in range(730_000, 730_004):
        following.changed(900, ordinal, np.array([0, 2], dtype=np.int32))
    following.changed(900, 730_002, np.array([1], dtype=np.int32))
    following.begin()
    assert passed(following) == [
        (730_001, [0, 2]),
        (730_002, [0, 2]),
        (730_003, [0, 1, 2]),
        (730_004, [0, 1, 2]),
        (730_005, [0, 1, 2]),
        (730_006, [0, 1]),
        (730_007, [0]),
    ]
    assert not following.is_passing
    assert not following.is_waiting


def test_what_changes_during_a_pass_waits_for_the_next() -> None:
    following = Following(3, 3)
    following.changed(900, 730_010, np.array([0], dtype=np.int32))
    following.begin()
    assert following.next(CLOSED) is not None
    following.changed(900, 730_000, np.array([0], dtype=np.int32))
    assert passed(following) == [(730_012, [0])]
    assert following.is_waiting
    following.begin()
    assert passed(following) == [(730_001, [0]), (730_002, [0])]


def test_nothing_follows_where_nothing_looks_back() -> None:
    following = Following(3, 0)
    following.changed(900, 730_000, np.array([0], dtype=np.int32))
    assert not following.is_waiting
