"""`gridwarden register` and `gridwarden check` as a person meets them: output, exit codes, nothing half done."""

from __future__ import annotations

import json
from pathlib import Path

import openpyxl
import pytest
import sqlalchemy as sa
from typer.testing import CliRunner, Result

from models.domain.register import SHEETS
from monitor.cli.main import app
from monitor.desk.database import open_desk
from monitor.desk.registers import latest_register
from monitor.desk.schema import REGISTERS
from monitor.storage import StateLock
from tests.support.register_files import USCC, save_csv, save_xlsx, sheets_with, spoilt

GOLDEN = Path(__file__).parents[1] / "golden" / "register_twenty_faults"


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_a_template_is_written_imported_and_shown(tmp_path: Path) -> None:
    written = call("register", "template", tmp_path / "t", "--json")
    assert written.exit_code == 0
    assert len(json.loads(written.stdout)["written"]) == len(SHEETS) + 1
    imported = call("register", "import", tmp_path / "t", "--state", tmp_path / "state")
    assert imported.exit_code == 0
    assert "登记簿为空" in imported.stdout
    assert call("register", "show", "--state", tmp_path / "state").exit_code == 0


def test_a_template_does_not_overwrite(tmp_path: Path) -> None:
    (tmp_path / "meters.csv").write_text("mine")
    refused = call("register", "template", tmp_path)
    assert refused.exit_code == 73
    assert "meters.csv" in refused.stderr


def test_a_good_register_is_kept_and_its_changes_are_told(tmp_path: Path) -> None:
    state = tmp_path / "state"
    first = call("register", "import", save_csv(sheets_with(), tmp_path / "a"), "--state", state, "--json")
    assert first.exit_code == 0
    told = json.loads(first.stdout)
    assert told["rows"]["meters"] == 1
    assert told["changes"]["meters"] == {"new": 1, "gone": 0}
    path = save_xlsx(spoilt("meters", "ratio", 120), tmp_path / "b.xlsx")
    second = json.loads(call("register", "import", path, "--state", state, "--json").stdout)
    assert second["changes"] == {"meters": {"new": 1, "gone": 1}}
    latest = latest_register(state)
    assert latest is not None
    assert latest[0] == second["version"] != told["version"]
    assert latest[1].meters[0].ratio == 120.0


def test_twenty_faults_are_all_told_and_nothing_is_kept(tmp_path: Path) -> None:
    result = call("register", "import", GOLDEN, "--state", tmp_path / "state", "--json")
    assert result.exit_code == 65
    told = json.loads(result.stdout)
    expected = json.loads((GOLDEN / "expected.json").read_text(encoding="utf-8"))
    assert told == {"ok": False, "faults": expected}
    assert len(expected) == 20
    assert not (tmp_path / "state").exists()


def test_the_table_of_faults_names_place_and_remedy_in_chinese_and_english(tmp_path: Path) -> None:
    result = call("register", "import", GOLDEN, "--state", tmp_path / "state")
    assert result.exit_code == 65
    for part in ("meters.csv", "倍率", "400/5", "请填写相除后的结果：80", "result of the division: 80", "20"):
        assert part in result.stdout


def test_a_long_table_is_cut_and_says_so(tmp_path: Path) -> None:
    sheets = sheets_with()
    sheets["lines"] += [[f"Y{i}", "S9", ""] for i in range(300)]
    path = save_csv(sheets, tmp_path / "r")
    cut = call("register", "import", path, "--state", tmp_path / "state")
    assert "100 more" in cut.stdout
    whole = call("register", "import", path, "--state", tmp_path / "state", "--all")
    assert "301" in whole.stdout
    assert "more" not in whole.stdout
    assert len(json.loads(call("register", "import", path, "--state", tmp_path, "--json").stdout)["faults"]) == 300


def test_markup_in_a_cell_is_shown_as_it_stands(tmp_path: Path) -> None:
    path = save_csv(spoilt("meters", "meter", "[red]x[/red]"), tmp_path / "r")
    assert "[red]x[/red]" in call("register", "import", path, "--state", tmp_path / "s").stdout


def test_an_empty_register_does_not_replace_one_by_accident(tmp_path: Path) -> None:
    state = tmp_path / "state"
    call("register", "import", save_csv(sheets_with(), tmp_path / "a"), "--state", state)
    call("register", "template", tmp_path / "empty")
    refused = call("register", "import", tmp_path / "empty", "--state", state)
    assert refused.exit_code == 65
    assert "--allow-empty" in refused.stderr
    assert call("register", "import", tmp_path / "empty", "--state", state, "--allow-empty").exit_code == 0


def test_the_files_of_a_running_daemon_are_not_touched(tmp_path: Path) -> None:
    lock = StateLock.acquire(tmp_path)
    try:
        path = save_csv(sheets_with(), tmp_path / "r")
        result = call("register", "import", path, "--state", tmp_path)
    finally:
        lock.release()
    assert result.exit_code == 75
    assert "stop that daemon" in result.stderr
    assert latest_register(tmp_path) is None


def test_a_damaged_register_can_be_replaced_by_importing_it_again(tmp_path: Path) -> None:
    path = save_csv(sheets_with(), tmp_path / "r")
    call("register", "import", path, "--state", tmp_path / "state")
    engine = open_desk(tmp_path / "state")
    with engine.begin() as connection:
        connection.execute(sa.update(REGISTERS).values(body=b"not it"))
    engine.dispose()
    assert call("register", "show", "--state", tmp_path / "state").exit_code == 74
    again = call("register", "import", path, "--state", tmp_path / "state")
    assert again.exit_code == 0
    assert "cannot be unpacked" in again.stderr
    assert call("register", "show", "--state", tmp_path / "state").exit_code == 0


def test_nothing_to_read_is_exit_code_66(tmp_path: Path) -> None:
    assert call("register", "import", tmp_path / "no.xlsx", "--state", tmp_path).exit_code == 66
    assert call("register", "show", "--state", tmp_path).exit_code == 66
    assert call("register", "show", "--register", tmp_path / "no.xlsx").exit_code == 66


@pytest.mark.parametrize("name", ["out.xlsx", "out"])
def test_what_is_exported_is_the_same_version_when_imported_again(tmp_path: Path, name: str) -> None:
    state = tmp_path / "state"
    sheets = spoilt("enterprises", "name", "'=HYPERLINK(1)")
    call("register", "import", save_csv(sheets, tmp_path / "r"), "--state", state)
    assert call("register", "export", tmp_path / name, "--state", state).exit_code == 0
    again = json.loads(call("register", "import", tmp_path / name, "--state", state, "--json").stdout)
    assert again["changes"] == {}
    assert call("register", "export", tmp_path / name, "--state", state).exit_code == 73


@pytest.mark.parametrize("name", ["file/out.xlsx", "file/out"])
def test_a_place_that_cannot_be_written_is_exit_code_73(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("x")
    call("register", "import", save_csv(sheets_with(), tmp_path / "r"), "--state", tmp_path / "state")
    assert call("register", "export", tmp_path / name, "--state", tmp_path / "state").exit_code == 73
    assert call("register", "template", tmp_path / name).exit_code == 73


def test_text_that_looks_like_a_formula_is_exported_as_text(tmp_path: Path) -> None:
    state = tmp_path / "state"
    call("register", "import", save_csv(spoilt("enterprises", "name", "'=1+1"), tmp_path / "r"), "--state", state)
    call("register", "export", tmp_path / "out", "--state", state)
    assert ",'=1+1," in (tmp_path / "out" / "enterprises.csv").read_text(encoding="utf-8-sig")
    call("register", "export", tmp_path / "out.xlsx", "--state", state)
    cell = openpyxl.load_workbook(tmp_path / "out.xlsx")["enterprises"]["B2"]
    assert (cell.value, cell.data_type) == ("'=1+1", "s")


@pytest.mark.parametrize("subject", [("--meter", "0330124001"), ("--site", "S1"), ("--uscc", USCC.lower())])
def test_one_subject_is_shown_with_what_belongs_to_it(tmp_path: Path, subject: tuple[str, str]) -> None:
    path = save_csv(sheets_with(), tmp_path / "r")
    answer = json.loads(call("register", "show", "--register", path, *subject, "--json").stdout)
    assert answer["sheets"]["enterprises"][0]["uscc"] == USCC
    assert answer["sheets"]["meters"][0]["meter"] == "0330124001"
    assert answer["sheets"]["furnaces"][0]["kind"] == "medium_frequency"
    table = call("register", "show", "--register", path, *subject)
    assert "0330124001" in table.stdout


def test_the_register_is_shown_as_of_a_day(tmp_path: Path) -> None:
    path = save_csv(sheets_with(), tmp_path / "r")
    before = call("register", "show", "--register", path, "--meter", "0330124001", "--on", "2023-12-31")
    assert before.exit_code == 66
    assert "no 0330124001 on 2023-12-31" in before.stderr
    after = call("register", "show", "--register", path, "--meter", "0330124001", "--on", "2024-01-01")
    assert after.exit_code == 0


@pytest.mark.parametrize(
    "arguments",
    [(), ("--state", "a", "--register", "b"), ("--state", "a", "--meter", "m", "--site", "s"), ("--on", "x")],
)
def test_contradicting_options_are_refused(arguments: tuple[str, ...]) -> None:
    assert call("register", "show", *arguments).exit_code == 64


def test_check_is_content_with_good_files(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[daemon]\nzone = "Asia/Shanghai"\n')
    path = save_csv(sheets_with(), tmp_path / "r")
    result = call("check", "--config", config, "--register", path, "--json")
    assert result.exit_code == 0
    answer = json.loads(result.stdout)
    assert answer["ok"] is True
    assert answer["rows"]["meters"] == 1
    assert "没有错误" in call("check", "--config", config).stdout


def test_check_names_what_is_left_unprotected_on_purpose(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[mqtt]\nhost = "b.example"\ntls = "off"\n')
    result = call("check", "--config", config)
    assert result.exit_code == 0
    assert "readings and password go to b.example in plaintext" in result.stdout


def test_check_tells_the_faults_of_both_at_once(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[mqtt]\nport = 0\nhosst = "x"\n')
    result = call("check", "--config", config, "--register", GOLDEN, "--json")
    assert result.exit_code == 78
    answer = json.loads(result.stdout)
    assert sorted(fault["key"] for fault in answer["config"]) == ["mqtt.hosst", "mqtt.port"]
    assert len(answer["register"]) == 20
    table = call("check", "--config", config, "--register", GOLDEN).stdout
    assert "mqtt.hosst" in table
    assert "meters.csv" in table


def test_check_reads_the_register_the_configuration_names_even_if_that_has_faults(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(f'[daemon]\nregister = "{GOLDEN}"\n')
    good = call("check", "--config", config, "--json")
    assert good.exit_code == 65
    assert len(json.loads(good.stdout)["register"]) == 20
    config.write_text(f'[daemon]\nregister = "{GOLDEN}"\nzzone = "x"\n')
    bad = call("check", "--config", config, "--json")
    assert bad.exit_code == 78
    assert len(json.loads(bad.stdout)["register"]) == 20


def test_check_misses_a_publisher_the_register_does_not_have(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[[subscriptions]]\ntopic = "plant/x"\nadapter = "canonical"\npublisher = "plant9"\n')
    result = call("check", "--config", config, "--register", save_csv(sheets_with(), tmp_path / "r"), "--json")
    assert result.exit_code == 78
    (fault,) = json.loads(result.stdout)["config"]
    assert fault["key"] == "subscriptions.0.publisher"
    assert "bureau1" in fault["remedy"]


def test_check_of_a_register_that_is_not_there_is_exit_code_66(tmp_path: Path) -> None:
    result = call("check", "--register", tmp_path / "no.xlsx")
    assert result.exit_code == 66
    assert "no.xlsx" in result.stderr
