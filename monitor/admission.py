"""The register's and the clock's say on what was decoded: every reading is admitted or refused with a reason."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.domain.channels import CHANNELS
from models.domain.production import PlacedReport
from models.domain.readings import Decoded, RawMessage, ReadingBatch, Rejection, RejectReason
from monitor.accounts.admission import admit_reports, still_admitted
from monitor.roster import Admission, Roster

_SCALED_UNITS: Final = frozenset({"kW", "kvar", "kWh", "kvarh"})
_DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class TimeRules:
    """`future_s` a stamp may lie ahead of its receipt; `old_days` it may lie behind, None for no limit (files)."""

    future_s: int = 300
    old_days: int | None = 400


@dataclass(frozen=True, slots=True)
class Admitted:
    """Readings of one commit group that go on, as columns of n, its reports, and every refusal of the group.

    `keys` are the roster's; `interval_s` is settled (the register's cadence where the reading named none); values are
    primary ones. `n_refused` readings were refused whole, `unknown` names the meters the register does not know.
    """

    keys: NDArray[np.int32]
    ts_ms: NDArray[np.int64]
    interval_s: NDArray[np.int32]
    rev: NDArray[np.int32]
    channels: Mapping[str, NDArray[np.float64]]
    rejections: tuple[Rejection, ...]
    n_refused: int
    unknown: frozenset[str] = frozenset()
    reports: tuple[PlacedReport, ...] = ()

    def __len__(self) -> int:
        return len(self.keys)


def admit(decoded: Decoded, messages: Sequence[RawMessage], roster: Roster, rules: TimeRules) -> Admitted:
    """Decide every reading and report of a group before it is committed."""
    if decoded.reports:
        return _with_reports(decoded, messages, roster, rules)
    batch = decoded.batch
    publishers = [m.publisher for m in messages]
    told = roster.admit(batch.meter, batch.ts_ms, publishers, batch.message)
    refusals = _untimely(batch, messages, rules)
    in_time = np.ones(len(batch), dtype=np.bool_)
    in_time[list(refusals)] = False
    for i, reason in told.refused.items():
        refusals.setdefault(i, reason)
    revising = np.flatnonzero((batch.rev > 0) & ~told.may_revise & (told.keys >= 0) & in_time)
    refusals |= dict.fromkeys(revising.tolist(), RejectReason.AUTHZ)
    if not refusals:
        return _admitted(batch, told, decoded.rejections)
    keep = np.ones(len(batch), dtype=np.bool_)
    keep[list(refusals)] = False
    elsewhere = roster.register.elsewhere
    silent = elsewhere.districts if elsewhere.ignored else {}
    told_of = {i: why for i, why in refusals.items() if batch.meter[i] not in silent}
    rejections = (*decoded.rejections, *_grouped(batch, told_of, publishers, elsewhere.districts))
    unknown = frozenset(batch.meter[i] for i, why in refusals.items() if why is RejectReason.UNKNOWN_METER)
    return dataclasses.replace(_admitted(batch.take(keep), told.take(keep), rejections), unknown=unknown)


def _with_reports(decoded: Decoded, messages: Sequence[RawMessage], roster: Roster, rules: TimeRules) -> Admitted:
    reports, refused = admit_reports(
        decoded.reports, messages, roster.register, roster.words, future_s=rules.future_s, old_days=rules.old_days
    )
    rest = admit(Decoded(decoded.batch, (*decoded.rejections, *refused)), messages, roster, rules)
    return dataclasses.replace(rest, reports=reports)


def _untimely(batch: ReadingBatch, messages: Sequence[RawMessage], rules: TimeRules) -> dict[int, RejectReason]:
    if len(batch) == 0:
        return {}
    received_ms = np.array([m.received_ms for m in messages], dtype=np.int64)[batch.message]
    future = batch.ts_ms > received_ms + rules.future_s * 1000
    refusals = dict.fromkeys(np.flatnonzero(future).tolist(), RejectReason.TIME_FUTURE)
    if rules.old_days is not None:
        old = batch.ts_ms < received_ms - rules.old_days * _DAY_MS
        refusals |= dict.fromkeys(np.flatnonzero(old).tolist(), RejectReason.TIME_OLD)
    return refusals


def readmit(
    decoded: Decoded, messages: Sequence[RawMessage], rejections: Sequence[Rejection], roster: Roster
) -> Admitted:
    """Readings and reports of a committed group: what was refused then stays so, whatever the register says now."""
    batch = decoded.batch
    refused = {(r.message, row) for r in rejections if not r.field for row in r.rows}
    whole = {r.message for r in rejections if not r.field and not r.rows}
    keep = np.array(
        [
            m not in whole and (m, row) not in refused
            for m, row in zip(batch.message.tolist(), batch.row.tolist(), strict=True)
        ],
        dtype=np.bool_,
    )
    batch = batch.take(keep)
    told = roster.admit(batch.meter, batch.ts_ms, [m.publisher for m in messages], batch.message)
    known = told.keys >= 0
    admitted = _admitted(batch.take(known), told.take(known), rejections)
    reports = still_admitted(decoded.reports, rejections)
    return dataclasses.replace(admitted, reports=reports) if reports else admitted


def _admitted(batch: ReadingBatch, told: Admission, rejections: Sequence[Rejection]) -> Admitted:
    """Settle cadence and ratio of readings that go on. A message that could not be read at all counts as one."""
    channels = dict(batch.channels)
    if (told.factor != 1.0).any():
        scaled = [name for name in channels if CHANNELS[name].unit in _SCALED_UNITS]
        channels |= {name: channels[name] * told.factor for name in scaled}
    return Admitted(
        keys=told.keys,
        ts_ms=batch.ts_ms,
        interval_s=np.where(batch.interval_s > 0, batch.interval_s, told.cadence_s).astype(np.int32),
        rev=batch.rev,
        channels=channels,
        rejections=tuple(rejections),
        n_refused=sum(max(1, len(r.rows)) for r in rejections if not r.field),
    )


def _grouped(
    batch: ReadingBatch,
    refusals: Mapping[int, RejectReason],
    publishers: Sequence[str],
    elsewhere: Mapping[str, str],
) -> list[Rejection]:
    """One rejection a message and reason, naming its readings and the first of them."""
    groups: dict[tuple[int, RejectReason], list[int]] = {}
    for i in sorted(refusals):
        groups.setdefault((int(batch.message[i]), refusals[i]), []).append(i)
    return [
        Rejection(
            message=message,
            reason=reason,
            detail=_detail(reason, batch.meter[rows[0]], int(batch.ts_ms[rows[0]]), publishers[message], elsewhere),
            rows=tuple(int(batch.row[i]) for i in rows),
        )
        for (message, reason), rows in groups.items()
    ]


def _detail(reason: RejectReason, meter: str, ts_ms: int, publisher: str, elsewhere: Mapping[str, str]) -> str:
    stamp = dt.datetime.fromtimestamp(ts_ms / 1000.0, dt.UTC).isoformat()
    match reason:
        case RejectReason.UNKNOWN_METER:
            return f"meter {meter} is not in the register at {stamp}: register it, then `gridwarden quarantine retry`"
        case RejectReason.AUTHZ if meter in elsewhere:
            return f"meter {meter} belongs to {elsewhere[meter]}, which this daemon does not serve: see scope.districts"
        case RejectReason.AUTHZ:
            return f"meter {meter} may not be sent (or revised) by publisher {publisher!r}: check the register's row"
        case RejectReason.TIME_FUTURE:
            return f"meter {meter} is stamped {stamp}, ahead of its receipt: set the sender's clock"
        case _:
            return f"meter {meter} is stamped {stamp}, too long before its receipt: import old readings with replay"
