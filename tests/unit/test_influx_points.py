"""From history rows to points: settled values, tags as of the stamp, and the same result however slices fall."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Sequence
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.domain.register import Meter, Publisher, Register, RegisterRows
from monitor.history.history import History
from monitor.influx_points import Points, settle
from tests.support.stores import DAY_MS, MARCH_MS, history_rows

ZONE = ZoneInfo("Asia/Shanghai")
MOVED = dt.date(2026, 3, 10)
REGISTER = Register(
    RegisterRows(
        meters=(
            Meter(meter="M1", site="S1", publisher="bureau"),
            Meter(meter="M2", site="S1", publisher="bureau", valid_to=MOVED),
            Meter(meter="M2", site="S2", publisher="other", valid_from=MOVED),
        ),
        publishers=(Publisher(publisher="bureau"), Publisher(publisher="other")),
    ),
    ZONE,
)
Row = tuple[str, int, dict[str, float]]


def written(folder: Path, commits: Sequence[tuple[Sequence[Row], int]], channels: Sequence[str] = ()) -> list[str]:
    """Lines of the history after each commit of (rows, revision), as the feed would send them, in order."""
    history = History.open(folder)
    reader, points, lines, after = history.reader(), Points(REGISTER, channels), [], 0
    for seq, (rows, rev) in enumerate(commits, start=1):
        history.append(history_rows(rows, seq=seq, rev=rev), cursor=seq)
        slice_ = reader.next(after)
        assert slice_ is not None
        made = points.lines(slice_)
        lines += made.some(0, len(made)).decode().splitlines()
        after = slice_.seq
    reader.close()
    history.close()
    return lines


def test_a_point_has_tags_and_all_channels(tmp_path: Path) -> None:
    row = ("M1", MARCH_MS, {"p_kw": 812.4, "e_imp_kwh": 1284533.12})
    (line,) = written(tmp_path, [([row], 0)])
    assert line == (
        "reading,cadence_s=900,meter=M1,publisher=bureau,site=S1 "
        f"p_kw=812.4,e_imp_kwh=1284533.12 {MARCH_MS}"
    )  # fmt: skip


def test_channels_that_are_not_wanted_stay_at_home(tmp_path: Path) -> None:
    rows = [("M1", MARCH_MS, {"p_kw": 1.0, "q_kvar": 2.0}), ("M1", MARCH_MS + 1, {"q_kvar": 2.0})]
    (line,) = written(tmp_path, [(rows, 0)], ["p_kw"])
    assert line.split()[1] == "p_kw=1"


def test_tags_are_those_of_the_register_at_the_stamp(tmp_path: Path) -> None:
    days = [("M2", MARCH_MS + day * DAY_MS, {"p_kw": 1.0}) for day in (0, 3, 12, 2)]
    lines = written(tmp_path, [(days, 0), ([("M9", MARCH_MS, {"p_kw": 1.0})], 0)])
    sites = [line.split(" ")[0].partition("meter=")[2] for line in lines]
    assert sites == [*["M2,publisher=bureau,site=S1"] * 3, "M2,publisher=other,site=S2", "M9"]


def test_values_that_contradict_each_other_are_left_out_and_a_revision_settles_them(tmp_path: Path) -> None:
    first: Row = ("M1", MARCH_MS, {"p_kw": 1.0, "q_kvar": 5.0})
    other: Row = ("M1", MARCH_MS, {"p_kw": 2.0})
    lines = written(tmp_path, [([first], 0), ([other], 0), ([("M1", MARCH_MS, {"p_kw": 3.0})], 1)])
    assert [line.split()[1] for line in lines] == [
        "p_kw=1,q_kvar=5",
        "q_kvar=5,contested=1i",
        "p_kw=3,q_kvar=5,contested=0i",
    ]


def test_an_older_revision_that_comes_later_changes_nothing(tmp_path: Path) -> None:
    lines = written(tmp_path, [([("M1", MARCH_MS, {"p_kw": 3.0})], 2), ([("M1", MARCH_MS, {"p_kw": 9.0})], 1)])
    assert [line.split()[1] for line in lines] == ["p_kw=3,contested=0i"] * 2


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_the_last_line_of_a_stamp_is_the_same_in_any_order(tmp_path: Path, order: tuple[int, ...]) -> None:
    commits: list[tuple[list[Row], int]] = [
        ([("M1", MARCH_MS, {"p_kw": 1.0})], 0),
        ([("M1", MARCH_MS, {"e_imp_kwh": 4.0})], 0),
        ([("M1", MARCH_MS, {"p_kw": 2.0})], 1),
    ]
    last = written(tmp_path, [commits[i] for i in order])[-1]
    assert last.split()[1] == "p_kw=2,e_imp_kwh=4,contested=0i"


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.sampled_from([np.nan, 0.0, 1.5, -2.0])), min_size=1))
def test_settling_agrees_with_a_loop(rows: list[tuple[int, int, float]]) -> None:
    rows.sort(key=lambda row: row[:2])
    groups = [list(group) for _, group in itertools.groupby(rows, key=lambda row: row[0])]
    starts = np.cumsum([0, *(len(group) for group in groups)])[:-1]
    values, rev = np.array([row[2] for row in rows]), np.array([row[1] for row in rows], dtype=np.int32)
    settled, doubtful = settle(values, rev, starts)
    for group, value, doubt in zip(groups, settled, doubtful, strict=True):
        top = max((revision for _, revision, v in group if not np.isnan(v)), default=-1)
        known = {v for _, revision, v in group if revision == top and not np.isnan(v)}
        assert doubt == (len(known) > 1)
        assert (np.isnan(value) and len(known) != 1) or {value} == known
