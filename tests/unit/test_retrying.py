"""Quarantine retry: what is in order now is taken in once, whatever happens in between."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from models.domain.readings import RawMessage
from models.domain.register import Meter, Register
from monitor import pipeline as pipeline_module
from monitor.commands import CommandRefused
from monitor.desk.audit_log import verify
from monitor.fault_points import FaultPoint
from monitor.retrying import quarantine_retry
from monitor.stored_rows import StoredRows
from tests.support.district import Crash, District, Reading, melting, message, register, slot_ms, steady

BY = "王芳"


def late(meter: str = "late1", kw: float = 5.0) -> Meter:
    return Meter(meter=meter, site="calm", publisher="bureau")


def with_ratio(known: Register, meter: str, ratio: float) -> Register:
    meters = tuple(
        dataclasses.replace(row, ratio=ratio, ratio_applied=False) if row.meter == meter else row
        for row in known.rows.meters
    )
    return Register(dataclasses.replace(known.rows, meters=meters), known.zone, version="r3")


def half_known() -> RawMessage:
    """A reading of `calm`, and two of a meter the register does not have yet."""
    return message(
        Reading("calm", slot_ms(0, 1), {"p_kw": 40.0}),
        Reading("late1", slot_ms(0, 1), {"p_kw": 5.0}),
        Reading("late1", slot_ms(0, 2), {"p_kw": 6.0}),
    )


def retry(district: District, *entries: int) -> dict[int, dict[str, Any]]:
    answer = quarantine_retry(district.core, {"entries": list(entries), "by": BY})
    return {row["entry"]: row for row in answer["results"]}


def outcomes(district: District, *entries: int) -> dict[int, str]:
    return {entry: row["outcome"] for entry, row in retry(district, *entries).items()}


def rows(district: District) -> StoredRows:
    return StoredRows(district.state_dir, dict)


def of(district: District, meter: str) -> list[tuple[Any, ...]]:
    return [row[1:] for row in district.stored() if row[0] == meter]


def test_after_the_register_is_put_right_readings_are_taken_in_once(tmp_path: Path) -> None:
    with District(tmp_path) as district:
        district.feed([[half_known()]])
        (entry,) = rows(district).quarantine()
        assert (entry["reason"], entry["readings"]) == ("UNKNOWN_METER", 2)
        refused = retry(district, entry["id"])[1]
        assert refused["outcome"] == "refused"
        assert "UNKNOWN_METER: meter late1 is not in the register" in refused["detail"]
        assert rows(district).quarantine(resolved=False)[0]["retry"]["by"] == BY
        head = district.core.journal.head
        district.known = register(late())
        district.crash()
        done = retry(district, 1)[1]
        assert (done["outcome"], done["seq"]) == ("accepted", head + 1)
        assert outcomes(district, 1) == {1: "resolved"}
        assert [dict(row[-1]) for row in of(district, "late1")] == [{"p_kw": 5.0}, {"p_kw": 6.0}]
        assert "DUPLICATE" not in district.totals()
        (entry,) = rows(district).quarantine(resolved=True)
        assert (entry["retry"]["outcome"], entry["retry"]["seq"]) == ("accepted", head + 1)
        assert rows(district).quarantine(resolved=False) == []
        assert verify(district.core.engine).head.count == 2


def test_where_it_came_from_is_in_the_record(tmp_path: Path) -> None:
    with District(tmp_path) as district:
        district.feed([[message(Reading("calm", slot_ms(0, 1), {"p_kw": 40.0})), half_known()]])
        district.known = register(late())
        district.crash()
        retry(district, 1)
        (record,) = [entry for entry in district.core.journal.read(0) if entry.retried]
        (one,) = record.retried
        assert (one.seq, one.index, one.entries, one.rows, one.by) == (1, 1, (1,), (1, 2), BY)
        assert record.messages[one.message].payload == half_known().payload


def test_what_was_taken_the_first_time_is_left_alone(tmp_path: Path) -> None:
    """A ratio that was corrected meanwhile must not make the reading taken then contradict itself."""
    with District(tmp_path) as district:
        district.feed([[half_known()]])
        before = of(district, "calm")
        district.known = with_ratio(register(late()), "calm", 80.0)
        district.crash()
        assert outcomes(district, 1) == {1: "accepted"}
        assert of(district, "calm") == before
        assert "CONFLICT" not in district.totals()


def test_a_single_value_is_added_without_its_reading(tmp_path: Path) -> None:
    with District(tmp_path) as district:
        text = half_known().payload.decode().replace('"p_kw": 40.0', '"p_kw": 40.0, "q_kvar": 9e9')
        raw = message(Reading("calm", slot_ms(0, 1), {"p_kw": 40.0}))
        district.feed([[RawMessage(raw.topic, text.encode(), raw.received_ms, raw.publisher, raw.adapter)]])
        by_field = {entry["field"]: entry["id"] for entry in rows(district).quarantine()}
        assert set(by_field) == {"", "q_kvar"}
        assert outcomes(district, by_field["q_kvar"]) == {by_field["q_kvar"]: "refused"}


def test_a_message_that_could_not_be_read_is_read_by_the_format_of_now(tmp_path: Path) -> None:
    with District(tmp_path) as district:
        good = message(Reading("calm", slot_ms(0, 1), {"p_kw": 40.0}), Reading("late1", slot_ms(0, 1), {"p_kw": 5.0}))
        wrong = RawMessage(good.topic, good.payload, good.received_ms, good.publisher, "arrow")
        district.feed([[wrong]])
        assert outcomes(district, 1) == {1: "accepted"}
        assert len(of(district, "calm")) == 1
        (again,) = rows(district).quarantine(resolved=False)
        assert (again["reason"], again["readings"]) == ("UNKNOWN_METER", 1), "what is still wrong waits anew"
        assert again["id"] != 1


def test_stamps_are_judged_by_the_first_receipt(tmp_path: Path) -> None:
    with District(tmp_path) as district:
        ahead = message(Reading("calm", slot_ms(0, 8), {"p_kw": 40.0}), received_ms=slot_ms(0, 1))
        district.feed([[ahead]])
        district.clock.set_wall_ms(slot_ms(1, 1))
        assert outcomes(district, 1) == {1: "refused"}


def test_stamps_are_judged_by_the_clock_of_now_where_ours_was_wrong(tmp_path: Path) -> None:
    with District(tmp_path) as district:
        ahead = message(Reading("calm", slot_ms(0, 8), {"p_kw": 40.0}), received_ms=slot_ms(0, 1))
        district.feed([[ahead]])
        district.clock.set_wall_ms(slot_ms(1, 1))
        arguments = {"entries": [1], "by": "operator", "received_now": True}
        (row,) = quarantine_retry(district.core, arguments)["results"]
        assert row["outcome"] == "accepted"
        assert len(of(district, "calm")) == 1


def test_a_message_that_was_cut_cannot_be_retried_and_says_so(tmp_path: Path) -> None:
    with District(tmp_path) as district:
        raw = message(Reading("calm", slot_ms(0, 1), {"p_kw": 40.0}))
        big = RawMessage(raw.topic, raw.payload + b" " * (1 << 20), raw.received_ms, raw.publisher, raw.adapter)
        district.feed([[big]])
        done = retry(district, 1, 99)
        assert (done[1]["outcome"], "64 KiB" in done[1]["detail"]) == ("cut", True)
        assert done[99]["outcome"] == "unknown"


def test_nights_are_judged_again_and_a_lead_comes_of_it(tmp_path: Path) -> None:
    """The melting was refused, because the meter was not registered to its publisher."""
    others = [m for m in register().rows.meters if m.meter != "melt"]
    known = register()
    without = Register(dataclasses.replace(known.rows, meters=tuple(others)), known.zone, version="r0")
    groups = [[message(*readings)] for readings in _by_night(melting())]
    with District(tmp_path / "retried", without) as district:
        district.feed(groups).feed([[message(*steady("calm", range(3)))]]).judge()
        assert ("furnace_melt", "melt") not in district.kinds()
        district.known = known
        district.crash()
        open_entries = [entry["id"] for entry in rows(district).quarantine(resolved=False)]
        assert set(outcomes(district, *open_entries).values()) == {"accepted"}
        district.finish()
        retried = district.leads()
        assert ("furnace_melt", "melt") in district.kinds()
    with District(tmp_path / "at_once", known) as district:
        district.feed(groups).feed([[message(*steady("calm", range(3)))]]).finish()
        at_once = district.leads()
    assert _furnaces(retried) == _furnaces(at_once)


def _furnaces(leads: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [lead for lead in leads if lead["kind"] == "furnace_melt"]


def _by_night(readings: Sequence[Reading]) -> list[list[Reading]]:
    return [list(readings[start : start + 96]) for start in range(0, len(readings), 96)]


@pytest.mark.parametrize("point", ["before_commit", "after_commit", "before_mark", "after_mark"])
def test_a_crash_at_any_moment_loses_and_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    with District(tmp_path) as district:
        district.feed([[half_known()]])
        district.known = register(late())
        district.crash()
        with monkeypatch.context() as patch:
            _crash_at(patch, district, point)
            with pytest.raises(Crash):
                retry(district, 1)
        district.crash()
        taken = point != "before_commit"
        assert len(rows(district).quarantine(resolved=True)) == taken
        assert outcomes(district, 1) == {1: "resolved" if taken else "accepted"}
        district.crash()
        district.finish()
        assert [dict(row[-1]) for row in of(district, "late1")] == [{"p_kw": 5.0}, {"p_kw": 6.0}]
        assert len([entry for entry in district.core.journal.read(0) if entry.retried]) == 1
        verdict = verify(district.core.engine)
        assert (verdict.whole, verdict.head.count) == (True, 1)


def _crash_at(patch: pytest.MonkeyPatch, district: District, point: str) -> None:
    def crash(*_: object) -> None:
        raise Crash

    mark: Callable[..., None] = district.core.desk.mark_retried
    match point:
        case "before_commit":
            patch.setattr(district.core.journal, "commit", crash)
        case "after_commit":
            patch.setattr(pipeline_module, "hit", lambda at: crash() if at is FaultPoint.AFTER_COMMIT else None)
        case "before_mark":
            patch.setattr(district.core.desk, "mark_retried", crash)
        case _:
            patch.setattr(district.core.desk, "mark_retried", lambda *given: (mark(*given), crash()))


@pytest.mark.parametrize(
    "arguments", [{"entries": [], "by": BY}, {"entries": [1]}, {"entries": ["x"], "by": BY}, {"entries": [1], "by": ""}]
)
def test_arguments_that_do_not_fit_are_refused(tmp_path: Path, arguments: dict[str, Any]) -> None:
    with District(tmp_path) as district, pytest.raises(CommandRefused):
        quarantine_retry(district.core, arguments)


def test_an_older_journal_s_groups_read_as_before(tmp_path: Path) -> None:
    """A body without the list of retried messages, as the first release wrote it."""
    from monitor.journal.body import BodyCodec

    codec = BodyCodec()
    body = codec._decompressor.decompress(codec.pack([half_known()], []))
    assert json.dumps(body[:1].hex()) == '"94"', "an array of four"
    old = codec._compressor.compress(b"\x93" + body[1:-1])
    assert codec.unpack(old).messages == (half_known(),)
    assert codec.unpack(old).retried == ()
    assert tmp_path.is_dir()
