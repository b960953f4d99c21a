"""Messages of output and heats that were only kept when they came: taken in once, after the part that reads them came.

They are committed again, as messages of the format they have now, so that what cannot be taken stands in quarantine
and what can has its record. Taking one in twice changes nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from models.domain.clock import Clock
from models.domain.readings import RawMessage
from monitor.desk.database import desk_transaction
from monitor.desk.schema import CURSORS

if TYPE_CHECKING:
    from monitor.journal.journal import JournalEntry
    from monitor.wiring import Core

KEPT: Final = "kept"
TOPICS: Final = {"output": re.compile(r"grid/v1/[^/]+/output"), "furnace": re.compile(r"grid/v1/[^/]+/furnace")}
"""The topic each format is read from, by adapter."""

_SLICE_S: Final = 0.04


@dataclass
class KeptTopic:
    """Reads the journal up to where it ended when this format was first subscribed to; a slice a call."""

    adapter: str
    clock: Clock
    _done: bool = field(default=False, init=False)

    def run(self, core: Core) -> bool:
        """A slice; True while there is more. Raises what the stores raise, and goes on from where it was."""
        if self._done:
            return False
        after, until = self._bounds(core)
        began_s = self.clock.monotonic_s()
        for entry in core.journal.read(after) if after < until else ():
            if entry.seq > until:
                after = until
                break
            messages = self._kept(entry)
            if messages:
                core.pipeline.take_stored(messages)
            after = entry.seq
            if self.clock.monotonic_s() - began_s > _SLICE_S:
                break
        else:
            after = until
        self._move(core, after)
        self._done = after >= until
        return not self._done

    def _kept(self, entry: JournalEntry) -> list[RawMessage]:
        """The record's messages of this topic that were kept and whole."""
        refused = {rejection.message for rejection in entry.rejections} | set(entry.cut)
        return [
            msgspec.structs.replace(message, adapter=self.adapter)
            for at, message in enumerate(entry.messages)
            if message.adapter == KEPT and at not in refused and TOPICS[self.adapter].fullmatch(message.topic)
        ]

    def _bounds(self, core: Core) -> tuple[int, int]:
        """Where to go on, and where the journal ended at the first call."""
        names = {"until": f"kept:{self.adapter}:until", "after": f"kept:{self.adapter}:after"}
        with desk_transaction(core.engine) as connection:
            query = sa.select(CURSORS.c.name, CURSORS.c.value).where(CURSORS.c.name.in_(names.values()))
            found = {row.name: int(row.value) for row in connection.execute(query)}
            if names["until"] not in found:
                found[names["until"]] = core.journal.head
                row = {"name": names["until"], "value": core.journal.head}
                connection.execute(insert(CURSORS).values(row).on_conflict_do_nothing())
        return found.get(names["after"], 0), found[names["until"]]

    def _move(self, core: Core, after: int) -> None:
        statement = insert(CURSORS).values(name=f"kept:{self.adapter}:after", value=after)
        with desk_transaction(core.engine) as connection:
            connection.execute(
                statement.on_conflict_do_update(
                    index_elements=[CURSORS.c.name], set_={"value": statement.excluded.value}
                )
            )
