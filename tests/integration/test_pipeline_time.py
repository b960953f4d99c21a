"""Time and the register over the whole path: absurd stamps, cadences, silence, late data, meters that change hands."""

from __future__ import annotations

import dataclasses
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from models.domain.register import Meter
from monitor.storage import StoreFull
from tests.support.district import (
    DAY_MS,
    HOUR_MS,
    START_MS,
    District,
    Reading,
    arranged,
    bureau,
    by_hour,
    message,
    register,
    slot_ms,
    steady,
)

FAR_MS = 4_000_000_000_000


@pytest.mark.parametrize(
    ("stamp_ms", "reason"),
    [
        (START_MS + 3 * DAY_MS + 3_600_000, "TIME_FUTURE"),
        (FAR_MS, "TIME_FUTURE"),
        (START_MS - 500 * DAY_MS, "TIME_OLD"),
    ],
    ids=["an_hour_ahead", "far_future", "absurdly_old"],
)
def test_an_absurd_stamp_moves_no_watermark_and_evicts_nothing(
    new: Callable[..., District], stamp_ms: int, reason: str
) -> None:
    rows = bureau(3)
    received_ms = START_MS + 3 * DAY_MS
    plain, struck = new(), new()
    for district in (plain, struck):
        district.feed(by_hour(rows, 6), live=True)
    bad = [Reading(meter, stamp_ms, {"p_kw": 1.0}) for meter in ("calm", "melt", "shut", "dead")]
    struck.feed([[message(*bad, received_ms=received_ms)]], live=True)
    assert struck.quarantined() == Counter({reason: 4})
    for feed in [("bureau", 900), ("plant", 900)]:
        assert struck.pipeline.feeds.watermark_ms(feed) == plain.pipeline.feeds.watermark_ms(feed)
    assert struck.stored() == plain.stored()
    assert struck.finish().leads() == plain.finish().leads()


def test_the_oldest_stamp_that_is_let_in_moves_nothing_either(new: Callable[..., District]) -> None:
    plain, struck = new(), new()
    for district in (plain, struck):
        district.feed(by_hour(bureau(3), 6), live=True)
    received_ms = struck.clock.wall_ms()
    old = [Reading(meter, received_ms - 399 * DAY_MS, {"p_kw": 1.0}) for meter in ("calm", "dead")]
    struck.feed([[message(*old, received_ms=received_ms)]], live=True)
    assert len(struck.stored()) == len(plain.stored()) + 2
    assert struck.pipeline.judge.n_judged - plain.pipeline.judge.n_judged < 60, "399 nights up to now were judged again"
    for feed in [("bureau", 900), ("plant", 900)]:
        assert struck.pipeline.feeds.watermark_ms(feed) == plain.pipeline.feeds.watermark_ms(feed)
    assert struck.kinds() == plain.kinds()


CADENCES = (60, 300, 900, 1800, 3600)


def test_cadences_side_by_side_are_each_judged_at_their_own(new: Callable[..., District]) -> None:
    rows = [
        r
        for meter, cadence in zip(["minute", "calm", "melt", "shut", "plant1"], CADENCES, strict=True)
        for r in steady(
            meter,
            range(2),
            200.0,
            channel="p_mean_kw",
            step_ms=cadence * 1000,
            interval_s=cadence,
            publisher="plant" if meter == "plant1" else "bureau",
        )
    ]
    known = register(Meter(meter="minute", site="minute", publisher="bureau", cadence_s=60))
    district, again = new(known), new(known)
    district.feed(by_hour(rows, 3), live=True).finish()
    again.feed(arranged(rows, random.Random(4))).finish()
    assert district.leads() == again.leads()
    kinds = district.kinds()
    assert ("sealed_site", "shut") in kinds
    silent = {site for kind, site in kinds if kind == "meter_silent"}
    assert not silent & {"minute", "calm", "melt", "shut", "plant1"}
    judged = {
        row["meter"]: row["status"]
        for row in district.scores().to_pylist()
        if row["detector"] == "quality" and row["night"].isoformat() == "2026-03-03"
    }
    assert {judged[meter] for meter in ("minute", "calm", "melt", "shut", "plant1")} == {"clear"}


def test_late_readings_of_a_meter_at_another_cadence_than_registered_are_judged_again(
    new: Callable[..., District],
) -> None:
    others = [*steady("calm", range(4)), *steady("melt", range(4), 30.0)]
    shut = steady("shut", range(4), 0.5, step_ms=300_000, interval_s=300, channel="p_mean_kw")
    late = [
        dataclasses.replace(r, channels={"p_mean_kw": 333.0}, ts_ms=r.ts_ms)
        for r in steady("shut", [1], 210.0, step_ms=300_000, interval_s=300)
    ]
    prompt = [r for r in shut if not slot_ms(1, 0) < r.ts_ms <= slot_ms(2, 0)]
    district = new()
    district.feed(by_hour([*others, *prompt], 6), live=True)
    assert ("sealed_site", "shut") not in district.kinds()
    district.feed([[message(*late, received_ms=district.clock.wall_ms())]], live=True)
    assert ("sealed_site", "shut") in district.kinds()
    replayed = new().feed(arranged([*others, *prompt, *late], random.Random(1))).finish()
    assert district.finish().leads() == replayed.leads()


@pytest.mark.parametrize("interval_s", [7200, 420])
def test_a_cadence_without_a_window_is_kept_in_history(new: Callable[..., District], interval_s: int) -> None:
    rows = [*bureau(2), Reading("calm", slot_ms(1, 40), {"p_kw": 5.0}, interval_s)]
    district = new().feed(by_hour([*rows, rows[-1]], 6), live=True)
    assert district.totals()["DUPLICATE"] == 1
    district.crash().feed([[message(rows[-1], received_ms=district.clock.wall_ms())]], live=True)
    assert [row[:3] for row in district.stored() if row[2] == interval_s] == [("calm", slot_ms(1, 40), interval_s)]
    assert district.finish().leads() == new().feed(by_hour(bureau(2), 6)).finish().leads()


def ticking(district: District, hours: int) -> None:
    for _ in range(hours):
        district.clock.set_wall_ms(district.clock.wall_ms() + HOUR_MS)
        district.pipeline.tick()
        district.judge()


def test_silence_passes_by_ticks_and_a_replay_of_the_journal_sees_it_too(new: Callable[..., District]) -> None:
    district = new()
    district.feed(by_hour(bureau(2), 6), live=True)
    ticking(district, 80)
    closed = district.core.desk.closed_nights()
    assert closed["bureau/900"].isoformat() == "2026-03-06"
    leads = district.leads()
    marks = {feed: district.pipeline.feeds.watermark_ms(feed) for feed in [("bureau", 900), ("plant", 900)]}
    district.end()
    for path in [*district.state_dir.glob("desk.sqlite*"), district.state_dir / "history.duckdb"]:
        path.unlink()
    district.open().judge()
    assert {feed: district.pipeline.feeds.watermark_ms(feed) for feed in marks} == marks
    assert district.core.desk.closed_nights() == closed
    assert district.leads() == leads


def test_a_feed_that_is_down_raises_no_silent_meter(new: Callable[..., District]) -> None:
    district = new()
    district.feed(by_hour([r for r in bureau(2) if r.meter != "dead"], 6), live=True)
    before = {kind for kind in district.kinds() if kind[0] == "meter_silent"}
    ticking(district, 96)
    after = {kind for kind in district.kinds() if kind[0] == "meter_silent"}
    assert after <= before | {("meter_silent", "dead")}


def test_a_night_the_feed_was_down_is_no_silent_night_of_a_meter(new: Callable[..., District]) -> None:
    rows = [r for r in bureau(5) if r.publisher == "bureau" and r.meter in {"melt", "calm", "shut"}]
    down = [r for r in rows if not slot_ms(1, 0) < r.ts_ms <= slot_ms(4, 0)]
    back = [
        *down,
        *(Reading("dead", r.ts_ms, {"p_kw": 3.0}) for r in down if r.meter == "calm" and r.ts_ms < slot_ms(1, 1)),
    ]
    district = new()
    district.feed(by_hour(back, 6), live=True).finish()
    assert ("meter_silent", "dead") not in district.kinds()


def test_one_dead_meter_among_living_ones_raises_exactly_one_lead(new: Callable[..., District]) -> None:
    district = new()
    district.feed(by_hour(list(bureau(4)), 6), live=True)
    assert [site for kind, site in sorted(district.kinds()) if kind == "meter_silent"] == ["dead"]


def test_a_feed_that_was_down_and_catches_up_names_its_dead_meter(new: Callable[..., District]) -> None:
    rows = [r for r in bureau(4) if r.meter in {"melt", "calm", "shut"}]
    late = [r for r in rows if slot_ms(1, 0) < r.ts_ms <= slot_ms(3, 0)]
    prompt = [r for r in rows if r not in late]
    district = new()
    district.feed(by_hour(prompt, 6), live=True)
    one = [r for r in late if r.meter == "melt"]
    rest = [r for r in late if r.meter != "melt"]
    for part in (one, rest):
        district.feed([[message(*part, received_ms=district.clock.wall_ms())]], live=True)
    replayed = new().feed(arranged(rows, random.Random(2))).finish()
    assert district.finish().leads() == replayed.leads()
    assert ("meter_silent", "dead") in district.kinds()


def test_a_sealed_site_is_seen_before_the_night_ends_and_judged_after(new: Callable[..., District]) -> None:
    rows = [*steady("calm", range(3)), *steady("melt", range(3), 30.0), *steady("shut", range(2), 0.5)]
    running = steady("shut", [2], 210.0, channel="p_mean_kw")
    district = new()
    groups = by_hour([*rows, *running], 1)
    half = next(i for i, g in enumerate(groups) if g[0].received_ms > slot_ms(2, 30))
    district.feed(groups[:half], live=True)
    assert ("sealed_site", "shut") in district.kinds()
    early = next(lead for lead in district.leads() if lead["kind"] == "sealed_site")
    assert district.core.desk.closed_nights()["bureau/900"].isoformat() == "2026-03-03"
    district.feed(groups[half:], live=True).finish()
    final = next(lead for lead in district.leads() if lead["kind"] == "sealed_site")
    assert final["measures"]["energy_kwh"] > early["measures"]["energy_kwh"]
    assert final["id"] == early["id"]
    assert district.leads() == new().feed(arranged([*rows, *running], random.Random(3))).finish().leads()


def test_late_contradictions_withdraw_a_sealed_site_and_a_revision_brings_it_back(new: Callable[..., District]) -> None:
    rows = [*steady("calm", range(2)), *steady("melt", range(2), 30.0)]
    running = steady("shut", [0, 1], 210.0, channel="p_mean_kw")
    district = new().feed(by_hour([*rows, *running], 6), live=True).judge()
    before = district.finish().leads()
    assert ("sealed_site", "shut") in district.kinds()
    now_ms = district.clock.wall_ms()
    denial = [dataclasses.replace(r, channels={"p_mean_kw": 0.1}) for r in running]
    district.feed([[message(*denial, received_ms=now_ms)]], live=True).judge()
    assert ("sealed_site", "shut") not in district.kinds()
    assert district.totals()["CONFLICT"] == len(running)
    assert district.watcher.changes["withdrawn"] == 1
    settled = [dataclasses.replace(r, rev=1) for r in running]
    district.feed([[message(*settled, received_ms=now_ms)]], live=True).judge()
    assert ("sealed_site", "shut") in district.kinds()
    assert district.watcher.changes["reopened"] == 1
    assert [lead["id"] for lead in district.leads()] == [lead["id"] for lead in before]
    replayed = new().feed(arranged([*rows, *running, *denial, *settled], random.Random(3))).finish()
    assert district.leads() == replayed.leads()


def test_a_late_reading_at_noon_is_known_to_both_nights(new: Callable[..., District]) -> None:
    """A register at noon ends one night and opens the next; a stamp just after noon still fills the slot before."""
    rows = bureau(4)
    for stamp_ms, offset in ((slot_ms(1, 96), 0), (slot_ms(1, 96), 200_000)):
        noon = next(r for r in rows if r.meter == "melt" and r.ts_ms == stamp_ms)
        late = dataclasses.replace(noon, ts_ms=stamp_ms + offset)
        prompt = [r for r in rows if r is not noon]
        district = new().feed(by_hour(prompt, 6), live=True)
        district.feed([[message(late, received_ms=district.clock.wall_ms())]], live=True).finish()
        assert district.leads() == new().feed(by_hour([*prompt, late], 24)).finish().leads()


def test_a_meter_that_changed_hands_is_its_publishers_as_of_the_event_time(new: Callable[..., District]) -> None:
    rows = [r for r in bureau(4) if r.meter == "moved"]
    wrong = [dataclasses.replace(r, publisher="plant" if r.publisher == "bureau" else "bureau") for r in rows]
    district = new(register(moved_cadence_s=1800)).feed(arranged([*rows, *wrong], random.Random(5))).finish()
    assert district.quarantined() == Counter({"AUTHZ": len(wrong)})
    assert district.totals() == {"STORED": len(rows), "REFUSED": len(wrong)}
    cadence = {row[2] for row in district.stored() if row[1] > slot_ms(2, 0)}
    assert cadence == {1800}
    sites = {row["night"].isoformat(): row["site"] for row in district.scores().to_pylist() if row["meter"] == "moved"}
    assert (sites["2026-03-03"], sites["2026-03-04"]) == ("moved", "moved2")


def test_late_readings_from_before_a_meter_changed_hands_are_judged_with_its_former_feed(
    new: Callable[..., District],
) -> None:
    rows = bureau(4)
    late = [r for r in rows if r.meter == "moved" and r.ts_ms <= slot_ms(0, 80)]
    prompt = [r for r in rows if r not in late]
    district = new().feed(by_hour(prompt, 6), live=True)
    district.feed([[message(*late, received_ms=district.clock.wall_ms())]], live=True).finish()
    replayed = new().feed(by_hour(rows, 24)).finish()
    assert district.leads() == replayed.leads()
    nights = {str(row["night"]) for row in replayed.scores().to_pylist()}
    mine = [row for row in district.scores().to_pylist() if row["meter"] == "moved" and str(row["night"]) in nights]
    assert mine == [row for row in replayed.scores().to_pylist() if row["meter"] == "moved"]


def test_a_ratio_not_applied_makes_primary_values(new: Callable[..., District]) -> None:
    district = new().feed(
        [[message(Reading("plant2", slot_ms(0, 1), {"p_kw": 1.5, "ua_v": 230.0}, publisher="plant"))]]
    )
    assert district.stored()[0][4] == (("p_kw", 120.0), ("ua_v", 230.0))


def test_an_unknown_meter_is_kept_counted_and_comes_in_once_it_is_registered(new: Callable[..., District]) -> None:
    district = new()
    unknown = [Reading("newcomer", slot_ms(0, k), {"p_kw": 1.0}) for k in range(1, 5)]
    district.feed([[message(*unknown)]])
    assert district.quarantined() == Counter({"UNKNOWN_METER": 4})
    assert district.watcher.n_refused == 4
    district.end()
    district.known = register(Meter(meter="newcomer", site="calm", publisher="bureau"))
    district.open()
    assert not district.stored()
    district.feed([[message(*unknown)]])
    assert len(district.stored()) == 4


def test_a_history_that_is_full_loses_no_rows(new: Callable[..., District], monkeypatch: pytest.MonkeyPatch) -> None:
    district = new().feed(by_hour(bureau(1), 6))
    history = district.core.history
    append = history.append

    def full(*_: Any, **__: Any) -> None:
        raise StoreFull("no room")

    monkeypatch.setattr(history, "append", full)
    for _ in range(2):
        with pytest.raises(StoreFull):
            district.pipeline.applier.flush()
    monkeypatch.setattr(history, "append", append)
    assert len(district.stored()) == len(bureau(1))
    assert district.totals() == {"STORED": len(bureau(1)), "REFUSED": 0}
