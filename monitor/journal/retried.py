"""Quarantine entries with the messages they came from, for taking them in once more (rule D10)."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from models.domain.readings import RawMessage, Rejection
from monitor.journal.body import BodyCodec, Group
from monitor.journal.schema import open_reader, segment_paths
from monitor.storage import sqlite_errors

MAX_ASKED = 500
"""Entries bound in one statement."""


@dataclass(frozen=True, slots=True)
class KeptEntry:
    """One entry: journal record and place of its message, the message, the refusal, and whether only the beginning of
    the payload is kept."""

    id: int
    seq: int
    index: int
    message: RawMessage
    rejection: Rejection
    cut: bool


def kept_entries(state_dir: Path, ids: Sequence[int]) -> dict[int, KeptEntry]:
    """Entries by id, those that are there; at most MAX_ASKED may be asked for at once.

    Reads through connections of its own. Raises ValueError for more, and what the stores raise.
    """
    if len(ids) > MAX_ASKED:
        raise ValueError(f"{len(ids)} entries asked for at once; at most {MAX_ASKED}")
    found: dict[int, KeptEntry] = {}
    codec = BodyCodec()
    marks = ", ".join("?" * len(ids))
    query = f"SELECT id, seq, rejection FROM quarantine WHERE id IN ({marks}) ORDER BY seq, id"  # noqa: S608 -- marks only
    for path in segment_paths(state_dir):
        with sqlite_errors(path), contextlib.closing(open_reader(path)) as connection:
            held: tuple[int, Group] | None = None
            for id_, seq, ordinal in connection.execute(query, list(ids)).fetchall():
                if held is None or held[0] != seq:
                    (body,) = connection.execute("SELECT body FROM record WHERE seq = ?", (seq,)).fetchone()
                    held = (seq, codec.unpack(body))
                found[id_] = _entry(id_, seq, held[1], ordinal)
    return found


def _entry(id_: int, seq: int, group: Group, ordinal: int) -> KeptEntry:
    rejection = group.rejections[ordinal]
    index = rejection.message
    cut = any(cut.message == index for cut in group.cuts)
    return KeptEntry(id_, seq, index, group.messages[index], rejection, cut)
