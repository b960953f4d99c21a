"""Backup and restore: the same leads and readings whatever moment it was taken, and every damage named."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from models.domain.clock import ManualClock, SystemClock
from monitor.backup.layout import STAGING_NAME
from monitor.backup.make import StoppedState, drop_old, last_backup, make_backup
from monitor.backup.manifest import MANIFEST_NAME, BackupError, BackupMissing, read_manifest, write_manifest
from monitor.backup.restore import restore_backup
from monitor.commands import CommandRefused
from monitor.desk.audit_log import entries_of
from monitor.history.history import History
from monitor.history.tables import load_tables
from monitor.journal.journal import Journal
from monitor.storage import StoreDamaged, StoreError, StoreLocked
from tests.support.backups import ask_core, back_up
from tests.support.district import START_MS, District, bureau, by_hour, midnight_ms

NIGHTS = 3
GROUPS = by_hour(bureau(NIGHTS), 6)
CLOCK = SystemClock()


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> tuple[object, object, object]:
    """What a district that nobody interrupted ends with."""
    with District(tmp_path_factory.mktemp("truth") / "state") as district:
        district.feed(GROUPS, live=True).finish()
        return district.leads(), district.stored(), sorted(map(str, district.scores().to_pylist()))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup of a district that was judged, with a sealed day, a key and a file that belongs to no store."""
    folder = tmp_path_factory.mktemp("made")
    with District(folder / "state") as district:
        district.feed(GROUPS, live=True).finish()
        district.core.history.seal(midnight_ms(dt.date(2026, 3, 20)))
        (folder / "state" / "damaged-journal-202501.sqlite").write_bytes(b"kept as evidence")
        (folder / "state" / "checkpoint.key").write_bytes(b"CANARY-KEY")
        (folder / "state" / "link").symlink_to("/etc/passwd")
        back_up(district, folder / "backup")
        district.finish()
    return folder / "backup"


@pytest.fixture
def mine(made: Path, tmp_path: Path) -> Path:
    """A copy of the backup to damage."""
    return Path(shutil.copytree(made, tmp_path / "backup"))


@pytest.mark.parametrize("at", range(0, len(GROUPS) + 1, 2))
def test_a_backup_taken_at_any_moment_continues_to_the_same_end(
    tmp_path: Path, truth: tuple[object, object, object], at: int
) -> None:
    """Intake and judging go on between the steps; then the broker sends everything again to the restored one."""
    rest: Iterator[object] = iter(GROUPS[at:])

    def meanwhile() -> None:
        group = next(rest, None)
        if group is not None:
            original.feed([group], live=True)  # type: ignore[list-item]

    with District(tmp_path / "state") as original:
        original.feed(GROUPS[:at], live=True)
        back_up(original, tmp_path / "backup", meanwhile)
    restore_backup(tmp_path / "backup", tmp_path / "restored", CLOCK)
    with District(tmp_path / "restored") as again:
        again.clock.set_wall_ms(original.clock.wall_ms())
        again.feed(GROUPS, live=True).finish()
        assert again.leads() == truth[0]
        assert again.stored() == truth[1]
        assert sorted(map(str, again.scores().to_pylist())) == truth[2]


def test_handling_and_audit_log_come_back(made: Path, tmp_path: Path) -> None:
    restore_backup(made, tmp_path / "state", CLOCK)
    with District(tmp_path / "state") as district, district.core.engine.begin() as connection:
        assert [entry["action"] for entry in entries_of(connection, "state")] == ["state.restored"]


def test_sealed_days_are_part_of_it_and_symbolic_links_are_not(made: Path, tmp_path: Path) -> None:
    done = restore_backup(made, tmp_path / "state", CLOCK)
    assert done.sealed_parts > 0
    assert (tmp_path / "state" / "damaged-journal-202501.sqlite").read_bytes() == b"kept as evidence"
    assert not (tmp_path / "state" / "link").is_symlink()
    assert list((tmp_path / "state").glob("*.new")) == []


def test_keys_are_copied_only_when_asked_for(made: Path, tmp_path: Path) -> None:
    assert not read_manifest(made).keys
    assert not [path for path in made.rglob("*") if path.is_file() and b"CANARY-KEY" in path.read_bytes()]
    with District(tmp_path / "state") as district:
        (tmp_path / "state" / "checkpoint.key").write_bytes(b"CANARY-KEY")
        assert back_up(district, tmp_path / "backup", with_keys=True).manifest.keys
    assert (tmp_path / "backup" / "checkpoint.key").read_bytes() == b"CANARY-KEY"
    assert (tmp_path / "backup" / "checkpoint.key").stat().st_mode & 0o077 == 0


def test_it_overwrites_nothing(made: Path, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in made.rglob("*")}
    with District(tmp_path / "state") as district, pytest.raises(BackupError, match="already there"):
        back_up(district, made)
    assert {path: path.stat().st_mtime_ns for path in made.rglob("*")} == before


def test_it_is_never_made_inside_the_state_it_saves(tmp_path: Path) -> None:
    with District(tmp_path / "state") as district, pytest.raises(BackupError, match="another disk"):
        back_up(district, tmp_path / "state" / "backup")
    assert not list((tmp_path / "state").glob("*backup*"))


def test_a_backup_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    with District(tmp_path / "state") as district:
        district.feed(GROUPS[:2], live=True)
        with pytest.raises(RuntimeError, match="pulled"):
            back_up(district, tmp_path / "backup", _pull_the_plug)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["state"]
        assert not (tmp_path / "state" / STAGING_NAME).exists()
        back_up(district, tmp_path / "backup")


def _pull_the_plug() -> None:
    raise RuntimeError("pulled")


def test_one_at_a_time_and_a_maker_that_is_gone_is_given_up(tmp_path: Path) -> None:
    with District(tmp_path / "state") as district:
        ask = ask_core(district)
        first = ask("backup_begin", {})["token"]
        with pytest.raises(CommandRefused, match="Another backup"):
            ask("backup_begin", {})
        district.clock.set_wall_ms(district.clock.wall_ms() + 700_000)
        second = ask("backup_begin", {})["token"]
        with pytest.raises(CommandRefused, match="given up"):
            ask("backup_poll", {"token": first})
        ask("backup_end", {"token": second})


def test_a_stopped_state_is_backed_up_under_its_lock(tmp_path: Path) -> None:
    with District(tmp_path / "state") as district:
        district.feed(GROUPS[:4], live=True)
        with pytest.raises(StoreLocked), StoppedState.held(tmp_path / "state"):
            pass
    with StoppedState.held(tmp_path / "state") as owner:
        made = make_backup(tmp_path / "state", tmp_path / "backup", owner, CLOCK, district="d", version="1")
    assert made.manifest.journal_head == 4
    assert last_backup(tmp_path / "state") == (made.manifest.made_at_ms, str(tmp_path / "backup"))
    restore_backup(tmp_path / "backup", tmp_path / "again", CLOCK)
    with District(tmp_path / "again") as again:
        assert again.core.journal.head == 4


def test_an_empty_state_can_be_backed_up(tmp_path: Path) -> None:
    with District(tmp_path / "state") as district:
        back_up(district, tmp_path / "backup")
    restore_backup(tmp_path / "backup", tmp_path / "again", CLOCK)


def _flip(path: Path, at: int = -1) -> None:
    data = bytearray(path.read_bytes())
    data[at if at >= 0 else len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    "name", ["journal-202603.sqlite", "desk.sqlite", "table-reading.parquet", "damaged-journal-202501.sqlite"]
)
def test_a_damaged_file_is_named_and_nothing_is_restored(mine: Path, tmp_path: Path, name: str) -> None:
    _flip(mine / name)
    with pytest.raises(BackupError, match=name):
        restore_backup(mine, tmp_path / "state", CLOCK)
    assert not (tmp_path / "state").exists()


def test_a_damaged_sealed_day_a_missing_file_and_one_too_many_are_named(mine: Path, tmp_path: Path) -> None:
    part = next((mine / "history").rglob("*.parquet"))
    whole = part.read_bytes()
    _flip(part)
    with pytest.raises(BackupError, match=part.name):
        restore_backup(mine, tmp_path / "state", CLOCK)
    part.unlink()
    with pytest.raises(BackupError, match=f"{part.name} is missing"):
        restore_backup(mine, tmp_path / "state", CLOCK)
    part.write_bytes(whole)
    (mine / "extra").write_text("who put this here?")
    with pytest.raises(BackupError, match="extra is not part"):
        restore_backup(mine, tmp_path / "state", CLOCK)


def test_an_altered_manifest_a_newer_format_and_no_backup_at_all_are_refused(mine: Path, tmp_path: Path) -> None:
    manifest = mine / MANIFEST_NAME
    plain = json.loads(manifest.read_bytes())
    manifest.write_text(json.dumps(plain | {"journal_head": 0}))
    with pytest.raises(BackupError, match="own digest"):
        restore_backup(mine, tmp_path / "state", CLOCK)
    manifest.write_text(json.dumps(plain | {"format": 99, "made_by": "9.0"}))
    with pytest.raises(BackupError, match=r"format 99, .* up to 1; install version 9\.0"):
        restore_backup(mine, tmp_path / "state", CLOCK)
    with pytest.raises(BackupMissing, match="is not a backup"):
        restore_backup(tmp_path / "nowhere", tmp_path / "state", CLOCK)
    with pytest.raises(BackupError, match="is not a backup"):
        restore_backup(tmp_path, tmp_path / "state", CLOCK)


def test_a_manifest_cannot_name_files_outside(mine: Path, tmp_path: Path) -> None:
    manifest = read_manifest(mine)
    evil = msgspec.structs.replace(manifest.files[0], path="../evil")
    write_manifest(mine, msgspec.structs.replace(manifest, files=[evil, *manifest.files[1:]]))
    with pytest.raises(BackupError, match="outside"):
        restore_backup(mine, tmp_path / "state", CLOCK)


def test_a_used_state_directory_is_refused(made: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    (state / "something").write_text("mine")
    with pytest.raises(BackupError, match="not empty"):
        restore_backup(made, state, CLOCK)
    (state / "something").rename(state / "restoring")
    with pytest.raises(BackupError, match="interrupted restore"):
        restore_backup(made, state, CLOCK)


def test_no_daemon_opens_a_half_restored_directory(tmp_path: Path) -> None:
    (tmp_path / "restoring").mkdir()
    with pytest.raises(StoreDamaged, match="restore"):
        Journal.open(tmp_path, ManualClock(START_MS))


def test_a_full_disk_is_said_before_anything_is_written(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: _Usage())
    with pytest.raises(BackupError, match="MB free"):
        restore_backup(made, tmp_path / "state", CLOCK)
    assert not any((tmp_path / "state").iterdir())


class _Usage:
    free = 1000


def test_only_our_own_old_backups_are_removed(tmp_path: Path, made: Path) -> None:
    for day in (1, 2, 3):
        shutil.copytree(made, tmp_path / f"gridwarden-a-2026030{day}T000000Z")
    (tmp_path / "gridwarden-a-20200101T000000Z").mkdir()
    shutil.copytree(made, tmp_path / "gridwarden-b-20200101T000000Z")
    gone = drop_old(tmp_path, "a", keep=2)
    assert [path.name for path in gone] == ["gridwarden-a-20260301T000000Z"]
    assert (tmp_path / "gridwarden-a-20200101T000000Z").is_dir()


def test_a_damaged_store_is_not_backed_up_as_if_it_were_whole(tmp_path: Path) -> None:
    with District(tmp_path / "state") as district:
        district.feed(GROUPS[:4], live=True)
        district.pipeline.applier.flush()
        district.core.history.seal(midnight_ms(dt.date(2026, 3, 20)))
        part = next((tmp_path / "state" / "history").rglob("*.parquet"))
        _flip(part)
        with pytest.raises((BackupError, StoreError), match=part.name):
            back_up(district, tmp_path / "backup")
    assert not (tmp_path / "backup").exists()


def test_what_is_written_during_an_export_is_not_in_it(tmp_path: Path) -> None:
    """Sealing, a new channel and rows go on while the tables are written."""
    with District(tmp_path / "state") as district:
        district.feed(GROUPS[:2], live=True)
        district.pipeline.applier.flush()
        folder = tmp_path / "tables"
        folder.mkdir()
        export = district.core.history.export_tables(folder)
        before = district.core.history.read(0, 1 << 45).num_rows
        district.feed(GROUPS[2:6], live=True)
        district.core.history.seal(midnight_ms(dt.date(2026, 3, 20)))
        export.run()
        (tmp_path / "again").mkdir()
        assert load_tables(tmp_path / "again" / "history.duckdb", folder) == export.journal_seq
        history = History.open(tmp_path / "again")
        try:
            assert history.read(0, 1 << 45).num_rows == before
        finally:
            history.close()
