"""The commands a running daemon takes over its local API, one row each."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from monitor.accounts.requests import IMPORT, LIST, output_import, output_list
from monitor.audit.requests import history_manifest, write_checkpoint
from monitor.audit.state_check import CHECKPOINT, MANIFEST
from monitor.backup.hold import backup_begin, backup_end, backup_history, backup_poll
from monitor.commands import Handler
from monitor.evidence_pack.sources import (
    READINGS,
    ROWS,
    evidence_readings,
    evidence_rows,
)
from monitor.intensity.requests import LIST as INTENSITY_LIST
from monitor.intensity.requests import SHOW as INTENSITY
from monitor.intensity.requests import intensity_list, intensity_show
from monitor.office import ACTS, on_core
from monitor.retrying import quarantine_retry

COMMANDS: Final[Mapping[str, Handler]] = MappingProxyType(
    {
        "backup_begin": backup_begin,
        "backup_history": backup_history,
        "backup_poll": backup_poll,
        "backup_end": backup_end,
        READINGS: evidence_readings,
        ROWS: evidence_rows,
        CHECKPOINT: write_checkpoint,
        MANIFEST: history_manifest,
        "quarantine_retry": quarantine_retry,
        IMPORT: output_import,
        LIST: output_list,
        INTENSITY: intensity_show,
        INTENSITY_LIST: intensity_list,
        **{name: on_core(act) for name, act in ACTS.items()},
    }
)
"""Every command by the name it has in `POST /v1/commands/{name}`."""
