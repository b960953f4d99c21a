"""The roster answers as the register does, however often and in whatever order it is asked."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from models.domain.readings import RejectReason
from models.domain.register import Permit, Register, RegisterRows
from monitor.roster import Admission, Roster
from tests.support.district import FIRST, MOVED_ON, QUARTER_MS, START_MS, ZONE, midnight_ms, register

REGISTER = register(moved_cadence_s=1800)
MOVE_MS = midnight_ms(MOVED_ON)

asked = st.lists(
    st.tuples(
        st.sampled_from(["calm", "moved", "plant2", "nobody"]),
        st.sampled_from([MOVE_MS - QUARTER_MS, MOVE_MS, MOVE_MS + 1, MOVE_MS + QUARTER_MS, START_MS]),
        st.integers(0, 2),
    ),
    max_size=30,
)
SENDERS = ("bureau", "plant", "stranger")


def ask(roster: Roster, rows: Sequence[tuple[str, int, int]], senders: Sequence[str] = SENDERS) -> Admission:
    return roster.admit(
        [row[0] for row in rows],
        np.array([row[1] for row in rows], dtype=np.int64),
        senders,
        np.array([row[2] for row in rows], dtype=np.int32),
    )


@settings(deadline=None)
@given(st.lists(asked, max_size=4))
def test_what_was_asked_before_changes_no_answer(groups: list[list[tuple[str, int, int]]]) -> None:
    roster = Roster(REGISTER)
    for rows in groups:
        told = ask(roster, rows)
        for i, (meter, ts_ms, sender) in enumerate(rows):
            answer = REGISTER.admit(meter, SENDERS[sender], ts_ms)
            if isinstance(answer, Permit):
                assert i not in told.refused
                assert roster.ids[told.keys[i]] == meter
                assert (told.cadence_s[i], told.factor[i], told.may_revise[i]) == (
                    answer.cadence_s,
                    answer.factor,
                    answer.may_revise,
                )
            else:
                assert told.refused[i] is answer
                assert told.keys[i] == -1


def test_a_file_speaks_for_the_meters_own_publisher_of_the_time() -> None:
    rows = [("moved", MOVE_MS, 0), ("moved", MOVE_MS + QUARTER_MS, 0), ("plant2", MOVE_MS, 0), ("nobody", MOVE_MS, 0)]
    told = ask(Roster(REGISTER), rows, [""])
    assert told.cadence_s[:3].tolist() == [900, 1800, 900]
    assert told.factor[:3].tolist() == [1.0, 1.0, 80.0]
    assert told.may_revise[:3].tolist() == [True, False, False]
    assert told.refused == {3: RejectReason.UNKNOWN_METER}


def test_nobody_is_let_in_by_an_empty_register() -> None:
    told = ask(Roster(Register(RegisterRows(), ZONE)), [("calm", START_MS, 0)])
    assert told.refused == {0: RejectReason.UNKNOWN_METER}
    assert len(ask(Roster(REGISTER), []).keys) == 0


def test_members_are_those_of_the_date_by_publisher_and_cadence() -> None:
    roster = Roster(REGISTER)
    before, after = roster.members(FIRST), roster.members(MOVED_ON)
    moved = roster.index["moved"]
    assert moved in before["bureau", 900]
    assert moved not in after["bureau", 900]
    assert after["plant", 1800].tolist() == [moved]
    assert ("plant", 1800) not in before


def test_a_meter_that_changed_hands_is_at_home_with_the_last_and_known_to_both() -> None:
    roster = Roster(REGISTER)
    keys = np.arange(len(roster.ids), dtype=np.int32)
    moved = roster.index["moved"]
    assert [name for name, mine in roster.by_publisher(keys).items() if moved in keys[mine]] == ["plant"]
    assert {name for name, mine in roster.rows.by_publisher().items() if moved in mine} == {"bureau", "plant"}


def test_taking_some_keeps_their_answers() -> None:
    told = ask(Roster(REGISTER), [("calm", START_MS, 0), ("plant2", START_MS, 1)])
    kept = told.take(np.array([False, True]))
    assert (kept.factor.tolist(), kept.may_revise.tolist()) == ([80.0], [False])


def test_dates_before_any_row_have_no_members() -> None:
    assert Roster(REGISTER).members(dt.date(1999, 1, 1)) == {}
