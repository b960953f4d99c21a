"""Refused messages that the broker delivers again, because our acknowledgement did not reach it.

Readings are told apart by their key when the journal is applied; a refused message has none, so its bytes are its key.
Without this, each restart would quarantine once more what was refused just before it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

from models.domain.readings import RawMessage, Rejection
from monitor.journal.body import KEPT_PAYLOAD_BYTES
from monitor.journal.journal import Journal

TAIL_MESSAGES: Final = 20_000
"""How far back is looked after a restart: ten times what the broker may have in flight by default."""
MAX_REMEMBERED: Final = 20_000


class RefusedBefore:
    """The last refused messages. Only a message with the DUP flag is compared: the same bytes sent anew are new."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, bytes], None] = {}

    def load(self, journal: Journal) -> None:
        """Take up what the end of the journal says was refused."""
        for entry in journal.read(journal.seq_before(TAIL_MESSAGES)):
            self.remember(entry.messages, entry.rejections)

    def remember(self, messages: Sequence[RawMessage], rejections: Sequence[Rejection]) -> None:
        """These were committed with these refusals."""
        for at in {r.message for r in rejections if not r.field}:
            self._known[_key(messages[at])] = None
        while len(self._known) > MAX_REMEMBERED:
            del self._known[next(iter(self._known))]

    def new(self, messages: Sequence[RawMessage]) -> Sequence[RawMessage]:
        """The messages without those that were committed and refused before."""
        if not self._known or not any(message.dup for message in messages):
            return messages
        return [m for m in messages if not m.dup or _key(m) not in self._known]


def _key(message: RawMessage) -> tuple[str, bytes]:
    """Topic, and digest of what the journal keeps of any payload."""
    return message.topic, hashlib.blake2b(message.payload[:KEPT_PAYLOAD_BYTES], digest_size=16).digest()
