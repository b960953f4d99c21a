"""Tariff flags and their trail."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0004"
down_revision: Final = "0003"

BIG: Final = sa.BigInteger().with_variant(sa.INTEGER(), "sqlite")
_STATUSES: Final = "'flag', 'clear', 'undetermined', 'needs_data', 'needs_review'"


def upgrade() -> None:
    """Add two tables; nothing that was there changes."""
    op.create_table(
        "flags",
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
        sa.Column("uses", sa.LargeBinary(), nullable=False),
        sa.UniqueConstraint("uscc", "period", "subject", name="one_flag_an_enterprise_and_period"),
        sa.CheckConstraint("revision >= 1", name="flag_revision_counts_from_one"),
        sa.CheckConstraint(f"status IN ({_STATUSES})", name="flag_status_known"),
        sa.CheckConstraint("subject IN ('power', 'water')", name="flag_subject_known"),
        sa.CheckConstraint("length(period) IN (4, 7)", name="flag_period_is_a_month_or_a_year"),
        sqlite_strict=True,
    )
    op.create_index("flags_by_period", "flags", ["period", "uscc", "subject"])
    op.create_table(
        "flag_revisions",
        sa.Column("flag_id", sa.Text, sa.ForeignKey("flags.id"), primary_key=True, nullable=False),
        sa.Column("revision", BIG, primary_key=True, nullable=False),
        sa.Column("cause", sa.Text, nullable=False),
        sa.Column("recorded_at_ms", BIG, nullable=False),
        sa.Column("inputs_sha256", sa.Text, nullable=False),
        sa.Column("law_digest", sa.Text, nullable=False),
        sa.Column("law_version", sa.Text, nullable=False),
        sa.Column("register", sa.Text, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.CheckConstraint("cause IN ('first', 'data', 'law', 'data_and_law')", name="flag_cause_known"),
        sqlite_strict=True,
    )
