"""A refused message that the broker delivers again is quarantined once."""

from __future__ import annotations

from pathlib import Path

import msgspec

from models.domain.clock import ManualClock
from models.domain.readings import RawMessage, Rejection, RejectReason
from monitor.journal.journal import Journal
from monitor.journal.redelivered import RefusedBefore
from tests.support.stores import MARCH_MS, message

REFUSED = [Rejection(0, RejectReason.PARSE, "not JSON")]


def again(raw: RawMessage) -> RawMessage:
    """The message as the broker delivers it a second time."""
    return msgspec.structs.replace(raw, dup=True, received_ms=raw.received_ms + 1, mid=raw.mid + 1)


def test_the_same_bytes_with_the_dup_flag_are_known() -> None:
    refused = RefusedBefore()
    refused.remember([message(b"{"), message(b"{}")], REFUSED)
    assert list(refused.new([again(message(b"{")), again(message(b"{}"))])) == [again(message(b"{}"))]


def test_the_same_bytes_sent_anew_are_new() -> None:
    refused = RefusedBefore()
    refused.remember([message(b"{")], REFUSED)
    assert list(refused.new([message(b"{")])) == [message(b"{")]


def test_another_topic_is_another_message() -> None:
    refused = RefusedBefore()
    refused.remember([message(b"{")], REFUSED)
    other = again(message(b"{", publisher="other"))
    assert list(refused.new([other])) == [other]


def test_a_message_that_only_lost_a_field_was_not_refused() -> None:
    refused = RefusedBefore()
    refused.remember([message(b"{")], [Rejection(0, RejectReason.RANGE, "too much", (0,), "p_kw")])
    assert list(refused.new([again(message(b"{"))])) == [again(message(b"{"))]


def test_it_is_known_after_a_restart_even_where_only_its_beginning_was_kept(tmp_path: Path) -> None:
    long = message(b"x" * 100_000)
    journal = Journal.open(tmp_path, ManualClock(MARCH_MS))
    journal.commit([message(b"{")], REFUSED)
    journal.tick(MARCH_MS)
    journal.commit([long], [Rejection(0, RejectReason.SIZE, "too long")])
    refused = RefusedBefore()
    refused.load(journal)
    assert not refused.new([again(message(b"{")), again(long)])
    journal.close()


def test_the_end_of_the_journal_is_found_by_messages(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, ManualClock(MARCH_MS))
    assert journal.seq_before(10) == 0
    for _ in range(4):
        journal.commit([message()] * 3, [])
    assert [journal.seq_before(n) for n in (1, 3, 4, 6, 7, 100)] == [3, 3, 2, 2, 1, 0]
    journal.close()
