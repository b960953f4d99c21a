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
