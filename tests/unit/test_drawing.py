"""Pictures look the same on a bare machine, Chinese included, and come out in the same bytes."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import json
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from matplotlib.figure import Figure

from monitor.drawing.canvas import png_bytes, svg_bytes
from monitor.drawing.curve import NightCurve, draw_nights
from monitor.drawing.fonts import FONT_FILE, drawable
from monitor.drawing.nightly import NightlyEnergy, draw_nightly
from monitor.lead_texts import WORDINGS

POWER = np.tile(np.array([400.0, 60.0, np.nan, 380.0]), 24)
CURVE = NightCurve(
    title="2026-03-02 夜 night · 电表 meter 330124001",
    zone=ZoneInfo("Asia/Shanghai"),
    start_ms=1_772_424_000_000,
    interval_s=900,
    mean_kw=POWER,
    instant_kw=POWER + 5.0,
    valley=np.arange(96) > 40,
    conflict=np.arange(96) == 7,
    dips_ms=(1_772_430_000_000,),
    limit_kw=50.0,
)
NIGHTLY = NightlyEnergy(
    "每夜电量", [dt.date(2026, 3, d) for d in (1, 2)], np.array([1.0, np.nan]), np.array([True, False])
)


def figures() -> list[Figure]:
    return [draw_nights([CURVE, CURVE]), draw_nightly([NIGHTLY])]


def test_the_same_figure_gives_the_same_bytes() -> None:
    for first, second in zip(figures(), figures(), strict=True):
        assert png_bytes(first) == png_bytes(second)
        assert svg_bytes(first) == svg_bytes(second)


def test_a_picture_needs_no_font_and_tells_no_time() -> None:
    svg = svg_bytes(draw_nights([CURVE])).decode()
    assert "<text" not in svg
    assert "font-family" not in svg
    assert "<dc:date>" not in svg
    assert b"tEXt" not in png_bytes(draw_nights([CURVE]))


def test_the_legend_explains_what_is_drawn_and_nothing_else() -> None:
    plain = dataclasses.replace(CURVE, instant_kw=None, valley=None, dips_ms=(), limit_kw=None, mean_kw=np.ones(96))
    told = [text.get_text() for text in draw_nights([plain]).legends[0].get_texts()]
    assert told == ["数值矛盾 contradiction", "平均功率 mean power, kW"]
    assert len(draw_nights([CURVE]).legends[0].get_texts()) == 7


@pytest.mark.parametrize("power", [np.full(96, np.nan), np.zeros(96), np.full(96, -20.0)], ids=["none", "zero", "out"])
def test_a_night_without_load_can_be_drawn(power: np.ndarray[tuple[int], np.dtype[np.float64]]) -> None:
    night = dataclasses.replace(CURVE, mean_kw=power, instant_kw=None, limit_kw=None)
    assert png_bytes(draw_nights([night])).startswith(b"\x89PNG")


def test_the_font_has_what_leads_say_and_says_where_it_lacks_a_character() -> None:
    said = "".join(
        text.zh for wording in WORDINGS.values() for text in (wording.title, wording.summary, *wording.checks)
    )
    assert drawable(said) == said
    assert drawable("鿿厂") == "〓厂"


def test_the_font_is_the_one_its_provenance_names() -> None:
    told = json.loads((FONT_FILE.parent / "provenance.json").read_text("utf-8"))
    assert hashlib.sha256(FONT_FILE.read_bytes()).hexdigest() == told["subset_sha256"]
    assert "SIL OPEN FONT LICENSE" in (FONT_FILE.parent / "NotoSansSC-OFL.txt").read_text("utf-8").upper()
    assert FONT_FILE.stat().st_size < 4_000_000
