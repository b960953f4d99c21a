"""Online and offline: a publisher's last will and its heartbeat."""

from __future__ import annotations

from typing import Final

from connectors.adapters.builder import BatchBuilder
from connectors.adapters.strict import Refused, StrictObject, parse
from models.domain.readings import RejectReason

STATES: Final = ("online", "offline")


class Status:
    """`{"v":1,"status":"online"}`, further fields allowed, or the bare word. Checked only: it carries no reading."""

    def decode(self, payload: bytes, builder: BatchBuilder) -> None:
        if payload in (b"online", b"offline"):
            return
        document = parse(payload)
        if isinstance(document, Refused):
            builder.reject(document.reason, document.detail)
        elif not isinstance(document, StrictObject) or document.get("status") not in STATES or document.repeated:
            builder.reject(RejectReason.SCHEMA, "status must be online or offline, once, in a JSON object")
