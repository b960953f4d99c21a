"""`gridwarden law dry-run`: what other rule packs would change of what is stored."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer

from monitor.cli.opening import register_in_force, stop
from monitor.cli.register import Json
from monitor.supervise import ExitCode

if TYPE_CHECKING:
    from monitor.cli.access import SocketAccess
    from monitor.config.settings import Settings
    from monitor.dry_run.changes import Because, Change, Side
    from monitor.dry_run.service import Page, PageQuestion, Plan

PAGE_SIZE = 50
SHOWN = 200
"""Changes printed unless all are asked for."""

KINDS = {"limit": "能耗限额 limit", "power": "电价加价 surcharge", "water": "超定额用水 water"}
WHAT = {"appears": "+ 出现 appears", "vanishes": "- 消失 vanishes", "changes": "~ 改变 changes"}
ROWS = {"added": "+", "removed": "-", "changed": "~"}


class Runs(Protocol):
    """Who goes through the history: a running daemon, or this process."""

    def plan(self, first: dt.date | None, last: dt.date | None) -> Plan:
        """What there is to go through."""

    def page(self, asked: PageQuestion) -> Page:
        """What becomes of some enterprises."""


def dry_run(
    *,
    packs: Annotated[Path, typer.Option("--packs", help="Directory of packs to try, read after the shipped ones.")],
    first: Annotated[str | None, typer.Option("--from", help="First day, such as 2026-01-01.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last day, such as 2026-12-31.")] = None,
    state: Annotated[Path | None, typer.Option("--state", help="State directory; else the configuration's.")] = None,
    config: Annotated[Path | None, typer.Option("--config", "-c", help="Configuration file, TOML.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Print every change, however many.")] = False,
    as_json: Json = False,
) -> None:
    """Judge stored periods by other packs: which findings and flags appear, vanish or change, and why. Changes nothing.

    Compares with the packs in force: those of the running daemon, else those the configuration names.
    Exit code 65: packs at fault; 66: no such directory, or no history.
    """
    from monitor.cli.law import law_or_exit
    from monitor.config.settings import load_settings
    from monitor.dry_run.changes import counted
    from monitor.dry_run.service import PageQuestion, packs_of, pages_of

    span = (_day(first, "--from"), _day(last, "--to"))
    law = law_or_exit(packs)
    settings = load_settings(config)
    changes: list[Change] = []
    with _runs(settings, state or settings.daemon.state_dir) as runs:
        plan = runs.plan(*span)
        texts = packs_of(law)
        for names in pages_of(plan.enterprises, PAGE_SIZE):
            changes += runs.page(PageQuestion(texts, names, plan.periods)).changes
    if as_json:
        typer.echo(_answer(plan, law.version, counted(changes), changes))
        return
    for change in changes if every else changes[:SHOWN]:
        for line in lines_of(change):
            typer.echo(line)
    if not every and len(changes) > SHOWN:
        typer.echo(f"另有 {len(changes) - SHOWN} 处（--all） / more with --all")
    for kind, counts in counted(changes).items():
        told = "，".join(f"{WHAT[what]} {number}" for what, number in counts.items())
        typer.echo(f"{KINDS[kind]}: {told}")
    typer.echo(
        f"{len(plan.enterprises)} 家企业 enterprises, {len(plan.periods)} 个期间 periods: {plan.law} → {law.version}"
    )
    if not plan.periods:
        typer.echo("该范围内没有已存的判定。Nothing was judged in this range yet: wider --from and --to, or --state.")
    typer.echo("仅为试算，未作任何改变。A trial only; nothing was changed.")


def lines_of(change: Change) -> Iterator[str]:
    """A change for people: what, both sides with figures and citations, the rows behind it."""
    about = f" · {change.product} {change.metric}" if change.product else ""
    yield f"{WHAT[change.what]}  {change.period}  {change.uscc} {change.name} · {KINDS[change.kind]}{about}"
    yield from _side("原 before", change.before)
    yield from _side("新 after ", change.after)
    for row in change.because:
        yield from _because(row)


def _side(label: str, side: Side | None) -> Iterator[str]:
    if side is None:
        yield f"    {label}: 无判定 nothing is said"
        return
    row = " · ".join(part for part in (side.row, side.tier) if part)
    yield f"    {label}: {side.result}" + (f" [{row}]" if row else "") + f": {side.reason_zh}"
    yield f"        {side.reason_en}"
    money = [
        f"{value} {unit}"
        for value, unit in ((side.surcharge_cny_per_kwh, "元/千瓦时 CNY/kWh"), (side.amount_cny, "元 CNY"))
        if value is not None
    ]
    if money:
        yield f"        {', '.join(money)}"
    if side.citations:
        yield f"        {'; '.join(side.citations)}"


def _because(row: Because) -> Iterator[str]:
    yield f"    因为 because: {ROWS[row.what]} [[{row.section}]] {row.id} ({row.where})"
    for key, before, after in row.keys:
        yield f"        {key}: {before} → {after}"
    if row.more_keys:
        yield f"        另有 {row.more_keys} 项 / {row.more_keys} more keys: gridwarden law diff"


def _answer(plan: Plan, version: str, counts: dict[str, dict[str, int]], changes: list[Change]) -> str:
    import msgspec

    answer: dict[str, Any] = {
        "from": plan.law,
        "to": version,
        "enterprises": len(plan.enterprises),
        "periods": list(plan.periods),
        "counts": counts,
        "changes": msgspec.to_builtins(changes),
    }
    return json.dumps(answer, ensure_ascii=False)


def _day(text: str | None, option: str) -> dt.date | None:
    if text is None:
        return None
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        stop(f"{option}: {text!r} 不是日期，如 2026-01-01。 {text!r} is no date; write 2026-01-01.", ExitCode.USAGE)


@contextlib.contextmanager
def _runs(settings: Settings, state_dir: Path) -> Iterator[Runs]:
    """The daemon of a state directory where one runs, else this process under the directory's lock."""
    from monitor.cli.access import SocketAccess
    from monitor.history.history import HISTORY_NAME
    from monitor.ops.local_socket import SOCKET_NAME

    if (state_dir / SOCKET_NAME).exists():
        running = SocketAccess(state_dir)
        if running.answers():
            yield _Asked(running)
            return
    if not (state_dir / HISTORY_NAME).is_file():
        stop(f"{state_dir} 里还没有历史数据。No history in {state_dir}: give --state.", ExitCode.NO_INPUT)
    from monitor.dry_run.service import DryRuns
    from monitor.history.history import History
    from monitor.rule_packs import law_in_force
    from monitor.scope import scoped
    from monitor.storage import StateLock
    from monitor.tariffs.places import region_of

    daemon = settings.daemon.model_copy(update={"state_dir": state_dir})
    register = scoped(register_in_force(settings.model_copy(update={"daemon": daemon})), settings)
    law = law_in_force(settings.law)
    with contextlib.ExitStack() as stack:
        lock = StateLock.acquire(state_dir)
        stack.callback(lock.release)
        history = History.open(state_dir)
        stack.callback(history.close)
        yield DryRuns(state_dir, history.registers(register.zone), register, law, region_of(settings.daemon.district))


class _Asked:
    """A running daemon goes through its history."""

    def __init__(self, access: SocketAccess) -> None:
        self._access = access

    def plan(self, first: dt.date | None, last: dt.date | None) -> Plan:
        import msgspec

        from monitor.dry_run.service import Plan
        from monitor.ops.law_api import PLAN, PlanQuestion

        body = self._access.ask(PLAN, msgspec.to_builtins(PlanQuestion(first, last)))
        return msgspec.json.decode(body, type=Plan)

    def page(self, asked: PageQuestion) -> Page:
        import msgspec

        from monitor.dry_run.service import Page
        from monitor.ops.law_api import PAGE

        return msgspec.json.decode(self._access.ask(PAGE, msgspec.to_builtins(asked)), type=Page)
