"""Chinese text is broken between characters, and never inside a date or before a full stop."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from monitor.cli.chinese_lines import chinese_lines

TEXT = "示范公司在 2025-03-02 至 2025-03-15 之间有 14 夜的用电形态与感应炉熔炼相符，请核查（炉子的用途）。"


def test_dates_stay_whole_and_punctuation_never_begins_a_line() -> None:
    for width in range(14, 60):
        lines = chinese_lines(TEXT, width).split("\n")
        assert all(cell_len(line) <= width for line in lines)
        assert not [line for line in lines if line[0] in "，。）" or line[-1] in "（ "]
        assert "2025-03-15" in " ".join(lines)
        assert "".join("".join(lines).split()) == "".join(TEXT.split())


@given(st.text(alphabet="电炉，。（）ab1 -", max_size=80), st.integers(4, 40))
def test_nothing_is_lost(text: str, width: int) -> None:
    assert "".join(chinese_lines(text, width).split()) == "".join(text.split())
