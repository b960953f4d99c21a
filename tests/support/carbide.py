"""A carbide works in Guangxi whose furnace uses 3350 kWh/t against a limit of 3200, and a notice that bills it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from models.domain.register import Enterprise, Line, Register
from tests.support import plant

HOW_TO: Final = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "add-a-province-notice.md"
NAME: Final = "某某电石有限公司"
PRODUCT: Final = "calcium_carbide"
TONNES: Final = 191
"""Carbide of line L1 in March: (800 + 60 kW) × 744 h = 639,840 kWh, 3350 kWh a tonne."""


def register() -> Register:
    """The plant's register with carbide on its first line, in Nanning."""
    return plant.register(
        enterprises=(
            Enterprise(uscc=plant.USCC, name=NAME, district="450100"),
            Enterprise(uscc=plant.OTHER, name="邻厂", district="450100"),
        ),
        lines=(Line(line="L1", site="works", product=PRODUCT), Line(line="L2", site="works", product="灰铸铁件")),
    )


def works(state_dir: Path) -> plant.Plant:
    """The works with its readings and output of March."""
    made = plant.Plant(state_dir, table=register())
    carbide = plant.output_row("L1", TONNES, product=PRODUCT)
    made.feed(plant.readings(plant.register_readings()), plant.output(carbide, plant.output_row("L2", 300)))
    return made.rest()


def page_block(language: str, page: Path = HOW_TO) -> str:
    """The one fenced block of a language of a page."""
    (text,) = re.findall(rf"^```{language}\n(.*?)^```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return str(text)
