"""Settings of what is kept for how long, and of the nightly backup."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from monitor.config.sections import Section

OLD_DAYS_MARGIN = 2
"""Days the history is kept beyond `time.old_days`: a day is a UTC day, and goes as a whole."""


class RetentionSettings(Section):
    """How long each class is kept. Leads, what people did with them, notices and the audit log are kept for ever."""

    journal_months: int = Field(
        default=24, ge=13, le=600, description="Months of raw messages and their quarantine, by month of receipt."
    )
    history_days: int = Field(
        default=800, ge=400, le=20_000, description="Days of decoded readings; more than time.old_days."
    )
    feature_nights: int = Field(
        default=800, ge=400, le=20_000, description="Nights of features and scores; detectors look back 400."
    )


class BackupSettings(Section):
    """A backup every night."""

    directory: Path | None = Field(
        default=None, description="Where a dated backup is made every night, on another disk. Unset: none is made."
    )
    keep: int = Field(default=7, ge=1, le=1000, description="Backups kept in that directory.")
    max_age_hours: int = Field(
        default=48, ge=1, le=10_000, description="Age of the last backup at which `doctor` warns."
    )


class PrivacySettings(Section):
    """Pseudonyms for the register that `daemon.register` names."""

    pseudonym_key_file: Path | None = Field(
        default=None,
        description="Key (mode 0600) under which names, addresses and credit codes of daemon.register are replaced.",
    )


class ScopeSettings(Section):
    """Which districts of the register this daemon serves; readings of other ones are not taken in."""

    districts: list[str] = Field(
        default_factory=list,
        description='District ids as in the register; ["*"] is all. Empty: daemon.district if that is set, else all.',
    )
    others: Literal["refuse", "ignore"] = Field(
        default="refuse", description="Readings of other districts: quarantined as AUTHZ, or passed over in silence."
    )
    unassigned: Literal["serve", "refuse"] = Field(
        default="serve", description="Sites whose enterprise has no district: ours, or nobody's."
    )
