"""Settings of the law: where further rule packs lie."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from monitor.config.sections import Section


class LawSettings(Section):
    """Rule packs beside the shipped ones."""

    packs_dir: Path | None = Field(
        default=None,
        description="Directory of further rule packs (*.toml), read at the start after the shipped ones. A change "
        "there counts from the next start; `status` and the log tell of it. Unset: the shipped packs alone.",
    )
