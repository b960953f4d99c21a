"""What the desk knows of a lead: its latest revision and the findings behind it."""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa

from models.domain.register import RegisterRows
from monitor.desk.database import read_desk
from monitor.desk.lead_rows import utc_text
from monitor.desk.registers import newest_register
from monitor.desk.schema import FINDINGS, LEAD_REVISIONS
from monitor.leads import NightFinding

_DECODER = msgspec.json.Decoder(NightFinding)


@dataclass(frozen=True, slots=True)
class LeadRevision:
    """One revision as stored: `content` is the decoded `body`."""

    revision: int
    change: str
    event_ms: int
    recorded_at_ms: int
    body: bytes
    sha256: str

    @property
    def content(self) -> dict[str, Any]:
        plain: dict[str, Any] = msgspec.json.decode(self.body)
        return plain

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "revision": self.revision,
            "change": self.change,
            "event_at": utc_text(self.event_ms),
            "recorded_at": utc_text(self.recorded_at_ms),
            "sha256": self.sha256,
            "intact": hashlib.sha256(self.body).hexdigest() == self.sha256,
            "lead": self.content,
        }


@dataclass(frozen=True, slots=True)
class DeskPart:
    """`findings` are those of the lead's detector on its nights and meters, `beside` what others said of the same."""

    revision: LeadRevision
    findings: dict[tuple[dt.date, str], NightFinding]
    beside: list[NightFinding]


def read_lead(state_dir: Path, lead_id: str) -> DeskPart | None:
    """The lead as it stands, None where there is none. Raises FileNotFoundError without a desk."""
    engine = read_desk(state_dir)
    try:
        with engine.begin() as connection:
            row = connection.execute(
                sa.select(LEAD_REVISIONS)
                .where(LEAD_REVISIONS.c.lead_id == lead_id)
                .order_by(LEAD_REVISIONS.c.revision.desc())
                .limit(1)
            ).one_or_none()
            if row is None:
                return None
            found = LeadRevision(
                row.revision, row.change, row.event_ms, row.recorded_at_ms, bytes(row.body), row.sha256
            )
            content = found.content
            nights = sorted({entry["night"] for entry in content["nights"]})
            query = (
                sa.select(FINDINGS.c.body)
                .where(FINDINGS.c.meter.in_(content["meters"]), FINDINGS.c.night.in_(nights))
                .order_by(FINDINGS.c.night, FINDINGS.c.meter, FINDINGS.c.detector)
            )
            items = [_DECODER.decode(body) for (body,) in connection.execute(query)]
    finally:
        engine.dispose()
    mine = {(i.finding.night, i.finding.meter): i for i in items if i.finding.detector == content["kind"]}
    return DeskPart(found, mine, [item for item in items if item.finding.detector != content["kind"]])


def imported_register(state_dir: Path, version: str) -> RegisterRows | None:
    """The newest register of the desk, if it is of that version."""
    engine = read_desk(state_dir)
    try:
        with engine.begin() as connection:
            newest = newest_register(connection)
    finally:
        engine.dispose()
    return newest[1] if newest is not None and newest[0] == version else None
