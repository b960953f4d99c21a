"""`gridwarden law`: the rule packs: check them, look through them, compare them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from monitor.cli.law_dry_run import dry_run
from monitor.cli.register import Json, console, fail
from monitor.supervise import ExitCode

if TYPE_CHECKING:
    from models.law.faults import LawFault
    from models.law.library import Law

app = typer.Typer(
    help="规则包 Rule packs: limits, corrections, factors, tariffs as dated, cited data.", no_args_is_help=True
)

app.command("dry-run")(dry_run)

SHOWN_ROWS = 200
"""Rows a list shows unless all are asked for."""

Packs = Annotated[
    Path | None, typer.Option("--packs", help="Directory of further packs (*.toml), read after the shipped ones.")
]


@app.command("check")
def check_packs(
    directory: Annotated[
        Path | None, typer.Argument(help="Directory of further packs; none: the shipped ones.")
    ] = None,
    *,
    alone: Annotated[
        bool, typer.Option("--alone", help="The directory is a full set: leave the shipped packs out.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Check the packs. Exit code 65: faults, each with file and line; 66: no such directory; 0: all is well."""
    if alone and directory is None:
        fail("--alone 需要目录 / --alone needs a directory of packs", ExitCode.USAGE)
    law, faults = _loaded(directory, alone=alone)
    if as_json:
        typer.echo(json.dumps(_check_answer(law, faults), ensure_ascii=False))
    elif law is None:
        _print_faults(faults)
    else:
        table = Table("规则包 Pack", "版本 Version", "名称 Title", "行数 Rows", "摘要 Digest")
        for pack in law.packs:
            title = f"{pack.title_zh} / {pack.title_en}"
            table.add_row(pack.id, pack.version, title, str(sum(pack.rows.values())), pack.digest[:12])
        console().print(table)
        typer.echo(f"没有错误 / no faults: {law.version}")
    raise typer.Exit(ExitCode.OK if law is not None else ExitCode.DATA)


@app.command("list")
def list_rows(
    words: Annotated[list[str] | None, typer.Argument(help="Words a row must hold, such as cement 电耗.")] = None,
    *,
    section: Annotated[
        str | None, typer.Option("--section", help="limit, standard, correction, factor, rule ...")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="List all, however many.")] = False,
    packs: Packs = None,
    as_json: Json = False,
) -> None:
    """List rows of the packs with source line and confidence."""
    from models.law.browse import row_values, rows_like
    from models.law.faults import nearest
    from models.law.sections import SECTIONS

    if section is not None and section not in SECTIONS:
        fail(f"没有这一类 / no section {section!r}. {nearest(section, SECTIONS)}", ExitCode.USAGE)
    law = law_or_exit(packs)
    found = list(rows_like(law, section=section, words=tuple(words or ())))
    if as_json:
        rows = [{"section": ref.section, "origin": ref.origin, **row_values(ref.row)} for ref in found]
        typer.echo(json.dumps({"law": law.version, "rows": rows}, ensure_ascii=False, default=_plain))
        return
    shown = found if every else found[:SHOWN_ROWS]
    table = Table("类 Section", "编号 Id", "内容 What", "可信度 Confidence", "出处 Line", expand=True)
    for ref in shown:
        values = row_values(ref.row)
        table.add_row(
            ref.section, Text(ref.row.id), Text(_summary(values)), str(values.get("confidence", "")), ref.origin
        )
    console().print(table)
    more = f"，另有 {len(found) - len(shown)} 行（--all） / more with --all" if len(shown) < len(found) else ""
    typer.echo(f"{len(found)} 行 / rows{more} · {law.version}")


@app.command("show")
def show_row(
    row_id: Annotated[str, typer.Argument(help="Id of a row, such as 'GB 21256-2025' or cn-tier-aluminium-2022.")],
    *,
    packs: Packs = None,
    as_json: Json = False,
) -> None:
    """Show one row with everything it says, its source, confidence and file and line. Exit code 66: no such row."""
    from models.law.browse import row_values, rows_named
    from models.law.faults import nearest

    law = law_or_exit(packs)
    found = rows_named(law, row_id)
    if not found:
        known = {known for rows in law.rows.values() for known in rows}
        near = nearest(row_id, known)
        remedy = near if near.startswith("Meant") else "gridwarden law list WORD finds ids."
        fail(f"没有这一行 / no row {row_id!r}. {remedy}", ExitCode.NO_INPUT)
    if as_json:
        rows = [{"section": ref.section, "origin": ref.origin, **row_values(ref.row)} for ref in found]
        typer.echo(json.dumps({"law": law.version, "rows": rows}, ensure_ascii=False, default=_plain))
        return
    for ref in found:
        typer.echo(f"[[{ref.section}]] {ref.origin}")
        for key, value in row_values(ref.row).items():
            typer.echo(f"  {key} = {json.dumps(value, ensure_ascii=False, default=_plain)}")
    typer.echo(f"规则包 / rule packs: {law.version}")


@app.command("diff")
def diff_packs(
    directory: Annotated[Path, typer.Argument(help="Directory of further packs.")],
    against: Annotated[
        Path | None, typer.Argument(help="Directory to compare it with; none: the shipped packs alone.")
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """What the packs of a directory add, replace or change. Exit code 65: faults."""
    from models.law.browse import differences

    new, old = law_or_exit(directory), law_or_exit(against)
    found = differences(old, new)
    if as_json:
        rows = [
            {"what": one.what, "section": one.section, "id": one.row_id, "keys": [list(key) for key in one.keys]}
            for one in found
        ]
        answer = {"from": old.version, "to": new.version, "differences": rows}
        typer.echo(json.dumps(answer, ensure_ascii=False, default=_plain))
        return
    words = {"added": "+ 增加 added", "removed": "- 去掉 removed", "changed": "~ 改变 changed"}
    for one in found:
        typer.echo(f"{words[one.what]} [[{one.section}]] {one.row_id}")
        for key, before, after in one.keys:
            was, now = (json.dumps(value, ensure_ascii=False, default=_plain) for value in (before, after))
            typer.echo(f"    {key}: {was} → {now}")
    typer.echo(f"{len(found)} 处不同 / differences: {old.version} → {new.version}")


def _loaded(directory: Path | None, *, alone: bool = False) -> tuple[Law | None, Sequence[LawFault]]:
    from models.law.faults import LawFaults
    from models.law.library import load_law, shipped_law

    try:
        return shipped_law() if directory is None else load_law(directory, alone=alone), ()
    except LawFaults as error:
        return None, error.faults
    except OSError as error:
        fail(str(error), ExitCode.NO_INPUT)


def law_or_exit(directory: Path | None) -> Law:
    """The shipped packs and those of a directory; faults are printed and end the command with 65, no directory 66."""
    law, faults = _loaded(directory)
    if law is None:
        _print_faults(faults)
        raise typer.Exit(ExitCode.DATA)
    return law


def _check_answer(law: Law | None, faults: Sequence[LawFault]) -> dict[str, Any]:
    packs = (
        []
        if law is None
        else [
            {"id": one.id, "version": one.version, "file": one.file, "digest": one.digest, "rows": dict(one.rows)}
            for one in law.packs
        ]
    )
    return {
        "ok": law is not None,
        "version": None if law is None else law.version,
        "digest": None if law is None else law.digest,
        "packs": packs,
        "faults": [asdict(fault) for fault in faults],
    }


def _print_faults(faults: Sequence[LawFault]) -> None:
    for fault in faults:
        typer.echo(str(fault), err=True)
    typer.echo(f"规则包有 {len(faults)} 处错误 / {len(faults)} faults in the rule packs", err=True)


def _summary(values: dict[str, Any]) -> str:
    """The telling values of a row on one line."""
    told = (
        "standard",
        "industry",
        "product_zh",
        "metric_zh",
        "level1",
        "level2",
        "level3",
        "unit",
        "title_zh",
        "name_zh",
        "name_en",
        "kgce",
        "effective_from",
        "effective_to",
        "condition_zh",
        "text_zh",
    )
    return " · ".join(
        f"{key}={values[key]}" if key.startswith("level") else str(values[key]) for key in told if key in values
    )


def _plain(value: object) -> str:
    """Decimals and dates as their own text, so that no digit is lost."""
    return format(value, "f") if isinstance(value, Decimal) else str(value)
