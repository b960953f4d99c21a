"""`gridwarden intensity`: energy per product against the limit in force."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from monitor.cli.law import Packs, law_or_exit
from monitor.cli.register import Json, fail
from monitor.supervise import ExitCode

app = typer.Typer(help="单耗 Intensity: energy per product against the limit in force.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keeps `explain` a sub-command, also while it is the only one."""


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
