"""What people do: the audit log, silences, notices held back by them, retries of the quarantine."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0002"
down_revision: Final = "0001"

BIG: Final = sa.BigInteger().with_variant(sa.INTEGER(), "sqlite")
BYTES: Final = sa.LargeBinary()
_HELD: Final = "settled_at_ms IS NULL"
_REFUSED: Final = "BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"
_APPEND_ONLY: Final = (
    f"CREATE TRIGGER audit_log_is_never_changed BEFORE UPDATE ON audit_log {_REFUSED}",
    f"CREATE TRIGGER audit_log_is_never_shortened BEFORE DELETE ON audit_log {_REFUSED}",
)


def upgrade() -> None:
    """Add four tables; nothing that was there changes."""
    op.create_table(
        "audit_log",
        sa.Column("seq", BIG, primary_key=True, nullable=False),
        sa.Column("at_ms", BIG, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("details", BYTES, nullable=False),
        sa.Column("previous", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.CheckConstraint("seq >= 1", name="audit_counts_from_one"),
        sqlite_strict=True,
    )
    op.create_index("audit_by_subject", "audit_log", ["subject", "seq"])
    if op.get_bind().dialect.name == "sqlite":
        for trigger in _APPEND_ONLY:
            op.execute(trigger)
    op.create_table(
        "silences",
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
        sqlite_strict=True,
        sqlite_autoincrement=True,
    )
    op.create_index(
        "silences_not_ended",
        "silences",
        ["id"],
        sqlite_where=sa.text("ended_at_ms IS NULL"),
        postgresql_where=sa.text("ended_at_ms IS NULL"),
    )
    op.create_table(
        "held_notices",
        sa.Column("lead_id", sa.Text, sa.ForeignKey("leads.id"), primary_key=True, nullable=False),
        sa.Column("revision", BIG, primary_key=True, nullable=False),
        sa.Column("silence", BIG, sa.ForeignKey("silences.id"), nullable=False),
        sa.Column("held_at_ms", BIG, nullable=False),
        sa.Column("settled_at_ms", BIG),
        sqlite_strict=True,
    )
    op.create_index(
        "held_notices_waiting",
        "held_notices",
        ["lead_id"],
        sqlite_where=sa.text(_HELD),
        postgresql_where=sa.text(_HELD),
    )
    op.create_table(
        "quarantine_retries",
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
