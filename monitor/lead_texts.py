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
NO_OFFICIAL_FIGURE: Final = Bilingual(
    "本线索按报送数据核算，不是监察结论。",
    "This lead is worked out from reported data and is not an inspection's result.",
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

_INTENSITY: Final = Wording(
    title=Bilingual("疑似超能耗限额", "possible excess over an energy limit"),
    summary=Bilingual(
        "疑似超能耗限额：按截至 {last} 的统计期电量、燃料和申报产量核算，{who}的单位产品能耗高于现行强制性限额标准，"
        "请核查，并按依据中的算式逐步复核。",
        "Possible excess over an energy limit: from electricity, fuels and declared output of the period that ends on "
        "{last}, the energy per product of {who} is above the mandatory limit in force. Please redo the calculation "
        "given with the evidence.",
    ),
    checks=(
        Bilingual(
            "产量、燃料台账与报送数据是否一致，统计口径是否与标准一致。",
            "Whether output and fuel records agree with what was reported, and count what the standard counts.",
        ),
        Bilingual(
            "电表是否只计本产品用电；分摊比例、修正系数的证明材料。",
            "Whether the meters count this product only; proof of allocation shares and correction factors.",
        ),
        Bilingual(
            "装置属现有还是新建、改扩建，适用的标准版本和级别。",
            "Whether the plant is existing or new or rebuilt, and which edition and level of the standard applies.",
        ),
        Bilingual(
            "单月异常是否由检修、开停车造成，全年口径是否仍超限。",
            "Whether one month is explained by repair or start-up, and whether the year as a whole is above too.",
        ),
    ),
    limits=NO_OFFICIAL_FIGURE,
)

_OUTPUT: Final = Wording(
    title=Bilingual("产量与用电不符", "declared output does not fit the electricity"),
    summary=Bilingual(
        "疑似产量与用电不符：{who}在截至 {last} 的统计期申报的产量与其用电不符，请核查产量、炉次和计量。",
        "Declared output does not fit the electricity: in the period that ends on {last} the output declared by {who} "
        "does not fit its electricity. Please check output, heats and metering.",
    ),
    checks=(
        Bilingual(
            "产量、出库、销售和开票数据与申报是否一致。",
            "Whether production, dispatch, sales and invoices agree with what was declared.",
        ),
        Bilingual(
            "是否有外购半成品、委外加工，或未申报的产品和工序。",
            "Whether semi-finished goods are bought, work is done elsewhere, or products are not declared.",
        ),
        Bilingual(
            "是否有未登记的电源、电表或旁路用电，炉次是否漏报。",
            "Whether there is supply, a meter or a bypass that is not registered, and whether heats are left out.",
        ),
    ),
    limits=NO_VERDICT,
)

_EQUIPMENT: Final = Wording(
    title=Bilingual("疑似限制/淘汰类设备", "possible equipment of a restricted or eliminated class"),
    summary=Bilingual(
        "疑似限制/淘汰类设备：{who}登记的炉子（截至 {last}）符合目录或文件所述特征，请核查实物。",
        "Possible equipment of a restricted or eliminated class: a furnace registered for {who} (as of {last}) fits "
        "what a catalogue or document describes. Please check on site.",
    ),
    checks=(
        Bilingual(
            "炉型、炉壳、磁轭、吨位、铭牌和出厂日期是否与登记一致。",
            "Whether type, shell, yoke, tonnes, nameplate and date of the furnace are as registered.",
        ),
        Bilingual(
            "实际产品和原料：铸件、钢锭、钢坯、不锈钢或特种合金；有无精炼设备。",
            "What is made and from what: castings, ingots, billets, stainless or special alloys; refining on site.",
        ),
        Bilingual(
            "检查之日现行的目录版本和原文。", "Which edition of the catalogue is in force on the day, in its own words."
        ),
    ),
    limits=Bilingual(
        "本线索只说明登记信息与目录特征相符，不是结论。",
        "This lead shows that the register fits a description only and is not a finding against anyone.",
    ),
)

WORDINGS: Final[Mapping[LeadKind, Wording]] = MappingProxyType(
    {
        LeadKind.FURNACE_MELT: _FURNACE,
        LeadKind.SEALED_SITE: _SEALED,
        LeadKind.METER_SILENT: _SILENT,
        LeadKind.CONSUMPTION: _CONSUMPTION,
        LeadKind.INTENSITY: _INTENSITY,
        LeadKind.OUTPUT_MISMATCH: _OUTPUT,
        LeadKind.RESTRICTED_EQUIPMENT: _EQUIPMENT,
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
