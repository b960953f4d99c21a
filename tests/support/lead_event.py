"""The event of one lead, as the outbox holds it."""

from __future__ import annotations

import functools
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import sqlalchemy as sa

from monitor.desk.database import open_desk
from monitor.desk.schema import OUTBOX
from tests.support.desk_parts import commit, desk_on, finding

LEAD_ID: Final = "Lb60d8c87f1e62797d2fb"


@functools.cache
def lead_event() -> bytes:
    """Body of the notice of a furnace lead of two nights."""
    with TemporaryDirectory() as folder:
        engine = open_desk(Path(folder))
        desk = desk_on(engine, sinks=("file",))
        for offset in range(2):
            commit(desk, offset, finding(offset))
        with engine.begin() as connection:
            body = connection.execute(sa.select(OUTBOX.c.body)).scalar_one()
        engine.dispose()
    return bytes(body)
