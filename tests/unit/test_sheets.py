"""Rows packed into columns are the rows: equal, in order, found by their keys."""

from __future__ import annotations

import dataclasses
import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.domain.register import EnterpriseStatus
from models.domain.sheets import MIN_ROWS, RowsBy, Sheet, column, packed


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Plant:
    """A row with a field of every kind a register has."""

    name: str
    site: str = ""
    status: EnterpriseStatus = EnterpriseStatus.OPERATING
    number: float | int | bool | None = None
    since: dt.date | None = None


plants = st.builds(
    Plant,
    name=st.text(max_size=3),
    site=st.sampled_from(["", "厂一", "二"]),
    status=st.sampled_from(EnterpriseStatus),
    number=st.sampled_from([None, 0, 0.0, 1, 1.0, True, 2.5]),
    since=st.none() | st.dates(),
)


@given(st.lists(plants, max_size=30))
def test_a_sheet_gives_back_every_row_and_field_as_it_was(rows: list[Plant]) -> None:
    sheet = Sheet(Plant, rows)
    assert list(sheet) == [sheet[at] for at in range(len(sheet))] == rows
    assert tuple(rows) == sheet
    assert hash(sheet) == hash(tuple(rows))
    assert [type(row.number) for row in sheet] == [type(row.number) for row in rows]
    for field in dataclasses.fields(Plant):
        assert list(column(sheet, field.name)) == list(column(rows, field.name))
        assert [sheet.value(at, field.name) for at in range(len(rows))] == list(column(rows, field.name))
    assert sheet[1:3] == tuple(rows[1:3])
    assert sheet != [*rows, Plant(name="one more")]


@given(st.lists(plants, max_size=30), st.booleans())
def test_rows_are_found_by_a_field_in_the_order_of_the_sheet(rows: list[Plant], as_sheet: bool) -> None:
    for name in ("name", "site"):
        found = RowsBy(Sheet(Plant, rows) if as_sheet else rows, name)
        slow: dict[str, tuple[Plant, ...]] = {}
        for row in rows:
            slow[getattr(row, name)] = (*slow.get(getattr(row, name), ()), row)
        assert dict(found) == slow
        assert len(found) == len(slow)
        assert "nobody" not in found
        assert found.get("nobody", ()) == ()


def test_names_that_all_differ_are_kept_as_texts_and_are_the_same() -> None:
    rows = [Plant(name=f"厂{number}", site="S") for number in range(3 * MIN_ROWS)]
    rows += [Plant(name="", site="T"), Plant(name="厂7")]
    sheet = packed(Plant, iter(rows))
    assert isinstance(sheet, Sheet)
    assert sheet == rows
    assert RowsBy(sheet, "name")["厂7"] == (rows[7], rows[-1])
    assert sheet[-2].name == ""


def test_a_short_sheet_stays_a_tuple() -> None:
    rows = tuple(Plant(name=str(number)) for number in range(MIN_ROWS - 1))
    assert packed(Plant, rows) == rows
    assert isinstance(packed(Plant, rows), tuple)


def test_a_row_beyond_the_end_is_refused() -> None:
    with pytest.raises(IndexError):
        Sheet(Plant, [Plant(name="a")])[1]
