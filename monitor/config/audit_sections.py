"""Settings of the signed checkpoints and of the scan that looks for damage."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from monitor.config.sections import Section


class AuditSettings(Section):
    """Checkpoints over journal and desk, and the daily look at what is stored."""

    key_file: Path | None = Field(
        default=None,
        description="Ed25519 private key (PEM, mode 0600) that signs checkpoints. Unset: one in the state directory.",
    )
    checkpoint_s: int = Field(default=60, ge=5, le=3600, description="Seconds between checkpoints.")
