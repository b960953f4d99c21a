"""Taking quarantined messages in once more: what was refused then and is in order now, and nothing else (rule D10).

A message is decoded again with the formats and publishers that are subscribed now and admitted with the register of
now. Of a message that was taken in part, only the part that was refused counts. What is accepted is committed to the
journal as a group of its own which names where each message stood before: from there it goes the way of all readings.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from connectors.adapters.table import decode_group
from connectors.mqtt_settings import Subscription, route_of
from models.domain.channels import CHANNELS
from models.domain.readings import Decoded, RawMessage, Rejection
from monitor.admission import admit
from monitor.commands import CommandRefused
from monitor.desk.people import person
from monitor.journal.body import Retried
from monitor.journal.retried import MAX_ASKED, KeptEntry

if TYPE_CHECKING:
    from monitor.pipeline import Pipeline
    from monitor.wiring import Core

SLICE_S: Final = 0.05
"""How long one command may keep the core thread, but for the few messages it is at."""

_LOOKED_UP: Final = 8
"""Entries looked up at once: each may lie in a commit group of megabytes."""
_CUT: Final = "only the first 64 KiB are kept: have the publisher send it again in smaller batches"

Row = dict[str, Any]


class _Arguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    entries: list[int]
    by: str
    received_now: bool = False


def quarantine_retry(core: Core, arguments: Mapping[str, Any]) -> Row:
    """The command: retry entries until they are done or the slice is over.

    Takes `entries` (numbers, at most 500), `by` and `received_now` (hold stamps against the clock of now, because ours
    was wrong when they came); answers `results`, one an entry that was looked at: `entry`,
    `outcome` (`accepted`, `refused`, `resolved` before, `cut`, `unknown`), `detail`, `seq`. Ask again for the others.
    """
    try:
        asked = msgspec.convert(dict(arguments), _Arguments)
    except msgspec.ValidationError as error:
        raise CommandRefused(f"命令参数不对。The arguments do not fit: {error}") from error
    if not 1 <= len(asked.entries) <= MAX_ASKED:
        raise CommandRefused(f"一次可重试 1 至 {MAX_ASKED} 条。From 1 to {MAX_ASKED} entries can be retried at once.")
    return {"results": _retry(core, list(dict.fromkeys(asked.entries)), asked)}


def only_asked(decoded: Decoded, retried: Sequence[Retried]) -> Decoded:
    """What a retry asks for: of each message the readings and values that were refused before.

    A value alone comes as a reading without any other value; where it cannot be read now either, not at all.
    """
    asked = {one.message: one for one in retried}
    batch = decoded.batch
    keep = np.zeros(len(batch), dtype=np.bool_)
    channels = {name: values.copy() for name, values in batch.channels.items()}
    for position, (message, row) in enumerate(zip(batch.message.tolist(), batch.row.tolist(), strict=True)):
        one = asked[message]
        if one.whole or row in one.rows:
            keep[position] = True
            continue
        names = [name for name, rows in one.fields if row in rows]
        if any(name not in CHANNELS for name in names):
            keep[position] = True
        elif names:
            for name, values in channels.items():
                if name not in names:
                    values[position] = np.nan
            keep[position] = _any_value(channels, position)
    rejections = [rest for r in decoded.rejections if (rest := _asked_of(r, asked[r.message])) is not None]
    reports = tuple(p for p in decoded.reports if asked[p.message].whole or p.row in asked[p.message].rows)
    return Decoded(dataclasses.replace(batch, channels=channels).take(keep), tuple(rejections), reports)


def _any_value(channels: Mapping[str, NDArray[np.float64]], position: int) -> bool:
    return any(not np.isnan(values[position]) for values in channels.values())


def _asked_of(rejection: Rejection, one: Retried) -> Rejection | None:
    """The part of a refusal that concerns what was asked for; the rest stands in quarantine already."""
    if one.whole or not rejection.rows:
        return rejection
    asked = set(one.rows)
    for name, rows in one.fields:
        if not rejection.field or rejection.field == name:
            asked |= set(rows)
    rows = tuple(row for row in rejection.rows if row in asked)
    return dataclasses.replace(rejection, rows=rows) if rows else None


def _retry(core: Core, ids: Sequence[int], asked: _Arguments) -> list[Row]:
    """Results of the first entries, in order: as many as fit into a slice."""
    clock, began_s = core.pipeline.clock, core.pipeline.clock.monotonic_s()
    by = person(asked.by)
    results: dict[int, Row] = {}
    taken: list[tuple[RawMessage, Retried]] = []
    refused: dict[int, str] = {}
    for start in range(0, len(ids), _LOOKED_UP):
        some = ids[start : start + _LOOKED_UP]
        results |= {id_: _row(id_, "resolved", "taken in before", seq) for id_, seq in core.desk.retried(some).items()}
        kept = core.journal.kept([id_ for id_ in some if id_ not in results])
        results |= {id_: _row(id_, "unknown", "no such entry") for id_ in some if id_ not in results.keys() | kept}
        for entries in _by_message(kept.values()):
            if entries[0].cut:
                results |= {entry.id: _row(entry.id, "cut", _CUT) for entry in entries}
                continue
            message = _addressed(core.routes, entries[0].message)
            if asked.received_now:
                message = msgspec.structs.replace(message, received_ms=clock.wall_ms())
            one = _asked(entries, len(taken), by)
            why = _still_refused(core.pipeline, message, one)
            if why is None:
                taken.append((message, one))
            else:
                refused |= dict.fromkeys(one.entries, why)
        if clock.monotonic_s() - began_s > SLICE_S:
            break
    if taken:
        seq = core.pipeline.take_again([message for message, _ in taken], [one for _, one in taken])
        told = f"taken in as journal record {seq}"
        results |= {id_: _row(id_, "accepted", told, seq) for _, one in taken for id_ in one.entries}
    if refused:
        core.desk.mark_refused_again(refused, by)
        results |= {id_: _row(id_, "refused", why) for id_, why in refused.items()}
    return [results[id_] for id_ in ids if id_ in results]


def _still_refused(pipeline: Pipeline, message: RawMessage, one: Retried) -> str | None:
    """Why nothing of a message would be accepted now; None where something is, or where it says nothing at all."""
    alone = msgspec.structs.replace(one, message=0)
    decoded = only_asked(decode_group([message], pipeline.adapters), [alone])
    group = admit(decoded, [message], pipeline.roster, pipeline.rules)
    if len(group) or not group.rejections:
        return None
    first = group.rejections[0]
    return f"{first.reason.value}: {first.detail}"


def _asked(entries: Sequence[KeptEntry], message: int, by: str) -> Retried:
    """What entries of one message ask for together."""
    whole = any(not entry.rejection.rows and not entry.rejection.field for entry in entries)
    rows = sorted({row for entry in entries if not entry.rejection.field for row in entry.rejection.rows})
    fields = [(entry.rejection.field, entry.rejection.rows) for entry in entries if entry.rejection.field]
    return Retried(
        message=message,
        seq=entries[0].seq,
        index=entries[0].index,
        entries=tuple(entry.id for entry in entries),
        whole=whole,
        rows=tuple(rows),
        fields=tuple(fields),
        by=by,
    )


def _by_message(entries: Iterable[KeptEntry]) -> list[list[KeptEntry]]:
    grouped: dict[tuple[int, int], list[KeptEntry]] = defaultdict(list)
    for entry in sorted(entries, key=lambda entry: entry.id):
        grouped[entry.seq, entry.index].append(entry)
    return list(grouped.values())


def _addressed(routes: Sequence[Subscription], message: RawMessage) -> RawMessage:
    """The message under the format and publisher its topic has now; a file's, and an unknown topic's, stay."""
    route = route_of(routes, message.topic)
    if route is None:
        return message
    publisher = route.publisher_of(message.topic) or message.publisher
    return msgspec.structs.replace(message, adapter=route.adapter, publisher=publisher)


def _row(entry: int, outcome: str, detail: str, seq: int | None = None) -> Row:
    return {"entry": entry, "outcome": outcome, "detail": detail, "seq": seq}
