"""The desk: findings in, leads and notices out, one transaction a night's slice (rule D6)."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert as upsert

from models.domain.clock import Clock
from models.domain.findings import Status
from models.domain.leads import LeadKind, lead_id
from models.domain.nights import Night
from models.domain.register import Register
from monitor.desk.database import desk_transaction
from monitor.desk.events import ChangeKind
from monitor.desk.finding_rows import chunked, replace_findings, suspects_of
from monitor.desk.handling import mark_stale
from monitor.desk.held import due
from monitor.desk.lead_rows import STANDING_RAISED, lead_dict, utc_text
from monitor.desk.lead_writes import LeadChange, LeadWrites, Subject, statement_of, stored_statement
from monitor.desk.retries import accepted, mark_accepted, mark_refused
from monitor.desk.schema import CLOSED_NIGHTS, CURSORS, FINDINGS, LEAD_REVISIONS, LEADS
from monitor.desk.silences import Hush, expire
from monitor.fault_points import FaultPoint, hit
from monitor.journal.body import Retried
from monitor.leads import (
    LeadContent,
    LeadPolicy,
    NightFinding,
    derive_lead,
    month_bounds,
    months_touched,
    next_month,
    previous_month,
)

_JOURNAL_CURSOR: Final = "journal"
_SINK_CURSOR: Final = "sink:"
__all__ = ["Desk", "LeadChange"]

_KINDS: Final = frozenset(kind.value for kind in LeadKind)


class Desk:
    """What the core thread does with the desk. `sinks` are the names every lead change is to be told to."""

    def __init__(
        self,
        engine: sa.Engine,
        *,
        sinks: Sequence[str],
        policy: LeadPolicy,
        versions: Mapping[str, str],
        clock: Clock,
        district: str,
    ) -> None:
        self._engine = engine
        self._sinks = tuple(sinks)
        self._policy = policy
        self._versions = dict(versions)
        self._clock = clock
        self._district = district
        self.checkpoint: Callable[[], str] = str
        """The newest signed checkpoint in its short form, for notices; empty where none are written."""

    def commit_night(
        self,
        *,
        night: Night,
        judged: Sequence[str],
        detectors: Sequence[str],
        findings: Sequence[NightFinding],
        register: Register,
        closed: Mapping[str, dt.date] | None = None,
        cursor: int | None = None,
    ) -> list[LeadChange]:
        """Store what `detectors` found on the `judged` meters for `night`, and what follows for leads and notices.

        Replaces earlier findings of the same meters, night and detectors; derives every lead they bear on anew;
        writes a revision, and a notice a sink, only where a lead says something else than before. A finding without
        a site (its meter was not registered that night) is kept and makes no lead. All of it, with
        `closed` nights by feed and the journal `cursor`, is one transaction: it happens whole or not at all.
        Raises ValueError for findings outside of what was judged, or with numbers that are not finite.
        """
        with desk_transaction(self._engine) as connection:
            touched = replace_findings(connection, night.date, judged, detectors, findings)
            subjects = {
                (LeadKind(detector), site, month)
                for detector, site in touched
                if detector in _KINDS and site
                for month in months_touched(night.date, self._policy)
            }
            changes = self._derive(connection, subjects, register) if subjects else []
            for feed, date in (closed or {}).items():
                _set_closed(connection, feed, date)
            if cursor is not None:
                _set_cursor(connection, cursor)
            hit(FaultPoint.BEFORE_ALERT_COMMIT)
        hit(FaultPoint.AFTER_ALERT_COMMIT)
        return changes

    def set_closed(self, feed: str, night: dt.date) -> None:
        """Record that `night` was judged as closed for a feed; an earlier night than the recorded one is ignored."""
        with desk_transaction(self._engine) as connection:
            _set_closed(connection, feed, night)

    def closed_nights(self) -> dict[str, dt.date]:
        """Per feed the last night judged as closed."""
        with desk_transaction(self._engine) as connection:
            rows = connection.execute(sa.select(CLOSED_NIGHTS.c.feed, CLOSED_NIGHTS.c.night).order_by("feed"))
            return {feed: dt.date.fromisoformat(night) for feed, night in rows}

    def suspects_since(self, night: dt.date) -> dict[str, dt.date]:
        """Meters with suspect findings, of kinds that raise leads, from `night` on, each with its last such night."""
        query = (
            sa.select(FINDINGS.c.meter, sa.func.max(FINDINGS.c.night))
            .where(
                FINDINGS.c.night >= night.isoformat(),
                FINDINGS.c.detector.in_(_KINDS),
                FINDINGS.c.status == Status.SUSPECT.value,
            )
            .group_by(FINDINGS.c.meter)
        )
        with desk_transaction(self._engine) as connection:
            return {meter: dt.date.fromisoformat(last) for meter, last in connection.execute(query)}

    def journal_cursor(self) -> int:
        """The journal sequence up to which everything is judged; 0 at first."""
        with desk_transaction(self._engine) as connection:
            value = connection.scalar(sa.select(CURSORS.c.value).where(CURSORS.c.name == _JOURNAL_CURSOR))
        return int(value) if value is not None else 0

    def set_journal_cursor(self, seq: int) -> None:
        """Move the cursor."""
        with desk_transaction(self._engine) as connection:
            _set_cursor(connection, seq)

    def retried(self, entries: Sequence[int]) -> dict[int, int]:
        """Which of these quarantine entries were accepted since, and the journal record each went into."""
        with desk_transaction(self._engine) as connection:
            return accepted(connection, entries)

    def mark_retried(self, seq: int, retried: Sequence[Retried]) -> None:
        """Record that quarantine entries were taken in as record `seq`; doing so twice changes nothing."""
        with desk_transaction(self._engine) as connection:
            mark_accepted(connection, seq, retried, self._clock.wall_ms())

    def mark_refused_again(self, reasons: Mapping[int, str], by: str) -> None:
        """Record why quarantine entries were refused once more."""
        with desk_transaction(self._engine) as connection:
            mark_refused(connection, reasons, by, self._clock.wall_ms())

    def end_silences(self, limit: int = 100) -> int:
        """Record which silences ran out and tell what they held back, of up to `limit` leads; returns the notices."""
        now_ms = self._clock.wall_ms()
        with desk_transaction(self._engine) as connection:
            expire(connection, now_ms)
            writes = LeadWrites(self._district, self._sinks, now_ms, Hush.load(connection, now_ms), self.checkpoint())
            found = due(connection, self._sinks, now_ms, limit)
            for news in found:
                writes.tell((news.sink,), news.change, news.event_ms, news.lead)
            writes.flush(connection)
        return len(found)

    def mark_stale(self, after_days: int, limit: int = 100) -> int:
        """Mark up to `limit` open leads stale that were not touched for so many days; returns how many."""
        after_ms = after_days * 86_400_000
        with desk_transaction(self._engine) as connection:
            return len(mark_stale(connection, now_ms=self._clock.wall_ms(), after_ms=after_ms, limit=limit))

    def sink_cursor(self, sink: str) -> int:
        """The journal sequence up to which a sink of readings has everything; 0 at first."""
        with desk_transaction(self._engine) as connection:
            value = connection.scalar(sa.select(CURSORS.c.value).where(CURSORS.c.name == f"{_SINK_CURSOR}{sink}"))
        return int(value) if value is not None else 0

    def set_sink_cursor(self, sink: str, seq: int) -> None:
        """Move a sink's cursor."""
        with desk_transaction(self._engine) as connection:
            _set_cursor(connection, seq, f"{_SINK_CURSOR}{sink}")

    def final_leads(self) -> Iterator[dict[str, Any]]:
        """Every standing lead as it stands, by id.

        What depends on the path and not on the readings stays out: withdrawn leads, and how often a lead was
        revised. Receipt stamps are under `raised_at` and `revised_at` alone.
        """
        query = (
            sa.select(
                LEAD_REVISIONS.c.body,
                LEADS.c.standing,
                LEADS.c.handling,
                LEADS.c.raised_at_ms,
                LEADS.c.revised_at_ms,
            )
            .join_from(LEADS, LEAD_REVISIONS, _latest())
            .where(LEADS.c.standing == STANDING_RAISED)
            .order_by(LEADS.c.id)
        )
        with desk_transaction(self._engine) as connection:
            rows = connection.execute(query).all()
        for body, standing, handling, raised_at_ms, revised_at_ms in rows:
            yield {
                **lead_dict(body, standing=standing, handling=handling),
                "raised_at": utc_text(raised_at_ms),
                "revised_at": utc_text(revised_at_ms),
            }

    def _derive(self, connection: sa.Connection, subjects: set[Subject], register: Register) -> list[LeadChange]:
        known = _known_leads(connection, subjects)
        for kind, site, month in list(subjects):
            following = (kind, site, next_month(month))
            row = known.get(lead_id(*following))
            if row is not None and row.standing == STANDING_RAISED:
                subjects.add(following)
        suspects = self._suspects(connection, subjects)
        stands = {row.id: row.standing == STANDING_RAISED for row in known.values()}
        now_ms = self._clock.wall_ms()
        writes = LeadWrites(self._district, self._sinks, now_ms, Hush.load(connection, now_ms), self.checkpoint())
        changes: list[LeadChange] = []
        for subject in sorted(subjects):
            kind, site, month = subject
            content = derive_lead(
                kind, site, month, suspects.get((kind.value, site), ()), register, self._policy, self._versions
            )
            before = lead_id(kind, site, previous_month(month))
            if content is not None and stands.get(before, False):
                content = dataclasses.replace(content, previous=before)
            id_ = lead_id(*subject)
            stands[id_] = content is not None
            change = self._record(connection, writes, subject, known.get(id_), content)
            if change is not None:
                changes.append(change)
        writes.flush(connection)
        return changes

    def _suspects(self, connection: sa.Connection, subjects: set[Subject]) -> dict[tuple[str, str], list[NightFinding]]:
        months = sorted(month for _, _, month in subjects)
        reach = dt.timedelta(days=self._policy.hold_window_nights - 1)
        return suspects_of(
            connection,
            sorted({kind.value for kind, _, _ in subjects}),
            sorted({site for _, site, _ in subjects}),
            month_bounds(months[0])[0] - reach,
            month_bounds(months[-1])[1],
        )

    def _record(
        self,
        connection: sa.Connection,
        writes: LeadWrites,
        subject: Subject,
        row: sa.Row[Any] | None,
        content: LeadContent | None,
    ) -> LeadChange | None:
        stood = row is not None and row.standing == STANDING_RAISED
        if content is None:
            if row is None or not stood:
                return None
            return writes.add(subject, row, ChangeKind.WITHDRAWN, stored_statement(connection, row))
        says = statement_of(content)
        if row is None:
            return writes.add(subject, row, ChangeKind.RAISED, says)
        if not stood:
            return writes.add(subject, row, ChangeKind.REOPENED, says)
        if row.content_sha256 == says.content_sha256:
            return None
        return writes.add(subject, row, ChangeKind.AMENDED, says)


def _latest() -> sa.ColumnElement[bool]:
    return sa.and_(LEAD_REVISIONS.c.lead_id == LEADS.c.id, LEAD_REVISIONS.c.revision == LEADS.c.revision)


def _known_leads(connection: sa.Connection, subjects: set[Subject]) -> dict[str, sa.Row[Any]]:
    """Rows of the subjects' leads and of the months before and after."""
    ids = sorted(
        {
            lead_id(kind, site, near)
            for kind, site, month in subjects
            for near in (previous_month(month), month, next_month(month))
        }
    )
    found: dict[str, sa.Row[Any]] = {}
    for some in chunked(ids):
        found.update((row.id, row) for row in connection.execute(sa.select(LEADS).where(LEADS.c.id.in_(some))))
    return found


def _set_closed(connection: sa.Connection, feed: str, night: dt.date) -> None:
    statement = upsert(CLOSED_NIGHTS).values(feed=feed, night=night.isoformat())
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=[CLOSED_NIGHTS.c.feed],
            set_={"night": statement.excluded.night},
            where=CLOSED_NIGHTS.c.night < statement.excluded.night,
        )
    )


def _set_cursor(connection: sa.Connection, seq: int, name: str = _JOURNAL_CURSOR) -> None:
    statement = upsert(CURSORS).values(name=name, value=seq)
    connection.execute(
        statement.on_conflict_do_update(index_elements=[CURSORS.c.name], set_={"value": statement.excluded.value})
    )
