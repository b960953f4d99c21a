"""Stamps on the wire."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.adapters.stamps import rfc3339_ms, stamp_column


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-02T23:15:00",
        "2026-03-02",
        "2026-03-02T23:15Z",
        "2026-03-02T24:00:00Z",
        "2026-03-02T23:15:60Z",
        "2026-3-2T23:15:00Z",
        "20260302T231500Z",
        "2026-03-02T23:15:00+0800",
        "2026-03-02T23:15:00+25:00",
        "２026-03-02T23:15:00Z",
        " 2026-03-02T23:15:00Z",
        "2026-03-02T23:15:00Z\n",
        "2026-W10-1T23:15:00Z",
        "",
        "1772464500000",
    ],
)
def test_what_is_not_rfc3339_with_an_offset_is_no_stamp(text: str) -> None:
    assert rfc3339_ms(text) is None


@given(
    st.integers(0, 4_000_000_000_000_000),
    st.integers(-14 * 60, 14 * 60).map(lambda minutes: dt.timezone(dt.timedelta(minutes=minutes))),
)
def test_a_stamp_means_the_same_moment_whatever_its_offset(micros: int, zone: dt.timezone) -> None:
    moment = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=micros)
    assert rfc3339_ms(moment.astimezone(zone).isoformat()) == micros // 1000
    assert rfc3339_ms(moment.isoformat().replace("+00:00", "z").replace("T", " ")) == micros // 1000


def test_stamps_and_integers_mix_and_faults_name_their_position() -> None:
    values, faults = stamp_column(["2026-03-02T15:15:00Z", 1_772_464_500_000, "x", 1 << 70])
    assert values[:2].tolist() == [1_772_464_500_000] * 2
    assert [(f.position, f.reason.value) for f in faults] == [(2, "PARSE"), (3, "NUMBER")]
