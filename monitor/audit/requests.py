"""What the command line asks of the running daemon about what is stored."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from monitor.audit.history_check import manifest

if TYPE_CHECKING:
    from monitor.wiring import Core


def write_checkpoint(core: Core, arguments: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG001 -- a command's form
    """Cover everything up to now by a signed checkpoint; answers with its short form."""
    while core.checkpoints.due():
        pass
    return {"checkpoint": core.checkpoints.newest}


def history_manifest(core: Core, arguments: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG001 -- a command's form
    """The sealed files of the history with their digests."""
    return {"parts": [dataclasses.asdict(part) for part in manifest(core.history)]}
