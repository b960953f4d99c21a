"""Leads: what is handed to the office."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import Final


class LeadKind(StrEnum):
    """What a lead is about."""

    FURNACE_MELT = "furnace_melt"
    SEALED_SITE = "sealed_site"
    METER_SILENT = "meter_silent"
    CONSUMPTION = "consumption"
    INTENSITY = "intensity"
    OUTPUT_MISMATCH = "output_mismatch"
    RESTRICTED_EQUIPMENT = "restricted_equipment"


PERIOD_KINDS: Final = frozenset({LeadKind.INTENSITY, LeadKind.OUTPUT_MISMATCH, LeadKind.RESTRICTED_EQUIPMENT})
"""Kinds that come of a month's account or of the register, not of nights: one finding is enough."""


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
