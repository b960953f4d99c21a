"""The register answers as of the event time: every row from its first day up to, not including, its last."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest

from models.domain.readings import RejectReason
from models.domain.register import (
    FOREVER_MS,
    Enterprise,
    EnterpriseStatus,
    Furnace,
    FurnaceKind,
    Meter,
    Permit,
    Publisher,
    Register,
    RegisterRows,
    Site,
)

SHANGHAI = ZoneInfo("Asia/Shanghai")
MOVE = dt.date(2026, 3, 10)
END = dt.date(2026, 4, 1)


def ms(text: str) -> int:
    return int(dt.datetime.fromisoformat(text).replace(tzinfo=SHANGHAI).timestamp() * 1000)


REGISTER = Register(
    RegisterRows(
        enterprises=(
            Enterprise(uscc="A", name="before", valid_to=MOVE),
            Enterprise(uscc="A", name="after", status=EnterpriseStatus.CLOSED, valid_from=MOVE),
        ),
        sites=(Site(site="S1", uscc="A"), Site(site="S2", uscc="B")),
        meters=(
            Meter(meter="M", site="S1", publisher="bureau", ratio=80.0, ratio_applied=False, valid_to=MOVE),
            Meter(meter="M", site="S2", publisher="plant", cadence_s=60, valid_from=MOVE, valid_to=END),
            Meter(meter="N", site="S1", publisher="nobody"),
        ),
        furnaces=(Furnace(furnace="F", site="S1", kind=FurnaceKind.ARC, valid_from=MOVE, valid_to=END),),
        publishers=(
            Publisher(publisher="bureau", may_revise=True, valid_from=dt.date(2026, 1, 1)),
            Publisher(publisher="plant", valid_to=dt.date(2026, 3, 20)),
        ),
    ),
    SHANGHAI,
)


@pytest.mark.parametrize(
    ("stamp", "publisher", "answer"),
    [
        ("2026-03-09T23:45:00", "bureau", "bureau"),
        ("2026-03-10T00:00:00", "bureau", "bureau"),
        ("2026-03-10T00:00:00.001", "bureau", RejectReason.AUTHZ),
        ("2026-03-10T00:00:00", "plant", RejectReason.AUTHZ),
        ("2026-03-10T00:15:00", "plant", "plant"),
        ("2026-03-20T00:00:00", "plant", "plant"),
        ("2026-03-20T00:15:00", "plant", RejectReason.AUTHZ),
        ("2026-04-01T00:15:00", "plant", RejectReason.UNKNOWN_METER),
        ("2025-12-31T23:00:00", "bureau", RejectReason.AUTHZ),
        ("2026-03-09T23:45:00", "stranger", RejectReason.AUTHZ),
    ],
)
def test_a_meter_that_changed_hands_is_admitted_by_the_row_of_that_interval(
    stamp: str, publisher: str, answer: str | RejectReason
) -> None:
    told = REGISTER.admit("M", publisher, ms(stamp))
    if isinstance(answer, RejectReason):
        assert told is answer
    else:
        assert isinstance(told, Permit)
        assert (told.cadence_s, told.factor, told.may_revise) == {
            "bureau": (900, 80.0, True),
            "plant": (60, 1.0, False),
        }[answer]
        assert told.from_ms < ms(stamp) <= told.to_ms


def test_a_permit_holds_exactly_as_long_as_the_meters_and_the_publishers_row() -> None:
    told = REGISTER.admit("M", "bureau", ms("2026-02-01T00:00:00"))
    assert isinstance(told, Permit)
    assert (told.from_ms, told.to_ms) == (ms("2026-01-01T00:00:00"), ms("2026-03-10T00:00:00"))
    told = REGISTER.admit("M", "plant", ms("2026-03-15T00:00:00"))
    assert isinstance(told, Permit)
    assert (told.from_ms, told.to_ms) == (ms("2026-03-10T00:00:00"), ms("2026-03-20T00:00:00"))
    assert told.to_ms < FOREVER_MS


def test_a_meter_nobody_knows_and_a_publisher_nobody_knows() -> None:
    assert REGISTER.admit("X", "bureau", ms("2026-02-01T00:00:00")) is RejectReason.UNKNOWN_METER
    assert REGISTER.admit("N", "nobody", ms("2026-02-01T00:00:00")) is RejectReason.AUTHZ


def test_look_ups_are_as_of_a_date() -> None:
    before, after = MOVE - dt.timedelta(days=1), MOVE
    assert [getattr(REGISTER.meter("M", on), "site", None) for on in (before, after, END)] == ["S1", "S2", None]
    assert [getattr(REGISTER.enterprise("A", on), "name", None) for on in (before, after)] == ["before", "after"]
    assert [len(REGISTER.furnaces_at("S1", on)) for on in (before, after, END)] == [0, 1, 0]
    assert [m.site for m in REGISTER.meters_on(after)] == ["S2", "S1"]
    assert [m.meter for m in REGISTER.meters_at("S1", before)] == ["M", "N"]
    owner = REGISTER.enterprise_of_meter("M", before)
    assert owner is not None
    assert owner.name == "before"
    assert REGISTER.enterprise_of_meter("M", after) is None
    assert REGISTER.meter_ids == ("M", "N")
