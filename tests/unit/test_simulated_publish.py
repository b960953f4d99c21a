"""What a bureau would send: every reading in one message, in order, and nonsense that can be told apart."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter

import numpy as np
import pytest

from connectors.adapters.table import build_adapters, decode_group
from models.domain.readings import RawMessage, RejectReason
from models.simulated.county import CountySpec, DayReadings, build
from models.simulated.publish import MessageMix, SimulatedMessage, messages

START = dt.date(2026, 3, 2)
COUNTY = build(CountySpec(seed=5, start=START, days=3, sites=60, minute_meters=3))
CLEAN = MessageMix(malformed_a_day=0)


@pytest.fixture(scope="module")
def day() -> DayReadings:
    return COUNTY.day(START)


def raw(message: SimulatedMessage) -> RawMessage:
    topic = f"grid/v1/{message.publisher}/readings"
    return RawMessage(topic, message.payload, message.arrival_ms, message.publisher, "canonical")


def test_the_adapter_reads_back_every_reading(day: DayReadings) -> None:
    sent = list(messages(day, 1, CLEAN))
    decoded = decode_group([raw(m) for m in sent], build_adapters())
    assert decoded.rejections == ()
    assert sum(m.n_readings for m in sent) == len(day) == len(decoded.batch)
    order = np.lexsort((decoded.batch.channels["p_kw"], decoded.batch.ts_ms, decoded.batch.meter))
    expected = np.lexsort((day.channels["p_kw"], day.ts_ms, day.meter))
    assert [decoded.batch.meter[k] for k in order] == [day.meter[k] for k in expected]
    np.testing.assert_array_equal(decoded.batch.ts_ms[order], day.ts_ms[expected])
    np.testing.assert_array_equal(decoded.batch.channels["p_kw"][order], day.channels["p_kw"][expected])


def test_messages_come_in_arrival_order_from_the_readings_own_publisher(day: DayReadings) -> None:
    owner = dict(zip(day.meter, day.publisher, strict=True))
    last_ms = 0
    for message in messages(day, 1, CLEAN):
        assert message.arrival_ms >= last_ms
        last_ms = message.arrival_ms
        body = json.loads(message.payload)
        meters = body["meter"] if "meter" in body else [reading["meter"] for reading in body["readings"]]
        assert {owner[meter] for meter in meters} == {message.publisher}
        assert len(meters) == message.n_readings


def test_the_mix_has_rows_columns_and_single_readings(day: DayReadings) -> None:
    shapes = Counter(
        "columns" if b'"readings"' not in m.payload else "single" if m.n_readings == 1 else "rows"
        for m in messages(day, 1, CLEAN)
    )
    assert min(shapes["rows"], shapes["columns"], shapes["single"]) > 10


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(day: DayReadings) -> None:
    assert list(messages(day, 1)) == list(messages(day, 1))
    assert list(messages(day, 1)) != list(messages(day, 2))


def test_each_malformed_message_is_refused_and_costs_no_other_reading(day: DayReadings) -> None:
    sent = list(messages(day, 1, MessageMix(malformed_a_day=60)))
    assert sum(m.n_readings for m in sent) == len(day) + 3 * 60
    decoded = decode_group([raw(m) for m in sent], build_adapters())
    reasons = {rejection.reason for rejection in decoded.rejections}
    assert {RejectReason.PARSE, RejectReason.RANGE} <= reasons
    known = {spec.meter.meter: spec.meter.publisher for spec in COUNTY.sites}
    future = unknown = foreign = 0
    for meter, ts_ms, number in zip(
        decoded.batch.meter, decoded.batch.ts_ms.tolist(), decoded.batch.message.tolist(), strict=True
    ):
        future += ts_ms > sent[number].arrival_ms + 300_000
        unknown += meter not in known
        foreign += meter in known and known[meter] != sent[number].publisher
    assert min(future, unknown, foreign) > 0
    strange = future + unknown + foreign
    assert len(decoded.batch) - strange == len(day)


def test_a_day_without_readings_sends_nothing() -> None:
    none = np.zeros(0, dtype=np.int64)
    empty = DayReadings([], [], none, none, none.astype(np.int32), {"p_kw": none.astype(np.float64)})
    assert list(messages(empty, 1)) == []
