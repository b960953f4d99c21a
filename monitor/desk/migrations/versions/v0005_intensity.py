"""Intensity verdicts with their trail, forecasts, and what output cross-checks compare."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0005"
down_revision: Final = "0004"

BIG: Final = sa.BigInteger().with_variant(sa.INTEGER(), "sqlite")
REAL: Final[sa.types.TypeEngine[float]] = sa.Double().with_variant(sa.REAL(), "sqlite")
_STATUSES: Final = "'meets', 'exceeds', 'undetermined', 'needs_data', 'needs_review'"


def upgrade() -> None:
    """Add three tables; nothing that was there changes."""
    op.create_table(
        "intensity_verdicts",
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
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.CheckConstraint("revision >= 1", name="intensity_revision_counts_from_one"),
        sa.CheckConstraint(f"status IN ({_STATUSES})", name="intensity_status_known"),
        sa.CheckConstraint("cause IN ('first', 'data', 'law', 'register', 'several')", name="intensity_cause_known"),
        sa.CheckConstraint("latest IN (0, 1)", name="intensity_latest_is_a_flag"),
        sqlite_strict=True,
    )
    op.create_index(
        "intensity_latest",
        "intensity_verdicts",
        ["period", "status", "uscc"],
        sqlite_where=sa.text("latest = 1"),
        postgresql_where=sa.text("latest = 1"),
    )
    op.create_table(
        "intensity_forecasts",
        sa.Column("uscc", sa.Text, primary_key=True, nullable=False),
        sa.Column("period", sa.Text, primary_key=True, nullable=False),
        sa.Column("product", sa.Text, primary_key=True, nullable=False),
        sa.Column("metric", sa.Text, primary_key=True, nullable=False),
        sa.Column("as_of", sa.Text, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.CheckConstraint("length(as_of) = 10", name="forecast_as_of_is_a_date"),
        sqlite_strict=True,
    )
    op.create_table(
        "output_ratios",
        sa.Column("uscc", sa.Text, primary_key=True, nullable=False),
        sa.Column("period", sa.Text, primary_key=True, nullable=False),
        sa.Column("product", sa.Text, primary_key=True, nullable=False),
        sa.Column("trade", sa.Text, nullable=False),
        sa.Column("kwh_per_t", REAL),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sqlite_strict=True,
    )
    op.create_index("ratios_of_peers", "output_ratios", ["period", "product", "trade"])
