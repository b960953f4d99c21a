"""An event of a lead or a flag as a short text for people: Chinese first; the same event gives the same text."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import msgspec

from connectors.flag_text import FLAG_EVENTS, flag_parts

_CHANGES: Final = MappingProxyType(
    {
        "raised": ("新线索", "new lead"),
        "amended": ("线索更新", "lead amended"),
        "withdrawn": ("线索撤回", "lead withdrawn"),
        "reopened": ("线索重新成立", "lead reopened"),
    }
)
_OTHER: Final = ("线索变更", "lead changed")


class NotALead(ValueError):  # noqa: N818 - reads as the condition it names
    """The event is not one of a lead or a flag, so that nothing can be said of it."""


@dataclass(frozen=True, slots=True)
class NoticeText:
    """A title of one line and a body; `short` is all there is room for in a telephone message."""

    title: str
    body: str
    short: str


def render(event: bytes, max_bytes: int | None = None) -> NoticeText:
    """What a notice says. Where `max_bytes` (of title and body in UTF-8) is too little, what to check goes first, then
    the English text; how to see the lead always stays. Raises NotALead."""
    try:
        envelope = msgspec.json.decode(event)
        lead = envelope["data"]
        change = str(envelope["type"]).split(".")[3]
        if str(envelope["type"]).startswith(FLAG_EVENTS):
            return _fitted_flag(change, lead, max_bytes)
        return _fitted(_CHANGES.get(change, _OTHER), lead, max_bytes)
    except (msgspec.DecodeError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise NotALead(f"the event cannot be read as a lead: {type(error).__name__}") from error


def _fitted(change: tuple[str, str], lead: dict[str, Any], max_bytes: int | None) -> NoticeText:
    zh, en = change
    enterprise, site = lead["enterprise"], lead["site"]
    who = " ".join(
        _line(part) for part in (enterprise["name"] if enterprise else "", site["name"] or site["id"]) if part
    )
    title = f"{zh}：{_line(lead['title']['zh'])}｜{who}"
    nights = len({night["night"] for night in lead["nights"]})
    facts = [
        f"{lead['first_night']} 至 {lead['last_night']}，{nights} 夜 night(s)",
        f"评分 score {lead['score']:.2f}　电表 meter(s) {', '.join(lead['meters'][:8])}"
        + (" …" if len(lead["meters"]) > 8 else ""),
    ]
    see = [f"线索编号 lead {lead['id']}，第 {lead['revision']} 版 revision", f"gridwarden leads show {lead['id']}"]
    chinese = [_line(lead["summary"]["zh"])]
    checks = ["请核查：", *(f"{n}. {_line(text)}" for n, text in enumerate(lead["what_to_check"]["zh"], 1))]
    english = [f"[{en}] {_line(lead['summary']['en'])}"]
    short = f"{title} {lead['first_night']}—{lead['last_night']} {lead['id']}"
    for parts in (
        [chinese, facts, checks, see, english],
        [chinese, facts, see, english],
        [chinese, facts, see],
        [facts, see],
    ):
        body = "\n\n".join("\n".join(part) for part in parts)
        if max_bytes is None or len(f"{title}\n{body}".encode()) <= max_bytes:
            return NoticeText(title, body, short)
    return NoticeText(title[:60], "\n".join(see), short)


def _fitted_flag(change: str, flag: dict[str, Any], max_bytes: int | None) -> NoticeText:
    title, groups = flag_parts(change, flag)
    reason, facts, see, english = groups
    for parts in ([reason, facts, see, english], [reason, facts, see], [facts, see]):
        body = "\n\n".join("\n".join(part) for part in parts)
        if max_bytes is None or len(f"{title}\n{body}".encode()) <= max_bytes:
            return NoticeText(title, body, f"{title} {facts[-1]}")
    return NoticeText(title[:60], "\n".join(see), title)


def _line(text: str) -> str:
    """Names come from registers: no control character of theirs makes a line, a header or a link of its own."""
    return "".join(c if c.isprintable() else " " for c in text).strip()
