"""Every reading goes on or is refused with a reason; what was refused once stays refused when the journal is read."""

from __future__ import annotations

import numpy as np
import pytest

from connectors.adapters.table import build_adapters, decode_group
from models.domain.readings import RawMessage, RejectReason
from monitor.admission import Admitted, TimeRules, admit, readmit
from monitor.roster import Roster
from tests.support.district import DAY_MS, START_MS, Reading, message, register

ADAPTERS = build_adapters()
REGISTER = register()


def decided(*messages: RawMessage, rules: TimeRules | None = None) -> Admitted:
    return admit(decode_group(messages, ADAPTERS), messages, Roster(REGISTER), rules or TimeRules())


def reasons(group: Admitted) -> list[tuple[int, RejectReason, tuple[int, ...]]]:
    return [(r.message, r.reason, r.rows) for r in group.rejections]


def at(offset_ms: int, meter: str = "calm", **more: object) -> Reading:
    return Reading(meter, START_MS + offset_ms, {"p_kw": 1.5}, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("offset_ms", "reason"),
    [
        (300_000, None),
        (300_001, RejectReason.TIME_FUTURE),
        (-400 * DAY_MS, None),
        (-400 * DAY_MS - 1, RejectReason.TIME_OLD),
    ],
    ids=["five_minutes_ahead", "more_than_that", "400_days_behind", "older"],
)
def test_a_stamp_has_to_lie_near_its_receipt(offset_ms: int, reason: RejectReason | None) -> None:
    group = decided(message(at(offset_ms), received_ms=START_MS))
    assert reasons(group) == ([] if reason is None else [(0, reason, (0,))])
    assert len(group) == (reason is None)


def test_files_may_be_as_old_as_they_are_but_not_of_the_future() -> None:
    rules = TimeRules(old_days=None)
    group = decided(message(at(-4000 * DAY_MS), at(DAY_MS), received_ms=START_MS), rules=rules)
    assert reasons(group) == [(0, RejectReason.TIME_FUTURE, (1,))]


def test_one_bad_reading_sinks_no_other() -> None:
    rows = [at(0), at(0, "nobody"), at(900_000, "plant1"), at(900_000), at(1_800_000, "nobody")]
    group = decided(message(*rows, received_ms=START_MS + DAY_MS))
    assert reasons(group) == [(0, RejectReason.UNKNOWN_METER, (1, 4)), (0, RejectReason.AUTHZ, (2,))]
    assert group.ts_ms.tolist() == [START_MS, START_MS + 900_000]
    assert group.n_refused == 3
    assert group.unknown == {"nobody"}


def test_only_a_publisher_that_may_revise_may_revise() -> None:
    group = decided(
        message(at(0, rev=1)), message(at(0, "plant1", rev=1, publisher="plant"), at(0, "plant1", publisher="plant"))
    )
    assert reasons(group) == [(1, RejectReason.AUTHZ, (0,))]
    assert group.rev.tolist() == [1, 0]


def test_a_time_fault_is_told_before_the_registers() -> None:
    group = decided(message(at(DAY_MS, "nobody"), received_ms=START_MS))
    assert reasons(group) == [(0, RejectReason.TIME_FUTURE, (0,))]
    assert group.unknown == frozenset()


def test_cadence_and_ratio_are_the_registers_unless_the_reading_names_its_own() -> None:
    reading = Reading("plant2", START_MS, {"p_kw": 2.0, "e_imp_kwh": 3.0, "ua_v": 230.0, "pf": 0.9}, publisher="plant")
    own = Reading("plant2", START_MS + 300_000, {"p_kw": 1.0}, interval_s=300, publisher="plant")
    group = decided(message(reading, own))
    assert group.interval_s.tolist() == [900, 300]
    assert {name: values[0] for name, values in group.channels.items()} == {
        "p_kw": 160.0,
        "e_imp_kwh": 240.0,
        "ua_v": 230.0,
        "pf": 0.9,
    }


def test_a_message_that_cannot_be_read_counts_as_one() -> None:
    group = decided(RawMessage("t", b"not JSON", START_MS, "bureau", "canonical"), message(at(0)))
    assert group.n_refused == 1
    assert len(group) == 1


def test_a_committed_group_reads_back_as_it_was_decided() -> None:
    messages = [
        message(at(0), at(0, "nobody"), at(DAY_MS), received_ms=START_MS),
        RawMessage("t", b"not JSON", START_MS, "bureau", "canonical"),
        message(at(0, "plant1", rev=2, publisher="plant"), at(900_000, "plant2", publisher="plant")),
    ]
    group = decided(*messages)
    again = readmit(decode_group(messages, ADAPTERS), messages, group.rejections, Roster(REGISTER))
    for name in ("keys", "ts_ms", "interval_s", "rev"):
        np.testing.assert_array_equal(getattr(again, name), getattr(group, name))
    np.testing.assert_array_equal(again.channels["p_kw"], group.channels["p_kw"])
    assert again.n_refused == group.n_refused


def test_a_meter_registered_since_stays_refused_in_the_records_of_before() -> None:
    messages = [message(at(0, "newcomer"), at(0))]
    group = decided(*messages)
    from models.domain.register import Meter

    now = Roster(register(Meter(meter="newcomer", site="calm", publisher="bureau")))
    again = readmit(decode_group(messages, ADAPTERS), messages, group.rejections, now)
    assert [now.ids[key] for key in again.keys] == ["calm"]
