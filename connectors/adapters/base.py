"""The contract of a payload format: bytes in, readings or named refusals out; a function of the bytes alone."""

from __future__ import annotations

from typing import Protocol

from connectors.adapters.builder import BatchBuilder


class Adapter(Protocol):
    """Reads one message into the builder of its commit group.

    Never raises for what a payload contains: what cannot be read becomes a `Rejection` in the builder, and one bad
    reading never costs the others (rules D5, D10, P1).
    """

    def decode(self, payload: bytes, builder: BatchBuilder) -> None:
        """Add the readings of `payload` to `builder`, whose current message is this one."""
