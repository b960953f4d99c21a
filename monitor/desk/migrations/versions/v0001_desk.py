"""The desk as first released."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0001"
down_revision: Final = None

BIG: Final = sa.BigInteger().with_variant(sa.INTEGER(), "sqlite")
REAL: Final[sa.types.TypeEngine[float]] = sa.Double().with_variant(sa.REAL(), "sqlite")
BYTES: Final = sa.LargeBinary()
_WAITING: Final = "state IN ('pending', 'sending', 'needs_person')"


def upgrade() -> None:
    """Create every table."""
    op.create_table(
        "registers",
        sa.Column("version", sa.Text, primary_key=True, nullable=False),
        sa.Column("imported_at_ms", BIG, nullable=False),
        sa.Column("body", BYTES, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "cursors",
        sa.Column("name", sa.Text, primary_key=True, nullable=False),
        sa.Column("value", BIG, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "closed_nights",
        sa.Column("feed", sa.Text, primary_key=True, nullable=False),
        sa.Column("night", sa.Text, nullable=False),
        sa.CheckConstraint("length(night) = 10", name="closed_night_is_a_date"),
        sqlite_strict=True,
    )
    op.create_table(
        "findings",
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
        sqlite_strict=True,
    )
    op.create_index("findings_by_site", "findings", ["detector", "site", "night"])
    op.create_table(
        "leads",
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
        sqlite_strict=True,
    )
    op.create_index("leads_newest_first", "leads", ["last_night", "score", "id"])
    op.create_table(
        "lead_revisions",
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
    op.create_table(
        "outbox",
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
        sqlite_strict=True,
        sqlite_autoincrement=True,
    )
    op.create_index(
        "outbox_waiting",
        "outbox",
        ["sink", "subject", "seq"],
        sqlite_where=sa.text(_WAITING),
        postgresql_where=sa.text(_WAITING),
    )
    op.create_index("outbox_by_subject", "outbox", ["subject", "seq"])
