"""Versions of the register in a real desk."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from models.domain.register import Publisher, RegisterRows
from monitor.desk.database import DeskError, open_desk
from monitor.desk.registers import (
    latest_register,
    newest_register,
    put_register,
    store_register,
)
from monitor.desk.schema import REGISTERS
from monitor.register.snapshot import rows_to_json, version_of

ONE = RegisterRows(publishers=(Publisher(publisher="one", name="一"),))
TWO = RegisterRows(publishers=(Publisher(publisher="two"),))


def test_an_imported_register_is_the_latest(tmp_path: Path) -> None:
    assert latest_register(tmp_path) is None
    version = store_register(tmp_path, ONE, 1000)
    assert version == version_of(rows_to_json(ONE))
    assert latest_register(tmp_path) == (version, ONE)


def test_the_newest_import_is_in_force_even_if_the_clock_was_set_back(tmp_path: Path) -> None:
    store_register(tmp_path, ONE, 2000)
    store_register(tmp_path, TWO, 1000)
    latest = latest_register(tmp_path)
    assert latest is not None
    assert latest[1] == TWO


def test_importing_an_old_version_again_brings_it_back_in_force_without_a_copy(tmp_path: Path) -> None:
    first = store_register(tmp_path, ONE, 1000)
    store_register(tmp_path, TWO, 2000)
    assert store_register(tmp_path, ONE, 3000) == first
    assert latest_register(tmp_path) == (first, ONE)
    engine = open_desk(tmp_path)
    with engine.begin() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(REGISTERS)) == 2
    engine.dispose()


def test_an_import_that_is_rolled_back_leaves_nothing(tmp_path: Path) -> None:
    engine = open_desk(tmp_path)
    with engine.connect() as connection:
        transaction = connection.begin()
        put_register(connection, ONE, 1000)
        transaction.rollback()
    with engine.begin() as connection:
        assert newest_register(connection) is None
    engine.dispose()


@pytest.mark.parametrize("spoil", [lambda body: body[:-3], lambda body: bytes([body[0] ^ 1]) + body[1:]])
def test_a_damaged_body_is_never_taken(tmp_path: Path, spoil: object) -> None:
    store_register(tmp_path, ONE, 1000)
    engine = open_desk(tmp_path)
    with engine.begin() as connection:
        body = connection.scalar(sa.select(REGISTERS.c.body))
        assert callable(spoil)
        connection.execute(sa.update(REGISTERS).values(body=spoil(body)))
    engine.dispose()
    with pytest.raises(DeskError, match=r"in the desk .* restore a backup"):
        latest_register(tmp_path)


def test_importing_again_mends_a_damaged_body(tmp_path: Path) -> None:
    version = store_register(tmp_path, ONE, 1000)
    engine = open_desk(tmp_path)
    with engine.begin() as connection:
        connection.execute(sa.update(REGISTERS).values(body=b"not it"))
    engine.dispose()
    store_register(tmp_path, ONE, 2000)
    assert latest_register(tmp_path) == (version, ONE)


def test_a_body_under_another_version_is_never_taken(tmp_path: Path) -> None:
    store_register(tmp_path, ONE, 1000)
    engine = open_desk(tmp_path)
    with engine.begin() as connection:
        connection.execute(sa.update(REGISTERS).values(version="0" * 64))
    engine.dispose()
    with pytest.raises(DeskError, match="not what was imported"):
        latest_register(tmp_path)
