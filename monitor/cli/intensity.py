"""`gridwarden intensity`: energy per product against the limit in force."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from monitor.cli.acting import StateDir, print_json
from monitor.cli.law import Packs, law_or_exit
from monitor.cli.opening import access_to, stop
from monitor.cli.register import Json, fail
from monitor.supervise import ExitCode

Row = dict[str, Any]

app = typer.Typer(
    help="单耗 Intensity: energy per product against the limit in force.",
    invoke_without_command=True,
    no_args_is_help=True,
)


class Shown(StrEnum):
    """Statuses a list may be limited to."""

    MEETS = "meets"
    EXCEEDS = "exceeds"
    UNDETERMINED = "undetermined"
    NEEDS_DATA = "needs_data"
    NEEDS_REVIEW = "needs_review"


@app.callback()
def show(
    context: typer.Context,
    *,
    enterprise: Annotated[
        str | None, typer.Option("--enterprise", metavar="USCC", help="Unified social credit code.")
    ] = None,
    period: Annotated[
        str | None, typer.Option("--period", metavar="PERIOD", help="2026-03, 2026-Q1, 2026 or two dates with '..'.")
    ] = None,
    product: Annotated[str | None, typer.Option("--product", help="Only this product, by id or Chinese name.")] = None,
    state_dir: StateDir = Path("state"),
    as_json: Json = False,
) -> None:
    """单耗 One enterprise and period: verdict, calculation, revisions, and a forecast while the period runs.

    A month or year that was not judged yet, and any other period, is judged as the data stand while a daemon runs.

    Exit code 0: judged, whatever the verdict; 64: an option is missing; 65: no such period; 66: nothing is known.
    """
    if context.invoked_subcommand is not None:
        return
    if enterprise is None or period is None:
        stop("请给出 --enterprise 和 --period。Give --enterprise and --period.", ExitCode.USAGE)
    found = _asked(state_dir, "intensity", {"enterprise": enterprise, "period": period, "product": product})
    if as_json:
        print_json(found)
        return
    _print(found, enterprise, period)


@app.command("list")
def list_(
    *,
    period: Annotated[str, typer.Option("--period", metavar="PERIOD", help="A month or year, such as 2026-03.")],
    status: Annotated[Shown | None, typer.Option("--status", help="Only verdicts of this status.")] = None,
    state_dir: StateDir = Path("state"),
    as_json: Json = False,
) -> None:
    """列表 What stands of every enterprise in a period, and forecasts while it runs."""
    found = _asked(state_dir, "intensity_list", {"period": period, "status": status})
    if as_json:
        print_json(found)
        return
    for one in found["items"]:
        actual, limit = (_short(one.get(name)) for name in ("actual", "corrected_limit"))
        typer.echo(
            f"{one['enterprise']}  {one['product_zh']} {one['metric_zh']}  {one['status_zh']} {one['result']}  "
            f"{actual} (限额 limit {limit}) {one['unit'] or ''}"
        )
    for one in found["forecasts"]:
        chance = "-" if one["probability"] is None else f"{one['probability']:.0%}"
        typer.echo(
            f"{one['enterprise']}  {one['product']} {one['metric']}  【预测 forecast】{one['expected']:g} "
            f"{one['unit'] or ''}，超限概率 probability to exceed {chance}"
        )
    if not found["items"] and not found["forecasts"]:
        typer.echo(f"{period} 还没有判定。Nothing is judged of {period} yet.")


def _asked(state_dir: Path, name: str, arguments: Row) -> Row:
    """From the running daemon, else from the desk as it stands."""
    from monitor.cli.access import SocketAccess
    from monitor.desk.database import read_desk
    from monitor.intensity.requests import SHOW, listed, period_of, stored

    asked = period_of(arguments["period"])
    access = access_to(state_dir)
    if isinstance(access, SocketAccess):
        return access.command(name, arguments)
    engine = read_desk(state_dir)
    try:
        with engine.connect() as connection:
            if name == SHOW:
                return stored(connection, arguments["enterprise"], asked, arguments["product"])
            return listed(connection, arguments)
    finally:
        engine.dispose()


def _short(number: str | None) -> str:
    from decimal import Decimal

    from models.law.numbers import shown

    return "-" if number is None else shown(Decimal(number))


def _print(found: Row, enterprise: str, period: str) -> None:
    from monitor.intensity.lines import forecast_lines, trail_lines, verdict_body_lines

    if not found["items"] and not found["forecasts"]:
        stop(
            f"{enterprise} 在 {period} 没有可判定的产品（守护进程运行时可即时计算）。"
            f"Nothing is known of {enterprise} in {period}; a running daemon works it out at once.",
            ExitCode.NO_INPUT,
        )
    typer.echo(f"{enterprise}  {period}")
    for body in found["items"]:
        typer.echo("")
        for line in verdict_body_lines(body):
            typer.echo(line)
    for body in found["forecasts"]:
        typer.echo("")
        for line in forecast_lines(body):
            typer.echo(line)
    for line in trail_lines(found["trail"]):
        typer.echo(line)


@app.command("explain")
def explain(
    *,
    facts: Annotated[Path, typer.Option("--facts", help="Facts of the case, TOML; examples: models/law/examples.")],
    packs: Packs = None,
    as_json: Json = False,
) -> None:
    """Judge a case given by hand: the verdict, each step of the arithmetic, the citation.

    Exit code 0: judged, whatever the verdict; 65: the facts or the packs are at fault; 66: no such file.
    """
    from models.law.case import read_case
    from models.law.conversion import ConversionError
    from models.law.explain import verdict_json, verdict_lines
    from models.law.faults import LawFaults
    from models.law.judge import judge_limits

    law = law_or_exit(packs)
    try:
        verdicts = judge_limits(law, read_case(facts, law))
    except LawFaults as error:
        for fault in error.faults:
            typer.echo(str(fault), err=True)
        raise typer.Exit(ExitCode.DATA) from None
    except ConversionError as error:
        fail(f"{facts}: {error}", ExitCode.DATA)
    except OSError as error:
        fail(f"{facts}: {error.strerror or error}. 请给出事实文件 / name a facts file.", ExitCode.NO_INPUT)
    if as_json:
        answers = [verdict_json(verdict) for verdict in verdicts]
        single = answers[0] if len(answers) == 1 else {}
        typer.echo(json.dumps({**single, "verdicts": answers}, ensure_ascii=False))
        return
    for index, verdict in enumerate(verdicts):
        if index:
            typer.echo("")
        for line in verdict_lines(verdict):
            typer.echo(line)
