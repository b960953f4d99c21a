"""What reports and the register state of a plant, as the named facts the rule packs ask for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from types import MappingProxyType
from typing import Final, Literal

from models.domain.accounts import Account
from models.domain.production import Fact
from models.domain.register import Register
from models.law.case import METER_CLASSES, misfit
from models.law.conditions import FactValue
from models.law.library import Law
from models.law.vocabulary import FactName

Plant = Literal["existing", "new"]

PLANT: Final = "plant"
METER_CLASS: Final = "meter_class"
_PLANTS: Final[Mapping[str, Plant]] = MappingProxyType(
    {
        "existing": "existing",
        "现有": "existing",
        "既有": "existing",
        "new": "new",
        "新建": "new",
        "改建": "new",
        "扩建": "new",
    }
)
_YES_NO: Final = MappingProxyType({"是": True, "yes": True, "true": True, "否": False, "no": False, "false": False})


@dataclass(frozen=True, slots=True)
class Known:
    """Facts that fit the packs. `plant` None: nobody said whether the plant is existing or new (or rebuilt).

    `meter_class`: the least accurate class declared, None where none is. `notes` name what was left out and why.
    """

    facts: Mapping[str, FactValue]
    plant: Plant | None
    meter_class: str | None
    notes: tuple[str, ...]


def known_of(account: Account, register: Register, law: Law, lines: Sequence[str] = ()) -> Known:
    """Facts of an enterprise in a period: the register's, then those of its `lines`, and over them the reports' own."""
    stated: dict[str, Fact | str] = {}
    for line in ("", *lines):
        rows = register.declared_on(account.uscc, account.period.last, line)
        stated.update((name, row.value) for name, row in rows.items())
    stated.update(account.facts)
    names = law.table(FactName)
    facts: dict[str, FactValue] = {}
    notes: list[str] = []
    plant: Plant | None = None
    meter_class: str | None = None
    for name, value in sorted(stated.items()):
        if name == PLANT:
            plant = _PLANTS.get(str(value).strip().lower())
            wrong = None if plant is not None else "existing 现有 / new 新建"
        elif name == METER_CLASS:
            meter_class = str(value).strip() if str(value).strip() in METER_CLASSES else None
            wrong = None if meter_class is not None else ", ".join(METER_CLASSES)
        elif name not in names:
            continue
        else:
            fitting = _value(names[name], value)
            wrong = misfit(names[name], fitting)
            if wrong is None:
                facts[name] = fitting
        if wrong is not None:
            notes.append(f"{name} = {value}: 未采用 / not used ({wrong})")
    return Known(MappingProxyType(facts), plant, meter_class, tuple(notes))


def _value(name: FactName, value: Fact | str) -> FactValue:
    """The value in the kind the fact asks for, where its text allows."""
    if not isinstance(value, str):
        return value
    match name.kind:
        case "number":
            try:
                number = Decimal(value.strip())
            except InvalidOperation:
                return value
            return number if number.is_finite() else value
        case "yes_no":
            return _YES_NO.get(value.strip().lower(), value)
        case "choice":
            return value.strip()
