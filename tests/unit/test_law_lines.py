"""The line of every key of a TOML text."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from models.law.library import SHIPPED, shipped_law
from models.law.lines import Path, key_lines, line_of

TEXT = """\
# a comment with [brackets] and "quotes"
top = 1
"quoted key" = 'it''s'

[[rule]]
id = "a"          # not = this
tiers = [
  { le = 1, text = "], }" },
  # [[rule]]
  { gt = 1, nested = { deep = [1, 2,
    3] } },
]
long = \"\"\"
id = "b"
[[rule]]
\"\"\"
  [[rule.part]]
  x = 1
  [[rule.part]]
  x = 2
[[rule]]
a.b.c = 2026-07-01
[table.under]
y = '''
'''
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("top",), 2),
        (("rule",), 5),
        (("rule", 0), 5),
        (("rule", 0, "id"), 6),
        (("rule", 0, "tiers", 0, "text"), 8),
        (("rule", 0, "tiers", 1), 10),
        (("rule", 0, "tiers", 1, "nested", "deep", 2), 11),
        (("rule", 0, "long"), 13),
        (("rule", 0, "part", 0, "x"), 18),
        (("rule", 0, "part", 1), 19),
        (("rule", 1), 21),
        (("rule", 1, "a", "b", "c"), 22),
        (("table", "under", "y"), 24),
    ],
)
def test_a_key_stands_on_its_line(path: Path, line: int) -> None:
    assert key_lines(TEXT.replace("'it''s'", "'its'"))[path] == line


def test_what_is_not_written_is_told_at_what_holds_it() -> None:
    lines = key_lines(TEXT.replace("'it''s'", "'its'"))
    assert line_of(lines, ("rule", 0, "tiers", 1, "absent")) == 10
    assert line_of(lines, ("absent",)) == 1


def test_every_key_of_the_shipped_packs_is_found() -> None:
    for pack in shipped_law().packs:
        text = pack_text(pack.file)
        lines = key_lines(text)
        missing = [path for path in paths_of(tomllib.loads(text)) if path not in lines]
        assert missing == [], pack.file


def test_windows_line_ends_count_once() -> None:
    assert key_lines("a = 1\r\nb = 2\r\n")[("b",)] == 2


def pack_text(file: str) -> str:
    import importlib.resources

    name = file.removeprefix(f"{SHIPPED}/")
    return importlib.resources.files("models.law").joinpath("packs", name).read_text("utf-8")


def paths_of(value: Any, path: Path = ()) -> list[Path]:
    here = [path] if path else []
    if isinstance(value, dict):
        return here + [found for key, part in value.items() for found in paths_of(part, (*path, key))]
    if isinstance(value, list):
        return here + [found for index, part in enumerate(value) for found in paths_of(part, (*path, index))]
    return here
