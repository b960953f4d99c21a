"""The audit log: what people and the program did, in one chain of digests (rule L3).

An entry is written in the transaction of the act itself. Its digest covers an algorithm tag, the digest before it and
every column, so that a change, a deletion, an insertion and a reordering each break the chain at a row that is named.
A cut at the end shows only against a head that was noted elsewhere: a signed checkpoint.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from monitor.desk.database import desk_transaction
from monitor.desk.schema import AUDIT_LOG
from monitor.leads import canonical_json

ALGORITHM: Final = "sha256"
GENESIS: Final = f"{ALGORITHM}:{'0' * 64}"
"""What stands before the first entry."""
SYSTEM: Final = "gridwarden"
"""The actor of what the program does by itself; a person may not be called so."""

_TAG: Final = f"gridwarden-audit-1:{ALGORITHM}"
_PAGE: Final = 1000


@dataclass(frozen=True, slots=True)
class AuditHead:
    """The last entry: how many there are, its number and its digest (`sha256:` and hex). Numbers count from 1."""

    count: int
    seq: int
    digest: str


@dataclass(frozen=True, slots=True)
class AuditFault:
    """What is wrong with the chain, and at which row."""

    seq: int
    what: str


@dataclass(frozen=True, slots=True)
class AuditVerdict:
    """What `verify` found: the head that is there, and every fault in the order of the rows; whole without any."""

    head: AuditHead
    faults: tuple[AuditFault, ...]

    @property
    def whole(self) -> bool:
        return not self.faults


def append(
    connection: sa.Connection, *, at_ms: int, actor: str, action: str, subject: str, details: Mapping[str, Any]
) -> AuditHead:
    """Add an entry inside the caller's transaction, which holds the act itself; returns the new head.

    `at_ms` is the wall clock; `subject` names what was acted on, as `lead:ID`; `details` are plain JSON values.
    """
    row = connection.execute(
        sa.select(AUDIT_LOG.c.seq, AUDIT_LOG.c.digest).order_by(AUDIT_LOG.c.seq.desc()).limit(1)
    ).one_or_none()
    before = AuditHead(0, 0, GENESIS) if row is None else AuditHead(row.seq, row.seq, row.digest)
    entry: dict[str, Any] = {
        "seq": before.seq + 1,
        "at_ms": at_ms,
        "actor": actor,
        "action": action,
        "subject": subject,
        "details": canonical_json(details),
        "previous": before.digest,
    }
    digest = _digest(entry)
    connection.execute(sa.insert(AUDIT_LOG), {**entry, "digest": digest})
    return AuditHead(before.seq + 1, before.seq + 1, digest)


def head(engine: sa.Engine) -> AuditHead:
    """The last entry as stored; count and seq 0 and `GENESIS` where there is none."""
    count = sa.select(sa.func.count()).select_from(AUDIT_LOG).scalar_subquery()
    query = sa.select(count.label("n"), AUDIT_LOG.c.seq, AUDIT_LOG.c.digest).order_by(AUDIT_LOG.c.seq.desc()).limit(1)
    with desk_transaction(engine) as connection:
        row = connection.execute(query).one_or_none()
    return AuditHead(0, 0, GENESIS) if row is None else AuditHead(int(row.n), int(row.seq), str(row.digest))


def verify(engine: sa.Engine, *, noted: AuditHead | None = None) -> AuditVerdict:
    """Walk the whole chain. `noted` is a head known from elsewhere, which must still be in it.

    After a fault the walk goes on from the row as it is stored, so that one fault is named once.
    """
    faults: list[AuditFault] = []
    count, seq, digest = 0, 0, GENESIS
    noted_is_there = noted is None or noted.seq == 0
    for row in _rows(engine):
        count += 1
        if row.seq != seq + 1:
            faults.append(AuditFault(seq + 1, f"missing: entry {row.seq} follows {seq}"))
        elif row.previous != digest:
            faults.append(AuditFault(row.seq, "does not follow the entry before it: inserted, moved or changed"))
        if _digest(row._asdict()) != row.digest:
            faults.append(AuditFault(row.seq, "is not what was written: changed"))
        if noted is not None and row.seq == noted.seq:
            noted_is_there = True
            if row.digest != noted.digest:
                faults.append(AuditFault(row.seq, "is not the entry that was noted: the log was rewritten"))
        seq, digest = int(row.seq), str(row.digest)
    if noted is not None and not noted_is_there:
        faults.append(AuditFault(noted.seq, f"missing: the log ends at {seq}, {noted.seq} was noted: cut or put back"))
    return AuditVerdict(AuditHead(count, seq, digest), tuple(faults))


def entries_of(connection: sa.Connection, subject: str, limit: int = 1000) -> list[dict[str, Any]]:
    """What was done to a subject, oldest first: seq, at_ms, actor, action, details (plain values)."""
    columns = (AUDIT_LOG.c.seq, AUDIT_LOG.c.at_ms, AUDIT_LOG.c.actor, AUDIT_LOG.c.action, AUDIT_LOG.c.details)
    query = sa.select(*columns).where(AUDIT_LOG.c.subject == subject).order_by(AUDIT_LOG.c.seq).limit(limit)
    return [
        {"seq": seq, "at_ms": at_ms, "actor": actor, "action": action, "details": msgspec.json.decode(details)}
        for seq, at_ms, actor, action, details in connection.execute(query)
    ]


def _rows(engine: sa.Engine) -> Iterator[sa.Row[Any]]:
    """All entries in order, in short transactions: the desk goes on meanwhile."""
    last = None
    while True:
        query = sa.select(AUDIT_LOG).order_by(AUDIT_LOG.c.seq).limit(_PAGE)
        with desk_transaction(engine) as connection:
            rows = connection.execute(query if last is None else query.where(AUDIT_LOG.c.seq > last)).all()
        yield from rows
        if len(rows) < _PAGE:
            return
        last = rows[-1].seq


def _digest(entry: Mapping[str, Any]) -> str:
    columns = ("seq", "at_ms", "actor", "action", "subject", "previous")
    body = canonical_json([_TAG, *(entry[name] for name in columns)]) + b"\n" + bytes(entry["details"])
    return f"{ALGORITHM}:{hashlib.sha256(body).hexdigest()}"
