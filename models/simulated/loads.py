"""The table of loads: which function draws which class."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from models.simulated import loads_general, loads_metal, loads_valley
from models.simulated.shapes import Curve, Rng
from models.simulated.spec import LoadClass
from models.simulated.timeline import Timeline

LoadFunction = Callable[[float, Timeline, Rng], Curve]

LOADS: Final[Mapping[LoadClass, LoadFunction]] = MappingProxyType(
    {
        LoadClass.FORGING: loads_metal.forging,
        LoadClass.ARC_FURNACE: loads_metal.arc_furnace,
        LoadClass.SUBMERGED_ARC: loads_metal.submerged_arc,
        LoadClass.ROLLING_MILL: loads_metal.rolling_mill,
        LoadClass.HEAT_TREATMENT: loads_metal.heat_treatment,
        LoadClass.ELECTROLYSIS: loads_metal.electrolysis,
        LoadClass.PLATING: loads_metal.plating,
        LoadClass.RESTARTED: loads_metal.night_works,
        LoadClass.CEMENT_MILL: loads_valley.cement_mill,
        LoadClass.EV_DEPOT: loads_valley.ev_depot,
        LoadClass.BATTERY: loads_valley.battery,
        LoadClass.HEATING_BOILER: loads_valley.heating_boiler,
        LoadClass.PUMPING: loads_valley.pumping,
        LoadClass.COLD_STORE: loads_valley.cold_store,
        LoadClass.PLASTICS: loads_general.plastics,
        LoadClass.TEXTILE: loads_general.textile,
        LoadClass.MACHINING: loads_general.machining,
        LoadClass.STEEL_COIL: loads_general.steel_coil,
        LoadClass.KILN: loads_general.kiln,
        LoadClass.CRYPTO: loads_general.crypto,
        LoadClass.DATA_CENTRE: loads_general.data_centre,
        LoadClass.WAREHOUSE: loads_general.warehouse,
        LoadClass.COMMERCIAL: loads_general.commercial,
        LoadClass.RESIDENTIAL: loads_general.residential,
    }
)
"""Each takes the rating in kW, the timeline and a generator, and draws its own parameters from the generator."""
