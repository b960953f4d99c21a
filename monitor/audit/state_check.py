"""`gridwarden verify --state`: a whole state directory, every file and record of it."""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import duckdb
import msgspec
import sqlalchemy as sa

from monitor.audit.chain_check import JournalWalk, check_sealed, checked_lines
from monitor.audit.checkpoint import HEAD_NAME, Checkpoint, Occasion, Short, checkpoint_files, last_sealed
from monitor.audit.desk_check import DeskWalk, of_store
from monitor.audit.faults import StateReport
from monitor.audit.history_check import check_parts, check_stopped_history, manifest_of
from monitor.audit.keys import KEY_NAME, PUBLIC_NAME, PublicKey, SigningKey, former_public_keys, stored_public_key
from monitor.config.secret_files import SecretFileError
from monitor.desk.database import DESK_FILE, DeskError, read_desk
from monitor.desk.events import CHECKPOINT_ATTRIBUTE
from monitor.evidence_pack.origins import ORIGINS_NAME, origin_faults
from monitor.history.history import HISTORY_NAME
from monitor.history.seal import PARTS_NAME
from monitor.journal.schema import open_reader, segment_paths
from monitor.ops.local_socket import SOCKET_NAME
from monitor.retention.records import Removals, stored_removals
from monitor.storage import BALLAST_NAME, LOCK_NAME, StateLock, StoreError, StoreNewer

CHECKPOINT: Final = "checkpoint"
MANIFEST: Final = "history_manifest"
_KNOWN: Final = re.compile(
    r"^(journal-\d{6}(-\d+)?\.sqlite|desk\.sqlite|desk\.before-.*\.sqlite|history\.duckdb|checkpoints-\d{6}\.jsonl)"
    r"(-wal|-shm|\.wal)?$|^(last-backup\.json|backup-staging|restoring|restored\.json|demo\.log)$"
    r"|^checkpoint-key-[0-9a-f]{16}\.pub$"
)
_NAMED: Final = {
    LOCK_NAME, BALLAST_NAME, SOCKET_NAME, KEY_NAME, PUBLIC_NAME, HEAD_NAME, ORIGINS_NAME, PARTS_NAME, HISTORY_NAME,
}  # fmt: skip

Ask = Callable[[str, dict[str, Any]], dict[str, Any]]


def check_state(state_dir: Path, *, ask: Ask | None, key: PublicKey | None, kept: Sequence[Short]) -> StateReport:
    """Check everything there is. `ask` puts commands to the running daemon, None where it is stopped.

    `key` is a public key from elsewhere, `kept` are checkpoints from elsewhere. Raises `StoreLocked` where another
    process holds the directory without answering.
    """
    report = StateReport()
    if ask is not None:
        ask(CHECKPOINT, {})
        _check_all(state_dir, ask, key, kept, report)
        return report
    lock = StateLock.acquire(state_dir)
    try:
        _check_all(state_dir, None, key, kept, report)
    finally:
        lock.release()
    return report


def shorts_of(text: str) -> list[Short]:
    """Checkpoints in a text: short forms, or received notices (CloudEvents), one a line or one document.

    Raises ValueError where a line is neither.
    """
    try:
        return [_short_of(text)]
    except ValueError:
        return [_short_of(line) for line in text.splitlines() if line.strip()]


def _short_of(text: str) -> Short:
    text = text.strip()
    if not text.startswith("{"):
        return Short.parse(text)
    try:
        event = msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise ValueError(f"neither a checkpoint nor a notice: {error}") from error
    return Short.parse(str(event.get(CHECKPOINT_ATTRIBUTE, "")))


def _check_all(
    state_dir: Path, ask: Ask | None, key: PublicKey | None, kept: Sequence[Short], report: StateReport
) -> None:
    trusted = _key(state_dir, key, report)
    signers = (trusted, *former_public_keys(state_dir)) if trusted is not None else ()
    for copy in kept:
        if signers and not any(copy.signed_by(signer) for signer in signers):
            report.fault("checkpoint kept elsewhere", f"checkpoint {copy.n}", "is not signed by this state's key")
    newer = _newer_journal(state_dir)
    if newer is not None:
        report.fault(*newer)
        return
    removed = _removals(state_dir, report)
    last = _walk(state_dir, trusted, [*kept, *_head(state_dir, report)], removed, report)
    check_sealed(state_dir, last_sealed(state_dir), removed, report)
    for file, what in origin_faults(state_dir):
        report.fault(file, "", what)
    _check_small_files(state_dir, last, report)
    report.counted("origins", len(list((state_dir / ORIGINS_NAME).glob("*"))))
    if ask is None:
        try:
            check_stopped_history(state_dir, last, removed, report)
        except duckdb.Error as error:
            report.fault(HISTORY_NAME, "", f"cannot be read to its end: {error}")
    else:
        check_parts(state_dir, manifest_of(ask(MANIFEST, {})["parts"]), removed, report)
        report.notes.append(f"{HISTORY_NAME} is held by the daemon: its tables are compared only while it is stopped")
    for path in sorted(state_dir.iterdir()):
        if path.name not in _NAMED and not _KNOWN.match(path.name):
            report.notes.append(f"{path.name} is not a file of the state: not looked at")


def _newer_journal(state_dir: Path) -> tuple[str, str, str] | None:
    """The first segment whose schema this program does not know yet, as a fault."""
    for path in segment_paths(state_dir):
        try:
            open_reader(path).close()
        except StoreNewer as error:
            schemas = f"has schema {error.found}, this program knows up to {error.known}"
            return path.name, "", f"written by a newer version ({schemas}): verify with that one; no more was compared"
        except StoreError:
            continue
    return None


def _walk(
    state_dir: Path, key: PublicKey | None, kept: Sequence[Short], removed: Removals, report: StateReport
) -> Checkpoint | None:
    """Checkpoints, journal and desk side by side; the last checkpoint, None where it is not that of an orderly stop."""
    last: Checkpoint | None = None
    journal = JournalWalk(state_dir, removed, report)
    try:
        engine = read_desk(state_dir)
    except (DeskError, FileNotFoundError, StoreError) as error:
        report.fault(DESK_FILE, "", str(error))
        for last in checked_lines(state_dir, key, kept, report):
            journal.advance(last)
        journal.finish()
        return _stopped(last, report)
    try:
        desk = DeskWalk(engine, report)
        carried = desk.carried()
        for last in checked_lines(state_dir, key, [*kept, *carried], report):
            journal.advance(last)
            desk.advance(last)
        journal.finish()
        desk.finish()
    except sa.exc.DatabaseError as error:
        report.fault(DESK_FILE, "", f"cannot be read to its end: {error.orig}")
    finally:
        engine.dispose()
    return _stopped(last, report)


def _stopped(last: Checkpoint | None, report: StateReport) -> Checkpoint | None:
    if last is None:
        report.fault("checkpoints", "", "there is none: nothing here was ever signed, or all were deleted")
        return None
    if last.body.occasion is not Occasion.STOP:
        report.notes.append(
            f"the last checkpoint ({last.body.n}) is not that of an orderly stop: rows that may change are checked "
            "one by one, not as whole tables"
        )
        return None
    return last


def _check_small_files(state_dir: Path, last: Checkpoint | None, report: StateReport) -> None:
    noted = of_store(last.body.tables, "file") if last is not None else {}
    for name, wanted in noted.items():
        path = state_dir / name
        if not path.is_file():
            report.fault(name, "", "missing, the last stop noted it")
        elif hashlib.sha256(path.read_bytes()).hexdigest() != wanted.digest:
            report.fault(name, "", "is not as at the last stop: changed")


def _key(state_dir: Path, key: PublicKey | None, report: StateReport) -> PublicKey | None:
    """The key to trust: the one given, else the directory's own."""
    try:
        stored = stored_public_key(state_dir)
    except ValueError as error:
        report.fault(PUBLIC_NAME, "", f"is no public key: {error}")
        stored = None
    else:
        if stored is None:
            report.fault(PUBLIC_NAME, "", "missing: signatures are compared with a key given by --key only")
    if key is not None and stored is not None and key != stored:
        report.fault(PUBLIC_NAME, "", f"is {stored.fingerprint}, not the key that was given, {key.fingerprint}")
    if (state_dir / KEY_NAME).exists() and stored is not None:
        try:
            own = SigningKey.read(state_dir / KEY_NAME).public
        except SecretFileError as error:
            report.fault(KEY_NAME, "", str(error))
        else:
            if own != stored:
                report.fault(KEY_NAME, "", f"does not belong to {PUBLIC_NAME}: one of them was changed")
    return key or stored


def _head(state_dir: Path, report: StateReport) -> list[Short]:
    """The checkpoint that was the newest when the last one was written: it must be there."""
    path = state_dir / HEAD_NAME
    try:
        head = Short.parse(path.read_text("ascii"))
    except FileNotFoundError:
        if checkpoint_files(state_dir):
            report.fault(HEAD_NAME, "", "missing: it names the newest checkpoint")
        return []
    except (OSError, ValueError) as error:
        report.fault(HEAD_NAME, "", f"cannot be read: {error}")
        return []
    if path.read_bytes() != head.text.encode() + b"\n":
        report.fault(HEAD_NAME, "", "is not written as it is: changed")
    signers = former_public_keys(state_dir)
    with contextlib.suppress(ValueError):
        stored = stored_public_key(state_dir)
        signers = (*signers, stored) if stored is not None else signers
    if signers and not any(head.signed_by(signer) for signer in signers):
        report.fault(HEAD_NAME, f"checkpoint {head.n}", "is not signed by this state's key")
    return [head]


def _removals(state_dir: Path, report: StateReport) -> Removals:
    path = state_dir / DESK_FILE
    try:
        return stored_removals(path) if path.is_file() else Removals((), {})
    except (StoreError, msgspec.MsgspecError) as error:
        report.fault(DESK_FILE, "audit_log", f"what was removed on purpose cannot be read: {error}")
        return Removals((), {})
