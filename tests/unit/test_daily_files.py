"""Energy of a day in files: what the columns say is taken, and what they do not say is refused."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet
import pytest

from connectors.adapters.table import decode_group
from connectors.file_columns import FileFaultError
from connectors.files import read_messages, rows_of
from models.domain.readings import ReadingBatch
from tests.support.payloads import ADAPTERS

SHANGHAI, BERLIN = ZoneInfo("Asia/Shanghai"), ZoneInfo("Europe/Berlin")


def decoded(path: Path, zone: ZoneInfo | None = SHANGHAI) -> tuple[list[ReadingBatch], dict[int, str]]:
    batches, refused = [], {}
    for piece in read_messages(path, zone=zone):
        group = decode_group([piece.message], ADAPTERS)
        if len(group.batch):
            batches.append(group.batch)
        for rejection in group.rejections:
            refused.update(dict.fromkeys(rows_of(piece, rejection.rows), rejection.detail))
    return batches, refused


def csv(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "days.csv"
    path.write_text(text, encoding="utf-8")
    return path


def end_of(day: str, zone: ZoneInfo) -> int:
    after = dt.date.fromisoformat(day) + dt.timedelta(days=1)
    return int(dt.datetime(after.year, after.month, after.day, tzinfo=zone).timestamp()) * 1000


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize(
    ("day", "zone"),
    [
        pytest.param("2026-03-02", SHANGHAI, id="plain"),
        pytest.param("2026-03-29", BERLIN, id="a_day_of_23_hours"),
        pytest.param("2026-10-25", BERLIN, id="a_day_of_25_hours"),
    ],
)
def test_the_energy_of_a_date_is_the_mean_power_of_a_daily_reading_that_ends_with_it(
    tmp_path: Path, suffix: str, day: str, zone: ZoneInfo
) -> None:
    if suffix == "csv":
        path = csv(tmp_path, f"meter,date,energy_kwh\nm1,{day},240\n")
    else:
        path = tmp_path / "days.parquet"
        columns = {"meter": ["m1"], "date": [dt.date.fromisoformat(day)], "energy_kwh": [240.0]}
        pa.parquet.write_table(pa.table(columns), path)
    (batch,), refused = decoded(path, zone)
    assert not refused
    assert batch.ts_ms.tolist() == [end_of(day, zone)]
    assert batch.interval_s.tolist() == [86_400]
    assert batch.channels["p_mean_kw"].tolist() == [10.0]


def test_energy_of_an_interval_of_any_length_is_its_mean_power(tmp_path: Path) -> None:
    text = "meter,ts,interval_s,energy_kwh\nm1,2026-03-02T08:00:00+08:00,86400,48\nm1,2026-03-02T09:00:00+08:00,900,3\n"
    (batch,), refused = decoded(csv(tmp_path, text), None)
    assert not refused
    assert batch.channels["p_mean_kw"].tolist() == [2.0, 12.0]


def test_rows_without_a_day_a_number_or_an_interval_are_refused_by_row_and_never_become_power(tmp_path: Path) -> None:
    text = "meter,date,energy_kwh\nm1,2026-03-02,abc\nm1,2026-13-02,5\nm1,,5\nm1,2026-03-02,7.2\n"
    batches, refused = decoded(csv(tmp_path, text))
    assert sorted(refused) == [1, 2, 3]
    assert [batch.channels["p_mean_kw"].tolist() for batch in batches] == [[0.3]]
    batches, refused = decoded(csv(tmp_path, "meter,ts,interval_s,energy_kwh\nm1,2026-03-02T00:00:00Z,,48\n"))
    assert batches == []
    assert sorted(refused) == [1]


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("meter,ts,energy_kwh", "interval_s"),
        ("meter,ts,interval_s,energy_kwh,p_mean_kw", "keep one"),
        ("meter,ts,date,energy_kwh", "leave out ts"),
        ("meter,date,interval_s,energy_kwh", "leave out interval_s"),
        ("meter,date,e_imp_kwh", "ts"),
        ("meter,energy_kwh,interval_s", "ts is missing"),
    ],
)
def test_columns_that_leave_a_guess_are_a_fault_of_the_file(tmp_path: Path, header: str, words: str) -> None:
    with pytest.raises(FileFaultError, match=words):
        list(read_messages(csv(tmp_path, header + "\n"), zone=SHANGHAI))


def test_a_date_needs_a_zone(tmp_path: Path) -> None:
    with pytest.raises(FileFaultError, match="--zone"):
        list(read_messages(csv(tmp_path, "meter,date,energy_kwh\nm1,2026-03-02,240\n")))
