"""What an energy account says that surcharges ask for: small enough to be kept beside a flag, so that other packs can
judge again without reading a year of registers."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Final

import msgspec

from models.domain.accounts import Account

WATER_FACT: Final = "water_m3"
"""The fact by which an output report states how much water was used."""

_WATER_FUEL: Final = "fresh-water"
_ENCODER: Final = msgspec.json.Encoder()


class Made(msgspec.Struct, frozen=True, array_like=True):
    """Output of one product; `quantity` None where it is contradictory."""

    product: str
    quantity: Decimal | None
    unit: str


class Uses(msgspec.Struct, frozen=True, array_like=True):
    """Electricity of the enterprise and of its lines in kWh (None: no reading), output, and water in m3.

    `account`: digest of the account; another one for the same period is a change.
    """

    account: str
    kwh: Decimal | None
    coverage: Decimal
    lines: tuple[tuple[str, Decimal | None], ...] = ()
    made: tuple[Made, ...] = ()
    water_m3: Decimal | None = None

    def of_line(self, line: str) -> tuple[bool, Decimal | None]:
        """Whether the line has electricity of its own, and how much."""
        return next(((True, kwh) for name, kwh in self.lines if name == line), (False, None))


_DECODER: Final = msgspec.json.Decoder(Uses)


def uses_of(account: Account, months: Iterable[Account] = ()) -> Uses:
    """The extract of an account; with the accounts of its `months` water is the sum over them."""
    water = [_water(one) for one in months] or [_water(account)]
    known = [used for used in water if used is not None]
    return Uses(
        account=account.digest,
        kwh=account.electricity.kwh,
        coverage=account.electricity.coverage,
        lines=tuple((entry.line, entry.electricity.kwh) for entry in account.sites if entry.line),
        made=tuple(Made(total.product, total.quantity, total.unit) for total in account.output),
        water_m3=sum(known, Decimal(0)) if known else None,
    )


def uses_bytes(uses: Uses) -> bytes:
    """JSON."""
    return _ENCODER.encode(uses)


def uses_from(body: bytes) -> Uses:
    """The extract of `uses_bytes`."""
    return _DECODER.decode(body)


def _water(account: Account) -> Decimal | None:
    """What reports state, else fresh water among the media; None for none."""
    stated = [value for name, value in account.facts if name == WATER_FACT and isinstance(value, Decimal)]
    media = [one.use for one in account.fuels if one.use.fuel == _WATER_FUEL and one.use.unit in ("t", "m3")]
    return stated[-1] if stated else sum((use.quantity for use in media), Decimal(0)) if media else None
