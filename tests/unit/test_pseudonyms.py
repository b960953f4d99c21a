"""Pseudonyms: stable, well formed, one way; and no clear name reaches anything the program writes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from models.domain.codes import uscc_check_character
from models.domain.register import Enterprise, Feeder, RegisterRows, Site
from monitor.config.secret_files import SecretFileError
from monitor.register.importer import read_register
from monitor.register.pseudonyms import Pseudonymiser, add_to_mapping, read_mapping, revealed
from tests.support.daemon_process import command
from tests.support.register_files import save_csv

CANARY = "金丝雀铸造"
COMPANY, PERSON = "91330122MA27X0007W", "92330122MA27X0008U"


def person_code() -> str:
    """A code of a 个体工商户."""
    body = "92330122MA27X0008"
    return body + uscc_check_character(body)


@pytest.fixture
def office(tmp_path: Path) -> Path:
    """Where the office keeps its key."""
    folder = tmp_path / "office"
    folder.mkdir()
    return folder


@pytest.fixture
def register(tmp_path: Path) -> Path:
    code = person_code()
    return save_csv(
        {
            "enterprises": [["uscc", "name", "trade"], [code, f"{CANARY}厂", "C3391"]],
            "sites": [
                ["site", "uscc", "name", "address"],
                ["S1", code, f"{CANARY}一号", f"{CANARY}路 8 号 13800000000"],
            ],
            "feeders": [["feeder", "name"], ["F1", f"{CANARY}专线"]],
            "meters": [["meter", "site", "publisher", "feeder"], ["M1", "S1", "bureau1", "F1"]],
            "publishers": [["publisher", "may_revise"], ["bureau1", "否"]],
        },
        tmp_path / "register",
    )


def test_the_same_name_has_the_same_pseudonym_and_another_key_another_one(office: Path) -> None:
    rows = RegisterRows(
        enterprises=(Enterprise(uscc=COMPANY, name="某某厂"), Enterprise(uscc=person_code(), name="某某 厂")),
        sites=(Site(site="S1", uscc=COMPANY, name="", address="路 1"),),
        feeders=(Feeder(feeder="F1", name="某某厂"),),
    )
    once = Pseudonymiser.open(office / "key").rows(rows)
    again = Pseudonymiser.open(office / "key").rows(rows)
    other = Pseudonymiser.open(office / "other").rows(rows)
    assert once == again != other
    first, second = once.enterprises
    assert first.name == second.name, "a space does not make another name"
    assert first.uscc == once.sites[0].uscc != second.uscc, "sites still belong to their enterprise"
    assert once.feeders[0].name[3:] != first.name[3:], "the same words as another kind of name cannot be joined"
    assert once.sites[0].name == ""
    for row in once.enterprises:
        assert row.uscc[:8] == "91000000"
        assert row.uscc[17] == uscc_check_character(row.uscc[:17])


def test_a_key_or_mapping_open_to_others_is_refused(office: Path) -> None:
    pseudonymiser = Pseudonymiser.open(office / "key")
    assert (office / "key").stat().st_mode & 0o777 == 0o600
    pseudonym = pseudonymiser.text("enterprise", "某某厂")
    assert add_to_mapping(office / "map", pseudonymiser.mapping) == 1
    assert (office / "map").stat().st_mode & 0o777 == 0o600
    assert revealed(f"lead of {pseudonym}.", read_mapping(office / "map")) == ("lead of 某某厂.", 1)
    (office / "key").chmod(0o644)
    with pytest.raises(SecretFileError, match="open to others"):
        Pseudonymiser.open(office / "key")
    (office / "map").chmod(0o640)
    with pytest.raises(SecretFileError, match="open to others"):
        read_mapping(office / "map")
    (office / "short").write_text("abc")
    (office / "short").chmod(0o600)
    with pytest.raises(SecretFileError, match="too short"):
        Pseudonymiser.open(office / "short")


def run_import(register: Path, state: Path, *more: str | Path) -> subprocess.CompletedProcess[str]:
    return command("register", "import", register, "--state", state, "--pseudonymise", *more)


def test_no_clear_name_reaches_the_state_directory_or_an_export(tmp_path: Path, office: Path, register: Path) -> None:
    state = tmp_path / "state"
    done = run_import(register, state, "--key-file", office / "key")
    assert done.returncode == 0, done.stderr
    assert command("register", "export", tmp_path / "exported", "--state", state).returncode == 0
    assert read_register(tmp_path / "exported").enterprises, "what is exported can be imported again"
    assert command("backup", "--out", tmp_path / "backup", "--state", state).returncode == 0
    shown = command("register", "show", "--state", state, "--meter", "M1")
    needles = (CANARY, "13800000000", person_code())
    for text in (shown.stdout, shown.stderr, done.stdout, done.stderr):
        assert not [needle for needle in needles if needle in text]
    for folder in (state, tmp_path / "exported", tmp_path / "backup"):
        for path in folder.rglob("*"):
            if path.is_file():
                content = path.read_bytes()
                assert not [n for n in needles if n.encode() in content or n.encode("utf-16-le") in content], path
    names = {row.name for row in read_register(tmp_path / "exported").enterprises}
    (pseudonym,) = names
    revealed_name = command("register", "reveal", pseudonym, "--mapping", office / "key.mapping.json")
    assert revealed_name.stdout.strip() == f"{CANARY}厂"
    unknown = command("register", "reveal", "企业-AAAAAAAAAAAA", "--mapping", office / "key.mapping.json")
    assert unknown.returncode == 66


def test_the_key_never_lies_in_the_state_directory(tmp_path: Path, office: Path, register: Path) -> None:
    state = tmp_path / "state"
    assert run_import(register, state, "--key-file", state / "key").returncode == 64
    assert run_import(register, state, "--key-file", office / "key", "--mapping", state / "m").returncode == 64
    assert run_import(register, state).returncode == 64
    assert not (state / "key").exists()
    assert command("register", "import", register, "--state", state, "--key-file", office / "key").returncode == 64
