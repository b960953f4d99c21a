"""`gridwarden quarantine retry`: take refused messages in once more, after a fix."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from models.domain.readings import RejectReason
from monitor.cli.acting import AsJson, By, StateDir, print_json, settings_of, whoever
from monitor.cli.opening import access_to, register_in_force, stop
from monitor.supervise import ExitCode

if TYPE_CHECKING:
    from monitor.cli.access import Access

Row = dict[str, Any]
Retry = Callable[[Sequence[int]], list[Row]]

_PAGE: Final = 1000
_MOST: Final = 100_000
"""Entries one run takes up; the rest is for the next."""
_CHUNK: Final = 200
_SHOWN: Final = 20
_OUTCOMES: Final = {
    "accepted": "已收下 accepted",
    "refused": "仍被拒收 refused again",
    "resolved": "早已收下 accepted before",
    "cut": "报文不全，无法重试 cut at 64 KiB, cannot be retried",
    "unknown": "没有此记录 no such entry",
}


def retry(
    entries: Annotated[list[int] | None, typer.Argument(metavar="[ID]...", min=1, help="Entries to retry.")] = None,
    state_dir: StateDir = Path("state"),
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="Configuration, TOML: needed while the daemon is stopped.")
    ] = None,
    publisher: Annotated[str | None, typer.Option(help="All open entries of this publisher.")] = None,
    reason: Annotated[RejectReason | None, typer.Option(help="All open entries refused for this reason.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All open entries.")] = False,  # noqa: FBT002
    received_now: Annotated[  # noqa: FBT002
        bool,
        typer.Option("--received-now", help="Hold stamps against the clock of now: this machine's was wrong then."),
    ] = False,
    by: By = None,
    as_json: AsJson = False,  # noqa: FBT002 - a command-line switch
) -> None:
    """重试 Take refused messages in once more, with the register, formats and limits of now.

    What is in order now goes the way of all readings, and its nights are judged again; nothing is taken twice.
    """
    chosen = publisher is not None or reason is not None
    if bool(entries) + chosen + everything != 1:
        stop(
            "请写编号，或 --reason/--publisher，或 --all。Name entries, or --reason and --publisher, or --all.",
            ExitCode.USAGE,
        )
    settings = settings_of(config) if config is not None else None
    access = access_to(settings.daemon.state_dir if settings is not None else state_dir)
    asked = sorted(entries) if entries else _open_entries(access, publisher, reason)
    name = whoever(by)
    with _retrying(access, config, {"by": name, "received_now": received_now}) as retry_some:
        results = list(_in_turn(asked, retry_some, show=not as_json))
    if as_json:
        print_json(results)
    else:
        _print(results)


@contextlib.contextmanager
def _retrying(access: Access, config: Path | None, how: Mapping[str, Any]) -> Iterator[Retry]:
    """Through the running daemon, else in a core of our own over the state directory."""
    from monitor.cli.access import SocketAccess

    if isinstance(access, SocketAccess):
        running = access
        yield lambda ids: running.command("quarantine_retry", {"entries": list(ids), **how})["results"]
        return
    if config is None:
        stop(
            "守护进程未运行：请用 --config 指明配置。The daemon is stopped: name its configuration with --config.",
            ExitCode.USAGE,
        )
    from models.domain.clock import SystemClock
    from monitor.outlets import sink_names
    from monitor.replay import Tally
    from monitor.retrying import quarantine_retry
    from monitor.wiring import open_core

    settings, tally = settings_of(config), Tally()
    with open_core(
        settings=settings,
        state_dir=settings.daemon.state_dir,
        register=register_in_force(settings),
        source=tally,
        observer=tally,
        clock=SystemClock(),
        sinks=sink_names(settings),
    ) as core:
        yield lambda ids: quarantine_retry(core, {"entries": list(ids), **how})["results"]
        core.pipeline.close()


def _open_entries(access: Access, publisher: str | None, reason: RejectReason | None) -> list[int]:
    """Numbers of the entries not taken in yet, the oldest first."""
    found: list[int] = []
    while True:
        page = access.quarantine(publisher=publisher, reason=reason, resolved=False, limit=_PAGE, offset=len(found))
        numbers = [row["id"] for row in page if row["id"] is not None]
        found += numbers
        if len(numbers) < _PAGE or len(found) >= _MOST:
            return sorted(found)


def _in_turn(entries: Sequence[int], retry_some: Retry, *, show: bool) -> Iterator[Row]:
    """Results of all entries; each call does as many as fit into a slice of the core thread."""
    from rich.console import Console
    from rich.progress import Progress

    left = list(dict.fromkeys(entries))
    with Progress(console=Console(stderr=True), transient=True, disable=not show) as progress:
        task = progress.add_task("重试 retrying", total=len(left))
        while left:
            results = retry_some(left[:_CHUNK])
            done = {row["entry"] for row in results}
            if not done:
                stop("没有进展。No entry was looked at; try again.", ExitCode.SOFTWARE)
            left = [entry for entry in left if entry not in done]
            progress.advance(task, len(done))
            yield from results


def _print(results: Sequence[Row]) -> None:
    from monitor.cli.quarantine import printable

    counts = Counter(row["outcome"] for row in results)
    if not results:
        typer.echo("没有可重试的记录。No open entry to retry.")
    for outcome, words in _OUTCOMES.items():
        if counts[outcome]:
            typer.echo(f"{words}: {counts[outcome]}")
    refused = [row for row in results if row["outcome"] in ("refused", "cut", "unknown")]
    for row in refused[:_SHOWN]:
        typer.echo(f"  {row['entry']}: {printable(row['detail'])}")
    if len(refused) > _SHOWN:
        typer.echo(f"  … {len(refused) - _SHOWN} more: gridwarden quarantine list --json")
    if counts["accepted"]:
        typer.echo("相关各夜将按迟到数据重新判断。The nights concerned are judged again, as with any late reading.")
