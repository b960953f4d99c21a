"""`gridwarden quarantine`: what was refused, why, and what to do about it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from models.domain.readings import RejectReason
from monitor.cli.opening import access_to, stop
from monitor.cli.quarantine_retry import retry
from monitor.supervise import ExitCode

app = typer.Typer(
    help="隔离区 Quarantine: what was refused, why, and the remedy.",
    no_args_is_help=True,
)

StateDir = Annotated[Path, typer.Option("--state", metavar="DIR", help="State directory of the daemon.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

_SHOWN_CHARACTERS: Final = 4000


@app.command("list")
def list_command(
    state_dir: StateDir = Path("state"),
    publisher: Annotated[str | None, typer.Option(help="Only messages of this publisher.")] = None,
    reason: Annotated[RejectReason | None, typer.Option(help="Only refusals for this reason.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Most entries to print.")] = 50,
    offset: Annotated[int, typer.Option(min=0, help="Entries to skip, from the newest.")] = 0,
    only_open: Annotated[bool, typer.Option("--open", help="Only what was not taken in since.")] = False,  # noqa: FBT002
    only_resolved: Annotated[bool, typer.Option("--resolved", help="Only what was taken in since.")] = False,  # noqa: FBT002
    as_json: AsJson = False,  # noqa: FBT002 - a command-line switch
) -> None:
    """Refusals, the newest first."""
    if only_open and only_resolved:
        stop("--open 与 --resolved 只能选一个。Take --open or --resolved, not both.", ExitCode.USAGE)
    resolved = True if only_resolved else False if only_open else None
    access = access_to(state_dir)
    entries = access.quarantine(publisher=publisher, reason=reason, resolved=resolved, limit=limit, offset=offset)
    if as_json:
        typer.echo(json.dumps(list(entries), indent=2))
        return
    _print_table(entries)


@app.command("show")
def show_command(
    entry_id: Annotated[int, typer.Argument(metavar="ID", min=1, help="Number, as `quarantine list` prints it.")],
    state_dir: StateDir = Path("state"),
    as_json: AsJson = False,  # noqa: FBT002 - a command-line switch
) -> None:
    """One refusal: the message as it came, what was wrong, what to do."""
    entry = access_to(state_dir).quarantined(entry_id)
    if entry is None:
        typer.echo(f"没有隔离记录 {entry_id}。No entry {entry_id}: see `gridwarden quarantine list`.", err=True)
        raise typer.Exit(ExitCode.NO_INPUT)
    if as_json:
        typer.echo(json.dumps(entry, indent=2))
        return
    _print_entry(entry)


app.command("retry")(retry)


def printable(text: str) -> str:
    """Untrusted text for a terminal: control, bidirectional and other unprintable characters as escapes."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


def _print_table(entries: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    if not entries:
        console.print("隔离区为空。The quarantine is empty.")
        return
    table = Table(title="隔离区 Quarantine", title_justify="left", show_lines=True)
    table.add_column("编号 id", justify="right", no_wrap=True)
    table.add_column("收到 received\n(UTC)", no_wrap=True)
    table.add_column("数据源 publisher\n原因 reason", overflow="fold")
    table.add_column("说明 detail", ratio=1, overflow="fold")
    for entry in entries:
        table.add_row(
            "-" if entry["id"] is None else str(entry["id"]),
            entry["received"][:19].replace("T", "\n"),
            escape(f"{printable(entry['publisher'])}\n{entry['reason']}"),
            escape(f"{_short(entry['reason'])}\n{printable(entry['detail'])}{_retried(entry)}"),
        )
    console.print(table)
    console.print("处理办法 what to do: gridwarden quarantine show ID --state DIR", style="dim")


def _retried(entry: dict[str, Any]) -> str:
    """What the last retry came to, on a line of its own."""
    retry = entry.get("retry")
    if retry is None:
        return ""
    word = "已重试收下 accepted by retry" if entry["resolved"] else "重试仍被拒收 refused again"
    return f"\n→ {word} {retry['at'][:10]} {printable(retry['by'])}：{printable(retry['detail'])}"


def _short(reason: str) -> str:
    """The reason in Chinese: what its remedy says before the colon."""
    from monitor.journal.remedies import REMEDIES

    return REMEDIES[RejectReason(reason)].zh.partition("：")[0]


def _print_entry(entry: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.panel import Panel
    from rich.table import Table

    console = Console()
    rows = ", ".join(map(str, entry["rows"][:20])) + (" …" if len(entry["rows"]) > 20 else "")
    facts = Table.grid(padding=(0, 2))
    kept = "（仅保留前 64 KiB only the first 64 KiB are kept）" if entry["payload_cut"] else ""
    for label, value in (
        ("编号 id", entry["id"]),
        ("日志序号 journal record", entry["seq"]),
        ("收到 received", entry["received"]),
        ("数据源 publisher", entry["publisher"]),
        ("主题 topic", entry["topic"]),
        ("格式 adapter", entry["adapter"]),
        ("原因 reason", entry["reason"]),
        ("字段 field", entry["field"] or "-"),
        ("量测行 readings", rows or "整条报文 the whole message"),
        ("字节 bytes", f"{entry['payload_bytes']}{kept}"),
        ("SHA-256", entry["payload_sha256"]),
    ):
        facts.add_row(label, escape(printable(str(value))))
    console.print(facts)
    console.print(f"\n[bold]说明 What was wrong[/bold]\n  {escape(printable(entry['detail']))}")
    if entry.get("retry") is not None:
        console.print(escape(_retried(entry).strip()))
    console.print(f"\n[bold]处理 What to do[/bold]\n  {escape(entry['remedy_zh'])}\n  {escape(entry['remedy_en'])}\n")
    text = entry["payload_base64"] if entry["payload_text"] is None else entry["payload_text"]
    title = "报文 payload (base64)" if entry["payload_text"] is None else "报文 payload"
    more = f"\n… --json 显示全部 --json shows all {len(text)} characters" if len(text) > _SHOWN_CHARACTERS else ""
    console.print(Panel(escape(printable(text[:_SHOWN_CHARACTERS]) + more), title=title, title_align="left"))
