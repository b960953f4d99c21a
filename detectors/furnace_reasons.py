"""What a clerk reads about a suspected furnace: named measurements, recomputable from the stored readings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields

import numpy as np
from numpy.typing import NDArray

from models.domain.findings import Reason
from models.domain.register import Furnace, Meter
from models.learned.melting import KWH_PER_TONNE, KWH_PER_TONNE_RANGE, MeltEvidence


def measures_of(evidence: MeltEvidence, position: int) -> dict[str, float]:
    """Every score and pooled measurement of one meter that exists, at six significant digits."""
    values = _values(evidence, position)
    return {name: float(f"{value:.6g}") for name, value in values.items() if np.isfinite(value)}


def _values(evidence: MeltEvidence, position: int) -> dict[str, float]:
    named = {"quarter_score": evidence.quarter_score, "heat_score": evidence.heat_score}
    named |= {f"score_{f.name}": getattr(evidence.parts, f.name) for f in fields(evidence.parts)}
    named |= {f.name: getattr(evidence.pooled, f.name) for f in fields(evidence.pooled)}
    return {name: float(values[position]) for name, values in named.items()}


def reasons_of(
    evidence: MeltEvidence,
    position: int,
    past: Mapping[str, NDArray[np.float64]],
    *,
    melting: tuple[Furnace, ...],
    meter: Meter | None,
    peak_kw: float,
) -> tuple[Reason, ...]:
    """The measurements behind one finding, strongest first, then what speaks for something else.

    `past` maps a feature to its (k,) nightly values; `melting` are the declared melting furnaces of the site.
    """
    at = _values(evidence, position)
    reasons = [*_rhythm(at), *_energy(at), *_heats(at), *_instants(at), *_nights(past), *_decoy(at)]
    reasons += _register(melting, meter, peak_kw)
    return tuple(reasons)


def _reason(code: str, value: float, unit: str, zh: str, en: str) -> Reason:
    return Reason(code=code, value=float(f"{value:.6g}"), unit=unit, zh=zh, en=en)


def _rhythm(at: Mapping[str, float]) -> list[Reason]:
    if not at["quarter_score"] > 0.0:
        return []
    period, peak, dips, depth = at["period_min"], at["acf_peak"], at["dips_per_hour"], 100.0 * at["dip_depth"]
    return [
        _reason(
            "period",
            period,
            "min",
            f"负荷约每 {period:.0f} 分钟重复一次（{at['nights']:.0f} 夜合计，自相关 {peak:.2f}），疑似熔炼炉次",
            f"the load repeats every {period:.0f} min (autocorrelation {peak:.2f} over {at['nights']:.0f} night(s)), "
            "as suspected heats would",
        ),
        _reason(
            "dips",
            dips,
            "1/h",
            f"工作时段每小时回落 {dips:.2f} 次，回落深度中位数 {depth:.0f} %",
            f"{dips:.2f} dips per working hour, median depth {depth:.0f} %",
        ),
        _reason(
            "block_hours",
            at["hours"],
            "h",
            f"{at['nights']:.0f} 夜中连续生产时段合计 {at['hours']:.1f} 小时",
            f"{at['hours']:.1f} hours of steady work over {at['nights']:.0f} night(s)",
        ),
    ]


def _tonnes(kwh: float) -> tuple[float, float, float]:
    low, high = KWH_PER_TONNE_RANGE
    return kwh / KWH_PER_TONNE, kwh / high, kwh / low


def _energy(at: Mapping[str, float]) -> list[Reason]:
    kwh = at["heat_kwh"] if at["heat_score"] > at["quarter_score"] else at["cycle_kwh"]
    if not np.isfinite(kwh):
        return []
    tonnes, least, most = _tonnes(kwh)
    spread = at["heat_kwh_cv"] if at["heat_score"] > at["quarter_score"] else at["cycle_kwh_spread"]
    zh_spread = f"，离散系数 {100 * spread:.0f} %" if np.isfinite(spread) else ""
    en_spread = f", spread {100 * spread:.0f} %" if np.isfinite(spread) else ""
    return [
        _reason(
            "heat_kwh",
            kwh,
            "kWh",
            f"每个周期整表用电约 {kwh:.0f} kWh{zh_spread}，按 600 kWh/t 折合 {tonnes:.2f} t"
            f"（550-680 kWh/t：{least:.2f}-{most:.2f} t）",
            f"about {kwh:.0f} kWh per cycle of the whole meter{en_spread}; at 600 kWh/t {tonnes:.2f} t "
            f"({least:.2f}-{most:.2f} t at 680-550)",
        )
    ]


def _heats(at: Mapping[str, float]) -> list[Reason]:
    if not at["heat_score"] > 0.0:
        return []
    return [
        _reason(
            "heats",
            at["heat_count"],
            "1",
            f"分钟曲线识别 {at['heat_count']:.0f} 炉，每炉中位 {at['heat_minutes']:.0f} 分钟，"
            f"间隔 {at['gap_minutes']:.0f} 分钟，周期离散 {100 * at['heat_period_spread']:.0f} %",
            f"{at['heat_count']:.0f} heats in the minute curve, median {at['heat_minutes']:.0f} min, pauses of "
            f"{at['gap_minutes']:.0f} min, period spread {100 * at['heat_period_spread']:.0f} %",
        )
    ]


def _instants(at: Mapping[str, float]) -> list[Reason]:
    reasons = []
    if at["score_instants"] > 0.0:
        share = 100.0 * at["snapshot_rms"]
        reasons.append(
            _reason(
                "snapshot",
                share,
                "%",
                f"瞬时功率与按示数差折算的平均功率相差 {share:.0f} %（均方根），说明 15 分钟之内有通断",
                f"instants differ from register means by {share:.0f} % (rms): the load pauses within the quarter hour",
            )
        )
    if at["score_circle"] > 0.0:
        pm, slope = at["circle_pm_kw"], at["q_top_slope"]
        reasons.append(
            _reason(
                "circle",
                slope,
                "kvar/kW",
                f"功率升高时无功反而下降（斜率 {slope:.2f}），类似晶闸管相控的中频电源（满功率约 {pm:.0f} kW）",
                f"reactive power falls as power rises (slope {slope:.2f}), as a thyristor supply does "
                f"(full power about {pm:.0f} kW)",
            )
        )
    return reasons


def _nights(past: Mapping[str, NDArray[np.float64]]) -> list[Reason]:
    starts = past.get("block_start_h")
    rhythm = past.get("acf_15min")
    if starts is None or rhythm is None:
        return []
    known = np.sort(starts[np.isfinite(starts) & np.isfinite(rhythm)])
    if not known.size:
        return []
    (median_zh, median_en), (first_zh, first_en), (last_zh, last_en) = (
        _clock(hours) for hours in (known[known.size // 2], known[0], known[-1])
    )
    return [
        _reason(
            "block_start",
            float(known[known.size // 2]),
            "h",
            f"开工时刻中位数为{median_zh}（最早{first_zh}，最晚{last_zh}）",
            f"work starts at {median_en} (median; earliest {first_en}, latest {last_en})",
        )
    ]


def _clock(hours_after_noon: float) -> tuple[str, str]:
    """The hour of a night as people say it, in Chinese and English; what runs at noon began then or before."""
    minutes = round((hours_after_noon + 12.0) * 60.0)
    at = f"{minutes // 60 % 24:02d}:{minutes % 60:02d}"
    if minutes >= 1440:
        return f"次日 {at}", f"{at} the next day"
    if hours_after_noon <= 0.0:
        return f" {at} 或更早", f"{at} or before"
    return f" {at}", at


def _decoy(at: Mapping[str, float]) -> list[Reason]:
    """The load most easily taken for a furnace, given the evidence, and the measurement that speaks against it."""
    spread = 100.0 * (at["heat_kwh_cv"] if at["heat_score"] > at["quarter_score"] else at["cycle_kwh_spread"])
    period = at["period_min"] if np.isfinite(at["period_min"]) else at["heat_period_min"]
    peak = at["acf_peak"]
    if at["score_circle"] > 0.5 and np.isfinite(spread):
        zh = f"最易混淆的负荷：中频透热（锻造加热）；其停顿不规则，而此处每周期电量的离散系数仅 {spread:.0f} %"
        en = (
            f"nearest other load: induction forging heater. Its stops are irregular; here energy per cycle varies by "
            f"{spread:.0f} % only"
        )
        return [_reason("decoy", spread, "%", zh, en)]
    if at["dip_depth"] > 0.5 and np.isfinite(period):
        zh = (
            f"最易混淆的负荷：单台启停的大功率设备（水泵、压缩机、温控电炉）；其周期随水位、温度变化，"
            f"而此处周期稳定在约 {period:.0f} 分钟；需现场核实"
        )
        en = (
            "nearest other load: one large machine that switches on and off (pump, compressor, thermostat). Its cycle "
            f"follows level or temperature; here the period holds at {period:.0f} min; to be checked on site"
        )
        return [_reason("decoy", period, "min", zh, en)]
    if not np.isfinite(peak):
        return []
    zh = f"最易混淆的负荷：成组启停的电阻炉或压缩机；其各台不同步，而此处自相关峰值达 {peak:.2f}"
    en = (
        f"nearest other load: groups of resistance furnaces or compressors. They run out of step; here the "
        f"autocorrelation peaks at {peak:.2f}"
    )
    return [_reason("decoy", peak, "1", zh, en)]


def _register(melting: tuple[Furnace, ...], meter: Meter | None, peak_kw: float) -> list[Reason]:
    reasons = []
    if melting:
        names = ", ".join(f.furnace for f in melting)
        reasons.append(
            _reason("declared", float(len(melting)), "1", f"已登记熔炼炉：{names}", f"declared furnaces: {names}")
        )
    allowed = None if meter is None else meter.contract_kva or meter.transformer_kva
    if allowed is not None and np.isfinite(peak_kw):
        ratio = peak_kw / allowed
        reasons.append(
            _reason(
                "contract_ratio",
                ratio,
                "1",
                f"最大平均功率 {peak_kw:.0f} kW，为登记容量 {allowed:.0f} kVA 的 {ratio:.2f} 倍",
                f"largest mean power {peak_kw:.0f} kW, {ratio:.2f} of the registered {allowed:.0f} kVA",
            )
        )
    return reasons
