"""Retention: once a day, in small slices, what is past its time goes; what is still needed stays.

A journal month goes as one whole segment, only when all of it is applied and judged and no unsettled lead rests on it.
Days of history go when their time is up, then nights of features and scores. Each removal is first an entry of the
audit log, committed, then done: a crash in between repeats the second step.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from monitor.config.keeping_sections import RetentionSettings
from monitor.desk.database import desk_transaction
from monitor.history.forget import NIGHTLY_TABLES, drop_unlisted
from monitor.journal.schema import digest_before, last_seq, month_of, open_reader, read_segment, segment_paths
from monitor.retention.holds import Hold, evidence_holds, held_records
from monitor.retention.records import RemovedNight, RemovedPart, RemovedSegment, note_removal
from monitor.storage import disk_errors, sqlite_errors, sync_directory

if TYPE_CHECKING:
    from monitor.wiring import Core

log = logging.getLogger(__name__)

_DAY: Final = dt.timedelta(days=1)
_EPOCH: Final = dt.date(1970, 1, 1)
_SIDE_FILES: Final = ("-wal", "-shm")


class Retention:
    """A chore: `run` does one slice and says whether there is more to do in this round."""

    def __init__(self, settings: RetentionSettings) -> None:
        self._settings = settings
        self._round: Iterator[None] | None = None

    def run(self, core: Core) -> bool:
        """One slice. While a backup is made nothing is removed, and the round waits. Raises what the stores raise."""
        if core.backup.held(core.pipeline.clock.monotonic_s()):
            return True
        if self._round is None:
            self._round = self._slices(core)
        try:
            next(self._round)
        except StopIteration:
            self._round = None
            return False
        except BaseException:
            self._round = None
            raise
        return True

    def _slices(self, core: Core) -> Iterator[None]:
        today = believed_today(core)
        if today is None:
            return
        settings = self._settings
        yield from _journal(core, _months_before(today, settings.journal_months))
        yield from _history(core, today - _DAY * settings.history_days)
        yield from _nights(core, today - _DAY * settings.feature_nights)


def believed_today(core: Core) -> dt.date | None:
    """The UTC day retention counts from: that of the wall clock, or of the newest reading where that is earlier.

    A clock that was set to a wrong year removes nothing, and neither does a daemon that has had no data since long.
    """
    span = core.history.span()
    if span is None:
        return None
    now_ms = min(core.pipeline.clock.wall_ms(), span[1])
    return _EPOCH + dt.timedelta(days=now_ms // 86_400_000)


def _months_before(day: dt.date, months: int) -> str:
    """`YYYYMM` so many months before the month of a day."""
    count = day.year * 12 + day.month - 1 - months
    return f"{count // 12:04d}{count % 12 + 1:02d}"


def _journal(core: Core, oldest_kept: str) -> Iterator[None]:
    """Whole segments from the oldest on, up to the first that is still needed."""
    while True:
        paths = segment_paths(core.state_dir)
        if len(paths) < 2 or month_of(paths[0]) >= oldest_kept:
            return
        with sqlite_errors(paths[0]):
            found = _described(paths[0], following=paths[1])
        reason = _still_needed(core, found)
        if reason is not None:
            log.info("%s is past its time but kept: %s", paths[0].name, reason)
            return
        with desk_transaction(core.engine) as connection:
            note_removal(connection, found, core.pipeline.clock.wall_ms())
        _unlink_segment(paths[0])
        log.info("retention removed %s, records %d to %d", paths[0].name, found.first_seq, found.last_seq)
        yield


def _described(path: Path, following: Path) -> RemovedSegment:
    with contextlib.closing(open_reader(path)) as connection, contextlib.closing(open_reader(following)) as next_one:
        segment = read_segment(connection, path)
        after = read_segment(next_one, following)
        last = last_seq(connection, segment)
        digest = digest_before(connection, segment, last + 1)
        messages, first_ms, last_ms = connection.execute(
            "SELECT coalesce(sum(messages), 0), coalesce(min(committed_ms), 0), coalesce(max(committed_ms), 0)"
            " FROM record"
        ).fetchone()
        (quarantined,) = connection.execute("SELECT count(*) FROM quarantine").fetchone()
    return RemovedSegment(
        segment=path.name,
        first_seq=segment.first_seq,
        last_seq=after.first_seq - 1 if after.broken else last,
        previous_digest=segment.previous_digest.hex(),
        last_digest=(after.previous_digest if after.broken else digest).hex(),
        messages=int(messages),
        quarantined=int(quarantined),
        first_ms=int(first_ms),
        last_ms=int(last_ms),
    )


def _still_needed(core: Core, found: RemovedSegment) -> str | None:
    """Why a segment must stay, None where it may go."""
    applied, judged = core.history.cursor, core.desk.journal_cursor()
    if found.last_seq > min(applied, judged):
        return f"it reaches to record {found.last_seq}, applied is {applied}, judged {judged}"
    zone = core.pipeline.zone
    last_day = _EPOCH + dt.timedelta(days=found.last_ms // 86_400_000 + 1)
    with desk_transaction(core.engine) as connection:
        holds = evidence_holds(connection, last_day + _DAY)
    for hold in holds:
        if any(found.first_seq <= seq <= found.last_seq for seq in held_records(core.history, hold, zone)):
            return f"the evidence of lead {hold.lead} rests on it, which nobody has settled"
    return None


def _unlink_segment(path: Path) -> None:
    with disk_errors(path):
        for tail in ("", *_SIDE_FILES):
            path.with_name(path.name + tail).unlink(missing_ok=True)
        sync_directory(path.parent)


def _history(core: Core, before: dt.date) -> Iterator[None]:
    held = _held_days(core, before)
    for part in core.history.parts_before(before):
        if part.day in held:
            continue
        removed = RemovedPart(part.file, part.rows, part.bytes, part.sha256)
        with desk_transaction(core.engine) as connection:
            note_removal(connection, removed, core.pipeline.clock.wall_ms())
        core.history.forget_part(part)
        log.info("retention removed %d readings of %s", part.rows, part.day)
        yield
    for path in core.history.unlisted_before(before):
        drop_unlisted(path)
        yield


def _nights(core: Core, before: dt.date) -> Iterator[None]:
    held = sorted(_held_days(core, before))
    for table in NIGHTLY_TABLES:
        while (gone := core.history.forget_night(table, before, held)) is not None:
            night, rows = gone
            with desk_transaction(core.engine) as connection:
                note_removal(connection, RemovedNight(table, night.isoformat(), rows), core.pipeline.clock.wall_ms())
            yield


def _held_days(core: Core, before: dt.date) -> set[dt.date]:
    with desk_transaction(core.engine) as connection:
        holds: list[Hold] = evidence_holds(connection, before)
    return {day for hold in holds for day in hold.days()}
