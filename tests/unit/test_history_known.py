"""Duplicate, conflict, revision: the sorted answer against an obvious loop."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from monitor.history.known import KnownKind, Stored, classify

Row = tuple[int, int, float]

rows = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 2), st.sampled_from([0.0, 1.0, 2.0, float("nan")])), max_size=14
)


def slow(asked: list[Row], stored: list[Row]) -> list[KnownKind]:
    known = [row for row in stored if row[2] == row[2]]
    kinds = []
    for key, rev, value in asked:
        if value != value:
            kinds.append(KnownKind.ABSENT)
            continue
        revs = {r for k, r, _ in known if k == key}
        values = {v for k, r, v in known if k == key and r == rev}
        if value in values:
            kinds.append(KnownKind.DUPLICATE)
        elif values:
            kinds.append(KnownKind.CONFLICT)
        elif not revs:
            kinds.append(KnownKind.NEW)
        else:
            kinds.append(KnownKind.REVISION if max(revs) < rev else KnownKind.SUPERSEDED)
        known.append((key, rev, value))
    return kinds


def columns(of: list[Row]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return (
        np.array([row[0] for row in of], dtype=np.int64),
        np.array([row[1] for row in of], dtype=np.int32),
        np.array([row[2] for row in of], dtype=np.float64),
    )


@given(rows, rows)
def test_every_value_is_named_as_the_loop_names_it(asked: list[Row], stored: list[Row]) -> None:
    found = classify(*columns(asked), Stored(*columns(stored)))
    assert [KnownKind(kind) for kind in found.tolist()] == slow(asked, stored)


def test_zero_is_a_value() -> None:
    asked = columns([(0, 0, 0.0), (0, 0, 0.0)])
    assert classify(*asked, None).tolist() == [KnownKind.NEW, KnownKind.DUPLICATE]
