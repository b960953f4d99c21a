"""The lead file: one line an event, once, whatever the crash left behind."""

from __future__ import annotations

import json
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from connectors.leadfile import LeadFile
from connectors.sink import Delivered, Unavailable


def event(number: int) -> tuple[bytes, str]:
    key = f"{number:064x}"
    return json.dumps({"id": key, "data": {"zh": "疑似"}}).encode(), key


def put(sink: LeadFile, number: int) -> None:
    body, key = event(number)
    assert sink.send(body, key, "L1", "cn.gridwarden.lead.raised.v1") == Delivered()


def numbers(path: Path) -> list[int]:
    return [int(json.loads(line)["id"], 16) for line in path.read_bytes().splitlines()]


def test_events_are_appended_in_order_and_never_twice(tmp_path: Path) -> None:
    path = tmp_path / "leads.jsonl"
    sink = LeadFile(path)
    for number in (1, 2, 2, 1, 3):
        put(sink, number)
    put(LeadFile(path), 2)
    assert numbers(path) == [1, 2, 3]


@pytest.mark.parametrize("kept", [0, 1, 40])
def test_a_line_torn_by_a_crash_is_cut_off_and_written_again(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "leads.jsonl"
    put(LeadFile(path), 1)
    with path.open("ab") as file:
        file.write(event(2)[0][:kept])
    sink = LeadFile(path)
    put(sink, 2)
    put(sink, 1)
    assert numbers(path) == [1, 2]


def test_a_whole_line_without_its_end_counts_as_torn(tmp_path: Path) -> None:
    path = tmp_path / "leads.jsonl"
    path.write_bytes(event(1)[0])
    put(LeadFile(path), 1)
    assert numbers(path) == [1]


def test_a_renamed_file_is_followed_by_a_new_one(tmp_path: Path) -> None:
    path = tmp_path / "leads.jsonl"
    sink = LeadFile(path)
    put(sink, 1)
    path.rename(tmp_path / "leads.1.jsonl")
    put(sink, 2)
    assert numbers(path) == [2]
    assert numbers(tmp_path / "leads.1.jsonl") == [1]


def test_lines_of_others_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "leads.jsonl"
    path.write_bytes(b'not json\n[1]\n{"a": 1}\n')
    put(LeadFile(path), 1)
    assert path.read_bytes().count(b"\n") == 4


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


def test_a_full_disk_leaves_no_half_line_and_the_event_comes_later(tmp_path: Path) -> None:
    path = tmp_path / "leads.jsonl"
    sink = LeadFile(path)
    put(sink, 1)
    body, key = event(2)
    with file_size_limit(path.stat().st_size + 20), pytest.raises(Unavailable):
        sink.send(body, key, "L1", "t")
    assert numbers(path) == [1]
    put(sink, 2)
    assert numbers(path) == [1, 2]


def test_a_missing_directory_is_trouble_that_may_pass(tmp_path: Path) -> None:
    sink = LeadFile(tmp_path / "later" / "leads.jsonl")
    with pytest.raises(Unavailable, match=r"leads\.jsonl"):
        put(sink, 1)
    (tmp_path / "later").mkdir()
    put(sink, 1)


def test_an_event_of_two_lines_is_a_fault_of_the_caller(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="one line"):
        LeadFile(tmp_path / "leads.jsonl").send(b"{\n}", "k", "s", "t")
