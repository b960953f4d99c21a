"""What is written as CSV or XLSX reads back as the same register, and versions hang on the rows alone."""

from __future__ import annotations

import datetime as dt
import random
import tempfile
import unicodedata
from dataclasses import fields, replace
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.domain.codes import trade_section, uscc_check_character, uscc_has_shape
from models.domain.readings import CADENCES_S
from models.domain.register import (
    SHEETS,
    CalendarKind,
    CalendarRow,
    Enterprise,
    EnterpriseStatus,
    Feeder,
    Furnace,
    FurnaceKind,
    Line,
    Meter,
    Publisher,
    RegisterRows,
    Site,
    TariffBand,
)
from monitor.register.columns import SPECS
from monitor.register.export import write_csv, write_xlsx
from monitor.register.importer import load_register, read_register
from monitor.register.snapshot import canonical, rows_from_json, rows_to_json, version_of

ZONE = ZoneInfo("Asia/Shanghai")

names = (
    st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cf", "Cs", "Cn", "Zl", "Zp")), max_size=30)
    .map(lambda s: unicodedata.normalize("NFC", s).strip())
    .filter(lambda s: len(s) <= 200)
)
ids = st.from_regex(r"[A-Za-z][A-Za-z0-9._-]{0,20}", fullmatch=True)
amounts = st.none() | st.floats(1e-3, 9e8)
days = st.dates(dt.date(1950, 1, 1), dt.date(2090, 1, 1))


def _uscc(number: int) -> str:
    body = f"91330122{number:09d}"
    return body + uscc_check_character(body)


@st.composite
def registers(draw: st.DrawFn) -> RegisterRows:
    n = draw(st.integers(0, 4))
    ends = draw(st.none() | st.just(dt.date(2095, 1, 1)))
    enterprises = tuple(
        Enterprise(
            uscc=_uscc(i),
            name=draw(names.filter(bool)),
            trade=draw(st.sampled_from(["", "C3391", "3391", "33", "A0111", "0111", "011"])),
            district=draw(st.just("") | ids),
            status=draw(st.sampled_from(EnterpriseStatus)),
            since=draw(days),
            valid_from=dt.date(2001, 1, 1),
            valid_to=ends,
        )
        for i in range(n)
    )
    sites = tuple(
        Site(site=f"S{i}", uscc=e.uscc, name=draw(names), address=draw(names)) for i, e in enumerate(enterprises)
    )
    publishers = (Publisher(publisher="p", name=draw(names), may_revise=draw(st.booleans())),)
    meters = tuple(
        Meter(
            meter=f"{i:012d}",
            site=s.site,
            publisher="p",
            ratio=draw(st.floats(1e-3, 1e6)),
            ratio_applied=draw(st.booleans()),
            cadence_s=draw(st.sampled_from(CADENCES_S)),
            contract_kva=draw(amounts),
            transformer_kva=draw(amounts),
            register_wrap_kwh=draw(amounts),
        )
        for i, s in enumerate(sites)
    )
    known = st.sampled_from([m.meter for m in meters]) if meters else st.just("")
    feeders = tuple(
        Feeder(feeder=f, name=draw(names), voltage_kv=draw(amounts), meter=draw(st.just("") | known))
        for f in draw(st.sets(ids, max_size=3))
    )
    furnaces = tuple(
        Furnace(
            furnace=f"L{i}",
            site=s.site,
            kind=draw(st.sampled_from(FurnaceKind)),
            rated_kw=draw(amounts),
            capacity_t=draw(amounts),
            purpose=draw(names),
        )
        for i, s in enumerate(sites)
    )
    lines = tuple(
        Line(line=f"X{i}", site=s.site, product=draw(names), capacity_t_per_year=draw(amounts))
        for i, s in enumerate(sites)
    )
    calendar: tuple[CalendarRow, ...] = tuple(
        CalendarRow(kind=draw(st.sampled_from([CalendarKind.HOLIDAY, CalendarKind.WORKDAY])), name=draw(names), day=day)
        for day in draw(st.sets(days, max_size=3))
    )
    cut = draw(st.times().map(lambda t: t.replace(microsecond=0)).filter(lambda t: t != dt.time()))
    calendar += (
        CalendarRow(
            kind=CalendarKind.TARIFF, name="T", band=draw(st.sampled_from(TariffBand)), start=dt.time(), end=cut
        ),
        CalendarRow(kind=CalendarKind.TARIFF, name="T", band=TariffBand.FLAT, start=cut, end=dt.time()),
    )
    return RegisterRows(enterprises, sites, meters, feeders, furnaces, lines, publishers, calendar)


@settings(max_examples=40, deadline=None)
@given(registers())
def test_csv_reads_back_as_the_same_rows(rows: RegisterRows) -> None:
    with tempfile.TemporaryDirectory() as place:
        write_csv(rows, Path(place))
        assert read_register(Path(place)) == canonical(rows)


@settings(max_examples=25, deadline=None)
@given(registers())
def test_xlsx_reads_back_as_the_same_rows(rows: RegisterRows) -> None:
    with tempfile.TemporaryDirectory() as place:
        path = write_xlsx(rows, Path(place) / "register.xlsx")
        assert read_register(path) == canonical(rows)


@settings(max_examples=40, deadline=None)
@given(registers(), st.randoms(use_true_random=False))
def test_the_version_does_not_hang_on_the_order_of_rows(rows: RegisterRows, shuffle: random.Random) -> None:
    mixed = {name: list(getattr(rows, name)) for name in SHEETS}
    for sheet in mixed.values():
        shuffle.shuffle(sheet)
    other = RegisterRows(**{name: tuple(sheet) for name, sheet in mixed.items()})
    assert rows_to_json(other) == rows_to_json(rows)
    assert canonical(other) == canonical(rows)


@settings(max_examples=40, deadline=None)
@given(registers())
def test_a_snapshot_reads_back_and_keeps_its_version(rows: RegisterRows) -> None:
    body = rows_to_json(rows)
    again = rows_from_json(body)
    assert {name: set(getattr(again, name)) for name in SHEETS} == {name: set(getattr(rows, name)) for name in SHEETS}
    assert rows_to_json(again) == body


def test_a_number_given_as_an_integer_is_the_same_row() -> None:
    one = RegisterRows(feeders=(Feeder(feeder="F", voltage_kv=10),))
    other = RegisterRows(feeders=(Feeder(feeder="F", voltage_kv=10.0),))
    assert rows_to_json(one) == rows_to_json(other)


def test_any_changed_field_makes_another_version() -> None:
    row = Publisher(publisher="p")
    versions = {
        version_of(rows_to_json(RegisterRows(publishers=(changed,))))
        for changed in (
            row,
            replace(row, publisher="q"),
            replace(row, name="x"),
            replace(row, may_revise=True),
            replace(row, valid_from=dt.date(2001, 1, 1)),
            replace(row, valid_to=dt.date(2030, 1, 1)),
        )
    }
    assert len(versions) == 6


def test_a_snapshot_of_a_newer_format_is_refused() -> None:
    body = rows_to_json(RegisterRows()).replace(b'"format":1', b'"format":2')
    with pytest.raises(ValueError, match="format 2"):
        rows_from_json(body)


def test_loading_gives_a_register_that_answers(tmp_path: Path) -> None:
    rows = RegisterRows(
        enterprises=(Enterprise(uscc=_uscc(1), name="厂"),),
        sites=(Site(site="S1", uscc=_uscc(1)),),
        meters=(Meter(meter="007", site="S1", publisher="p"),),
        publishers=(Publisher(publisher="p"),),
    )
    write_csv(rows, tmp_path)
    register = load_register(tmp_path, ZONE)
    assert register.version == version_of(rows_to_json(rows))
    assert register.enterprise_of_meter("007", dt.date(2026, 3, 2)) == rows.enterprises[0]


def test_every_field_of_every_row_type_has_a_column_and_the_other_way_round() -> None:
    assert list(SPECS) == list(SHEETS)
    for name, row_type in SHEETS.items():
        assert {column.name for column in SPECS[name].columns} == {field.name for field in fields(row_type)}


@pytest.mark.parametrize(
    ("code", "valid"),
    [
        pytest.param("91350100M000100Y43", True, id="the_example_of_the_standard"),
        pytest.param("91350100M000100Y44", False, id="check_character"),
        pytest.param("91350100M000100y43", False, id="lower_case"),
        pytest.param("91350100M000100Y4", False, id="short"),
        pytest.param("9135010OM000100Y43", False, id="letter_o"),
    ],
)
def test_credit_codes(code: str, valid: bool) -> None:
    assert is_valid(code) is valid


def is_valid(code: str) -> bool:
    return uscc_has_shape(code) and uscc_check_character(code[:17]) == code[17]


@given(st.integers(0, 10**9 - 1), st.integers(0, 16), st.sampled_from("0123456789"))
def test_one_wrong_digit_never_passes(number: int, place: int, digit: str) -> None:
    code = _uscc(number)
    wrong = code[:place] + digit + code[place + 1 :]
    assert is_valid(wrong) is (wrong == code)


@pytest.mark.parametrize(
    ("code", "section"),
    [
        ("C3391", "C"),
        ("3391", "C"),
        ("33", "C"),
        ("A011", "A"),
        ("T97", "T"),
        ("98", None),
        ("00", None),
        ("B3391", None),
        ("C33911", None),
        ("C", None),
        ("", None),
        ("c3391", None),
    ],
)
def test_trade_codes(code: str, section: str | None) -> None:
    assert trade_section(code) == section
