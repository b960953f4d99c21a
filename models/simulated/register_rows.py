"""The register of the county as an office would hold it: mostly right, sometimes out of date or wrong."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import chinese_calendar

from models.domain.register import (
    CalendarKind,
    CalendarRow,
    Enterprise,
    EnterpriseStatus,
    Feeder,
    Furnace,
    FurnaceKind,
    Line,
    Meter,
    Publisher,
    RegisterRows,
    Site,
    TariffBand,
)
from models.simulated.identities import draw_uscc
from models.simulated.metering import REGISTER_DIGITS_KWH
from models.simulated.population import PUBLISHERS
from models.simulated.seeding import stream
from models.simulated.shapes import Rng
from models.simulated.spec import CountySpec, LoadClass, SiteSpec

_DISTRICT: Final = "500102"
_WRONG_TRADE_SHARE: Final = 0.04
_OUTDATED_CAPACITY_SHARE: Final = 0.15
_FEEDERS_A_PUBLISHER: Final = 4
_TRANSFORMERS_KVA: Final = (
    50, 80, 100, 125, 160, 200, 250, 315, 400, 500, 630, 800, 1000, 1250, 1600, 2000, 2500, 3150, 4000, 5000,
    6300, 8000, 10_000, 12_500, 16_000, 20_000, 25_000, 31_500, 40_000, 50_000, 63_000,
)  # fmt: skip

_TRADES: Final[Mapping[LoadClass, tuple[tuple[str, str], ...]]] = MappingProxyType(
    {
        LoadClass.HIDDEN_FURNACE: (
            ("2927", "塑料制品"), ("3311", "金属结构"), ("3484", "机械零部件"), ("4210", "再生资源"),
            ("5990", "仓储"), ("3351", "建筑五金"), ("2929", "塑料零件"), ("3130", "钢材加工"),
        ),
        LoadClass.FOUNDRY: (("3391", "铸造"), ("3392", "有色铸造")),
        LoadClass.FORGING: (("3393", "锻造"),),
        LoadClass.ARC_FURNACE: (("3120", "特钢"),),
        LoadClass.SUBMERGED_ARC: (("3140", "铁合金"), ("2613", "电石")),
        LoadClass.ROLLING_MILL: (("3130", "轧钢"),),
        LoadClass.HEAT_TREATMENT: (("3360", "热处理"),),
        LoadClass.CEMENT_MILL: (("3011", "水泥"),),
        LoadClass.EV_DEPOT: (("5411", "公交"),),
        LoadClass.BATTERY: (("4420", "储能"),),
        LoadClass.HEATING_BOILER: (("4430", "热力"),),
        LoadClass.CRYPTO: (("6450", "数据服务"),),
        LoadClass.ELECTROLYSIS: (("2612", "化工"), ("3216", "铝业")),
        LoadClass.PLATING: (("3360", "电镀"),),
        LoadClass.PUMPING: (("4610", "供水"),),
        LoadClass.COLD_STORE: (("5930", "冷链"),),
        LoadClass.PLASTICS: (("2927", "塑料制品"), ("2929", "塑料零件"), ("2926", "塑料包装")),
        LoadClass.TEXTILE: (("1711", "纺纱"), ("1751", "化纤织造")),
        LoadClass.MACHINING: (("3484", "机械零部件"), ("3525", "模具"), ("3311", "金属结构")),
        LoadClass.STEEL_COIL: (("3130", "钢材加工"),),
        LoadClass.KILN: (("3031", "砖瓦"),),
        LoadClass.DATA_CENTRE: (("6450", "数据中心"),),
        LoadClass.WAREHOUSE: (("5990", "仓储"),),
        LoadClass.COMMERCIAL: (("5211", "百货"), ("6110", "酒店"), ("7020", "物业")),
        LoadClass.RESIDENTIAL: (("7020", "小区物业"),),
        LoadClass.CLOSED: (("3391", "铸造"),),
        LoadClass.POWER_CUT: (("3130", "轧钢"),),
        LoadClass.RESTARTED: (("3130", "钢材加工"), ("3351", "建筑五金")),
    }
)  # fmt: skip
"""GB/T 4754-2017 codes, and the word that goes into the name, of what each class is registered as."""

_FURNACE_KINDS: Final[Mapping[LoadClass, tuple[FurnaceKind, str, float]]] = MappingProxyType(
    {
        LoadClass.FOUNDRY: (FurnaceKind.MEDIUM_FREQUENCY, "铸件熔炼", 1.0),
        LoadClass.FORGING: (FurnaceKind.INDUCTION_HEATING, "锻造加热", 0.5),
        LoadClass.ARC_FURNACE: (FurnaceKind.ARC, "炼钢", 1.0),
        LoadClass.SUBMERGED_ARC: (FurnaceKind.SUBMERGED_ARC, "冶炼", 1.0),
        LoadClass.HEAT_TREATMENT: (FurnaceKind.RESISTANCE, "热处理", 0.5),
    }
)
"""What is declared where: kind, purpose, and the share of sites that declare it."""

_PLACES: Final = ("江东", "江北", "龙桥", "白涛", "珍溪", "清溪", "马鞍", "荔枝", "敦仁", "义和", "新妙", "石沱")
_GIVEN: Final = ("恒", "鑫", "瑞", "宏", "盛", "达", "丰", "泰", "华", "隆", "顺", "昌", "兴", "联", "永", "信")


def register_rows(county: CountySpec, sites: tuple[SiteSpec, ...]) -> RegisterRows:
    """The register of these sites."""
    enterprises, site_rows, meters, furnaces, lines = [], [], [], [], []
    feeder_ids = {p: _feeder_ids(p) for p in PUBLISHERS}
    for spec in sites:
        rng = stream(county.seed, "site", spec.number, "register")
        enterprise = _enterprise(county, spec, rng)
        enterprises.append(enterprise)
        site_rows.append(Site(site=spec.site, uscc=enterprise.uscc, name=f"{enterprise.name}厂区"))
        own_feeders = feeder_ids[spec.meter.publisher]
        meters.append(_meter(spec, own_feeders[int(rng.integers(len(own_feeders)))], rng))
        furnaces += _furnaces(county, spec)
        if spec.load_class is LoadClass.FOUNDRY and spec.furnace is not None:
            capacity_t = round(1500.0 * spec.furnace.capacity_t, 0)
            lines.append(Line(line=f"{spec.site}-1", site=spec.site, product="铸件", capacity_t_per_year=capacity_t))
    feeders = tuple(Feeder(feeder=f, name=f, voltage_kv=10.0) for ids in feeder_ids.values() for f in ids)
    return RegisterRows(
        enterprises=tuple(enterprises),
        sites=tuple(site_rows),
        meters=tuple(meters),
        feeders=feeders,
        furnaces=tuple(furnaces),
        lines=tuple(lines),
        publishers=tuple(Publisher(publisher=p, name=p) for p in PUBLISHERS),
        calendar=calendar_rows(county),
    )


def _feeder_ids(publisher: str) -> list[str]:
    return [f"F-{publisher.removeprefix('bureau-')}-{k + 1}" for k in range(_FEEDERS_A_PUBLISHER)]


def declares_furnace(county: CountySpec, spec: SiteSpec) -> bool:
    """Whether the register names a furnace at the site."""
    kind = _FURNACE_KINDS.get(spec.load_class)
    return kind is not None and stream(county.seed, "site", spec.number, "declares").random() < kind[2]


def special_days(start: dt.date, days: int) -> tuple[dict[dt.date, str], frozenset[dt.date]]:
    """Public holidays (by name) and make-up working days of a span; none where the calendar has no data yet."""
    holidays: dict[dt.date, str] = {}
    workdays: set[dt.date] = set()
    for date in (start + dt.timedelta(days=k) for k in range(days)):
        try:
            off, name = chinese_calendar.get_holiday_detail(date)
        except NotImplementedError:
            continue
        if off and name is not None:
            holidays[date] = name
        elif not off and name is not None:
            workdays.add(date)
    return holidays, frozenset(workdays)


def calendar_rows(county: CountySpec) -> tuple[CalendarRow, ...]:
    """Tariff hours of the county, and the special days of the span."""
    bands = (
        (TariffBand.VALLEY, 23, 7), (TariffBand.FLAT, 7, 8), (TariffBand.PEAK, 8, 11), (TariffBand.FLAT, 11, 17),
        (TariffBand.PEAK, 17, 22), (TariffBand.FLAT, 22, 23),
    )  # fmt: skip
    tariff = tuple(
        CalendarRow(kind=CalendarKind.TARIFF, name="大工业分时", band=band, start=dt.time(a), end=dt.time(b))
        for band, a, b in bands
    )
    holidays, workdays = special_days(county.start, county.days + 1)
    off = tuple(CalendarRow(kind=CalendarKind.HOLIDAY, name=name, day=day) for day, name in holidays.items())
    on = tuple(CalendarRow(kind=CalendarKind.WORKDAY, name="调休", day=day) for day in sorted(workdays))
    return tariff + off + on


def _enterprise(county: CountySpec, spec: SiteSpec, rng: Rng) -> Enterprise:
    trades = _TRADES[spec.load_class]
    trade, word = trades[int(rng.integers(len(trades)))]
    if rng.random() < _WRONG_TRADE_SHARE:
        everyone = sorted({code for rows in _TRADES.values() for code, _ in rows} - {trade})
        trade = everyone[int(rng.integers(len(everyone)))]
    given = "".join(_GIVEN[int(k)] for k in rng.integers(0, len(_GIVEN), 2))
    name = f"{_PLACES[int(rng.integers(len(_PLACES)))]}{given}{word}有限公司"
    status, since = EnterpriseStatus.OPERATING, None
    if spec.load_class in {LoadClass.CLOSED, LoadClass.RESTARTED, LoadClass.POWER_CUT}:
        cut = spec.load_class is LoadClass.POWER_CUT
        status = EnterpriseStatus.POWER_CUT if cut else EnterpriseStatus.CLOSED
        since = county.start - dt.timedelta(days=int(rng.integers(60, 400)))
    return Enterprise(
        uscc=draw_uscc(rng, _DISTRICT), name=name, trade=trade, district=_DISTRICT, status=status, since=since
    )


def _meter(spec: SiteSpec, feeder: str, rng: Rng) -> Meter:
    meter = spec.meter
    needed_kva = 1.25 * (spec.rated_kw + spec.base_kw)
    transformer_kva = float(next((size for size in _TRANSFORMERS_KVA if size >= needed_kva), _TRANSFORMERS_KVA[-1]))
    outdated = rng.random() < _OUTDATED_CAPACITY_SHARE
    return Meter(
        meter=meter.meter,
        site=spec.site,
        publisher=meter.publisher,
        feeder=feeder,
        ratio=meter.ratio,
        ratio_applied=meter.ratio_applied,
        cadence_s=meter.interval_s,
        contract_kva=round(transformer_kva * (rng.uniform(0.3, 0.7) if outdated else 1.0), 0),
        transformer_kva=transformer_kva,
        register_wrap_kwh=REGISTER_DIGITS_KWH * meter.ratio,
    )


def _furnaces(county: CountySpec, spec: SiteSpec) -> list[Furnace]:
    if not declares_furnace(county, spec):
        return []
    kind, purpose, _ = _FURNACE_KINDS[spec.load_class]
    rated_kw = spec.furnace.rated_kw if spec.furnace is not None else spec.rated_kw
    capacity_t = spec.furnace.capacity_t if spec.furnace is not None else None
    return [
        Furnace(
            furnace=f"{spec.site}-1",
            site=spec.site,
            kind=kind,
            rated_kw=round(rated_kw, 0),
            capacity_t=capacity_t,
            purpose=purpose,
        )
    ]
