"""Leads as a table for the office: one row a lead, Chinese headings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from monitor.spreadsheets import Cell

Lead = Mapping[str, Any]

_KINDS: Final[Mapping[str, str]] = MappingProxyType(
    {"furnace_melt": "疑似感应炉熔炼", "sealed_site": "关停断电厂区用电", "meter_silent": "电表无数据"}
)
_STATES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "open": "待核查",
        "claimed": "已认领",
        "dismissed": "已排除",
        "stale": "已陈旧",
        "withdrawn": "已撤回",
        "escalated": "已立案",
    }
)
_STATUSES: Final[Mapping[str, str]] = MappingProxyType({"operating": "在产", "closed": "关停", "power_cut": "断电"})


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its heading, how wide it opens, and where its cell comes from."""

    heading: str
    width: int
    cell: Callable[[Lead], Cell]


def _enterprise(name: str) -> Callable[[Lead], Cell]:
    return lambda lead: (lead["enterprise"] or {}).get(name)


def _nights(lead: Lead) -> int:
    return len({entry["night"] for entry in lead["nights"]})


COLUMNS: Final[Sequence[Column]] = (
    Column("线索编号", 24, lambda lead: lead["id"]),
    Column("类型", 18, lambda lead: _KINDS.get(lead["kind"], lead["title"]["zh"])),
    Column("状态", 10, lambda lead: _STATES[lead["state"]]),
    Column("系统意见", 10, lambda lead: "已撤回" if lead["standing"] == "withdrawn" else "成立"),
    Column("处理人", 12, lambda lead: lead.get("handled_by")),
    Column("处理理由", 24, lambda lead: lead.get("handled_reason")),
    Column("处理时间 (UTC)", 22, lambda lead: lead.get("handled_at")),
    Column("静默编号", 10, lambda lead: lead.get("silenced")),
    Column("企业", 28, _enterprise("name")),
    Column("统一社会信用代码", 22, _enterprise("uscc")),
    Column("行业代码", 10, _enterprise("trade")),
    Column("登记状态", 10, lambda lead: _STATUSES.get((lead["enterprise"] or {}).get("status", ""))),
    Column("厂区编号", 14, lambda lead: lead["site"]["id"]),
    Column("厂区", 18, lambda lead: lead["site"]["name"]),
    Column("地址", 28, lambda lead: lead["site"]["address"]),
    Column("电表", 24, lambda lead: "、".join(lead["meters"])),
    Column("月份", 10, lambda lead: lead["month"]),
    Column("首夜", 12, lambda lead: lead["first_night"]),
    Column("末夜", 12, lambda lead: lead["last_night"]),
    Column("夜数", 8, _nights),
    Column("用电迹象", 10, lambda lead: lead["score"]),
    Column("概率", 10, lambda lead: lead["probability"]),
    Column("与登记不符", 12, lambda lead: lead["mismatch"]),
    Column("摘要", 60, lambda lead: lead["summary"]["zh"]),
    Column("依据", 60, lambda lead: "；".join(reason["zh"] for reason in lead["reasons"])),
    Column("现场核查", 60, lambda lead: "；".join(lead["what_to_check"]["zh"])),
    Column("版次", 8, lambda lead: lead["revision"]),
    Column("提出时间 (UTC)", 22, lambda lead: lead["raised_at"]),
    Column("修订时间 (UTC)", 22, lambda lead: lead["revised_at"]),
    Column("上月线索", 24, lambda lead: lead["previous"]),
)
"""What an export of leads says of each, in order."""


def row_of(lead: Lead) -> list[Cell]:
    """The cells of one lead; numbers stay numbers, what is not known is empty."""
    return [column.cell(lead) for column in COLUMNS]
