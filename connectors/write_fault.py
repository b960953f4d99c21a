"""Why a server of measurements did not take what was written to it."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class WriteFault(StrEnum):
    """Why a batch was not taken. The second half needs an operator; it is tried again all the same, slowly."""

    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    BUSY = "busy"
    SERVER = "server"
    ANSWER = "answer"
    LOGIN = "login"
    MISSING = "missing"
    REDIRECT = "redirect"
    FORBIDDEN = "forbidden"
    REFUSED = "refused"

    @property
    def needs_operator(self) -> bool:
        """Waiting alone will not cure it."""
        return self in _FOR_OPERATOR


_FOR_OPERATOR: Final = frozenset(
    {WriteFault.LOGIN, WriteFault.MISSING, WriteFault.REDIRECT, WriteFault.FORBIDDEN, WriteFault.REFUSED}
)
