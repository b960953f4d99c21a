"""Lines of Chinese text for a terminal: rich breaks at spaces only, which Chinese has none of."""

from __future__ import annotations

import re
from typing import Final

_TOKENS: Final = re.compile(r"[!-~]+|.")
"""Latin words, numbers and dates stay whole; every other character may begin a line."""
_NEVER_FIRST: Final = frozenset("，。；：、？！）》」』”’…%")
_NEVER_LAST: Final = frozenset("（《「『“‘")


def chinese_lines(text: str, width: int) -> str:
    """The text with line ends, so that no line is wider than `width` cells, unless one word alone is."""
    from rich.cells import cell_len

    lines: list[str] = [""]
    for token in _glued(_TOKENS.findall(text)):
        if lines[-1] and cell_len(lines[-1] + token.rstrip()) > width:
            lines[-1] = lines[-1].rstrip()
            lines.append(token.lstrip())
        else:
            lines[-1] += token
    return "\n".join(lines)


def _glued(tokens: list[str]) -> list[str]:
    """Tokens with the punctuation that must not stand at the beginning or the end of a line."""
    glued: list[str] = []
    for token in tokens:
        if glued and (token[0] in _NEVER_FIRST or glued[-1][-1] in _NEVER_LAST):
            glued[-1] += token
        else:
            glued.append(token)
    return glued
