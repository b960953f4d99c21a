"""A year of months with late corrections through the real core: revisions, sums, lists, reconciliation, events."""

from __future__ import annotations

import csv
import datetime as dt
import json
from collections.abc import Iterator
from decimal import ROUND_CEILING, Decimal
from pathlib import Path
from typing import Any

import msgspec
import openpyxl
import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from connectors.notice_text import render
from models.domain.accounts import Period
from models.law.library import Law, load_law, shipped_law
from monitor.cli.access import SocketAccess, open_access
from monitor.cli.main import app
from monitor.commands import Commands
from monitor.desk.schema import OUTBOX
from monitor.ops.local_api import local_app
from monitor.ops.local_socket import SOCKET_NAME, bind_local_socket
from monitor.ops.serving import OpsServer
from monitor.stored_rows import StoredRows
from monitor.tariffs.judging import Bench
from monitor.tariffs.keeper import FlagKeeper, Times, Told
from tests.support.flag_year import (
    BLANK,
    FERRO,
    SHOP,
    SMELTER,
    YEAR,
    FlagYear,
    aluminium,
    kwh_of,
    month_readings,
    months,
    reread,
)
from tests.support.plant import ZONE, midnight_ms

END = dt.date(YEAR + 1, 1, 1)
MARCH, JUNE = months()[2], months()[5]
FEN = Decimal("0.01")


def fed(year: FlagYear) -> FlagYear:
    """Months in turn; March's output and a reading between March and April are corrected in May, June's in August."""
    for month in months():
        year.feed(month_readings(month), aluminium(month, "13296"))
        if month.first.month == 5:
            year.feed(
                aluminium(MARCH, "13340", rev=1, received=dt.date(YEAR, 5, 28)),
                reread(FERRO, MARCH.end, 500.0, dt.date(YEAR, 5, 29)),
            )
        if month.first.month == 8:
            year.feed(aluminium(JUNE, "13345", rev=1, received=dt.date(YEAR, 8, 20)))
        year.judge(month.end)
    return year


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlagYear]:
    with FlagYear(tmp_path_factory.mktemp("year") / "state") as made:
        yield fed(made)


def _surcharge(year: FlagYear) -> Decimal:
    """The steps above 13300 by the output as corrected, worked out anew."""
    per_t = {MARCH: "13340", JUNE: "13345"}
    tonnes = sum((kwh_of(SMELTER, m) / Decimal(per_t.get(m, "13296"))).quantize(Decimal("0.000001")) for m in months())
    used = kwh_of(SMELTER, Period.parse(str(YEAR))) / tonnes
    assert used > 13300
    return ((used - 13300) / 20).to_integral_value(ROUND_CEILING) * Decimal("0.01")


def by_key(rows: list[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(row["uscc"], row["period"]): row for row in rows}


def test_a_register_read_anew_revises_the_months_on_both_sides(year: FlagYear) -> None:
    trails = {month: year.trail(FERRO, month) for month in ("2025-03", "2025-04", "2025-05")}
    assert [(row["cause"], row["amount_cny"]) for row in trails["2025-03"]] == [
        ("first", "37200.00"),
        ("data", "37250.00"),
    ]
    assert [row["amount_cny"] for row in trails["2025-04"]] == ["36000.00", "35950.00"]
    assert len(trails["2025-05"]) == 1


def test_an_enterprise_is_flagged_only_while_it_is_listed(year: FlagYear) -> None:
    rows = by_key(year.standing())
    statuses = [rows[FERRO, month.name]["status"] for month in months()]
    assert statuses == ["flag"] * 6 + ["clear"] * 6
    amounts = [Decimal(rows[FERRO, month.name]["amount_cny"]) for month in months()]
    assert sum(amounts) == sum(kwh_of(FERRO, month) for month in months()[:6]) * Decimal("0.1")


def test_corrected_output_decides_the_year_and_its_months(year: FlagYear) -> None:
    rows = by_key(year.standing())
    surcharge, whole = _surcharge(year), kwh_of(SMELTER, Period.parse(str(YEAR)))
    of_year = rows[SMELTER, str(YEAR)]
    assert (of_year["status"], of_year["rule"]) == ("flag", "cn-tier-aluminium-2022")
    assert Decimal(of_year["surcharge_cny_per_kwh"]) == surcharge
    assert Decimal(of_year["amount_cny"]) == (whole * surcharge).quantize(FEN)
    of_months = [rows[SMELTER, month.name] for month in months()]
    assert {Decimal(row["surcharge_cny_per_kwh"]) for row in of_months} == {surcharge}
    assert sum(Decimal(row["amount_cny"]) for row in of_months) == Decimal(of_year["amount_cny"])
    first = year.trail(SMELTER, "2025-03")[0]
    assert first["status"] == "needs_data"
    assert first["missing"]


def test_who_is_not_known_is_told_and_not_guessed(year: FlagYear) -> None:
    rows = by_key(year.standing())
    assert rows[SHOP, "2025-05"]["status"] == "clear"
    assert rows[BLANK, "2025-05"]["status"] == "needs_data"
    assert [one["key"] for one in rows[BLANK, "2025-05"]["missing"]] == ["industry"]


def test_no_period_is_judged_before_there_are_data_of_it(year: FlagYear) -> None:
    assert {row["period"] for row in year.standing()} == {str(YEAR), *(month.name for month in months())}


def test_judging_again_changes_nothing(year: FlagYear) -> None:
    before = year.standing()
    assert year.judge(END) == []
    assert year.standing() == before


def test_all_at_once_comes_to_the_same_as_month_by_month(year: FlagYear, tmp_path: Path) -> None:
    with FlagYear(tmp_path / "state") as other:
        for month in reversed(months()):
            other.feed(aluminium(month, "13296"), month_readings(month))
        other.feed(aluminium(JUNE, "13345", rev=1, received=dt.date(YEAR, 8, 20)))
        other.feed(reread(FERRO, MARCH.end, 500.0, dt.date(YEAR, 5, 29)))
        other.feed(aluminium(MARCH, "13340", rev=1, received=dt.date(YEAR, 5, 28)))
        other.judge(END)
        assert _final(other) == _final(year)
        assert all(row["revision"] == 1 for row in other.standing())


def _final(year: FlagYear) -> list[dict[str, Any]]:
    return [{k: v for k, v in row.items() if k not in {"revision", "revised_at"}} for row in year.standing()]


def keeper(year: FlagYear, law: Law, *sinks: str, reached: dt.date = END) -> FlagKeeper:
    """Another keeper over the same stores, with packs and receivers of its own."""
    core = year.plant.core
    first = dt.date(YEAR, 1, 1)
    return FlagKeeper(
        core.engine,
        year.plant.ledger(),
        Bench.of(law, year.table, "CN"),
        Told("450100", sinks),
        times=Times(lambda: midnight_ms(reached), lambda: first, 0),
        clock=core.pipeline.clock,
        zone=ZONE,
    )


PACK = """
[pack]
id = "guangxi-2025"
version = "2025.1"
title_zh = "试行"
title_en = "trial"

[[rule]]
id = "gx-diff-trial"
replaces = "cn-diff-2010"
doc_no = "桂发改〔2024〕1号"
title_zh = "差别电价试行"
region = "CN"
kind = "differential"
effective_from = "2010-06-01"
industries = ["ferroalloy"]
basis = "equipment_class"
tiers = [{ class = "限制类", surcharge = 0.12 }, { class = "淘汰类", surcharge = 0.30 }]
source = "test"
confidence = "V"
"""


@pytest.fixture
def ferro(tmp_path: Path) -> Iterator[FlagYear]:
    """Two months, judged."""
    with FlagYear(tmp_path / "state") as made:
        yield made.run(upto=2)


def other_law(tmp_path: Path) -> Law:
    packs = tmp_path / "packs"
    packs.mkdir()
    (packs / "guangxi.toml").write_text(PACK, encoding="utf-8")
    return load_law(packs)


def notices(year: FlagYear) -> list[Any]:
    with year.plant.core.engine.begin() as connection:
        return list(connection.execute(sa.select(OUTBOX).order_by(OUTBOX.c.seq)))


def test_new_packs_make_a_revision_with_both_values_and_tell_of_it_once(ferro: FlagYear, tmp_path: Path) -> None:
    law = other_law(tmp_path)
    end = midnight_ms(months()[1].end)
    changes = keeper(ferro, law, "file", "mail").finish(end)
    assert [(c.flag.uscc, c.flag.period, c.cause, c.told) for c in changes if c.told is not None] == [
        (FERRO, "2025-01", "law", "amended"),
        (FERRO, "2025-02", "law", "amended"),
    ]
    trail = ferro.trail(FERRO, "2025-01")
    assert [row["amount_cny"] for row in trail] == ["37200.00", "44640.00"]
    assert len({row["law_digest"] for row in trail}) == 2
    sent = notices(ferro)
    assert [row.sink for row in sent] == ["file", "mail"] * 2
    assert {row.event_type for row in sent} == {"cn.gridwarden.flag.amended.v1"}
    event = msgspec.json.decode(sent[0].body)
    assert event["data"]["before"]["amount_cny"] == "37200.00"
    assert event["data"]["amount_cny"] == "44640.00"
    assert event["id"] == sent[0].idempotency_key
    assert keeper(ferro, law, "file", "mail").finish(end) == []
    assert len(notices(ferro)) == len(sent)


def test_an_event_reads_as_a_short_chinese_text(ferro: FlagYear, tmp_path: Path) -> None:
    keeper(ferro, other_law(tmp_path), "apprise").finish(midnight_ms(months()[1].end))
    text = render(notices(ferro)[0].body, 2000)
    assert text.title == "加价标识更新：铁合金厂 2025-01｜应加价"
    assert "0.12 元/千瓦时 × 372000.000 kWh = 44640.00 元" in text.body
    assert "此前 before：应加价" in text.body
    assert len(text.body.encode()) < 2000


def test_a_crash_before_the_cursor_moved_loses_and_repeats_nothing(ferro: FlagYear) -> None:
    before = ferro.standing()
    ferro.plant.crash()
    assert ferro.judge(months()[1].end) == []
    assert ferro.standing() == before


def test_slices_come_to_the_same_as_the_whole(ferro: FlagYear, tmp_path: Path) -> None:
    sliced = keeper(ferro, other_law(tmp_path), reached=months()[1].end)
    turns = 0
    while sliced.run():
        turns += 1
    assert turns >= 4
    assert [row["surcharge_cny_per_kwh"] for row in ferro.standing() if row["uscc"] == FERRO] == ["0.12", "0.12"]


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["tariff", *arguments])


def test_the_history_of_an_enterprise_is_shown_with_arithmetic_and_citation(year: FlagYear) -> None:
    state = ("--state", str(year.state_dir))
    done = run("--enterprise", FERRO, "--period", "2025-03", *state)
    assert done.exit_code == 0, done.output
    for text in ("37200.00", "37250.00", "× 0.10 = 37250.00", "发改价格〔2010〕978号", "数据变化 other data"):
        assert text in done.stdout
    plain = json.loads(run("--enterprise", FERRO, "--period", "2025-03", "--json", *state).stdout)
    assert [row["revision"] for row in plain["revisions"]] == [1, 2]
    assert run("--enterprise", FERRO, "--period", "2025-13", *state).exit_code == 64
    assert run("--enterprise", "91450100MA0000009X", "--period", "2025-03", *state).exit_code == 66


def test_what_if_asks_the_rules_of_another_consumption_and_year(year: FlagYear) -> None:
    state = ("--state", str(year.state_dir))
    metric = "liquid_comprehensive_ac_electricity"
    asked = ("--enterprise", SMELTER, "--period", "2025", "--intensity", f"{metric}=13511", "--as-of", "2023", "--json")
    done = run(*asked, *state)
    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout)
    assert answer["what_if"] is True
    assert answer["surcharge_cny_per_kwh"] == "0.04"


def test_the_list_is_the_flags(year: FlagYear, tmp_path: Path) -> None:
    state = ("--state", str(year.state_dir))
    book, table, plain = (tmp_path / f"list.{kind}" for kind in ("xlsx", "csv", "json"))
    for out in (book, table, plain):
        done = run("list", "--period", str(YEAR), "--out", str(out), *state)
        assert done.exit_code == 0, done.output
    flags = by_key(year.standing())
    total = Decimal(flags[SMELTER, str(YEAR)]["amount_cny"]) + sum(
        Decimal(flags[FERRO, month.name]["amount_cny"]) for month in months()[:6]
    )
    listed = json.loads(plain.read_text(encoding="utf-8"))
    assert Decimal(listed["total_cny"]) == total
    assert {row["uscc"] for row in listed["flags"]} == {SMELTER, FERRO}
    assert {row["uscc"] for row in listed["other"]} == {BLANK}
    assert table.read_bytes().startswith(b"\xef\xbb\xbf")
    with table.open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert sum(Decimal(row["加价金额（元）"]) for row in rows) == total
    sheets = openpyxl.load_workbook(book)
    assert sheets.sheetnames == ["加价清单", "其他情形", "合计"]
    heads = [cell.value for cell in sheets["加价清单"][1]]
    cells = dict(zip(heads, sheets["加价清单"][2], strict=True))
    assert (cells["统一社会信用代码"].data_type, cells["加价金额（元）"].data_type) == ("s", "n")
    others = [cell.value for cell in sheets["其他情形"][1]]
    missing = dict(zip(others, sheets["其他情形"][2], strict=True))["缺少的资料"].value
    assert "所属行业" in str(missing)
    assert run("list", "--period", str(YEAR), "--out", str(book), *state).exit_code == 73


def test_reconciliation_names_exactly_what_differs(year: FlagYear, tmp_path: Path) -> None:
    state = ("--state", str(year.state_dir))
    flags = by_key(year.standing())
    march, may = flags[FERRO, "2025-03"], flags[FERRO, "2025-05"]
    billed = tmp_path / "billed.csv"

    def written(*rows: tuple[object, ...]) -> Path:
        with billed.open("w", encoding="gb18030", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(["统一社会信用代码", "月份", "加价类别", "加价标准", "计费电量", "加价金额"])
            writer.writerows(rows)
        return billed

    good = (FERRO, "2025年3月", "限制类", "0.10", march["kwh"], march["amount_cny"])
    smelter = flags[SMELTER, "2025-03"]
    sums = (smelter["surcharge_cny_per_kwh"], smelter["kwh"], smelter["amount_cny"])
    tier = (SMELTER, "202503", f"第{smelter['tier']}档", *sums)
    done = run("reconcile", "--billed", str(written(good, tier)), "--period", "2025-03", *state)
    assert done.exit_code == 0, done.output

    stranger = "91330100MA0000009X"
    wrong = (
        (FERRO, "2025-03", "限制类", "0.10", "372000.000", "37200.00"),
        (FERRO, "2025-05", "淘汰类", "0.30", may["kwh"], "111600.00"),
        (SHOP, "2025-03", "限制类", "0.10", "100", "10.00"),
        (BLANK, "2025-03", "限制类", "0.10", "100", "10.00"),
        (stranger, "2025-03", "限制类", "0.10", "100", "10.00"),
    )
    done = run("reconcile", "--billed", str(written(*wrong)), "--period", "2025-03", "--json", *state)
    assert done.exit_code == 1, done.output
    found = {(one["uscc"], one["period"]): one for one in json.loads(done.stdout)["mismatches"]}
    assert {key: one["why"] for key, one in found.items()} == {
        (FERRO, "2025-03"): ["kwh", "amount"],
        (SHOP, "2025-03"): ["billed_without_flag"],
        (BLANK, "2025-03"): ["cannot_be_said"],
        (stranger, "2025-03"): ["unknown_enterprise"],
        (SMELTER, "2025-03"): ["not_billed"],
        (FERRO, "2025-05"): ["class", "surcharge", "amount"],
        (SMELTER, "2025-05"): ["not_billed"],
    }
    assert found[FERRO, "2025-03"]["difference_cny"] == "-50.00"
    assert found[FERRO, "2025-05"]["difference_cny"] == "74400.00"
    assert found[SHOP, "2025-03"]["difference_cny"] == "10.00"
    assert found[BLANK, "2025-03"]["difference_cny"] is None

    billed.write_text("企业,金额\na,b\n", encoding="utf-8")
    done = run("reconcile", "--billed", str(billed), "--period", "2025-03", *state)
    assert done.exit_code == 65
    assert "统一社会信用代码" in done.stderr


def test_beside_a_daemon_the_commands_ask_its_local_api(year: FlagYear) -> None:
    state = ("--state", str(year.state_dir))
    asked = ("--enterprise", FERRO, "--period", "2025-03", "--json", *state)
    from_files = run(*asked).stdout
    rows = StoredRows(year.state_dir, dict)
    server = OpsServer([(local_app(rows, Commands({})), bind_local_socket(year.state_dir))])
    server.start()
    try:
        access = open_access(year.state_dir)
        assert isinstance(access, SocketAccess)
        assert access.flags(period="2025", limit=3, offset=3) == rows.flags(period="2025", limit=3, offset=3)
        assert [row["amount_cny"] for row in access.flags(uscc=FERRO, period="2025-03", status="flag")] == ["37250.00"]
        assert access.flag(FERRO, "2024-03") == []
        assert run(*asked).stdout == from_files
    finally:
        server.stop()
        (year.state_dir / SOCKET_NAME).unlink(missing_ok=True)


def test_what_came_while_no_flags_were_judged_counts_for_the_next_process(ferro: FlagYear) -> None:
    february = months()[1]
    ferro.feed(reread(FERRO, february.end, 500.0, february.end + dt.timedelta(days=5)))
    ferro.plant.rest()
    idle = keeper(ferro, shipped_law(), reached=dt.date(1970, 1, 1))
    while idle.run():
        pass
    keeper(ferro, shipped_law()).finish(midnight_ms(february.end))
    assert [row["cause"] for row in ferro.trail(FERRO, february.name)] == ["first", "data"]
