"""Readings from files: the same decode as live messages, with row numbers, and nothing lost."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from connectors.adapters.table import MAX_PAYLOAD_BYTES, decode_group
from connectors.file_columns import FileFaultError
from connectors.files import FileSlice, read_by_arrival, read_messages, rows_of, total_rows
from tests.support.payloads import ADAPTERS, TS, TS_MS

Taken = Counter[tuple[str, int, float]]


def replayed(slices: list[FileSlice]) -> tuple[Taken, dict[int, str]]:
    """What a replay takes, and the refused rows with their reasons."""
    taken: Taken = Counter()
    refused: dict[int, str] = {}
    for piece in slices:
        decoded = decode_group([piece.message], ADAPTERS)
        batch = decoded.batch
        assert len(piece.message.payload) <= MAX_PAYLOAD_BYTES
        powers = batch.channels.get("p_kw", np.zeros(0)).tolist()
        taken.update(zip(batch.meter, batch.ts_ms.tolist(), powers, strict=True))
        for rejection in decoded.rejections:
            refused.update(dict.fromkeys(rows_of(piece, rejection.rows), rejection.reason.value))
    return taken, refused


def some_table(n: int = 50) -> pa.Table:
    return pa.table(
        {
            "meter": [f"m{i % 7}" for i in range(n)],
            "ts": pa.array([TS_MS + 900_000 * i for i in range(n)], pa.timestamp("ms", "UTC")),
            "p_kw": np.arange(n) / 4.0,
        }
    )


def write(table: pa.Table, path: Path) -> Path:
    match path.suffix:
        case ".parquet":
            pa.parquet.write_table(table, path)
        case ".csv":
            pa.csv.write_csv(table.set_column(1, "ts", table.column("ts").cast(pa.int64())), path)
            path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
        case _:
            table = table.set_column(1, "ts", table.column("ts").cast(pa.int64()))
            path.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))
    return path


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl"])
def test_every_format_gives_the_same_readings(tmp_path: Path, suffix: str) -> None:
    path = write(some_table(), tmp_path / f"a{suffix}")
    assert total_rows(path) == 50
    taken, refused = replayed(list(read_messages(path)))
    assert not refused
    assert taken == Counter((f"m{i % 7}", TS_MS + 900_000 * i, i / 4.0) for i in range(50))


def test_a_directory_is_all_its_files_in_order_of_name(tmp_path: Path) -> None:
    for name in ("b.csv", "a.parquet", "c.jsonl"):
        write(some_table(3), tmp_path / name)
    (tmp_path / "notes.txt").write_text("x")
    assert total_rows(tmp_path) == 9
    assert [s.message.topic for s in read_messages(tmp_path)] == ["file/a.parquet", "file/b.csv", "file/c.jsonl"]


def test_large_files_are_cut_into_messages_of_bounded_size(tmp_path: Path) -> None:
    n = 30_000
    wide = {f"h{k}_pct": np.zeros(n) for k in range(2, 26)}
    table = pa.table({**dict(zip(("meter", "ts", "p_kw"), some_table(n).columns, strict=True)), **wide})
    pieces = list(read_messages(write(table, tmp_path / "a.parquet")))
    assert max(len(p.rows) for p in pieces) <= 10_000
    assert np.concatenate([p.rows for p in pieces]).tolist() == list(range(1, n + 1))
    assert sum(replayed(pieces)[0].values()) == n


CSV = """meter,ts,p_kw,e_imp_kwh,arrival_ts
m1,2026-03-02T23:15:00+08:00,1.5,10,
m1,2026-03-02T23:30:00,1.5,10,
m1,1772464500000,abc,10,
m1,1772464500000
m2,1772464500000,," 11",1772464900000
m2,1772464500000,inf,11,
m3,1772464500000,,,
m3,1772464500000,9e9,,
m3,1772464500000,1_0,1,
m4,,1,1,
,1772464500000,1,1,
m5,1772464500000,1,1,yesterday
m6,1772464500000,1e-3,1,
"""


@pytest.mark.parametrize("reader", [read_messages, read_by_arrival])
def test_bad_rows_of_a_csv_are_refused_with_their_row_and_reason(tmp_path: Path, reader: type[list[FileSlice]]) -> None:
    path = tmp_path / "a.csv"
    path.write_text(CSV)
    taken, refused = replayed(list(reader(path)))  # type: ignore[arg-type,call-arg]  # either function
    assert sorted(meter for meter, _, _ in taken) == ["m1", "m2", "m6"]
    assert refused == {
        2: "PARSE", 3: "SCHEMA", 4: "SCHEMA", 6: "SCHEMA", 7: "SCHEMA", 8: "RANGE", 9: "SCHEMA", 10: "PARSE",
        11: "SCHEMA", 12: "SCHEMA",
    }  # fmt: skip


LINES = [
    '{"meter":"m1","ts":1772464500000,"p_kw":1}',
    '{"meter":"m1","ts":1772464500000,"p_kw":1,"p_kw":2}',
    "not json",
    "",
    f'{{"meter":"m2","ts":"{TS}","p_kw":1,"publisher":"x"}}',
    '{"meter":"m1","ts":1772464500000,"p_kw":"1"}',
    '{"meter":"m1","ts":123456789012345678901234567890,"p_kw":1}',
    '{"meter":"m3","ts":1772464500000,"p_kw":1e999,"q_kvar":1}',
    '{"meter":"m1","ts":"2026","p_kw":1}',
    "[1]",
    '{"meter":"m1","ts":1,"p_kw":1}},{"meter":"m1"',
    '{"meter":"m1","ts":1772464500000,"p_kw":1,"arrival_ts":[]}',
    '{"meter":"m1","ts":9999999999999999999,"p_kw":1}',
    '{"meter":"m1","ts":1772464500000,"p_kw":1,"rev":9999999999999999999}',
]


def test_bad_lines_of_a_jsonl_are_refused_with_their_line_and_reason(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(LINES))
    pieces = list(read_messages(path))
    taken, refused = replayed(pieces)
    assert sorted(meter for meter, _, _ in taken) == ["m1", "m2", "m3"]
    assert refused == {
        2: "SCHEMA", 3: "PARSE", 6: "SCHEMA", 7: "NUMBER", 8: "NUMBER", 9: "PARSE", 10: "SCHEMA", 11: "PARSE",
        12: "SCHEMA", 13: "NUMBER", 14: "NUMBER",
    }  # fmt: skip
    assert {p.message.publisher for p in pieces} == {"", "x"}


def test_publishers_get_messages_of_their_own(tmp_path: Path) -> None:
    table = some_table(6).append_column("publisher", pa.array(["a", "b", None, "a", "b", "a"]))
    pieces = list(read_messages(write(table, tmp_path / "a.parquet")))
    assert {p.message.publisher: p.rows.tolist() for p in pieces} == {"a": [1, 4, 6], "b": [2, 5], "": [3]}


def test_arrival_order_is_played_across_files_and_stamps_the_messages(tmp_path: Path) -> None:
    minute = 60_000
    base = TS_MS - TS_MS % minute
    for name, offsets in (("a", [3, 0, 9]), ("b", [1, 4, 0])):
        arrival = pa.array([base + minute * k + 5 for k in offsets], pa.timestamp("ms", "UTC"))
        write(some_table(3).append_column("arrival_ts", arrival), tmp_path / f"{name}.parquet")
    pieces = list(read_by_arrival(tmp_path))
    assert [(p.path.stem, p.rows.tolist()) for p in pieces] == [
        ("a", [2]), ("b", [3]), ("b", [1]), ("a", [1]), ("b", [2]), ("a", [3]),
    ]  # fmt: skip
    assert [p.message.received_ms for p in pieces] == [base + minute * k + 5 for k in (0, 0, 1, 3, 4, 9)]


def test_stamps_without_a_zone_are_refused_with_a_remedy_unless_the_zone_is_given(tmp_path: Path) -> None:
    table = some_table(2)
    naive = table.column("ts").cast(pa.timestamp("ms", "Asia/Shanghai"))
    local = pa.compute.local_timestamp(naive)
    path = write(table.set_column(1, "ts", local), tmp_path / "a.parquet")
    with pytest.raises(FileFaultError, match="zone"):
        list(read_messages(path))
    taken, _ = replayed(list(read_messages(path, zone=ZoneInfo("Asia/Shanghai"))))
    assert {ts for _, ts, _ in taken} == {TS_MS, TS_MS + 900_000}


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.csv", b"meter,ts,power\nm,1,1\n", "unknown column 'power'"),
        ("a.csv", b"meter,p_kw\nm,1\n", "column ts is missing"),
        ("a.csv", b"meter,ts\nm,1\n", "no channel"),
        ("a.csv", b"meter,ts,p_kw,p_kw\nm,1,1,1\n", "twice"),
        ("a.csv", b"", "missing"),
        ("a.csv", b"meter,ts,p_kw\nm\xff,1,1\n", "UTF-8"),
        ("a.parquet", b"PAR1 not really PAR1", "Parquet"),
        ("a.xml", b"<a/>", "must end in"),
    ],
)
def test_a_file_that_cannot_be_read_says_what_to_do(tmp_path: Path, name: str, content: bytes, told: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(FileFaultError, match=told) as caught:
        list(read_messages(path))
    assert name in str(caught.value)


@pytest.mark.parametrize("path", ["missing.csv", "empty"])
def test_nothing_to_read_is_an_error(tmp_path: Path, path: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileFaultError):
        list(read_messages(tmp_path / path))
