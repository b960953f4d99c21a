"""The Chinese words a register's cells may hold for the kinds of things, beside the English ones."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from models.domain.register import AllocationBasis, CalendarKind, EnterpriseStatus, FurnaceKind, TariffBand

STATUS_WORDS: Final[Mapping[str, EnterpriseStatus]] = MappingProxyType(
    {
        "在产": EnterpriseStatus.OPERATING,
        "运行": EnterpriseStatus.OPERATING,
        "正常": EnterpriseStatus.OPERATING,
        "关停": EnterpriseStatus.CLOSED,
        "关闭": EnterpriseStatus.CLOSED,
        "取缔": EnterpriseStatus.CLOSED,
        "断电": EnterpriseStatus.POWER_CUT,
        "停电": EnterpriseStatus.POWER_CUT,
    }
)
FURNACE_WORDS: Final[Mapping[str, FurnaceKind]] = MappingProxyType(
    {
        "中频炉": FurnaceKind.MEDIUM_FREQUENCY,
        "中频感应炉": FurnaceKind.MEDIUM_FREQUENCY,
        "工频炉": FurnaceKind.MAINS_FREQUENCY,
        "工频感应炉": FurnaceKind.MAINS_FREQUENCY,
        "感应加热炉": FurnaceKind.INDUCTION_HEATING,
        "透热炉": FurnaceKind.INDUCTION_HEATING,
        "电弧炉": FurnaceKind.ARC,
        "矿热炉": FurnaceKind.SUBMERGED_ARC,
        "埋弧炉": FurnaceKind.SUBMERGED_ARC,
        "电阻炉": FurnaceKind.RESISTANCE,
        "其他": FurnaceKind.OTHER,
        "其它": FurnaceKind.OTHER,
    }
)
CALENDAR_WORDS: Final[Mapping[str, CalendarKind]] = MappingProxyType(
    {
        "分时电价": CalendarKind.TARIFF,
        "时段": CalendarKind.TARIFF,
        "节假日": CalendarKind.HOLIDAY,
        "放假": CalendarKind.HOLIDAY,
        "调休上班": CalendarKind.WORKDAY,
        "补班": CalendarKind.WORKDAY,
    }
)
BAND_WORDS: Final[Mapping[str, TariffBand]] = MappingProxyType(
    {
        "尖": TariffBand.SHARP,
        "尖峰": TariffBand.SHARP,
        "峰": TariffBand.PEAK,
        "高峰": TariffBand.PEAK,
        "平": TariffBand.FLAT,
        "平段": TariffBand.FLAT,
        "谷": TariffBand.VALLEY,
        "低谷": TariffBand.VALLEY,
        "深谷": TariffBand.DEEP_VALLEY,
    }
)
BASIS_WORDS: Final[Mapping[str, AllocationBasis]] = MappingProxyType(
    {
        "比例": AllocationBasis.SHARE,
        "按比例": AllocationBasis.SHARE,
        "产量": AllocationBasis.OUTPUT,
        "按产量": AllocationBasis.OUTPUT,
        "电量": AllocationBasis.KWH,
        "按电量": AllocationBasis.KWH,
    }
)
