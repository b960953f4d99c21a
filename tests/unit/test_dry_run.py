"""A dry run of other packs: what appears, vanishes and changes, why, and that nothing is written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from models.domain.accounts import Period
from models.law.library import Law, load_law, shipped_law
from monitor.cli.law_dry_run import lines_of
from monitor.dry_run.changes import Change, What, counted
from monitor.dry_run.trial import Court, Trial
from tests.support import carbide, plant
from tests.unit.test_law_documents import stands_in
from tests.unit.test_law_pack_faults import HEADER

MARCH = plant.MARCH
NATIONAL = """
[[limit]]
id = "gb21343-2023.calcium-carbide.furnace-electricity"
replaces = "gb21343-2023.calcium-carbide.furnace-electricity"
standard = "GB 21343-2023"
industry = "calcium_carbide"
product = "calcium_carbide"
product_zh = "电石"
metric = "furnace_electricity"
metric_zh = "电炉电耗"
unit = "kWh/t"
scheme = "grade123"
level1 = 3000
level2 = 3080
level3 = LEVEL3
source = "amendment 1"
confidence = "V"
"""


def law(tmp_path: Path, text: str) -> Law:
    folder = tmp_path / "packs"
    folder.mkdir(exist_ok=True)
    (folder / "local.toml").write_text(text, "utf-8")
    return load_law(folder)


@pytest.fixture
def works(tmp_path: Path) -> Iterator[plant.Plant]:
    with carbide.works(tmp_path / "state") as made:
        yield made


def trial(works: plant.Plant, old: Law, new: Law) -> list[Change]:
    register = works.table
    run = Trial(works.ledger(), register, Court(old, register), Court(new, register))
    return list(run.changes([plant.USCC, plant.OTHER], [MARCH]))


def test_the_same_packs_change_nothing(works: plant.Plant) -> None:
    assert trial(works, shipped_law(), load_law()) == []


def test_a_notice_changes_the_surcharge_and_the_rows_behind_it_are_named(works: plant.Plant, tmp_path: Path) -> None:
    (change,) = trial(works, shipped_law(), law(tmp_path, carbide.page_block("pack")))
    assert (change.what, change.kind, change.uscc, change.period) == (What.CHANGES, "power", plant.USCC, "2026-03")
    assert change.before is not None
    assert change.after is not None
    assert (change.before.row, change.before.surcharge_cny_per_kwh) == ("cn-gx-punitive-2010", "0.05")
    assert (change.after.row, change.after.surcharge_cny_per_kwh) == ("cn-gx-punitive-2026", "0.10")
    assert (change.before.amount_cny, change.after.amount_cny) == (None, "85560.00")
    assert [(row.what, row.id) for row in change.because] == [
        ("changed", "cn-gx-punitive-2010"),
        ("added", "cn-gx-punitive-2026"),
    ]
    assert ("effective_to", "-", "2026-02-28") in change.because[0].keys
    assert change.because[1].where == f"{tmp_path / 'packs' / 'local.toml'}:28"
    assert change.because[1].source.startswith("桂发改价格〔2026〕0号")


def test_a_limit_that_rises_takes_the_finding_and_the_flag_away_and_one_that_falls_brings_them(
    works: plant.Plant, tmp_path: Path
) -> None:
    lenient = law(tmp_path, HEADER + NATIONAL.replace("LEVEL3", "3400"))
    found = trial(works, shipped_law(), lenient)
    assert [(change.kind, change.what) for change in found] == [("limit", What.VANISHES), ("power", What.VANISHES)]
    limit, flag = found
    assert (limit.product, limit.metric) == ("calcium_carbide", "furnace_electricity")
    assert limit.before is not None
    assert limit.after is not None
    assert (limit.before.limit, limit.after.limit) == ("3200", "3400")
    assert (limit.before.result, limit.after.status) == ("exceeds level 3", "needs_data")  # shared energy is open
    for change in (limit, flag):
        (because,) = change.because
        assert (because.section, because.id) == ("limit", "gb21343-2023.calcium-carbide.furnace-electricity")
        assert ("level3", "3200", "3400") in because.keys
    back = trial(works, lenient, shipped_law())
    assert [(change.kind, change.what) for change in back] == [("limit", What.APPEARS), ("power", What.APPEARS)]
    assert counted(back)["limit"] == {"appears": 1, "vanishes": 0, "changes": 0}


def test_a_row_that_is_not_verified_any_more_takes_the_finding_back(works: plant.Plant, tmp_path: Path) -> None:
    doubtful = NATIONAL.replace("LEVEL3", "3200").replace('confidence = "V"', 'confidence = "M"')
    limit, flag = trial(works, shipped_law(), law(tmp_path, HEADER + doubtful))
    assert limit.after is not None
    assert (limit.what, limit.after.status) == (What.VANISHES, "undetermined")
    assert ("confidence", "V", "M") in limit.because[0].keys
    assert flag.what is What.VANISHES


def test_the_how_to_shows_what_is_printed(works: plant.Plant, tmp_path: Path) -> None:
    (change,) = trial(works, shipped_law(), law(tmp_path, carbide.page_block("pack")))
    printed = [line.partition(" (" + str(tmp_path))[0].rstrip() for line in lines_of(change)]
    assert stands_in(printed, carbide.page_block("text")), "\n".join(printed)


def test_a_trial_goes_through_years_with_their_months(works: plant.Plant, tmp_path: Path) -> None:
    year = Period.parse("2026")
    register = works.table
    new = law(tmp_path, HEADER + NATIONAL.replace("LEVEL3", "3400"))
    run = Trial(works.ledger(), register, Court(shipped_law(), register), Court(new, register))
    found = list(run.changes([plant.USCC], [MARCH, year]))
    assert {(change.kind, change.period) for change in found} >= {("limit", "2026-03"), ("power", "2026-03")}


def test_periods_beside_are_judged_and_not_told_of(works: plant.Plant, tmp_path: Path) -> None:
    register = works.table
    new = law(tmp_path, HEADER + NATIONAL.replace("LEVEL3", "3400"))
    run = Trial(works.ledger(), register, Court(shipped_law(), register), Court(new, register))
    found = list(run.changes([plant.USCC], [plant.APRIL], beside=[MARCH]))
    assert {change.period for change in found} <= {"2026-04"}


def test_what_is_left_out_for_speed_changes_no_answer(
    works: plant.Plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = law(tmp_path, carbide.page_block("pack"))
    limits = law(tmp_path, HEADER + NATIONAL.replace("LEVEL3", "3400"))
    pairs = [(shipped_law(), rules), (shipped_law(), limits), (rules, limits), (limits, rules)]
    quick = [trial(works, *pair) for pair in pairs]
    monkeypatch.setattr("monitor.dry_run.trial.RULE_SECTIONS", frozenset())
    monkeypatch.setattr("monitor.dry_run.trial.LIMIT_SECTIONS", frozenset())
    assert [trial(works, *pair) for pair in pairs] == quick
    assert all(quick)


def run(*arguments: str, code: int = 0) -> str:
    from monitor.cli.main import app

    result = CliRunner().invoke(app, ["law", "dry-run", *arguments], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.output


def test_packs_at_fault_and_a_directory_without_history_are_told(tmp_path: Path) -> None:
    packs = tmp_path / "packs"
    packs.mkdir()
    (packs / "local.toml").write_text(HEADER + NATIONAL.replace("LEVEL3", '"x"'), "utf-8")
    assert f"{packs / 'local.toml'}:" in run("--packs", str(packs), "--state", str(tmp_path), code=65)
    (packs / "local.toml").write_text(HEADER + NATIONAL.replace("LEVEL3", "3400"), "utf-8")
    assert "No history" in run("--packs", str(packs), "--state", str(tmp_path), code=66)
    assert "no date" in run("--packs", str(packs), "--from", "last year", code=64)


def test_the_command_prints_json_of_stored_periods(tmp_path: Path) -> None:
    from monitor.desk.database import desk_transaction
    from monitor.desk.registers import put_register

    with carbide.works(tmp_path / "state") as made:
        made.core.intensity.finish(plant.midnight_ms(MARCH.end))
        with desk_transaction(made.core.engine) as connection:
            put_register(connection, made.table.rows, plant.NOW_MS)
    law(tmp_path, carbide.page_block("pack"))
    before = {path: path.read_bytes() for path in (tmp_path / "state").glob("desk*")}
    answer = json.loads(run("--packs", str(tmp_path / "packs"), "--state", str(tmp_path / "state"), "--json"))
    assert answer["periods"]
    assert answer["counts"]["power"]["changes"] == 1
    assert {path: path.read_bytes() for path in before} == before
