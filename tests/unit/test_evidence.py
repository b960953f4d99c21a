"""A finding's digest names exactly the readings of its meter and night."""

from __future__ import annotations

import dataclasses
import datetime as dt

import numpy as np

from models.domain.nights import night_of_date
from models.domain.windows import SlotFlag, Window
from monitor.evidence import readings_digest
from tests.support.district import ZONE

NIGHT = night_of_date(dt.date(2026, 3, 2), ZONE)


def window(meters: tuple[str, ...] = ("a", "b"), **instants: list[float]) -> Window:
    n = len(meters)
    values = {
        name: np.tile(np.array(row, dtype=np.float32), (n, 1))
        for name, row in ({"p_kw": [1.0, 2.0]} | instants).items()
    }
    return Window(
        night=NIGHT,
        interval_s=43_200,
        meters=meters,
        instants=values,
        registers={"e_imp_kwh": np.tile([10.0, 11.0, np.nan], (n, 1))},
        flags=np.full((n, 2), SlotFlag.HAS_DATA, dtype=np.uint8),
    )


def test_it_is_the_same_wherever_the_meter_stands_and_whoever_stands_beside_it() -> None:
    alone = window(("a",))
    crowd = window(("x", "a", "y"))
    crowd.instants["p_kw"][0] = 77.0
    assert readings_digest(alone, 0) == readings_digest(crowd, 1)
    assert readings_digest(crowd, 0) != readings_digest(crowd, 2)


def test_a_channel_only_others_carry_changes_nothing() -> None:
    other = window(q_kvar=[1.0, 1.0])
    other.instants["q_kvar"][0] = np.nan
    assert readings_digest(other, 0) == readings_digest(window(), 0)
    assert readings_digest(other, 1) != readings_digest(window(), 1)


def test_any_nan_is_the_same_nan() -> None:
    one, other = window(p_kw=[1.0, np.nan]), window(p_kw=[1.0, np.nan])
    other.instants["p_kw"].view(np.uint32)[:, 1] = 0xFFC00001
    assert readings_digest(one, 0) == readings_digest(other, 0)


def test_every_part_of_the_readings_counts() -> None:
    base = window()
    changed = [
        window(("c", "b")),
        dataclasses.replace(base, night=night_of_date(dt.date(2026, 3, 3), ZONE)),
        dataclasses.replace(base, interval_s=3600),
        window(p_kw=[1.0, 2.5]),
        window(p_kw=[1.0, 0.0]),
        window(p_kw=[1.0, np.nan]),
        dataclasses.replace(base, registers={"e_imp_kwh": base.registers["e_imp_kwh"] + 0.01}),
        dataclasses.replace(base, registers={"e_exp_kwh": base.registers["e_imp_kwh"]}),
        dataclasses.replace(base, flags=base.flags | np.uint8(SlotFlag.CONFLICT)),
    ]
    digests = {readings_digest(one, 0) for one in (base, *changed)}
    assert len(digests) == len(changed) + 1
    assert all(len(digest) == 64 for digest in digests)


def test_the_window_is_left_as_it_was() -> None:
    one = window(p_kw=[1.0, np.nan])
    before = one.instants["p_kw"].copy(), one.registers["e_imp_kwh"].copy()
    readings_digest(one, 0)
    np.testing.assert_array_equal(one.instants["p_kw"], before[0])
    np.testing.assert_array_equal(one.registers["e_imp_kwh"], before[1])
