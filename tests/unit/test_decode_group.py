"""Decoding a commit group: every message by itself, every message accounted for, never an exception."""

from __future__ import annotations

import json

import pytest

from connectors.adapters.builder import BatchBuilder
from connectors.adapters.table import ADAPTERS, MAX_PAYLOAD_BYTES, build_adapters, decode_group
from models.domain.readings import RejectReason
from tests.support.payloads import TS_MS, arrow, columns, decode, message, reading, refusals, rows

R = RejectReason


class Broken:
    """An adapter with a bug: it raises on some payloads, after it handed readings over on others."""

    def decode(self, payload: bytes, builder: BatchBuilder) -> None:
        if payload == b"late":
            builder.pending["broken"] = self
            return
        raise RecursionError

    def flush(self, builder: BatchBuilder) -> None:
        raise KeyError(builder.message)


def test_every_adapter_of_the_table_says_what_it_is_and_survives_nothing() -> None:
    for name, spec in ADAPTERS.items():
        assert spec.doc
        decoded = decode_group([message(b"", name)], {name: spec.build()})
        assert len(decoded.batch) == 0


@pytest.mark.parametrize("payload", [b"now", b"late"])
def test_a_bug_in_an_adapter_is_internal_and_costs_no_other_message(payload: bytes) -> None:
    adapters = {**build_adapters(), "broken": Broken()}
    group = [message(rows(reading())), message(payload, "broken"), message(rows(reading(), reading()))]
    decoded = decode_group(group, adapters)
    assert refusals(decoded) == [(1, R.INTERNAL, (), "")]
    assert decoded.batch.message.tolist() == [0, 2, 2]


def test_an_adapter_that_is_not_there_is_internal() -> None:
    decoded = decode_group([message(b"x", "nope"), message(rows(reading()))], build_adapters())
    assert refusals(decoded) == [(0, R.INTERNAL, (), "")]
    assert decoded.batch.message.tolist() == [1]


def test_retained_messages_and_large_ones_are_refused_unread() -> None:
    large = rows(reading(), sent="x" * MAX_PAYLOAD_BYTES)
    decoded = decode_group([message(rows(reading()), retain=True), message(large)], build_adapters())
    assert refusals(decoded) == [(0, R.RETAINED, (), ""), (1, R.SIZE, (), "")]


def test_messages_of_several_formats_keep_their_order() -> None:
    stream = arrow({"meter": ["x", "y"], "ts": [TS_MS, TS_MS], "p_kw": [1.0, 2.0]})
    single = json.dumps({"id": "g", "t": TS_MS // 1000, "P": 3}).encode()
    group = [
        message(rows(reading(meter="a"), reading(meter="b", h5_pct=1))),
        message(stream, "arrow"),
        message(single, "generic"),
        message(columns(meter=["c"], ts=[TS_MS], p_kw=[1])),
        message(rows(reading(meter="d\u0064"))),
        message(rows(reading(meter="e"))),
    ]
    batch = decode_group(group, build_adapters()).batch
    assert list(batch.meter) == ["a", "b", "x", "y", "g", "c", "dd", "e"]
    assert batch.message.tolist() == [0, 0, 1, 1, 2, 3, 4, 5]
    assert batch.row.tolist() == [0, 1, 0, 1, 0, 0, 0, 0]


def test_messages_are_never_read_as_one_document() -> None:
    halves = rows(reading(), reading()).split(b"}, {")
    assert [r.reason for r in decode(*halves).rejections] == [R.PARSE, R.PARSE]


@pytest.mark.parametrize(
    ("payload", "reasons"),
    [
        (b"online", []),
        (b'{"v":1,"status":"offline","ts":"2026-03-02T23:15:00+08:00"}', []),
        (b'{"status":"asleep"}', [R.SCHEMA]),
        (b'{"status":["online"]}', [R.SCHEMA]),
        (b"[]", [R.SCHEMA]),
        (b"\xff", [R.ENCODING]),
    ],
)
def test_a_status_is_online_or_offline(payload: bytes, reasons: list[RejectReason]) -> None:
    assert [r.reason for r in decode(payload, adapter="status").rejections] == reasons


def test_what_is_kept_unread_is_not_refused() -> None:
    decoded = decode(b"\xff anything", adapter="kept")
    assert decoded.rejections == ()
    assert len(decoded.batch) == 0


def test_an_empty_group_is_an_empty_batch() -> None:
    assert len(decode_group([], build_adapters()).batch) == 0
