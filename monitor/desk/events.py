"""Leads as CloudEvents 1.0, structured JSON: the bytes that every sink sends."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from monitor.leads import canonical_json

_FORMAT: Final = JSONFormat()

CHECKPOINT_ATTRIBUTE: Final = "checkpoint"
"""Extension attribute of CloudEvents: a signed checkpoint in its short form."""


class ChangeKind(StrEnum):
    """What happened to a lead."""

    RAISED = "raised"
    AMENDED = "amended"
    WITHDRAWN = "withdrawn"
    REOPENED = "reopened"

    @property
    def event_type(self) -> str:
        """The CloudEvents type."""
        return f"cn.gridwarden.lead.{self.value}.v1"


@dataclass(frozen=True, slots=True)
class Notice:
    """One event ready to be sent: key and bytes never change again."""

    idempotency_key: str
    subject: str
    event_type: str
    body: bytes


def lead_notice(
    district: str, change: ChangeKind, event_ms: int, lead: Mapping[str, Any], checkpoint: str = ""
) -> Notice:
    """The event of one change of a lead; `lead` is its canonical dict with `id` and `revision`.

    The time is that of the event (the end of the last night), so the same change gives the same bytes. The key covers
    the content too: after a rebuild from the journal a receiver can tell a repeat from a different history.
    `checkpoint` is the newest one in its short form (rule L3), carried as the attribute `checkpoint`: a copy of it is
    then off this machine. The key does not cover it.
    """
    facts = f"{lead['id']}\x1f{lead['revision']}\x1f{change.value}\x1f".encode()
    key = hashlib.sha256(facts + canonical_json(lead)).hexdigest()
    event = CloudEvent(
        {
            "specversion": "1.0",
            "id": key,
            "source": f"urn:gridwarden:{district}",
            "type": change.event_type,
            "subject": str(lead["id"]),
            "time": dt.datetime.fromtimestamp(event_ms / 1000.0, dt.UTC),
            "datacontenttype": "application/json",
            **({CHECKPOINT_ATTRIBUTE: checkpoint} if checkpoint else {}),
        },
        dict(lead),
    )
    return Notice(key, str(lead["id"]), change.event_type, _FORMAT.write(event))
