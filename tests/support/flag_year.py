"""A year of four enterprises, month by month, with corrections that come two months late, through the real core."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Self

from models.domain.accounts import Period
from models.domain.readings import RawMessage
from models.domain.register import (
    Allocation,
    Declared,
    Enterprise,
    Line,
    Meter,
    Publisher,
    Register,
    RegisterRows,
    Site,
)
from monitor.tariffs.flag import FlagSubject, flag_id
from monitor.tariffs.store import FlagRevised, standing, trail_of
from tests.support.plant import ZONE, Plant, midnight_ms, output, readings

YEAR: Final = 2025
SMELTER, FERRO, SHOP, BLANK = (f"91450100MA000000{n}X" for n in range(1, 5))
KW: Final = {SMELTER: 10_000, FERRO: 500, SHOP: 20, BLANK: 30}
LISTED_UNTIL: Final = dt.date(YEAR, 7, 1)
DAY_MS: Final = 86_400_000


def meter_of(uscc: str) -> str:
    """Each enterprise has one meter, named after it."""
    return f"m{uscc[-2]}"


def register(*more: Declared, version: str = "v1") -> Register:
    """Guangxi: a smelter, a ferroalloy plant listed 限制类 for half the year, a shop, and one without a trade."""
    declared = (
        Declared(uscc=SMELTER, fact="plant", value="existing"),
        Declared(uscc=SMELTER, fact="billing_base", value="liquid_aluminium_electricity", line="pot"),
        Declared(uscc=FERRO, fact="equipment_class", value="限制类", source="2024年名单", valid_to=LISTED_UNTIL),
        Declared(uscc=FERRO, fact="equipment_class", value="none", source="整改验收", valid_from=LISTED_UNTIL),
        Declared(uscc=FERRO, fact="billing_base", value="production_electricity"),
        *more,
    )
    names = {SMELTER: ("铝业公司", "C3216"), FERRO: ("铁合金厂", "C3140"), SHOP: ("超市", "F5212"), BLANK: ("某厂", "")}
    rows = RegisterRows(
        enterprises=tuple(
            Enterprise(uscc=uscc, name=name, trade=trade, district="450100") for uscc, (name, trade) in names.items()
        ),
        sites=tuple(Site(site=f"s{uscc[-2]}", uscc=uscc) for uscc in names),
        meters=tuple(
            Meter(meter=meter_of(uscc), site=f"s{uscc[-2]}", publisher="bureau", cadence_s=86_400) for uscc in names
        ),
        lines=(Line(line="pot", site=f"s{SMELTER[-2]}", product="electrolytic_aluminium"),),
        allocations=(Allocation(meter=meter_of(SMELTER), line="pot"),),
        publishers=(Publisher(publisher="bureau", may_revise=True),),
        declared=declared,
    )
    return Register(rows, ZONE, version)


def months() -> list[Period]:
    """The months of the year."""
    return [Period.month(YEAR, month) for month in range(1, 13)]


def kwh_of(uscc: str, period: Period) -> Decimal:
    """What the meter of an enterprise counts in a period."""
    return Decimal(KW[uscc]) * 24 * period.days


def register_kwh(uscc: str, day: dt.date) -> float:
    """What the register shows at the midnight a day begins with."""
    return float(1000 + KW[uscc] * 24 * (day - dt.date(YEAR, 1, 1)).days)


def month_readings(month: Period) -> RawMessage:
    """Registers at each midnight of a month, both ends included, sent a day after it."""
    days = [month.first + dt.timedelta(days=n) for n in range(month.days + 1)]
    rows = [
        {"meter": meter_of(uscc), "ts": midnight_ms(day), "e_imp_kwh": register_kwh(uscc, day)}
        for uscc in KW
        for day in days
    ]
    return readings(rows, received_ms=midnight_ms(month.end) + DAY_MS)


def reread(uscc: str, day: dt.date, more_kwh: float, received: dt.date) -> RawMessage:
    """A register read anew, with a revision number."""
    row = {"meter": meter_of(uscc), "ts": midnight_ms(day), "e_imp_kwh": register_kwh(uscc, day) + more_kwh, "rev": 1}
    return readings([row], received_ms=midnight_ms(received))


def aluminium(month: Period, kwh_per_t: str, rev: int = 0, received: dt.date | None = None) -> RawMessage:
    """The smelter's output of a month, such that so many kWh went into a tonne."""
    tonnes = (kwh_of(SMELTER, month) / Decimal(kwh_per_t)).quantize(Decimal("0.000001"))
    row: dict[str, Any] = {
        "line": "pot",
        "from": f"{month.first}",
        "to": f"{month.last}",
        "product": "electrolytic_aluminium",
        "quantity": float(tonnes),
        "unit": "t",
    }
    at = received or month.end + dt.timedelta(days=2)
    return output(row | ({"rev": rev} if rev else {}), received_ms=midnight_ms(at))


@dataclass
class FlagYear:
    """A core that is fed month by month and judges what is over after each. A context manager."""

    state_dir: Path
    table: Register = field(default_factory=register)
    plant: Plant = field(init=False)

    def __post_init__(self) -> None:
        self.plant = Plant(self.state_dir, self.table)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.plant.__exit__(*error)

    def feed(self, *messages: RawMessage) -> Self:
        """Take messages in."""
        self.plant.feed(*messages)
        return self

    def judge(self, upto: dt.date) -> list[FlagRevised]:
        """Judge every period that is over on a day; the revisions that makes."""
        self.plant.rest()
        self.plant.core.intensity.finish(midnight_ms(upto))
        return self.plant.core.flags.finish(midnight_ms(upto))

    def run(self, kwh_per_t: str = "13296", upto: int = 12) -> Self:
        """Months one after the other, each judged when it is over."""
        for month in months()[:upto]:
            self.feed(month_readings(month), aluminium(month, kwh_per_t)).judge(month.end)
        return self

    def trail(self, uscc: str, period: str, subject: FlagSubject = FlagSubject.POWER) -> list[dict[str, Any]]:
        """Every revision of a flag."""
        with self.plant.core.engine.begin() as connection:
            return trail_of(connection, flag_id(uscc, period, subject))

    def standing(self, periods: Sequence[str] | None = None) -> list[dict[str, Any]]:
        """Flags as they stand."""
        with self.plant.core.engine.begin() as connection:
            return list(standing(connection, periods=periods))
