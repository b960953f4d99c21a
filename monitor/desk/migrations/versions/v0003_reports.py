"""What plants report of their production."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0003"
down_revision: Final = "0002"

BIG: Final = sa.BigInteger().with_variant(sa.INTEGER(), "sqlite")


def upgrade() -> None:
    """Add a table; nothing that was there changes."""
    op.create_table(
        "reports",
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
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.UniqueConstraint("kind", "key", "rev", "content", name="one_report_a_statement"),
        sa.CheckConstraint("kind IN ('output', 'heat')", name="report_kind_known"),
        sa.CheckConstraint("rev >= 0", name="report_revision_counts"),
        sa.CheckConstraint("length(first_day) = 10 AND length(last_day) = 10", name="report_days_are_dates"),
        sqlite_strict=True,
        sqlite_autoincrement=True,
    )
    op.create_index("reports_by_subject", "reports", ["kind", "subject", "last_day"])
