"""The audit log: append-only, and any tampering names its row."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from monitor.desk import audit_log
from monitor.desk.audit_log import GENESIS, AuditFault, AuditHead, append, head, verify
from monitor.desk.database import DESK_FILE, open_desk

ENTRIES = 7


@pytest.fixture
def state(tmp_path: Path) -> Path:
    engine = open_desk(tmp_path)
    for number in range(ENTRIES):
        with engine.begin() as connection:
            append(
                connection,
                at_ms=1_768_900_000_000 + number,
                actor="王芳",
                action="lead.claim",
                subject=f"lead:L{number}",
                details={"reason": f"第 {number} 条", "revision": number},
            )
    engine.dispose()
    return tmp_path


@pytest.fixture
def engine(state: Path) -> Iterator[sa.Engine]:
    engine = open_desk(state)
    yield engine
    engine.dispose()


def tampered(state: Path, *statements: str) -> list[AuditFault]:
    """Faults after somebody with the file in hand dropped the triggers and ran statements."""
    with closing(sqlite3.connect(state / DESK_FILE)) as connection, connection:
        connection.execute("DROP TRIGGER audit_log_is_never_changed")
        connection.execute("DROP TRIGGER audit_log_is_never_shortened")
        for statement in statements:
            assert connection.execute(statement).rowcount > 0
    engine = open_desk(state)
    try:
        return list(verify(engine).faults)
    finally:
        engine.dispose()


def test_an_empty_log_is_whole(tmp_path: Path) -> None:
    engine = open_desk(tmp_path)
    assert head(engine) == AuditHead(0, 0, GENESIS)
    assert verify(engine).whole
    engine.dispose()


def test_the_head_is_the_last_entry_and_the_chain_is_whole(engine: sa.Engine) -> None:
    verdict = verify(engine)
    assert verdict.whole
    assert verdict.head == head(engine)
    assert (verdict.head.count, verdict.head.seq) == (ENTRIES, ENTRIES)
    assert verdict.head.digest.startswith("sha256:")


@pytest.mark.parametrize("statement", ["UPDATE audit_log SET actor = 'x' WHERE seq = 3", "DELETE FROM audit_log"])
def test_the_database_refuses_to_change_or_delete(engine: sa.Engine, statement: str) -> None:
    with pytest.raises(sa.exc.IntegrityError, match="append-only"), engine.begin() as connection:
        connection.execute(sa.text(statement))
    assert verify(engine).whole


@pytest.mark.parametrize(
    "change",
    [
        "at_ms = at_ms + 1",
        "actor = '李强'",
        "action = 'lead.dismiss'",
        "subject = 'lead:L9'",
        "details = CAST('{}' AS BLOB)",
        "digest = 'sha256:' || substr(digest, 9) || '0'",
    ],
)
def test_a_change_of_any_column_is_found_and_named(state: Path, change: str) -> None:
    faults = tampered(state, f"UPDATE audit_log SET {change} WHERE seq = 4")
    assert faults[0].seq == 4


def test_a_deletion_is_found_and_named(state: Path) -> None:
    (fault,) = tampered(state, "DELETE FROM audit_log WHERE seq = 4")
    assert (fault.seq, fault.what) == (4, "missing: entry 5 follows 3")


def test_an_insertion_is_found_and_named(state: Path) -> None:
    copied = "INSERT INTO audit_log SELECT 8, at_ms, actor, action, subject, details, previous, digest FROM audit_log"
    faults = tampered(state, f"{copied} WHERE seq = 2")
    assert {fault.seq for fault in faults} == {8}


def test_a_reordering_is_found(state: Path) -> None:
    faults = tampered(
        state,
        "UPDATE audit_log SET seq = 100 WHERE seq = 3",
        "UPDATE audit_log SET seq = 3 WHERE seq = 4",
        "UPDATE audit_log SET seq = 4 WHERE seq = 100",
    )
    assert [fault.seq for fault in faults[:2]] == [3, 3]


def test_a_rewrite_with_fitting_digests_shows_against_a_noted_head(state: Path, engine: sa.Engine) -> None:
    noted = head(engine)
    engine.dispose()
    faults = tampered(state, "DELETE FROM audit_log WHERE seq > 4")
    assert faults == []
    engine = open_desk(state)
    (cut,) = verify(engine, noted=noted).faults
    assert (cut.seq, "cut" in cut.what) == (7, True)
    for number in range(3):
        with engine.begin() as connection:
            append(connection, at_ms=number, actor="李强", action="lead.claim", subject="lead:L1", details={})
    (rewritten,) = verify(engine, noted=noted).faults
    assert (rewritten.seq, "rewritten" in rewritten.what) == (7, True)
    engine.dispose()


def test_an_entry_goes_with_its_transaction(engine: sa.Engine) -> None:
    before = head(engine)
    with engine.connect() as connection:
        append(connection, at_ms=1, actor="王芳", action="lead.claim", subject="lead:L1", details={})
        connection.rollback()
    assert head(engine) == before


def test_pages_join(engine: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_log, "_PAGE", 2)
    assert verify(engine).head.count == ENTRIES
