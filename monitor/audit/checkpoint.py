"""A checkpoint: what journal and desk were at one moment, signed (rule L3).

One line of canonical JSON in an append-only file. Each line names the digest of the line before it, so that a line
changed, taken out, put in or moved breaks the chain at a number that is named. The short form goes out with every
notice: whoever keeps one can prove later that what it covers was there.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Self

import msgspec

from monitor.audit.keys import PublicKey
from monitor.leads import canonical_json

FORMAT: Final = 1
GENESIS: Final = "0" * 64
"""What the first line names as the one before it."""
FILE_PATTERN: Final = "checkpoints-*.jsonl"
HEAD_NAME: Final = "checkpoint-head"
"""File beside them that holds the newest one in its short form: their last lines cannot be cut off unseen."""
_SHORT: Final = "gw1"
_PARTS: Final = 8


class Occasion(StrEnum):
    """Why a checkpoint was written."""

    START = "start"
    CLOCK = "clock"
    SEALED = "sealed"
    STOP = "stop"


class JournalHead(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The journal up to record `seq`. `links` is the SHA-256 over the digests of the `count` records after `after`.

    `segment` names the file of the last record, and `segment_sha256` what its own row says.
    """

    after: int
    seq: int
    digest: str
    count: int
    links: str
    segment: str
    segment_sha256: str


class RowsDigest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Rows of an append-only table after key `after` up to key `upto`: how many, and the SHA-256 over them."""

    after: int
    upto: int
    count: int
    sha256: str


class TableDigest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All rows of a table: how many, and a digest whose kind is named."""

    rows: int
    digest: str
    kind: str = "sha256"


class SealedFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file that never changes again."""

    file: str
    bytes: int
    sha256: str


class Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is signed. `audit` is number and digest of the last entry of the desk's audit log; `tables` only at a stop.

    `at_ms` is the wall clock, Unix ms; `n` counts from 1; `previous` is the SHA-256 of the line before.
    """

    v: int
    n: int
    at_ms: int
    occasion: Occasion
    previous: str
    key: str
    journal: JournalHead
    audit: tuple[int, str]
    revisions: RowsDigest
    outbox: RowsDigest
    sealed: tuple[SealedFile, ...] = ()
    tables: Mapping[str, TableDigest] = {}


class _Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    body: Body
    sig: str


_DECODER: Final = msgspec.json.Decoder(_Line)


@dataclass(frozen=True, slots=True)
class Short:
    """The short form: enough to find the checkpoint again, and to compare the journal where the file is lost."""

    n: int
    at_ms: int
    seq: int
    digest: str
    body_sha256: str
    key: str
    signature: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """From the text of a notice. Raises ValueError."""
        parts = text.strip().split(".")
        if len(parts) != _PARTS or parts[0] != _SHORT or not all(p.isascii() and p.isdigit() for p in parts[1:4]):
            raise ValueError("not a checkpoint; it looks like gw1.NUMBER.TIME.RECORD.DIGEST.DIGEST.KEY.SIGNATURE")
        return cls(int(parts[1]), int(parts[2]), int(parts[3]), *parts[4:])

    @property
    def message(self) -> bytes:
        """The signed bytes."""
        return ".".join((_SHORT, *map(str, (self.n, self.at_ms, self.seq)), self.digest, self.body_sha256)).encode()

    @property
    def text(self) -> str:
        return f"{self.message.decode()}.{self.key}.{self.signature}"

    def signed_by(self, key: PublicKey) -> bool:
        """Whether this key signed it."""
        try:
            signature = base64.urlsafe_b64decode(self.signature)
        except (binascii.Error, ValueError):
            return False
        return key.fingerprint == self.key and key.signed(self.message, signature)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One line of the file: `sha256` is that of the line without its end."""

    body: Body
    short: Short
    line: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.line).hexdigest()

    @classmethod
    def parse(cls, line: bytes) -> Self:
        """From a line without its end. Raises ValueError on anything that is not one, byte for byte."""
        try:
            read = _DECODER.decode(line)
        except msgspec.MsgspecError as error:
            raise ValueError(f"not a checkpoint: {error}") from error
        if read.body.v != FORMAT:
            raise ValueError(f"format {read.body.v}, this program reads {FORMAT}: install the newer version")
        if canonical_json(read) != line:
            raise ValueError("not written as a checkpoint is")
        return cls(read.body, _short_of(read.body, read.sig), line)


def unsigned(body: Body) -> Short:
    """The short form whose `message` is to be signed."""
    return _short_of(body, "")


def signed(body: Body, signature: bytes) -> Checkpoint:
    """The checkpoint as it is written."""
    text = base64.urlsafe_b64encode(signature).decode()
    return Checkpoint(body, _short_of(body, text), canonical_json(_Line(body, text)))


def _short_of(body: Body, signature: str) -> Short:
    digest = hashlib.sha256(canonical_json(body)).hexdigest()
    return Short(body.n, body.at_ms, body.journal.seq, body.journal.digest, digest, body.key, signature)


def rows_sha256(rows: Sequence[Sequence[Any]]) -> str:
    """SHA-256 over rows of plain values, in the order given."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(canonical_json(row) + b"\n")
    return digest.hexdigest()


def checkpoint_files(state_dir: Path) -> list[Path]:
    """The files, one a month, oldest first."""
    return sorted(state_dir.glob(FILE_PATTERN))


def read_lines(state_dir: Path) -> Iterator[tuple[Path, int, bytes, bool]]:
    """(file, line number from 1, line, whether it is ended) of every line there is."""
    for path in checkpoint_files(state_dir):
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                yield path, number, line.rstrip(b"\n"), line.endswith(b"\n")


def last_checkpoint(state_dir: Path) -> Checkpoint | None:
    """The newest checkpoint that can be read, None where there is none; a line a crash left half written is passed."""
    return next(_backwards(state_dir), None)


def last_sealed(state_dir: Path) -> tuple[SealedFile, ...]:
    """The sealed files as last listed: every checkpoint of a start lists them all."""
    for checkpoint in _backwards(state_dir):
        if checkpoint.body.sealed or checkpoint.body.occasion is Occasion.START:
            return checkpoint.body.sealed
    return ()


def _backwards(state_dir: Path) -> Iterator[Checkpoint]:
    """The newest first, what cannot be read left out."""
    for path in reversed(checkpoint_files(state_dir)):
        for line in reversed(path.read_bytes().split(b"\n")):
            with contextlib.suppress(ValueError):
                yield Checkpoint.parse(line)
