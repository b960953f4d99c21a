"""One reading a message with a gateway's own names (`{"id":…,"t":…,"P":…,"Ua":…,"EPI":…}`), by a declared profile.

Nothing is guessed: unit and zone of the stamp, whether numbers come as strings and which name is which channel are
settings of the subscription.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal
from zoneinfo import ZoneInfo

import msgspec
import numpy as np

from connectors.adapters.builder import BatchBuilder, RowColumns
from connectors.adapters.stamps import rfc3339_ms, shown
from connectors.adapters.strict import MAX_FIELDS, Refused, StrictObject, StrictRow, parse
from models.domain.channels import CHANNELS
from models.domain.readings import RejectReason

GATEWAY_FIELDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "P": "p_kw", "Pa": "pa_kw", "Pb": "pb_kw", "Pc": "pc_kw", "Q": "q_kvar",
        "Ua": "ua_v", "Ub": "ub_v", "Uc": "uc_v", "Ia": "ia_a", "Ib": "ib_a", "Ic": "ic_a",
        "PF": "pf", "F": "f_hz", "EPI": "e_imp_kwh", "EPE": "e_exp_kwh",
    }
)  # fmt: skip
"""Names of the common gateway to channels; powers in kW, kvar and energies in kWh."""

_NUMBER: Final = re.compile(r"[+-]?\d{1,20}(?:\.\d{1,20})?(?:[eE][+-]?\d{1,3})?", re.ASCII)
_NAIVE: Final = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(?:\.\d{1,6})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class GenericProfile:
    """What the messages of one subscription mean.

    `time_unit`: `s` or `ms` since 1970, or `iso`; an ISO stamp without an offset is local time of `zone` (an IANA
    name; "" refuses it). `fields` maps names to channels; names in `ignored` are passed over, any other name is
    reported once a message and the rest of the reading taken. `missing` are the texts that mean "no value", besides
    null. `interval_s` 0 leaves the interval to the register.
    """

    time_unit: Literal["s", "ms", "iso"] = "s"
    zone: str = ""
    numbers_as_strings: bool = False
    meter_fields: tuple[str, ...] = ("id", "meter")
    time_fields: tuple[str, ...] = ("t", "ts", "time", "timestamp", "collectTime")
    fields: Mapping[str, str] = field(default_factory=lambda: GATEWAY_FIELDS)
    ignored: frozenset[str] = frozenset()
    missing: frozenset[str] = frozenset({"", "--"})
    interval_s: int = 0

    def __post_init__(self) -> None:
        """Raises ValueError for a mapping to what is no channel, or an unknown zone."""
        unknown = sorted(set(self.fields.values()) - CHANNELS.keys())
        if unknown:
            raise ValueError(f"generic profile: {unknown[0]!r} is not a channel; known: {', '.join(CHANNELS)}")
        if self.zone:
            ZoneInfo(self.zone)


class _Gathered:
    """Readings of a commit group, one a message."""

    def __init__(self) -> None:
        self.messages: list[int] = []
        self.rows: list[StrictRow] = []

    def flush(self, builder: BatchBuilder) -> None:
        names = dict.fromkeys(name for row in self.rows for name in row.values)
        builder.columns(
            RowColumns(
                meter=[row.meter for row in self.rows],
                ts=[row.ts for row in self.rows],
                interval_s=[row.interval_s for row in self.rows],
                rev=None,
                channels={name: np.array([row.values.get(name, math.nan) for row in self.rows]) for name in names},
                message=np.array(self.messages, dtype=np.int32),
                row=np.zeros(len(self.rows), dtype=np.int32),
            )
        )


class Generic:
    """Reads flat JSON objects by a profile."""

    def __init__(self, profile: GenericProfile | None = None) -> None:
        self._profile = profile or GenericProfile()
        self._zone = ZoneInfo(self._profile.zone) if self._profile.zone else None
        chosen = self._profile
        self._known = frozenset({*chosen.meter_fields, *chosen.time_fields, *chosen.ignored, *chosen.fields})

    def decode(self, payload: bytes, builder: BatchBuilder) -> None:
        document = _flat(payload)
        row = document if isinstance(document, Refused) else self._reading(document, builder)
        if isinstance(row, Refused):
            builder.reject(row.reason, row.detail)
            return
        gathered = builder.pending.get("generic")
        if not isinstance(gathered, _Gathered):
            gathered = builder.pending["generic"] = _Gathered()
        gathered.messages.append(builder.message)
        gathered.rows.append(row)

    def _reading(self, document: Mapping[str, object], builder: BatchBuilder) -> StrictRow | Refused:
        profile = self._profile
        meters = [document[name] for name in profile.meter_fields if name in document]
        stamps = [document[name] for name in profile.time_fields if name in document]
        if len(meters) != 1 or not isinstance(meters[0], str):
            return Refused(RejectReason.SCHEMA, f"exactly one of {', '.join(profile.meter_fields)} must be a string")
        if len(stamps) != 1:
            return Refused(RejectReason.SCHEMA, f"exactly one of {', '.join(profile.time_fields)} must be there")
        stamp_ms = self._stamp_ms(stamps[0])
        if isinstance(stamp_ms, Refused):
            return stamp_ms
        values = self._values(document)
        if isinstance(values, Refused):
            return values
        for name in sorted(document.keys() - self._known):
            told = "unknown field; add it to `fields` or `ignored` of the profile"
            builder.reject(RejectReason.SCHEMA, told, (0,), shown(name))
        return StrictRow(0, meters[0], stamp_ms, profile.interval_s, 0, values)

    def _values(self, document: Mapping[str, object]) -> dict[str, float] | Refused:
        values: dict[str, float] = {}
        for name, value in document.items():
            channel = self._profile.fields.get(name)
            if channel is None:
                continue
            number = self._number(name, value)
            if isinstance(number, Refused):
                return number
            if channel in values:
                return Refused(RejectReason.SCHEMA, f"two fields for {channel}")
            if number is not None:
                values[channel] = number
        return values

    def _stamp_ms(self, value: object) -> int | Refused:
        unit = self._profile.time_unit
        if unit == "iso":
            if not isinstance(value, str):
                return Refused(RejectReason.SCHEMA, "the profile declares ISO stamps; this one is not a string")
            stamp_ms = rfc3339_ms(value)
            if stamp_ms is None and self._zone is not None:
                stamp_ms = _local_ms(value, self._zone)
            told = "not an ISO stamp" if self._zone else "not RFC 3339 with an offset, and the profile has no zone"
            return Refused(RejectReason.PARSE, f"{shown(value)} is {told}") if stamp_ms is None else stamp_ms
        if self._profile.numbers_as_strings and isinstance(value, str) and value.isascii() and value.isdecimal():
            value = int(value) if len(value) <= 19 else math.inf
        if isinstance(value, bool) or not isinstance(value, int | float):
            return Refused(RejectReason.SCHEMA, f"the profile declares stamps in {unit}; this one is not an integer")
        if not abs(value) < 1 << 53:
            return Refused(RejectReason.NUMBER, "the stamp is beyond 53 bits")
        if not isinstance(value, int):
            return Refused(RejectReason.SCHEMA, f"the profile declares stamps in {unit}; this one is not an integer")
        return value * 1000 if unit == "s" else value

    def _number(self, name: str, value: object) -> float | Refused | None:
        if value is None:
            return None
        if isinstance(value, str):
            if value in self._profile.missing:
                return None
            if not self._profile.numbers_as_strings:
                return Refused(RejectReason.SCHEMA, f"{name} is a string; declare numbers_as_strings in the profile")
            if _NUMBER.fullmatch(value) is None:
                return Refused(RejectReason.PARSE, f"{name} {shown(value)} is not a decimal number")
            return float(value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return Refused(RejectReason.SCHEMA, f"{name} must be a number")
        try:
            return float(value)
        except OverflowError:
            return math.inf


def _flat(payload: bytes) -> Mapping[str, object] | Refused:
    """The message as a flat object, each name once."""
    if b"\\" not in payload:
        try:
            quick = msgspec.json.decode(payload)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            quick = None
        if isinstance(quick, dict):
            texts = list(map(type, quick.values())).count(str)
            if payload.count(b'"') == 2 * (len(quick) + texts) and len(quick) <= MAX_FIELDS:
                return quick
    document = parse(payload)
    if isinstance(document, Refused):
        return document
    if not isinstance(document, StrictObject):
        return Refused(RejectReason.SCHEMA, "the message must be a JSON object of one reading")
    if document.repeated:
        return Refused(RejectReason.SCHEMA, f"field {shown(document.repeated)} comes twice")
    if len(document) > MAX_FIELDS:
        return Refused(RejectReason.SCHEMA, f"more than {MAX_FIELDS} fields")
    return document


def _local_ms(text: str, zone: ZoneInfo) -> int | None:
    """Unix milliseconds of a local stamp; the earlier one where clocks were set back."""
    if _NAIVE.fullmatch(text) is None:
        return None
    try:
        moment = dt.datetime.fromisoformat(text).replace(tzinfo=zone)
        return int(moment.timestamp() * 1000)
    except (ValueError, OverflowError):
        return None
