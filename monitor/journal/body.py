"""The bytes of one commit group: msgpack of its messages and rejections, compressed with zstd."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import zstandard

from models.domain.readings import RawMessage, Rejection, RejectReason

KEPT_PAYLOAD_BYTES: Final = 64 * 1024
"""What is kept of a message refused for its size (rule D10)."""

_ZSTD_LEVEL: Final = 1
_MAX_BODY_BYTES: Final = 1 << 31


class Cut(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A payload of which only the beginning is kept: its place in the group, whole length and SHA-256 of all of it."""

    message: int
    whole_bytes: int
    sha256: bytes


class _Rejection(msgspec.Struct, frozen=True, array_like=True, gc=False):
    message: int
    reason: RejectReason
    detail: str
    rows: tuple[int, ...]
    field: str


class Retried(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A message of the group that stood in quarantine and was taken in once more: its place in the group, where it
    stood before (`seq` and `index`), which of it was asked for, and who asked.

    `rows` are readings that were refused whole, `fields` single values by name; `whole` asks for all of the message.
    Readings that were taken in the first time are not taken again. `entries` are the quarantine's numbers.
    """

    message: int
    seq: int
    index: int
    entries: tuple[int, ...]
    whole: bool
    rows: tuple[int, ...]
    fields: tuple[tuple[str, tuple[int, ...]], ...]
    by: str


class _Body(msgspec.Struct, frozen=True, array_like=True):
    messages: list[RawMessage]
    rejections: list[_Rejection]
    cuts: list[Cut]
    retried: tuple[Retried, ...] = ()


@dataclass(frozen=True, slots=True)
class Group:
    """A commit group as stored; `cuts` name the messages whose payload is not whole, `retried` those taken again."""

    messages: tuple[RawMessage, ...]
    rejections: tuple[Rejection, ...]
    cuts: tuple[Cut, ...]
    retried: tuple[Retried, ...] = ()


class BodyCodec:
    """Packs and unpacks bodies with contexts that are made once. For one thread at a time."""

    def __init__(self) -> None:
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(_Body)
        self._compressor = zstandard.ZstdCompressor(level=_ZSTD_LEVEL, write_checksum=False)
        self._decompressor = zstandard.ZstdDecompressor()

    def pack(
        self, messages: Sequence[RawMessage], rejections: Sequence[Rejection], retried: Sequence[Retried] = ()
    ) -> bytes:
        """The blob of a group. Payloads over 64 KiB refused for SIZE are cut, lone surrogates become `?`."""
        kept, cuts = _cut(messages, rejections)
        stored = [_Rejection(r.message, r.reason, encodable(r.detail), r.rows, encodable(r.field)) for r in rejections]
        try:
            body = self._encoder.encode(_Body(kept, stored, cuts, tuple(retried)))
        except UnicodeEncodeError:
            body = self._encoder.encode(_Body([_encodable_message(m) for m in kept], stored, cuts, tuple(retried)))
        return self._compressor.compress(body)

    def unpack(self, blob: bytes) -> Group:
        """The group in a blob whose digest was checked. Raises `ValueError` on anything else."""
        try:
            body = self._decoder.decode(self._decompressor.decompress(blob, max_output_size=_MAX_BODY_BYTES))
        except (zstandard.ZstdError, msgspec.MsgspecError) as error:
            raise ValueError(f"not a journal body: {error}") from error
        return Group(
            tuple(body.messages),
            tuple(Rejection(r.message, r.reason, r.detail, r.rows, r.field) for r in body.rejections),
            tuple(body.cuts),
            body.retried,
        )


def encodable(text: str) -> str:
    """The text with lone surrogates replaced, so that UTF-8 can hold it (rule S7)."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _cut(messages: Sequence[RawMessage], rejections: Sequence[Rejection]) -> tuple[list[RawMessage], list[Cut]]:
    kept = list(messages)
    cuts: list[Cut] = []
    for at in sorted({r.message for r in rejections if r.reason is RejectReason.SIZE and not r.rows and not r.field}):
        payload = kept[at].payload
        if len(payload) > KEPT_PAYLOAD_BYTES:
            cuts.append(Cut(at, len(payload), hashlib.sha256(payload).digest()))
            kept[at] = msgspec.structs.replace(kept[at], payload=payload[:KEPT_PAYLOAD_BYTES])
    return kept, cuts


def _encodable_message(message: RawMessage) -> RawMessage:
    return msgspec.structs.replace(
        message,
        topic=encodable(message.topic),
        publisher=encodable(message.publisher),
        adapter=encodable(message.adapter),
    )
