"""Leads appended to a file, one CloudEvent a line."""

from __future__ import annotations

import json
import os
from collections import OrderedDict
from pathlib import Path
from typing import Final

import structlog

from connectors.sink import Delivered, Delivery, Unavailable

_log = structlog.get_logger(__name__)

TAIL_BYTES: Final = 8 * 1024 * 1024
"""How far back the file is searched for events that a crash made us send twice."""

KEYS_KEPT: Final = 16_384


class LeadFile:
    """Sink that appends and fsyncs. A line torn by a crash is cut off; an event that is already there is not repeated.

    The file may be rotated by renaming it: the next event begins a new one.
    """

    def __init__(self, path: Path, name: str = "file") -> None:
        self._path = path
        self._name = name
        self._inode: int | None = None
        self._keys: OrderedDict[str, None] = OrderedDict()

    @property
    def name(self) -> str:
        return self._name

    def send(self, body: bytes, idempotency_key: str, subject: str, event_type: str) -> Delivery:  # noqa: ARG002 - the protocol's arguments; the body says both
        """Append the event unless the file has it. Raises Unavailable where the file cannot be written."""
        if b"\n" in body:
            raise ValueError("an event for the lead file must be one line")
        try:
            self._append(body, idempotency_key)
        except OSError as error:
            self._inode = None
            raise Unavailable(f"{self._path.name}: {error.strerror}") from error
        return Delivered()

    def _append(self, body: bytes, key: str) -> None:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        created = not self._path.exists()
        handle = os.open(self._path, flags, 0o640)
        try:
            inode = os.fstat(handle).st_ino
            if inode != self._inode:
                self._keys = _keys_in_tail(handle)
                self._inode = inode
            if key in self._keys:
                return
            size = _cut_torn_line(handle, self._path.name)
            try:
                _write_all(handle, body + b"\n")
                os.fsync(handle)
            except OSError:
                os.ftruncate(handle, size)
                raise
            self._keys[key] = None
            while len(self._keys) > KEYS_KEPT:
                self._keys.popitem(last=False)
        finally:
            os.close(handle)
        if created:
            _fsync_dir(self._path.parent)


def _keys_in_tail(handle: int) -> OrderedDict[str, None]:
    size = os.fstat(handle).st_size
    start = max(0, size - TAIL_BYTES)
    lines = os.pread(handle, size - start, start).split(b"\n")
    keys: OrderedDict[str, None] = OrderedDict()
    for line in lines[1 if start else 0 : -1]:
        try:
            key = json.loads(line)["id"]
        except (ValueError, KeyError, TypeError):
            continue
        keys[str(key)] = None
    return keys


def _cut_torn_line(handle: int, name: str) -> int:
    """Size of the file after a last line without an end was cut off."""
    size = os.fstat(handle).st_size
    if size == 0 or os.pread(handle, 1, size - 1) == b"\n":
        return size
    start = max(0, size - TAIL_BYTES)
    kept = start + os.pread(handle, size - start, start).rfind(b"\n") + 1
    _log.warning("lead file ended in a torn line; cut off", file=name, cut_bytes=size - kept)
    os.ftruncate(handle, kept)
    return kept


def _write_all(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]


def _fsync_dir(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
