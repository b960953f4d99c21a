"""Energy night by night over weeks or months: the picture of a change that no single night shows."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from monitor.drawing.canvas import PNG_DPI
from monitor.drawing.fonts import drawable, typeface

_INK: Final = "#1f2933"
_PLAIN: Final = "#9db8d2"
_NAMED: Final = "#b5361c"
_LABELS: Final = 8


@dataclass(frozen=True, slots=True)
class NightlyEnergy:
    """`energy_kwh` (n,) of the nights `dates`, NaN where unknown; `named` (n,) those a lead rests on."""

    title: str
    dates: Sequence[dt.date]
    energy_kwh: NDArray[np.float64]
    named: NDArray[np.bool_]


def draw_nightly(series: Sequence[NightlyEnergy]) -> Figure:
    """One panel a meter, bars from noon to noon."""
    height = 2.7 * max(len(series), 1) + 0.45
    figure = Figure(figsize=(9.2, height), dpi=PNG_DPI, facecolor="white")
    for place, one in enumerate(series, start=1):
        axes = figure.add_subplot(len(series), 1, place)
        at = np.arange(len(one.dates))
        for mask, color in ((~one.named, _PLAIN), (one.named, _NAMED)):
            axes.bar(at[mask], np.nan_to_num(one.energy_kwh[mask]), width=0.9, color=color, linewidth=0)
        ticks = at[:: max(1, len(at) // _LABELS)]
        axes.set_xticks(ticks)
        axes.set_xticklabels([one.dates[i].isoformat() for i in ticks.tolist()])
        axes.set_xlim(-1.0, len(at))
        axes.set_ylabel("kWh", fontproperties=typeface(9), color=_INK)
        axes.set_title(drawable(one.title), fontproperties=typeface(10.5), color=_INK, loc="left", pad=6)
        axes.grid(axis="y", color="#d9dee3", linewidth=0.5)
        axes.set_axisbelow(True)
        for label in (*axes.get_xticklabels(), *axes.get_yticklabels()):
            label.set_fontproperties(typeface(8.5))
            label.set_color(_INK)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    shown: list[Any] = [Patch(color=_PLAIN), Patch(color=_NAMED)]
    figure.legend(
        shown,
        ["每夜电量 energy a night（缺口为无数据 a gap: no data）", "线索所依据的夜 nights the lead rests on"],
        loc="lower center",
        ncols=2,
        frameon=False,
        prop=typeface(8.5),
    )
    figure.subplots_adjust(left=0.085, right=0.985, top=1 - 0.36 / height, bottom=0.72 / height, hspace=0.42)
    return figure
