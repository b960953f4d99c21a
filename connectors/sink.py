"""What every way out of the house has in common: two answers, and one kind of trouble."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Delivered:
    """The other side has it."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The other side will never take it as it is; a person must look. `reason` carries no secret."""

    reason: str


Delivery = Delivered | Refused


class Unavailable(Exception):  # noqa: N818 - a state of the other side, not a fault of ours
    """Nothing was taken, or nobody knows: send the same bytes again later. The message carries no secret.

    `retry_after_s` is what the other side asked for, None where it did not.
    """

    def __init__(self, reason: str, retry_after_s: float | None = None) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(reason)


class Sink(Protocol):
    """Sends one event. Called by one thread at a time; the same event may come again after a crash."""

    @property
    def name(self) -> str:
        """Name of the sink in outbox rows; it never changes."""

    def send(self, body: bytes, idempotency_key: str, subject: str, event_type: str) -> Delivery:
        """Hand over exactly these bytes. Raises Unavailable where it should be tried again."""
