"""The generated reference is current, and the published schemas say what the decoder does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from connectors.adapters.table import build_adapters, decode_group
from models.domain.readings import Decoded, RawMessage, RejectReason
from monitor.reference.docs import COLUMNS_EXAMPLE, ROWS_EXAMPLE, reference_pages
from monitor.reference.payload_schemas import readings_schema

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference"
ROW: dict[str, Any] = readings_schema()["$defs"]["row"]["properties"]
BASE = {"meter": "M1", "ts": 1_772_464_500_000}
NUMBERS = [name for name, schema in ROW.items() if schema.get("type") in ("number", "integer")]


def decoded(text: str) -> Decoded:
    return decode_group([RawMessage("t", text.encode(), 0, "p", "canonical")], build_adapters())


def of_row(row: dict[str, Any]) -> Decoded:
    return decoded(json.dumps({"v": 1, "readings": [row]}))


@pytest.mark.parametrize("name", sorted(reference_pages()))
def test_a_generated_page_is_current(name: str) -> None:
    assert (REFERENCE / name).read_text("utf-8") == reference_pages()[name], "run: make docs"


def test_no_generated_page_is_left_over() -> None:
    kept = {str(path.relative_to(REFERENCE)) for path in REFERENCE.rglob("*") if path.suffix == ".json"}
    assert kept == {name for name in reference_pages() if name.endswith(".json")}


def test_the_examples_on_the_page_are_accepted() -> None:
    rows, columns = decoded(ROWS_EXAMPLE), decoded(COLUMNS_EXAMPLE)
    assert (len(rows.batch), rows.rejections) == (1, ())
    assert (len(columns.batch), columns.rejections) == (2, ())


@pytest.mark.parametrize("name", NUMBERS)
def test_the_bounds_of_the_schema_are_those_of_the_decoder(name: str) -> None:
    low, high = ROW[name]["minimum"], ROW[name]["maximum"]
    value = {**BASE, "p_kw": 1.0}
    for inside in (low, high):
        assert of_row({**value, name: inside}).rejections == ()
    for outside in (low - 1, high * 1.01 + 1):
        beyond = int(outside) if ROW[name]["type"] == "integer" else outside
        found = of_row({**value, name: beyond})
        assert found.rejections, f"{name}={beyond} is beyond the schema and was taken"


@pytest.mark.parametrize(
    "row",
    [
        pytest.param({**BASE, "p_kw": 1.0, "power": 2}, id="additional_field"),
        pytest.param({"ts": BASE["ts"], "p_kw": 1.0}, id="no_meter"),
        pytest.param({"meter": "M1", "p_kw": 1.0}, id="no_stamp"),
        pytest.param({**BASE, "meter": "-x", "p_kw": 1.0}, id="bad_id"),
        pytest.param({**BASE, "p_kw": "1.0"}, id="text_for_a_number"),
    ],
)
def test_what_the_schema_forbids_is_refused(row: dict[str, Any]) -> None:
    (rejection, *_) = of_row(row).rejections
    assert rejection.reason in RejectReason
