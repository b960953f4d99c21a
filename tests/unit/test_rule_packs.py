"""The rule packs a process judges by: read once, named, kept; a broken one stops the start, a changed one is told."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from models.domain.clock import ManualClock
from models.law.faults import LawFaults
from models.law.library import assemble, load_law, shipped_law
from models.law.limit_rows import Limit
from monitor.config.detectors import build_detectors
from monitor.config.faults import ConfigFaults
from monitor.config.law_sections import LawSettings
from monitor.config.settings import Settings
from monitor.evidence_pack.origins import ORIGINS_NAME, keep_origins, kept_law, origin_faults
from monitor.replay import Tally
from monitor.roster import Roster
from monitor.rule_packs import RulePacks, law_in_force
from monitor.supervise import ExitCode
from monitor.wiring import open_core
from tests.support.district import START_MS, District, register
from tests.support.register_dirs import register_dir
from tests.unit.test_law_pack_faults import GOOD, line_with

ROOT = Path(__file__).resolve().parents[2]
BROKEN = GOOD.replace("kgce/t", "kgce/ton")


def packs(tmp_path: Path, text: str = GOOD) -> Path:
    folder = tmp_path / "packs"
    folder.mkdir(exist_ok=True)
    (folder / "local.toml").write_text(text, "utf-8")
    return folder


def gridwarden(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "monitor.cli.main", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def test_without_a_directory_the_shipped_packs_are_in_force() -> None:
    assert law_in_force(LawSettings()) is shipped_law()


def test_a_directory_adds_to_the_shipped_packs(tmp_path: Path) -> None:
    law = law_in_force(LawSettings(packs_dir=packs(tmp_path)))
    assert law.table(Limit)["db45-1.pulp"].level3 == 260
    assert len(law.packs) == len(shipped_law().packs) + 1


def test_a_directory_that_is_not_there_is_a_fault_of_the_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigFaults, match=r"law\.packs_dir: .*cannot be read"):
        law_in_force(LawSettings(packs_dir=tmp_path / "none"))


def test_a_broken_pack_stops_the_start_before_any_store_is_opened(tmp_path: Path) -> None:
    tally = Tally()
    settings = Settings.model_validate({"law": {"packs_dir": packs(tmp_path, BROKEN)}})
    opening = open_core(
        settings=settings,
        state_dir=tmp_path / "state",
        register=register(),
        source=tally,
        observer=tally,
        clock=ManualClock(START_MS),
    )
    with pytest.raises(LawFaults, match=r"local\.toml:\d+: limit\[0\]\.unit"), opening:
        pass
    assert not (tmp_path / "state").exists()


def test_the_daemon_refuses_a_broken_pack_with_78_file_and_line(tmp_path: Path) -> None:
    folder = packs(tmp_path, BROKEN)
    config = tmp_path / "c.toml"
    config.write_text(
        f'[daemon]\nstate_dir = "{tmp_path / "state"}"\nregister = "{register_dir(tmp_path / "register", 3)}"\n'
        f'[law]\npacks_dir = "{folder}"\n',
        "utf-8",
    )
    where = f"{folder / 'local.toml'}:{line_with(BROKEN, 'kgce/ton')}: limit[0].unit"
    ran = gridwarden("run", "--config", str(config))
    assert (ran.returncode, "Traceback" in ran.stderr) == (ExitCode.CONFIG, False), ran.stderr
    assert where in ran.stderr
    checked = gridwarden("check", "--config", str(config))
    assert (checked.returncode, where in checked.stdout) == (ExitCode.CONFIG, True), checked.stdout
    told = json.loads(gridwarden("check", "--config", str(config), "--json").stdout)
    assert (told["ok"], [fault["line"] for fault in told["law"]]) == (False, [line_with(BROKEN, "kgce/ton")])
    packs(tmp_path)
    assert load_law(folder).version in gridwarden("check", "--config", str(config)).stdout


def test_a_pack_that_changes_is_told_of_once_and_does_not_count(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = LawSettings(packs_dir=packs(tmp_path))
    law = law_in_force(settings)
    looked_after = RulePacks(settings, law)
    caplog.set_level(logging.INFO, "monitor.rule_packs")
    looked_after.look()
    assert (looked_after.changed, caplog.records) == ((), [])
    packs(tmp_path, GOOD.replace("260", "250"))
    looked_after.look()
    looked_after.look()
    (record,) = caplog.records
    assert "still judging by " + law.version in record.getMessage()
    assert looked_after.status()["changed_on_disk"] == [str(tmp_path / "packs" / "local.toml")]
    assert looked_after.status()["digest"] == law.digest
    packs(tmp_path)
    looked_after.look()
    assert (looked_after.changed, caplog.records[-1].levelno) == ((), logging.INFO)


@pytest.mark.parametrize("what", ["added", "removed", "directory_gone"])
def test_files_that_come_and_go_are_changes_too(tmp_path: Path, what: str) -> None:
    settings = LawSettings(packs_dir=packs(tmp_path))
    looked_after = RulePacks(settings, law_in_force(settings))
    file = tmp_path / "packs" / "local.toml"
    match what:
        case "added":
            file = file.with_name("more.toml")
            file.write_text("", "utf-8")
        case "removed":
            file.unlink()
        case _:
            file.unlink()
            file.parent.rmdir()
    looked_after.look()
    assert looked_after.changed == (str(file),)


def test_the_packs_behind_a_lead_are_kept_and_make_the_same_law_again(tmp_path: Path) -> None:
    settings = Settings.model_validate({"law": {"packs_dir": packs(tmp_path)}})
    law = law_in_force(settings.law)
    keep_origins(tmp_path, settings, register(), build_detectors({}), law)
    assert assemble(law.sources).digest == law.digest
    kept = kept_law(tmp_path, law.digest)
    assert kept is not None
    assert kept.digest == law.digest
    assert kept.table(Limit) == law.table(Limit)
    assert kept_law(tmp_path, "0" * 64) is None
    assert origin_faults(tmp_path) == []
    (file,) = (tmp_path / ORIGINS_NAME).glob("law-*")
    file.write_bytes(file.read_bytes()[:-30])
    assert [name for name, _ in origin_faults(tmp_path)] == [f"{ORIGINS_NAME}/{file.name}"]


def test_the_core_hands_out_the_law_it_judges_by(tmp_path: Path) -> None:
    with District(tmp_path / "state") as district:
        assert district.core.law is shipped_law()


def test_a_product_of_a_configured_pack_is_known_to_reports(tmp_path: Path) -> None:
    """A province limits a product that no shipped pack has: what is made of it may be reported."""
    text = GOOD.replace('product = "newsprint"', 'product = "bamboo_pulp"').replace("新闻纸", "竹浆")
    law = law_in_force(LawSettings(packs_dir=packs(tmp_path, text)))
    assert "bamboo_pulp" in Roster(register(), law).words.products
    assert "bamboo_pulp" not in Roster(register()).words.products
