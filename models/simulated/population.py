"""Who is in the county: how many sites of each class, and how each of them is drawn."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from models.simulated.electrical import Compensation, CompensationKind, draw_compensation
from models.simulated.furnace_spec import Bodies, FurnaceSpec, draw_furnace
from models.simulated.seeding import stream
from models.simulated.shapes import Rng, lognormal
from models.simulated.spec import (
    Block,
    CountySpec,
    FaultKind,
    FurnaceBlock,
    LoadBlock,
    LoadClass,
    MeterSpec,
    SiteSpec,
)

PUBLISHERS: Final = ("bureau-north", "bureau-east", "bureau-south")
_DEFAULT_SITES: Final = 240
_DEFAULT_MAJOR_FURNACES: Final = 25
_DEFAULT_MINOR_FURNACES: Final = 6

_COUNTS: Final[Mapping[LoadClass, int]] = MappingProxyType(
    {
        LoadClass.FOUNDRY: 10,
        LoadClass.FORGING: 6,
        LoadClass.ARC_FURNACE: 3,
        LoadClass.SUBMERGED_ARC: 2,
        LoadClass.ROLLING_MILL: 4,
        LoadClass.HEAT_TREATMENT: 8,
        LoadClass.CEMENT_MILL: 5,
        LoadClass.EV_DEPOT: 5,
        LoadClass.BATTERY: 3,
        LoadClass.HEATING_BOILER: 6,
        LoadClass.CRYPTO: 2,
        LoadClass.ELECTROLYSIS: 1,
        LoadClass.PLATING: 3,
        LoadClass.PUMPING: 8,
        LoadClass.COLD_STORE: 8,
        LoadClass.PLASTICS: 20,
        LoadClass.TEXTILE: 14,
        LoadClass.MACHINING: 25,
        LoadClass.STEEL_COIL: 3,
        LoadClass.KILN: 2,
        LoadClass.DATA_CENTRE: 2,
        LoadClass.WAREHOUSE: 8,
        LoadClass.RESIDENTIAL: 10,
        LoadClass.CLOSED: 1,
        LoadClass.POWER_CUT: 1,
        LoadClass.RESTARTED: 1,
    }
)
"""Sites of a class in a county of 240; what is left over is commercial."""

_RATED_KW: Final[Mapping[LoadClass, tuple[float, float]]] = MappingProxyType(
    {
        LoadClass.FORGING: (150.0, 2500.0),
        LoadClass.ARC_FURNACE: (3000.0, 30_000.0),
        LoadClass.SUBMERGED_ARC: (6000.0, 30_000.0),
        LoadClass.ROLLING_MILL: (1000.0, 8000.0),
        LoadClass.HEAT_TREATMENT: (300.0, 2500.0),
        LoadClass.CEMENT_MILL: (1200.0, 6000.0),
        LoadClass.EV_DEPOT: (1000.0, 6000.0),
        LoadClass.BATTERY: (200.0, 5000.0),
        LoadClass.HEATING_BOILER: (300.0, 8000.0),
        LoadClass.CRYPTO: (200.0, 5000.0),
        LoadClass.ELECTROLYSIS: (2000.0, 40_000.0),
        LoadClass.PLATING: (100.0, 1000.0),
        LoadClass.PUMPING: (60.0, 2000.0),
        LoadClass.COLD_STORE: (50.0, 800.0),
        LoadClass.PLASTICS: (100.0, 1500.0),
        LoadClass.TEXTILE: (300.0, 5000.0),
        LoadClass.MACHINING: (100.0, 600.0),
        LoadClass.STEEL_COIL: (150.0, 600.0),
        LoadClass.KILN: (200.0, 900.0),
        LoadClass.DATA_CENTRE: (500.0, 8000.0),
        LoadClass.WAREHOUSE: (20.0, 200.0),
        LoadClass.COMMERCIAL: (30.0, 1500.0),
        LoadClass.RESIDENTIAL: (80.0, 500.0),
        LoadClass.RESTARTED: (200.0, 800.0),
        LoadClass.CLOSED: (200.0, 800.0),
        LoadClass.POWER_CUT: (200.0, 800.0),
    }
)
_COVERS: Final = (LoadClass.PLASTICS, LoadClass.MACHINING, LoadClass.WAREHOUSE)
_HOSTS: Final = (LoadClass.PLASTICS, LoadClass.TEXTILE)
_SEALED: Final = frozenset({LoadClass.CLOSED, LoadClass.POWER_CUT, LoadClass.RESTARTED})
_FAULT_ORDER: Final = (FaultKind.DEAD, FaultKind.ROLLOVER, FaultKind.RATIO_CHANGED, FaultKind.REPLACED)


def draw_sites(county: CountySpec) -> tuple[SiteSpec, ...]:
    """Every site of the county, in an order that says nothing about its class. Cheap: no load curves."""
    classes = _classes(county)
    order = stream(county.seed, "order").permutation(len(classes)).tolist()
    minute_numbers = _minute_numbers(county, [classes[k] for k in order])
    own_faults = _own_faults(county, [classes[k][0] for k in order])
    return tuple(
        _draw_site(
            county,
            number,
            *classes[position],
            interval_s=60 if number in minute_numbers else 900,
            faults=own_faults.get(number, ()),
        )
        for number, position in enumerate(order)
    )


def _classes(county: CountySpec) -> list[tuple[LoadClass, float | None]]:
    """(class, wanted furnace share) of each site; the share is None where the furnace stands alone."""
    scale = county.sites / _DEFAULT_SITES
    found: list[tuple[LoadClass, float | None]] = []
    rng = stream(county.seed, "shares")
    found += [(LoadClass.HIDDEN_FURNACE, None)] * max(1, round(_DEFAULT_MAJOR_FURNACES * scale))
    found += [
        (LoadClass.HIDDEN_FURNACE, float(rng.uniform(0.28, 0.55)))
        for _ in range(round(_DEFAULT_MINOR_FURNACES * scale))
    ]
    for load_class, count in _COUNTS.items():
        found += [(load_class, None)] * _scaled(count, scale)
    found = found[: county.sites]
    return found + [(LoadClass.COMMERCIAL, None)] * (county.sites - len(found))


def _scaled(count: int, scale: float) -> int:
    return max(1, round(count * scale)) if scale >= 0.25 else round(count * scale)


def _minute_numbers(county: CountySpec, classes: list[tuple[LoadClass, float | None]]) -> frozenset[int]:
    """Sites that report every minute: a third of them hidden furnaces, the rest drawn from everyone else."""
    rng = stream(county.seed, "minute-meters")
    hidden = [n for n, (load_class, _) in enumerate(classes) if load_class is LoadClass.HIDDEN_FURNACE]
    others = [n for n, (load_class, _) in enumerate(classes) if load_class is not LoadClass.HIDDEN_FURNACE]
    wanted = min(county.minute_meters, county.sites)
    from_hidden = min(len(hidden), math.ceil(wanted / 3))
    chosen = rng.permutation(hidden)[:from_hidden].tolist()
    chosen += rng.permutation(others)[: wanted - from_hidden].tolist()
    return frozenset(chosen)


def _own_faults(county: CountySpec, classes: list[LoadClass]) -> dict[int, tuple[FaultKind, ...]]:
    """Which meters have a fault of their own: one of each kind per 240 sites; some more stamp off the tick."""
    rng = stream(county.seed, "own-faults")
    open_to = [n for n, c in enumerate(classes) if c not in _SEALED and c is not LoadClass.HIDDEN_FURNACE]
    chosen = rng.permutation(open_to).tolist()
    found: dict[int, tuple[FaultKind, ...]] = {}
    each = max(1, round(county.sites / _DEFAULT_SITES))
    for kind in _FAULT_ORDER:
        for _ in range(min(each, len(chosen))):
            found[chosen.pop()] = (kind,)
    for _ in range(min(round(0.02 * county.sites), len(chosen))):
        found[chosen.pop()] = (FaultKind.OFF_TICK,)
    return found


def _draw_site(
    county: CountySpec,
    number: int,
    load_class: LoadClass,
    share: float | None,
    *,
    interval_s: int,
    faults: tuple[FaultKind, ...],
) -> SiteSpec:
    rng = stream(county.seed, "site", number, "spec")
    blocks, rated_kw = _draw_blocks(load_class, share, rng)
    base_kw = min(lognormal(rng, 0.02 * rated_kw, 0.6), 0.1 * rated_kw)
    if load_class in _SEALED:
        base_kw = 0.0 if load_class is LoadClass.POWER_CUT else rng.uniform(0.3, 1.2)
    compensated = load_class not in _SEALED and load_class is not LoadClass.RESIDENTIAL
    return SiteSpec(
        number=number,
        site=f"S{number + 1:05d}",
        load_class=load_class,
        blocks=blocks,
        rated_kw=rated_kw,
        base_kw=base_kw,
        compensation=draw_compensation(rng, rated_kw) if compensated else Compensation(CompensationKind.NONE),
        meter=_draw_meter(number, rated_kw, interval_s, faults, rng),
        restart_night=_restart_night(county, rng) if load_class is LoadClass.RESTARTED else None,
    )


def _draw_blocks(load_class: LoadClass, share: float | None, rng: Rng) -> tuple[tuple[Block, ...], float]:
    """The blocks of a site and the power they may reach together."""
    if load_class in {LoadClass.HIDDEN_FURNACE, LoadClass.FOUNDRY}:
        furnace = draw_furnace(rng, legal=load_class is LoadClass.FOUNDRY)
        if share is None:
            return _with_cover(furnace, rng)
        host_kw = furnace.rated_kw * (1.0 / share - 1.0) * 1.15
        host = _HOSTS[int(rng.integers(len(_HOSTS)))]
        return (FurnaceBlock(furnace), LoadBlock(host, host_kw)), furnace.rated_kw + host_kw
    low, high = _RATED_KW[load_class]
    rated_kw = math.exp(rng.uniform(math.log(low), math.log(high)))
    if load_class in {LoadClass.CLOSED, LoadClass.POWER_CUT}:
        return (), rated_kw
    if load_class is LoadClass.BATTERY:
        host_kw = rated_kw * rng.uniform(0.8, 2.0)
        return (LoadBlock(load_class, rated_kw), LoadBlock(LoadClass.MACHINING, host_kw)), rated_kw + host_kw
    return (LoadBlock(load_class, rated_kw),), rated_kw


def _with_cover(furnace: FurnaceSpec, rng: Rng) -> tuple[tuple[Block, ...], float]:
    """A furnace that is most of its site; seven in ten have some day business beside it."""
    mean_kw = furnace.rated_kw * (0.9 if furnace.bodies is Bodies.POWER_SHARING else 0.7)
    if rng.random() >= 0.7:
        return (FurnaceBlock(furnace),), furnace.rated_kw
    cover_kw = mean_kw * rng.uniform(0.05, 0.40)
    cover = LoadBlock(_COVERS[int(rng.integers(len(_COVERS)))], cover_kw)
    return (FurnaceBlock(furnace), cover), furnace.rated_kw + cover_kw


def _restart_night(county: CountySpec, rng: Rng) -> dt.date:
    first, last = round(0.4 * county.days), max(round(0.6 * county.days), round(0.4 * county.days) + 1)
    return county.start + dt.timedelta(days=min(int(rng.integers(first, last)), max(county.days - 2, 0)))


def _draw_meter(number: int, rated_kw: float, interval_s: int, faults: tuple[FaultKind, ...], rng: Rng) -> MeterSpec:
    """High-voltage metering (PT 100) from about 600 kW; current transformers of the next usual size."""
    high_voltage = rated_kw > 600.0
    amperes = 1.3 * rated_kw / (math.sqrt(3.0) * (10.0 if high_voltage else 0.38) * 0.9)
    sizes = (50, 75, 100, 150, 200, 300, 400, 600, 800, 1000, 1500, 2000, 3000, 5000, 8000)
    current = next((size for size in sizes if size >= amperes), sizes[-1])
    return MeterSpec(
        meter=f"5001{number * 7919 % 1_000_003:06d}{number % 100:02d}",
        publisher=PUBLISHERS[int(rng.integers(len(PUBLISHERS)))],
        interval_s=interval_s,
        ratio=current / 5.0 * (100.0 if high_voltage else 1.0),
        ratio_applied=bool(rng.random() < 0.85),
        decimals=4 if interval_s == 60 else 2,
        measures_q=bool(rng.random() < 0.85),
        faults=faults,
    )
