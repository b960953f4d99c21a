"""The desk row by row: digests of what is kept, what belongs together, and what checkpoints signed (rules S4, L3)."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec
import sqlalchemy as sa

from monitor.audit.checkpoint import Checkpoint, RowsDigest, Short, TableDigest, rows_sha256
from monitor.audit.faults import StateReport
from monitor.audit.keeper import APPENDED, appended_rows
from monitor.audit.tables import desk_tables, table_digest
from monitor.desk.audit_log import GENESIS, AuditHead
from monitor.desk.audit_log import verify as verify_log
from monitor.desk.database import DESK_FILE
from monitor.desk.lead_rows import STANDING_RAISED, STANDING_WITHDRAWN
from monitor.desk.registers import stored_register_fault
from monitor.desk.schema import FINDINGS, FLAG_REVISIONS, FLAGS, LEAD_REVISIONS, LEADS, OUTBOX, REGISTERS
from monitor.leads import NightFinding, verdict_sha256

_TABLE_OF = {"revisions": "lead_revisions", "outbox": "outbox"}
_FINDING = msgspec.json.Decoder(NightFinding)


class _Carrier(msgspec.Struct, frozen=True):
    """What is wanted of a notice here."""

    checkpoint: str = ""


class DeskWalk:
    """Compares the desk with checkpoints one after the other, then with itself."""

    def __init__(self, engine: sa.Engine, report: StateReport) -> None:
        self._engine = engine
        self._report = report
        self._last: Checkpoint | None = None

    def advance(self, checkpoint: Checkpoint) -> None:
        """Rows that were appended up to a checkpoint are still those it signed."""
        self._last = checkpoint
        for name in APPENDED:
            part: RowsDigest = getattr(checkpoint.body, name)
            if part.count == 0:
                continue
            with self._engine.begin() as connection:
                rows = appended_rows(connection, name, part.after, limit=part.count + 1)
            rows = [row for row in rows if row[0] <= part.upto]
            if len(rows) != part.count or rows_sha256(rows) != part.sha256:
                self._report.fault(
                    DESK_FILE,
                    f"{_TABLE_OF[name]} rows {part.after + 1} to {part.upto}",
                    f"are not the {part.count} that checkpoint {checkpoint.body.n} signed ({len(rows)} there): "
                    "changed, added or deleted",
                )

    def carried(self) -> list[Short]:
        """The checkpoints that notices carry, whether sent or not."""
        carried: dict[str, Short] = {}
        with self._engine.begin() as connection:
            for (body,) in connection.execute(sa.select(OUTBOX.c.body).order_by(OUTBOX.c.seq)):
                with contextlib.suppress(ValueError, msgspec.MsgspecError):
                    text = msgspec.json.decode(body, type=_Carrier).checkpoint
                    short = Short.parse(text)
                    carried[short.body_sha256] = short
        return list(carried.values())

    def finish(self) -> None:
        """Check the desk in itself."""
        with self._engine.begin() as connection:
            for (verdict,) in connection.exec_driver_sql("PRAGMA integrity_check(20)"):
                if verdict != "ok":
                    self._report.fault(DESK_FILE, "", f"SQLite finds: {verdict}")
            for row in connection.exec_driver_sql("PRAGMA foreign_key_check"):
                self._report.fault(DESK_FILE, f"{row[0]} row {row[1]}", f"names a row of {row[2]} that is not there")
            self._check_findings(connection)
            self._check_leads(connection)
            self._check_flags(connection)
            self._check_registers(connection)
            self._check_outbox(connection)
            self._check_tables(connection)
        self._check_log()

    def _check_findings(self, connection: sa.Connection) -> None:
        for row in connection.execute(sa.select(FINDINGS)):
            name = f"findings {row.night} {row.meter} {row.detector}"
            if hashlib.sha256(row.body).hexdigest() != row.sha256:
                self._report.fault(DESK_FILE, name, "does not fit its digest: changed")
                continue
            item = _FINDING.decode(row.body)
            finding = item.finding
            said = (finding.night.isoformat(), finding.meter, finding.detector, item.site, finding.status.value)
            if said != (row.night, row.meter, row.detector, row.site, row.status) or finding.score != row.score:
                self._report.fault(DESK_FILE, name, "its columns are not what its body says: changed")
            self._report.counted("findings", 1)

    def _check_leads(self, connection: sa.Connection) -> None:
        leads = {row.id: row for row in connection.execute(sa.select(LEADS))}
        latest: dict[str, sa.Row[Any]] = {}
        query = sa.select(LEAD_REVISIONS).order_by(LEAD_REVISIONS.c.lead_id, LEAD_REVISIONS.c.revision)
        for row in connection.execute(query):
            name = f"lead_revisions {row.lead_id} revision {row.revision}"
            before = latest.get(row.lead_id)
            if row.revision != (before.revision + 1 if before is not None else 1):
                self._report.fault(DESK_FILE, name, "the revision before it is missing")
            if hashlib.sha256(row.body).hexdigest() != row.sha256:
                self._report.fault(DESK_FILE, name, "does not fit its digest: changed")
            latest[row.lead_id] = row
            self._report.counted("lead revisions", 1)
        for id_, lead in leads.items():
            newest = latest.get(id_)
            if newest is None:
                self._report.fault(DESK_FILE, f"leads {id_}", "has no revision")
            elif hashlib.sha256(newest.body).hexdigest() == newest.sha256:
                self._check_lead(lead, newest)

    def _check_lead(self, lead: sa.Row[Any], latest: sa.Row[Any]) -> None:
        content = msgspec.json.decode(latest.body)
        standing = STANDING_WITHDRAWN if latest.change == "withdrawn" else STANDING_RAISED
        said = {
            "id": content["id"],
            "kind": content["kind"],
            "subject": content["site"]["id"],
            "month": content["month"],
            "revision": latest.revision,
            "standing": standing,
            "content_sha256": verdict_sha256(content),
            "last_night": content["last_night"],
            "score": content["score"],
            "revised_at_ms": latest.recorded_at_ms,
        }
        wrong = [name for name, value in said.items() if getattr(lead, name) != value]
        if wrong:
            self._report.fault(
                DESK_FILE, f"leads {lead.id}", f"{', '.join(wrong)} not as its last revision says: changed"
            )

    def _check_flags(self, connection: sa.Connection) -> None:
        heads = {row.id: (row.revision, row.content_sha256) for row in connection.execute(sa.select(FLAGS))}
        query = sa.select(FLAG_REVISIONS).order_by(FLAG_REVISIONS.c.flag_id, FLAG_REVISIONS.c.revision)
        latest: dict[str, tuple[int, str]] = {}
        for row in connection.execute(query):
            name = f"flag_revisions {row.flag_id} revision {row.revision}"
            if row.revision != latest.get(row.flag_id, (0, ""))[0] + 1:
                self._report.fault(DESK_FILE, name, "the revision before it is missing")
            if hashlib.sha256(row.body).hexdigest() != row.sha256:
                self._report.fault(DESK_FILE, name, "does not fit its digest: changed")
            latest[row.flag_id] = (row.revision, row.sha256)
            self._report.counted("flag revisions", 1)
        for id_, head in heads.items():
            if latest.get(id_) != head:
                self._report.fault(DESK_FILE, f"flags {id_}", "is not what its last revision says: changed")

    def _check_outbox(self, connection: sa.Connection) -> None:
        for row in connection.execute(sa.select(OUTBOX).order_by(OUTBOX.c.seq)):
            if hashlib.sha256(row.body).hexdigest() != row.sha256:
                self._report.fault(DESK_FILE, f"outbox {row.seq}", "does not fit its digest: changed")
                continue
            event = msgspec.json.decode(row.body)
            if event["id"] != row.idempotency_key or event["subject"] != row.subject or event["type"] != row.event_type:
                self._report.fault(DESK_FILE, f"outbox {row.seq}", "its columns are not what its body says: changed")
            self._report.counted("notices", 1)

    def _check_registers(self, connection: sa.Connection) -> None:
        for version, body in connection.execute(sa.select(REGISTERS.c.version, REGISTERS.c.body)):
            problem = stored_register_fault(version, body)
            if problem is not None:
                self._report.fault(DESK_FILE, f"registers {version[:16]}", problem)
            self._report.counted("registers", 1)

    def _check_log(self) -> None:
        noted = None
        if self._last is not None and self._last.body.audit[0]:
            seq, digest = self._last.body.audit
            noted = AuditHead(seq, seq, digest or GENESIS)
        verdict = verify_log(self._engine, noted=noted)
        for fault in verdict.faults:
            self._report.fault(DESK_FILE, f"audit_log entry {fault.seq}", fault.what)
        self._report.counted("audit entries", verdict.head.count)

    def _check_tables(self, connection: sa.Connection) -> None:
        """After an orderly stop, every table must be as it was, but for what people did since and is recorded."""
        last = self._last
        if last is None or not last.body.tables:
            return
        there = set(desk_tables(connection))
        for name, wanted in of_store(last.body.tables, "desk").items():
            found = table_digest(connection, name, _always) if name in there else TableDigest(0, "")
            if found is None or (found.rows, found.digest) == (wanted.rows, wanted.digest):
                continue
            if _acted_since(connection, last):
                self._report.notes.append(f"{DESK_FILE} {name}: changed by acts that were recorded after the last stop")
            else:
                self._report.fault(
                    DESK_FILE,
                    f"table {name}",
                    f"is not as at the last stop (checkpoint {last.body.n}): {wanted.rows} rows then, {found.rows} now",
                )


def of_store(tables: Mapping[str, TableDigest], store: str) -> dict[str, TableDigest]:
    """The tables of `desk` or `history`, by their own names."""
    return {name.removeprefix(f"{store}."): table for name, table in tables.items() if name.startswith(f"{store}.")}


def _acted_since(connection: sa.Connection, last: Checkpoint) -> bool:
    """Whether somebody did something while the daemon was stopped: in the audit log, or by importing a register."""
    from monitor.audit.keeper import audit_head

    imported = connection.scalar(sa.select(sa.func.max(REGISTERS.c.imported_at_ms))) or 0
    return audit_head(connection)[0] > last.body.audit[0] or imported > last.body.at_ms


def _always() -> bool:
    return True
