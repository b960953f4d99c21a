"""`gridwarden demo`: everything on this machine, with a simulated county."""

from __future__ import annotations

import datetime as dt
import json
import logging
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer

from monitor.cli.opening import stop
from monitor.supervise import ExitCode

if TYPE_CHECKING:
    from rich.console import Console

    from monitor.demo.publisher import Progress as Published
    from monitor.demo.session import Score
    from monitor.desk.store import LeadChange

DAY_S = 6.0
CHANGE_ZH = {"raised": "新线索", "amended": "更新", "withdrawn": "撤回", "reopened": "恢复"}
CHANGE_STYLE = {"raised": "bold red", "amended": "dim", "withdrawn": "yellow", "reopened": "bold red"}


def demo(
    *,
    days: Annotated[int, typer.Option(min=2, max=90, help="Simulated days.")] = 14,
    seed: Annotated[int, typer.Option(min=0, help="Which county.")] = 7,
    sites: Annotated[int, typer.Option(min=40, max=5000, help="Sites of the county.")] = 240,
    exit_: Annotated[
        bool, typer.Option("--exit", help="Full speed, no terminal; leave at the end with one JSON line.")
    ] = False,
    day_s: Annotated[float, typer.Option(min=0.0, help="Real seconds a simulated day takes.")] = DAY_S,
    state: Annotated[
        Path | None, typer.Option("--state", help="Keep the state here (must be new); a passing one if left out.")
    ] = None,
) -> None:
    """Broker, simulated county and daemon on this machine: leads appear as they arise. Ctrl-C ends it."""
    from rich.console import Console

    from models.simulated.county import CountySpec
    from monitor.config.settings import LogSettings
    from monitor.demo.session import START, Demo, Watcher
    from monitor.logs import configure_logging

    with ExitStack() as stack:
        if state is not None and state.exists() and any(state.iterdir()):
            stop(f"{state} is not empty: the demo wants a new directory", ExitCode.CANNOT_CREATE)
        state_dir = state or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gridwarden-demo-")))
        state_dir.mkdir(parents=True, exist_ok=True)
        log_file = stack.enter_context((state_dir / "demo.log").open("w", encoding="utf-8"))
        configure_logging(LogSettings(level="info", format="json"), log_file)
        stack.callback(logging.getLogger().handlers.clear)
        screen = Screen(Console(stderr=exit_, highlight=False), quiet=exit_)
        spec = CountySpec(seed=seed, start=START, days=days, sites=sites)
        watcher = Watcher(screen.ready, screen.lead, screen.progress, screen.done)
        try:
            with screen:
                run = Demo(spec, state_dir, watcher, day_s=0.0 if exit_ else day_s, stay=not exit_)
                screen.begin(spec, state_dir)
                code, score = run.run()
        except KeyboardInterrupt:
            code, score = ExitCode.OK, None
        screen.ended()
    if exit_ and score is not None:
        typer.echo(json.dumps(score.as_dict()))
    if exit_ and score is None and code is ExitCode.OK:
        code = ExitCode.TEMPORARY
    raise typer.Exit(code)


class Screen:
    """The demo's terminal: leads as lines, the simulated time as a bar."""

    def __init__(self, console: Console, *, quiet: bool) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self._console = console
        self._quiet = quiet
        self._announced = False
        self._bar = Progress(
            TextColumn("模拟时间 [bold]{task.fields[now]}[/]"),
            BarColumn(bar_width=30),
            TextColumn("量测 {task.fields[readings]:,}  线索 {task.fields[leads]}"),
            TimeElapsedColumn(),
            console=console,
            disable=quiet or not console.is_terminal,
        )
        self._task = self._bar.add_task("demo", total=1, now="…", readings=0, leads=0)
        self._first_ms = 0
        self._leads: set[str] = set()
        self._told_day: dt.date | None = None

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def begin(self, spec: Any, state_dir: Path) -> None:
        """What is about to run."""
        if self._quiet:
            return
        self._print(f"[bold]GridWarden 演示 demo[/]  {spec.sites} 个厂区，{spec.days} 天，种子 {spec.seed}")
        self._print(f"另开终端查看 in another terminal: gridwarden leads list --state {state_dir}", style="dim")
        span_ms = spec.days * 86_400_000
        self._first_ms = int(dt.datetime.combine(spec.start, dt.time(), dt.UTC).timestamp() * 1000) - 8 * 3_600_000
        self._bar.update(self._task, total=span_ms)

    def ready(self, broker_port: int, ops_port: int) -> None:
        """The daemon is up."""
        if self._announced or self._quiet:
            return
        self._announced = True
        self._print(f"MQTT 127.0.0.1:{broker_port}   http://127.0.0.1:{ops_port}/metrics   /healthz   /readyz")
        self._print("Ctrl-C 结束 ends the demo", style="dim")
        self._print("迹象：用电迹象 electrical evidence；不符：与登记不符 mismatch with the register", style="dim")

    def lead(self, change: LeadChange) -> None:
        """A lead changed; amendments are too many for a terminal and stay in the log."""
        self._leads.add(change.lead_id)
        self._bar.update(self._task, leads=len(self._leads))
        if self._quiet or change.change.value == "amended":
            return
        lead = change.lead
        name = lead["enterprise"]["name"] if lead.get("enterprise") else change.subject
        self._print(
            f"[{CHANGE_STYLE[change.change.value]}]{CHANGE_ZH[change.change.value]}[/] "
            f"{lead['last_night']} 夜 {lead['title']['zh']} {name}（{change.subject}） "
            f"迹象 {lead['score']:.2f} 不符 {lead['mismatch']:.2f} [dim]{change.lead_id}[/]"
        )

    def progress(self, published: Published, settled: int) -> None:
        """Readings came in."""
        if published.arrival_ms == 0:
            return
        now = dt.datetime.fromtimestamp(published.arrival_ms / 1000.0, dt.timezone(dt.timedelta(hours=8)))
        done_ms = published.arrival_ms - self._first_ms
        self._bar.update(self._task, completed=done_ms, now=f"{now:%Y-%m-%d %H:%M}", readings=settled)
        if self._quiet or self._console.is_terminal or now.date() == self._told_day:
            return
        self._told_day = now.date()
        self._print(f"模拟时间 {now:%Y-%m-%d}  量测 {settled:,}  线索 {len(self._leads)}", style="dim")

    def done(self, score: Score) -> None:
        """The last day is over."""
        if self._quiet:
            return
        self._print(
            f"[bold green]完成 done[/] 发布量测 {score.published:,} 条 = 入库 {score.stored:,} + "
            f"重复 {score.duplicate:,} + 矛盾 {score.conflict:,} + 隔离 {score.quarantined:,}；丢失 {score.lost}"
        )
        self._print(
            f"未登记的感应炉厂区 {score.furnaces} 个，找到 {score.found} 个；无炉厂区误报 {score.false_leads} 条"
            f"（共 {score.site_weeks:.0f} 厂区·周）"
        )
        self._print(f"线索：{_by_kind(score.leads)}；用时 {score.seconds:.0f} 秒")
        self._print("仍在运行，可查看线索和指标；Ctrl-C 结束 still running, Ctrl-C ends it", style="dim")

    def ended(self) -> None:
        """The daemon has stopped."""
        if not self._quiet:
            self._print(f"已结束 ended，线索 leads {len(self._leads)}")

    def _print(self, text: str, style: str | None = None) -> None:
        self._bar.console.print(text, style=style, soft_wrap=True)


def _by_kind(counts: Mapping[str, int]) -> str:
    from monitor.lead_texts import WORDINGS

    return "、".join(f"{wording.title.zh} {counts.get(kind.value, 0)}" for kind, wording in WORDINGS.items())
