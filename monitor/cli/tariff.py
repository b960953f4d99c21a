"""`gridwarden tariff`: which surcharge follows, with the clause and the arithmetic."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated

import typer

from monitor.cli.acting import StateDir
from monitor.cli.law import Packs, law_or_exit
from monitor.cli.register import Json, fail
from monitor.cli.tariff_lists import list_flags, reconcile_billed
from monitor.supervise import ExitCode

app = typer.Typer(help="加价 Tariff: the electricity surcharge that follows, and why.", no_args_is_help=True)


@app.callback(invoke_without_command=True)
def _enterprise(
    context: typer.Context,
    *,
    enterprise: Annotated[
        str | None, typer.Option("--enterprise", metavar="USCC", help="Show the flags of this enterprise.")
    ] = None,
    period: Annotated[
        str | None, typer.Option("--period", metavar="PERIOD", help="Of this month, 2026-03, or year, 2026.")
    ] = None,
    intensity: Annotated[
        str | None, typer.Option("--intensity", help="What if the consumption were this: 13511, or METRIC=13511.")
    ] = None,
    as_of: Annotated[
        str | None, typer.Option("--as-of", help="What if it were this year (2023), or by the rules of this day.")
    ] = None,
    state_dir: StateDir = Path("state"),
    packs: Packs = None,
    as_json: Json = False,
) -> None:
    """With --enterprise and --period: what follows for an enterprise, each revision, the arithmetic, the citation.

    Exit code 0: shown; 64: an option cannot be read; 66: there is no flag.
    """
    if context.invoked_subcommand is not None:
        return
    if enterprise is None or period is None:
        fail("请给出 --enterprise 和 --period / give --enterprise and --period, or a command: --help", ExitCode.USAGE)
    from monitor.cli.tariff_flags import show_enterprise

    show_enterprise(
        state_dir,
        enterprise,
        period,
        intensity=_intensity(intensity),
        as_of=_as_of(as_of),
        packs=packs,
        as_json=as_json,
    )


app.command("list")(list_flags)
app.command("reconcile")(reconcile_billed)


@app.command("explain")
def explain(
    *,
    facts: Annotated[
        Path, typer.Option("--facts", help="Facts of the case, TOML; examples: models/law/examples/tariff.")
    ],
    intensity: Annotated[
        str | None,
        typer.Option("--intensity", help="What if the consumption were this: 13511, or METRIC=13511."),
    ] = None,
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", help="What if it were this year (2023), or by the rules of this day (2023-06-01)."),
    ] = None,
    packs: Packs = None,
    as_json: Json = False,
) -> None:
    """Judge a case given by hand: rule, tier, surcharge, amount, each step of the arithmetic, the citation.

    Exit code 0: judged, whatever the verdict; 64: an option cannot be read; 65: the facts or the packs are at fault;
    66: no such file.
    """
    from models.law.conversion import ConversionError
    from models.law.explain import verdict_lines as limit_lines
    from models.law.faults import LawFaults
    from models.law.tariff_explain import judgement_json, judgement_lines
    from models.law.tariff_file import file_what_if, judge_file, read_tariff

    metric, value = _intensity(intensity)
    when = _as_of(as_of)
    law = law_or_exit(packs)
    try:
        file = read_tariff(facts, law)
    except LawFaults as error:
        for fault in error.faults:
            typer.echo(str(fault), err=True)
        raise typer.Exit(ExitCode.DATA) from None
    except OSError as error:
        fail(f"{facts}: {error.strerror or error}. 请给出事实文件 / name a facts file.", ExitCode.NO_INPUT)
    try:
        file = file_what_if(file, intensity=value, metric=metric, as_of=when)
    except ValueError as error:
        fail(f"--intensity: {error}. 写作 METRIC=13511 / write METRIC=13511", ExitCode.USAGE)
    try:
        judged = judge_file(law, file)
    except ConversionError as error:
        fail(f"{facts}: {error}", ExitCode.DATA)
    if as_json:
        typer.echo(json.dumps(judgement_json(file.facts, judged.tariff, judged.limit), ensure_ascii=False))
        return
    if judged.limit is not None:
        for line in limit_lines(judged.limit):
            typer.echo(line)
        typer.echo("")
    for line in judgement_lines(file.facts, judged.tariff, judged.limit):
        typer.echo(line)


def _intensity(given: str | None) -> tuple[str | None, Decimal | None]:
    if given is None:
        return None, None
    metric, sign, number = given.rpartition("=")
    try:
        value = Decimal(number)
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite():
        fail(f"--intensity: {number!r} 不是数 / is not a number; 13511 或 METRIC=13511", ExitCode.USAGE)
    return (metric if sign else None), value


def _as_of(given: str | None) -> date | int | None:
    if given is None:
        return None
    try:
        return int(given) if given.isdigit() and len(given) == 4 else date.fromisoformat(given)
    except ValueError:
        fail(f"--as-of: {given!r} 不是年份或日期 / is no year or day; 2023 或 2023-06-01", ExitCode.USAGE)
