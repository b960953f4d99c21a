"""`gridwarden leads claim|release|dismiss|reopen|silence|unsilence|silences`: what people do with leads."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from models.domain.leads import LeadKind
from monitor.cli.acting import AsJson, By, Reason, StateDir, act, print_json, whoever
from monitor.cli.opening import access_to, stop
from monitor.supervise import ExitCode

LeadId = Annotated[str, typer.Argument(metavar="ID", help="Id of the lead, as `leads list` prints it.")]
MayReason = Annotated[str | None, typer.Option("--reason", metavar="TEXT", help="Why; kept in the audit log.")]

_STATES: Final = {
    "open": "待核查",
    "claimed": "已认领",
    "dismissed": "已排除",
    "stale": "已陈旧",
    "withdrawn": "已撤回",
    "escalated": "已立案",
}
_SCOPES: Final = {"lead": "线索", "site": "厂区", "meter": "电表", "enterprise": "企业"}


def add_to(app: typer.Typer) -> None:
    """Put these commands into the group `leads`."""
    for name, command in (
        ("claim", claim),
        ("release", release),
        ("dismiss", dismiss),
        ("reopen", reopen),
        ("silence", silence),
        ("unsilence", unsilence),
        ("silences", silences),
    ):
        app.command(name)(command)


def claim(lead_id: LeadId, state_dir: StateDir = Path("state"), by: By = None, as_json: AsJson = False) -> None:  # noqa: FBT002
    """认领 Take up an open or stale lead: its state becomes `claimed`, under your name."""
    _move("leads_claim", lead_id, state_dir, by, None, as_json=as_json)


def release(
    lead_id: LeadId,
    state_dir: StateDir = Path("state"),
    by: By = None,
    reason: MayReason = None,
    as_json: AsJson = False,  # noqa: FBT002 - a command-line switch
) -> None:
    """退回 Give a claimed lead back: it is open again. Somebody else's takes a reason."""
    _move("leads_release", lead_id, state_dir, by, reason, as_json=as_json)


def dismiss(
    lead_id: LeadId,
    reason: Reason,
    state_dir: StateDir = Path("state"),
    by: By = None,
    as_json: AsJson = False,  # noqa: FBT002 - a command-line switch
) -> None:
    """排除 Settle a lead that needs nothing further, with the reason. `leads reopen` undoes it."""
    _move("leads_dismiss", lead_id, state_dir, by, reason, as_json=as_json)


def reopen(
    lead_id: LeadId,
    reason: Reason,
    state_dir: StateDir = Path("state"),
    by: By = None,
    as_json: AsJson = False,  # noqa: FBT002 - a command-line switch
) -> None:
    """重新打开 Undo a dismissal, or take a lead out of `stale`: it is open again."""
    _move("leads_reopen", lead_id, state_dir, by, reason, as_json=as_json)


def silence(
    reason: Reason,
    until: Annotated[str, typer.Option(metavar="DATE", help="Last local day, YYYY-MM-DD; at most a year ahead.")],
    approved_by: Annotated[str, typer.Option(metavar="NAME", help="Who approved it; not who asks for it.")],
    state_dir: StateDir = Path("state"),
    lead: Annotated[str | None, typer.Option(metavar="ID", help="Silence this lead.")] = None,
    site: Annotated[str | None, typer.Option(metavar="ID", help="Silence leads of this site.")] = None,
    meter: Annotated[str | None, typer.Option(metavar="ID", help="Silence leads on this meter alone.")] = None,
    enterprise: Annotated[str | None, typer.Option(metavar="USCC", help="Silence leads of this enterprise.")] = None,
    kind: Annotated[LeadKind | None, typer.Option(help="Kind of lead; needed but for --lead.")] = None,
    by: By = None,
    as_json: AsJson = False,  # noqa: FBT002 - a command-line switch
) -> None:
    """静默 Hold notices back until a day. Findings and leads are made as ever; when it ends, receivers hear once."""
    named = {"lead": lead, "site": site, "meter": meter, "enterprise": enterprise}
    given = {scope: target for scope, target in named.items() if target is not None}
    if len(given) != 1:
        stop(
            "请在 --lead、--site、--meter、--enterprise 中选一个。Name one of --lead, --site, --meter, --enterprise.",
            ExitCode.USAGE,
        )
    try:
        dt.date.fromisoformat(until)
    except ValueError:
        stop(f"--until 须为日期 YYYY-MM-DD：{until}。--until takes a date, YYYY-MM-DD.", ExitCode.USAGE)
    ((scope, target),) = given.items()
    arguments: dict[str, Any] = {
        "scope": scope,
        "target": target.upper() if scope == "enterprise" else target,
        "kind": None if kind is None else kind.value,
        "until": until,
        "reason": reason,
        "by": whoever(by),
        "approved_by": approved_by,
    }
    made = act(state_dir, "leads_silence", arguments)
    if as_json:
        print_json(made)
        return
    typer.echo(
        f"静默 {made['id']}：{_SCOPES[made['scope']]} {made['target']}（{made['kind']}），至 {made['until']}。"
        f"Silence {made['id']} over {made['scope']} {made['target']} until the end of {made['until']}."
    )


def unsilence(
    number: Annotated[int, typer.Argument(metavar="NUMBER", min=1, help="As `leads silences` prints it.")],
    reason: Reason,
    state_dir: StateDir = Path("state"),
    by: By = None,
    as_json: AsJson = False,  # noqa: FBT002 - a command-line switch
) -> None:
    """解除静默 End a silence before its day."""
    ended = act(state_dir, "leads_unsilence", {"number": number, "by": whoever(by), "reason": reason})
    if as_json:
        print_json(ended)
        return
    typer.echo(f"静默 {number} 已解除。Silence {number} is over.")


def silences(
    state_dir: StateDir = Path("state"),
    ended: Annotated[bool, typer.Option("--ended", help="Also those that are over.")] = False,  # noqa: FBT002
    as_json: AsJson = False,  # noqa: FBT002 - a command-line switch
) -> None:
    """静默清单 Silences in force, with who asked, who approved, why, and until when."""
    rows = access_to(state_dir).silences(ended=ended)
    if as_json:
        print_json(rows)
        return
    _print_silences(rows)


def _move(name: str, lead_id: str, state_dir: Path, by: str | None, reason: str | None, *, as_json: bool) -> None:
    done = act(state_dir, name, {"lead": lead_id, "by": whoever(by), "reason": reason})
    if as_json:
        print_json(done)
        return
    typer.echo(
        f"线索 {done['id']} {_STATES[done['state']]}，{done['handled_by']}。"
        f"Lead {done['id']} is {done['state']}, by {done['handled_by']}."
    )


def _print_silences(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    if not rows:
        console.print("没有静默。No silence.")
        return
    table = Table(title="静默 Silences", title_justify="left", show_lines=True)
    table.add_column("编号 number", justify="right", no_wrap=True)
    table.add_column("对象 over\n类型 kind", overflow="fold")
    table.add_column("至 until", no_wrap=True)
    table.add_column("申请 asked by\n批准 approved by", overflow="fold")
    table.add_column("理由 reason", ratio=1, overflow="fold")
    for row in rows:
        over = "" if row["ended_at"] is None else f"\n{row['ended_by']} {row['ended_at'][:10]}"
        state = "生效 in force" if row["in_force"] else f"已结束 over{over}"
        table.add_row(
            str(row["id"]),
            escape(f"{_SCOPES[row['scope']]} {row['target']}\n{row['kind']}"),
            escape(f"{row['until']}\n{state}"),
            escape(f"{row['requested_by']}\n{row['approved_by']}"),
            escape(row["reason"] if row["ended_reason"] is None else f"{row['reason']}\n→ {row['ended_reason']}"),
        )
    console.print(table)
