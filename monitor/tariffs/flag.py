"""The tariff consequence of an enterprise and period as it is kept: a verdict with all one needs to redo it.

Decimals are exact throughout and stand as text in JSON. The same inputs, register and packs give the same bytes.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Mapping
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from models.domain.accounts import Period
from models.law.steps import Citation, Missing

_ENCODER: Final = msgspec.json.Encoder(order="sorted")
_ID_CHARACTERS: Final = 20


class FlagStatus(StrEnum):
    """What may be said (design §7): only `flag` may be billed on."""

    FLAG = "flag"
    CLEAR = "clear"
    UNDETERMINED = "undetermined"
    NEEDS_DATA = "needs_data"
    NEEDS_REVIEW = "needs_review"


class FlagSubject(StrEnum):
    """What is charged: one surcharge at most on the same kWh, so there is one flag of each a period."""

    POWER = "power"
    WATER = "water"


class FlagChange(StrEnum):
    """What happened to a flag in the eyes of those who are told of it."""

    RAISED = "raised"
    AMENDED = "amended"
    WITHDRAWN = "withdrawn"

    @property
    def event_type(self) -> str:
        """The CloudEvents type."""
        return f"cn.gridwarden.flag.{self.value}.v1"


class FlagStep(msgspec.Struct, frozen=True, array_like=True):
    """One line of the calculation; `formula` has its inputs in it, `result` is exact."""

    zh: str
    en: str
    formula: str
    result: str
    unit: str
    document: str = ""


class FlagPart(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one rule comes to where several bear on the period: `applies` names the one that is billed."""

    rule: str | None
    status: FlagStatus
    tier: str | None = None
    surcharge_cny_per_kwh: Decimal | None = None
    amount_cny: Decimal | None = None
    applies: bool = False
    reason_zh: str = ""
    reason_en: str = ""


class Flag(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What follows for `uscc` in `period` (`2026-03`, or `2026` where the rule is yearly).

    `rule`, `tier`: by which rule, in which tier of it; `kwh`: what is charged, `amount_cny` = kwh × surcharge;
    `billing_base`: which electricity; `basis`: what decides (equipment class, a metric); `base_period`: of which
    period its figure is; `preview`: the status if all that is not verified were; `facts`: what it was judged by, JSON
    (`facts_text`). None: not known, or no such thing.
    """

    uscc: str
    name: str
    district: str
    industry: str
    period: str
    subject: FlagSubject
    status: FlagStatus
    reason_zh: str
    reason_en: str
    rule: str | None = None
    rule_title: str = ""
    kind: str = ""
    tier: str | None = None
    surcharge_cny_per_kwh: Decimal | None = None
    billing_base: str | None = None
    kwh: Decimal | None = None
    coverage: Decimal | None = None
    amount_cny: Decimal | None = None
    basis: str = ""
    base_period: str = ""
    actual: Decimal | None = None
    limit: Decimal | None = None
    unit: str = ""
    confidence: str = ""
    preview: FlagStatus | None = None
    steps: tuple[FlagStep, ...] = ()
    citations: tuple[Citation, ...] = ()
    missing: tuple[Missing, ...] = ()
    notes: tuple[str, ...] = ()
    parts: tuple[FlagPart, ...] = ()
    facts: str = ""

    @property
    def id(self) -> str:
        """Digest of enterprise, period and subject: the same flag for ever, whatever it comes to."""
        return flag_id(self.uscc, self.period, self.subject)

    @property
    def is_told(self) -> bool:
        """Whether receivers are told of it: it is to be billed, or a person must look before it can be."""
        return self.status in (FlagStatus.FLAG, FlagStatus.NEEDS_REVIEW)


class Provenance(msgspec.Struct, frozen=True):
    """What a flag was judged with: digests of its inputs and of the rule packs, and the packs' versions."""

    inputs: str
    law: str
    law_version: str
    register: str


class Judged(msgspec.Struct, frozen=True):
    """A flag, what it was judged with, and the extract of the account (`monitor.tariffs.uses`) it rests on."""

    flag: Flag
    made_with: Provenance
    uses: bytes


_FLAG_DECODER: Final = msgspec.json.Decoder(Flag)
_DEFAULTS: Final[Mapping[str, Any]] = MappingProxyType(
    {
        field.encode_name: [] if field.default == () else field.default
        for field in msgspec.structs.fields(Flag)
        if field.default is not msgspec.NODEFAULT
    }
)
"""What stands for fields that were left out of the bytes because nothing is to be said."""


@lru_cache(maxsize=8192)
def flag_id(uscc: str, period: str, subject: FlagSubject) -> str:
    """The id of the flag of an enterprise, period and subject."""
    return hashlib.sha256(f"flag\x1f{uscc}\x1f{period}\x1f{subject.value}".encode()).hexdigest()[:_ID_CHARACTERS]


def flag_bytes(flag: Flag) -> bytes:
    """Canonical JSON."""
    return _ENCODER.encode(flag)


def flag_of(body: bytes) -> Flag:
    """The flag of `flag_bytes`."""
    return _FLAG_DECODER.decode(body)


def flag_dict(flag: Flag) -> dict[str, Any]:
    """Plain JSON values; every field is there, numbers are text so that no digit is lost."""
    return flag_row(flag.id, flag_bytes(flag))


def flag_row(id_: str, body: bytes) -> dict[str, Any]:
    """`flag_dict` of a flag whose bytes are at hand."""
    return {"id": id_, **_DEFAULTS, **msgspec.json.decode(body)}


def digest_of(parts: Iterable[Any]) -> str:
    """SHA-256 over the canonical JSON of plain values, dataclasses or structs."""
    return hashlib.sha256(_ENCODER.encode(list(parts))).hexdigest()


def end_ms(period: str, zone: ZoneInfo) -> int:
    """The event time of a period: the local midnight at which it is over, Unix ms."""
    end = Period.parse(period).end
    return int(dt.datetime(end.year, end.month, end.day, tzinfo=zone).timestamp()) * 1000
