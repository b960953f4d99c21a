"""The rings: what a slot holds is a function of the set of readings, not of their order."""

from __future__ import annotations

import datetime as dt
import itertools
import math
from collections import defaultdict
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.domain.nights import Night, night_of_date
from models.domain.windows import SlotFlag, Window
from monitor.windows import Outcome, Ring

NIGHT = night_of_date(dt.date(2026, 3, 2), ZoneInfo("Asia/Shanghai"))
STEP_MS = 900_000

Reading = tuple[int, int, int, float, float]
"""key, stamp, revision, power, register."""

readings = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.builds(
            lambda k, off: NIGHT.start_ms + k * STEP_MS + off,
            st.integers(0, 96),
            st.sampled_from([0, 0, 0, 5000, -5000]),
        ),
        st.sampled_from([0, 0, 0, 0, 1, 2]),
        st.sampled_from([math.nan, 0.0, 1.5, 812.4]),
        st.sampled_from([math.nan, 0.0, 1284533.12, 99999999.99]),
    ),
    max_size=40,
)


def fill(ring: Ring, rows: list[Reading], cuts: list[int] | None = None) -> list[int]:
    """Apply rows in batches; the outcome of each reading, in order."""
    outcomes: list[int] = []
    edges = [0, *sorted(c % (len(rows) + 1) for c in cuts or []), len(rows)]
    for low, high in itertools.pairwise(edges):
        part = rows[low:high]
        outcome, _ = ring.apply(
            np.array([r[0] for r in part], dtype=np.int32),
            np.array([r[1] for r in part], dtype=np.int64),
            np.array([r[2] for r in part], dtype=np.int32),
            {
                "p_kw": np.array([r[3] for r in part], dtype=np.float64),
                "e_imp_kwh": np.array([r[4] for r in part], dtype=np.float64),
            },
        )
        outcomes += outcome.tolist()
    return outcomes


def seen(ring: Ring, night: Night = NIGHT) -> Window:
    return ring.window(night, np.arange(3, dtype=np.int32), ["a", "b", "c"])


def naive(rows: list[Reading], column: int) -> dict[tuple[int, int], float]:
    """What each slot must hold, from the rules as written: nearest stamp, highest revision, one value or none."""
    cells: dict[tuple[int, int], set[tuple[int, int, float]]] = defaultdict(set)
    for row in rows:
        if not math.isnan(row[column]):
            slot = math.floor(row[1] / STEP_MS + 0.5)
            cells[row[0], slot].add((row[1] - slot * STEP_MS, row[2], row[column]))
    result = {}
    for cell, entries in cells.items():
        offset = min({e[0] for e in entries}, key=lambda o: (abs(o), o))
        revision = max(e[1] for e in entries if e[0] == offset)
        values = {e[2] for e in entries if e[:2] == (offset, revision)}
        result[cell] = values.pop() if len(values) == 1 else math.nan
    return result


@settings(max_examples=150, deadline=None)
@given(readings, st.lists(st.integers(0, 40), max_size=4), st.randoms())
def test_a_slot_is_settled_by_the_set_of_its_readings(rows, cuts, shuffler):
    ring, again = Ring(900, 120, wide=True), Ring(900, 120, wide=True)
    fill(ring, rows)
    mixed = list(rows)
    shuffler.shuffle(mixed)
    fill(again, mixed, cuts)
    one, other = seen(ring), seen(again)
    expected = naive(rows, 3)
    power = one.instants.get("p_kw", np.full((3, 96), np.nan))
    first = NIGHT.start_ms // STEP_MS
    for (key, slot), value in expected.items():
        if 1 <= slot - first <= 96:
            np.testing.assert_equal(power[key, slot - first - 1], np.float32(value))
    np.testing.assert_array_equal(power, other.instants.get("p_kw", np.full((3, 96), np.nan)))
    np.testing.assert_array_equal(one.flags, other.flags)
    registers = one.registers.get("e_imp_kwh", np.full((3, 97), np.nan))
    for (key, slot), value in naive(rows, 4).items():
        if 0 <= slot - first <= 96:
            np.testing.assert_allclose(registers[key, slot - first], value, rtol=0, atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(readings)
def test_applying_everything_twice_stores_nothing_new(rows):
    ring = Ring(900, 120)
    fill(ring, rows)
    before = seen(ring)
    again = fill(ring, rows)
    assert set(again) <= {Outcome.DUPLICATE, Outcome.OLD}
    np.testing.assert_array_equal(before.flags, seen(ring).flags)


def test_zero_is_a_reading_not_a_missing_value():
    ring = Ring(900, 120)
    assert fill(ring, [(0, NIGHT.start_ms + STEP_MS, 0, 0.0, 0.0)]) == [Outcome.STORED]
    assert fill(ring, [(0, NIGHT.start_ms + STEP_MS, 0, 0.0, math.nan)]) == [Outcome.DUPLICATE]
    assert seen(ring).instants["p_kw"][0, 0] == 0.0


def test_two_values_for_one_stamp_are_a_conflict_until_a_revision_settles_it():
    ring = Ring(900, 120)
    stamp = NIGHT.start_ms + STEP_MS
    assert fill(ring, [(0, stamp, 0, 1.0, math.nan), (0, stamp, 0, 2.0, math.nan)]) == [0, Outcome.CONFLICT]
    assert "p_kw" not in seen(ring).instants
    assert seen(ring).flags[0, 0] & SlotFlag.CONFLICT
    assert fill(ring, [(0, stamp, 1, 2.0, math.nan)]) == [Outcome.STORED]
    assert seen(ring).instants["p_kw"][0, 0] == 2.0
    assert not seen(ring).flags[0, 0] & SlotFlag.CONFLICT


def test_a_slot_that_scrolled_out_is_reported_old_and_not_touched():
    ring = Ring(900, 100)
    fill(ring, [(0, NIGHT.start_ms + 200 * STEP_MS, 0, 5.0, math.nan)])
    assert fill(ring, [(0, NIGHT.start_ms + STEP_MS, 0, 1.0, math.nan)]) == [Outcome.OLD]
    assert not ring.covers(np.array([0], dtype=np.int32), NIGHT)[0]


def test_scrolling_empties_the_slots_in_between():
    ring = Ring(900, 100)
    rows = [(0, NIGHT.start_ms + k * STEP_MS, 0, 5.0, 10.0 * k) for k in range(1, 97)]
    fill(ring, rows)
    fill(ring, [(0, NIGHT.start_ms + 192 * STEP_MS, 0, 7.0, 5000.0)])
    later = Night(NIGHT.date, NIGHT.end_ms, NIGHT.end_ms + 96 * STEP_MS)
    window = seen(ring, later)
    assert np.isnan(window.instants["p_kw"][0, :-1]).all()
    assert window.instants["p_kw"][0, -1] == 7.0


@pytest.mark.parametrize("jump_kwh", [1e8, 9.9e11])
def test_a_register_jump_too_wide_for_the_ring_sends_the_night_to_history(jump_kwh):
    rows = [(0, NIGHT.start_ms + STEP_MS, 0, 1.0, 0.55), (0, NIGHT.start_ms + 2 * STEP_MS, 0, 1.0, jump_kwh)]
    ring, wide = Ring(900, 120), Ring(900, 120, wide=True)
    fill(ring, rows)
    fill(wide, rows)
    assert not ring.covers(np.array([0], dtype=np.int32), NIGHT)[0]
    assert seen(wide).registers["e_imp_kwh"][0, 1:3].tolist() == [0.55, jump_kwh]


def test_rows_and_keys_grow_without_losing_what_is_held():
    ring = Ring(900, 120)
    fill(ring, [(0, NIGHT.start_ms + STEP_MS, 0, 3.25, 1.0)])
    fill(ring, [(k, NIGHT.start_ms + STEP_MS, 0, float(k), 2.0) for k in range(1, 3000)])
    window = ring.window(NIGHT, np.array([0, 2999, 777], dtype=np.int32), ["a", "b", "c"])
    assert window.instants["p_kw"][:, 0].tolist() == [3.25, 2999.0, 777.0]


def test_a_duplicate_behind_a_jump_too_wide_is_left_to_history_within_one_batch_too():
    first, jump = (0, NIGHT.start_ms + STEP_MS, 0, 1.0, 0.55), (0, NIGHT.start_ms + 2 * STEP_MS, 0, 1.0, 1e8)
    for rows in ([first, jump, first], [first, first, jump, first]):
        outcomes = fill(Ring(900, 120), rows)
        assert outcomes.count(Outcome.STORED) == 2
        assert outcomes[-1] == Outcome.OLD
    ring = Ring(900, 120)
    fill(ring, [first])
    assert Outcome.STORED not in fill(ring, [jump, first])[1:]


@pytest.mark.parametrize("expected_rows", [0, 400])
def test_meters_that_come_later_change_nothing_of_the_ones_before_and_begin_empty(expected_rows: int) -> None:
    ring = Ring(900, 120, expected_rows=expected_rows)
    rows = [(key, NIGHT.start_ms + STEP_MS * (1 + key % 90), 0, float(key), 10.0 * key) for key in range(700)]
    for first in (0, 3, 200, 450):
        last = {0: 3, 3: 200, 200: 450, 450: 700}[first]
        assert set(fill(ring, rows[first:last])) == {Outcome.STORED}
    keys = np.arange(700, dtype=np.int32)
    window = ring.window(NIGHT, keys, [str(key) for key in keys.tolist()])
    for key in keys.tolist():
        (slot,) = np.flatnonzero(np.isfinite(window.instants["p_kw"][key]))
        assert (slot, window.instants["p_kw"][key, slot]) == (key % 90, key)
        (edge,) = np.flatnonzero(np.isfinite(window.registers["e_imp_kwh"][key]))
        assert (edge, window.registers["e_imp_kwh"][key, edge]) == (key % 90 + 1, 10.0 * key)
    assert ring.nbytes == 700 * 120 * (1 + 4 + 4)


@settings(deadline=None)
@given(readings)
def test_a_night_has_data_where_a_slot_of_it_was_reported(rows: list[Reading]) -> None:
    ring = Ring(900, 120)
    fill(ring, rows)
    flags = seen(ring).flags & np.uint8(SlotFlag.HAS_DATA)
    assert ring.has_data(NIGHT, np.arange(3, dtype=np.int32)).tolist() == (flags != 0).any(axis=1).tolist()
