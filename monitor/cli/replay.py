"""`gridwarden replay`: readings from files through the same path as live ones."""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import typer

from monitor.cli.opening import register_from, stop
from monitor.supervise import ExitCode

if TYPE_CHECKING:
    from monitor.jobs import Job
    from monitor.replay import Replayed


def replay(
    *,
    readings: Annotated[
        Path, typer.Option("--readings", help="Parquet, CSV or JSONL in the canonical columns, or a directory of them.")
    ],
    register: Annotated[Path, typer.Option("--register", help="Register: XLSX, or a directory of CSV.")],
    state: Annotated[
        Path | None, typer.Option("--state", help="State directory to fill; a passing one if left out.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write the leads here, JSONL.")] = None,
    scores: Annotated[
        Path | None, typer.Option("--scores", help="Write every meter's nightly scores here, Parquet.")
    ] = None,
    config: Annotated[Path | None, typer.Option("--config", "-c", help="Configuration file, TOML.")] = None,
    by_event: Annotated[
        bool, typer.Option("--by-event", help="Ignore arrival_ts: take everything in, then judge by event time.")
    ] = False,
    zone: Annotated[
        str | None, typer.Option("--zone", help="Time zone of stamps without one, such as Asia/Shanghai; else refused.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Play readings from files through decode, journal, windows, detectors and leads, and write what came of them.

    A file with a column arrival_ts is played in order of arrival, as if live. Rows that are refused wait in the
    quarantine of the state directory, with their numbers in the file.

    Exit codes: 65 register at fault, 66 a file cannot be read, 70 a detector failed, 73 a file cannot be written,
    75 another process owns the state directory, 78 configuration at fault.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from connectors.file_columns import FileFaultError
    from connectors.files import has_arrival, total_rows
    from monitor.config.settings import load_settings
    from monitor.logs import configure_logging
    from monitor.replay import replay as play
    from monitor.storage import StoreError, StoreLocked

    stamps_zone = _zone(zone)
    for path in (out, scores):
        _check_writable(path)
    settings = load_settings(config)
    configure_logging(settings.log.model_copy(update={"level": "warning", "format": "console"}))
    console = Console(stderr=True)
    with ExitStack() as stack:
        table = register_from(register, ZoneInfo(settings.daemon.zone))
        state_dir = state or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gridwarden-")))
        try:
            progress = stack.enter_context(
                Progress(
                    TextColumn("{task.description}"),
                    BarColumn(),
                    MofNCompleteColumn(),
                    TimeElapsedColumn(),
                    console=console,
                    disable=not console.is_terminal,
                )
            )
            bar = progress.add_task("读数 readings", total=total_rows(readings))

            def on_judging(job: Job) -> None:
                progress.update(bar, description=f"研判 judging {job.night.date}")

            done = play(
                settings=settings,
                register=table,
                readings=readings,
                state_dir=state_dir,
                zone=stamps_zone,
                by_arrival=not by_event and has_arrival(readings),
                leads_path=out,
                scores_path=scores,
                on_rows=lambda rows: progress.advance(bar, rows),
                on_judging=on_judging,
            )
        except FileFaultError as error:
            stop(str(error), ExitCode.NO_INPUT)
        except StoreLocked as error:
            stop(str(error), ExitCode.TEMPORARY)
        except StoreError as error:
            stop(str(error), ExitCode.SOFTWARE)
    _print_summary(done, state, as_json=as_json)
    if done.failed:
        told = ", ".join(f"{name} ({count} slices of meters)" for name, count in sorted(done.failed.items()))
        stop(f"a detector failed, its meters are undetermined: {told}; see the log above", ExitCode.SOFTWARE)


def _zone(name: str | None) -> ZoneInfo | None:
    if name is None:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        stop(f"--zone {name}: no such time zone; use an IANA name such as Asia/Shanghai", ExitCode.USAGE)


def _check_writable(path: Path | None) -> None:
    """Leave before the work where its result could not be written after it."""
    if path is None:
        return
    if path.is_dir() or not path.parent.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
        stop(f"{path}: cannot be written; name a file in a directory that exists", ExitCode.CANNOT_CREATE)


def _print_summary(done: Replayed, state: Path | None, *, as_json: bool) -> None:
    from monitor.windows import Outcome

    summary = {
        "stored": done.outcomes[Outcome.STORED],
        "duplicate": done.outcomes[Outcome.DUPLICATE],
        "conflict": done.outcomes[Outcome.CONFLICT],
        "quarantined": done.n_refused,
        "reasons": {reason.value: count for reason, count in sorted(done.reasons.items())},
        "leads": dict(sorted(done.leads.items())),
        "failed": dict(sorted(done.failed.items())),
    }
    if as_json:
        typer.echo(json.dumps(summary))
        return
    typer.echo(
        f"读数 readings: {summary['stored']} stored, {summary['duplicate']} duplicate, "
        f"{summary['conflict']} conflict, {summary['quarantined']} quarantined"
    )
    for reason, count in sorted(done.reasons.items()):
        typer.echo(f"  隔离 {reason.value}: {count}")
    if done.n_refused:
        where = state if state is not None else "DIR"
        keep = "" if state is not None else "name a directory with --state, then "
        typer.echo(f"  哪些行、为何 which rows and why: {keep}gridwarden quarantine list --state {where}")
    leads = ", ".join(f"{count} {kind}" for kind, count in sorted(done.leads.items())) or "none"
    typer.echo(f"线索 leads: {leads}")
