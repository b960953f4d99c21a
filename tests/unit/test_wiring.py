"""How the parts come together: one process a directory, versions that name what judged, nothing left open."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from models.domain.clock import ManualClock
from monitor.config.detectors import build_detectors
from monitor.config.settings import Settings
from monitor.desk.database import DeskError
from monitor.replay import Tally
from monitor.rule_packs import law_in_force
from monitor.storage import StoreLocked
from monitor.wiring import PROVISIONAL, open_core, software_version, versions
from tests.support.district import START_MS, District, by_hour, register, steady

REGISTER = register()


def named(**sections: object) -> dict[str, str]:
    settings = Settings.model_validate(sections)
    return versions(settings, REGISTER, build_detectors(settings.detectors), law_in_force(settings.law))


def test_versions_change_with_what_they_name_and_with_nothing_else() -> None:
    plain = named()
    assert plain == named(intake={"group_ms": 5}) == named(detectors={})
    assert plain["software"] == software_version()
    assert plain["register"] == "r1"
    tuned = named(detectors={"furnace_melt": {"threshold": 0.4}})
    assert {key for key in plain if plain[key] != tuned[key]} == {"detectors"}
    held = named(leads={"hold_window_nights": 9})
    assert {key for key in plain if plain[key] != held[key]} == {"leads"}


def test_detectors_that_judge_early_are_among_those_there_are() -> None:
    assert {detector.name for detector in build_detectors({})} >= PROVISIONAL


def test_one_process_has_the_directory_and_the_next_gets_it_when_the_first_lets_go(tmp_path: Path) -> None:
    tally = Tally()
    with District(tmp_path / "state") as district:
        with (
            pytest.raises(StoreLocked),
            open_core(
                settings=Settings(),
                state_dir=district.state_dir,
                register=REGISTER,
                source=tally,
                observer=tally,
                clock=ManualClock(START_MS),
            ),
        ):
            pass
        district.feed(by_hour(steady("calm", [0]), 12))
    with District(tmp_path / "state") as again:
        assert len(again.stored()) == 96


def test_what_is_wrong_at_the_start_leaves_nothing_open(tmp_path: Path) -> None:
    state_dir = tmp_path / "state"
    with District(state_dir) as district:
        district.feed(by_hour(steady("calm", [0]), 12))
    path = state_dir / "desk.sqlite"
    held = path.read_bytes()
    path.write_bytes(b"this is no database" * 500)
    with pytest.raises(DeskError):
        District(state_dir).open()
    path.write_bytes(held)
    with District(state_dir) as again:
        assert len(again.stored()) == 96


def test_a_new_register_judges_by_its_own_rows(tmp_path: Path) -> None:
    """The same state, opened with a register in which the enterprise is open again."""
    rows = [*steady("calm", range(2)), *steady("melt", range(2), 30.0), *steady("shut", range(2), 210.0)]
    with District(tmp_path / "state") as district:
        district.feed(by_hour(rows, 12)).finish()
        assert ("sealed_site", "shut") in district.kinds()
    sites = tuple(dataclasses.replace(site, uscc=REGISTER.rows.sites[0].uscc) for site in REGISTER.rows.sites)
    known = dataclasses.replace(REGISTER, rows=dataclasses.replace(REGISTER.rows, sites=sites), version="r2")
    with District(tmp_path / "state", known) as district:
        late = steady("shut", [0, 1], 0.5, channel="p_mean_kw")
        district.feed(by_hour(late, 24)).finish()
        assert ("sealed_site", "shut") not in district.kinds()
