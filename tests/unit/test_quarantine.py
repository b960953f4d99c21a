"""Refusals can be listed and shown, and a flood of them stays bounded."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import pytest

import monitor.journal.quarantine
from models.domain.clock import ManualClock
from models.domain.readings import Rejection, RejectReason
from monitor.journal.body import KEPT_PAYLOAD_BYTES
from monitor.journal.journal import Journal, list_quarantine, show_quarantine
from monitor.journal.remedies import REMEDIES
from tests.support.stores import MARCH_MS, message

MONTH_MS = 31 * 86_400_000


def test_every_reason_has_a_remedy_in_both_languages() -> None:
    assert set(REMEDIES) == set(RejectReason)
    assert all(remedy.zh and remedy.en for remedy in REMEDIES.values())


def test_entries_are_listed_newest_first_over_the_months_and_filtered(tmp_path: Path) -> None:
    clock = ManualClock(MARCH_MS)
    journal = Journal.open(tmp_path, clock)
    for month in range(3):
        clock.set_wall_ms(MARCH_MS + month * MONTH_MS)
        group = [message(b"a", publisher="east"), message(b"b", publisher="west")]
        journal.commit(
            group,
            [
                Rejection(0, RejectReason.PARSE, "no JSON"),
                Rejection(1, RejectReason.RANGE, "p_kw is 1e9", (0, 4), "p_kw"),
            ],
        )
    assert [entry["id"] for entry in list_quarantine(tmp_path)] == [6, 5, 4, 3, 2, 1]
    assert [entry["id"] for entry in list_quarantine(tmp_path, publisher="west")] == [6, 4, 2]
    assert [entry["id"] for entry in list_quarantine(tmp_path, reason="PARSE", limit=2)] == [5, 3]
    assert [entry["id"] for entry in list_quarantine(tmp_path, before_id=4, limit=2)] == [3, 2]
    for offset in range(7):
        expected = [6, 5, 4, 3, 2, 1][offset : offset + 2]
        assert [entry["id"] for entry in list_quarantine(tmp_path, offset=offset, limit=2)] == expected
    newest = list_quarantine(tmp_path, limit=1)[0]
    assert newest == {
        "id": 6,
        "seq": 3,
        "received_ms": MARCH_MS,
        "received": "2026-03-02T00:00:00.000+00:00",
        "publisher": "west",
        "reason": "RANGE",
        "field": "p_kw",
        "readings": 2,
        "detail": "p_kw is 1e9",
        "count": 1,
    }
    journal.close()


def test_an_entry_shows_the_message_as_it_came(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, ManualClock(MARCH_MS))
    large = bytes(range(256)) * 300
    journal.commit(
        [message('{"名":1}'.encode()), message(b"\xff\x00"), message(large)],
        [
            Rejection(0, RejectReason.SCHEMA, "unknown field", (3,)),
            Rejection(1, RejectReason.ENCODING, "not UTF-8"),
            Rejection(2, RejectReason.SIZE, "too large"),
        ],
    )
    first, second, third = (show_quarantine(tmp_path, entry) for entry in (1, 2, 3))
    assert first is not None
    assert second is not None
    assert third is not None
    assert (first["payload_text"], first["rows"]) == ('{"名":1}', [3])
    assert first["remedy_zh"] == REMEDIES[RejectReason.SCHEMA].zh
    assert second["payload_text"] is None
    assert base64.b64decode(second["payload_base64"]) == b"\xff\x00"
    assert (third["payload_cut"], third["payload_bytes"]) == (True, len(large))
    assert third["payload_sha256"] == hashlib.sha256(large).hexdigest()
    assert base64.b64decode(third["payload_base64"]) == large[:KEPT_PAYLOAD_BYTES]
    assert show_quarantine(tmp_path, 4) is None
    journal.close()


@pytest.mark.parametrize("restart", [False, True])
def test_beyond_its_bound_a_publisher_is_counted_and_others_are_not_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, restart: bool
) -> None:
    monkeypatch.setattr(monitor.journal.quarantine, "DETAILED_PER_PUBLISHER", 5)
    journal = Journal.open(tmp_path, ManualClock(MARCH_MS))
    for _ in range(4):
        group = [message(publisher="loud")] * 3
        journal.commit(group, [Rejection(at, RejectReason.PARSE, "no JSON") for at in range(3)])
        if restart:
            journal.close()
            journal = Journal.open(tmp_path, ManualClock(MARCH_MS))
    journal.commit([message(publisher="quiet")], [Rejection(0, RejectReason.PARSE, "no JSON")])
    entries = list_quarantine(tmp_path)
    assert [(e["publisher"], e["count"]) for e in entries if e["id"] is not None] == [("quiet", 1)] + [("loud", 1)] * 5
    assert [(e["publisher"], e["reason"], e["count"]) for e in entries if e["id"] is None] == [("loud", "PARSE", 7)]
    assert sum(len(entry.rejections) for entry in journal.read(0)) == 13
    journal.close()


def test_publishers_without_number_share_one_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitor.journal.quarantine, "DETAILED_PER_PUBLISHER", 2)
    monkeypatch.setattr(monitor.journal.quarantine, "PUBLISHERS_PER_SEGMENT", 3)
    journal = Journal.open(tmp_path, ManualClock(MARCH_MS))
    for number in range(10):
        journal.commit([message(publisher=f"p{number}")], [Rejection(0, RejectReason.AUTHZ, "unknown")])
    entries = list_quarantine(tmp_path)
    assert [e["publisher"] for e in entries if e["id"] is not None] == ["*", "*", "p2", "p1", "p0"]
    assert [(e["publisher"], e["count"]) for e in entries if e["id"] is None] == [("*", 5)]
    journal.close()


def test_nothing_recorded_is_an_empty_list(tmp_path: Path) -> None:
    assert list_quarantine(tmp_path) == []
    assert show_quarantine(tmp_path, 1) is None


@pytest.mark.parametrize("wrong", [{"limit": 0}, {"limit": 1001}, {"offset": -1}])
def test_pages_are_bounded(tmp_path: Path, wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="limit"):
        list_quarantine(tmp_path, **wrong)  # type: ignore[arg-type]


def test_the_remedy_of_an_unknown_meter_names_the_command_that_takes_it_in() -> None:
    remedy = REMEDIES[RejectReason.UNKNOWN_METER]
    assert "gridwarden quarantine retry" in remedy.zh
    assert "gridwarden quarantine retry" in remedy.en
