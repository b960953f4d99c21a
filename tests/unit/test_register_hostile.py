"""Whatever the bytes of a register's files are, the answer is a register or its faults, never a crash."""

from __future__ import annotations

import io
import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.register_files import USCC, faults_of, save_csv, save_xlsx, sheets_with

snippets = st.sampled_from(
    [
        b",",
        b"\n",
        b'"',
        b"\r",
        b"\x00",
        b"\xff",
        b"##",
        b"=",
        b"'=",
        b"meter",
        "电表资产号".encode(),
        b"S1",
        USCC.encode(),
    ]
)


@pytest.fixture(scope="module")
def workbook(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return save_xlsx(sheets_with(), tmp_path_factory.mktemp("good") / "r.xlsx").read_bytes()


@settings(max_examples=150, deadline=None)
@given(st.lists(snippets | st.binary(max_size=6), max_size=40).map(b"".join), st.sampled_from(["utf-8", "gb18030"]))
def test_any_bytes_as_csv(content: bytes, encoding: str) -> None:
    with tempfile.TemporaryDirectory() as place:
        save_csv(sheets_with(), Path(place), encoding=encoding)
        (Path(place) / "meters.csv").write_bytes(content)
        for fault in faults_of(Path(place), encoding):
            assert fault.problem_en


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_workbook_with_damaged_bytes(workbook: bytes, data: st.DataObject) -> None:
    body = bytearray(workbook)
    for place in data.draw(st.lists(st.integers(0, len(body) - 1), min_size=1, max_size=8)):
        body[place] = data.draw(st.integers(0, 255))
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "r.xlsx"
        path.write_bytes(bytes(body))
        faults_of(path)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_workbook_with_damaged_xml(workbook: bytes, data: st.DataObject) -> None:
    with zipfile.ZipFile(io.BytesIO(workbook)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    name = data.draw(st.sampled_from(sorted(parts)))
    part = parts[name]
    start = data.draw(st.integers(0, len(part) - 1))
    stop = min(len(part), start + data.draw(st.integers(0, 30)))
    filling = data.draw(st.sampled_from([b"", b"<", b'"', b"1e999", b"A0", b"&x;", b"-1", b"\xff", b"<c/>"]))
    parts[name] = part[:start] + filling + part[stop:]
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "r.xlsx"
        with zipfile.ZipFile(path, "w") as archive:
            for entry, content in parts.items():
                archive.writestr(entry, content)
        faults_of(path)


def test_entities_are_not_expanded(workbook: bytes, tmp_path: Path) -> None:
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">' + b"".join(
        b'<!ENTITY %c "%s">' % (98 + i, b"&%c;" % (97 + i) * 10) for i in range(12)
    )
    path = tmp_path / "r.xlsx"
    with zipfile.ZipFile(io.BytesIO(workbook)) as source, zipfile.ZipFile(path, "w") as target:
        for entry in source.namelist():
            content = source.read(entry)
            if entry.endswith("sheet1.xml"):
                content = bomb + b"]><worksheet>&m;</worksheet>"
            target.writestr(entry, content)
    assert "not a readable XLSX workbook" in faults_of(path)[0].problem_en
