"""Canonical JSON: what is taken, what is refused and why, and that the fast path agrees with the strict one."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.adapters import strict
from connectors.adapters.builder import BatchBuilder
from connectors.adapters.canonical import Canonical
from models.domain.channels import CHANNELS, PLAIN
from models.domain.readings import RejectReason
from tests.support.payloads import TS, TS_MS, columns, decode, reading, refusals, rows, same

R = RejectReason


class Slow:
    """The strict path for everything: the slow twin."""

    def decode(self, payload: bytes, builder: BatchBuilder) -> None:
        strict.decode(payload, builder)


def test_a_row_becomes_a_reading_with_nan_where_it_says_nothing() -> None:
    decoded = decode(rows(reading(interval_s=60, rev=2), reading(p_kw=..., q_kvar=0.0)))
    batch = decoded.batch
    assert decoded.rejections == ()
    assert list(batch.meter) == ["330124001"] * 2
    assert batch.ts_ms.tolist() == [TS_MS] * 2
    assert batch.interval_s.tolist() == [60, 0]
    assert batch.rev.tolist() == [2, 0]
    assert batch.channels["p_kw"][0] == 812.4
    assert math.isnan(batch.channels["p_kw"][1])
    assert batch.channels["q_kvar"][1] == 0.0
    assert batch.row.tolist() == [0, 1]


@pytest.mark.parametrize("place", ["readings", "columns", "top"])
def test_columns_say_the_same_as_rows_wherever_they_stand(place: str) -> None:
    lists = {"meter": ["a", "b"], "ts": [TS_MS, TS_MS + 1], "p_kw": [1, None], "e_imp_kwh": [5.5, 6], "rev": [0, 3]}
    document = {"v": 1, "sent": TS, **(lists if place == "top" else {place: lists})}
    by_rows = rows(
        {"meter": "a", "ts": TS_MS, "p_kw": 1, "e_imp_kwh": 5.5, "rev": 0},
        {"meter": "b", "ts": TS_MS + 1, "e_imp_kwh": 6, "rev": 3},
    )
    assert same(decode(json.dumps(document).encode()), decode(by_rows))


def test_every_channel_is_taken_under_its_name() -> None:
    for names in (PLAIN, tuple(CHANNELS)[-48:]):
        decoded = decode(rows({"meter": "a", "ts": TS, **dict.fromkeys(names, 0.5)}))
        assert decoded.rejections == ()
        assert set(decoded.batch.channels) == set(names)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        pytest.param(reading(p_kw="812.4"), R.SCHEMA, id="number_as_string"),
        pytest.param(reading(p_kw=True), R.SCHEMA, id="boolean"),
        pytest.param(reading(p_kw=[1]), R.SCHEMA, id="list"),
        pytest.param(reading(p_kW=1), R.SCHEMA, id="unknown_field"),
        pytest.param(reading(meter=...), R.SCHEMA, id="no_meter"),
        pytest.param(reading(ts=...), R.SCHEMA, id="no_ts"),
        pytest.param(reading(meter=330124001), R.SCHEMA, id="meter_as_number"),
        pytest.param(reading(meter="../etc"), R.SCHEMA, id="path_as_meter"),
        pytest.param(reading(meter="m1\n"), R.SCHEMA, id="newline_after_meter"),
        pytest.param(reading(meter="\ud800"), R.SCHEMA, id="lone_surrogate"),
        pytest.param(reading(meter="m" * 65), R.SCHEMA, id="long_meter"),
        pytest.param(reading(meter="３３"), R.SCHEMA, id="digits_of_another_script"),
        pytest.param(reading(ts="2026-03-02T23:15:00"), R.PARSE, id="no_offset"),
        pytest.param(reading(ts="2026-02-30T23:15:00Z"), R.PARSE, id="no_such_day"),
        pytest.param(reading(ts=1.5), R.SCHEMA, id="fraction_as_ts"),
        pytest.param(reading(ts=1772464500), R.TIME_OLD, id="seconds_taken_for_milliseconds"),
        pytest.param(reading(ts="2100-01-01T00:00:00Z"), R.TIME_FUTURE, id="after_2099"),
        pytest.param(reading(ts=10**30), R.NUMBER, id="ts_beyond_63_bits"),
        pytest.param(reading(rev=-1), R.RANGE, id="negative_rev"),
        pytest.param(reading(rev=1 << 40), R.RANGE, id="large_rev"),
        pytest.param(reading(interval_s=90_000), R.RANGE, id="interval_of_more_than_a_day"),
        pytest.param(reading(interval_s=-1), R.RANGE, id="negative_interval"),
        pytest.param(reading(p_kw=..., e_imp_kwh=...), R.SCHEMA, id="no_channel"),
        pytest.param(reading(p_kw=9e9, e_imp_kwh=...), R.RANGE, id="nothing_left_but_out_of_range"),
        pytest.param(7, R.SCHEMA, id="not_an_object"),
        pytest.param(reading(**{f"x{i}": 1 for i in range(70)}), R.SCHEMA, id="more_than_64_fields"),
    ],
)
def test_a_bad_reading_is_refused_alone(bad: object, reason: RejectReason) -> None:
    decoded = decode(rows(reading(), bad, reading()), rows(reading()))
    assert refusals(decoded) == [(0, reason, (1,), "")]
    assert decoded.batch.message.tolist() == [0, 0, 1]
    assert decoded.batch.row.tolist() == [0, 2, 0]


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        pytest.param(b"", R.PARSE, id="empty"),
        pytest.param(b"\xef\xbb\xbf" + rows(reading()), R.ENCODING, id="byte_order_mark"),
        pytest.param(rows(reading()).replace(b"330124001", b"33\xff"), R.ENCODING, id="not_utf8"),
        pytest.param(rows(reading()) + b"{}", R.PARSE, id="trailing_data"),
        pytest.param(b'{"v":1,"readings":' + b"[" * 200_000, R.PARSE, id="deep"),
        pytest.param(rows(), R.SCHEMA, id="no_readings"),
        pytest.param(rows(reading(), v=2), R.SCHEMA, id="other_version"),
        pytest.param(rows(reading(), v=True), R.SCHEMA, id="boolean_version"),
        pytest.param(rows(reading(), gateway="g"), R.SCHEMA, id="unknown_envelope_field"),
        pytest.param(rows(reading()).replace(b'"v": 1', b'"v":1,"v":1'), R.SCHEMA, id="repeated_envelope_field"),
        pytest.param(columns(meter=["a"], ts=[TS_MS, TS_MS], p_kw=[1, 2]), R.SCHEMA, id="columns_of_two_lengths"),
        pytest.param(columns(meter=["a"], ts=[TS_MS], p_kW=[1]), R.SCHEMA, id="unknown_column"),
        pytest.param(columns(meter="a", ts=[TS_MS], p_kw=[1]), R.SCHEMA, id="column_that_is_no_list"),
        pytest.param(
            json.dumps({"v": 1, "meter": "a", "ts": TS, "fs_hz": 6400, "ia_a": [1.0] * 64}).encode(),
            R.SCHEMA,
            id="waveform",
        ),
    ],
)
def test_a_bad_message_is_refused_whole_and_costs_no_other(payload: bytes, reason: RejectReason) -> None:
    decoded = decode(payload, rows(reading()))
    assert refusals(decoded) == [(0, reason, (), "")]
    assert decoded.batch.message.tolist() == [1]


def test_a_waveform_burst_is_refused_with_a_remedy() -> None:
    payload = json.dumps({"v": 1, "meter": "a", "ts": TS, "fs_hz": 6400, "ia_a": [1.0]}).encode()
    assert "h2_pct" in decode(payload).rejections[0].detail


@pytest.mark.parametrize(
    ("text", "reason"), [("1e400", R.NUMBER), ("NaN", R.NUMBER), ("-Infinity", R.NUMBER), ("2000001", R.RANGE)]
)
def test_a_value_out_of_range_is_dropped_and_the_reading_kept(text: str, reason: RejectReason) -> None:
    decoded = decode(rows(reading(p_kw=7777), reading()).replace(b"7777", text.encode()))
    assert refusals(decoded) == [(0, reason, (0,), "p_kw")]
    assert np.isnan(decoded.batch.channels["p_kw"]).tolist() == [True, False]
    assert decoded.batch.channels["e_imp_kwh"].tolist() == [1284533.12] * 2


@pytest.mark.parametrize("backslash", [False, True])
def test_a_field_that_comes_twice_is_found(*, backslash: bool) -> None:
    twice = b'"p_kw": 1, "p_kw": 812.4' if not backslash else b'"p_kw": 1, "p\\u005fkw": 812.4'
    doubled = rows(reading()).replace(b'"p_kw": 812.4', twice)
    assert doubled != rows(reading())
    decoded = decode(rows(reading()), doubled, rows(reading()))
    assert refusals(decoded) == [(1, R.SCHEMA, (0,), "")]
    assert decoded.batch.message.tolist() == [0, 2]


def test_a_column_that_comes_twice_is_found() -> None:
    doubled = columns(meter=["a"], ts=[TS_MS], p_kw=[1]).replace(b'"p_kw"', b'"p_kw": [2], "p_kw"')
    assert refusals(decode(doubled)) == [(0, R.SCHEMA, (), "")]


def test_untrusted_text_in_a_refusal_is_short_and_plain_ascii() -> None:
    detail = decode(rows(reading(**{"\u202e" * 500 + "\n": 1}))).rejections[0].detail
    assert detail.isascii()
    assert len(detail) < 500
    assert "\n" not in detail


def test_many_kinds_of_fault_in_one_message_give_a_bounded_number_of_refusals() -> None:
    decoded = decode(rows(*(reading(**{f"x{i}": 1}) for i in range(1000))))
    assert len(decoded.rejections) < 100
    assert sorted(row for r in decoded.rejections for row in r.rows) == list(range(1000))


def test_what_a_publisher_sent_before_does_not_change_what_a_message_says() -> None:
    adapters = {"canonical": Canonical()}
    decode(rows(reading()), adapters=adapters)
    for payload in (rows(reading(q_kvar=1)), rows(reading(p_kw=...)), rows(reading(), reading(h5_pct=2, rev=1))):
        assert same(decode(payload, adapters=adapters), decode(payload, adapters={"canonical": Slow()}))


# ---- the slow twin --------------------------------------------------------------------------------------------------

STAMPS = st.sampled_from([TS, TS_MS, "2026-03-02T15:15:00.5Z", "2026-03-02 23:15:00", 1, 10**25, None, True, 1.5, ""])
METERS = st.sampled_from(["a", "m-1.x", "330124001", "-x", "", "a b", "电", 5, None])
NUMBERS = st.one_of(
    st.floats(-1e13, 1e13), st.integers(-(10**22), 10**22), st.sampled_from([None, True, "1", "", [], {}, 0, -0.0])
)
GOOD_FIELDS = st.dictionaries(st.sampled_from([*PLAIN[:6], "h5_pct", "ih3_pct"]), st.floats(0, 1), min_size=1)
GOOD = GOOD_FIELDS.map(lambda fields: list({"meter": "a", "ts": TS, **fields}.items()))
NAMES = st.sampled_from(["p_kw", "pf", "e_imp_kwh", "h5_pct", "interval_s", "rev", "P", "readings", "meter"])
WILD = st.tuples(METERS, STAMPS, st.lists(st.tuples(NAMES, NUMBERS), max_size=6)).map(
    lambda t: [("meter", t[0]), ("ts", t[1]), *t[2]]
)


def text_of(pairs: list[tuple[str, Any]]) -> str:
    """A JSON object of these pairs, repeated names and all."""
    return "{" + ",".join(f"{json.dumps(name)}:{json.dumps(value)}" for name, value in pairs) + "}"


ROW_MESSAGES = st.lists(st.one_of(GOOD, GOOD, WILD), min_size=1, max_size=5).map(
    lambda readings: ('{"v":1,"readings":[' + ",".join(map(text_of, readings)) + "]}").encode()
)


@st.composite
def column_messages(draw: st.DrawFn) -> bytes:
    """Columns, mostly of equal length and good, sometimes with a fault."""
    n = draw(st.integers(1, 4))

    def some(values: st.SearchStrategy[Any]) -> Any:
        return draw(st.lists(values, min_size=n, max_size=n))

    pairs = [("meter", some(st.just("a") | METERS)), ("ts", some(st.just(TS_MS) | STAMPS))]
    pairs += [(name, some(st.floats(0, 1) | NUMBERS)) for name in draw(st.lists(NAMES, max_size=4))]
    if draw(st.integers(0, 9)) == 0:
        pairs[-1] = (pairs[-1][0], pairs[-1][1][:-1])
    place = draw(st.sampled_from(["readings", "columns", ""]))
    text = text_of(pairs)
    return (f'{{"v":1,"{place}":{text}}}' if place else '{"v":1,' + text[1:]).encode()


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(ROW_MESSAGES, column_messages()), min_size=1, max_size=5))
def test_the_fast_path_agrees_with_the_strict_path(payloads: list[bytes]) -> None:
    assert same(decode(*payloads), decode(*payloads, adapters={"canonical": Slow()}))


@settings(max_examples=100, deadline=None)
@given(st.lists(ROW_MESSAGES, min_size=1, max_size=6), st.integers(0, 6))
def test_cutting_a_group_anywhere_changes_nothing(payloads: list[bytes], cut: int) -> None:
    whole = decode(*payloads).batch
    parts = [decode(*part).batch for part in (payloads[:cut], payloads[cut:]) if part]
    assert [m for part in parts for m in part.meter] == list(whole.meter)
    assert np.concatenate([part.ts_ms for part in parts]).tolist() == whole.ts_ms.tolist()
