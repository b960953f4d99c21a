"""Applying the journal: the outcome of every reading, what reaches history, and that rings and history agree."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.domain.nights import night_of_date
from monitor.admission import Admitted
from monitor.applier import RING_HOURS, Applier, fill_ring
from monitor.history.history import History
from monitor.roster import Roster
from monitor.storage import StoreFull
from monitor.windows import Outcome, Ring
from tests.support.district import DAY_MS, FIRST, QUARTER_MS, START_MS, ZONE, register

ROSTER = Roster(register())
CALM, SHUT = ROSTER.index["calm"], ROSTER.index["shut"]
NIGHT = night_of_date(FIRST, ZONE)
Row = tuple[int, int, float]
"""Meter key, stamp, power."""


def group(rows: Sequence[Row], interval_s: int = 900, rev: int = 0, channel: str = "p_kw") -> Admitted:
    n = len(rows)
    return Admitted(
        keys=np.array([r[0] for r in rows], dtype=np.int32),
        ts_ms=np.array([r[1] for r in rows], dtype=np.int64),
        interval_s=np.full(n, interval_s, dtype=np.int32),
        rev=np.full(n, rev, dtype=np.int32),
        channels={channel: np.array([r[2] for r in rows], dtype=np.float64)},
        rejections=(),
        n_refused=0,
    )


class Bench:
    """An applier over a history, and what it told of."""

    def __init__(self, state_dir: Path) -> None:
        self.history = History.open(state_dir)
        self.told: list[tuple[int, int, int]] = []
        self.applier = Applier(ROSTER, self.history, ZONE, self._hear)
        self.applier.rebuild()
        self.applier.applied_seq = self.history.cursor

    def _hear(self, interval_s: int, keys: np.ndarray, nights: np.ndarray) -> None:
        self.told += [
            (interval_s, key, night - FIRST.toordinal())
            for key, night in zip(keys.tolist(), nights.tolist(), strict=True)
        ]

    def apply(self, *groups: Admitted) -> Counter[Outcome]:
        before = self.applier.outcomes.copy()
        for one in groups:
            self.applier.apply(one, self.applier.applied_seq + 1)
        return self.applier.outcomes - before

    def rows(self) -> int:
        self.applier.flush()
        return int(self.history.read(0, 1 << 45).num_rows)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    one = Bench(tmp_path)
    yield one
    one.history.close()


def test_a_reading_is_stored_known_or_contradicted(bench: Bench) -> None:
    row = (CALM, START_MS + QUARTER_MS, 0.0)
    assert bench.apply(group([row])) == {Outcome.STORED: 1}
    assert bench.apply(group([row])) == {Outcome.DUPLICATE: 1}
    assert bench.apply(group([(*row[:2], 1.0)])) == {Outcome.CONFLICT: 1}
    assert bench.rows() == 2
    assert bench.history.cursor == 3


def test_only_what_is_new_is_told(bench: Bench) -> None:
    row = (CALM, START_MS + QUARTER_MS, 1.0)
    bench.apply(group([row]), group([row]))
    assert bench.told == [(900, CALM, 0)]


@pytest.mark.parametrize(
    ("offset_ms", "nights"),
    [(0, [-1, 0]), (-QUARTER_MS, [-1]), (QUARTER_MS, [0]), (200_000, [-1, 0]), (-200_000, [-1, 0]), (500_000, [0])],
    ids=["noon", "slot_before", "slot_after", "just_after_noon", "just_before_noon", "nearer_to_the_next_slot"],
)
def test_a_reading_is_told_of_every_night_its_slot_belongs_to(bench: Bench, offset_ms: int, nights: list[int]) -> None:
    bench.apply(group([(CALM, START_MS + offset_ms, 1.0)]))
    assert sorted(night for _, _, night in bench.told) == nights


def test_a_reading_before_the_ring_is_settled_at_the_flush(bench: Bench) -> None:
    late = group([(CALM, START_MS, 1.0), (CALM, START_MS, 1.0), (CALM, START_MS, 2.0)])
    bench.apply(group([(CALM, START_MS + 20 * DAY_MS, 1.0)]))
    bench.told.clear()
    assert bench.apply(late) == {}
    assert bench.applier.n_old == 3
    assert bench.rows() == 3
    assert bench.applier.n_old == 0
    assert bench.applier.outcomes == {Outcome.STORED: 2, Outcome.DUPLICATE: 1, Outcome.CONFLICT: 1}
    assert set(bench.told) == {(900, CALM, -1), (900, CALM, 0)}
    bench.apply(late)
    assert bench.rows() == 3


@pytest.mark.parametrize("interval_s", [7200, 420])
def test_a_cadence_without_a_ring_is_settled_against_history(bench: Bench, interval_s: int) -> None:
    row = (CALM, START_MS + DAY_MS // 2, 1.0)
    bench.apply(group([row], interval_s), group([row], interval_s))
    assert bench.applier.ring(interval_s) is None
    assert bench.rows() == 1
    bench.apply(group([row], interval_s))
    assert bench.rows() == 1
    assert bench.applier.outcomes == {Outcome.STORED: 1, Outcome.DUPLICATE: 2}


def test_a_reading_at_two_cadences_is_two_readings(bench: Bench) -> None:
    row = (CALM, START_MS + 4 * QUARTER_MS, 1.0)
    mixed = group([row, row])
    mixed.interval_s[1] = 3600
    assert bench.apply(mixed) == {Outcome.STORED: 2}
    assert bench.rows() == 2


@pytest.mark.parametrize("interval_s", sorted(RING_HOURS))
def test_a_ring_holds_a_night_a_watermark_late_and_more(interval_s: int) -> None:
    assert 86_400 % interval_s == 0
    assert RING_HOURS[interval_s] >= 48


def test_after_a_restart_nothing_known_is_stored_again_however_old(tmp_path: Path) -> None:
    """Meters fall silent at different times; the ring after a restart reaches back from the newest of all."""
    known = [
        *((CALM, START_MS + k * QUARTER_MS, 1.0 + k) for k in range(400)),
        *((SHUT, START_MS + 30 * DAY_MS + k * QUARTER_MS, 2.0) for k in range(40)),
    ]
    first = Bench(tmp_path)
    first.apply(group(known))
    assert first.rows() == len(known)
    first.history.close()
    again = Bench(tmp_path)
    again.told.clear()
    again.apply(group(known), group([(CALM, known[7][1], 99.0)]))
    assert again.rows() == len(known) + 1
    assert again.applier.outcomes == {Outcome.DUPLICATE: len(known), Outcome.CONFLICT: 1}
    assert {key for _, key, _ in again.told} == {CALM}
    again.history.close()


def test_a_store_that_is_full_keeps_everything_waiting(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.apply(group([(CALM, START_MS + 20 * DAY_MS, 1.0)]), group([(CALM, START_MS, 1.0)]))
    waiting = bench.applier.n_waiting
    append = bench.history.append

    def full(*_: object, **__: object) -> None:
        raise StoreFull("no room")

    monkeypatch.setattr(bench.history, "append", full)
    with pytest.raises(StoreFull):
        bench.applier.flush()
    assert bench.applier.n_waiting == waiting == 2
    monkeypatch.setattr(bench.history, "append", append)
    assert bench.rows() == 2
    assert bench.applier.outcomes == {Outcome.STORED: 2}


slots = st.integers(0, 2000)
values = st.sampled_from([0.0, 0.55, 1.0, 12345.67, 30_000_000.0, 9.9e11])
rows_of = st.lists(
    st.tuples(st.sampled_from([CALM, SHUT]), slots, st.sampled_from([0, 0, 45_000]), values), max_size=60
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=rows_of, seed=st.integers(0, 1000))
def test_rings_and_history_show_the_same_night_wherever_a_ring_says_it_covers_it(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[tuple[int, int, int, float]], seed: int
) -> None:
    """Registers that jump beyond the ring's range included; the order of arrival is nothing to history either."""
    rng = random.Random(seed)
    rows = [(key, START_MS - 10 * DAY_MS + slot * QUARTER_MS + off, value) for key, slot, off, value in drawn]
    again = list(rows)
    rng.shuffle(again)
    one, other = Bench(tmp_path_factory.mktemp("one")), Bench(tmp_path_factory.mktemp("other"))
    try:
        for bench, arrived in ((one, rows), (other, again)):
            cut = rng.randrange(len(rows) + 1)
            bench.apply(*(group(part, channel="e_imp_kwh") for part in (arrived[:cut], arrived[cut:], arrived[:cut])))
            assert bench.rows() == len(set(rows))
        keys = np.array([CALM, SHUT], dtype=np.int32)
        night = night_of_date(FIRST, ZONE)
        for back in range(12):
            night = night_of_date(FIRST.fromordinal(FIRST.toordinal() - 10 + back), ZONE)
            wide = []
            for bench in (one, other):
                ring = Ring(900, 120, wide=True)
                stored = bench.history.read(night.start_ms - 3_600_000, night.end_ms + 3_600_000, interval_s=900)
                if stored.num_rows:
                    fill_ring(ring, stored, ROSTER)
                wide.append(ring.window(night, keys, ["calm", "shut"]))
                live = bench.applier.rings.get(900)
                if live is None:
                    continue
                held = live.covers(keys, night)
                seen = live.window(night, keys[held], ["calm"] * int(held.sum()))
                none = np.full((2, 97), np.nan)
                np.testing.assert_array_equal(
                    seen.registers.get("e_imp_kwh", none[held]), wide[-1].registers.get("e_imp_kwh", none)[held]
                )
                np.testing.assert_array_equal(seen.flags, wide[-1].flags[held])
            np.testing.assert_array_equal(wide[0].flags, wide[1].flags)
            for name, column in wide[0].registers.items():
                np.testing.assert_array_equal(column, wide[1].registers[name])
    finally:
        one.history.close()
        other.history.close()
