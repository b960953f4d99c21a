"""What a simulated county is made of: its size, its sites, their blocks of load and their meters."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from models.simulated.electrical import Compensation
from models.simulated.furnace_spec import FurnaceSpec

ZONE: Final = "Asia/Shanghai"


@dataclass(frozen=True, slots=True)
class CountySpec:
    """`days` local days from `start`; `minute_meters` of the `sites` report every minute, the others every 15."""

    seed: int
    start: dt.date
    days: int
    sites: int = 240
    minute_meters: int = 12
    zone: str = ZONE


class LoadClass(StrEnum):
    """What a site is in truth."""

    HIDDEN_FURNACE = "hidden_furnace"
    FOUNDRY = "foundry"
    FORGING = "forging"
    ARC_FURNACE = "arc_furnace"
    SUBMERGED_ARC = "submerged_arc"
    ROLLING_MILL = "rolling_mill"
    HEAT_TREATMENT = "heat_treatment"
    CEMENT_MILL = "cement_mill"
    EV_DEPOT = "ev_depot"
    BATTERY = "battery"
    HEATING_BOILER = "heating_boiler"
    CRYPTO = "crypto"
    ELECTROLYSIS = "electrolysis"
    PLATING = "plating"
    PUMPING = "pumping"
    COLD_STORE = "cold_store"
    PLASTICS = "plastics"
    TEXTILE = "textile"
    MACHINING = "machining"
    STEEL_COIL = "steel_coil"
    KILN = "kiln"
    DATA_CENTRE = "data_centre"
    WAREHOUSE = "warehouse"
    COMMERCIAL = "commercial"
    RESIDENTIAL = "residential"
    CLOSED = "closed"
    POWER_CUT = "power_cut"
    RESTARTED = "restarted"


@dataclass(frozen=True, slots=True)
class LoadBlock:
    """One load of a class at a rating; the class decides its shape."""

    load_class: LoadClass
    rated_kw: float


@dataclass(frozen=True, slots=True)
class FurnaceBlock:
    """One melting installation."""

    furnace: FurnaceSpec


Block = LoadBlock | FurnaceBlock


class FaultKind(StrEnum):
    """Metering faults that single meters are chosen for; the common ones befall every meter."""

    ROLLOVER = "rollover"
    RATIO_CHANGED = "ratio_changed"
    REPLACED = "replaced"
    DEAD = "dead"
    OFF_TICK = "off_tick"


@dataclass(frozen=True, slots=True)
class MeterSpec:
    """One metering point. `ratio` is CT × PT; `decimals` the register's, before the ratio."""

    meter: str
    publisher: str
    interval_s: int
    ratio: float
    ratio_applied: bool
    decimals: int
    measures_q: bool
    faults: tuple[FaultKind, ...] = ()


@dataclass(frozen=True, slots=True)
class SiteSpec:
    """One site as drawn: `number` keys its random streams; `restart_night` is the evening a sealed site starts again.

    `rated_kw` is what the site was built for, `base_kw` the peak of its lighting and offices.
    """

    number: int
    site: str
    load_class: LoadClass
    blocks: tuple[Block, ...]
    rated_kw: float
    base_kw: float
    compensation: Compensation
    meter: MeterSpec
    restart_night: dt.date | None = None

    @property
    def furnace(self) -> FurnaceSpec | None:
        """The site's melting installation, if any."""
        return next((block.furnace for block in self.blocks if isinstance(block, FurnaceBlock)), None)
