"""Tables of the desk. Every change here needs a migration; a test compares the two.

Times that end in `_ms` are Unix milliseconds, UTC. A `body` is canonical JSON and stands beside its SHA-256 (rule S4).
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

METADATA: Final = sa.MetaData()

BIG: Final = sa.BigInteger().with_variant(sa.INTEGER(), "sqlite")
REAL: Final[sa.types.TypeEngine[float]] = sa.Double().with_variant(sa.REAL(), "sqlite")
BYTES: Final = sa.LargeBinary()

REGISTERS: Final = sa.Table(
    "registers",
    METADATA,
    sa.Column("version", sa.Text, primary_key=True, nullable=False),
    sa.Column("imported_at_ms", BIG, nullable=False),
    sa.Column("body", BYTES, nullable=False),
    sqlite_strict=True,
)
"""The register as imported, one row a version."""

CURSORS: Final = sa.Table(
    "cursors",
    METADATA,
    sa.Column("name", sa.Text, primary_key=True, nullable=False),
    sa.Column("value", BIG, nullable=False),
    sqlite_strict=True,
)
"""How far each part has read the journal."""

CLOSED_NIGHTS: Final = sa.Table(
    "closed_nights",
    METADATA,
    sa.Column("feed", sa.Text, primary_key=True, nullable=False),
    sa.Column("night", sa.Text, nullable=False),
    sa.CheckConstraint("length(night) = 10", name="closed_night_is_a_date"),
    sqlite_strict=True,
)
"""Per feed the last night that was judged as closed."""

FINDINGS: Final = sa.Table(
    "findings",
    METADATA,
    sa.Column("night", sa.Text, primary_key=True, nullable=False),
    sa.Column("meter", sa.Text, primary_key=True, nullable=False),
    sa.Column("detector", sa.Text, primary_key=True, nullable=False),
    sa.Column("site", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("score", REAL, nullable=False),
    sa.Column("body", BYTES, nullable=False),
    sa.Column("sha256", sa.Text, nullable=False),
    sa.CheckConstraint("length(night) = 10", name="finding_night_is_a_date"),
    sa.CheckConstraint("score >= 0 AND score <= 1", name="finding_score_in_range"),
    sa.Index("findings_by_site", "detector", "site", "night"),
    sqlite_strict=True,
)
"""What detectors said of a meter and night; replaced when the night is judged again."""

LEADS: Final = sa.Table(
    "leads",
    METADATA,
    sa.Column("id", sa.Text, primary_key=True, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("month", sa.Text, nullable=False),
    sa.Column("revision", BIG, nullable=False),
    sa.Column("standing", sa.Text, nullable=False),
    sa.Column("handling", sa.Text, nullable=False, server_default="open"),
    sa.Column("handled_by", sa.Text),
    sa.Column("handled_reason", sa.Text),
    sa.Column("handled_at_ms", BIG),
    sa.Column("content_sha256", sa.Text, nullable=False),
    sa.Column("last_night", sa.Text, nullable=False),
    sa.Column("score", REAL, nullable=False),
    sa.Column("raised_at_ms", BIG, nullable=False),
    sa.Column("revised_at_ms", BIG, nullable=False),
    sa.UniqueConstraint("kind", "subject", "month", name="one_lead_a_subject_and_month"),
    sa.CheckConstraint("revision >= 1", name="lead_revision_counts_from_one"),
    sa.CheckConstraint("standing IN ('raised', 'withdrawn')", name="lead_standing_known"),
    sa.CheckConstraint(
        "handling IN ('open', 'claimed', 'dismissed', 'escalated', 'stale')", name="lead_handling_known"
    ),
    sa.CheckConstraint("score >= 0 AND score <= 1", name="lead_score_in_range"),
    sa.CheckConstraint("length(month) = 7", name="lead_month_is_a_month"),
    sa.Index("leads_newest_first", "last_night", "score", "id"),
    sqlite_strict=True,
)
"""One row a lead. `standing` is what the machine says, `handling` what people did: neither overwrites the other."""

LEAD_REVISIONS: Final = sa.Table(
    "lead_revisions",
    METADATA,
    sa.Column("lead_id", sa.Text, sa.ForeignKey("leads.id"), primary_key=True, nullable=False),
    sa.Column("revision", BIG, primary_key=True, nullable=False),
    sa.Column("change", sa.Text, nullable=False),
    sa.Column("event_ms", BIG, nullable=False),
    sa.Column("recorded_at_ms", BIG, nullable=False),
    sa.Column("body", BYTES, nullable=False),
    sa.Column("sha256", sa.Text, nullable=False),
    sa.CheckConstraint("change IN ('raised', 'amended', 'withdrawn', 'reopened')", name="revision_change_known"),
    sqlite_strict=True,
)
"""The trail of a lead: what it said at each change, never rewritten."""

OUTBOX: Final = sa.Table(
    "outbox",
    METADATA,
    sa.Column("seq", BIG, primary_key=True, nullable=False),
    sa.Column("sink", sa.Text, nullable=False),
    sa.Column("idempotency_key", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("event_type", sa.Text, nullable=False),
    sa.Column("body", BYTES, nullable=False),
    sa.Column("sha256", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False, server_default="pending"),
    sa.Column("attempts", BIG, nullable=False, server_default="0"),
    sa.Column("note", sa.Text, nullable=False, server_default=""),
    sa.Column("created_at_ms", BIG, nullable=False),
    sa.Column("sent_at_ms", BIG),
    sa.UniqueConstraint("sink", "idempotency_key", name="one_notice_a_sink_and_key"),
    sa.CheckConstraint(
        "state IN ('pending', 'sending', 'sent', 'needs_person', 'abandoned')", name="outbox_state_known"
    ),
    sa.CheckConstraint("attempts >= 0", name="outbox_attempts_count"),
    sa.CheckConstraint("(state = 'sent') = (sent_at_ms IS NOT NULL)", name="outbox_sent_has_a_time"),
    sa.Index(
        "outbox_waiting",
        "sink",
        "subject",
        "seq",
        sqlite_where=sa.text("state IN ('pending', 'sending', 'needs_person')"),
        postgresql_where=sa.text("state IN ('pending', 'sending', 'needs_person')"),
    ),
    sa.Index("outbox_by_subject", "subject", "seq"),
    sqlite_strict=True,
    sqlite_autoincrement=True,
)
"""What is to be told to whom: body bytes and key are fixed for ever (rule D8). `abandoned` is set by a person only."""

AUDIT_LOG: Final = sa.Table(
    "audit_log",
    METADATA,
    sa.Column("seq", BIG, primary_key=True, nullable=False),
    sa.Column("at_ms", BIG, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("details", BYTES, nullable=False),
    sa.Column("previous", sa.Text, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.CheckConstraint("seq >= 1", name="audit_counts_from_one"),
    sa.Index("audit_by_subject", "subject", "seq"),
    sqlite_strict=True,
)
"""What people and the program did, each row chained to the one before by its digest (rule L3). Append-only."""

for _name, _change in (("audit_log_is_never_changed", "UPDATE"), ("audit_log_is_never_shortened", "DELETE")):
    sa.event.listen(
        AUDIT_LOG,
        "after_create",
        sa.DDL(  # type: ignore[no-untyped-call]
            f"CREATE TRIGGER {_name} BEFORE {_change} ON audit_log "
            "BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"
        ).execute_if(dialect="sqlite"),
    )

SILENCES: Final = sa.Table(
    "silences",
    METADATA,
    sa.Column("id", BIG, primary_key=True, nullable=False),
    sa.Column("scope", sa.Text, nullable=False),
    sa.Column("target", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("until", sa.Text, nullable=False),
    sa.Column("until_ms", BIG, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("requested_by", sa.Text, nullable=False),
    sa.Column("approved_by", sa.Text, nullable=False),
    sa.Column("made_at_ms", BIG, nullable=False),
    sa.Column("ended_at_ms", BIG),
    sa.Column("ended_by", sa.Text),
    sa.Column("ended_reason", sa.Text),
    sa.CheckConstraint("scope IN ('lead', 'site', 'meter', 'enterprise')", name="silence_scope_known"),
    sa.CheckConstraint("length(until) = 10", name="silence_until_is_a_date"),
    sa.CheckConstraint("until_ms > made_at_ms", name="silence_ends_after_it_began"),
    sa.CheckConstraint("requested_by <> approved_by", name="silence_takes_two_persons"),
    sa.CheckConstraint("(ended_at_ms IS NULL) = (ended_by IS NULL)", name="silence_ended_by_somebody"),
    sa.Index(
        "silences_not_ended",
        "id",
        sqlite_where=sa.text("ended_at_ms IS NULL"),
        postgresql_where=sa.text("ended_at_ms IS NULL"),
    ),
    sqlite_strict=True,
    sqlite_autoincrement=True,
)
"""Whose notices are held back, why, and until when: `until_ms` is the end of the local day `until`, exclusive."""

HELD_NOTICES: Final = sa.Table(
    "held_notices",
    METADATA,
    sa.Column("lead_id", sa.Text, sa.ForeignKey("leads.id"), primary_key=True, nullable=False),
    sa.Column("revision", BIG, primary_key=True, nullable=False),
    sa.Column("silence", BIG, sa.ForeignKey("silences.id"), nullable=False),
    sa.Column("held_at_ms", BIG, nullable=False),
    sa.Column("settled_at_ms", BIG),
    sa.Index(
        "held_notices_waiting",
        "lead_id",
        sqlite_where=sa.text("settled_at_ms IS NULL"),
        postgresql_where=sa.text("settled_at_ms IS NULL"),
    ),
    sqlite_strict=True,
)
"""Revisions nobody was told of because of a silence; settled once receivers know what stands."""

QUARANTINE_RETRIES: Final = sa.Table(
    "quarantine_retries",
    METADATA,
    sa.Column("entry", BIG, primary_key=True, nullable=False),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Column("seq", BIG),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("at_ms", BIG, nullable=False),
    sa.CheckConstraint("outcome IN ('accepted', 'refused')", name="retry_outcome_known"),
    sa.CheckConstraint("(outcome = 'accepted') = (seq IS NOT NULL)", name="retry_accepted_names_its_record"),
    sqlite_strict=True,
)
"""What the last retry of a quarantine entry came to; `seq` is the journal record that took it in. Derived from it."""

REPORTS: Final = sa.Table(
    "reports",
    METADATA,
    sa.Column("id", BIG, primary_key=True, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("rev", BIG, nullable=False),
    sa.Column("content", sa.Text, nullable=False),
    sa.Column("first_day", sa.Text, nullable=False),
    sa.Column("last_day", sa.Text, nullable=False),
    sa.Column("seq", BIG, nullable=False),
    sa.Column("received_ms", BIG, nullable=False),
    sa.Column("body", BYTES, nullable=False),
    sa.Column("sha256", sa.Text, nullable=False),
    sa.UniqueConstraint("kind", "key", "rev", "content", name="one_report_a_statement"),
    sa.CheckConstraint("kind IN ('output', 'heat')", name="report_kind_known"),
    sa.CheckConstraint("rev >= 0", name="report_revision_counts"),
    sa.CheckConstraint("length(first_day) = 10 AND length(last_day) = 10", name="report_days_are_dates"),
    sa.Index("reports_by_subject", "kind", "subject", "last_day"),
    sqlite_strict=True,
    sqlite_autoincrement=True,
)
"""Output and heats as stated, every statement once: `content` is the digest of what it says, whoever said it. Derived
from the journal, of which `seq` is the record. `subject` is the enterprise, site, line or furnace, the days are local;
rows with one key and revision and several contents contradict each other."""

FLAGS: Final = sa.Table(
    "flags",
    METADATA,
    sa.Column("id", sa.Text, primary_key=True, nullable=False),
    sa.Column("uscc", sa.Text, nullable=False),
    sa.Column("period", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("revision", BIG, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("content_sha256", sa.Text, nullable=False),
    sa.Column("inputs_sha256", sa.Text, nullable=False),
    sa.Column("law_digest", sa.Text, nullable=False),
    sa.Column("law_version", sa.Text, nullable=False),
    sa.Column("register", sa.Text, nullable=False),
    sa.Column("revised_at_ms", BIG, nullable=False),
    sa.Column("uses", BYTES, nullable=False),
    sa.UniqueConstraint("uscc", "period", "subject", name="one_flag_an_enterprise_and_period"),
    sa.CheckConstraint("revision >= 1", name="flag_revision_counts_from_one"),
    sa.CheckConstraint(
        "status IN ('flag', 'clear', 'undetermined', 'needs_data', 'needs_review')", name="flag_status_known"
    ),
    sa.CheckConstraint("subject IN ('power', 'water')", name="flag_subject_known"),
    sa.CheckConstraint("length(period) IN (4, 7)", name="flag_period_is_a_month_or_a_year"),
    sa.Index("flags_by_period", "period", "uscc", "subject"),
    sqlite_strict=True,
)
"""The tariff consequence of an enterprise and period as it stands; digests say what it was last judged with."""

FLAG_REVISIONS: Final = sa.Table(
    "flag_revisions",
    METADATA,
    sa.Column("flag_id", sa.Text, sa.ForeignKey("flags.id"), primary_key=True, nullable=False),
    sa.Column("revision", BIG, primary_key=True, nullable=False),
    sa.Column("cause", sa.Text, nullable=False),
    sa.Column("recorded_at_ms", BIG, nullable=False),
    sa.Column("inputs_sha256", sa.Text, nullable=False),
    sa.Column("law_digest", sa.Text, nullable=False),
    sa.Column("law_version", sa.Text, nullable=False),
    sa.Column("register", sa.Text, nullable=False),
    sa.Column("body", BYTES, nullable=False),
    sa.Column("sha256", sa.Text, nullable=False),
    sa.CheckConstraint("cause IN ('first', 'data', 'law', 'data_and_law')", name="flag_cause_known"),
    sqlite_strict=True,
)
"""The trail of a flag: what it said at each change and what it was judged with, never rewritten."""

INTENSITY_VERDICTS: Final = sa.Table(
    "intensity_verdicts",
    METADATA,
    sa.Column("uscc", sa.Text, primary_key=True, nullable=False),
    sa.Column("period", sa.Text, primary_key=True, nullable=False),
    sa.Column("product", sa.Text, primary_key=True, nullable=False),
    sa.Column("metric", sa.Text, primary_key=True, nullable=False),
    sa.Column("revision", BIG, primary_key=True, nullable=False),
    sa.Column("latest", BIG, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("result", sa.Text, nullable=False),
    sa.Column("cause", sa.Text, nullable=False),
    sa.Column("inputs_sha256", sa.Text, nullable=False),
    sa.Column("law_digest", sa.Text, nullable=False),
    sa.Column("law_version", sa.Text, nullable=False),
    sa.Column("register", sa.Text, nullable=False),
    sa.Column("recorded_at_ms", BIG, nullable=False),
    sa.Column("body", BYTES, nullable=False),
    sa.Column("sha256", sa.Text, nullable=False),
    sa.CheckConstraint("revision >= 1", name="intensity_revision_counts_from_one"),
    sa.CheckConstraint(
        "status IN ('meets', 'exceeds', 'undetermined', 'needs_data', 'needs_review')", name="intensity_status_known"
    ),
    sa.CheckConstraint("cause IN ('first', 'data', 'law', 'register', 'several')", name="intensity_cause_known"),
    sa.CheckConstraint("latest IN (0, 1)", name="intensity_latest_is_a_flag"),
    sa.Index(
        "intensity_latest",
        "period",
        "status",
        "uscc",
        sqlite_where=sa.text("latest = 1"),
        postgresql_where=sa.text("latest = 1"),
    ),
    sqlite_strict=True,
)
"""What was said of an enterprise's product, metric and period, a row a revision, never rewritten but for `latest`: 1 on
the one that stands. Digests name account, packs and register it was judged with; `cause` which of them moved."""

INTENSITY_FORECASTS: Final = sa.Table(
    "intensity_forecasts",
    METADATA,
    sa.Column("uscc", sa.Text, primary_key=True, nullable=False),
    sa.Column("period", sa.Text, primary_key=True, nullable=False),
    sa.Column("product", sa.Text, primary_key=True, nullable=False),
    sa.Column("metric", sa.Text, primary_key=True, nullable=False),
    sa.Column("as_of", sa.Text, nullable=False),
    sa.Column("body", BYTES, nullable=False),
    sa.Column("sha256", sa.Text, nullable=False),
    sa.CheckConstraint("length(as_of) = 10", name="forecast_as_of_is_a_date"),
    sqlite_strict=True,
)
"""The newest forecast of a period that runs; gone once the period is judged."""

OUTPUT_RATIOS: Final = sa.Table(
    "output_ratios",
    METADATA,
    sa.Column("uscc", sa.Text, primary_key=True, nullable=False),
    sa.Column("period", sa.Text, primary_key=True, nullable=False),
    sa.Column("product", sa.Text, primary_key=True, nullable=False),
    sa.Column("trade", sa.Text, nullable=False),
    sa.Column("kwh_per_t", REAL),
    sa.Column("body", BYTES, nullable=False),
    sa.Column("sha256", sa.Text, nullable=False),
    sa.Index("ratios_of_peers", "period", "product", "trade"),
    sqlite_strict=True,
)
"""Electricity per declared tonne, to be compared among peers; product "" holds what an enterprise's own figures say
against each other. Replaced when its period is judged again."""

KEPT_ACCOUNTS: Final = sa.Table(
    "kept_accounts",
    METADATA,
    sa.Column("uscc", sa.Text, primary_key=True, nullable=False),
    sa.Column("period", sa.Text, primary_key=True, nullable=False),
    sa.Column("register", sa.Text, nullable=False),
    sa.Column("body", BYTES, nullable=False),
    sa.Column("sha256", sa.Text, nullable=False),
    sqlite_strict=True,
)
"""Accounts that verdicts rest on, as of a register; a row is gone as soon as its period has new data. Derived: what is
not here is read from reports and registers again."""
