"""Alembic's entry: runs the migrations on the connection `open_desk` has begun a transaction on."""

from __future__ import annotations

from alembic import context

from monitor.desk.schema import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA, transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
