"""Accounts kept in the desk beside the verdicts that rest on them: other packs judge again without the ledger.

A kept account is the account itself. It is taken away when its period has new data, and left aside where the register
is another one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from decimal import Decimal
from typing import Final

import msgspec
import sqlalchemy as sa

from models.domain.accounts import (
    Account,
    AllocationStep,
    Electricity,
    FuelTotal,
    Gap,
    Heats,
    MeterEnergy,
    OutputTotal,
    Period,
    SiteAccount,
)
from models.domain.production import Fact
from monitor.desk.finding_rows import chunked
from monitor.desk.schema import KEPT_ACCOUNTS

MOST_BYTES: Final = 65_536
"""An account longer than this (a year of single heats) is not kept but read again."""

_K: Final = KEPT_ACCOUNTS.c


class _Fact(msgspec.Struct, frozen=True, array_like=True):
    name: str
    kind: str
    value: str


class _Body(msgspec.Struct, frozen=True, array_like=True):
    """Everything of an account but whose it is, its period, and the register."""

    electricity: Electricity
    sites: tuple[SiteAccount, ...]
    meters: tuple[MeterEnergy, ...]
    allocation: tuple[AllocationStep, ...]
    output: tuple[OutputTotal, ...]
    fuels: tuple[FuelTotal, ...]
    facts: tuple[_Fact, ...]
    heats: Heats
    gaps: tuple[Gap, ...]
    digest: str
    notes: tuple[tuple[str, str], ...]


_ENCODER: Final = msgspec.json.Encoder(order="sorted")
_DECODER: Final = msgspec.json.Decoder(_Body)


def account_bytes(account: Account) -> bytes:
    """JSON."""
    body = _Body(
        account.electricity,
        account.sites,
        account.meters,
        account.allocation,
        account.output,
        account.fuels,
        tuple(_Fact(name, type(value).__name__, str(value)) for name, value in account.facts),
        account.heats,
        account.gaps,
        account.digest,
        account.notes,
    )
    return _ENCODER.encode(body)


def account_from(uscc: str, period: Period, register: str, body: bytes) -> Account:
    """The account of `account_bytes`. Raises msgspec.DecodeError."""
    kept = _DECODER.decode(body)
    return Account(
        uscc=uscc,
        period=period,
        electricity=kept.electricity,
        sites=kept.sites,
        meters=kept.meters,
        allocation=kept.allocation,
        output=kept.output,
        fuels=kept.fuels,
        facts=tuple((fact.name, _value(fact)) for fact in kept.facts),
        heats=kept.heats,
        gaps=kept.gaps,
        register=register,
        digest=kept.digest,
        notes=kept.notes,
    )


def _value(fact: _Fact) -> Fact:
    match fact.kind:
        case "bool":
            return fact.value == "True"
        case "Decimal":
            return Decimal(fact.value)
        case _:
            return fact.value


def kept_accounts(connection: sa.Connection, period: Period, usccs: Sequence[str], register: str) -> dict[str, Account]:
    """The kept accounts of some enterprises in a period under this register, whole ones only (rule S4)."""
    found: dict[str, Account] = {}
    for some in chunked(usccs):
        query = sa.select(_K.uscc, _K.body, _K.sha256).where(
            _K.period == period.name, _K.uscc.in_(some), _K.register == register
        )
        for uscc, body, sha256 in connection.execute(query):
            if hashlib.sha256(body).hexdigest() == sha256:
                found[uscc] = account_from(uscc, period, register, body)
    return found


def keep_accounts(connection: sa.Connection, period: str, read: Sequence[Account], judged: Collection[str]) -> None:
    """Keep the accounts that were read anew of enterprises something was said of; those of the others go."""
    rows = []
    for account in read:
        body = account_bytes(account) if account.uscc in judged else b""
        if 0 < len(body) <= MOST_BYTES:
            sha256 = hashlib.sha256(body).hexdigest()
            keys = {"uscc": account.uscc, "period": period, "register": account.register}
            rows.append(keys | {"body": body, "sha256": sha256})
    forget_accounts(connection, [(account.uscc, period) for account in read])
    if rows:
        connection.execute(sa.insert(KEPT_ACCOUNTS), rows)


def forget_accounts(connection: sa.Connection, subjects: Sequence[tuple[str, str]]) -> None:
    """Take away the kept accounts of (enterprise, period)."""
    if subjects:
        gone = sa.delete(KEPT_ACCOUNTS).where(_K.uscc == sa.bindparam("b_uscc"), _K.period == sa.bindparam("b_period"))
        connection.execute(gone, [{"b_uscc": uscc, "b_period": period} for uscc, period in subjects])
