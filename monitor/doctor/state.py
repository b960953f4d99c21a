"""Checks of a state directory: the daemon that runs there or does not, backups, checkpoints, quarantine, growth."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from monitor.audit.checkpoint import last_checkpoint
from monitor.backup.make import last_backup
from monitor.config.settings import Settings
from monitor.desk.database import DESK_FILE
from monitor.doctor.findings import Finding, fault, ok, unseen, warning
from monitor.history.seal import PARTS_NAME
from monitor.journal.schema import segment_paths
from monitor.storage import StateLock, StoreError, connect_reader

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
MANY_QUEUED_SHARE: Final = 0.5
MANY_REFUSED: Final = 10_000
CHECKPOINT_SLACK: Final = 10


def check_daemon(settings: Settings, state_dir: Path, status: Mapping[str, Any] | None) -> Iterator[Finding]:
    """Whether a daemon runs and what it says of itself; `status` is None where none answered."""
    if status is None:
        held = _locked(state_dir)
        yield fault(
            "daemon.running",
            "a process holds the state directory but does not answer" if held else f"no daemon runs on {state_dir}",
            "Look at its log (`journalctl -u gridwarden -n 50`), then start it: systemctl restart gridwarden"
            if held
            else "Start it: systemctl start gridwarden (or gridwarden run --config FILE); its log says why it ended.",
        )
        return
    reasons = [str(reason) for reason in status.get("unready", [])]
    if reasons:
        yield fault(
            "daemon.ready",
            f"state {status.get('state')}: {'; '.join(reasons)}",
            "Each reason names what fails; the checks of broker, disk and clock here say what to do.",
        )
    else:
        yield ok("daemon.ready", f"state {status.get('state')}, version {status.get('version')}")
    if not status.get("connected"):
        yield fault(
            "daemon.broker",
            "the daemon is not connected to the broker",
            "Follow what the checks `broker.…` here say; the daemon connects again by itself.",
        )
    queued, most = int(status.get("queued", 0)), settings.intake.queue_messages
    if queued > most * MANY_QUEUED_SHARE:
        yield warning(
            "daemon.queue",
            f"{queued} of {most} messages wait: more comes in than is stored",
            "Look at the disk's load (`iostat -x 5`); have publishers send batches of 100 readings or more.",
        )
    else:
        yield ok("daemon.queue", f"{queued} messages wait")


def check_backup(settings: Settings, state_dir: Path, now_ms: int) -> Finding:
    """Age of the last backup, and that it is still there."""
    last = last_backup(state_dir)
    how = "Run: gridwarden backup --out DIR (another disk), and set backup.directory for one every night."
    if last is None:
        return warning("copy.age", "no backup was ever made of this state directory", how)
    made_ms, path = last
    hours = (now_ms - made_ms) / HOUR_MS
    if hours > settings.backup.max_age_hours:
        return warning("copy.age", f"the last backup is {hours:,.0f} hours old: {path}", how)
    if not Path(path).is_dir():
        return warning("copy.age", f"the last backup is not where it was made: {path}", how)
    return ok("copy.age", f"the last backup is {max(0.0, hours):,.1f} hours old: {path}")


def check_checkpoint(settings: Settings, state_dir: Path, now_ms: int, *, running: bool) -> Finding:
    """Age of the last signed checkpoint."""
    last = last_checkpoint(state_dir)
    if last is None:
        return unseen("checkpoint.age", "no checkpoint yet", "Start the daemon: it writes one at once.")
    age_s = (now_ms - last.body.at_ms) / 1000.0
    if running and age_s > CHECKPOINT_SLACK * max(settings.audit.checkpoint_s, settings.time.tick_s):
        return warning(
            "checkpoint.age",
            f"the last checkpoint is {age_s:,.0f} s old, though the daemon runs",
            "Look at the daemon's log for errors of the disk; restart it: systemctl restart gridwarden",
        )
    return ok("checkpoint.age", f"number {last.body.n}, {max(0.0, age_s):,.0f} s old")


def check_notices(state_dir: Path) -> Iterator[Finding]:
    """Notices a receiver refused, and how many wait."""
    desk = state_dir / DESK_FILE
    if not desk.is_file():
        return
    try:
        with contextlib.closing(connect_reader(desk)) as reader:
            rows = dict(reader.execute("SELECT state, count(*) FROM outbox GROUP BY state").fetchall())
    except (sqlite3.Error, StoreError) as error:
        yield fault("desk.readable", f"{desk} cannot be read: {error}", "Run: gridwarden verify --state DIR")
        return
    refused, waiting = int(rows.get("needs_person", 0)), int(rows.get("pending", 0)) + int(rows.get("sending", 0))
    if refused:
        yield warning(
            "notices.refused",
            f"{refused} notices were refused by their receiver and wait for a person",
            "Run: gridwarden notices list (it says why); put right what the note names, then retry them.",
        )
    else:
        yield ok("notices.refused", f"none refused, {waiting} waiting to be sent")


def check_quarantine(state_dir: Path, now_ms: int) -> Iterator[Finding]:
    """How much was refused this month, and why most of it."""
    paths = segment_paths(state_dir)
    if not paths:
        return
    try:
        with contextlib.closing(connect_reader(paths[-1])) as reader:
            rows = reader.execute(
                "SELECT reason, sum(entries), max(last_ms) FROM quarantine_count GROUP BY reason ORDER BY 2 DESC"
            ).fetchall()
    except (sqlite3.Error, StoreError) as error:
        yield fault("journal.readable", f"{paths[-1]} cannot be read: {error}", "Run: gridwarden verify --state DIR")
        return
    total = sum(int(count) for _, count, _ in rows)
    if not total:
        yield ok("quarantine", "nothing refused this month")
        return
    reason, count, last_ms = rows[0]
    hours = max(0.0, (now_ms - int(last_ms)) / HOUR_MS)
    seen = f"{total} refusals this month, most for {reason} ({count}), the last {hours:,.0f} hours ago"
    remedy = f"Run: gridwarden quarantine list --state {state_dir} --reason {reason}; each entry shows its remedy."
    yield warning("quarantine", seen, remedy) if total >= MANY_REFUSED or hours < 24 else ok("quarantine", seen)


def growth_bytes_a_day(state_dir: Path) -> float | None:
    """Bytes the journal and the sealed days grow a day, from the newest ones; None where that is not known yet."""
    paths = segment_paths(state_dir)
    if not paths:
        return None
    try:
        with contextlib.closing(connect_reader(paths[-1])) as reader:
            first_ms, last_ms = reader.execute("SELECT min(committed_ms), max(committed_ms) FROM record").fetchone()
    except (sqlite3.Error, StoreError):
        return None
    if first_ms is None or last_ms - first_ms < HOUR_MS:
        return None
    journal = paths[-1].stat().st_size / ((last_ms - first_ms) / DAY_MS)
    folders = sorted((state_dir / PARTS_NAME).glob("day=*"))[-7:]
    sealed = sum(file.stat().st_size for folder in folders for file in folder.glob("*.parquet"))
    return float(journal + (sealed / len(folders) if folders else 0.0))


def newest_recorded_ms(state_dir: Path) -> int | None:
    """The latest moment a record was committed, Unix ms."""
    paths = segment_paths(state_dir)
    if not paths:
        return None
    try:
        with contextlib.closing(connect_reader(paths[-1])) as reader:
            (newest,) = reader.execute("SELECT committed_ms FROM record ORDER BY seq DESC LIMIT 1").fetchone() or (
                None,
            )
    except (sqlite3.Error, StoreError):
        return None
    return None if newest is None else int(newest)


def _locked(state_dir: Path) -> bool:
    """Whether a process holds the directory; takes the lock for a moment where none does."""
    if not state_dir.is_dir():
        return False
    try:
        StateLock.acquire(state_dir).release()
    except StoreError:
        return True
    return False
