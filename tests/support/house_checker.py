"""The history checker (rule Q5): what must hold of a stopped daemon's stores whatever happened to it before."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from monitor.audit.state_check import check_state
from monitor.desk.database import DESK_FILE, read_desk
from monitor.desk.outbox_rows import OutboxState
from monitor.desk.schema import FINDINGS, LEAD_REVISIONS, LEADS, OUTBOX

Received = Mapping[str, Sequence[bytes]]
"""By sink, the bodies its receiver got, in the order they came."""


def faults_of_house(state_dir: Path, received: Received | None = None, *, settled: bool = True) -> list[str]:
    """Every invariant that does not hold; empty when all is well.

    The whole state directory verifies: the journal's chain, sealed days, audit log, checkpoints. Leads are unique,
    their revisions without a gap, each with its findings. Each revision is to be told to each sink of `received`
    exactly once; what is marked sent was received, as it was written, what was received had been written, and each
    subject's revisions first came in order. `settled`: nothing may wait to be sent any more.
    """
    report = check_state(state_dir, ask=None, key=None, kept=())
    if not report.whole:
        return [str(fault) for fault in report.faults]
    if not (state_dir / DESK_FILE).is_file():
        return ["no desk"] if received else []
    engine = read_desk(state_dir)
    try:
        with engine.connect() as connection:
            return [
                *_faults_of_leads(connection),
                *_faults_of_outbox(connection, received or {}, settled=settled),
            ]
    finally:
        engine.dispose()


def _faults_of_leads(connection: sa.Connection) -> list[str]:
    findings = {(r.night, r.meter, r.detector): r for r in connection.execute(sa.select(FINDINGS))}
    revisions: defaultdict[str, list[Any]] = defaultdict(list)
    for row in connection.execute(sa.select(LEAD_REVISIONS).order_by("lead_id", "revision")):
        revisions[row.lead_id].append(row)
    said = [*findings.values(), *(row for rows in revisions.values() for row in rows)]
    faults = [f"{row} does not match its digest" for row in said if hashlib.sha256(row.body).hexdigest() != row.sha256]
    subjects: Counter[tuple[str, str, str]] = Counter()
    for lead in connection.execute(sa.select(LEADS)):
        subjects[lead.kind, lead.subject, lead.month] += 1
        numbers = [row.revision for row in revisions[lead.id]]
        if numbers != list(range(1, lead.revision + 1)):
            faults.append(f"lead {lead.id} is at revision {lead.revision} and has {numbers}")
        if lead.standing != "raised":
            continue
        nights = json.loads(revisions[lead.id][-1].body)["nights"]
        behind = [findings.get((night["night"], night["meter"], lead.kind)) for night in nights]
        faults += [
            f"lead {lead.id}: no finding of {night['night']} from the readings it names"
            for night, found in zip(nights, behind, strict=True)
            if found is None or json.loads(found.body)["digest"] != night["digest"]
        ]
    return faults + [f"{n} leads of {key}" for key, n in subjects.items() if n > 1]


def _faults_of_outbox(connection: sa.Connection, received: Received, *, settled: bool) -> list[str]:
    faults = []
    rows = list(connection.execute(sa.select(OUTBOX).order_by("seq")))
    revisions = {(r.lead_id, r.revision) for r in connection.execute(sa.select(LEAD_REVISIONS))}
    for sink, bodies in received.items():
        mine = [row for row in rows if row.sink == sink]
        written = {bytes(row.body): row for row in mine}
        told = Counter((row.subject, json.loads(row.body)["data"]["revision"]) for row in mine)
        faults += [f"{sink}: revision {key} is told {n} times" for key, n in told.items() if n > 1]
        faults += [f"{sink}: revision {key} is never told" for key in sorted(revisions - told.keys())]
        got = set(bodies)
        faults += [
            f"{sink}: {row.idempotency_key[:12]} of {row.subject} is marked sent and never came"
            for row in mine
            if row.state == OutboxState.SENT and bytes(row.body) not in got
        ]
        faults += [f"{sink}: something came that was never written" for body in got if body not in written]
        if settled:
            faults += [f"{sink}: {row.subject} still waits" for row in mine if row.state != OutboxState.SENT]
        faults += _disorder(sink, [written[body] for body in dict.fromkeys(bodies) if body in written])
    return faults


def _disorder(sink: str, first_come: Sequence[Any]) -> list[str]:
    """Subjects whose notices first came in another order than they were written."""
    newest: dict[str, int] = {}
    faults = []
    for row in first_come:
        if row.seq < newest.get(row.subject, 0):
            faults.append(f"{sink}: notices of {row.subject} came out of order")
        newest[row.subject] = max(row.seq, newest.get(row.subject, 0))
    return faults
