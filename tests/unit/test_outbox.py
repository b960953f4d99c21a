"""The sender: in order within a lead, at least once, patient, and open about what a person must do."""

from __future__ import annotations

import hashlib
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from models.domain.clock import SystemClock
from monitor.commands import CommandRefused
from monitor.desk.database import open_desk
from monitor.desk.outbox_rows import OutboxState, claim, waiting
from monitor.desk.queries import refused_notices
from monitor.desk.refused_notices import abandon_notice, retry_notices
from monitor.metrics import SendResult
from monitor.outbox import FAILING, Delivered, Delivery, OutboxSender, Refused, Sink, Unavailable, backoff_s
from tests.support.desk_parts import NOW_MS, commit, counts, desk_on, finding


class FastClock(SystemClock):
    """Monotonic time runs a thousand times faster, so that backoff passes in a test."""

    def monotonic_s(self) -> float:
        return super().monotonic_s() * 1000.0


class Recorder:
    """A sink that writes down what it is given and answers as it is told."""

    def __init__(self, answer: Callable[[str, int], Delivery] | None = None) -> None:
        self.calls: list[tuple[str, str, bytes]] = []
        self._answer = answer or (lambda _subject, _call: Delivered())

    @property
    def name(self) -> str:
        return "file"

    def send(self, body: bytes, idempotency_key: str, subject: str, event_type: str) -> Delivery:
        self.calls.append((subject, idempotency_key, body))
        return self._answer(subject, len(self.calls))


def until(condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[sa.Engine]:
    engine = open_desk(tmp_path)
    desk = desk_on(engine)
    for offset in range(4):
        commit(desk, offset, finding(offset), finding(offset, "M2"))
    yield engine
    engine.dispose()


@pytest.fixture
def run(engine: sa.Engine) -> Iterator[Callable[[Sink], OutboxSender]]:
    senders: list[OutboxSender] = []

    def start(sink: Sink) -> OutboxSender:
        sender = OutboxSender(engine, {"file": sink}, FastClock(), random.Random(1))
        senders.append(sender)
        sender.start()
        return sender

    yield start
    for sender in senders:
        assert sender.stop(10_000.0)
        assert sender.failure is None


def sent(engine: sa.Engine) -> int:
    return counts(engine).get(("file", OutboxState.SENT), 0)


def committed(engine: sa.Engine) -> list[tuple[str, str, bytes]]:
    with engine.begin() as connection:
        rows = connection.execute(sa.text("SELECT subject, idempotency_key, body FROM outbox ORDER BY seq"))
        return [(row.subject, row.idempotency_key, row.body) for row in rows]


def test_every_committed_notice_is_sent_once_and_in_order(engine: sa.Engine, run: Callable[[Sink], object]) -> None:
    sink = Recorder()
    run(sink)
    until(lambda: sent(engine) == 6)
    for subject in {row[0] for row in committed(engine)}:
        assert [call for call in sink.calls if call[0] == subject] == [
            row for row in committed(engine) if row[0] == subject
        ]


def test_trouble_is_tried_again_with_the_same_bytes_and_keeps_the_order(
    engine: sa.Engine, run: Callable[[Sink], object]
) -> None:
    rng = random.Random(3)

    def flaky(_subject: str, _call: int) -> Delivery:
        if rng.random() < 0.6:
            raise Unavailable("busy")
        return Delivered()

    sink = Recorder(flaky)
    run(sink)
    until(lambda: sent(engine) == 6)
    rows = committed(engine)
    assert len(sink.calls) > 6
    assert set(sink.calls) == set(rows)
    for subject in {row[0] for row in rows}:
        keys = [key for called, key, _ in sink.calls if called == subject]
        assert list(dict.fromkeys(keys)) == [key for of, key, _ in rows if of == subject]
        assert keys == sorted(keys, key=list(dict.fromkeys(keys)).index)


def test_a_refused_notice_holds_its_own_lead_only_until_a_person_decides(
    engine: sa.Engine, run: Callable[[Sink], object]
) -> None:
    first = committed(engine)[0][0]
    willing = threading.Event()

    def picky(subject: str, _call: int) -> Delivery:
        return Refused("HTTP 422: no such site") if subject == first and not willing.is_set() else Delivered()

    sink = Recorder(picky)
    run(sink)
    until(lambda: sent(engine) == 3 and bool(refused_notices(engine)))
    (stuck,) = refused_notices(engine)
    assert (stuck["lead"], stuck["note"], stuck["attempts"]) == (first, "HTTP 422: no such site", 1)
    willing.set()
    with engine.begin() as connection:
        why = "the site is known there now"
        done = retry_notices(connection, sink="file", seq=None, by="王芳", reason=why, now_ms=NOW_MS)
    assert done == {"retried": 1}
    until(lambda: sent(engine) == 6)


def test_a_person_may_give_up_a_refused_notice_and_nothing_else(
    engine: sa.Engine, run: Callable[[Sink], object]
) -> None:
    first = committed(engine)[0][1]

    class Picky(Recorder):
        def send(self, body: bytes, idempotency_key: str, subject: str, event_type: str) -> Delivery:
            super().send(body, idempotency_key, subject, event_type)
            return Refused("no") if idempotency_key == first else Delivered()

    run(Picky())
    until(lambda: sent(engine) == 3 and bool(refused_notices(engine)))
    (stuck,) = refused_notices(engine)
    with engine.begin() as connection, pytest.raises(CommandRefused, match="does not wait for a person"):
        abandon_notice(connection, stuck["seq"] + 1, by="王芳", reason="not refused", now_ms=NOW_MS)
    with engine.begin() as connection:
        abandon_notice(connection, stuck["seq"], by="王芳", reason="known by telephone", now_ms=NOW_MS)
    until(lambda: sent(engine) == 5)
    assert counts(engine)["file", OutboxState.ABANDONED] == 1


def test_a_fault_in_a_sink_is_trouble_not_the_end(engine: sa.Engine, run: Callable[[Sink], OutboxSender]) -> None:
    def faulty(_subject: str, call: int) -> Delivery:
        if call < 3:
            raise ZeroDivisionError("secret")
        return Delivered()

    sender = run(Recorder(faulty))
    until(lambda: sent(engine) == 6)
    assert sender.failure is None
    with engine.begin() as connection:
        notes = connection.execute(sa.text("SELECT note FROM outbox")).scalars().all()
    assert not any("secret" in note for note in notes)


def test_a_hanging_sink_does_not_delay_another_nor_the_stop(tmp_path: Path) -> None:
    engine = open_desk(tmp_path)
    desk = desk_on(engine, sinks=("file", "webhook"))
    for offset in range(2):
        commit(desk, offset, finding(offset))
    held = threading.Event()

    def hang(_subject: str, _call: int) -> Delivery:
        held.wait(20.0)
        return Delivered()

    good = Recorder()
    sinks = {"webhook": Recorder(hang), "file": good}
    sender = OutboxSender(engine, sinks, SystemClock(), random.Random(1))
    sender.start()
    until(lambda: len(good.calls) == 1)
    before = time.monotonic()
    assert not sender.stop(0.2)
    assert time.monotonic() - before < 2.0
    held.set()
    assert sender.stop(5.0)
    engine.dispose()


def test_waking_sends_at_once_and_progress_moves(engine: sa.Engine, run: Callable[[Sink], OutboxSender]) -> None:
    sender = run(Recorder())
    until(lambda: sent(engine) == 6)
    seen = sender.last_progress
    commit(desk_on(engine), 4, finding(4))
    sender.wake()
    until(lambda: sent(engine) == 7, timeout_s=2.0)
    until(lambda: sender.last_progress > seen)


def test_a_lost_store_ends_the_thread_where_the_supervisor_sees_it(tmp_path: Path) -> None:
    engine = open_desk(tmp_path)
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE outbox"))
        connection.execute(sa.text("CREATE TABLE outbox (seq INTEGER, sink TEXT, state TEXT) STRICT"))
    sender = OutboxSender(engine, {"file": Recorder()}, SystemClock(), random.Random(1))
    sender.start()
    until(lambda: sender.failure is not None)
    assert sender.stop(5.0)
    engine.dispose()


def test_claims_use_the_partial_index(engine: sa.Engine) -> None:
    statements: list[tuple[str, object]] = []
    sa.event.listen(engine, "before_cursor_execute", lambda *args: statements.append((args[2], args[3])))
    claim(engine, "file", 5, frozenset())
    (query, parameters) = next(s for s in statements if "min(" in s[0])
    with engine.begin() as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", parameters).all()  # type: ignore[arg-type]
    assert any("outbox_waiting" in row[3] for row in plan)


def test_stored_bodies_match_their_digest(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        rows = connection.execute(sa.text("SELECT body, sha256 FROM outbox")).all()
    assert rows
    assert all(hashlib.sha256(body).hexdigest() == sha256 for body, sha256 in rows)


def test_backoff_has_full_jitter_and_ends_at_fifteen_minutes() -> None:
    rng = random.Random(5)
    for failures, ceiling_s in ((1, 1.0), (2, 2.0), (5, 16.0), (11, 900.0), (5000, 900.0)):
        waits = [backoff_s(failures, rng) for _ in range(400)]
        assert min(waits) < 0.1 * ceiling_s
        assert 0.9 * ceiling_s < max(waits) <= ceiling_s


def test_a_sink_that_takes_nothing_is_said_to_fail_until_it_takes_again(engine: sa.Engine) -> None:
    broken = threading.Event()
    broken.set()
    results: Counter[SendResult] = Counter()

    def answer(_subject: str, _call: int) -> Delivery:
        if broken.is_set():
            raise Unavailable("down")
        return Delivered()

    def on_attempt(sink: str, result: SendResult) -> None:
        assert sink == "file"
        results[result] += 1

    sender = OutboxSender(engine, {"file": Recorder(answer)}, FastClock(), random.Random(1), on_attempt)
    assert sender.failing == ()
    sender.start()
    try:
        until(lambda: sender.failing == ("file",))
        assert results[SendResult.RETRY] >= FAILING
        assert waiting(engine)["file"][0] == 6
        broken.clear()
        until(lambda: waiting(engine) == {})
        assert sender.failing == ()
        assert results[SendResult.SENT] == 6
    finally:
        assert sender.stop(10_000.0)


def test_what_waits_is_counted_with_the_age_of_the_oldest(engine: sa.Engine) -> None:
    """A refused notice waits for a person, an abandoned one for nobody."""
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE outbox SET created_at_ms = 1000 * seq"))
        connection.execute(sa.text("UPDATE outbox SET state = 'abandoned' WHERE seq = 1"))
        connection.execute(sa.text("UPDATE outbox SET state = 'needs_person' WHERE seq = 2"))
        connection.execute(sa.text("UPDATE outbox SET state = 'sent', sent_at_ms = 1 WHERE seq = 3"))
    assert waiting(engine) == {"file": (4, 2000)}
