"""Where in a TOML text each key stands: tomllib tells values but no lines, and a fault is only of use with its line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Path = tuple[str | int, ...]
"""A place in the parsed document, such as `("limit", 3, "level1")`."""

_BLANK = " \t\r\n"
_ENDS = ",]}\n#"


def key_lines(text: str) -> dict[Path, int]:
    """The line (from 1) of every table, array element and key of a TOML text that tomllib has accepted."""
    return _Scanner(text).document()


def line_of(lines: Mapping[Path, int], path: Sequence[str | int]) -> int:
    """The line of `path`, or of its nearest enclosing table or key; 1 where nothing of it is written."""
    for depth in range(len(path), 0, -1):
        if (found := lines.get(tuple(path[:depth]))) is not None:
            return found
    return 1


class _Scanner:
    """One pass over valid TOML. It reads structure only: what the values are, tomllib has already said."""

    def __init__(self, text: str) -> None:
        self._text = text.replace("\r\n", "\n")
        self._at = 0
        self._counted_to = 0
        self._line = 1
        self._lines: dict[Path, int] = {}
        self._counts: dict[Path, int] = {}

    def document(self) -> dict[Path, int]:
        prefix: Path = ()
        self._skip_blank()
        while self._at < len(self._text):
            if self._text.startswith("[[", self._at):
                prefix = self._header(brackets=2)
            elif self._text[self._at] == "[":
                prefix = self._header(brackets=1)
            else:
                self._pair(prefix)
            self._skip_blank()
        return self._lines

    def _here(self) -> int:
        self._line += self._text.count("\n", self._counted_to, self._at)
        self._counted_to = self._at
        return self._line

    def _skip_blank(self) -> None:
        while self._at < len(self._text):
            if self._text[self._at] in _BLANK:
                self._at += 1
            elif self._text[self._at] == "#":
                end = self._text.find("\n", self._at)
                self._at = len(self._text) if end < 0 else end
            else:
                return

    def _header(self, *, brackets: int) -> Path:
        line = self._here()
        self._at += brackets
        names = self._key("]")
        self._at += brackets
        parent: Path = ()
        for name in names[:-1]:
            parent = self._inside((*parent, name))
        path: Path = (*parent, names[-1])
        if brackets == 2:
            self._lines.setdefault(path, line)
            index = self._counts.get(path, 0)
            self._counts[path] = index + 1
            path = (*path, index)
        self._lines.setdefault(path, line)
        return path

    def _inside(self, path: Path) -> Path:
        """The table a header path goes through: of an array of tables, its last element."""
        count = self._counts.get(path)
        return path if count is None else (*path, count - 1)

    def _pair(self, prefix: Path) -> None:
        line = self._here()
        path = prefix
        for name in self._key("="):
            path = (*path, name)
            self._lines.setdefault(path, line)
        self._at += 1
        self._value(path)

    def _key(self, end: str) -> list[str]:
        names: list[str] = []
        while True:
            self._skip_blank()
            char = self._text[self._at]
            if char == end:
                return names
            if char == ".":
                self._at += 1
            elif char in "\"'":
                names.append(self._string())
            else:
                start = self._at
                while self._text[self._at] not in f"{end}. \t":
                    self._at += 1
                names.append(self._text[start : self._at])

    def _value(self, path: Path) -> None:
        self._skip_blank()
        char = self._text[self._at]
        if char in "\"'":
            self._string()
        elif char == "[":
            self._array(path)
        elif char == "{":
            self._inline_table(path)
        else:
            while self._at < len(self._text) and self._text[self._at] not in _ENDS:
                self._at += 1

    def _string(self) -> str:
        quote = self._text[self._at]
        mark = quote * 3 if self._text.startswith(quote * 3, self._at) else quote
        self._at += len(mark)
        start = self._at
        while not self._text.startswith(mark, self._at):
            self._at += 2 if quote == '"' and self._text[self._at] == "\\" else 1
        end = self._at
        self._at += len(mark)
        while len(mark) == 3 and self._text.startswith(quote, self._at):
            self._at += 1
        return self._text[start:end]

    def _array(self, path: Path) -> None:
        self._at += 1
        index = 0
        while True:
            self._skip_blank()
            if self._text[self._at] == "]":
                self._at += 1
                return
            if self._text[self._at] == ",":
                self._at += 1
                continue
            self._lines.setdefault((*path, index), self._here())
            self._value((*path, index))
            index += 1

    def _inline_table(self, path: Path) -> None:
        self._at += 1
        while True:
            self._skip_blank()
            if self._text[self._at] == "}":
                self._at += 1
                return
            if self._text[self._at] == ",":
                self._at += 1
                continue
            self._pair(path)
