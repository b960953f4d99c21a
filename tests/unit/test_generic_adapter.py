"""The generic gateway's JSON by declared profiles."""

from __future__ import annotations

import json
from typing import Any

import pytest

from connectors.adapters.base import Adapter
from connectors.adapters.generic import Generic, GenericProfile
from models.domain.readings import Decoded, RejectReason
from tests.support.payloads import TS_MS, decode, refusals

R = RejectReason
GOOD: dict[str, Any] = {
    "id": "3301240012345678", "t": 1772464500, "P": 812.4, "Q": 301.7, "Ua": 5772, "Ia": 50.1, "PF": 0.937,
    "EPI": 1284533.12,
}  # fmt: skip


def read(body: object, **profile: Any) -> Decoded:
    adapters: dict[str, Adapter] = {"generic": Generic(GenericProfile(**profile))}
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()
    return decode(payload, adapter="generic", adapters=adapters)


def test_the_gateways_example_is_read_by_the_default_profile() -> None:
    decoded = read(GOOD)
    assert decoded.rejections == ()
    assert list(decoded.batch.meter) == ["3301240012345678"]
    assert decoded.batch.ts_ms.tolist() == [TS_MS]
    assert {name: values[0] for name, values in decoded.batch.channels.items()} == {
        "p_kw": 812.4, "q_kvar": 301.7, "ua_v": 5772.0, "ia_a": 50.1, "pf": 0.937, "e_imp_kwh": 1284533.12,
    }  # fmt: skip


@pytest.mark.parametrize("missing", [None, "", "--"])
def test_missing_tokens_are_absent(missing: object) -> None:
    decoded = read({**GOOD, "P": missing})
    assert decoded.rejections == ()
    assert "p_kw" not in decoded.batch.channels


@pytest.mark.parametrize(
    ("stamp", "profile"),
    [
        (1772464500, {"time_unit": "s"}),
        (TS_MS, {"time_unit": "ms"}),
        ("2026-03-02T23:15:00+08:00", {"time_unit": "iso"}),
        ("2026-03-02 23:15:00", {"time_unit": "iso", "zone": "Asia/Shanghai"}),
        ("2026-03-02T15:15:00Z", {"time_unit": "iso", "zone": "Asia/Shanghai"}),
        ("1772464500", {"time_unit": "s", "numbers_as_strings": True}),
    ],
)
def test_stamps_are_read_as_the_profile_declares(stamp: object, profile: dict[str, Any]) -> None:
    assert read({**GOOD, "t": stamp}, **profile).batch.ts_ms.tolist() == [TS_MS]


@pytest.mark.parametrize(
    ("change", "profile", "reason"),
    [
        pytest.param({"t": TS_MS}, {}, R.TIME_FUTURE, id="milliseconds_where_seconds_are_declared"),
        pytest.param({"t": 1772464500}, {"time_unit": "ms"}, R.TIME_OLD, id="seconds_where_ms_are_declared"),
        pytest.param({"t": "2026-03-02 23:15:00"}, {"time_unit": "iso"}, R.PARSE, id="naive_without_zone"),
        pytest.param({"t": "2026-03-02 23:15:00"}, {}, R.SCHEMA, id="text_where_seconds_are_declared"),
        pytest.param({"t": 1772464500.5}, {}, R.SCHEMA, id="fraction_of_a_second"),
        pytest.param({"t": 10**40}, {}, R.NUMBER, id="huge_stamp"),
        pytest.param({"P": "812.4"}, {}, R.SCHEMA, id="string_number_not_declared"),
        pytest.param({"P": "1_0"}, {"numbers_as_strings": True}, R.PARSE, id="python_number"),
        pytest.param({"P": "８１２"}, {"numbers_as_strings": True}, R.PARSE, id="digits_of_another_script"),
        pytest.param({"P": "inf"}, {"numbers_as_strings": True}, R.PARSE, id="infinity_as_text"),
        pytest.param({"P": True}, {}, R.SCHEMA, id="boolean"),
        pytest.param({"P": {}}, {}, R.SCHEMA, id="object"),
        pytest.param({"id": 5}, {}, R.SCHEMA, id="meter_as_number"),
        pytest.param({"meter": "x"}, {}, R.SCHEMA, id="two_meters"),
        pytest.param({"ts": 1}, {}, R.SCHEMA, id="two_stamps"),
        pytest.param({"id": "a/b"}, {}, R.SCHEMA, id="path_as_meter"),
    ],
)
def test_what_the_profile_does_not_declare_is_refused(
    change: dict[str, Any], profile: dict[str, Any], reason: RejectReason
) -> None:
    decoded = read({**GOOD, **change}, **profile)
    assert len(decoded.batch) == 0
    assert [r.reason for r in decoded.rejections] == [reason]


def test_numbers_as_strings_are_read_where_declared() -> None:
    decoded = read({**GOOD, "P": "812.40", "Q": "-3e1"}, numbers_as_strings=True)
    assert decoded.batch.channels["p_kw"].tolist() == [812.4]
    assert decoded.batch.channels["q_kvar"].tolist() == [-30.0]


def test_an_unknown_name_is_reported_and_costs_no_other_value() -> None:
    decoded = read({**GOOD, "Temp": 21})
    assert refusals(decoded) == [(0, R.SCHEMA, (0,), "'Temp'")]
    assert len(decoded.batch) == 1
    assert read({**GOOD, "Temp": 21}, ignored=frozenset({"Temp"})).rejections == ()


@pytest.mark.parametrize("twice", [b'"P": 1, "P": 812.4', b'"P": 1, "\\u0050": 812.4'])
def test_a_name_that_comes_twice_is_found(twice: bytes) -> None:
    payload = json.dumps(GOOD).encode().replace(b'"P": 812.4', twice)
    assert refusals(read(payload)) == [(0, R.SCHEMA, (), "")]


def test_two_names_for_one_channel_are_refused() -> None:
    assert len(read({**GOOD, "Pt": 1}, fields={"P": "p_kw", "Pt": "p_kw"}).batch) == 0


@pytest.mark.parametrize("profile", [{"fields": {"P": "power"}}, {"zone": "Mars/Olympus"}])
def test_a_profile_that_cannot_be_meant_is_refused_when_it_is_made(profile: dict[str, Any]) -> None:
    with pytest.raises((ValueError, KeyError)):
        GenericProfile(**profile)
