"""What a change of consumption is called and why: reasons in words with the numbers behind them, measures, mismatch."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from models.domain.findings import Reason
from models.domain.register import Enterprise, EnterpriseStatus, Meter
from models.learned.changes import Change, ChangeCode


def reasons_of(changes: tuple[Change, ...], enterprise: Enterprise | None, on: dt.date) -> tuple[Reason, ...]:
    """One reason a change, the strongest first, and the register's status where it makes a difference."""
    reasons = [reason_of(change) for change in changes]
    if enterprise is not None and enterprise.status is not EnterpriseStatus.OPERATING:
        zh = {EnterpriseStatus.CLOSED: "关停", EnterpriseStatus.POWER_CUT: "断电"}[enterprise.status]
        en = {EnterpriseStatus.CLOSED: "closed", EnterpriseStatus.POWER_CUT: "cut off"}[enterprise.status]
        reasons.append(Reason("status", 1.0, "1", f"截至 {on} 企业登记为{zh}", f"registered as {en} as of {on}"))
    return tuple(reasons)


def reason_of(change: Change) -> Reason:
    """A change in words, with the numbers a clerk can check against the nightly readings."""
    since = dt.date.fromordinal(change.onset)
    before, after, held = change.before, change.after, change.nights_after
    times = after / max(before, 1e-9)
    code = change.code
    if code is ChangeCode.RISE:
        zh = (
            f"自 {since} 夜起 {held} 个可比夜的日用电中位数 {_kwh(after)} kWh，"
            f"是此前 {change.nights_before} 个同类夜中位数 {_kwh(before)} kWh 的 {times:.1f} 倍"
        )
        en = (
            f"since {since} the median of {held} comparable nights is {_kwh(after)} kWh, {times:.1f} times the "
            f"{_kwh(before)} kWh of the {change.nights_before} nights like them before"
        )
        return Reason(code, round(times, 4), "1", zh + _usual_zh(change), en + _usual_en(change))
    if code in (ChangeCode.FALL, ChangeCode.STOP):
        share = 100.0 * times
        what_zh = "骤停" if code is ChangeCode.STOP else "骤降"
        zh = (
            f"自 {since} 夜起用电{what_zh}：{held} 个可比夜的日用电中位数 {_kwh(after)} kWh，"
            f"仅为此前 {change.nights_before} 个同类夜中位数 {_kwh(before)} kWh 的 {share:.0f}%"
        )
        en = (
            f"{'stopped' if code is ChangeCode.STOP else 'fell'} on {since}: the median of {held} comparable nights is "
            f"{_kwh(after)} kWh, {share:.0f} % of the {_kwh(before)} kWh of the {change.nights_before} nights before"
        )
        return Reason(code, round(times, 4), "1", zh + _usual_zh(change), en + _usual_en(change))
    if code is ChangeCode.RESTART:
        zh = (
            f"连续 {change.nights_before} 夜接近停用"
            f"（中位数 {_kwh(before)} kWh/日，为此后的 {_share(before, after)}）后，"
            f"自 {since} 夜起 {held} 夜有实际负荷，中位数 {_kwh(after)} kWh/日"
        )
        en = (
            f"after {change.nights_before} nights near nothing (median {_kwh(before)} kWh a day, "
            f"{_share(before, after)} of what followed) real load on {held} "
            f"nights since {since}, median {_kwh(after)} kWh a day"
        )
        return Reason(code, after, "kWh", zh, en)
    if code is ChangeCode.NIGHT_SHARE:
        zh = (
            f"自 {since} 夜起低谷时段用电占比由 {100.0 * before:.0f}% 升至 {100.0 * after:.0f}%"
            f"（{held} 个可比夜的中位数，此前 {change.nights_before} 夜），低谷用电量也同时增加"
        )
        en = (
            f"since {since} the share of energy in valley hours rose from {100.0 * before:.0f} % to "
            f"{100.0 * after:.0f} % (medians of {held} nights and the {change.nights_before} before), "
            "and so did the energy"
        )
        return Reason(code, round(after, 4), "1", zh, en)
    if code is ChangeCode.WEEKEND:
        zh = (
            f"近三周 {held} 个原休息日的日用电中位数 {_kwh(after)} kWh，接近工作日；"
            f"此前 {change.nights_before} 个休息日为 {_kwh(before)} kWh"
        )
        en = (
            f"on {held} usual days of rest in three weeks the median is {_kwh(after)} kWh, close to a working day; "
            f"it was {_kwh(before)} kWh on the {change.nights_before} days of rest before"
        )
        return Reason(code, after, "kWh", zh, en)
    zh = (
        f"近7夜有 {held} 夜的有功功率（95% 分位）超过合同容量 {change.usual:.0f} kVA，中位数 {after:.0f} kW；"
        f"此前为 {before:.0f} kW"
    )
    en = (
        f"on {held} of the last 7 nights power (95 % quantile) exceeded the contract of {change.usual:.0f} kVA: median "
        f"{after:.0f} kW, {before:.0f} kW before"
    )
    return Reason(code, after, "kW", zh, en)


def _usual_zh(change: Change) -> str:
    return f"（本户以往周间波动约 {change.usual:.2f} 倍）"


def _usual_en(change: Change) -> str:
    return f" (its own weeks usually move by a factor of about {change.usual:.2f})"


def _share(part: float, whole: float) -> str:
    return f"{100.0 * part / max(whole, 1e-9):.1f}%"


def _kwh(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100.0 else f"{value:,.1f}"


def measures_of(changes: tuple[Change, ...]) -> Mapping[str, float]:
    """The numbers behind each change at six significant digits, named by its code."""
    measures: dict[str, float] = {}
    for change in changes:
        numbers = {
            "before": change.before,
            "after": change.after,
            "nights_before": float(change.nights_before),
            "nights_after": float(change.nights_after),
            "onset_ordinal": float(change.onset),
            "ratio": change.ratio,
        }
        measures |= {f"{change.code}_{name}": float(f"{value:.6g}") for name, value in numbers.items()}
    return measures


def register_mismatch(enterprise: Enterprise | None, meter: Meter | None, changes: tuple[Change, ...]) -> float:
    """How badly the load fits the register, in [0, 1]: 0.6 for an enterprise that is closed or cut off and draws more
    than before, 0.3 for power above the contract. An unknown row counts neither way."""
    grew = any(change.code not in (ChangeCode.FALL, ChangeCode.STOP) for change in changes)
    mismatch = 0.0
    if grew and enterprise is not None and enterprise.status is not EnterpriseStatus.OPERATING:
        mismatch += 0.6
    if meter is not None and meter.contract_kva:
        over = any(change.code is ChangeCode.OVERDRAW for change in changes)
        mean_kw = max((c.after / 24.0 for c in changes if c.code in (ChangeCode.RISE, ChangeCode.RESTART)), default=0.0)
        if over or mean_kw > meter.contract_kva:
            mismatch += 0.3
    return round(mismatch, 4)
