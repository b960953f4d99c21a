"""A county written to files says what the county says."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from models.domain.register import SHEETS
from models.simulated.county import County, CountySpec, build
from models.simulated.files import write_parquet
from monitor.register.importer import read_register

SPEC = CountySpec(seed=2, start=dt.date(2026, 3, 2), days=2, sites=40, minute_meters=2)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[County, Path]:
    county = build(SPEC)
    directory = tmp_path_factory.mktemp("county")
    write_parquet(county, directory)
    return county, directory


def test_readings_come_back_in_arrival_order_with_nulls_for_what_is_absent(written: tuple[County, Path]) -> None:
    county, directory = written
    table = pq.read_table(directory / "readings.parquet")
    days = [county.day(SPEC.start + dt.timedelta(days=k)) for k in range(SPEC.days)]
    assert table.num_rows == sum(len(day) for day in days)
    assert table.column_names == ["meter", "ts", "interval_s", "p_kw", "q_kvar", "e_imp_kwh", "arrival_ts"]
    assert str(table.schema.field("ts").type) == "timestamp[ms, tz=UTC]"
    np.testing.assert_array_equal(table["ts"].cast("int64").to_numpy(), np.concatenate([day.ts_ms for day in days]))
    q_kvar = np.concatenate([day.channels["q_kvar"] for day in days])
    assert table["q_kvar"].null_count == int(np.isnan(q_kvar).sum()) > 0
    assert pq.ParquetFile(directory / "readings.parquet").num_row_groups == SPEC.days


def test_the_register_can_be_imported_and_is_the_same(written: tuple[County, Path]) -> None:
    county, directory = written
    rows = read_register(directory / "register")
    for sheet in SHEETS:
        assert sorted(map(repr, getattr(rows, sheet))) == sorted(map(repr, getattr(county.register, sheet)))


def test_the_truth_names_every_site(written: tuple[County, Path]) -> None:
    county, directory = written
    rows = pq.read_table(directory / "truth.parquet").to_pylist()
    assert [row["site"] for row in rows] == [truth.site for truth in county.truth]
    assert [row["furnace_share"] for row in rows] == [truth.furnace_share for truth in county.truth]


def test_the_same_county_gives_the_same_files(written: tuple[County, Path], tmp_path: Path) -> None:
    _, directory = written
    write_parquet(build(SPEC), tmp_path)
    for name in ("readings.parquet", "truth.parquet", "register/meters.csv"):
        assert (tmp_path / name).read_bytes() == (directory / name).read_bytes()
