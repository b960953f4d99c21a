"""`gridwarden leads`: what was raised, for people at a terminal."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from models.domain.leads import LeadKind, LeadState
from monitor.cli import lead_acts
from monitor.cli.chinese_lines import chinese_lines
from monitor.cli.evidence import evidence
from monitor.cli.lead_export import all_leads, export, of_district
from monitor.cli.opening import access_to
from monitor.supervise import ExitCode

app = typer.Typer(help="线索 Leads: list, show, handle and export them.", no_args_is_help=True)

StateDir = Annotated[Path, typer.Option("--state", metavar="DIR", help="State directory of the daemon.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

_GAPS: Final = {
    "downtime": ("本系统停机，代理保存的数据事后补收", "we were down; what the broker kept came later"),
    "session_lost": ("代理未保存会话，其间数据可能缺失", "the broker kept no session; readings may be missing"),
}
_STATES: Final = {
    LeadState.OPEN.value: "待核查",
    LeadState.CLAIMED.value: "已认领",
    LeadState.DISMISSED.value: "已排除",
    LeadState.ESCALATED.value: "已立案",
    LeadState.STALE.value: "已陈旧",
    LeadState.WITHDRAWN.value: "已撤回",
}
_STATUSES: Final = {"operating": "在产", "closed": "关停", "power_cut": "断电"}
_CHANGES: Final = {"raised": "提出", "amended": "修订", "withdrawn": "撤回", "reopened": "重新提出"}
_ACTS: Final = {
    "claim": "认领",
    "release": "退回",
    "dismiss": "排除",
    "reopen": "重新打开",
    "stale": "标为陈旧",
    "wake": "恢复",
}
_DELIVERIES: Final = {
    "sent": "已送达",
    "pending": "待发送",
    "sending": "发送中",
    "needs_person": "被拒收，需人工处理",
    "abandoned": "已放弃",
}


app.command("evidence")(evidence)


@app.command("list")
def list_command(
    state_dir: StateDir = Path("state"),
    kind: Annotated[LeadKind | None, typer.Option(help="Only leads of this kind.")] = None,
    lead_state: Annotated[LeadState | None, typer.Option(help="Only leads in this state.")] = None,
    site: Annotated[str | None, typer.Option(help="Only leads of this site.")] = None,
    month: Annotated[str | None, typer.Option(metavar="YYYY-MM", help="Only leads of this month.")] = None,
    district: Annotated[
        str | None, typer.Option(metavar="ID", help="Only enterprises the imported register puts into this district.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Most leads to print.")] = 50,
    as_json: AsJson = False,  # noqa: FBT002 - a command-line switch
) -> None:
    """Leads, the latest night first."""
    filters = {"kind": kind, "state": lead_state, "site": site, "month": month}
    given = {name: str(value) for name, value in filters.items() if value is not None}
    access = access_to(state_dir)
    if district is None:
        leads = access.leads(**given, limit=limit)
    else:
        leads = list(itertools.islice(of_district(all_leads(access, given), district, state_dir), limit))
    if as_json:
        typer.echo(json.dumps(leads, ensure_ascii=False, indent=2))
        return
    _print_table(leads)


@app.command("show")
def show_command(
    lead_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the lead, as `leads list` prints it.")],
    state_dir: StateDir = Path("state"),
    as_json: AsJson = False,  # noqa: FBT002 - a command-line switch
) -> None:
    """One lead: what was seen, what to check, the evidence and the trail."""
    lead = access_to(state_dir).lead(lead_id)
    if lead is None:
        typer.echo(f"没有线索 {lead_id}。No lead {lead_id}: see `gridwarden leads list`.", err=True)
        raise typer.Exit(ExitCode.NO_INPUT)
    if as_json:
        typer.echo(json.dumps(lead, ensure_ascii=False, indent=2))
        return
    _print_lead(lead)


lead_acts.add_to(app)
app.command("export")(export)


def _print_table(leads: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    if not leads:
        console.print("没有线索。No leads.")
        return
    table = Table(title="线索 Leads", title_justify="left", show_lines=True)
    table.add_column("编号 id\n状态 state", no_wrap=True)
    table.add_column("类型 kind\n夜 nights", no_wrap=True)
    table.add_column("企业 enterprise\n厂区 site", ratio=1, min_width=12, overflow="fold")
    table.add_column("迹象 score\n不符 mismatch", justify="right", no_wrap=True)
    for lead in leads:
        nights = len({entry["night"] for entry in lead["nights"]})
        who = (lead["enterprise"] or {}).get("name") or lead["site"]["name"] or "-"
        table.add_row(
            escape(f"{lead['id']}\n{_handling(lead)}"),
            escape(f"{lead['title']['zh']}\n{nights} 夜，至 {lead['last_night'][5:]}"),
            escape(f"{who}\n{lead['site']['id']}"),
            f"{lead['score']:.2f}\n{lead['mismatch']:.2f}",
        )
    console.print(table)
    console.print("线索不是结论。详情 details: gridwarden leads show ID --state DIR", style="dim")
    stuck = sum("needs_person" in lead.get("delivery", {}).values() for lead in leads)
    if stuck:
        console.print(f"{stuck} 条线索的通知被拒收，需人工处理。Notices of {stuck} lead(s) were refused.", style="red")


def _print_lead(lead: dict[str, Any]) -> None:
    from rich.console import Console, Group
    from rich.markup import escape
    from rich.panel import Panel
    from rich.table import Table

    def text(value: object) -> str:
        return "-" if value is None or value == "" else escape(str(value))

    console = Console()
    enterprise = lead["enterprise"] or {}
    facts = Table.grid(padding=(0, 2))
    for label, value in (
        ("编号 id", lead["id"]),
        (
            "状态 state",
            f"{_STATES[lead['state']]} {lead['state']}，第 {lead['revision']} 版 rev. {lead['revision']}{_also(lead)}",
        ),
        ("企业 enterprise", f"{enterprise.get('name') or '-'} {enterprise.get('uscc') or ''}"),
        ("行业 trade (GB/T 4754)", enterprise.get("trade")),
        ("登记状态 status", _registered(enterprise)),
        ("厂区 site", f"{lead['site']['name'] or '-'} {lead['site']['id']} {lead['site']['address'] or ''}"),
        ("电表 meters", "、".join(lead["meters"])),
        ("夜 nights", f"{len({n['night'] for n in lead['nights']})} 夜，{lead['first_night']} … {lead['last_night']}"),
        ("用电迹象 score", f"{lead['score']:.2f}"),
        ("概率 probability", "-" if lead["probability"] is None else f"{lead['probability']:.2f}"),
        ("与登记不符 mismatch", f"{lead['mismatch']:.2f}"),
        ("上月线索 previous", lead["previous"]),
    ):
        facts.add_row(label, text(value))
    summary_zh = chinese_lines(lead["summary"]["zh"], console.width - 4)
    summary = Group(escape(summary_zh), "", escape(lead["summary"]["en"]))
    console.print(Panel(summary, title=f"{lead['title']['zh']} {lead['title']['en']}", title_align="left"))
    console.print(facts)
    console.print("\n[bold]依据 Because[/bold]（最明显的一夜 of the strongest night）")
    console.print(_numbered([(reason["zh"], reason["en"]) for reason in lead["reasons"]], console.width))
    console.print("\n[bold]现场核查 What to check[/bold]")
    console.print(
        _numbered(list(zip(lead["what_to_check"]["zh"], lead["what_to_check"]["en"], strict=True)), console.width)
    )
    console.print()
    console.print(_evidence_table(lead))
    console.print(_trail_table(lead))
    if lead.get("history"):
        console.print(_history_table(lead))
    for silence in lead.get("silences", ()):
        console.print(escape(_silence_line(silence)))
    for gap in lead.get("gaps", ()):
        console.print(escape(_gap_line(gap)))


def _handling(lead: dict[str, Any]) -> str:
    """State in a word, with who holds the lead, and that it is silenced."""
    who = f" {lead['handled_by']}" if lead["state"] in ("claimed", "dismissed") and lead.get("handled_by") else ""
    silenced = f"\n静默 {lead['silenced']}" if lead.get("silenced") else ""
    return f"{_STATES[lead['state']]}{who}{silenced}"


def _also(lead: dict[str, Any]) -> str:
    """What one word for the state leaves out: the machine took it back meanwhile, or a silence is over it."""
    withdrawn = lead["standing"] == "withdrawn" and lead["state"] != "withdrawn"
    parts = ["，系统已撤回 withdrawn by the system" if withdrawn else ""]
    if lead.get("silenced"):
        parts.append(f"，静默 {lead['silenced']} silenced")
    return "".join(parts)


def _gap_line(gap: dict[str, Any]) -> str:
    zh, en = _GAPS[gap["cause"]]
    start, end = (gap[name][:16].replace("T", " ") for name in ("from", "to"))
    return f"接收缺口 gap (UTC) {start} … {end}：{zh}；{en}"


def _silence_line(silence: dict[str, Any]) -> str:
    over = "生效 in force" if silence["in_force"] else f"已结束 over since {(silence['ended_at'] or '')[:10]}"
    return (
        f"静默 silence {silence['id']}：{silence['scope']} {silence['target']}，至 until {silence['until']}，{over}；"
        f"{silence['requested_by']} / {silence['approved_by']}：{silence['reason']}"
    )


def _history_table(lead: dict[str, Any]) -> Any:
    """Who did what to the lead, when and why."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(title="处理 Handling", title_justify="left")
    for heading in ("时间 at (UTC)", "何人 by", "做了什么 act", "版 revision", "理由 reason"):
        table.add_column(heading, overflow="fold")
    for entry in lead["history"]:
        word = entry["action"].removeprefix("lead.")
        table.add_row(
            entry["at"][:19].replace("T", " "),
            escape(entry["by"]),
            f"{_ACTS.get(word, '')} {word}",
            str(entry["revision"]),
            escape(entry["reason"] or ""),
        )
    return table


def _registered(enterprise: dict[str, Any]) -> str:
    """The registered status as the register's sheets call it, with its date."""
    status = enterprise.get("status")
    if not status:
        return "-"
    since = f"，自 {enterprise['since']} 起 since {enterprise['since']}" if enterprise.get("since") else ""
    return f"{_STATUSES.get(status, status)} {status}{since}"


def _numbered(lines: list[tuple[str, str]], width: int) -> Any:
    """Numbered Chinese lines, each with its English below it."""
    from rich.markup import escape
    from rich.table import Table

    grid = Table.grid(padding=(0, 1))
    grid.add_column(justify="right", min_width=4)
    grid.add_column(ratio=1)
    for number, (zh, en) in enumerate(lines, 1):
        grid.add_row(f"{number}.", f"{escape(chinese_lines(zh, width - 6))}\n[dim]{escape(en)}[/dim]")
    return grid


def _evidence_table(lead: dict[str, Any]) -> Any:
    from rich.markup import escape
    from rich.table import Table

    table = Table(title="证据 Evidence", title_justify="left")
    for heading in ("夜 night", "电表 meter", "迹象 score", "量测摘要 readings digest"):
        table.add_column(heading)
    for entry in lead["nights"]:
        table.add_row(entry["night"], escape(entry["meter"]), f"{entry['score']:.2f}", entry["digest"][:16])
    versions = ", ".join(f"{name} {version[:12]}" for name, version in sorted(lead["versions"].items()))
    table.caption = escape(f"版本 versions: {versions}")
    return table


def _trail_table(lead: dict[str, Any]) -> Any:
    from rich.markup import escape
    from rich.table import Table

    table = Table(title="记录 Trail", title_justify="left")
    for heading in ("版 revision", "变化 change", "记录时间 recorded (UTC)", "送达 delivery"):
        table.add_column(heading)
    told = _told(lead)
    for revision in lead["revisions"]:
        damaged = "" if revision["intact"] else " [red]内容已损坏 damaged[/red]"
        change = f"{_CHANGES[revision['change']]} {revision['change']}{damaged}"
        recorded = revision["recorded_at"][:19].replace("T", " ")
        delivery = told.get(revision["revision"], "") or _held(revision)
        table.add_row(str(revision["revision"]), change, recorded, escape(delivery))
    return table


def _held(revision: dict[str, Any]) -> str:
    """That a silence held a revision's notice back, and whether receivers were brought up to date since."""
    if revision.get("held") is None:
        return ""
    since = revision["told_after_silence_at"]
    later = "" if since is None else f"；已于 settled {since[:10]}"
    return f"静默 {revision['held']}，未发送 held back{later}"


def _told(lead: dict[str, Any]) -> dict[int, str]:
    """By revision, what became of its notices."""
    lines: dict[int, list[str]] = {}
    for notice in lead["notices"]:
        note = f"（{notice['note']}）" if notice["note"] and notice["state"] != "sent" else ""
        lines.setdefault(notice["revision"], []).append(f"{notice['sink']} {_DELIVERIES[notice['state']]}{note}")
    return {revision: "\n".join(told) for revision, told in lines.items()}
