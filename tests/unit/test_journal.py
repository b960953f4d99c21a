"""What was committed is read back, in order and unchanged, or the damage is named."""

from __future__ import annotations

import hashlib
import random
import sqlite3
import struct
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.domain.clock import ManualClock
from models.domain.readings import RawMessage, Rejection, RejectReason
from monitor.journal.body import KEPT_PAYLOAD_BYTES
from monitor.journal.check import TAIL_RECORDS, verify_journal
from monitor.journal.journal import Journal, JournalEntry, list_quarantine
from monitor.journal.schema import USER_VERSION
from monitor.storage import StoreDamaged, StoreFatal, StoreFull, StoreLocked, StoreNewer
from tests.support.stores import MARCH_MS, message

APRIL_MS = MARCH_MS + 31 * 86_400_000
JUNE_MS = MARCH_MS + 92 * 86_400_000

texts = st.text(max_size=12)
raw_messages = st.builds(
    RawMessage,
    topic=texts,
    payload=st.binary(max_size=200),
    received_ms=st.integers(0, 1 << 50),
    publisher=texts,
    adapter=texts,
    qos=st.integers(0, 2),
    retain=st.booleans(),
    dup=st.booleans(),
    expiry=st.booleans(),
    generation=st.integers(0, 1 << 31),
    mid=st.integers(0, 65535),
)


@st.composite
def groups(draw: st.DrawFn) -> tuple[list[RawMessage], list[Rejection]]:
    messages = draw(st.lists(raw_messages, max_size=5))
    if not messages:
        return messages, []
    rejections = st.builds(
        Rejection,
        message=st.integers(0, len(messages) - 1),
        reason=st.sampled_from(RejectReason),
        detail=texts,
        rows=st.lists(st.integers(0, 1000), max_size=3).map(tuple),
        field=texts,
    )
    return messages, draw(st.lists(rejections, max_size=4))


def entries(journal: Journal, after_seq: int = 0) -> list[JournalEntry]:
    return list(journal.read(after_seq))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.one_of(groups(), st.integers(0, 1 << 50)), max_size=8), st.integers(0, 8))
def test_what_is_read_back_is_what_was_committed_across_a_restart(
    writes: list[tuple[list[RawMessage], list[Rejection]] | int], after_seq: int
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        expected = []
        for at, write in enumerate(writes):
            journal = Journal.open(Path(directory), ManualClock(MARCH_MS))
            if isinstance(write, int):
                seq = journal.tick(write)
                expected.append(JournalEntry(seq, (), (), write))
            else:
                seq = journal.commit(*write)
                expected.append(JournalEntry(seq, tuple(write[0]), tuple(write[1]), None))
            assert journal.head == seq == at + 1
            journal.close()
        journal = Journal.open(Path(directory), ManualClock(MARCH_MS))
        assert entries(journal, after_seq) == expected[after_seq:]
        journal.close()
        assert verify_journal(Path(directory)) == len(writes)


def test_an_empty_journal_has_head_zero_and_nothing_to_read(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, ManualClock(MARCH_MS))
    assert journal.head == 0
    assert entries(journal) == []
    journal.close()


def test_sequence_chain_and_entry_numbers_run_on_over_the_months(tmp_path: Path) -> None:
    clock = ManualClock(MARCH_MS)
    journal = Journal.open(tmp_path, clock)
    refused = [Rejection(0, RejectReason.PARSE, "no JSON")]
    journal.commit([message(b"1")], refused)
    clock.set_wall_ms(APRIL_MS)
    journal.commit([message(b"2")], refused)
    journal.close()
    clock.set_wall_ms(JUNE_MS)
    journal = Journal.open(tmp_path, clock)
    journal.commit([message(b"3")], refused)
    assert sorted(p.name for p in tmp_path.glob("journal-*.sqlite")) == [
        "journal-202603.sqlite",
        "journal-202604.sqlite",
        "journal-202606.sqlite",
    ]
    assert [entry.messages[0].payload for entry in entries(journal)] == [b"1", b"2", b"3"]
    assert [entry.seq for entry in entries(journal, 1)] == [2, 3]
    assert verify_journal(tmp_path) == 3
    journal.close()


def test_a_clock_that_steps_back_a_month_does_not_reopen_the_old_file(tmp_path: Path) -> None:
    clock = ManualClock(APRIL_MS)
    journal = Journal.open(tmp_path, clock)
    journal.commit([message()], [])
    clock.set_wall_ms(MARCH_MS)
    journal.commit([message()], [])
    journal.close()
    assert [p.name for p in tmp_path.glob("journal-*.sqlite")] == ["journal-202604.sqlite"]


def test_only_one_owner_at_a_time(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, ManualClock(MARCH_MS))
    with pytest.raises(StoreLocked):
        Journal.open(tmp_path, ManualClock(MARCH_MS))
    journal.close()
    Journal.open(tmp_path, ManualClock(MARCH_MS)).close()


def test_a_payload_refused_for_its_size_is_cut_and_named_by_the_digest_of_all_of_it(tmp_path: Path) -> None:
    huge, large = random.Random(1).randbytes(KEPT_PAYLOAD_BYTES + 1), b"x" * (KEPT_PAYLOAD_BYTES + 1)
    journal = Journal.open(tmp_path, ManualClock(MARCH_MS))
    journal.commit([message(huge), message(large)], [Rejection(0, RejectReason.SIZE, "too large")])
    (entry,) = entries(journal)
    assert entry.cut == (0,)
    assert entry.messages[0].payload == huge[:KEPT_PAYLOAD_BYTES]
    assert entry.messages[1].payload == large
    journal.close()
    whole = sqlite3.connect(tmp_path / "journal-202603.sqlite")
    (blob,) = whole.execute("SELECT body FROM record").fetchone()
    whole.close()
    assert hashlib.sha256(huge).digest() in blob


def test_text_that_utf8_cannot_hold_is_kept_with_a_question_mark(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, ManualClock(MARCH_MS))
    odd = RawMessage("grid/\ud800/readings", b"\xff", MARCH_MS, "p\udfff", "canonical")
    journal.commit([odd], [Rejection(0, RejectReason.ENCODING, "topic \ud800")])
    (entry,) = entries(journal)
    assert entry.messages[0].topic == "grid/?/readings"
    assert entry.rejections[0].detail == "topic ?"
    journal.close()


def test_a_rejection_must_name_a_message_of_its_group(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, ManualClock(MARCH_MS))
    with pytest.raises(ValueError, match="outside the group"):
        journal.commit([message()], [Rejection(1, RejectReason.PARSE, "")])
    assert journal.head == 0
    journal.close()


def three_records(state_dir: Path) -> Path:
    journal = Journal.open(state_dir, ManualClock(MARCH_MS))
    refused = [Rejection(0, RejectReason.RANGE, "too much", (0,), "p_kw")]
    for number in range(3):
        journal.commit([message(b'{"p_kw": %d}' % number)], refused)
    journal.close()
    return state_dir / "journal-202603.sqlite"


@pytest.mark.parametrize(
    "change",
    [
        pytest.param("UPDATE record SET body = CAST(substr(body, 1, 20) || x'00' AS BLOB)", id="body"),
        pytest.param("UPDATE record SET committed_ms = committed_ms + 1 WHERE seq = 2", id="receipt_stamp"),
        pytest.param("DELETE FROM record WHERE seq = 2", id="deleted"),
        pytest.param("UPDATE record SET seq = CASE seq WHEN 1 THEN 9 ELSE seq END", id="renumbered"),
        pytest.param("UPDATE record SET digest = zeroblob(32) WHERE seq = 3", id="digest"),
        pytest.param("UPDATE segment SET previous_digest = randomblob(32)", id="segment_link"),
    ],
)
def test_a_changed_record_is_found_and_its_file_kept_while_a_fresh_one_goes_on(tmp_path: Path, change: str) -> None:
    path = three_records(tmp_path)
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA foreign_keys=OFF")
        connection.execute(change)
    connection.close()
    damaged = path.read_bytes()
    with pytest.raises(StoreDamaged) as found:
        verify_journal(tmp_path)
    assert found.value.path == path
    journal = Journal.open(tmp_path, ManualClock(MARCH_MS))
    kept = tmp_path / "damaged-journal-202603.sqlite"
    assert kept.read_bytes() == damaged
    assert kept.stat().st_mode & 0o777 == 0o400
    assert journal.head >= 3
    seq = journal.commit([message(b"after")], [Rejection(0, RejectReason.PARSE, "")])
    assert [(entry.seq, entry.messages[0].payload) for entry in entries(journal)] == [(seq, b"after")]
    assert [entry["id"] for entry in list_quarantine(tmp_path)] == [4]
    journal.close()
    journal = Journal.open(tmp_path, ManualClock(MARCH_MS))
    assert journal.head == seq
    journal.close()
    assert verify_journal(tmp_path) == 1


def test_damage_this_month_leaves_the_months_before_readable(tmp_path: Path) -> None:
    clock = ManualClock(MARCH_MS)
    journal = Journal.open(tmp_path, clock)
    journal.commit([message(b"march")], [])
    clock.set_wall_ms(APRIL_MS)
    journal.commit([message(b"april")], [])
    journal.close()
    for round_number in range(2):
        newest = max(tmp_path.glob("journal-202604*.sqlite"))
        newest.write_bytes(newest.read_bytes()[:5000])
        journal = Journal.open(tmp_path, clock)
        journal.commit([message(b"again %d" % round_number)], [])
        journal.close()
    assert len(list(tmp_path.glob("damaged-*.sqlite"))) == 2
    journal = Journal.open(tmp_path, clock)
    assert [entry.messages[0].payload for entry in entries(journal)] == [b"march", b"again 1"]
    journal.close()
    assert verify_journal(tmp_path) == 2


def test_numbers_the_derived_stores_have_seen_are_never_given_out_again(tmp_path: Path) -> None:
    clock = ManualClock(MARCH_MS)
    three_records(tmp_path)
    journal = Journal.open(tmp_path, clock, applied=3)
    assert (journal.head, journal.tick(MARCH_MS)) == (3, 4)
    journal.close()
    journal = Journal.open(tmp_path, clock, applied=10)
    assert journal.head == 10
    assert journal.commit([message(b"after the cut")], []) == 11
    journal.close()
    assert (tmp_path / "journal-202603-2.sqlite").exists()
    clock.set_wall_ms(APRIL_MS)
    journal = Journal.open(tmp_path, clock, applied=11)
    assert journal.commit([message(b"april")], []) == 12
    assert [entry.seq for entry in entries(journal)] == [1, 2, 3, 4, 11, 12]
    assert [entry.seq for entry in entries(journal, 6)] == [11, 12]
    journal.close()
    assert verify_journal(tmp_path) == 6


def test_a_changed_quarantine_entry_is_found(tmp_path: Path) -> None:
    path = three_records(tmp_path)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE quarantine SET detail = 'nothing to see' WHERE id = 2")
    connection.close()
    with pytest.raises(StoreDamaged, match="entry 2"):
        verify_journal(tmp_path)


def test_every_single_changed_byte_of_the_file_is_noticed_or_harmless(tmp_path: Path) -> None:
    path = three_records(tmp_path)
    original = path.read_bytes()
    journal = Journal.open(tmp_path, ManualClock(MARCH_MS))
    expected = entries(journal)
    journal.close()
    rng = random.Random(4)
    noticed = 0
    for position in rng.sample(range(len(original)), 120):
        changed = bytearray(original)
        changed[position] ^= 1 << rng.randrange(8)
        for leftover in (*tmp_path.glob("*.sqlite*"), tmp_path / "journal-202603.new"):
            leftover.unlink(missing_ok=True)
        path.write_bytes(changed)
        try:
            journal = Journal.open(tmp_path, ManualClock(MARCH_MS))
        except StoreNewer:
            noticed += 1
            continue
        aside = list(tmp_path.glob("damaged-*.sqlite"))
        noticed += len(aside)
        assert entries(journal) == ([] if aside else expected)
        journal.close()
    assert noticed > 0


def test_damage_before_the_tail_is_found_when_it_is_read(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, ManualClock(MARCH_MS))
    for _ in range(TAIL_RECORDS + 2):
        journal.tick(MARCH_MS)
    journal.close()
    with sqlite3.connect(tmp_path / "journal-202603.sqlite") as connection:
        connection.execute("UPDATE record SET tick_ms = 5 WHERE seq = 1")
    connection.close()
    journal = Journal.open(tmp_path, ManualClock(MARCH_MS))
    with pytest.raises(StoreDamaged, match="record 1 "):
        entries(journal)
    assert len(entries(journal, 1)) == TAIL_RECORDS + 1
    journal.close()


def test_a_month_that_is_missing_or_replaced_is_found_at_start(tmp_path: Path) -> None:
    clock = ManualClock(MARCH_MS)
    journal = Journal.open(tmp_path, clock)
    for at_ms in (MARCH_MS, APRIL_MS, JUNE_MS):
        clock.set_wall_ms(at_ms)
        journal.commit([message()], [])
    journal.close()
    (tmp_path / "journal-202604.sqlite").rename(tmp_path / "elsewhere")
    with pytest.raises(StoreDamaged, match="does not follow"):
        Journal.open(tmp_path, clock)


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    path = three_records(tmp_path)
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version={USER_VERSION + 1}")
    connection.close()
    with pytest.raises(StoreNewer, match="newer version"):
        Journal.open(tmp_path, ManualClock(MARCH_MS))


def test_a_full_disk_loses_nothing_and_writing_resumes(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, ManualClock(MARCH_MS))
    journal.commit([message(b"before")], [])
    pages = journal._connection.execute("PRAGMA page_count").fetchone()[0]
    journal._connection.execute(f"PRAGMA max_page_count={pages + 2}")
    big = [message(random.Random(2).randbytes(200_000))]
    refused = [Rejection(0, RejectReason.PARSE, "noise")]
    for _ in range(2):
        with pytest.raises(StoreFull):
            journal.commit(big, refused)
    assert journal.head == 1
    journal._connection.execute("PRAGMA max_page_count=1000000")
    assert journal.commit(big, refused) == 2
    assert [len(entry.messages[0].payload) for entry in entries(journal)] == [6, 200_000]
    assert verify_journal(tmp_path) == 2
    journal.close()


def test_a_number_beyond_63_bits_never_reaches_the_store(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, ManualClock(MARCH_MS))
    with pytest.raises(struct.error):
        journal.tick(1 << 63)
    assert journal.tick(MARCH_MS) == 1
    journal.close()


def test_after_an_interruption_in_the_middle_of_a_record_only_a_restart_helps(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, ManualClock(MARCH_MS))
    journal.commit([message(b"before")], [])
    with pytest.raises(OverflowError):
        journal.commit([message(received_ms=1 << 63)], [Rejection(0, RejectReason.PARSE, "")])
    with pytest.raises(StoreFatal):
        journal.tick(MARCH_MS)
    journal.close()
    journal = Journal.open(tmp_path, ManualClock(MARCH_MS))
    assert [entry.messages[0].payload for entry in entries(journal)] == [b"before"]
    assert journal.commit([message(b"after")], []) == 2
    journal.close()
