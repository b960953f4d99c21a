"""A curve as the nights it covers, for drawing."""

from __future__ import annotations

from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from models.domain.nights import Night, night_of_stamp
from monitor.cli.opening import stop
from monitor.curves import Curve
from monitor.drawing.curve import NightCurve
from monitor.supervise import ExitCode

MOST_NIGHTS: Final = 14


def nights_of(meter: str, curve: Curve, zone: ZoneInfo) -> list[NightCurve]:
    """One picture a night, noon to noon. Leaves with a usage error beyond MOST_NIGHTS, or for what is no power."""
    if curve.unit != "kW":
        stop(
            f"{curve.channel} 不是功率，不能画夜曲线。{curve.channel} is no power: --csv has its values.",
            ExitCode.USAGE,
        )
    dates = sorted({night_of_stamp(int(ms), zone).date for ms in curve.ts_ms.tolist()})
    if len(dates) > MOST_NIGHTS:
        stop(f"最多画 {MOST_NIGHTS} 夜，请缩短时间。At most {MOST_NIGHTS} nights can be drawn.", ExitCode.USAGE)
    nights = {night_of_stamp(int(ms), zone).date: night_of_stamp(int(ms), zone) for ms in curve.ts_ms.tolist()}
    return [_night(meter, curve, zone, nights[date]) for date in dates]


def _night(meter: str, curve: Curve, zone: ZoneInfo, night: Night) -> NightCurve:
    step_ms = curve.interval_s * 1000
    slots = (night.end_ms - night.start_ms) // step_ms
    values, conflict = np.full(slots, np.nan), np.zeros(slots, dtype=np.bool_)
    mine = (curve.ts_ms > night.start_ms) & (curve.ts_ms <= night.end_ms)
    slot = (curve.ts_ms[mine] - night.start_ms - 1) // step_ms
    values[slot], conflict[slot] = curve.values[mine], curve.contested[mine]
    return NightCurve(
        title=f"{meter}  {night.date}",
        zone=zone,
        start_ms=night.start_ms,
        interval_s=curve.interval_s,
        mean_kw=values,
        instant_kw=None,
        valley=None,
        conflict=conflict,
        label=f"{curve.channel}, kW",
    )
