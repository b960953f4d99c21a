"""The line protocol encoder: escapes, refuses, and agrees with an obvious loop."""

from __future__ import annotations

import math
import re

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.line_protocol import encode, escaped, series

NUMBERS = st.one_of(st.floats(), st.sampled_from([0.0, -0.0, 1e300, 5e-324, math.nan, math.inf, -math.inf]))


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("plain-1.2_3", "plain-1.2_3"),
        ("a b", "a\\ b"),
        ("a,b=c", "a\\,b\\=c"),
        ("end\\", "end\\\\"),
        ("电表", "电表"),
        ('say "so"', 'say\\ "so"'),
    ],
)
def test_tags_are_escaped(text: str, written: str) -> None:
    assert escaped(text) == written


@pytest.mark.parametrize("text", ["", "a\nb", "a\rb", "\x00", "a\tb", "a\u2028b", "\ud800"])
def test_what_could_end_a_line_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="line protocol"):
        escaped(text)
    if text:
        with pytest.raises(ValueError, match="line protocol"):
            series("reading", {"meter": text})


@given(st.text(min_size=1))
def test_no_tag_makes_another_line_or_tag(text: str) -> None:
    try:
        line = series("m", {"meter": text, "a": "1"})
    except ValueError:
        return
    assert line.splitlines() == [line]
    assert len(re.findall(r"(?<!\\)(?:\\\\)*,", line)) == 2
    assert len(re.findall(r"(?<!\\)(?:\\\\)* ", line)) == 0


def test_tags_stand_in_order_and_empty_ones_are_left_out() -> None:
    assert series("reading", {"site": "S1", "meter": "M1", "publisher": ""}) == "reading,meter=M1,site=S1"


@given(st.lists(st.tuples(NUMBERS, st.floats(width=32), st.none() | st.integers(0, 9)), max_size=30))
def test_it_writes_what_a_loop_would(rows: list[tuple[float, float, int | None]]) -> None:
    ts_ms = [1_772_465_700_000 + i for i in range(len(rows))]
    lines = encode(
        pa.array([f"m,i={i}" for i in range(len(rows))], pa.string()),
        {
            "e_imp_kwh": pa.array(np.array([r[0] for r in rows], dtype=np.float64)),
            "p_kw": pa.array(np.array([r[1] for r in rows], dtype=np.float32)),
            "contested": pa.array([r[2] for r in rows], pa.int64()),
        },
        pa.array(ts_ms, pa.int64()),
    )
    expected = []
    for i, (energy, power, contested) in enumerate(rows):
        fields = {"e_imp_kwh": energy, "p_kw": power}
        shown = {name: value for name, value in fields.items() if math.isfinite(value)}
        if shown or contested is not None:
            expected.append((f"m,i={i}", shown, contested, ts_ms[i]))
    text = lines.some(0, len(lines)).decode()
    assert len(lines) == len(expected)
    assert text.count("\n") == len(expected)
    for line, (prefix, shown, contested, stamp) in zip(text.splitlines(), expected, strict=True):
        got_prefix, got_fields, got_stamp = line.split(" ")
        parts = dict(part.split("=") for part in got_fields.split(","))
        assert (got_prefix, int(got_stamp)) == (prefix, stamp)
        assert (f"{contested}i" if contested is not None else None) == parts.pop("contested", None)
        assert {name: np.float32(v) if name == "p_kw" else float(v) for name, v in parts.items()} == shown


def test_lines_come_out_in_batches_without_a_small_rest() -> None:
    prefix = pa.array(["m"] * 23, pa.string())
    lines = encode(prefix, {"v": pa.array(np.arange(23.0))}, pa.array(np.arange(23), pa.int64()))
    bounds = list(lines.batches(10))
    assert bounds == [(0, 10), (10, 23)]
    assert b"".join(lines.some(*b) for b in bounds) == lines.some(0, 23)
    assert lines.some(4, 5) == b"m v=4 4\n"
    assert lines.some(5, 5) == b""


def test_a_gap_in_the_only_column_leaves_out_its_line() -> None:
    lines = encode(pa.array(["m,i=0", "m,i=1"]), {"v": pa.array([None, 2.5])}, pa.array([7, 8]))
    assert lines.some(0, len(lines)) == b"m,i=1 v=2.5 8\n"


def test_nothing_is_nothing() -> None:
    empty = encode(pa.array([], pa.string()), {}, pa.array([], pa.int64()))
    assert len(empty) == 0
    only_gaps = encode(pa.array(["m"]), {"v": pa.array([math.nan])}, pa.array([1]))
    assert len(only_gaps) == 0
    assert list(only_gaps.batches(10)) == []
