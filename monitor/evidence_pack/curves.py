"""The pictures of a lead: its strongest nights at native resolution, or its nights side by side."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Final

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from models.domain.calendar import valley_mask
from models.domain.nights import night_of_date
from models.domain.windows import SlotFlag, Window
from models.learned.blocks import working_blocks
from models.learned.cycles import find_dips
from models.learned.energy import interval_energy_kwh
from models.learned.series import night_series
from monitor.drawing.curve import NightCurve, draw_nights
from monitor.drawing.nightly import NightlyEnergy, draw_nightly
from monitor.evidence_pack.material import DAY_S, Entry, Material

NIGHTS_SHOWN: Final = 3
SERIES_SHOWN: Final = 4
_ONLY_INSTANTS: Final = "瞬时功率 instant power, kW"


def figure_of(material: Material, entries: Sequence[Entry]) -> Figure:
    """The strongest nights in order of time; for detectors that look back, and daily readings, all nights."""
    strongest = sorted(entries, key=lambda e: (-_score(e), -e.night.toordinal(), e.meter))[:NIGHTS_SHOWN]
    if material.looks_back or all(entry.interval_s == DAY_S for entry in strongest):
        return draw_nightly([_energy(material, entries, meter) for meter in _meters(entries)[:SERIES_SHOWN]])
    shown = sorted(strongest, key=lambda entry: (entry.night, entry.meter))
    return draw_nights([_curve(material, entry) for entry in shown if entry.interval_s != DAY_S])


def mean_power_kw(window: Window) -> tuple[NDArray[np.float64], bool]:
    """Mean power of each slot of a window's first meter, (n_slots,) kW, and whether it is an instant's only.

    From the energy registers, else reported means, else instants; never mixed.
    """
    imported = window.registers.get("e_imp_kwh")
    if imported is not None:
        kwh, _ = interval_energy_kwh(imported[:1], window.interval_s, wrap_kwh=window.wrap_kwh)
        power = kwh[0].astype(np.float64) * (3600.0 / window.interval_s)
        if np.isfinite(power).any():
            return power, False
    for name in ("p_mean_kw", "p_kw"):
        values = window.instants.get(name)
        if values is not None and np.isfinite(values[0]).any():
            return values[0].astype(np.float64), name == "p_kw"
    return np.full(window.n_slots, np.nan), False


def _curve(material: Material, entry: Entry) -> NightCurve:
    night = night_of_date(entry.night, material.register.zone)
    window = material.window(entry.meter, entry.interval_s, night)
    power_kw, instants_only = mean_power_kw(window)
    instant = window.instants.get("p_kw")
    measures = entry.recorded.finding.measures if entry.recorded is not None else {}
    finding = entry.recorded.finding if entry.recorded is not None else None
    score = f" · 迹象 score {finding.score:.2f}" if finding is not None else ""
    return NightCurve(
        title=f"{entry.night} 夜 night · 电表 meter {entry.meter}{score}",
        zone=material.register.zone,
        start_ms=night.start_ms,
        interval_s=entry.interval_s,
        mean_kw=power_kw,
        instant_kw=None if instant is None or instants_only else instant[0].astype(np.float64),
        valley=valley_mask(material.register, night, entry.interval_s),
        conflict=(window.flags[0] & np.uint8(SlotFlag.CONFLICT)) != 0,
        dips_ms=_dips_ms(window) if material.detector == "furnace_melt" else (),
        limit_kw=measures.get("threshold_kw") if material.detector == "sealed_site" else None,
        **({"label": _ONLY_INSTANTS} if instants_only else {}),
    )


def _dips_ms(window: Window) -> tuple[int, ...]:
    """Stamps of the dips that the rhythm is counted from: those of the quarter-hour series."""
    series = night_series(window, slice(0, 1))
    known = series.mean_kw[0][np.isfinite(series.mean_kw[0])]
    if known.size == 0 or not series.quarter:
        return ()
    p95, p20 = (float(np.quantile(known, q, method="lower")) for q in (0.95, 0.20))
    if p95 <= 0.0:
        return ()
    relative = series.mean_kw / np.float32(p95)
    blocks = working_blocks(relative, np.array([max(p20 / p95, 0.0)], dtype=np.float32))
    dips = find_dips(relative, blocks.inside)
    return tuple(window.night.start_ms + round((at + 0.5) * series.grid_s * 1000) for at in dips.at.tolist())


def _energy(material: Material, entries: Sequence[Entry], meter: str) -> NightlyEnergy:
    mine = [entry for entry in entries if entry.meter == meter]
    interval_s = mine[0].interval_s
    stored = [night for cadence, m, night in material.row_keys if cadence == interval_s and m == meter]
    first, last = min([*stored, mine[0].night]), max(entry.night for entry in mine)
    dates = [first + dt.timedelta(days=day) for day in range((last - first).days + 1)]
    rows = [material.row(interval_s, meter, night) for night in dates]
    energy = np.array([np.nan if row is None else float(row["energy_kwh"]) for row in rows], dtype=np.float64)
    named = np.isin([d.toordinal() for d in dates], [entry.night.toordinal() for entry in mine])
    return NightlyEnergy(f"每夜电量 energy a night · 电表 meter {meter}", dates, energy, named)


def _score(entry: Entry) -> float:
    return entry.recorded.finding.score if entry.recorded is not None else 0.0


def _meters(entries: Sequence[Entry]) -> list[str]:
    return sorted({entry.meter for entry in entries})
