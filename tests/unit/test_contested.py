"""A slot with several readings is settled by all of them, whichever came first."""

from __future__ import annotations

import math
import random

from hypothesis import given
from hypothesis import strategies as st

from models.domain.windows import SlotFlag
from monitor.contested import Cell

entries = st.lists(
    st.tuples(
        st.sampled_from(["p_kw", "e_imp_kwh"]),
        st.tuples(st.sampled_from([-200, 0, 200, 5000]), st.integers(0, 2)),
        st.sampled_from([0.0, 1.0, 2.0]),
    ),
    min_size=1,
    max_size=12,
)


def cell_of(rows: list[tuple[str, tuple[int, int], float]]) -> Cell:
    cell = Cell()
    for channel, stamp, value in rows:
        if not cell.knows(channel, stamp, value):
            cell.add(channel, stamp, value)
    return cell


@given(entries, st.randoms())
def test_the_order_of_arrival_is_nothing(
    rows: list[tuple[str, tuple[int, int], float]], shuffler: random.Random
) -> None:
    mixed = list(rows)
    shuffler.shuffle(mixed)
    one, other = cell_of(rows), cell_of(mixed)
    assert one.flags() == other.flags()
    for channel in one.channels:
        left, right = one.settle(channel), other.settle(channel)
        assert (left.offset_ms, left.rev) == (right.offset_ms, right.rev)
        assert left.value == right.value or (math.isnan(left.value) and math.isnan(right.value))


def test_the_nearest_stamp_wins_and_of_two_as_near_the_earlier() -> None:
    assert cell_of([("p_kw", (5000, 9), 1.0), ("p_kw", (-200, 0), 2.0)]).settle("p_kw").value == 2.0
    assert cell_of([("p_kw", (200, 0), 1.0), ("p_kw", (-200, 0), 2.0)]).settle("p_kw").value == 2.0


def test_a_contradiction_is_nan_until_a_higher_revision_and_again_after_two_of_those() -> None:
    cell = cell_of([("p_kw", (0, 0), 1.0), ("p_kw", (0, 0), 2.0)])
    assert math.isnan(cell.settle("p_kw").value)
    assert SlotFlag.CONFLICT in cell.flags()
    assert not cell.add("p_kw", (0, 1), 1.5)
    assert cell.settle("p_kw").value == 1.5
    assert cell.flags() == SlotFlag.CONTESTED | SlotFlag.HAS_DATA | SlotFlag.REVISED
    assert cell.add("p_kw", (0, 1), 1.6)
    assert math.isnan(cell.settle("p_kw").value)
    assert SlotFlag.CONFLICT in cell.flags()


def test_a_contradiction_of_one_channel_leaves_the_other_alone() -> None:
    cell = cell_of([("p_kw", (0, 0), 1.0), ("p_kw", (0, 0), 2.0), ("e_imp_kwh", (0, 0), 7.0)])
    assert cell.settle("e_imp_kwh").value == 7.0
    assert SlotFlag.CONFLICT in cell.flags()


def test_zero_is_a_value() -> None:
    cell = cell_of([("p_kw", (0, 0), 0.0)])
    assert cell.knows("p_kw", (0, 0), 0.0)
    assert not cell.knows("p_kw", (0, 1), 0.0)
    assert cell.settle("p_kw").value == 0.0
