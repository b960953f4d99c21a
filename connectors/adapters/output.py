"""Output reports: what an enterprise, a site or a line made and burnt in a period."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final, NoReturn

from connectors.adapters.builder import BatchBuilder
from connectors.adapters.fields import (
    WrongField,
    check_names,
    date,
    flag,
    identifier,
    number,
    quantity,
    read_message,
    revision,
    text,
)
from connectors.adapters.strict import MAX_FIELDS, StrictObject
from models.domain.codes import uscc_has_shape
from models.domain.production import MAX_DAYS, Fact, FuelUse, OutputReport
from models.domain.readings import RejectReason

FIELDS: Final = (
    "enterprise",
    "site",
    "line",
    "from",
    "to",
    "product",
    "quantity",
    "unit",
    "fuels",
    "facts",
    "rev",
    "void",
)
FUEL_FIELDS: Final = ("fuel", "quantity", "unit", "kj_per_unit", "kgce_per_unit", "value_source", "recovered")
MAX_FUELS: Final = 64
_FACT: Final = re.compile(r"[a-z][a-z0-9_]{0,63}", re.ASCII)


class Output:
    """`{"v":1,"sent":…,"outputs":[{…}]}`."""

    def decode(self, payload: bytes, builder: BatchBuilder) -> None:
        """Each report by itself; what belongs to the register or the rule packs is checked by the daemon."""
        read_message(payload, builder, "outputs", _report)


def _report(row: StrictObject, publisher: str) -> OutputReport:
    check_names(row, FIELDS, ("from", "to"))
    uscc, site, line = text(row, "enterprise"), identifier(row, "site"), identifier(row, "line")
    if sum(map(bool, (uscc, site, line))) != 1:
        _schema("give exactly one of enterprise, site and line")
    if uscc and not uscc_has_shape(uscc):
        _schema("enterprise is not a unified social credit code of 18 characters")
    first, last = date(row, "from"), date(row, "to")
    if first > last:
        raise WrongField(RejectReason.RANGE, f"from {first} is after to {last}; both days are part of the period")
    if (last - first).days >= MAX_DAYS:
        raise WrongField(RejectReason.RANGE, f"the period is longer than {MAX_DAYS} days; report by month")
    product, amount, unit = text(row, "product"), quantity(row, "quantity"), text(row, "unit")
    rev, void = revision(row), flag(row, "void")
    fuels, facts = _fuels(row), _facts(row)
    if void and (rev == 0 or amount is not None or unit or fuels or facts):
        _schema("a void report takes an earlier one back: rev above 0, no quantity, unit, fuels or facts")
    if not void and len({bool(product), amount is not None, bool(unit)}) != 1:
        _schema("product, quantity and unit come together")
    if not void and not product and not fuels and not facts:
        _schema("the report has no product, no fuels and no facts")
    return OutputReport(
        publisher=publisher,
        uscc=uscc,
        site=site,
        line=line,
        product=product,
        first=first,
        last=last,
        quantity=amount,
        unit=unit,
        fuels=fuels,
        facts=facts,
        rev=rev,
        void=void,
    )


def _fuels(row: StrictObject) -> tuple[FuelUse, ...]:
    listed = row.get("fuels")
    if listed is None:
        return ()
    if not isinstance(listed, list) or len(listed) > MAX_FUELS:
        _schema(f"fuels must be a list of at most {MAX_FUELS} objects")
    return tuple(_fuel(fuel) for fuel in listed)


def _fuel(fuel: object) -> FuelUse:
    if not isinstance(fuel, StrictObject):
        _schema("a fuel must be an object")
    check_names(fuel, FUEL_FIELDS, ("fuel", "quantity", "unit"))
    kj, kgce, source = quantity(fuel, "kj_per_unit"), quantity(fuel, "kgce_per_unit"), text(fuel, "value_source")
    if kj is not None and kgce is not None:
        _schema("give kj_per_unit or kgce_per_unit, not both")
    if (kj is not None or kgce is not None) != bool(source):
        _schema("a measured value and value_source (whose it is) come together")
    used = quantity(fuel, "quantity")
    return FuelUse(
        fuel=identifier(fuel, "fuel"),
        quantity=used if used is not None else Decimal(0),
        unit=text(fuel, "unit"),
        kj_per_unit=kj,
        kgce_per_unit=kgce,
        value_source=source,
        recovered=flag(fuel, "recovered"),
    )


def _facts(row: StrictObject) -> tuple[tuple[str, Fact], ...]:
    listed = row.get("facts")
    if listed is None:
        return ()
    if not isinstance(listed, StrictObject) or listed.repeated or len(listed) > MAX_FIELDS:
        _schema(f"facts must be an object of at most {MAX_FIELDS} names, each once")
    return tuple((name, _fact(name, listed)) for name in sorted(listed))


def _fact(name: str, facts: StrictObject) -> Fact:
    if _FACT.fullmatch(name) is None:
        _schema("the name of a fact is lower-case letters, digits and underscores, a letter first")
    value = facts[name]
    if isinstance(value, bool):
        return value
    return text(facts, name) if isinstance(value, str) else number(value, f"fact {name}")


def _schema(detail: str) -> NoReturn:
    raise WrongField(RejectReason.SCHEMA, detail)
