"""The bounded queue between the network thread and the core thread (rule D9)."""

from __future__ import annotations

import threading
from collections import deque
from typing import Final

from models.domain.readings import RawMessage

GROUP_MESSAGES: Final = 500
GROUP_LINGER_S: Final = 0.02
GROUP_BYTES: Final = 8 << 20
"""Payload a group holds at most, but for its last message: batches fill it long before `GROUP_MESSAGES` do."""
_QUIET_S: Final = 0.001


class IntakeQueue:
    """Messages that are received but not yet taken; never drops one.

    One thread or several put, one thread takes. Full means `max_messages` or `max_bytes` of payload; the low-water
    mark, below which a source that went away may come back, is a quarter of both.
    """

    def __init__(self, max_messages: int = 20_000, max_bytes: int = 64 << 20, *, put_wait_s: float = 20.0) -> None:
        """`put_wait_s` is how long `put` waits for room: a third of the keepalive, so that the session survives."""
        if max_messages < 1 or max_bytes < 1:
            raise ValueError(f"an intake queue of {max_messages} messages and {max_bytes} bytes holds nothing")
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._put_wait_s = put_wait_s
        self._messages: deque[RawMessage] = deque()
        self._bytes = 0
        self._wanted = 0
        self._waiting_for_room = 0
        self._closed = False
        lock = threading.Lock()
        self._lock = lock
        self._arrived = threading.Condition(lock)
        self._room = threading.Condition(lock)

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def bytes_held(self) -> int:
        """Payload bytes in the queue."""
        return self._bytes

    def has_room(self) -> bool:
        """Whether another message would be taken at once."""
        return len(self._messages) < self._max_messages and self._bytes < self._max_bytes

    def below_low_water(self) -> bool:
        """Whether a source that went away because the queue was full may come back."""
        return len(self._messages) <= self._max_messages // 4 and self._bytes <= self._max_bytes // 4

    def put(self, message: RawMessage) -> bool:
        """Append; when full, wait for room. False: there was none in time, the message was not taken.

        A source that gets False must not acknowledge the message and should disconnect on purpose: the session keeps
        it. The byte bound may be passed by one message.
        """
        with self._lock:
            if not self.has_room() and not self._wait_for_room():
                return False
            self._messages.append(message)
            self._bytes += len(message.payload)
            if self._wanted and len(self._messages) >= self._wanted:
                self._arrived.notify()
        return True

    def _wait_for_room(self) -> bool:
        self._waiting_for_room += 1
        try:
            self._room.wait_for(lambda: self._closed or self.has_room(), self._put_wait_s)
        finally:
            self._waiting_for_room -= 1
        return self.has_room()

    def take(
        self, max_n: int = GROUP_MESSAGES, wait_s: float = 0.1, linger_s: float = GROUP_LINGER_S
    ) -> list[RawMessage]:
        """The next commit group, oldest first: at most `max_n` messages, none when nothing came within `wait_s`.

        After the first message it waits on while more keep coming: until the group is full (in number or in bytes),
        `linger_s` is over, or nothing came for a millisecond (rule D5).
        """
        with self._lock:
            if not self._messages and wait_s > 0:
                self._await(1, wait_s)
            pauses = round(linger_s / _QUIET_S) if self._messages else 0
            while pauses > 0 and len(self._messages) < max_n and self._bytes < GROUP_BYTES and not self._closed:
                before = len(self._messages)
                self._await(max_n, _QUIET_S)
                pauses = pauses - 1 if len(self._messages) > before else 0
            taken: list[RawMessage] = []
            size = 0
            while self._messages and len(taken) < max_n and size < GROUP_BYTES:
                taken.append(self._messages.popleft())
                size += len(taken[-1].payload)
            self._bytes -= size
            if self._waiting_for_room:
                self._room.notify_all()
        return taken

    def _await(self, count: int, wait_s: float) -> None:
        self._wanted = count
        try:
            self._arrived.wait_for(lambda: self._closed or len(self._messages) >= count, wait_s)
        finally:
            self._wanted = 0

    def close(self) -> None:
        """Wake everybody; from now on neither side waits. What is held can still be taken."""
        with self._lock:
            self._closed = True
            self._arrived.notify_all()
            self._room.notify_all()
