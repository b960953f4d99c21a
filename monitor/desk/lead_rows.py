"""A lead as people and receivers see it: what it says, and where it stands."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

import msgspec

from models.domain.leads import LeadState

STANDING_RAISED: Final = "raised"
STANDING_WITHDRAWN: Final = "withdrawn"

_PEOPLE: Final = frozenset({LeadState.CLAIMED.value, LeadState.DISMISSED.value, LeadState.ESCALATED.value})


def shown_state(standing: str, handling: str) -> str:
    """One word for both: what people decided stays in sight, else what the machine says."""
    if handling in _PEOPLE:
        return handling
    return LeadState.WITHDRAWN.value if standing == STANDING_WITHDRAWN else handling


def lead_dict(body: bytes, *, standing: str, handling: str) -> dict[str, Any]:
    """The content of a revision with the state of its lead; the same bytes and states give the same dict."""
    content: dict[str, Any] = msgspec.json.decode(body)
    return {**content, "state": shown_state(standing, handling), "standing": standing}


def utc_text(ms: int | None) -> str | None:
    """A receipt stamp as RFC 3339 text, UTC, milliseconds."""
    if ms is None:
        return None
    return dt.datetime.fromtimestamp(ms / 1000.0, dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
