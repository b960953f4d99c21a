"""From messages to accounts through the real core: what counts, what is refused, revisions, crashes, order, files."""

from __future__ import annotations

import dataclasses
import json
import random
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from typer.testing import CliRunner

from models.domain.accounts import Account, GapKind, Period
from models.domain.clock import SystemClock
from models.domain.readings import RawMessage
from models.domain.register import Meter, Publisher, Site
from monitor.accounts.kept_topics import KeptTopic
from monitor.accounts.ledger import Cursor, digest_of
from monitor.cli.main import app
from monitor.desk.registers import store_register
from tests.support.plant import (
    APRIL,
    HOUR_MS,
    MARCH,
    OTHER,
    USCC,
    Plant,
    heat_row,
    heats,
    midnight_ms,
    output,
    output_row,
    readings,
    register,
    register_readings,
)

HOURS = 744
GAS = [{"fuel": "natural-gas", "quantity": 1234.567, "unit": "m3"}]


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    with Plant(tmp_path / "state") as plant:
        yield plant


def gap_kinds(account: Account) -> set[GapKind]:
    return {gap.kind for gap in account.gaps if gap.lowers}


def test_messages_become_an_account_that_can_be_redone_by_hand(plant: Plant) -> None:
    plant.feed(
        readings(register_readings()),
        output(output_row(fuels=GAS, facts={"clinker_ratio_pct": 75.5}), output_row("L2", 300)),
        heats(heat_row(0), heat_row(1), heat_row(30, tapped_t=2.5)),
    )
    account = plant.account()
    assert plant.refusals() == []
    assert account.electricity.kwh == Decimal((1000 + 100 + 50) * HOURS)
    assert account.electricity.coverage == 1
    line1, line2, works = account.of_line("L1"), account.of_line("L2"), account.of_site("works")
    assert line1 is not None
    assert line2 is not None
    assert works is not None
    assert line1.electricity.kwh == Decimal(800 * HOURS + 60 * HOURS)
    assert line2.electricity.kwh == Decimal(40 * HOURS)
    assert works.electricity.kwh == Decimal(1100 * HOURS)
    assert [step.formula for step in account.allocation if step.meter == "aux"] == [
        "74400.00 × 0.6 = 44640.00 kWh",
        "74400.00 × 0.4 = 29760.00 kWh",
    ]
    total = account.of_product("灰铸铁件")
    assert total is not None
    assert (total.quantity, total.unit, total.coverage, total.reports) == (Decimal(1000), "t", Decimal(1), 2)
    assert [(f.use.fuel, f.use.quantity, f.line) for f in account.fuels] == [("natural-gas", Decimal("1234.567"), "L1")]
    assert account.facts == (("clinker_ratio_pct", Decimal("75.5")),)
    whole = account.heats.groups[0]
    assert (whole.heats, whole.odd, whole.kwh_per_tapped_t, whole.kwh_per_charged_t) == (
        3,
        1,
        Decimal("600.0"),
        Decimal("571.4"),
    )
    assert gap_kinds(account) == set()


def test_neighbouring_months_share_the_reading_between_them(plant: Plant) -> None:
    plant.feed(readings(register_readings(end=APRIL.end)))
    spring = Period(MARCH.first, APRIL.last)
    parts = [plant.account(period).electricity.kwh for period in (MARCH, APRIL)]
    assert None not in parts
    assert sum(part for part in parts if part is not None) == plant.account(spring).electricity.kwh


@pytest.mark.parametrize(
    ("message", "reason", "told"),
    [
        pytest.param(output(output_row("L9")), "UNKNOWN_METER", "line L9", id="unknown_line"),
        pytest.param(output(output_row(), publisher="stranger"), "AUTHZ", "reporters", id="not_a_reporter"),
        pytest.param(output(output_row(rev=1), publisher="plant"), "AUTHZ", "may_revise", id="may_not_revise"),
        pytest.param(output(output_row(product="unobtainium")), "SCHEMA", "unknown product", id="unknown_product"),
        pytest.param(output(output_row(unit="bushel")), "SCHEMA", "bushel", id="unknown_unit"),
        pytest.param(output(output_row(unit="kgce/t")), "SCHEMA", "no unit of output", id="unit_of_something_else"),
        pytest.param(
            output(output_row(fuels=[{"fuel": "raw-cole", "quantity": 1, "unit": "t"}])),
            "SCHEMA",
            "raw-coal",
            id="unknown_fuel",
        ),
        pytest.param(
            output(output_row(fuels=[{"fuel": "raw-coal", "quantity": 1, "unit": "m3"}])),
            "SCHEMA",
            "raw-coal",
            id="fuel_in_another_kind_of_unit",
        ),
        pytest.param(
            output(output_row(fuels=[{"fuel": "electricity-equivalent", "quantity": 1, "unit": "kWh"}])),
            "SCHEMA",
            "meters",
            id="electricity_is_not_reported",
        ),
        pytest.param(output(output_row(to="2026-05-31")), "TIME_FUTURE", "has not come", id="future_period"),
        pytest.param(heats(heat_row(0, furnace="F9")), "UNKNOWN_METER", "F9", id="unknown_furnace"),
        pytest.param(heats(heat_row(0), publisher="stranger"), "AUTHZ", "F1", id="heat_of_a_stranger"),
        pytest.param(heats(heat_row(24 * 90)), "TIME_FUTURE", "clock", id="heat_of_the_future"),
    ],
)
def test_what_the_register_or_the_packs_do_not_know_waits_in_quarantine(
    plant: Plant, message: RawMessage, reason: str, told: str
) -> None:
    plant.feed(message)
    ((found, detail),) = plant.refusals()
    assert found == reason
    assert told in detail
    account = plant.account()
    assert account.output == ()
    assert account.heats.lines == ()


def test_a_reporter_of_one_site_does_not_speak_for_the_enterprise(plant: Plant) -> None:
    whole = {"enterprise": USCC, "from": "2026-03-01", "to": "2026-03-31", "fuels": GAS}
    plant.feed(output(output_row(), publisher="plant"), output(whole, publisher="plant"), output(whole))
    assert [reason for reason, _ in plant.refusals()] == ["AUTHZ"]
    assert len(plant.account().fuels) == 1


def test_the_same_revision_with_another_value_is_a_conflict_until_a_revision_settles_it(plant: Plant) -> None:
    plant.feed(output(output_row(quantity=700)), output(output_row(quantity=650), publisher="plant"))
    contested = plant.account()
    total = contested.of_product("灰铸铁件")
    assert total is not None
    assert total.quantity is None
    assert gap_kinds(contested) >= {GapKind.OUTPUT_CONFLICT}
    plant.feed(output(output_row(quantity=660, rev=1)))
    settled = plant.account()
    total = settled.of_product("灰铸铁件")
    assert total is not None
    assert (total.quantity, total.revision) == (Decimal(660), 1)
    assert settled.digest != contested.digest


def test_a_late_revision_changes_the_digest_and_every_value_is_kept(plant: Plant) -> None:
    plant.feed(readings(register_readings()), output(output_row()))
    before, ledger = plant.account(), plant.ledger()
    cursor, _ = ledger.changed_since(Cursor(), plant.table)
    assert ledger.changed_since(cursor, plant.table) == (cursor, frozenset())
    plant.feed(output(output_row(quantity=710, rev=1)))
    after = plant.account()
    assert after.digest != before.digest
    assert after.digest == digest_of(after)
    moved, changed = plant.ledger().changed_since(cursor, plant.table)
    assert changed == {(USCC, MARCH)}
    assert moved.report == cursor.report + 1
    result = CliRunner().invoke(app, ["output", "list", "--state", str(plant.state_dir), "--json"])
    assert [item["quantity"] for item in json.loads(result.stdout)] == ["710", "700"]


def test_late_readings_are_told_of_and_revise_the_account(plant: Plant) -> None:
    rows = register_readings()
    plant.feed(readings([row for row in rows if row["ts"] < midnight_ms(MARCH.end) - 48 * HOUR_MS]))
    before = plant.account()
    cursor, _ = plant.ledger().changed_since(Cursor(), plant.table)
    assert before.electricity.coverage < 1
    assert GapKind.NO_READING in gap_kinds(before)
    plant.feed(readings(rows))
    after = plant.account()
    assert after.electricity == dataclasses.replace(after.electricity, kwh=Decimal(1150 * HOURS), coverage=Decimal(1))
    _, changed = plant.ledger().changed_since(cursor, plant.table)
    assert {(USCC, MARCH), (USCC, APRIL)} >= changed >= {(USCC, MARCH)}


def test_a_void_revision_takes_a_report_back(plant: Plant) -> None:
    plant.feed(output(output_row()), heats(heat_row(0)))
    plant.feed(
        output({"line": "L1", "from": "2026-03-01", "to": "2026-03-31", "product": "灰铸铁件", "rev": 1, "void": True})
    )
    void_heat = {name: heat_row(0)[name] for name in ("furnace", "start", "end")} | {"rev": 1, "void": True}
    plant.feed(heats(void_heat))
    account = plant.account()
    assert account.output == ()
    assert account.heats.lines == ()


MESSAGES = (
    *(readings(register_readings()[start : start + 500]) for start in range(0, len(register_readings()), 500)),
    output(output_row(quantity=700)),
    output(output_row(quantity=700.0), publisher="plant"),
    output(output_row("L2", 300), output_row("L2", 290, rev=2)),
    output(output_row("L2", 280, rev=1)),
    output({"site": "works", "from": "2026-03-01", "to": "2026-03-31", "fuels": GAS}),
    output(output_row("L2", 10, to="2026-03-05"), output_row("L2", 11, **{"from": "2026-02-20"})),
    heats(*(heat_row(hour) for hour in range(40))),
    heats(heat_row(3, energy_kwh=1300), heat_row(5, energy_kwh=1250, rev=1), heat_row(7)),
)


@pytest.mark.parametrize("seed", range(6))
def test_order_repetition_and_crashes_change_nothing(tmp_path: Path, seed: int) -> None:
    with Plant(tmp_path / "truth") as truth:
        wanted = truth.feed(*MESSAGES).account()
    rng = random.Random(seed)
    shuffled = [*MESSAGES, *rng.sample(MESSAGES, 4)]
    rng.shuffle(shuffled)
    with Plant(tmp_path / "state") as plant:
        for message in shuffled:
            plant.feed(message)
            if rng.random() < 0.2:
                plant.crash()
        assert plant.account() == wanted


def test_a_report_committed_just_before_a_crash_is_there_after_it(plant: Plant) -> None:
    plant.feed(output(output_row()))
    assert len(plant.core.pipeline.reports) == 1
    plant.core.pipeline.reports._waiting.clear()  # the process is gone before anything was written to the desk
    plant.crash()
    assert plant.account().of_product("灰铸铁件") is not None


def test_messages_kept_by_an_older_version_are_taken_in_once(plant: Plant) -> None:
    new = [output(output_row()), output(output_row("L9")), heats(heat_row(0))]
    for message in new:
        old = RawMessage(message.topic, message.payload, message.received_ms, message.publisher, "kept")
        plant.core.journal.commit([old], [])
    assert plant.account().output == ()
    for topic in ("output", "furnace"):
        chore = KeptTopic(topic, SystemClock())
        while chore.run(plant.core):
            pass
    account = plant.account()
    assert account.of_product("灰铸铁件") is not None
    assert len(account.heats.lines) == 1
    assert [reason for reason, _ in plant.refusals()] == ["UNKNOWN_METER"]
    head = plant.core.journal.head
    assert not KeptTopic("output", SystemClock()).run(plant.core)
    assert plant.core.journal.head == head


def test_many_accounts_at_once_are_the_same_as_one_by_one(plant: Plant) -> None:
    rows = register_readings()
    rows[200] |= {"e_imp_kwh": 5.0}
    plant.feed(readings(rows), readings([rows[300] | {"e_imp_kwh": 1e6}]), output(output_row()))
    one = plant.account()
    many = list(plant.ledger().accounts([USCC] * 70 + [OTHER], MARCH, plant.table))
    assert many[0] == one
    assert many[-1].electricity.kwh is None
    assert plant.ledger().enterprises(MARCH, plant.table) == [USCC, OTHER]


def test_a_site_that_changes_hands_counts_for_each_owner_in_its_days(tmp_path: Path) -> None:
    middle = MARCH.first.replace(day=16)
    sites = (Site(site="works", uscc=USCC, valid_to=middle), Site(site="works", uscc=OTHER, valid_from=middle))
    table = register(
        sites=sites,
        meters=(Meter(meter="main", site="works", publisher="bureau", cadence_s=3600),),
        allocations=(),
        publishers=(Publisher(publisher="bureau"),),
    )
    with Plant(tmp_path / "state", table) as plant:
        plant.feed(readings([row for row in register_readings() if row["meter"] == "main"]))
        assert plant.account(uscc=USCC).electricity.kwh == Decimal(1000 * 15 * 24)
        assert plant.account(uscc=OTHER).electricity.kwh == Decimal(1000 * 16 * 24)


def test_a_file_goes_the_way_of_messages_and_refusals_name_their_row(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    store_register(state, register().rows, 0)
    config = tmp_path / "gridwarden.toml"
    config.write_text(f'[daemon]\nstate_dir = "{state}"\n', encoding="utf-8")
    sheet = tmp_path / "产量.csv"
    head = "生产线,起始日期,截止日期,产品,产量,单位\n"
    sheet.write_text(
        head + "L1,2026-03-01,2026-03-31,灰铸铁件,700.25,t\nL9,2026-03-01,2026-03-31,灰铸铁件,1,t\n", "utf-8"
    )
    arguments = ["output", "import", str(sheet), "--publisher", "bureau", "--config", str(config)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 65
    assert "产量.csv 产量 3: UNKNOWN_METER line L9" in result.output
    with Plant(state) as plant:
        total = plant.account().of_product("灰铸铁件")
        assert total is not None
        assert total.quantity == Decimal("700.25")


def test_a_file_with_a_fault_is_not_imported_at_all(tmp_path: Path) -> None:
    sheet = tmp_path / "output.csv"
    sheet.write_text("line,from,to,product,quantity,unit\nL1,2026-03-01,31.3.,灰铸铁件,7t,t\n", encoding="utf-8")
    result = CliRunner().invoke(app, ["output", "import", str(sheet), "--publisher", "bureau"])
    assert result.exit_code == 65
    assert "2 处错误，未导入" in result.output
