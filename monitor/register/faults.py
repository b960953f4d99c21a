"""What can be wrong with a register, said so that the person who filled it in can put it right."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

SHOWN_CHARACTERS: Final = 80
"""How much of a faulty value is repeated."""


@dataclass(frozen=True, slots=True)
class Bilingual:
    """One sentence in English and in Chinese."""

    en: str
    zh: str


@dataclass(frozen=True, slots=True)
class CellFault:
    """One fault: where it stands, what is wrong and what to do.

    `row` counts from 1 as a spreadsheet shows it (the header is normally row 1) and is 0 where the fault concerns a
    whole sheet or file; `column` is the header as written, empty where no column is to blame.
    """

    file: str
    sheet: str
    row: int
    column: str
    value: str
    problem_en: str
    problem_zh: str
    remedy_en: str
    remedy_zh: str

    def __str__(self) -> str:
        place = ", ".join(
            part
            for part in (
                self.file,
                f"sheet {self.sheet}" if self.sheet else "",
                f"row {self.row}" if self.row else "",
                f"column {self.column}" if self.column else "",
            )
            if part
        )
        return f"{place}: {self.problem_en}. {self.remedy_en}."


class CellError(ValueError):
    """A value that cannot be taken, before it is known where it stands."""

    def __init__(self, problem: Bilingual, remedy: Bilingual) -> None:
        super().__init__(f"{problem.en}. {remedy.en}.")
        self.problem = problem
        self.remedy = remedy


class RegisterFaults(ValueError):  # noqa: N818 - it is several faults, and named for them
    """A register that cannot be taken; `faults` holds all of its faults, in the order of the sheets and rows."""

    def __init__(self, faults: Sequence[CellFault]) -> None:
        self.faults = tuple(faults)
        super().__init__(f"the register has {len(self.faults)} faults; the first: {self.faults[0]}")


def shown(value: object) -> str:
    """An untrusted value as it may be repeated: control and format characters escaped, cut to 80 characters."""
    text = "" if value is None else str(value)
    safe = "".join(
        c if unicodedata.category(c) not in {"Cc", "Cf", "Cs", "Zl", "Zp"} else f"\\u{ord(c):04x}"
        for c in text[: SHOWN_CHARACTERS + 1]
    )
    return safe if len(safe) <= SHOWN_CHARACTERS else safe[: SHOWN_CHARACTERS - 1] + "…"
