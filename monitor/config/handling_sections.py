"""Settings of what people do with leads."""

from __future__ import annotations

from pydantic import Field

from monitor.config.sections import Section


class HandlingSettings(Section):
    """What becomes of leads that people handle, or do not."""

    stale_after_days: int = Field(
        default=60, ge=1, le=3650, description="An open lead nobody and nothing touched for so long is marked stale."
    )
