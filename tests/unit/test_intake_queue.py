"""The bounded queue between the network and the core."""

from __future__ import annotations

import threading
import time

import pytest

from models.domain.readings import RawMessage
from monitor.intake import GROUP_BYTES, IntakeQueue


def raw(number: int, size: int = 10) -> RawMessage:
    return RawMessage("t", b"x" * size, 0, "p", "canonical", mid=number)


def mids(messages: list[RawMessage]) -> list[int]:
    return [m.mid for m in messages]


def test_messages_come_out_in_the_order_they_came_in() -> None:
    queue = IntakeQueue()
    for number in range(5):
        assert queue.put(raw(number))
    assert mids(queue.take(3, 0)) == [0, 1, 2]
    assert mids(queue.take(3, 0)) == [3, 4]
    assert queue.take(3, 0) == []
    assert (len(queue), queue.bytes_held) == (0, 0)


def test_a_group_of_large_messages_is_bounded_in_bytes() -> None:
    queue = IntakeQueue()
    for number in range(5):
        assert queue.put(raw(number, GROUP_BYTES // 2))
    assert mids(queue.take(500, 0)) == [0, 1]
    assert mids(queue.take(500, 0)) == [2, 3]
    assert queue.put(raw(5, 2 * GROUP_BYTES))
    assert mids(queue.take(500, 0)) == [4, 5]
    assert (len(queue), queue.bytes_held) == (0, 0)


def test_take_waits_for_the_first_message_and_no_longer_than_told() -> None:
    queue = IntakeQueue()
    started = time.monotonic()
    assert queue.take(10, 0.05) == []
    assert time.monotonic() - started >= 0.05
    timer = threading.Timer(0.02, queue.put, [raw(1)])
    timer.start()
    assert mids(queue.take(10, 5.0)) == [1]
    timer.join()


def test_take_lingers_while_messages_keep_coming() -> None:
    queue = IntakeQueue()
    stop = threading.Event()

    def feed() -> None:
        number = 0
        while not stop.is_set():
            queue.put(raw(number))
            number += 1
            stop.wait(0.0001)

    feeder = threading.Thread(target=feed)
    feeder.start()
    try:
        assert any(len(queue.take(20, 1.0, linger_s=5.0)) == 20 for _ in range(100))
    finally:
        stop.set()
        feeder.join()


@pytest.mark.parametrize(("messages", "size", "held"), [(4, 1 << 20, 4), (1000, 30, 3)], ids=["messages", "bytes"])
def test_a_full_queue_takes_no_more_and_drops_nothing(messages: int, size: int, held: int) -> None:
    queue = IntakeQueue(messages, size, put_wait_s=0.01)
    accepted = [queue.put(raw(number)) for number in range(6)]
    assert accepted == [True] * held + [False] * (6 - held)
    assert not queue.has_room()
    assert mids(queue.take(10, 0)) == list(range(held))
    assert queue.has_room()


def test_put_goes_on_when_room_is_made() -> None:
    queue = IntakeQueue(1, put_wait_s=10.0)
    queue.put(raw(0))
    results: list[bool] = []
    writer = threading.Thread(target=lambda: results.append(queue.put(raw(1))))
    writer.start()
    time.sleep(0.05)
    assert mids(queue.take(1, 0)) == [0]
    writer.join(5)
    assert results == [True]
    assert mids(queue.take(1, 0)) == [1]


def test_the_low_water_mark_is_a_quarter() -> None:
    queue = IntakeQueue(8)
    for number in range(3):
        queue.put(raw(number))
    assert not queue.below_low_water()
    queue.take(1, 0)
    assert queue.below_low_water()


def test_a_closed_queue_keeps_nobody_waiting_and_gives_out_what_it_holds() -> None:
    queue = IntakeQueue(1, put_wait_s=60.0)
    queue.put(raw(0))
    writer = threading.Thread(target=queue.put, args=[raw(1)])
    writer.start()
    queue.close()
    writer.join(5)
    assert not writer.is_alive()
    assert mids(queue.take(5, 60.0)) == [0]
    assert queue.take(5, 60.0) == []


def test_nothing_is_lost_or_repeated_between_two_threads() -> None:
    queue = IntakeQueue(100, put_wait_s=30.0)
    count = 20_000
    writer = threading.Thread(target=lambda: [queue.put(raw(number)) for number in range(count)])
    writer.start()
    seen: list[int] = []
    while len(seen) < count:
        seen += mids(queue.take(37, 5.0, linger_s=0.0))
    writer.join()
    assert seen == list(range(count))


def test_a_queue_that_holds_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="holds nothing"):
        IntakeQueue(0)
