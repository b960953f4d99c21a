"""The register asked for every meter at once answers as it does meter by meter."""

from __future__ import annotations

import dataclasses
import datetime as dt
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest

from models.domain.readings import RejectReason
from models.domain.register import Enterprise, EnterpriseStatus, Meter, Permit, Publisher, Register, RegisterRows, Site
from monitor.roster import Roster
from tests.support.district import FIRST, MOVED_ON, ZONE, midnight_ms, register

NEVER = dt.date(1999, 1, 1)
DATES = (FIRST, MOVED_ON - dt.timedelta(days=1), MOVED_ON, NEVER)
LATER = FIRST + dt.timedelta(days=10)


def dated_register() -> Register:
    """The district's, with a publisher that comes later, one that the register lacks, and a wrap."""
    base = register(
        Meter(meter="late", site="calm", publisher="newcomer", register_wrap_kwh=9999.0),
        Meter(meter="lost", site="calm", publisher="nobody"),
        moved_cadence_s=1800,
    )
    more = (*base.rows.publishers, Publisher(publisher="newcomer", valid_from=LATER))
    return Register(dataclasses.replace(base.rows, publishers=more), ZONE, "r2")


@pytest.mark.parametrize("date", [*DATES, LATER])
def test_every_meter_has_the_row_of_the_date(date: dt.date) -> None:
    one = dated_register()
    roster = Roster(one)
    keys = np.arange(len(roster.ids), dtype=np.int32)
    rows = [one.meter(meter, date) for meter in roster.ids]
    assert roster.rows.sites(date, keys).to_pylist() == [row.site if row is not None else "" for row in rows]
    wraps = [np.nan if row is None or row.register_wrap_kwh is None else row.register_wrap_kwh for row in rows]
    np.testing.assert_array_equal(roster.rows.wraps(date, keys), wraps)
    feeds: dict[tuple[str, int], list[int]] = {}
    for key, row in enumerate(rows):
        if row is not None:
            feeds.setdefault((row.publisher, row.cadence_s), []).append(key)
    assert {feed: mine.tolist() for feed, mine in roster.members(date).items()} == feeds


@pytest.mark.parametrize("date", [*DATES, LATER])
def test_what_publishers_may_send_is_what_the_register_permits(date: dt.date) -> None:
    one = dated_register()
    roster = Roster(one)
    told, names = roster.rows.permits(date)
    answers = {}
    for at, key in enumerate(told.key.tolist()):
        permit = Permit(
            cadence_s=int(told.cadence_s[at]),
            factor=float(told.factor[at]),
            may_revise=bool(told.may_revise[at]),
            from_ms=int(told.from_ms[at]),
            to_ms=int(told.to_ms[at]),
        )
        answers[roster.ids[key], names[told.publisher[at]]] = permit
    stamp_ms = midnight_ms(date) + 3_600_000
    for meter in roster.ids:
        for publisher in ("bureau", "plant", "newcomer", "nobody"):
            expected = one.admit(meter, publisher, stamp_ms)
            assert answers.get((meter, publisher)) == (expected if isinstance(expected, Permit) else None)


def test_a_crowd_of_new_readings_is_told_what_each_would_be_told_alone() -> None:
    one = dated_register()
    meters = ["calm", "moved", "plant2", "late", "lost", "stranger"] * 100
    senders = ("bureau", "plant", "newcomer")
    stamps = [midnight_ms(MOVED_ON) + (900_000 if i % 2 else -900_000) for i in range(len(meters))]
    message = np.arange(len(meters), dtype=np.int32) % 3
    told = Roster(one).admit(meters, np.array(stamps, dtype=np.int64), senders, message)
    for i, meter in enumerate(meters):
        answer = one.admit(meter, senders[message[i]], stamps[i])
        if isinstance(answer, RejectReason):
            assert told.refused[i] is answer
        else:
            assert i not in told.refused
            assert told.cadence_s[i] == answer.cadence_s
            assert told.factor[i] == answer.factor
            assert told.may_revise[i] == answer.may_revise


def test_sealed_meters_are_those_whose_enterprise_says_so_on_the_date() -> None:
    shut, open_ = EnterpriseStatus.POWER_CUT, EnterpriseStatus.OPERATING
    rows = RegisterRows(
        enterprises=(
            Enterprise(uscc="a", name="a", status=open_, valid_to=MOVED_ON),
            Enterprise(uscc="a", name="a", status=shut, valid_from=MOVED_ON, valid_to=LATER),
            Enterprise(uscc="a", name="a", status=open_, valid_from=LATER),
            Enterprise(uscc="b", name="b"),
        ),
        sites=(Site(site="s", uscc="b", valid_to=MOVED_ON), Site(site="s", uscc="a", valid_from=MOVED_ON)),
        meters=(Meter(meter="m", site="s", publisher="p"), Meter(meter="alone", site="nowhere", publisher="p")),
    )
    one = Register(rows, ZoneInfo("Asia/Shanghai"))
    for date in (*DATES, LATER):
        slow = {
            meter
            for meter in one.meter_ids
            if (owner := one.enterprise_of_meter(meter, date)) is not None and owner.status is not open_
        }
        assert one.sealed_on(date) == slow
    assert one.sealed_on(MOVED_ON) == {"m"}


def test_a_register_of_nobody_has_no_rows() -> None:
    roster = Roster(Register(RegisterRows(), ZONE))
    assert roster.members(FIRST) == {}
    assert roster.rows.permits(FIRST)[0].key.size == 0
    assert roster.rows.at_cadence(900) == 0


def test_keys_of_names_are_those_of_the_array_asked_about() -> None:
    roster = Roster(dated_register())
    first, second = pa.array(["calm", "stranger"]), pa.array(["moved", "calm"])
    for names in (first, first, second, first, second[1:]):
        expected = [roster.index.get(name, -1) for name in names.to_pylist()]
        assert roster.keys_of(names).tolist() == expected
