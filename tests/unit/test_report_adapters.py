"""Output and heats from JSON: exact numbers, strict fields, and one bad report costs no other."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.adapters.table import build_adapters, decode_group
from models.domain.production import HeatReport, OutputReport
from models.domain.readings import Decoded, RawMessage, RejectReason

ROW = {"line": "L1", "from": "2026-03-01", "to": "2026-03-31", "product": "clinker", "quantity": 1.5, "unit": "t"}
HEAT = {"furnace": "F1", "start": 1772294400000, "end": "2026-03-01T01:00:00+08:00", "energy_kwh": 1200, "tapped_t": 2}


def decode(payload: bytes | str, adapter: str) -> Decoded:
    body = payload if isinstance(payload, bytes) else payload.encode()
    return decode_group([RawMessage("t", body, 0, "bureau", adapter)], build_adapters())


def outputs(*rows: Any) -> Decoded:
    return decode(json.dumps({"v": 1, "outputs": rows}), "output")


def heats(*rows: Any) -> Decoded:
    return decode(json.dumps({"v": 1, "heats": rows}), "furnace")


def test_numbers_are_the_decimals_that_were_written() -> None:
    text = '{"v":1,"outputs":[{"site":"S","from":"2026-03-01","to":"2026-03-02","product":"clinker",'
    text += '"quantity":1234567.123456789,"unit":"t","facts":{"clinker_ratio_pct":0.1,"quenching":"dry","x":true}}]}'
    (placed,) = decode(text, "output").reports
    assert placed.report == OutputReport(
        publisher="bureau",
        site="S",
        product="clinker",
        first=dt.date(2026, 3, 1),
        last=dt.date(2026, 3, 2),
        quantity=Decimal("1234567.123456789"),
        unit="t",
        facts=(("clinker_ratio_pct", Decimal("0.1")), ("quenching", "dry"), ("x", True)),
    )


@given(st.decimals(0, 10**11, places=9))
def test_no_quantity_passes_through_binary_floating_point(number: Decimal) -> None:
    text = json.dumps(ROW | {"quantity": 0}).replace('"quantity": 0', f'"quantity": {number:f}')
    (placed,) = decode(f'{{"v":1,"outputs":[{text}]}}', "output").reports
    assert isinstance(placed.report, OutputReport)
    assert placed.report.quantity == number


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param({"quantity": "5"}, RejectReason.SCHEMA, id="a_number_in_quotes"),
        pytest.param({"quantity": True}, RejectReason.SCHEMA, id="a_boolean_for_a_number"),
        pytest.param({"quantity": -1}, RejectReason.RANGE, id="below_zero"),
        pytest.param({"quantity": 1e13}, RejectReason.RANGE, id="too_large"),
        pytest.param({"quantity": None}, RejectReason.SCHEMA, id="product_without_quantity"),
        pytest.param({"site": "S1"}, RejectReason.SCHEMA, id="two_subjects"),
        pytest.param({"line": None}, RejectReason.SCHEMA, id="no_subject"),
        pytest.param({"line": "Ünit"}, RejectReason.SCHEMA, id="no_id"),
        pytest.param({"from": "2026-04-01"}, RejectReason.RANGE, id="from_after_to"),
        pytest.param({"from": "2024-03-01"}, RejectReason.RANGE, id="longer_than_a_year"),
        pytest.param({"to": "2026-02-30"}, RejectReason.PARSE, id="no_such_day"),
        pytest.param({"to": "26-3-1"}, RejectReason.PARSE, id="no_date"),
        pytest.param({"rev": -1}, RejectReason.RANGE, id="revision_below_zero"),
        pytest.param({"rev": 1.5}, RejectReason.SCHEMA, id="revision_with_a_fraction"),
        pytest.param({"colour": "red"}, RejectReason.SCHEMA, id="unknown_field"),
        pytest.param({"void": True}, RejectReason.SCHEMA, id="void_with_a_quantity"),
        pytest.param({"product": "a\u202eb"}, RejectReason.SCHEMA, id="bidi_characters"),
        pytest.param({"fuels": [{"fuel": "coke", "quantity": 1}]}, RejectReason.SCHEMA, id="fuel_without_unit"),
        pytest.param(
            {"fuels": [{"fuel": "coke", "quantity": 1, "unit": "t", "kj_per_unit": 5}]},
            RejectReason.SCHEMA,
            id="measured_value_without_source",
        ),
        pytest.param({"facts": {"Bad Name": 1}}, RejectReason.SCHEMA, id="fact_name"),
        pytest.param({"facts": {"x": None}}, RejectReason.SCHEMA, id="fact_without_value"),
    ],
)
def test_what_is_wrong_with_one_report_costs_no_other(change: dict[str, Any], reason: RejectReason) -> None:
    decoded = outputs(ROW | change, ROW | {"line": "L2"})
    assert [(r.reason, r.rows) for r in decoded.rejections] == [(reason, (0,))]
    assert [placed.row for placed in decoded.reports] == [1]


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        pytest.param(b'{"v":1,"outputs":[{"line":"L1","line":"L1"}]}', RejectReason.SCHEMA, id="key_twice"),
        pytest.param(b'{"v":1,"v":1,"outputs":[]}', RejectReason.SCHEMA, id="key_of_the_message_twice"),
        pytest.param(b'{"v":1,"outputs":[]}', RejectReason.SCHEMA, id="no_rows"),
        pytest.param(b'{"v":2,"outputs":[{}]}', RejectReason.SCHEMA, id="another_version"),
        pytest.param(b'\xef\xbb\xbf{"v":1}', RejectReason.ENCODING, id="byte_order_mark"),
        pytest.param(b'{"v":1,"outputs":[{}]} x', RejectReason.PARSE, id="something_after_the_end"),
        pytest.param(b'{"v":1,"outputs":[{"quantity":NaN}]}', RejectReason.SCHEMA, id="nan_and_nothing_else"),
        pytest.param(b"[" * 9 + b"]" * 9, RejectReason.PARSE, id="too_deep"),
        pytest.param(b'{"v":1,"readings":[{}]}', RejectReason.SCHEMA, id="a_message_of_readings"),
    ],
)
def test_a_message_that_is_none_is_refused(payload: bytes, reason: RejectReason) -> None:
    decoded = decode(payload, "output")
    assert not decoded.reports
    assert [r.reason for r in decoded.rejections] == [reason]


@pytest.mark.parametrize("digits", ["NaN", "Infinity", "1e999", "1e999999999999999999999", "1" * 60, "0." + "1" * 60])
def test_numbers_that_are_none_are_refused_and_never_raise(digits: str) -> None:
    text = json.dumps(ROW | {"quantity": 0}).replace('"quantity": 0', f'"quantity": {digits}')
    decoded = decode(f'{{"v":1,"outputs":[{text}]}}', "output")
    assert not decoded.reports
    assert decoded.rejections[0].reason in (RejectReason.NUMBER, RejectReason.RANGE)


def test_a_heat_is_read_with_both_kinds_of_stamp() -> None:
    (placed,) = heats(HEAT).reports
    assert placed.report == HeatReport(
        publisher="bureau",
        furnace="F1",
        start_ms=1772294400000,
        end_ms=1772298000000,
        energy_kwh=Decimal(1200),
        tapped_t=Decimal(2),
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param({"end": 1772294400000}, RejectReason.RANGE, id="ends_when_it_starts"),
        pytest.param({"end": 1772294400000 + 8 * 86_400_000}, RejectReason.RANGE, id="longer_than_a_week"),
        pytest.param({"start": "2026-03-01 00:00:00"}, RejectReason.PARSE, id="no_offset"),
        pytest.param({"start": 1772294400}, RejectReason.TIME_OLD, id="seconds_for_milliseconds"),
        pytest.param({"start": True}, RejectReason.SCHEMA, id="boolean_stamp"),
        pytest.param({"energy_kwh": None}, RejectReason.SCHEMA, id="no_energy"),
        pytest.param({"void": True, "rev": 1}, RejectReason.SCHEMA, id="void_with_energy"),
        pytest.param({"furnace": ""}, RejectReason.SCHEMA, id="empty_id"),
    ],
)
def test_a_wrong_heat_is_refused_with_its_reason(change: dict[str, Any], reason: RejectReason) -> None:
    decoded = heats(HEAT | change)
    assert [r.reason for r in decoded.rejections] == [reason]
    assert not decoded.reports


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_payload_raises(payload: bytes) -> None:
    for adapter in ("output", "furnace"):
        assert not decode(payload, adapter).reports
