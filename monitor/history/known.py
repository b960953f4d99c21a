"""Duplicate, conflict or revision: what a value is to those already known under the same key (rule D4)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray


class KnownKind(IntEnum):
    """What one value of one reading is, compared with values of the same meter, stamp, interval and channel."""

    ABSENT = 0
    """The reading does not carry the channel."""
    NEW = 1
    """Nothing was known."""
    DUPLICATE = 2
    """The same value under the same revision is known: count it, do not store it again."""
    CONFLICT = 3
    """Another value under the same revision is known: keep both."""
    REVISION = 4
    """Only lower revisions are known: this one takes their place."""
    SUPERSEDED = 5
    """Nothing under this revision, but a higher one is known: keep it, it changes nothing."""


@dataclass(frozen=True, slots=True)
class Stored:
    """Known values of one channel: `key` (m,) names a row of the asked keys, `rev` (m,), `value` (m,), NaN for none."""

    key: NDArray[np.int64]
    rev: NDArray[np.int32]
    value: NDArray[np.float64]


def classify(
    key: NDArray[np.int64], rev: NDArray[np.int32], value: NDArray[np.float64], stored: Stored | None
) -> NDArray[np.uint8]:
    """`KnownKind` of each value, (n,) uint8, against the stored values and the rows before it; NaN is ABSENT.

    Values compare bit for bit as they are stored. Cost: a few sorts of stored and asked values together.
    """
    kinds = np.full(len(value), KnownKind.ABSENT, dtype=np.uint8)
    carried = np.flatnonzero(~np.isnan(value))
    if not carried.size:
        return kinds
    known = np.flatnonzero(~np.isnan(stored.value)) if stored is not None else np.zeros(0, dtype=np.intp)
    keys, revs, values = key[carried].astype(np.int64), rev[carried].astype(np.int64), value[carried]
    if stored is not None and known.size:
        keys = np.concatenate([stored.key[known].astype(np.int64), keys])
        revs = np.concatenate([stored.rev[known].astype(np.int64), revs])
        values = np.concatenate([stored.value[known], values])
    order = np.arange(len(keys))
    repeated = _not_first(order, keys, revs, values)
    contradicts = _not_first(order, keys, revs) & ~repeated
    highest_before = _highest_before(order, keys, revs)
    fresh = np.select(
        [highest_before < 0, highest_before < revs], [KnownKind.NEW, KnownKind.REVISION], KnownKind.SUPERSEDED
    )
    found = np.select([repeated, contradicts], [KnownKind.DUPLICATE, KnownKind.CONFLICT], fresh)
    kinds[carried] = found[known.size :]
    return kinds


def _not_first(order: NDArray[np.intp], *columns: NDArray[np.int64] | NDArray[np.float64]) -> NDArray[np.bool_]:
    """True for every element that has an equal one (in all columns) before it."""
    by = np.lexsort((order, *reversed(columns)))
    same = np.ones(len(by) - 1, dtype=np.bool_)
    for column in columns:
        same &= column[by[1:]] == column[by[:-1]]
    result = np.zeros(len(by), dtype=np.bool_)
    result[by[1:]] = same
    return result


def _highest_before(order: NDArray[np.intp], keys: NDArray[np.int64], revs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Highest revision (0 or more) of the same key among the elements before, -1 where there is none."""
    by = np.lexsort((order, keys))
    span = int(revs.max()) + 1
    running = np.maximum.accumulate(keys[by] * span + revs[by])
    result = np.full(len(by), -1, dtype=np.int64)
    same = keys[by[1:]] == keys[by[:-1]]
    result[by[1:]] = np.where(same, running[:-1] - keys[by[1:]] * span, -1)
    return result
