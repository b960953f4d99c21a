"""Plants of one trade compared with each other, from messages to lead, and again when one of them is corrected."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

from models.domain.accounts import Period
from models.domain.readings import RawMessage
from models.domain.register import (
    Enterprise,
    Furnace,
    FurnaceKind,
    Line,
    Meter,
    Publisher,
    Register,
    RegisterRows,
    Site,
)
from tests.support.intensity import leads
from tests.support.plant import ZONE, Plant, midnight_ms, output, readings

MARCH = Period.month(2026, 3)
PRODUCT = "灰铸铁件"
NAMES = "ABCDEFGH"


def register() -> Register:
    """Eight foundries with a site, a meter, a line and a furnace each; that of A makes ingots without refining."""
    rows = RegisterRows(
        enterprises=tuple(Enterprise(uscc=f"91330100MA000000{n}X", name=n, trade="C3391") for n in NAMES),
        sites=tuple(Site(site=f"s{n}", uscc=f"91330100MA000000{n}X") for n in NAMES),
        meters=tuple(Meter(meter=f"m{n}", site=f"s{n}", publisher="bureau", cadence_s=86_400) for n in NAMES),
        lines=tuple(Line(line=f"L{n}", site=f"s{n}", product=PRODUCT) for n in NAMES),
        furnaces=tuple(
            Furnace(furnace=f"F{n}", site=f"s{n}", kind=FurnaceKind.MEDIUM_FREQUENCY, purpose="铸件") for n in NAMES
        ),
        publishers=(Publisher(publisher="bureau", may_revise=True),),
    )
    return Register(rows, ZONE, "v1")


def used(kwh_a_day: float = 2000.0) -> RawMessage:
    days = [MARCH.first + dt.timedelta(days=n) for n in range(MARCH.days + 1)]
    rows: list[dict[str, Any]] = [
        {"meter": f"m{name}", "ts": midnight_ms(day), "e_imp_kwh": kwh_a_day * number}
        for name in NAMES
        for number, day in enumerate(days)
    ]
    return readings(rows, received_ms=midnight_ms(MARCH.end) + 86_400_000)


def made(name: str, tonnes: float, rev: int = 0) -> RawMessage:
    row = {"line": f"L{name}", "from": "2026-03-01", "to": "2026-03-31", "product": PRODUCT, "unit": "t"}
    return output(row | {"quantity": tonnes, "rev": rev}, received_ms=midnight_ms(MARCH.end) + (2 + rev) * 86_400_000)


def told(plant: Plant) -> list[tuple[str, str, str]]:
    plant.rest()
    plant.core.intensity.finish(midnight_ms(MARCH.end))
    return [(lead["site"]["id"], lead["standing"], lead["reasons"][0]["code"]) for lead in leads(plant)]


def test_a_plant_far_above_its_trade_is_a_lead_until_its_output_is_corrected(tmp_path: Path) -> None:
    with Plant(tmp_path, register()) as plant:
        plant.feed(used(), *(made(name, 60 + number) for number, name in enumerate(NAMES[:-1])), made("H", 20))
        assert told(plant) == [("sH", "raised", "above_peers")]
        (lead,) = leads(plant)
        assert lead["kind"] == "output_mismatch"
        assert "8 家中位数" in lead["reasons"][0]["zh"]
        plant.feed(made("H", 64, rev=1))
        assert told(plant) == [("sH", "withdrawn", "above_peers")]


def test_a_correction_of_others_changes_where_a_plant_stands(tmp_path: Path) -> None:
    with Plant(tmp_path, register()) as plant:
        plant.feed(used(), *(made(name, 60 + number) for number, name in enumerate(NAMES[:-1])), made("H", 20))
        assert told(plant) == [("sH", "raised", "above_peers")]
        plant.feed(*(made(name, 21 + number, rev=1) for number, name in enumerate(NAMES[:-1])))
        assert told(plant) == [("sH", "withdrawn", "above_peers")]


def test_more_output_than_electricity_and_a_comparison_are_one_lead(tmp_path: Path) -> None:
    with Plant(tmp_path, register()) as plant:
        plant.feed(used(), *(made(name, 60 + number) for number, name in enumerate(NAMES[:-1])), made("H", 600))
        assert told(plant) == [("sH", "raised", "output_too_high")]
