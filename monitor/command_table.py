"""The commands a running daemon takes over its local API, one row each."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from monitor.commands import Handler

COMMANDS: Final[Mapping[str, Handler]] = MappingProxyType({})
"""Every command by the name it has in `POST /v1/commands/{name}`."""
