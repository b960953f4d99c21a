"""Arrow IPC streams: accepted types, missing values, and hostile bytes."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pyarrow.ipc
import pytest

from models.domain.readings import RejectReason
from tests.support.payloads import TS_MS, arrow, columns, decode, refusals, same

R = RejectReason
STAMPS = pa.array([TS_MS, TS_MS + 60_000], pa.timestamp("ms", "UTC"))


def test_a_stream_says_the_same_as_json_columns() -> None:
    stream = arrow({"meter": ["a", "b"], "ts": STAMPS, "p_kw": [1.5, None], "e_imp_kwh": [7, 8], "rev": [0, 1]})
    by_json = columns(meter=["a", "b"], ts=[TS_MS, TS_MS + 60_000], p_kw=[1.5, None], e_imp_kwh=[7, 8], rev=[0, 1])
    assert same(decode(stream, adapter="arrow"), decode(by_json))


@pytest.mark.parametrize(
    "ts",
    [
        pa.array([TS_MS, TS_MS + 60_000], pa.int64()),
        pa.array([TS_MS // 1000, TS_MS // 1000 + 60], pa.timestamp("s", "UTC")),
        pa.array([TS_MS * 1000 + 999, (TS_MS + 60_000) * 1000], pa.timestamp("us", "Asia/Shanghai")),
        pa.array([TS_MS * 1_000_000, (TS_MS + 60_000) * 1_000_000], pa.timestamp("ns", "UTC")),
    ],
    ids=["int64", "s", "us", "ns"],
)
def test_stamps_of_any_unit_with_a_zone_are_taken(ts: pa.Array) -> None:
    decoded = decode(arrow({"meter": ["a", "b"], "ts": ts, "p_kw": [1.0, 2.0]}), adapter="arrow")
    assert decoded.batch.ts_ms.tolist() == [TS_MS, TS_MS + 60_000]


@pytest.mark.parametrize("index", [pa.int8(), pa.uint32(), pa.int64()])
def test_meters_may_be_a_dictionary(index: pa.DataType) -> None:
    meter = pa.array(["a", None]).dictionary_encode().cast(pa.dictionary(index, pa.string()))
    decoded = decode(arrow({"meter": meter, "ts": STAMPS, "p_kw": [1.0, 2.0]}), adapter="arrow")
    assert list(decoded.batch.meter) == ["a"]
    assert refusals(decoded) == [(0, R.SCHEMA, (1,), "")]


def test_rows_are_numbered_through_the_batches_of_a_stream() -> None:
    table = pa.table({"meter": ["a"] * 5, "ts": pa.array([TS_MS] * 5), "p_kw": [1.0, 2.0, np.inf, 4.0, np.nan]})
    batches = table.to_batches(max_chunksize=2)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        for batch in batches:
            stream.write_batch(batch)
    decoded = decode(sink.getvalue().to_pybytes(), adapter="arrow")
    assert decoded.batch.row.tolist() == [0, 1, 3]
    assert refusals(decoded) == [(0, R.NUMBER, (2,), ""), (0, R.SCHEMA, (4,), "")]


@pytest.mark.parametrize(
    "table",
    [
        pytest.param({"ts": STAMPS, "p_kw": [1.0, 2.0]}, id="no_meter"),
        pytest.param({"meter": ["a", "b"], "p_kw": [1.0, 2.0]}, id="no_ts"),
        pytest.param({"meter": [1, 2], "ts": STAMPS, "p_kw": [1.0, 2.0]}, id="meter_as_number"),
        pytest.param({"meter": ["a", "b"], "ts": STAMPS, "p_kw": ["1", "2"]}, id="channel_as_text"),
        pytest.param({"meter": ["a", "b"], "ts": STAMPS, "p_kw": [True, False]}, id="channel_as_boolean"),
        pytest.param({"meter": ["a", "b"], "ts": STAMPS, "power": [1.0, 2.0]}, id="unknown_column"),
        pytest.param({"meter": ["a", "b"], "ts": STAMPS, "p_kw": pa.nulls(2)}, id="null_type"),
        pytest.param({"meter": ["a", "b"], "ts": STAMPS.cast(pa.timestamp("ms")), "p_kw": [1.0, 2.0]}, id="naive"),
        pytest.param({"meter": ["a", "b"], "ts": [dt.date(2026, 3, 2)] * 2, "p_kw": [1.0, 2.0]}, id="date"),
        pytest.param({"meter": pa.array([], pa.string()), "ts": STAMPS[:0], "p_kw": pa.array([], "f8")}, id="empty"),
    ],
)
def test_a_stream_of_other_columns_is_refused(table: dict[str, object]) -> None:
    assert refusals(decode(arrow(table), adapter="arrow")) == [(0, R.SCHEMA, (), "")]


@pytest.mark.parametrize("codec", ["lz4", "zstd"])
@pytest.mark.parametrize("dictionary", [False, True])
def test_a_compressed_stream_is_refused_before_it_is_inflated(codec: str, *, dictionary: bool) -> None:
    meter = pa.array(["a"] * 100_000)
    table = {
        "meter": meter.dictionary_encode() if dictionary else meter,
        "ts": pa.array(np.full(100_000, TS_MS)),
        "p_kw": np.zeros(100_000),
    }
    payload = arrow(table, options=pa.ipc.IpcWriteOptions(compression=codec))
    decoded = decode(payload, adapter="arrow")
    assert refusals(decoded) == [(0, R.SCHEMA, (), "")]
    assert "compress" in decoded.rejections[0].detail


@pytest.mark.parametrize(("rev", "taken"), [(2**63, 0), (2**31, 0), (2**31 - 1, 1)])
def test_wide_integers_are_out_of_range_and_not_wrapped(rev: int, taken: int) -> None:
    table = {"meter": ["a"], "ts": STAMPS[:1], "p_kw": [1.0], "rev": pa.array([rev], pa.uint64())}
    decoded = decode(arrow(table), adapter="arrow")
    assert len(decoded.batch) == taken
    assert [r.reason for r in decoded.rejections] == [R.RANGE] * (1 - taken)


def test_stamps_that_overflow_milliseconds_are_refused_and_not_wrapped() -> None:
    ts = pa.array([2**62, -(2**62)], pa.timestamp("s", "UTC"))
    decoded = decode(arrow({"meter": ["a", "b"], "ts": ts, "p_kw": [1.0, 2.0]}), adapter="arrow")
    assert sorted(r.reason for r in decoded.rejections) == [R.TIME_FUTURE, R.TIME_OLD]


def test_cut_and_flipped_bytes_never_escape() -> None:
    rng = np.random.default_rng(5)
    good = arrow({"meter": pa.array(["a", "b"]).dictionary_encode(), "ts": STAMPS, "p_kw": [1.0, 2.0]})
    for cut in range(0, len(good), 7):
        decoded = decode(good[:cut], adapter="arrow")
        assert len(decoded.batch) or decoded.rejections
    for _ in range(3000):
        bad = bytearray(good)
        for position in rng.integers(0, len(bad), rng.integers(1, 6)):
            bad[position] = rng.integers(0, 256)
        decoded = decode(bytes(bad), adapter="arrow")
        assert len(decoded.batch) or decoded.rejections
        assert not any(r.reason is R.INTERNAL for r in decoded.rejections), decoded.rejections
