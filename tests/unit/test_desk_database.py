"""Opening the desk: settings that hold, migrations that back up, versions that refuse."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from monitor.desk import database
from monitor.desk.database import DESK_FILE, HEAD, DeskError, SchemaTooNew, SchemaTooOld, open_desk, read_desk
from monitor.desk.schema import LEAD_REVISIONS, LEADS, METADATA
from tests.support.desk_parts import commit, desk_on, everything, finding

FIRST_RELEASE_LEAD = {
    "id": "L0",
    "kind": "furnace_melt",
    "subject": "S0",
    "month": "2026-01",
    "revision": 1,
    "standing": "raised",
    "content_sha256": "00",
    "last_night": "2026-01-21",
    "score": 0.8,
    "raised_at_ms": 1,
    "revised_at_ms": 1,
}
FIRST_RELEASE_REVISION = {
    "lead_id": "L0",
    "revision": 1,
    "change": "raised",
    "event_ms": 1,
    "recorded_at_ms": 1,
    "body": b"{}",
    "sha256": "00",
}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[sa.Engine]:
    engine = open_desk(tmp_path)
    yield engine
    engine.dispose()


def set_version(state_dir: Path, version: str) -> None:
    with closing(sqlite3.connect(state_dir / DESK_FILE)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (version,))


def test_migrations_make_exactly_the_tables_of_the_schema(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
        made = dict(connection.execute(sa.text("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")).all())
    fresh = sa.create_engine("sqlite://")
    METADATA.create_all(fresh)
    with fresh.begin() as connection:
        meant = dict(connection.execute(sa.text("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")).all())
    fresh.dispose()
    del made["alembic_version"]
    assert made.keys() == meant.keys()
    assert {name: sql.split() for name, sql in made.items()} == {name: sql.split() for name, sql in meant.items()}
    assert all("STRICT" in made[table] for table in METADATA.tables)


def test_head_is_the_newest_migration() -> None:
    scripts = ScriptDirectory(str(Path(database.__file__).parent / "migrations"))
    assert scripts.get_current_head() == HEAD


def test_pragmas_hold_on_the_one_connection(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        values = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "mmap_size")
        ]
    assert values == ["wal", 2, 1, 0]
    assert isinstance(engine.pool, sa.pool.QueuePool)
    assert engine.pool.size() == 1


def test_opening_again_keeps_everything_and_makes_no_backup(tmp_path: Path) -> None:
    engine = open_desk(tmp_path)
    desk = desk_on(engine)
    commit(desk, 0, finding(0))
    commit(desk, 1, finding(1))
    before = everything(engine)
    engine.dispose()
    engine = open_desk(tmp_path)
    assert everything(engine) == before
    engine.dispose()
    assert list(tmp_path.glob("*.before-*")) == []


def test_an_older_file_is_backed_up_before_it_is_upgraded(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / DESK_FILE)) as connection, connection:
        connection.execute("CREATE TABLE keepsake (word TEXT)")
        connection.execute("INSERT INTO keepsake VALUES ('旧')")
    open_desk(tmp_path).dispose()
    (backup,) = tmp_path.glob("*.before-*")
    for file in (backup, tmp_path / DESK_FILE):
        with closing(sqlite3.connect(file)) as connection:
            assert connection.execute("SELECT word FROM keepsake").fetchone() == ("旧",)
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            assert ("leads" in tables) is (file is not backup)


def test_a_desk_of_the_first_release_keeps_its_leads(tmp_path: Path) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(database.__file__).parent / "migrations"))
    old = sa.create_engine(f"sqlite:///{tmp_path / DESK_FILE}")
    with old.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.execute(sa.insert(LEADS), FIRST_RELEASE_LEAD)
        connection.execute(sa.insert(LEAD_REVISIONS), FIRST_RELEASE_REVISION)
    before = everything(old)
    old.dispose()
    engine = open_desk(tmp_path)
    after = everything(engine)
    engine.dispose()
    new = {"audit_log", "silences", "held_notices", "quarantine_retries", "reports", "flags", "flag_revisions"}
    new |= {"intensity_verdicts", "intensity_forecasts", "output_ratios", "kept_accounts"}
    assert after.keys() - before.keys() == new
    assert not any(after[table] for table in new)
    assert {name: rows for name, rows in before.items() if name != "alembic_version"} == {
        name: rows for name, rows in after.items() if name not in new | {"alembic_version"}
    }
    with closing(sqlite3.connect(tmp_path / f"desk.before-{database.HEAD}.from-0001.sqlite")) as connection:
        assert connection.execute("SELECT id FROM leads").fetchall() == [("L0",)]


def test_a_migration_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / DESK_FILE)) as connection, connection:
        connection.execute("CREATE TABLE outbox (word TEXT)")
    with pytest.raises(sa.exc.OperationalError, match="already exists"):
        open_desk(tmp_path)
    with closing(sqlite3.connect(tmp_path / DESK_FILE)) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert tables == {"outbox"}


def test_a_newer_schema_is_refused_untouched(tmp_path: Path) -> None:
    open_desk(tmp_path).dispose()
    set_version(tmp_path, "9999")
    content = (tmp_path / DESK_FILE).read_bytes()
    for opened in (open_desk, read_desk):
        with pytest.raises(SchemaTooNew, match="9999") as caught:
            opened(tmp_path)
        assert caught.value.found == "9999"
    assert (tmp_path / DESK_FILE).read_bytes() == content


@pytest.mark.parametrize("opened", [open_desk, read_desk])
def test_a_damaged_file_is_named_and_kept(tmp_path: Path, opened: Callable[[Path], sa.Engine]) -> None:
    content = b"not a database at all" * 500
    (tmp_path / DESK_FILE).write_bytes(content)
    with pytest.raises(DeskError, match="damaged"):
        opened(tmp_path)
    assert (tmp_path / DESK_FILE).read_bytes() == content


def test_a_reader_looks_and_does_nothing_else(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_desk(tmp_path)
    assert list(tmp_path.iterdir()) == []
    sqlite3.connect(tmp_path / DESK_FILE).close()
    (tmp_path / DESK_FILE).touch()
    with pytest.raises(SchemaTooOld, match="nothing can be read until the daemon was started once"):
        read_desk(tmp_path)
    writer = open_desk(tmp_path)
    reader = read_desk(tmp_path)
    commit(desk_on(writer), 0, finding(0))
    assert everything(reader) == everything(writer)
    with reader.begin() as connection, pytest.raises(sa.exc.OperationalError, match="readonly"):
        connection.execute(sa.text("DELETE FROM findings"))
    reader.dispose()
    writer.dispose()


def test_alembic_leaves_the_program_s_logging_alone(tmp_path: Path) -> None:
    before = [*logging.getLogger().handlers]
    open_desk(tmp_path).dispose()
    assert logging.getLogger().handlers == before
