"""A flag's event as a short text for people: Chinese first, English after it; the same event gives the same text."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

FLAG_EVENTS: Final = "cn.gridwarden.flag."
"""How the types of these events begin."""

_CHANGES: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "raised": ("加价标识", "surcharge flag"),
        "amended": ("加价标识更新", "surcharge flag amended"),
        "withdrawn": ("加价标识撤回", "surcharge flag withdrawn"),
    }
)
_STATUSES: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "flag": ("应加价", "surcharge applies"),
        "clear": ("不加价", "no surcharge"),
        "undetermined": ("无法确定", "undetermined"),
        "needs_data": ("缺少数据", "needs data"),
        "needs_review": ("需要复核", "needs review"),
    }
)
_OTHER: Final = ("加价标识变更", "surcharge flag changed")


def flag_parts(change: str, flag: Mapping[str, Any]) -> tuple[str, list[list[str]]]:
    """The title, and groups of lines by how much they matter: facts, then reasons, how to see it, English.

    Raises KeyError or TypeError where the event is not one of a flag.
    """
    zh, en = _CHANGES.get(change, _OTHER)
    status_zh, status_en = _STATUSES[flag["status"]]
    title = f"{zh}：{_line(flag['name'] or flag['uscc'])} {flag['period']}｜{status_zh}"
    facts = [f"{flag['uscc']}　{flag['period']}", *_sums(flag)]
    before = flag.get("before")
    if before is not None:
        was_zh = _STATUSES[before["status"]][0]
        facts.append(f"此前 before：{was_zh}" + "".join(f"　{text}" for text in _sums(before)))
    see = [
        f"gridwarden tariff --enterprise {flag['uscc']} --period {flag['period']}",
        f"第 {flag['revision']} 版 revision",
    ]
    english = [f"[{en}] {status_en}: {_line(flag['reason_en'])}"]
    return title, [[_line(flag["reason_zh"])], facts, see, english]


def _sums(flag: Mapping[str, Any]) -> list[str]:
    told = []
    if flag["rule"]:
        told.append(f"{flag['rule']}" + (f" {flag['tier']}" if flag["tier"] else ""))
    if flag["surcharge_cny_per_kwh"] is not None:
        amount = "" if flag["amount_cny"] is None else f" = {flag['amount_cny']} 元 CNY"
        kwh = "" if flag["kwh"] is None else f" × {flag['kwh']} kWh"
        told.append(f"{flag['surcharge_cny_per_kwh']} 元/千瓦时{kwh}{amount}")
    return told


def _line(text: str) -> str:
    """Names come from registers: no control character of theirs makes a line, a header or a link of its own."""
    return "".join(c if c.isprintable() else " " for c in text).strip()
