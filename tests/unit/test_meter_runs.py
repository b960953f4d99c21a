"""Meters that senders repeat are shared between messages, and sharing never changes what a message says."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from connectors.adapters import strict
from connectors.adapters.builder import BatchBuilder
from connectors.adapters.meter_runs import MIN_RUN, SharedRuns
from models.domain.readings import Decoded, MeterRun, MeterRuns, RejectReason
from models.domain.register import Meter, Publisher, Register, RegisterRows
from monitor.roster import Roster
from tests.support.payloads import TS_MS, arrow, columns, decode, reading, refusals, rows, same

LONG_AGO = dt.date(2020, 1, 1)


def names(count: int = MIN_RUN, prefix: str = "m") -> list[str]:
    return [f"{prefix}{number}" for number in range(count)]


def in_columns(meters: Sequence[str], p_kw: float = 1.0) -> bytes:
    return columns(meter=list(meters), ts=[TS_MS] * len(meters), p_kw=[p_kw] * len(meters))


def in_rows(meters: Sequence[str]) -> bytes:
    return rows(*(reading(meter=meter) for meter in meters))


def in_arrow(meters: Sequence[str]) -> bytes:
    return arrow({"meter": list(meters), "ts": [TS_MS] * len(meters), "p_kw": [1.0] * len(meters)})


def runs(decoded: Decoded) -> Sequence[Sequence[str]]:
    meter = decoded.batch.meter
    return meter.runs if isinstance(meter, MeterRuns) else [meter]


def roster(meters: Sequence[str]) -> Roster:
    known = tuple(Meter(meter=m, site=m, publisher="bureau", valid_from=LONG_AGO) for m in meters)
    publishers = (Publisher(publisher="bureau", valid_from=LONG_AGO),)
    return Roster(Register(RegisterRows(meters=known, publishers=publishers), ZoneInfo("Asia/Shanghai")))


FORMATS = pytest.mark.parametrize(
    ("encode", "adapter"), [(in_columns, "canonical"), (in_rows, "canonical"), (in_arrow, "arrow")]
)


class Slow:
    """Everything by the strict path."""

    def decode(self, payload: bytes, builder: BatchBuilder) -> None:
        strict.decode(payload, builder)


@pytest.mark.parametrize(
    ("encode", "adapter"), [(in_columns, "canonical"), (in_rows, "canonical"), (in_arrow, "arrow")]
)
def test_messages_with_the_same_meters_share_one_run(encode: Callable[[Sequence[str]], bytes], adapter: str) -> None:
    first, again = runs(decode(encode(names()), encode(names()), adapter=adapter))
    assert first is again
    assert list(first) == names()


@pytest.mark.parametrize(
    ("encode", "adapter"), [(in_columns, "canonical"), (in_rows, "canonical"), (in_arrow, "arrow")]
)
def test_meters_that_differ_between_equal_ends_are_not_taken_for_each_other(
    encode: Callable[[Sequence[str]], bytes], adapter: str
) -> None:
    other = names()
    other[5], other[6] = other[6], other[5]
    decoded = decode(encode(names()), encode(other), encode(names()), adapter=adapter)
    assert list(decoded.batch.meter) == names() + other + names()


def test_a_run_with_a_wrong_id_is_refused_every_time_it_comes() -> None:
    wrong = names()
    wrong[3] = "no id"
    for _ in range(3):
        decoded = decode(in_columns(wrong))
        assert refusals(decoded) == [(0, RejectReason.SCHEMA, (3,), "")]
        assert len(decoded.batch) == MIN_RUN - 1


def test_what_is_kept_is_bounded() -> None:
    shared = SharedRuns(max_meters=3 * MIN_RUN)
    first = shared.of_list(names())
    assert shared.of_list(names()) is first
    for number in range(3):
        shared.of_list(names(prefix=f"x{number}."))
    assert shared.of_list(names()) is not first
    assert shared.of_list(names()) == first


def test_runs_read_like_one_list() -> None:
    flat = ["a", "b", "c", "d"]
    together = MeterRuns([MeterRun("ab"), [], ["c"], MeterRun("d")])
    assert len(together) == 4
    assert list(together) == flat
    assert [together[i] for i in range(4)] == flat
    assert together[-1] == "d"
    assert together[1:3] == ["b", "c"]
    with pytest.raises(IndexError):
        together[4]


def test_a_refusal_in_one_message_leaves_the_run_s_next_message_as_it_was() -> None:
    asked = roster(names())
    run, message = MeterRun(names()), np.zeros(MIN_RUN, dtype=np.int32)
    stamps = np.full(MIN_RUN, TS_MS, dtype=np.int64)
    stamps[7] = 0
    refused = asked.admit(run, stamps, ["bureau"], message)
    assert dict(refused.refused) == {7: RejectReason.UNKNOWN_METER}
    taken = asked.admit(run, np.full(MIN_RUN, TS_MS, dtype=np.int64), ["bureau"], message)
    assert not taken.refused
    assert [asked.ids[key] for key in taken.keys] == names()


def test_many_rows_are_converted_in_pieces_as_the_strict_path_reads_them() -> None:
    twice = rows(*(reading(meter=m) for m in names())).replace(b'"p_kw": 812.4', b'"p_kw": 812.4, "p_kw": 1.0', 1)
    group = [in_rows(names(prefix=f"a{n}.")) for n in range(20)]
    group[17:17] = [twice, rows(reading(thdi_pct=5.0), reading(meter="b")), in_columns(names(5), 2e9)]
    assert same(decode(*group), decode(*group, adapters={"canonical": Slow()}))
