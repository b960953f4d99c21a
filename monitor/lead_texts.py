"""What a lead says to office staff: Chinese with English beside it.

A lead asks for a check and never gives a verdict.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from models.domain.leads import LeadKind


@dataclass(frozen=True, slots=True)
class Bilingual:
    """The same statement in Chinese and English."""

    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What the summary of a lead names; nights are local dates, both ends included."""

    who: Bilingual
    nights: int
    first_night: dt.date
    last_night: dt.date
    meters: tuple[str, ...]
    provisional: bool = False


@dataclass(frozen=True, slots=True)
class Wording:
    """Templates of one kind of lead; they may use `nights`, `first`, `last`, `meters` and `who`."""

    title: Bilingual
    summary: Bilingual
    checks: tuple[Bilingual, ...]
    limits: Bilingual
    """The closing line: what the lead does not say."""


LAWFUL: Final = Bilingual(
    "感应炉可能是合法设备；本线索只说明用电表现，不是结论。",
    "An induction furnace may be lawful; this lead shows load behaviour only and is not a finding against anyone.",
)
NO_VERDICT: Final = Bilingual(
    "本线索只说明电表数据，不是结论。",
    "This lead shows meter data only and is not a finding against anyone.",
)
PROVISIONAL: Final = Bilingual(
    "（暂定：最后一夜尚未结束，次日中午后自动复核。）",
    "(Provisional: the last night is not over and is judged again after the next noon.)",
)

_FURNACE: Final = Wording(
    title=Bilingual("疑似感应炉熔炼", "possible induction-furnace melting"),
    summary=Bilingual(
        "疑似感应炉熔炼：{who}在 {first} 至 {last} 之间有 {nights} 夜的用电形态与感应炉熔炼相符，且与登记情况不符，"
        "请核查炉子的用途和登记情况。",
        "Possible induction-furnace melting: on {nights} night(s) from {first} to {last} the load of {who} looked like "
        "induction melting and does not fit the register. Please check what the furnace is for and how it is "
        "registered.",
    ),
    checks=(
        Bilingual(
            "现场有无感应炉（中频炉）、电容柜、水冷电缆、冷却塔；记录台数、吨位、铭牌功率。",
            "Whether there is an induction furnace, capacitor cabinet, water-cooled cable or cooling tower on site; "
            "note number, tonnes and rated kW.",
        ),
        Bilingual(
            "炉子的登记用途（铸造、锻造加热、热处理等）与实际产品是否一致。",
            "Whether the registered purpose (castings, forging heat, heat treatment) matches what is made.",
        ),
        Bilingual(
            "夜间班次、原料（废钢）购进、铸件产量与发票是否对得上用电量。",
            "Whether night shifts, scrap purchases, casting output and invoices fit the electricity used.",
        ),
        Bilingual(
            "登记是否过期或漏登；如属合法生产，请补登记，此后的夜晚不再计入线索。",
            "Whether the register is out of date; where production is lawful, complete it; later nights do not count.",
        ),
    ),
    limits=LAWFUL,
)

_SEALED: Final = Wording(
    title=Bilingual("疑似关停后用电", "possible use of power after closure"),
    summary=Bilingual(
        "疑似关停后恢复用电：{who}登记为关停或断电，但在 {first} 至 {last} 之间有 {nights} 夜仍在用电，"
        "请核查用电去向。",
        "Possible restart: {who} is registered as closed or cut off, yet drew power on {nights} night(s) from {first} "
        "to {last}. Please check what the power is used for.",
    ),
    checks=(
        Bilingual("封条、断路器和计量箱是否完好。", "Whether seals, breakers and the metering box are intact."),
        Bilingual(
            "用电去向：生产设备，还是照明、值守、消防等允许用电。",
            "What draws the power: production, or lighting, guards and fire protection that are allowed.",
        ),
        Bilingual(
            "关停或断电文书是否已撤销、变更，登记是否需要更新。",
            "Whether the closure or power-cut order was lifted or changed and the register needs an update.",
        ),
    ),
    limits=NO_VERDICT,
)

_SILENT: Final = Wording(
    title=Bilingual("疑似电表失联", "meter possibly silent"),
    summary=Bilingual(
        "疑似电表失联：{who}的电表 {meters} 在 {first} 至 {last} 之间有 {nights} 夜没有数据，"
        "而同一数据源的其他电表正常，请核查电表和通信。",
        "Meter possibly silent: meter(s) {meters} of {who} sent nothing on {nights} night(s) from {first} to {last} "
        "while others of the same source did. Please check the meter and its link.",
    ),
    checks=(
        Bilingual("采集终端供电、天线和通信是否正常。", "Whether the terminal has power, antenna and connection."),
        Bilingual("电表接线、互感器和铅封是否完好。", "Whether wiring, transformers and seals are intact."),
        Bilingual(
            "现场是否仍在用电；是否已换表、销户而登记未更新。",
            "Whether power is still used on site; whether the meter was replaced or closed without an update.",
        ),
    ),
    limits=NO_VERDICT,
)

_CONSUMPTION: Final = Wording(
    title=Bilingual("疑似用电异常", "possible abnormal consumption"),
    summary=Bilingual(
        "疑似用电异常：{who}的电表 {meters} 自 {first} 至 {last} 有 {nights} 夜的用电与其自身以往明显不同，"
        "请核查变化的原因。",
        "Possible abnormal consumption: on {nights} night(s) from {first} to {last} meter(s) {meters} of {who} drew "
        "power clearly unlike their own past. Please check what changed.",
    ),
    checks=(
        Bilingual(
            "近期是否新增设备、班次、生产线，或复产、停产、搬迁、转租。",
            "Whether machines, shifts or lines were added, or the plant was restarted, stopped, moved or let.",
        ),
        Bilingual(
            "订单、产量、原料和用工是否与用电量的变化相符。",
            "Whether orders, output, raw material and staff fit the change.",
        ),
        Bilingual(
            "登记的生产状态、合同容量、倍率是否需要更新；是否超合同容量用电。",
            "Whether status, contract and transformer ratio in the register need an update; whether the contract is "
            "exceeded.",
        ),
        Bilingual(
            "电表、互感器、接线是否正常；是否换表、改线路或新装光伏、储能。",
            "Whether meter, transformers and wiring are in order; whether the meter or line was changed, or solar or "
            "storage added.",
        ),
    ),
    limits=NO_VERDICT,
)

WORDINGS: Final[Mapping[LeadKind, Wording]] = MappingProxyType(
    {
        LeadKind.FURNACE_MELT: _FURNACE,
        LeadKind.SEALED_SITE: _SEALED,
        LeadKind.METER_SILENT: _SILENT,
        LeadKind.CONSUMPTION: _CONSUMPTION,
    }
)
"""Every kind of lead has a row; a test holds it."""


def summary_of(kind: LeadKind, facts: Facts) -> Bilingual:
    """What was seen and what to check, whether it is provisional, and what the lead does not say."""
    wording = WORDINGS[kind]
    zh = _filled(wording.summary.zh, facts, facts.who.zh, "、")
    en = _filled(wording.summary.en, facts, facts.who.en, ", ")
    if facts.provisional:
        zh, en = zh + PROVISIONAL.zh, f"{en} {PROVISIONAL.en}"
    return Bilingual(zh + wording.limits.zh, f"{en} {wording.limits.en}")


def _filled(template: str, facts: Facts, who: str, comma: str) -> str:
    shown = comma.join(facts.meters[:5]) + ("…" if len(facts.meters) > 5 else "")
    return template.format(who=who, nights=facts.nights, first=facts.first_night, last=facts.last_night, meters=shown)
