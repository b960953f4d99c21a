"""The payload formats there are, and the decoding of a commit group."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np

from connectors.adapters.arrow import Arrow
from connectors.adapters.base import Adapter
from connectors.adapters.builder import BatchBuilder, RowColumns
from connectors.adapters.canonical import Canonical
from connectors.adapters.generic import Generic
from connectors.adapters.heats import Heats
from connectors.adapters.output import Output
from connectors.adapters.status import Status
from models.domain.production import PlacedReport
from models.domain.readings import Decoded, RawMessage, Rejection, RejectReason

MAX_PAYLOAD_BYTES: Final = 1 << 20


class Kept:
    """Takes a message without reading it: it stays in the journal."""

    def decode(self, payload: bytes, builder: BatchBuilder) -> None:
        """Nothing to add and nothing to refuse."""


@dataclass(frozen=True, slots=True)
class AdapterSpec:
    """One payload format: how to make its adapter (with its default profile), and what it is."""

    build: Callable[[], Adapter]
    doc: str


ADAPTERS: Final[Mapping[str, AdapterSpec]] = MappingProxyType(
    {
        "canonical": AdapterSpec(Canonical, "GridWarden's own JSON: readings as rows or as columns"),
        "arrow": AdapterSpec(Arrow, "Arrow IPC stream of the canonical columns"),
        "generic": AdapterSpec(Generic, "one reading a message with a gateway's own names, by a declared profile"),
        "output": AdapterSpec(Output, "output and fuels of a period by enterprise, site or line"),
        "furnace": AdapterSpec(Heats, "heats of furnaces: time, energy, tonnes charged and tapped"),
        "kept": AdapterSpec(Kept, "kept in the journal and not read"),
        "status": AdapterSpec(Status, "online or offline, from a last will or a heartbeat"),
    }
)
"""Every payload format by the name a subscription uses."""


def build_adapters() -> dict[str, Adapter]:
    """One adapter of each format with its default profile."""
    return {name: spec.build() for name, spec in ADAPTERS.items()}


def decode_group(messages: Sequence[RawMessage], adapters: Mapping[str, Adapter]) -> Decoded:
    """Readings and refusals of a commit group; each message by itself, and never an exception.

    A fault of ours in one message is refused as INTERNAL and costs no other message.
    """
    try:
        return _decode(messages, adapters)
    except Exception:  # noqa: BLE001  # whatever it is, the messages must still be accounted for
        return _merged([_decode_alone(message, adapters) for message in messages])


def _decode(messages: Sequence[RawMessage], adapters: Mapping[str, Adapter]) -> Decoded:
    builder = BatchBuilder()
    for index, message in enumerate(messages):
        builder.begin(index, message.publisher)
        if message.retain:
            builder.reject(RejectReason.RETAINED, "a retained message is no reading of now; publish without retain")
        elif len(message.payload) > MAX_PAYLOAD_BYTES:
            builder.reject(RejectReason.SIZE, f"{len(message.payload)} bytes; at most {MAX_PAYLOAD_BYTES}")
        else:
            adapters[message.adapter].decode(message.payload, builder)
    return builder.finish()


def _decode_alone(message: RawMessage, adapters: Mapping[str, Adapter]) -> Decoded:
    if message.adapter not in adapters:
        builder = BatchBuilder()
        builder.reject(RejectReason.INTERNAL, f"no adapter {message.adapter[:40]!a} is configured")
        return builder.finish()
    try:
        return _decode([message], adapters)
    except Exception as error:  # noqa: BLE001  # the last line: nothing a payload does may stop the intake
        builder = BatchBuilder()
        builder.reject(RejectReason.INTERNAL, f"decoding failed: {type(error).__name__}")
        return builder.finish()


def _merged(parts: Sequence[Decoded]) -> Decoded:
    builder = BatchBuilder()
    rejections: list[Rejection] = []
    reports: list[PlacedReport] = []
    for index, part in enumerate(parts):
        batch = part.batch
        builder.columns(
            RowColumns(
                meter=batch.meter,
                ts=batch.ts_ms,
                interval_s=batch.interval_s.astype(np.int64),
                rev=batch.rev.astype(np.int64),
                channels=batch.channels,
                message=np.full(len(batch), index, dtype=np.int32),
                row=batch.row,
            )
        )
        rejections += [Rejection(index, r.reason, r.detail, r.rows, r.field) for r in part.rejections]
        reports += [PlacedReport(index, placed.row, placed.report) for placed in part.reports]
    return Decoded(builder.finish().batch, tuple(rejections), tuple(reports))
