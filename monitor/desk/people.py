"""Who acts and why, as people write it: checked once, here (rule A4)."""

from __future__ import annotations

import unicodedata
from typing import Final

from monitor.commands import CommandRefused
from monitor.desk.audit_log import SYSTEM

NAME_CHARACTERS: Final = 64
REASON_CHARACTERS: Final = 500
_UNSAFE: Final = frozenset({"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"})


def person(name: str) -> str:
    """A person's display name: NFC, 1 to 64 characters, none of them control, bidirectional or invisible.

    Raises CommandRefused for anything else, and for the name the program itself acts under.
    """
    value = _checked(name, "姓名", "name", NAME_CHARACTERS)
    if value.casefold() == SYSTEM:
        raise CommandRefused(
            f"{SYSTEM} 是程序自己的名字，请写人名。{SYSTEM} is the program's own name; give a person's."
        )
    return value


def reason(text: str) -> str:
    """A reason in a person's words: NFC, 1 to 500 characters on one line. Raises CommandRefused for anything else."""
    return _checked(text, "理由", "reason", REASON_CHARACTERS)


def same_person(one: str, other: str) -> bool:
    """Whether two names that were checked are the same to a reader: case, width and spaces aside."""
    return _plain(one) == _plain(other)


def _plain(name: str) -> str:
    return "".join(unicodedata.normalize("NFKC", name).casefold().split())


def _checked(text: str, zh: str, en: str, longest: int) -> str:
    value = unicodedata.normalize("NFC", text).strip()
    if not value:
        raise CommandRefused(f"{zh}不能为空。The {en} is empty.")
    for character in value:
        if unicodedata.category(character) in _UNSAFE:
            code = f"U+{ord(character):04X}"
            raise CommandRefused(
                f"{zh}含有不可见或控制字符 {code}，请删除。The {en} holds the control or invisible character {code}."
            )
    if len(value) > longest:
        raise CommandRefused(f"{zh}超过 {longest} 个字符，请缩短。The {en} is longer than {longest} characters.")
    return value
