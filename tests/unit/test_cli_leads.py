"""`gridwarden leads` on a state directory whose daemon is stopped."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import openpyxl
import pytest
import sqlalchemy as sa
from click.testing import Result
from typer.testing import CliRunner

from models.domain.clock import SystemClock
from models.domain.leads import LeadKind, lead_id
from monitor.cli.leads import app
from monitor.desk.database import open_desk
from monitor.desk.outbox_rows import OutboxState
from monitor.lead_sheet import COLUMNS, row_of
from monitor.office import ACTS, Office
from monitor.spreadsheets import csv_table, xlsx_table
from tests.support.desk_parts import ZONE, commit, desk_on, finding

LEAD = lead_id(LeadKind.FURNACE_MELT, "S0", "2026-01")
SEALED = lead_id(LeadKind.SEALED_SITE, "S3", "2026-01")


def leads(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "120"})


@pytest.fixture
def state(tmp_path: Path) -> Path:
    engine = open_desk(tmp_path)
    desk = desk_on(engine)
    commit(desk, 0, finding(0), finding(0, "M6", detector="sealed_site"))
    commit(desk, 1, finding(1))
    engine.dispose()
    return tmp_path


def test_the_list_is_chinese_and_newest_first(state: Path) -> None:
    result = leads("list", "--state", str(state))
    assert result.exit_code == 0
    assert result.output.index(LEAD) < result.output.index(SEALED)
    flat = "".join(result.output.split())
    assert "疑似感应炉熔炼" in flat
    assert "待核查" in flat


def test_json_is_what_the_query_gives(state: Path) -> None:
    listed = json.loads(leads("list", "--state", str(state), "--json").stdout)
    assert [lead["id"] for lead in listed] == [LEAD, SEALED]
    shown = json.loads(leads("show", LEAD, "--state", str(state), "--json").stdout)
    assert shown["summary"] == listed[0]["summary"]
    assert shown["revisions"][0]["content"]["measures"] == {"p_max_kw": 812.4}


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        (["--kind", "sealed_site"], [SEALED]),
        (["--site", "S0"], [LEAD]),
        (["--month", "2026-02"], []),
        (["--lead-state", "withdrawn"], []),
        (["--limit", "1"], [LEAD]),
    ],
)
def test_filters(state: Path, filters: list[str], found: list[str]) -> None:
    listed = json.loads(leads("list", "--state", str(state), "--json", *filters).stdout)
    assert [lead["id"] for lead in listed] == found


def test_a_page_names_evidence_checks_and_trail_in_both_languages(state: Path) -> None:
    result = leads("show", LEAD, "--state", str(state))
    assert result.exit_code == 0
    flat = "".join(result.output.split())
    for words in ("请核查", "Pleasecheck", "感应炉可能是合法设备", "M0：6炉次", "现场核查", "提出raised", "待发送"):
        assert words in flat
    assert finding(0).digest[:16] in result.output


def test_refused_notices_are_seen_in_the_list_and_on_the_page(state: Path) -> None:
    engine = open_desk(state)
    with engine.begin() as connection:
        connection.execute(
            sa.text("UPDATE outbox SET state = :s, note = 'HTTP 401: [bold]no'"), {"s": OutboxState.NEEDS_PERSON.value}
        )
    engine.dispose()
    assert "2 条线索的通知被拒收" in leads("list", "--state", str(state)).output
    assert "HTTP401:[bold]no" in "".join(leads("show", LEAD, "--state", str(state)).output.split())


def test_an_empty_desk_lists_nothing(tmp_path: Path) -> None:
    open_desk(tmp_path).dispose()
    result = leads("list", "--state", str(tmp_path))
    assert (result.exit_code, result.output.strip()) == (0, "没有线索。No leads.")


@pytest.mark.parametrize(
    "arguments",
    [["show", "L00000000000000000000"], ["list", "--state", "nowhere"], ["list", "--state", "empty"]],
    ids=["no_lead", "no_directory", "nothing_recorded"],
)
def test_what_is_not_there_exits_66(state: Path, arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(state)
    Path("empty").mkdir()
    if "--state" not in arguments:
        arguments = [*arguments, "--state", str(state)]
    result = leads(*arguments)
    assert result.exit_code == 66
    assert result.stdout == ""


def test_unknown_filters_are_usage_errors(state: Path) -> None:
    assert leads("list", "--state", str(state), "--kind", "witchcraft").exit_code == 2


def cells(path: Path) -> list[str]:
    """Every text of an exported table."""
    if path.suffix == ".csv":
        return [cell for row in csv.reader(path.read_text("utf-8-sig").splitlines()) for cell in row]
    sheet = openpyxl.load_workbook(path).active
    assert sheet is not None
    typed = [cell for row in sheet.iter_rows() for cell in row]
    assert all(cell.data_type != "f" for cell in typed)
    return [cell.value for cell in typed if isinstance(cell.value, str)]


@pytest.mark.parametrize("ending", ["csv", "xlsx"])
@pytest.mark.parametrize("text", ["+86 工厂", "@SUM(A1)"])
def test_what_would_begin_a_formula_is_exported_as_text(state: Path, tmp_path: Path, text: str, ending: str) -> None:
    engine = open_desk(state)
    ACTS["leads_dismiss"](Office(engine, SystemClock(), ZONE), {"lead": LEAD, "by": "王芳", "reason": text})
    engine.dispose()
    out = tmp_path / f"leads.{ending}"
    done = leads("export", "--state", str(state), "--out", str(out))
    assert done.exit_code == 0, done.output
    assert f"'{text}" in cells(out)
    assert text not in cells(out)


@pytest.mark.parametrize("text", ["+86 工厂", "@SUM(A1)"])
def test_names_of_enterprise_and_site_that_would_begin_a_formula_are_written_as_text(
    state: Path, tmp_path: Path, text: str
) -> None:
    lead = json.loads(leads("show", LEAD, "--state", str(state), "--json").stdout)
    lead |= {place: lead[place] | {"name": text} for place in ("enterprise", "site")}
    headings = [column.heading for column in COLUMNS]
    with csv_table(tmp_path / "a.csv", headings) as write:
        write(row_of(lead))
    widths = [column.width for column in COLUMNS]
    with xlsx_table(tmp_path / "a.xlsx", headings, title="线索", widths=widths) as write:
        write(row_of(lead))
    for name in ("a.csv", "a.xlsx"):
        found = cells(tmp_path / name)
        assert found.count(f"'{text}") == 2
        assert text not in found
