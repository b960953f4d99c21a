"""`gridwarden notices`: notices a receiver refused, and what a person decides about them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from monitor.cli.acting import AsJson, By, Reason, StateDir, act, print_json, whoever
from monitor.cli.opening import access_to, stop
from monitor.supervise import ExitCode

app = typer.Typer(help="通知 Notices a receiver refused: list them, send again, or give up.", no_args_is_help=True)


@app.command("list")
def list_command(
    state_dir: StateDir = Path("state"),
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Most notices to print.")] = 100,
    as_json: AsJson = False,  # noqa: FBT002 - a command-line switch
) -> None:
    """Notices that wait for a person, the oldest first. Later ones of the same lead wait behind them."""
    rows = access_to(state_dir).notices(limit=limit)
    if as_json:
        print_json(rows)
        return
    _print_table(rows)


@app.command("retry")
def retry_command(
    reason: Reason,
    number: Annotated[int | None, typer.Argument(metavar="[NUMBER]", min=1, help="One notice.")] = None,
    state_dir: StateDir = Path("state"),
    sink: Annotated[str | None, typer.Option(help="All refused notices of this receiver.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All refused notices.")] = False,  # noqa: FBT002
    by: By = None,
    as_json: AsJson = False,  # noqa: FBT002 - a command-line switch
) -> None:
    """Send refused notices again: bytes and key are the same as before."""
    if (number is not None) + (sink is not None) + everything != 1:
        stop("请写编号、--sink 或 --all 之一。Name a number, --sink or --all.", ExitCode.USAGE)
    done = act(state_dir, "notices_retry", {"sink": sink, "number": number, "by": whoever(by), "reason": reason})
    if as_json:
        print_json(done)
        return
    typer.echo(f"{done['retried']} 条通知将重新发送。{done['retried']} notice(s) will be sent again.")


@app.command("abandon")
def abandon_command(
    number: Annotated[int, typer.Argument(metavar="NUMBER", min=1, help="As `notices list` prints it.")],
    reason: Reason,
    state_dir: StateDir = Path("state"),
    by: By = None,
    as_json: AsJson = False,  # noqa: FBT002 - a command-line switch
) -> None:
    """Give one refused notice up for ever; later ones of its lead go on."""
    done = act(state_dir, "notices_abandon", {"number": number, "by": whoever(by), "reason": reason})
    if as_json:
        print_json(done)
        return
    typer.echo(f"通知 {number} 已放弃。Notice {number} to {done['sink']} is given up.")


def _print_table(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    if not rows:
        console.print("没有被拒收的通知。No notice waits for a person.")
        return
    table = Table(title="被拒收的通知 Refused notices", title_justify="left", show_lines=True)
    table.add_column("编号 number", justify="right", no_wrap=True)
    table.add_column("接收方 receiver\n次数 attempts", no_wrap=True)
    table.add_column("线索 lead\n版 revision", no_wrap=True)
    table.add_column("答复 answer", ratio=1, overflow="fold")
    for row in rows:
        table.add_row(
            str(row["seq"]),
            escape(f"{row['sink']}\n{row['attempts']}"),
            escape(f"{row['lead']}\n{row['revision']}"),
            escape(row["note"]),
        )
    console.print(table)
    console.print("重发 again: gridwarden notices retry NUMBER --reason …；放弃 give up: notices abandon", style="dim")
