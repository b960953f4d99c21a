"""Heats of furnaces: from when to when, what they took, what went in and what came out."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from connectors.adapters.builder import BatchBuilder
from connectors.adapters.fields import (
    WrongField,
    check_names,
    flag,
    identifier,
    quantity,
    read_message,
    revision,
    stamp_ms,
    text,
)
from connectors.adapters.strict import StrictObject
from models.domain.production import MAX_HEAT_MS, HeatReport
from models.domain.readings import RejectReason

FIELDS: Final = ("furnace", "start", "end", "energy_kwh", "charged_t", "tapped_t", "product", "rev", "void")


class Heats:
    """`{"v":1,"sent":…,"heats":[{…}]}`."""

    def decode(self, payload: bytes, builder: BatchBuilder) -> None:
        """Each heat by itself; whether the furnace is the publisher's is checked by the daemon."""
        read_message(payload, builder, "heats", _report)


def _report(row: StrictObject, publisher: str) -> HeatReport:
    check_names(row, FIELDS, ("furnace", "start", "end"))
    start_ms, end_ms = stamp_ms(row, "start"), stamp_ms(row, "end")
    if start_ms >= end_ms:
        raise WrongField(RejectReason.RANGE, "the heat ends before it starts; check start and end")
    if end_ms - start_ms > MAX_HEAT_MS:
        raise WrongField(RejectReason.RANGE, "the heat is longer than 7 days; report heats one by one")
    energy = quantity(row, "energy_kwh")
    charged, tapped = quantity(row, "charged_t"), quantity(row, "tapped_t")
    rev, void = revision(row), flag(row, "void")
    if void and (rev == 0 or energy is not None or charged is not None or tapped is not None):
        raise WrongField(
            RejectReason.SCHEMA, "a void heat takes an earlier one back: rev above 0, no energy and no tonnes"
        )
    if not void and energy is None:
        raise WrongField(RejectReason.SCHEMA, "energy_kwh is missing")
    return HeatReport(
        publisher=publisher,
        furnace=identifier(row, "furnace"),
        start_ms=start_ms,
        end_ms=end_ms,
        energy_kwh=energy if energy is not None else Decimal(0),
        charged_t=charged,
        tapped_t=tapped,
        product=text(row, "product"),
        rev=rev,
        void=void,
    )
