"""The county: who is in it, what the register says of them, and that its days can be asked for in any order."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from models.domain.codes import trade_section, uscc_check_character, uscc_has_shape
from models.domain.readings import RejectReason
from models.domain.register import CalendarKind, EnterpriseStatus, FurnaceKind, Register
from models.simulated.county import County, CountySpec, DayReadings, build
from models.simulated.identities import organisation_check_character
from models.simulated.spec import LoadClass

START = dt.date(2026, 3, 2)
SMALL = CountySpec(seed=3, start=START, days=4, sites=60, minute_meters=3)
SHANGHAI = ZoneInfo("Asia/Shanghai")


@pytest.fixture(scope="module")
def county() -> County:
    return build(CountySpec(seed=7, start=START, days=14))


@pytest.fixture(scope="module")
def small() -> County:
    return build(SMALL)


def as_bytes(day: DayReadings) -> bytes:
    columns = [day.ts_ms, day.arrival_ms, day.interval_s, *day.channels.values()]
    return b"".join(c.tobytes() for c in columns) + "".join(day.meter + day.publisher).encode()


def days_of(county: County) -> list[DayReadings]:
    return [county.day(county.spec.start + dt.timedelta(days=k)) for k in range(county.spec.days)]


def test_the_default_county_holds_what_it_promises(county: County) -> None:
    classes = Counter(truth.load_class for truth in county.truth)
    hidden = [t for t in county.truth if t.has_furnace and not t.declared]
    assert sum(t.furnace_share >= 0.6 for t in hidden) >= 22
    assert 4 <= sum(0.25 <= t.furnace_share < 0.6 for t in hidden) <= 8
    assert classes["foundry"] == 10
    assert classes["forging"] == 6
    assert {c.value for c in LoadClass} == set(classes)
    assert len(county.truth) == 240
    assert sum(spec.meter.interval_s == 60 for spec in county.sites) == 12
    faults = Counter(fault for t in county.truth for fault in t.faults)
    assert faults["dead"] == faults["rollover"] == faults["ratio_changed"] == 1


def test_truth_and_register_agree_on_what_is_declared(county: County) -> None:
    register = Register(county.register, SHANGHAI)
    for truth in county.truth:
        kinds = {furnace.kind for furnace in register.furnaces_at(truth.site, START)}
        assert truth.declared == bool(kinds)
        if truth.load_class == "foundry":
            assert kinds == {FurnaceKind.MEDIUM_FREQUENCY}
        if truth.load_class == "hidden_furnace":
            assert not kinds
        if truth.load_class == "forging":
            assert kinds <= {FurnaceKind.INDUCTION_HEATING}
            assert not truth.has_furnace


def test_the_register_holds_valid_codes_and_whole_references(county: County) -> None:
    rows = county.register
    assert len({e.uscc for e in rows.enterprises}) == 240
    assert all(uscc_has_shape(e.uscc) and uscc_check_character(e.uscc[:17]) == e.uscc[17] for e in rows.enterprises)
    assert all(trade_section(e.trade) is not None for e in rows.enterprises)
    assert len({m.meter for m in rows.meters}) == 240
    assert {m.publisher for m in rows.meters} == {p.publisher for p in rows.publishers}
    assert {m.feeder for m in rows.meters} <= {f.feeder for f in rows.feeders}
    assert {m.site for m in rows.meters} == {s.site for s in rows.sites}


def test_an_organisation_code_checks_as_the_standard_says() -> None:
    assert organisation_check_character("D2143569") == "X"


def test_some_enterprises_carry_a_wrong_trade() -> None:
    wrong = total = 0
    for seed in range(8):
        county = build(CountySpec(seed=seed, start=START, days=1))
        register = Register(county.register, SHANGHAI)
        for spec in county.sites:
            if spec.load_class is LoadClass.TEXTILE or spec.load_class is LoadClass.PLASTICS:
                enterprise = register.enterprise_of_meter(spec.meter.meter, START)
                assert enterprise is not None
                wrong += not enterprise.trade.startswith(("17", "29"))
                total += 1
    assert 0.01 < wrong / total < 0.09


def test_holidays_of_the_span_are_in_the_calendar() -> None:
    rows = build(CountySpec(seed=1, start=dt.date(2026, 9, 28), days=10, sites=20)).register.calendar
    assert dt.date(2026, 10, 1) in {row.day for row in rows if row.kind is CalendarKind.HOLIDAY}
    assert sum(row.kind is CalendarKind.TARIFF for row in rows) >= 4


def test_sealed_sites_are_silent_save_the_one_that_restarts(county: County) -> None:
    register = Register(county.register, SHANGHAI)
    restarted = [t for t in county.truth if t.sealed_restart_night is not None]
    assert len(restarted) == 1
    night = restarted[0].sealed_restart_night
    assert night is not None
    assert START + dt.timedelta(days=3) <= night <= START + dt.timedelta(days=10)
    for spec in county.sites:
        if spec.load_class in {LoadClass.CLOSED, LoadClass.POWER_CUT, LoadClass.RESTARTED}:
            enterprise = register.enterprise_of_meter(spec.meter.meter, START)
            assert enterprise is not None
            assert enterprise.status is not EnterpriseStatus.OPERATING
            assert enterprise.since is not None
            assert enterprise.since < START
            load = county.site_load(spec.number)
            sealed_until = county.timeline.n
            if spec.restart_night is not None:
                sealed_until = (
                    int(county.timeline.day_start[(spec.restart_night - county.timeline.dates[0]).days]) + 720
                )
                assert load.p_kw[sealed_until:].max() > 50.0
            assert load.p_kw[:sealed_until].max() < 2.0


def test_days_do_not_depend_on_which_others_were_asked_for(small: County) -> None:
    forwards = [as_bytes(day) for day in days_of(small)]
    fresh = build(SMALL)
    assert as_bytes(fresh.day(START + dt.timedelta(days=2))) == forwards[2]
    assert as_bytes(fresh.day(START)) == forwards[0]
    assert as_bytes(build(CountySpec(seed=4, start=START, days=4, sites=60, minute_meters=3)).day(START)) != forwards[0]


def test_days_are_in_arrival_order_and_bring_every_reading_once(small: County) -> None:
    days = days_of(small)
    arrivals = np.concatenate([day.arrival_ms for day in days])
    assert (np.diff(arrivals) >= 0).all()
    per_meter = Counter(meter for day in days for meter in day.meter)
    living = [s for s in small.sites if "dead" not in {f.value for f in s.meter.faults}]
    assert all(per_meter[s.meter.meter] > 0.5 * 4 * 86400 / s.meter.interval_s for s in living)
    for day, date in zip(days[:-1], (START + dt.timedelta(days=k) for k in range(3)), strict=True):
        local = {dt.datetime.fromtimestamp(ms / 1000, SHANGHAI).date() for ms in day.arrival_ms[[0, -1]].tolist()}
        assert local == {date}


def test_every_reading_is_admitted_for_its_publisher(small: County) -> None:
    register = Register(small.register, SHANGHAI)
    day = small.day(START)
    for meter, publisher, ts_ms, interval_s in zip(
        day.meter, day.publisher, day.ts_ms.tolist(), day.interval_s.tolist(), strict=True
    ):
        admitted = register.admit(meter, publisher, ts_ms)
        assert not isinstance(admitted, RejectReason)
        assert admitted.cadence_s == interval_s


def test_a_heat_runs_on_over_midnight(small: County) -> None:
    time = small.timeline
    crossing = 0
    for spec in small.sites:
        if spec.furnace is not None:
            load = small.site_load(spec.number)
            for midnight in time.day_start[1:-1].tolist():
                melting = load.melt_kw[midnight - 5 : midnight + 5]
                crossing += bool((melting > 0.3 * spec.furnace.rated_kw).all())
    assert crossing > 3


def test_sites_scale_the_county_and_a_tiny_one_still_works() -> None:
    half = build(CountySpec(seed=1, start=START, days=1, sites=120))
    assert sum(s.load_class is LoadClass.HIDDEN_FURNACE for s in half.sites) in range(14, 18)
    tiny = build(CountySpec(seed=1, start=START, days=1, sites=3, minute_meters=1))
    assert len(tiny.sites) == 3
    assert len(tiny.day(START)) > 0


def test_a_date_outside_the_span_is_refused(small: County) -> None:
    with pytest.raises(ValueError, match="not in the simulated span"):
        small.day(START - dt.timedelta(days=1))
