"""The history: every sealed file against its digest, the tables against what an orderly stop noted, and every reading
of the hot days against the journal it came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monitor.audit.checkpoint import Checkpoint
from monitor.audit.desk_check import of_store
from monitor.audit.faults import StateReport
from monitor.audit.tables import MOST_HISTORY_ROWS
from monitor.history.history import HISTORY_NAME, History
from monitor.history.seal import PARTS_NAME, file_sha256
from monitor.retention.records import Removals
from monitor.storage import StoreDamaged, StoreError


@dataclass(frozen=True, slots=True)
class ManifestPart:
    """One sealed file as the manifest lists it."""

    file: str
    bytes: int
    sha256: str


def check_parts(state_dir: Path, parts: Sequence[ManifestPart], removed: Removals, report: StateReport) -> None:
    """Every sealed file is there and what it was, and no other is; what retention removed may be gone."""
    folder = state_dir / PARTS_NAME
    for part in parts:
        path = folder / part.file
        name = f"{PARTS_NAME}/{part.file}"
        if not path.is_file():
            if part.file not in removed.parts:
                report.fault(name, "", "missing, the manifest lists it")
        elif path.stat().st_size != part.bytes or file_sha256(path) != part.sha256:
            report.fault(name, "", "does not fit its digest: changed")
        report.counted("sealed history files", 1)
    listed = {part.file for part in parts}
    for path in sorted(folder.rglob("*.parquet")) if folder.is_dir() else ():
        file = path.relative_to(folder).as_posix()
        if file not in listed and file not in removed.parts:
            report.fault(f"{PARTS_NAME}/{file}", "", "added, the manifest does not list it")


def check_stopped_history(state_dir: Path, last: Checkpoint | None, removed: Removals, report: StateReport) -> None:
    """All of the history, while no daemon holds it. The caller holds the directory's lock."""
    if not (state_dir / HISTORY_NAME).is_file():
        if last is not None and of_store(last.body.tables, "history"):
            report.fault(HISTORY_NAME, "", "missing, the last stop noted its tables")
        return
    try:
        history = History.open(state_dir)
    except StoreDamaged as error:
        report.fault(error.path.relative_to(state_dir).as_posix(), "", str(error))
        return
    except StoreError as error:
        report.fault(HISTORY_NAME, "", str(error))
        return
    try:
        check_parts(state_dir, manifest(history), removed, report)
        _check_tables(history, last, report)
    except StoreError as error:
        report.fault(HISTORY_NAME, "", str(error))
    finally:
        history.close()


def manifest(history: History) -> list[ManifestPart]:
    """The sealed files that a history lists."""
    return [ManifestPart(p.file, p.bytes, p.sha256) for p in history.manifest()]


def manifest_of(rows: Sequence[Mapping[str, Any]]) -> list[ManifestPart]:
    """The sealed files as a running daemon tells them."""
    return [ManifestPart(str(row["file"]), int(row["bytes"]), str(row["sha256"])) for row in rows]


def _check_tables(history: History, last: Checkpoint | None, report: StateReport) -> None:
    found = history.fingerprints(MOST_HISTORY_ROWS)
    report.counted("history tables read", len(found))
    noted = of_store(last.body.tables, "history") if last is not None else {}
    if not noted:
        report.notes.append("the history's tables were noted by no orderly stop: they are read, not compared")
    for name, wanted in noted.items():
        rows, fingerprint, kind = found.get(name, (0, "", wanted.kind))
        if kind != wanted.kind:
            report.notes.append(f"{HISTORY_NAME} {name}: noted by {wanted.kind}, this is {kind}: not compared")
        elif (rows, fingerprint) != (wanted.rows, wanted.digest):
            report.fault(
                HISTORY_NAME,
                f"table {name}",
                f"is not as at the last stop: {wanted.rows} rows then, {rows} now, or others",
            )
