"""The load curve of a night at native resolution: what a person looks at before anything else."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from monitor.drawing.canvas import PNG_DPI
from monitor.drawing.fonts import drawable, typeface

_INK: Final = "#1f2933"
_LINE: Final = "#0b5cad"
_INSTANT: Final = "#d1651f"
_VALLEY: Final = "#dfe9d8"
_GAP: Final = "#f3d6d0"
_MARK: Final = "#b5361c"
_LIMIT: Final = "#8a5a00"
_WIDTH_IN: Final = 9.2
_ROW_IN: Final = 2.7
_HOUR_MS: Final = 3_600_000
_LABEL_HOURS: Final = 3
_LEGEND_COLUMNS: Final = 3


@dataclass(frozen=True, slots=True)
class NightCurve:
    """One meter's night, n slots of `interval_s` seconds that end at `start_ms + (k + 1) interval`.

    `mean_kw` (n,) is the mean power of each slot, NaN where unknown; `instant_kw` (n,) the instants at the slots' ends
    or None; `valley` (n,) marks valley tariff hours, None where the calendar is unknown; `conflict` (n,) slots whose
    readings contradict each other. `dips_ms` are stamps to mark, `limit_kw` a threshold that was exceeded or None.
    """

    title: str
    zone: ZoneInfo
    start_ms: int
    interval_s: int
    mean_kw: NDArray[np.float64]
    instant_kw: NDArray[np.float64] | None
    valley: NDArray[np.bool_] | None
    conflict: NDArray[np.bool_]
    dips_ms: tuple[int, ...] = ()
    limit_kw: float | None = None
    label: str = "平均功率 mean power, kW"


def draw_nights(curves: Sequence[NightCurve]) -> Figure:
    """The nights one below the other, from noon to noon, with a legend of what is in sight."""
    figure = Figure(dpi=PNG_DPI, facecolor="white")
    shown: dict[str, Line2D | Patch] = {}
    for place, curve in enumerate(curves, start=1):
        axes = figure.add_subplot(len(curves), 1, place)
        shown |= _draw(axes, curve)
    legend_in = 0.38 + 0.21 * -(-len(shown) // _LEGEND_COLUMNS)
    height = _ROW_IN * max(len(curves), 1) + legend_in
    figure.set_size_inches(_WIDTH_IN, height)
    figure.subplots_adjust(left=0.085, right=0.975, top=1 - 0.36 / height, bottom=legend_in / height, hspace=0.36)
    figure.legend(
        list(shown.values()), list(shown), loc="lower center", ncols=_LEGEND_COLUMNS, frameon=False, prop=typeface(8.5),
        bbox_to_anchor=(0.5, 0.0),
    )  # fmt: skip
    return figure


def _draw(axes: Axes, curve: NightCurve) -> dict[str, Line2D | Patch]:
    """One night; returns what the legend must explain."""
    n = len(curve.mean_kw)
    hours = curve.interval_s / 3600.0
    edges: NDArray[np.float64] = np.arange(n + 1, dtype=np.float64) * hours
    shown: dict[str, Line2D | Patch] = {}
    top = _top(curve)
    if curve.valley is not None and curve.valley.any():
        _shade(axes, edges, curve.valley, _VALLEY)
        shown["谷段 valley tariff"] = Patch(color=_VALLEY)
    unknown = np.isnan(curve.mean_kw) & ~curve.conflict
    if unknown.any():
        _shade(axes, edges, unknown, _GAP, hatch="////")
        shown["无数据 no reading"] = Patch(facecolor=_GAP, hatch="////", edgecolor="white")
    if curve.conflict.any():
        _shade(axes, edges, curve.conflict, "#e8d3ee", hatch="xxxx")
        shown["数值矛盾 contradiction"] = Patch(facecolor="#e8d3ee", hatch="xxxx", edgecolor="white")
    if np.isfinite(curve.mean_kw).any():
        steps = axes.stairs(curve.mean_kw, edges, baseline=None, color=_LINE, linewidth=1.2)
        shown[curve.label] = Line2D([], [], color=steps.get_edgecolor(), linewidth=1.2)
    if curve.instant_kw is not None and np.isfinite(curve.instant_kw).any():
        axes.plot(edges[1:], curve.instant_kw, ".", color=_INSTANT, markersize=3.5)
        shown["瞬时功率 instant power, kW"] = Line2D([], [], color=_INSTANT, marker=".", linestyle="")
    if curve.dips_ms:
        at = (np.array(curve.dips_ms) - curve.start_ms) / _HOUR_MS
        axes.plot(at, np.full(len(at), 0.965 * top), "v", color=_MARK, markersize=4.5)
        shown["负荷回落 dips counted as ends of cycles"] = Line2D([], [], color=_MARK, marker="v", linestyle="")
    if curve.limit_kw is not None:
        axes.axhline(curve.limit_kw, color=_LIMIT, linewidth=1.0, linestyle="--")
        shown["待机限值 standby threshold"] = Line2D([], [], color=_LIMIT, linestyle="--")
    _frame(axes, curve, n * hours, top)
    return shown


def _top(curve: NightCurve) -> float:
    """Upper end of the power axis, with room for marks."""
    values = [curve.mean_kw]
    if curve.instant_kw is not None:
        values.append(curve.instant_kw)
    joined = np.concatenate(values)
    known = joined[np.isfinite(joined)]
    most = max(float(known.max()) if known.size else 0.0, curve.limit_kw or 0.0)
    return 1.15 * most if most > 0.0 else 1.0


def _shade(axes: Axes, edges: NDArray[np.float64], where: NDArray[np.bool_], color: str, hatch: str = "") -> None:
    changes = np.flatnonzero(np.diff(np.concatenate(([False], where, [False])).astype(np.int8)))
    for first, end in zip(changes[::2].tolist(), changes[1::2].tolist(), strict=True):
        axes.axvspan(edges[first], edges[end], facecolor=color, hatch=hatch, edgecolor="white", linewidth=0.0)


def _frame(axes: Axes, curve: NightCurve, hours: float, top: float) -> None:
    axes.set_xlim(0.0, hours)
    axes.set_ylim(min(0.0, float(np.nanmin(np.append(curve.mean_kw, 0.0)))), top)
    ticks = np.arange(0.0, hours + 1e-9, _LABEL_HOURS)
    axes.set_xticks(ticks)
    stamps = [dt.datetime.fromtimestamp(curve.start_ms / 1000.0 + 3600.0 * tick, curve.zone) for tick in ticks]
    axes.set_xticklabels([f"{stamp:%H:%M}" for stamp in stamps])
    axes.set_ylabel("kW", fontproperties=typeface(9), color=_INK)
    axes.set_title(drawable(curve.title), fontproperties=typeface(10.5), color=_INK, loc="left", pad=6)
    axes.grid(axis="both", color="#d9dee3", linewidth=0.5)
    axes.set_axisbelow(True)
    for label in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        label.set_fontproperties(typeface(8.5))
        label.set_color(_INK)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
