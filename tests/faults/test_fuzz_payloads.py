"""100,000 fuzzed payloads: no crash, and each is accounted for as readings or as a refusal."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable

import pyarrow as pa
import pytest

from connectors.adapters.table import build_adapters, decode_group
from models.domain.channels import CHANNELS
from models.domain.readings import RawMessage, RejectReason
from tests.support.payloads import TS, TS_MS, arrow, columns, reading, rows

GROUP = 250
ADAPTERS = build_adapters()

TOKENS = [
    b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"NaN", b"-Infinity", b"1e999", b"-0", b"9" * 30, b"null", b"true",
    b"\\ud800", b"\\u0000", b"\xef\xbb\xbf", b"\xff\xfe", b"\xed\xa0\x80", b"\x00", b"\xe2\x80\xae", b"1_0", b"0x1f",
    "１２".encode(), b'"p_kw":', b'"meter":"../../x",', b'"ts":-1,', b'"v":1,', b'"readings":', b"[[[[[[[[[[",
    b'{"a":' * 12,
]  # fmt: skip


def seeds() -> list[tuple[str, bytes]]:
    """Good payloads of every format, to be broken."""
    wide = reading(**dict.fromkeys(list(CHANNELS)[:60], 0.5))
    table = {"meter": ["a", "b"], "ts": pa.array([TS_MS, TS_MS], pa.timestamp("ms", "UTC")), "p_kw": [1.0, None]}
    dictionary = {**table, "meter": pa.array(["a", "b"]).dictionary_encode()}
    single = {"id": "g1", "t": TS_MS // 1000, "P": 1.5, "Q": "--", "EPI": 12}
    return [
        ("canonical", rows(reading())),
        ("canonical", rows(reading(), reading(ts=TS_MS, interval_s=60, rev=1), reading(meter="m-2"))),
        ("canonical", rows(wide)),
        ("canonical", columns(meter=["a", "b"], ts=[TS_MS, TS_MS], p_kw=[1, None])),
        ("canonical", json.dumps({"v": 1, "meter": ["a"], "ts": [TS], "q_kvar": [2.5]}).encode()),
        ("canonical", b'{"v":1,"readings":[{"meter":"\\u0061","ts":1772464500000,"p_kw":1}]}'),
        ("arrow", arrow(table)),
        ("arrow", arrow(dictionary)),
        ("generic", json.dumps(single).encode()),
        ("status", b'{"status":"online"}'),
    ]


def flip(rng: random.Random, payload: bytes) -> bytes:
    broken = bytearray(payload)
    for _ in range(rng.randint(1, 4)):
        if broken:
            broken[rng.randrange(len(broken))] = rng.randrange(256)
    return bytes(broken)


def cut(rng: random.Random, payload: bytes) -> bytes:
    return payload[: rng.randrange(len(payload) + 1)]


def insert(rng: random.Random, payload: bytes) -> bytes:
    at = rng.randrange(len(payload) + 1)
    return payload[:at] + rng.choice(TOKENS) + payload[at:]


def swap(rng: random.Random, payload: bytes) -> bytes:
    """Replace one JSON token or number by another."""
    parts = payload.split(b",")
    at = rng.randrange(len(parts))
    head, colon, _ = parts[at].partition(b":")
    parts[at] = head + colon + rng.choice(TOKENS)
    return b",".join(parts)


def repeat(rng: random.Random, payload: bytes) -> bytes:
    a, b = sorted(rng.randrange(len(payload) + 1) for _ in range(2))
    return payload[:b] + payload[a:b] * rng.randint(1, 30) + payload[b:]


def noise(rng: random.Random, _payload: bytes) -> bytes:
    return rng.randbytes(rng.randrange(200))


MUTATIONS: list[Callable[[random.Random, bytes], bytes]] = [flip, cut, insert, swap, repeat, noise]


def fuzzed(rng: random.Random, count: int) -> list[RawMessage]:
    good = seeds()
    messages = []
    for _ in range(count):
        adapter, payload = rng.choice(good)
        for _ in range(rng.choice((0, 1, 1, 1, 2, 3))):
            payload = rng.choice(MUTATIONS)(rng, payload)
        messages.append(RawMessage("t", payload, TS_MS, f"p{rng.randrange(3)}", adapter))
    return messages


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_every_fuzzed_payload_is_accounted_for(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(25_000 // GROUP):
        group = fuzzed(rng, GROUP)
        decoded = decode_group(group, ADAPTERS)
        told = {r.message for r in decoded.rejections} | set(decoded.batch.message.tolist())
        silent = [m for i, m in enumerate(group) if i not in told and m.adapter != "status"]
        assert not silent, f"seed {seed}: said nothing about {silent[0].payload!r}"
        internal = [group[r.message] for r in decoded.rejections if r.reason is RejectReason.INTERNAL]
        assert not internal, f"seed {seed}: {internal[0].adapter} failed on {internal[0].payload!r}"
        for refusal in decoded.rejections:
            assert refusal.detail.encode("utf-8").isascii()
            assert len(refusal.detail) < 300
        for name, values in decoded.batch.channels.items():
            assert not (values < CHANNELS[name].low).any()
            assert not (values > CHANNELS[name].high).any()


def test_a_message_means_the_same_alone_as_in_a_group() -> None:
    group = fuzzed(random.Random(99), 2000)
    together = decode_group(group, ADAPTERS)
    for index, raw in enumerate(group):
        alone = decode_group([raw], build_adapters() if index % 50 == 0 else ADAPTERS)
        mine = together.batch.message == index
        assert alone.batch.ts_ms.tolist() == together.batch.ts_ms[mine].tolist(), raw.payload
        expected = sorted((r.reason, r.detail, r.rows, r.field) for r in together.rejections if r.message == index)
        assert sorted((r.reason, r.detail, r.rows, r.field) for r in alone.rejections) == expected, raw.payload


MIB = 1 << 20
ATTACKS = {
    "escaped_quotes": b'{"v":1,"readings":"' + b'\\"' * (MIB // 2 - 20),
    "open_quote_after_open_quote": b'"\\' * (MIB // 2),
    "one_long_integer": b'{"v":1,"readings":[{"meter":"a","ts":' + b"9" * (MIB - 100) + b',"p_kw":1}]}',
    "one_long_fraction": b'{"v":1,"readings":[{"meter":"a","ts":1,"p_kw":0.' + b"1" * (MIB - 100) + b"}]}",
    "long_exponent": b'{"v":1,"readings":[{"meter":"a","ts":1,"p_kw":1e' + b"9" * (MIB - 100) + b"}]}",
    "one_long_id": b'{"v":1,"readings":[{"meter":"' + b"a" * (MIB - 100) + b'","ts":1,"p_kw":1}]}',
    "opening_brackets": b"[" * MIB,
    "opening_braces": b'{"":' * (MIB // 4),
    "empty_objects": b'{"v":1,"readings":[' + b",".join([b"{}"] * (MIB // 3 - 20)) + b"]}",
    "unknown_fields": json.dumps({"v": 1, "readings": [{f"x{i}": 1} for i in range(70_000)]}).encode(),
    "one_wide_object": json.dumps({f"x{i}": 1 for i in range(70_000)}).encode(),
    "twice_each": b"{" + b",".join([b'"a":1'] * (MIB // 6 - 10)) + b"}",
    "bad_stamps": json.dumps({"v": 1, "readings": [reading(ts=f"x{i}") for i in range(9_000)]}).encode(),
    "bad_meters": json.dumps({"v": 1, "readings": [reading(meter=f"-{i}") for i in range(9_000)]}).encode(),
    "backslash_in_good_rows": rows(*[reading()] * 9_000).replace(b"330124001", b"\\u00330124001", 1),
}


@pytest.mark.parametrize("adapter", ["canonical", "generic", "arrow", "status"])
@pytest.mark.parametrize("name", ATTACKS)
def test_no_payload_takes_long(name: str, adapter: str) -> None:
    payload = ATTACKS[name]
    assert len(payload) <= MIB
    started = time.perf_counter()
    decoded = decode_group([RawMessage("t", payload, TS_MS, "p", adapter)], ADAPTERS)
    assert time.perf_counter() - started < 5.0
    assert decoded.rejections or len(decoded.batch)
    assert not any(r.reason is RejectReason.INTERNAL for r in decoded.rejections)
