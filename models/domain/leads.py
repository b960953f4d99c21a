"""Leads: what is handed to the office."""

from __future__ import annotations

import hashlib
from enum import StrEnum


class LeadKind(StrEnum):
    """What a lead is about; one detector each."""

    FURNACE_MELT = "furnace_melt"
    SEALED_SITE = "sealed_site"
    METER_SILENT = "meter_silent"
    CONSUMPTION = "consumption"
    INTENSITY = "intensity"
    OUTPUT_MISMATCH = "output_mismatch"
    RESTRICTED_EQUIPMENT = "restricted_equipment"


class LeadState(StrEnum):
    """Life of a lead as far as the machine moves it; people add claimed, dismissed, escalated (design §8)."""

    OPEN = "open"
    CLAIMED = "claimed"
    DISMISSED = "dismissed"
    ESCALATED = "escalated"
    STALE = "stale"
    WITHDRAWN = "withdrawn"


def lead_id(kind: LeadKind, subject: str, month: str) -> str:
    """Digest of (kind, subject, local calendar month `YYYY-MM`): the same facts always give the same id (rule D7)."""
    body = f"{kind.value}\x1f{subject}\x1f{month}".encode()
    return "L" + hashlib.sha256(body).hexdigest()[:20]
